//! Failures to order.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Telnyx, code, order_of, read};

async fn orders(telnyx: &Telnyx) -> usize {
    telnyx.state().await["orders"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_status_fault_answers_and_nothing_happens() {
    let telnyx = Telnyx::start().await;
    let number = telnyx.number().await;
    telnyx.fault(json!({ "method": "POST", "path_prefix": "/v2/number_orders", "kind": "status", "status": 429 })).await;
    assert_eq!(telnyx.get("/number_orders").await.0, 200);
    let answer = telnyx.ask(&telnyx.api_key, Method::POST, "/number_orders", Some(order_of(&number))).await.unwrap();
    assert!(answer.headers().contains_key("x-ratelimit-limit"));
    let (status, body) = read(answer).await;
    assert_eq!((status, code(&body)), (429, "10011"));
    assert_eq!(orders(&telnyx).await, 0);
    assert_eq!(telnyx.order(&number).await.0, 200);
    telnyx.finish();
}

#[tokio::test]
async fn a_connection_cut_before_means_that_nothing_happened() {
    let telnyx = Telnyx::start().await;
    let number = telnyx.number().await;
    telnyx.fault(json!({ "path_prefix": "/v2/number_orders", "kind": "drop_before" })).await;
    let lost = telnyx.ask(&telnyx.api_key, Method::POST, "/number_orders", Some(order_of(&number))).await;
    assert!(lost.is_err());
    assert_eq!(orders(&telnyx).await, 0);
    telnyx.finish();
}

#[tokio::test]
async fn a_connection_cut_after_means_that_it_happened() {
    let telnyx = Telnyx::start().await;
    let number = telnyx.number().await;
    telnyx.fault(json!({ "path_prefix": "/v2/number_orders", "kind": "drop_after" })).await;
    let lost = telnyx.ask(&telnyx.api_key, Method::POST, "/number_orders", Some(order_of(&number))).await;
    assert!(lost.is_err());
    assert_eq!(orders(&telnyx).await, 1);
    let exchanges = telnyx.simulator.exchanges();
    assert_eq!((exchanges[1].status, exchanges[1].faulted), (None, true));
    telnyx.finish();
}

#[tokio::test]
async fn a_malformed_answer_arrives_whole_in_http_and_cut_in_json() {
    let telnyx = Telnyx::start().await;
    let number = telnyx.number().await;
    telnyx.fault(json!({ "path_prefix": "/v2/number_orders", "kind": "malformed" })).await;
    let answer = telnyx.ask(&telnyx.api_key, Method::POST, "/number_orders", Some(order_of(&number))).await.unwrap();
    assert_eq!(answer.status(), 200);
    let text = answer.text().await.unwrap();
    assert!(text.starts_with('{') && serde_json::from_str::<Value>(&text).is_err());
    assert_eq!(orders(&telnyx).await, 1);
    telnyx.finish();
}

#[tokio::test]
async fn a_list_can_be_empty_and_a_number_odd() {
    let telnyx = Telnyx::start().await;
    let (number, id) = telnyx.own().await;
    for kind in ["empty", "odd", "odd"] {
        telnyx.fault(json!({ "path_prefix": "/v2/phone_numbers", "kind": kind })).await;
    }
    let (status, empty) = telnyx.get("/phone_numbers").await;
    assert_eq!((status, &empty["data"], &empty["meta"]["total_results"]), (200, &json!([]), &json!(0)));
    let (status, odd) = telnyx.get("/phone_numbers").await;
    assert_eq!((status, &odd["data"][0]["id"], &odd["data"][0]["phone_number"]), (200, &json!(id), &json!("anonymous")));
    let (status, odd) = telnyx.get(&format!("/phone_numbers/{id}")).await;
    assert_eq!((status, &odd["data"]["phone_number"]), (200, &json!("anonymous")));
    assert_eq!(telnyx.get("/phone_numbers").await.1["data"][0]["phone_number"], json!(number));
    telnyx.finish();
}

#[tokio::test]
async fn a_delayed_answer_is_late_for_something_that_happened() {
    let telnyx = Telnyx::start().await;
    let number = telnyx.number().await;
    telnyx.fault(json!({ "path_prefix": "/v2/number_orders", "kind": "delay", "delay_ms": 600_000 })).await;
    let ask = telnyx.ask(&telnyx.api_key, Method::POST, "/number_orders", Some(order_of(&number)));
    let happened = async { while orders(&telnyx).await == 0 {} };
    tokio::select! {
        _ = ask => panic!("the answer is not late"),
        () = happened => {}
    }
    assert_eq!(orders(&telnyx).await, 1);
    telnyx.finish();
}

#[tokio::test]
async fn faults_are_used_up_in_the_order_they_were_given() {
    let telnyx = Telnyx::start().await;
    telnyx.fault(json!({ "path_prefix": "/v2/phone_numbers", "kind": "status", "status": 503, "times": 2 })).await;
    telnyx.fault(json!({ "path_prefix": "/v2/phone_numbers", "kind": "status", "status": 400, "code": "10023" })).await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(telnyx.get("/phone_numbers").await.0);
    }
    assert_eq!(seen, [503, 503, 400, 200]);
    telnyx.fault(json!({ "path_prefix": "/v2", "kind": "drop_before" })).await;
    let (_, left) = telnyx.control(Method::GET, "/faults", Value::Null).await;
    assert_eq!(left["faults"].as_array().unwrap().len(), 1);
    telnyx.control(Method::DELETE, "/faults", Value::Null).await;
    assert_eq!(telnyx.get("/phone_numbers").await.0, 200);
    telnyx.finish();
}

#[tokio::test]
async fn nothing_listens_once_the_simulator_is_dropped() {
    let telnyx = Telnyx::start().await;
    let url = telnyx.simulator.url();
    drop(telnyx.simulator);
    let refused = async {
        while telnyx.http.get(&url).send().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), refused).await.unwrap();
}
