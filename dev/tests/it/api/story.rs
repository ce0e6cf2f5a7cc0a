//! The whole life of a number, from a search to its release.

use dev::demo;
use lambda_http::http::Method;
use serde_json::json;

use crate::support::app::{TestApp, agent};

#[tokio::test]
async fn a_number_is_found_bought_listed_assigned_unassigned_and_released() {
    let app = TestApp::new().await;
    let number = app.offer().await;
    let (first, second) = (agent(&demo::DEMO, 0), agent(&demo::DEMO, 1));

    let order = json!({"phone_numbers": [{"phone_number": number, "friendly_name": "Front desk", "agent_mapping_id": first}], "customer_reference": "order 7"});
    let bought = app.purchase("admin", order).await.expect(200);
    assert_eq!(bought.body["success"], true);
    assert_eq!(bought.body["customer_reference"], "order 7");
    assert_eq!(bought.body["order"]["status"], "success");
    assert_eq!(bought.body["order"]["phone_numbers_count"], 1);
    assert_eq!(bought.body["order"]["requirements_met"], true);
    let row = bought.number();
    assert_eq!(row["status"], "active");
    assert_eq!(row["outcome"], "purchased");
    assert_eq!((&row["number_type"], &row["country_code"]), (&json!("local"), &json!("US")));
    assert_eq!((&row["monthly_cost"], &row["currency"]), (&json!("1.00"), &json!("USD")));
    assert!(row["purchased_at"].is_string() && row["phone_number_id"].as_str().unwrap().len() == 19);

    let listed = app.list("member", "include_agents=true").await.expect(200);
    let listed_row = listed.number();
    assert_eq!(listed_row["agent_mappings"]["ultravox_agent_name"], "Reception");
    assert_eq!(listed_row["agent_mappings"]["voice"], "Mark");
    assert_eq!(listed_row["agent_mappings"]["language_hint"], "en");
    assert_eq!(listed.body["available_agents"].as_array().unwrap().len(), 2);

    let id = row["id"].as_str().unwrap();
    let assigned = app
        .assign("admin", Method::POST, "", Some(json!({"phone_number_id": id, "agent_mapping_id": second, "direction": "outbound"})))
        .await
        .expect(200);
    assert_eq!(assigned.body["phone_number"]["agent_mappings"]["ultravox_agent_name"], "Ventas");
    assert_eq!(assigned.body["phone_number"]["direction"], "outbound");
    let unassigned = app.assign("admin", Method::DELETE, &format!("phone_number_id={id}"), None).await.expect(200);
    assert_eq!(unassigned.body["phone_number"]["agent_mapping_id"], json!(null));

    let released = app.release("owner", json!({"phone_number_ids": [id], "confirm": true})).await.expect(200);
    assert_eq!(released.body["released"][0]["phone_number"], number);
    assert_eq!(released.body["summary"], json!({"total_requested": 1, "released_count": 1, "failed_count": 0}));
    let gone = app.list("member", "status=released").await.expect(200);
    assert_eq!(gone.number()["status"], "released");
    assert_eq!(gone.number()["is_active"], false);
    assert!(app.billed().await.is_empty());

    assert!(app.list("other_owner", "include_released=true").await.expect(200).body["phone_numbers"].as_array().unwrap().is_empty());
}
