//! Rows that wait for Telnyx: whether documents are missing, and the deadline for them.

use dev::demo;
use lambda_http::http::Method;
use serde_json::{Value, json};

use crate::support::actions::{balance, decide, order_of, order_of_all, release_of, telnyx};
use crate::support::app::{Reply, TestApp};

/// The two members that only pending rows have; `None` if absent.
fn requirements(row: &Value) -> Option<(Value, Value)> {
    let (met, deadline) = (row.get("requirements_met"), row.get("requirements_deadline"));
    assert_eq!(met.is_some(), deadline.is_some(), "{row}");
    Some((met?.clone(), deadline?.clone()))
}

/// A number whose order waits for documents.
async fn regulated(app: &TestApp) -> String {
    let found = app.search("owner", "country_code=DE&limit=1").await.expect(200);
    found.number()["phone_number"].as_str().unwrap().to_owned()
}

/// Every function that shows a row.
async fn shown(app: &TestApp, id: &Value) -> Vec<Value> {
    let mut shown = Vec::new();
    let row_of = |reply: &Reply| reply.body["phone_numbers"].as_array().unwrap().iter().find(|row| row["id"] == *id).unwrap().clone();
    let query = format!("id={}", id.as_str().unwrap());
    shown.push(row_of(&app.list("member", "include_released=true").await.expect(200)));
    shown.push(app.assign("member", Method::GET, &query, None).await.expect(200).body["phone_number"].clone());
    let with_history = format!("{query}&include_history=true");
    shown.push(app.assign("member", Method::GET, &with_history, None).await.expect(200).body["phone_number"].clone());
    let status = shown[0]["status"].as_str().unwrap().to_owned();
    shown.push(row_of(&app.assign("member", Method::GET, &format!("status={status}"), None).await.expect(200)));
    shown
}

#[tokio::test]
async fn a_pending_row_shows_missing_documents_and_their_deadline() {
    let mut app = TestApp::new().await;
    let number = regulated(&app).await;
    let pending = app.pending_purchase(order_of(&number)).await.number().clone();
    let item = &app.telnyx_state().await["orders"][0]["phone_numbers"][0];
    let path = format!("/number_order_phone_numbers/{}", item["id"].as_str().unwrap());
    let deadline = telnyx(&app, app.telnyx.api_key(), Method::GET, &path, None).await["data"]["deadline"].clone();
    assert!(deadline.is_string());
    let expected = Some((json!(false), deadline));
    assert_eq!(requirements(&pending), expected);
    for row in shown(&app, &pending["id"]).await {
        assert_eq!(requirements(&row), expected, "{row}");
    }
    // The answer to a change of its settings has the same.
    let rename = json!({"id": pending["id"], "friendly_name": "Berlin"});
    let renamed = app.assign("owner", Method::PATCH, "", Some(rename)).await.expect(200);
    assert_eq!(requirements(&renamed.body["phone_number"]), expected);
    assert_eq!(app.asked("GET", "/v2/number_order_phone_numbers/"), 2, "ours and the test's own: it is asked once");

    decide(&app, "success").await;
    let bought = app.purchase("owner", order_of(&number)).await.expect(200).number().clone();
    assert_eq!((&bought["id"], requirements(&bought)), (&pending["id"], None));
    for row in shown(&app, &pending["id"]).await {
        assert_eq!(requirements(&row), None, "{row}");
    }
    balance(&app).await;
}

#[tokio::test]
async fn a_row_that_only_takes_its_time_lacks_nothing() {
    let mut app = TestApp::new().await;
    app.telnyx_settings(json!({"order_outcome": "never"})).await;
    let number = app.offer().await;
    let pending = app.pending_purchase(order_of(&number)).await.number().clone();
    assert_eq!(requirements(&pending), Some((json!(true), json!(null))));
    for row in shown(&app, &pending["id"]).await {
        assert_eq!(requirements(&row), Some((json!(true), json!(null))), "{row}");
    }
    assert_eq!(app.asked("GET", "/v2/number_order_phone_numbers/"), 0);
}

#[tokio::test]
async fn what_telnyx_has_not_told_yet_is_null() {
    let mut app = TestApp::new().await;
    let number = app.offer().await;
    app.fault(json!({"method": "POST", "path_prefix": "/v2/number_orders", "kind": "drop_after"})).await;
    app.fault(json!({"method": "GET", "path_prefix": "/v2/number_orders", "kind": "status", "status": 503, "times": 1_000})).await;
    let pending = app.pending_purchase(order_of(&number)).await.number().clone();
    assert_eq!(requirements(&pending), Some((json!(null), json!(null))));
}

#[tokio::test]
async fn a_deadline_that_cannot_be_had_keeps_nothing_from_going_on() {
    let mut app = TestApp::new().await;
    app.set("REQUEST_BUDGET_MS", "2500");
    let number = regulated(&app).await;
    let items = "/v2/number_order_phone_numbers";
    app.fault(json!({"method": "GET", "path_prefix": items, "kind": "status", "status": 500, "times": 1_000})).await;
    let pending = app.purchase("owner", order_of(&number)).await.expect(202).number().clone();
    assert_eq!(requirements(&pending), Some((json!(false), json!(null))));
    crate::support::actions::clear_faults(&app).await;
    let pending = app.purchase("owner", order_of(&number)).await.expect(202).number().clone();
    let (met, deadline) = requirements(&pending).unwrap();
    assert!(met == false && deadline.is_string(), "{deadline}");
    decide(&app, "success").await;
    app.purchase("owner", order_of(&number)).await.expect(200);
    balance(&app).await;
}

#[tokio::test]
async fn no_other_row_has_these_members() {
    let mut app = TestApp::new().await;
    let numbers = app.offers("312", 3).await;
    let bought = app.purchase("owner", order_of_all(&numbers)).await.expect(200);
    let rows = bought.body["phone_numbers"].as_array().unwrap().clone();
    app.assign("owner", Method::PATCH, "", Some(json!({"id": rows[1]["id"], "status": "inactive"}))).await.expect(200);
    app.release("owner", release_of(&rows[2])).await.expect(200);
    // A pending row that predates the ledger has no known deadline.
    let leftover = app.insert(json!({"status": "pending"})).await;
    app.set("REQUEST_BUDGET_MS", "3000");
    let cancelled = app.purchase("owner", order_of(&regulated(&app).await)).await.expect(202).number().clone();
    app.release("owner", release_of(&cancelled)).await.expect(200);
    for row in rows.iter().chain([&leftover, &cancelled]) {
        for shown in shown(&app, &row["id"]).await {
            assert_eq!(requirements(&shown), None, "{shown}");
        }
    }
    assert!(rows.iter().all(|row| requirements(row).is_none()));
    // A number that was bought again is pending in its new row only.
    let number = cancelled["phone_number"].as_str().unwrap();
    let again = app.purchase("owner", order_of(number)).await.expect(202).number().clone();
    assert!(requirements(&again).is_some());
    let listed = app.list("member", "include_released=true").await.expect(200);
    for row in listed.body["phone_numbers"].as_array().unwrap() {
        assert_eq!(requirements(row).is_some(), row["id"] == again["id"], "{row}");
    }
    assert_eq!(again["agency_id"], json!(demo::DEMO.id));
}
