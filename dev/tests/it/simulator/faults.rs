//! Injected faults.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Telnyx, code, order_of, read};
use crate::support::app::eventually;

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
async fn an_answer_can_be_changed_anywhere_before_it_is_sent() {
    let telnyx = Telnyx::start().await;
    let (number, id) = telnyx.own().await;
    telnyx
        .fault(json!({
            "path_prefix": "/v2/phone_numbers",
            "kind": "patched",
            "patch": {
                "/data/0/id": 5,
                "/data/0/status": null,
                "/data/0/a~1b": { "c": "d" },
                "/data/0/nowhere/deeper": 1,
                "/data/-": { "id": "added" },
                "/data/9": "too far",
                "/meta/total_results": "many",
            },
            "removed": ["/data/0/phone_number", "/data/0/nowhere", "/data/9", "/meta/page_number"],
        }))
        .await;
    let (status, changed) = telnyx.get("/phone_numbers").await;
    let one = &changed["data"][0];
    assert_eq!((status, &one["id"], &one["status"], &one["a/b"]), (200, &json!(5), &Value::Null, &json!({ "c": "d" })));
    assert_eq!((one.get("phone_number"), one.get("nowhere")), (None, None));
    assert!(one.as_object().unwrap().contains_key("status"));
    assert_eq!((&changed["data"][1], changed["data"].as_array().unwrap().len()), (&json!({ "id": "added" }), 2));
    assert_eq!(changed["meta"], json!({ "page_size": 20, "total_pages": 1, "total_results": "many" }));

    telnyx.fault(json!({ "path_prefix": "/v2/phone_numbers", "kind": "patched", "patch": { "": ["no", "object"] } })).await;
    assert_eq!(telnyx.get("/phone_numbers").await.1, json!(["no", "object"]));
    telnyx.fault(json!({ "path_prefix": "/v2/phone_numbers", "kind": "patched", "removed": ["/data"] })).await;
    assert_eq!(telnyx.delete(&format!("/phone_numbers/{id}")).await, (200, json!({})));
    assert_eq!(telnyx.number().await, number);
    assert_eq!(telnyx.simulator.exchanges().iter().filter(|exchange| exchange.faulted).count(), 3);
    telnyx.finish();
}

#[tokio::test]
async fn an_answer_can_be_far_too_long_and_still_be_json() {
    let telnyx = Telnyx::start().await;
    let number = telnyx.number().await;
    for bytes in [64 << 20, 1 << 20, 1] {
        telnyx.fault(json!({ "path_prefix": "/v2/number_orders", "kind": "oversized", "bytes": bytes })).await;
    }
    let answer = telnyx.ask(&telnyx.api_key, Method::POST, "/number_orders", Some(order_of(&number))).await.unwrap();
    assert_eq!(answer.status(), 200);
    let text = answer.text().await.unwrap();
    assert_eq!((text.len(), text.starts_with("{\"data\":")), (64 << 20, true));
    let order: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(order["data"]["phone_numbers"][0]["phone_number"], number.as_str());
    assert_eq!(orders(&telnyx).await, 1);
    // An error answer, too.
    let refused = telnyx.ask(&telnyx.api_key, Method::GET, "/number_orders/none", None).await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.text().await.unwrap().len()), (404, 1 << 20));
    // A body that is long enough stays unchanged.
    assert_eq!(telnyx.get("/number_orders").await.1.get("padding"), None);
    telnyx.finish();
}

#[tokio::test]
async fn headers_can_be_added_to_what_happened_or_to_a_status() {
    let telnyx = Telnyx::start().await;
    telnyx.set(json!({ "retry_after": "7" })).await;
    let number = telnyx.number().await;
    let ask = || telnyx.ask(&telnyx.api_key, Method::POST, "/number_orders", Some(order_of(&number)));
    let date = "Wed, 21 Oct 2026 07:28:00 GMT";
    telnyx.fault(json!({ "path_prefix": "/v2/number_orders", "kind": "headers", "status": 429, "headers": { "Retry-After": date } })).await;
    let refused = ask().await.unwrap();
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers().get_all("retry-after").iter().collect::<Vec<_>>(), [date]);
    assert_eq!((code(&read(refused).await.1), orders(&telnyx).await), ("10011", 0));

    let headers = json!({ "content-type": "text/html", "x-ratelimit-reset": "1761031680" });
    telnyx.fault(json!({ "path_prefix": "/v2/number_orders", "kind": "headers", "headers": headers })).await;
    let answer = ask().await.unwrap();
    assert_eq!((answer.status().as_u16(), orders(&telnyx).await), (200, 1));
    assert_eq!(answer.headers()["content-type"], "text/html");
    assert_eq!(answer.headers()["x-ratelimit-reset"], "1761031680");
    telnyx.finish();
}

#[tokio::test]
async fn a_fault_that_cannot_be_carried_out_is_refused() {
    let telnyx = Telnyx::start().await;
    for fault in [
        json!({ "kind": "status", "status": 99 }),
        json!({ "kind": "status", "headers": { "retry-after": "1" } }),
        json!({ "kind": "patched" }),
        json!({ "kind": "patched", "patch": { "data": 1 } }),
        json!({ "kind": "patched", "removed": [""] }),
        json!({ "kind": "oversized" }),
        json!({ "kind": "oversized", "bytes": (64 << 20) + 1 }),
        json!({ "kind": "headers" }),
        json!({ "kind": "headers", "headers": { "no name": "1" } }),
        json!({ "kind": "headers", "headers": { "x-other": "1\r\n" } }),
        json!({ "kind": "headers", "headers": { "Content-Length": "1" } }),
        json!({ "kind": "empty", "patch": { "/data": 1 } }),
    ] {
        let mut body = fault.clone();
        body["path_prefix"] = json!("/v2");
        assert_eq!(telnyx.control(Method::POST, "/faults", body).await.0, 400, "{fault}");
    }
    assert_eq!(telnyx.get("/phone_numbers").await.0, 200);
    telnyx.finish();
}

#[tokio::test]
async fn a_delayed_answer_is_late_for_something_that_happened() {
    let telnyx = Telnyx::start().await;
    let number = telnyx.number().await;
    telnyx.fault(json!({ "path_prefix": "/v2/number_orders", "kind": "delay", "delay_ms": 600_000 })).await;
    let ask = telnyx.ask(&telnyx.api_key, Method::POST, "/number_orders", Some(order_of(&number)));
    let happened = eventually(async || (orders(&telnyx).await > 0).then_some(()));
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
    eventually(async || telnyx.http.get(&url).send().await.err()).await;
}
