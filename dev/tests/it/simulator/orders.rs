//! `/number_orders`, sub-orders, and reservations.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use dev::telnyx_simulator::Settings;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Telnyx, code, order_of};
use crate::support::app::eventually;

#[tokio::test]
async fn an_order_is_pending_until_its_time_then_the_number_is_active() {
    let telnyx = Telnyx::start().await;
    let number = telnyx.number().await;
    let (status, body) = telnyx
        .post(
            "/number_orders",
            json!({ "phone_numbers": [{ "phone_number": number }], "customer_reference": "op-1", "connection_id": "1521916448077776306" }),
        )
        .await;
    assert_eq!((status, &body["data"]["status"]), (200, &json!("pending")));
    let id = body["data"]["id"].as_str().unwrap();
    assert_eq!(telnyx.get(&format!("/phone_numbers/{number}")).await.0, 404);

    telnyx.advance(300).await;
    let (_, row) = telnyx.get(&format!("/phone_numbers/{number}")).await;
    assert_eq!(row["data"]["status"], "purchase-pending");
    assert_eq!(row["data"]["customer_reference"], "op-1");

    telnyx.advance(1100).await;
    let (_, order) = telnyx.get(&format!("/number_orders/{id}")).await;
    assert_eq!(order["data"]["status"], "success");
    assert_eq!(order["data"]["phone_numbers"][0]["status"], "success");
    let (_, row) = telnyx.get(&format!("/phone_numbers/{number}")).await;
    assert_eq!(row["data"]["status"], "active");
    assert_eq!(row["data"]["connection_id"], "1521916448077776306");
    telnyx.finish();
}

#[tokio::test]
async fn numbers_do_not_get_the_reference_of_their_order_if_so_set() {
    let telnyx = Telnyx::start().await;
    let order = async |reference: &str| {
        let number = telnyx.number().await;
        let mut order = order_of(&number);
        order["customer_reference"] = json!(reference);
        let (_, order) = telnyx.post("/number_orders", order).await;
        telnyx.advance(1400).await;
        (order["data"]["id"].as_str().unwrap().to_owned(), telnyx.get(&format!("/phone_numbers/{number}")).await.1)
    };
    let (_, with_reference) = order("op-1").await;
    telnyx.set(json!({ "references_on_numbers": false })).await;
    let (id, without_reference) = order("op-2").await;
    assert_eq!(with_reference["data"]["customer_reference"], "op-1");
    assert_eq!(without_reference["data"]["customer_reference"], Value::Null);
    for (path, count) in [
        ("/number_orders?filter[customer_reference]=op-2", 1),
        ("/phone_numbers?filter[customer_reference]=op-1", 1),
        ("/phone_numbers?filter[customer_reference]=op-2", 0),
    ] {
        assert_eq!(telnyx.get(path).await.1["meta"]["total_results"], count, "{path}");
    }
    let (_, sub_orders) = telnyx.get(&format!("/sub_number_orders?filter[order_request_id]={id}")).await;
    assert_eq!(sub_orders["data"][0]["customer_reference"], "op-2");
    telnyx.set(json!({ "references_on_numbers": true })).await;
    let path = format!("/phone_numbers/{}", without_reference["data"]["id"].as_str().unwrap());
    assert_eq!(telnyx.get(&path).await.1["data"]["customer_reference"], Value::Null);
    telnyx.finish();
}

#[tokio::test]
async fn time_passes_by_itself_unless_stopped() {
    let telnyx = Telnyx::with(Settings { order_delay_ms: 5, ..Settings::default() }).await;
    let number = telnyx.number().await;
    let (_, order) = telnyx.order(&number).await;
    let path = format!("/number_orders/{}", order["data"]["id"].as_str().unwrap());
    eventually(async || (telnyx.get(&path).await.1["data"]["status"] == "success").then_some(())).await;
    telnyx.finish();
}

#[tokio::test]
async fn an_order_may_be_pending_for_a_number_of_reads() {
    let telnyx = Telnyx::with(Settings { order_delay_ms: 0, order_delay_reads: 2, ..Settings::default() }).await;
    let number = telnyx.number().await;
    let (_, order) = telnyx.order(&number).await;
    let path = format!("/number_orders/{}", order["data"]["id"].as_str().unwrap());
    for status in ["pending", "pending", "success", "success"] {
        assert_eq!(telnyx.get(&path).await.1["data"]["status"], status);
    }
    telnyx.finish();
}

