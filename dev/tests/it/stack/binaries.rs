//! The binaries of the functions: processes behind the Runtime API and the gateway.

use dev::demo;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::support::app::{ORIGIN, agent, eventually};
use crate::support::product::{Product, web_functions};

#[tokio::test]
async fn a_numbers_whole_life_works_through_the_gateway() {
    let product = Product::start(&[]).await;
    let number = product.offers().await.remove(0);
    let buying = tokio::spawn(product.purchase(&number).send());
    let pending = eventually(async || product.list("member").await.pop()).await;
    assert_eq!(pending["phone_number"], number);
    let bought: Value = buying.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(bought["phone_numbers"][0]["status"], "active", "{bought:#}");
    let listed = product.list("member").await.remove(0);
    assert_eq!(listed["agent_mappings"]["voice"], "Mark");
    let id = listed["id"].as_str().unwrap();

    let assign = json!({"phone_number_id": id, "agent_mapping_id": agent(&demo::DEMO, 1)});
    let assigned = product.json(product.request(Method::POST, "phone-numbers-assign", "admin").json(&assign), 200).await;
    assert_eq!(assigned["phone_number"]["agent_mappings"]["voice"], "Lucia");
    let unassign = product.request(Method::DELETE, "phone-numbers-assign", "admin").query(&[("phone_number_id", id)]);
    assert_eq!(product.json(unassign, 200).await["phone_number"]["agent_mapping_id"], Value::Null);
    assert_eq!(product.json(product.release(id), 200).await["released"][0]["id"], id);
    assert_eq!(product.list("owner").await[0]["status"], "released");
    assert!(product.list("other_owner").await.is_empty());
    product.stack.stop().await;
}

#[tokio::test]
async fn each_function_answers_preflights_on_its_own_url() {
    let product = Product::start(&[]).await;
    for (name, url) in product.stack.function_urls() {
        let preflight = product.http.request(Method::OPTIONS, url).header("origin", ORIGIN);
        let response = preflight.header("access-control-request-method", "POST").send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NO_CONTENT, "{name}");
        assert_eq!(response.headers()["access-control-allow-origin"], ORIGIN, "{name}");
    }
    product.stack.stop().await;
}

#[tokio::test]
async fn without_any_configuration_every_function_answers_503() {
    let unset = ["DATABASE_URL", "JWT_SECRET", "JWT_ISSUER", "TELNYX_API_KEY", "TELNYX_API_URL", "AWS_REGION"].map(|name| (name, ""));
    let product = Product::start(&unset).await;
    for name in web_functions() {
        let method = if name.ends_with("purchase") || name.ends_with("release") { Method::POST } else { Method::GET };
        let problem = product.json(product.request(method, &name, "owner"), 503).await;
        assert_eq!(problem["code"], "unavailable", "{name}");
    }
    product.stack.stop().await;
}

#[tokio::test]
async fn eight_processes_that_buy_one_number_place_one_order() {
    let product = Product::start(&[]).await;
    let number = product.offers().await.remove(0);
    let calls: Vec<_> = (0..8).map(|_| tokio::spawn(product.purchase(&number).send())).collect();
    let mut rows = Vec::new();
    for call in calls {
        let response: Response = call.await.unwrap().unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        rows.push(response.json::<Value>().await.unwrap()["phone_numbers"][0]["id"].clone());
    }
    rows.dedup();
    assert_eq!(rows.len(), 1);
    assert_eq!(product.telnyx().await["orders"].as_array().unwrap().len(), 1);
    product.stack.stop().await;
}

#[tokio::test]
async fn a_purchase_whose_process_is_killed_is_finished_by_the_next_one() {
    let product = Product::start(&[("LEASE_MS", "1000"), ("TELNYX_TIMEOUT_MS", "900")]).await;
    let settings = product.http.put(format!("{}/settings", product.stack.telnyx().control_url()));
    settings.json(&json!({"order_outcome": "never"})).send().await.unwrap();
    let number = product.offers().await.remove(0);
    let buying = tokio::spawn(product.purchase(&number).send());
    eventually(async || product.telnyx().await["orders"].as_array().filter(|orders| !orders.is_empty()).cloned()).await;
    product.function("phone-numbers-purchase").kill().await;
    assert_eq!(buying.await.unwrap().unwrap().status(), StatusCode::BAD_GATEWAY);

    let settings = product.http.put(format!("{}/settings", product.stack.telnyx().control_url()));
    settings.json(&json!({"order_outcome": "success"})).send().await.unwrap();
    let bought = product.json(product.purchase(&number), 200).await;
    assert_eq!(bought["phone_numbers"][0]["status"], "active");
    assert_eq!(product.telnyx().await["orders"].as_array().unwrap().len(), 1);
    product.stack.stop().await;
}