#[tokio::test]
async fn the_three_families_of_ids_differ() {
    let telnyx = Telnyx::start().await;
    let (number, id) = telnyx.own().await;
    let (_, orders) = telnyx.get("/number_orders").await;
    let item = orders["data"][0]["phone_numbers"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(item.len(), 36);
    assert_eq!((id.len(), id.parse::<u64>().unwrap() > 1 << 53), (19, true));
    let (status, body) = telnyx.get(&format!("/phone_numbers/{item}")).await;
    assert_eq!((status, code(&body)), (404, "10005"));
    let (_, items) = telnyx.get("/number_order_phone_numbers?filter[country_code]=US").await;
    assert_eq!(items["data"][0]["phone_number"], number.as_str());
    let (status, _) = telnyx.get(&format!("/number_order_phone_numbers/{item}")).await;
    assert_eq!(status, 200);
    telnyx.finish();
}

#[tokio::test]
async fn a_number_that_is_taken_is_refused_even_to_its_owner() {
    let telnyx = Telnyx::start().await;
    let (number, _) = telnyx.own().await;
    let (status, body) = telnyx.order(&number).await;
    assert_eq!((status, code(&body)), (409, "85001"));
    telnyx.set(json!({ "taken_as_bad_request": true })).await;
    let (status, body) = telnyx.order(&number).await;
    assert_eq!((status, code(&body)), (400, "10015"));
    telnyx.finish();
}

#[tokio::test]
async fn two_orders_at_once_for_one_number_succeed_once() {
    let telnyx = Telnyx::start().await;
    let number = telnyx.number().await;
    let ((one, _), (other, _)) = tokio::join!(telnyx.order(&number), telnyx.order(&number));
    assert_eq!(one + other, 200 + 409);
    telnyx.finish();
}

#[tokio::test]
async fn every_reason_to_refuse_an_order_has_its_code() {
    let telnyx = Telnyx::start().await;
    let (_, body) = telnyx.order("+13125550123").await;
    assert_eq!(code(&body), "85000");
    let number = telnyx.number().await;
    for (settings, expected) in [
        (json!({ "insufficient_funds": true }), (403, "20100")),
        (json!({ "insufficient_funds": false, "accounts_without_funds": ["default"] }), (403, "20100")),
        (json!({ "accounts_without_funds": ["another"], "balance": "1.99" }), (403, "20100")),
        (json!({ "unverified": true }), (403, "20014")),
    ] {
        telnyx.set(settings).await;
        let (status, body) = telnyx.order(&number).await;
        assert_eq!((status, code(&body)), expected);
    }
    telnyx.set(json!({ "unverified": false, "balance": null, "refused_connection_ids": ["1521916448077776306"] })).await;
    for connection_id in ["12", "app-1", "1521916448077776306"] {
        let mut order = order_of(&number);
        order["connection_id"] = json!(connection_id);
        let (status, body) = telnyx.post("/number_orders", order).await;
        assert_eq!((status, code(&body)), (422, "85004"));
    }
    for (order, expected) in [
        (json!({}), "10004"),
        (order_of("3125550123"), "10016"),
        (json!({ "phone_numbers": [{ "phone_number": number }, { "phone_number": number }] }), "10015"),
        (json!({ "phone_numbers": [{ "phone_number": number }], "messaging_profile_id": "x" }), "85005"),
    ] {
        let (_, body) = telnyx.post("/number_orders", order).await;
        assert_eq!(code(&body), expected);
    }
    assert_eq!(telnyx.state().await["orders"], json!([]));
    telnyx.finish();
}

#[tokio::test]
async fn an_order_takes_its_cost_from_the_balance_and_a_failed_one_gives_it_back() {
    let telnyx = Telnyx::start().await;
    telnyx.set(json!({ "balance": "5.00", "order_outcome": "failure" })).await;
    let number = telnyx.number().await;
    telnyx.order(&number).await;
    assert_eq!(telnyx.state().await["settings"]["balance"], "3.00000");
    telnyx.advance(1400).await;
    assert_eq!(telnyx.state().await["settings"]["balance"], "5.00000");
    telnyx.finish();
}

#[tokio::test]
async fn a_failed_order_leaves_no_number_unless_the_setting_keeps_it() {
    let telnyx = Telnyx::start().await;
    telnyx.set(json!({ "order_outcome": "failure" })).await;
    let number = telnyx.number().await;
    let (_, order) = telnyx.order(&number).await;
    telnyx.advance(1400).await;
    let path = format!("/number_orders/{}", order["data"]["id"].as_str().unwrap());
    assert_eq!(telnyx.get(&path).await.1["data"]["status"], "failure");
    assert_eq!(telnyx.get("/phone_numbers").await.1["data"], json!([]));
    assert_eq!(telnyx.number().await, number);

    telnyx.set(json!({ "keep_failed_numbers": true })).await;
    telnyx.order(&number).await;
    telnyx.advance(1400).await;
    let (_, numbers) = telnyx.get("/phone_numbers?filter[status]=purchase-failed").await;
    assert_eq!(numbers["data"][0]["phone_number"], number.as_str());
    telnyx.finish();
}

#[tokio::test]
async fn an_order_that_never_ends_can_be_ended_through_the_controls() {
    let telnyx = Telnyx::start().await;
    telnyx.set(json!({ "order_outcome": "never" })).await;
    let number = telnyx.number().await;
    let (_, order) = telnyx.order(&number).await;
    telnyx.advance(3_600_000).await;
    let id = order["data"]["id"].as_str().unwrap();
    assert_eq!(telnyx.get(&format!("/number_orders/{id}")).await.1["data"]["status"], "pending");
    let decision = json!({ "status": "success" });
    let path = format!("/orders/{id}");
    assert_eq!(telnyx.control(Method::POST, &path, decision.clone()).await.0, 200);
    assert_eq!(telnyx.get(&format!("/number_orders/{id}")).await.1["data"]["status"], "success");
    assert_eq!(telnyx.control(Method::POST, &path, decision).await.0, 409);
    telnyx.finish();
}

#[tokio::test]
async fn a_regulated_country_keeps_an_order_waiting_for_documents() {
    let telnyx = Telnyx::start().await;
    let german = telnyx.found("filter[country_code]=DE&filter[limit]=1").await.remove(0);
    let american = telnyx.number().await;
    let both = json!({ "phone_numbers": [{ "phone_number": german }, { "phone_number": american }] });
    let (_, order) = telnyx.post("/number_orders", both).await;
    let path = format!("/number_orders/{}", order["data"]["id"].as_str().unwrap());
    telnyx.advance(1400).await;
    let (_, order) = telnyx.get(&path).await;
    let order = &order["data"];
    assert_eq!((&order["status"], &order["requirements_met"]), (&json!("pending"), &json!(false)));
    assert_eq!(order["phone_numbers"][0]["status"], "pending");
    assert_eq!(order["phone_numbers"][1]["status"], "success");
    let requirement = &order["phone_numbers"][0]["regulatory_requirements"][0]["requirement_id"];
    let answer = json!({ "regulatory_requirements": [{ "requirement_id": requirement, "field_value": "Berlin" }] });
    let (_, order) = telnyx.patch(&path, answer).await;
    let item = &order["data"]["phone_numbers"][0];
    assert_eq!(item["requirements_status"], "requirement-info-under-review");
    let id = order["data"]["id"].as_str().unwrap();
    telnyx.control(Method::POST, &format!("/orders/{id}"), json!({ "status": "success" })).await;
    let (_, order) = telnyx.get(&path).await;
    assert_eq!(order["data"]["status"], "success");
    assert_eq!(order["data"]["requirements_met"], true);
    telnyx.finish();
}

#[tokio::test]
async fn the_deadline_for_documents_can_be_soon_or_no_date() {
    let telnyx = Telnyx::start().await;
    let number = telnyx.found("filter[country_code]=DE&filter[limit]=1").await.remove(0);
    let (_, order) = telnyx.order(&number).await;
    let created_at: DateTime<Utc> = order["data"]["created_at"].as_str().unwrap().parse().unwrap();
    let item = format!("/number_order_phone_numbers/{}", order["data"]["phone_numbers"][0]["id"].as_str().unwrap());
    let deadlines = async || {
        let one = telnyx.get(&item).await.1["data"]["deadline"].clone();
        let listed = telnyx.get("/number_order_phone_numbers").await.1["data"][0]["deadline"].clone();
        assert_eq!(one, listed);
        one
    };
    let after = |deadline: &Value| deadline.as_str().unwrap().parse::<DateTime<Utc>>().unwrap() - created_at.trunc_subsecs(0);
    assert_eq!(after(&deadlines().await), TimeDelta::days(10));
    telnyx.set(json!({ "documents_deadline_ms": 5000 })).await;
    assert_eq!(after(&deadlines().await), TimeDelta::seconds(5));
    for hostile in [json!(""), json!("2026-01-01T00:00:00"), json!(5), json!({})] {
        telnyx.set(json!({ "documents_deadline": hostile })).await;
        assert_eq!(deadlines().await, hostile);
    }
    telnyx.set(json!({ "documents_deadline": null })).await;
    assert_eq!(after(&deadlines().await), TimeDelta::seconds(5));
    telnyx.finish();
}

#[tokio::test]
async fn only_a_pending_sub_order_can_be_cancelled() {
    let telnyx = Telnyx::start().await;
    let number = telnyx.number().await;
    let (_, order) = telnyx.order(&number).await;
    let id = order["data"]["id"].as_str().unwrap();
    let (_, list) = telnyx.get(&format!("/sub_number_orders?filter[order_request_id]={id}")).await;
    let sub_order = list["data"][0]["id"].as_str().unwrap();
    let path = format!("/sub_number_orders/{sub_order}");
    let (_, shown) = telnyx.get(&format!("{path}?filter[include_phone_numbers]=true")).await;
    assert_eq!(shown["data"]["phone_numbers"][0]["phone_number"], number.as_str());
    let cancel = format!("{path}/cancel");
    assert_eq!(telnyx.send(Method::PATCH, &cancel, None).await.1["data"]["status"], "failure");
    let (_, order) = telnyx.get(&format!("/number_orders/{id}")).await;
    assert_eq!(order["data"]["status"], "failure");
    assert_eq!(order["data"]["phone_numbers"][0]["requirements_status"], "cancelled");
    let (status, body) = telnyx.send(Method::PATCH, &cancel, None).await;
    assert_eq!((status, code(&body)), (422, "85002"));
    assert_eq!(telnyx.number().await, number);
    telnyx.finish();
}

#[tokio::test]
async fn orders_are_found_by_reference_once_the_index_has_caught_up() {
    let telnyx = Telnyx::start().await;
    telnyx.set(json!({ "reference_lag_ms": 500 })).await;
    let mut order = order_of(&telnyx.number().await);
    order["customer_reference"] = json!("op-1");
    telnyx.post("/number_orders", order).await;
    let path = "/number_orders?filter[customer_reference]=op-1&filter[status]=pending";
    assert_eq!(telnyx.get(path).await.1["meta"]["total_results"], 0);
    telnyx.advance(500).await;
    assert_eq!(telnyx.get(path).await.1["meta"]["total_results"], 1);
    telnyx.finish();
}

#[tokio::test]
async fn a_slow_toll_free_number_is_active_later_than_its_order() {
    let telnyx = Telnyx::start().await;
    let query = "/available_phone_numbers?filter[phone_number_type]=toll_free&filter[country_code]=US";
    let (_, found) = telnyx.get(query).await;
    let slow = found["data"].as_array().unwrap().iter().find(|one| one["quickship"] == false);
    let number = slow.unwrap()["phone_number"].as_str().unwrap().to_owned();
    telnyx.order(&number).await;
    telnyx.advance(1400).await;
    let path = format!("/phone_numbers/{number}");
    assert_eq!(telnyx.get(&path).await.1["data"]["status"], "purchase-pending");
    telnyx.advance(10_000).await;
    assert_eq!(telnyx.get(&path).await.1["data"]["status"], "active");
    telnyx.finish();
}

#[tokio::test]
async fn a_reservation_keeps_a_number_for_a_while_and_once_more() {
    let telnyx = Telnyx::start().await;
    telnyx.set(json!({ "accounts": { "other": "KEYother" } })).await;
    let number = telnyx.number().await;
    let (_, reservation) = telnyx.post("/number_reservations", order_of(&number)).await;
    let (status, body) = telnyx.post("/number_reservations", order_of(&number)).await;
    assert_eq!((status, code(&body)), (422, "85006"));
    let path = format!("/number_reservations/{}", reservation["data"]["id"].as_str().unwrap());
    let extend = format!("{path}/actions/extend");
    assert_eq!(telnyx.send(Method::POST, &extend, None).await.0, 200);
    assert_eq!(code(&telnyx.send(Method::POST, &extend, None).await.1), "85008");
    let others = || async {
        let found = telnyx.ask("KEYother", Method::GET, "/available_phone_numbers?filter[national_destination_code]=312", None);
        super::read(found.await.unwrap()).await.1["data"][0]["phone_number"].clone()
    };
    telnyx.advance(59 * 60 * 1000).await;
    assert_ne!(others().await, number.as_str());
    telnyx.advance(60 * 1000).await;
    assert_eq!(others().await, number.as_str());
    assert_eq!(telnyx.get(&path).await.0, 200);
    telnyx.finish();
}
