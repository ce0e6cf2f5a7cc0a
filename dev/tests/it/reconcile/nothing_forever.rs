//! Nothing is pending forever: an intent without an order, an order or a number that no longer exists, documents that never
//! arrive, a deleted agency.

use dev::demo;
use lambda_http::http::Method;
use serde_json::{Value, json};

use crate::support::actions::{assigned, balance, clear_faults, only_finding, order_of, orders_sent, release_of, removed_by_hand, unsold};
use crate::support::app::TestApp;

const ORDERS: &str = "/v2/number_orders";
const CANCELLATIONS: &str = "/v2/sub_number_orders";

/// An app with a short request budget.
async fn app() -> TestApp {
    let mut app = TestApp::new().await;
    app.set("REQUEST_BUDGET_MS", "3000");
    app
}

/// A number whose order is pending: its row.
async fn ordered(app: &TestApp) -> Value {
    app.telnyx_settings(json!({"order_outcome": "never"})).await;
    let number = unsold(app).await;
    app.purchase("owner", order_of(&number)).await.expect(202).number().clone()
}

/// The id of the only order of the ledger.
async fn order_id(app: &TestApp) -> String {
    app.ledger().await[0]["telnyx_order_id"].as_str().unwrap().to_owned()
}

/// Moves the start of all work into the past.
async fn pass(app: &TestApp, time: &str) {
    let back = format!(
        "update phone_number_purchases
         set created_at = created_at - interval '{time}',
             order_missed_at = order_missed_at - interval '{time}',
             number_missed_at = number_missed_at - interval '{time}',
             requirements_deadline = requirements_deadline - interval '{time}'"
    );
    app.execute(&back).await;
}

/// An intent whose request ended before anything was ordered.
async fn parked(app: &mut TestApp) -> Value {
    let (number, sent) = (unsold(app).await, orders_sent(app));
    // With too little time left for an order.
    app.set("REQUEST_BUDGET_MS", "1900");
    let row = app.purchase("owner", order_of(&number)).await.expect(202).number().clone();
    app.set("REQUEST_BUDGET_MS", "3000");
    assert_eq!(orders_sent(app), sent);
    row
}

#[tokio::test]
async fn an_intent_that_was_never_ordered_expires_without_a_key_and_is_kept_in_the_history() {
    let mut app = app().await;
    let row = parked(&mut app).await;
    pass(&app, "11 minutes").await;
    let key = app.telnyx.api_key().to_owned();
    app.set("TELNYX_API_KEY", "");
    app.reconcile().await;
    assert!(app.rows().await.is_empty());
    assert_eq!((orders_sent(&app), app.ledger().await[0]["failure_code"].clone()), (0, json!("purchase_expired")));
    assert_eq!(app.history(&row).await[0]["event"], "expired");
    app.set("TELNYX_API_KEY", &key);
    // A repeated request buys it like any other.
    app.purchase("owner", order_of(row["phone_number"].as_str().unwrap())).await.expect(200);
    balance(&app).await;
}

#[tokio::test]
async fn a_request_for_an_expired_intent_is_told_so_and_can_be_repeated() {
    let mut app = app().await;
    let row = parked(&mut app).await;
    pass(&app, "11 minutes").await;
    let order = order_of(row["phone_number"].as_str().unwrap());
    app.purchase("owner", order.clone()).await.expect_problem(409, "purchase_expired");
    assert_eq!(orders_sent(&app), 0);
    app.purchase("owner", order).await.expect(200);
}

#[tokio::test]
async fn an_intent_within_its_time_is_bought_by_the_schedule() {
    let mut app = app().await;
    let row = parked(&mut app).await;
    pass(&app, "9 minutes").await;
    app.reconcile().await;
    app.reconcile().await;
    assert_eq!(app.now(&row).await["status"], "active");
    app.set("PURCHASE_EXPIRES_AFTER_MS", "1000");
    let row = parked(&mut app).await;
    pass(&app, "1 second").await;
    app.reconcile().await;
    assert!(!app.rows().await.iter().any(|now| now["id"] == row["id"]), "the time is a setting");
}

#[tokio::test]
async fn an_intent_that_was_attempted_expires_only_on_proof_that_no_order_exists() {
    let mut app = app().await;
    let number = unsold(&app).await;
    app.fault(json!({"method": "POST", "path_prefix": ORDERS, "kind": "drop_before", "times": 1_000})).await;
    app.purchase("owner", order_of(&number)).await.expect(202);
    assert!(orders_sent(&app) >= 1);
    app.execute("update phone_number_purchases set phase = 'intended'").await;
    pass(&app, "11 minutes").await;
    clear_faults(&app).await;
    let sent = orders_sent(&app);
    app.telnyx_settings(json!({"accounts": {"another": "KEYANOTHER"}})).await;
    let key = app.telnyx.api_key().to_owned();
    app.set("TELNYX_API_KEY", "KEYANOTHER");
    app.reconcile().await;
    assert_eq!(app.ledger().await[0]["phase"], "intended", "another account proves nothing");
    app.set("TELNYX_API_KEY", &key);
    app.reconcile().await;
    assert_eq!((orders_sent(&app), app.ledger().await[0]["failure_code"].clone()), (sent, json!("purchase_expired")));
    balance(&app).await;
}

#[tokio::test]
async fn an_intent_that_was_attempted_and_ordered_is_bought_however_old_it_is() {
    let app = app().await;
    let number = unsold(&app).await;
    app.fault(json!({"method": "POST", "path_prefix": ORDERS, "kind": "drop_after"})).await;
    app.fault(json!({"method": "GET", "path_prefix": ORDERS, "kind": "status", "status": 500, "times": 1_000})).await;
    app.purchase("owner", order_of(&number)).await.expect(202);
    clear_faults(&app).await;
    app.execute("update phone_number_purchases set phase = 'intended'").await;
    pass(&app, "30 days").await;
    app.reconcile().await;
    assert_eq!((orders_sent(&app), app.rows().await[0]["status"].clone()), (1, json!("active")));
    balance(&app).await;
}

#[tokio::test]
async fn an_order_that_nobody_knows_any_more_is_a_finding_that_the_agency_can_settle() {
    let app = app().await;
    let row = ordered(&app).await;
    removed_by_hand(&app, &format!("orders/{}", order_id(&app).await)).await;
    removed_by_hand(&app, &format!("numbers/{}", row["phone_number"].as_str().unwrap())).await;
    app.reconcile().await;
    assert!(app.findings().await.is_empty(), "one look is not enough");
    app.release("owner", release_of(&row)).await.expect(207);
    pass(&app, "1 minute").await;
    app.reconcile().await;
    assert_eq!(only_finding(&app).await, ("order_missing".to_owned(), "platform".to_owned(), row["phone_number"].clone()));
    app.release("owner", release_of(&row)).await.expect(200);
    assert_eq!((app.now(&row).await["status"].clone(), app.ledger().await[0]["phase"].clone()), (json!("released"), json!("cancelled")));
    // The number can be bought again.
    app.telnyx_settings(json!({"order_outcome": "success"})).await;
    app.purchase("owner", order_of(row["phone_number"].as_str().unwrap())).await.expect(200);
    balance(&app).await;
}

#[tokio::test]
async fn a_success_whose_number_was_deleted_is_a_finding_that_the_agency_can_settle() {
    let app = app().await;
    let row = ordered(&app).await;
    removed_by_hand(&app, &format!("numbers/{}", row["phone_number"].as_str().unwrap())).await;
    app.telnyx_settings(json!({"order_outcome": "success"})).await;
    app.reconcile().await;
    assert!(app.findings().await.is_empty(), "a number may be a little later than its order");
    app.release("owner", release_of(&row)).await.expect(207);
    pass(&app, "30 seconds").await;
    app.reconcile().await;
    assert_eq!(only_finding(&app).await.0, "number_missing");
    app.release("owner", release_of(&row)).await.expect(200);
    assert_eq!(app.ledger().await[0]["phase"], "cancelled");
    app.purchase("owner", order_of(row["phone_number"].as_str().unwrap())).await.expect(200);
    balance(&app).await;
}

/// A German number whose order waits for documents: its row.
async fn regulated(app: &TestApp) -> Value {
    let found = app.search("owner", "country_code=DE&limit=1").await.expect(200);
    let number = found.number()["phone_number"].as_str().unwrap().to_owned();
    app.purchase("owner", order_of(&number)).await.expect(202).number().clone()
}

#[tokio::test]
async fn an_order_whose_documents_are_overdue_is_cancelled_at_telnyx() {
    let app = app().await;
    let row = regulated(&app).await;
    pass(&app, "9 days").await;
    app.reconcile().await;
    assert_eq!(app.now(&row).await["status"], "pending", "there is a day left");
    pass(&app, "2 days").await;
    app.reconcile().await;
    assert!(app.rows().await.is_empty());
    assert_eq!(app.ledger().await[0]["failure_code"], "number_unavailable");
    assert_eq!((app.asked("PATCH", CANCELLATIONS), app.billed().await.len()), (1, 0));
    balance(&app).await;
}

#[tokio::test]
async fn an_order_that_cannot_be_cancelled_is_not_given_up() {
    let app = app().await;
    let row = regulated(&app).await;
    pass(&app, "11 days").await;
    app.fault(json!({"method": "PATCH", "path_prefix": CANCELLATIONS, "kind": "status", "status": 422, "times": 1_000})).await;
    app.reconcile().await;
    assert_eq!((app.now(&row).await["status"].clone(), app.ledger().await[0]["phase"].clone()), (json!("pending"), json!("ordered")));
    clear_faults(&app).await;
    app.reconcile().await;
    assert!(app.rows().await.is_empty());
}

#[tokio::test]
async fn a_purchase_is_cancelled_only_when_each_of_its_orders_is() {
    let app = app().await;
    let row = ordered(&app).await;
    // An earlier order with the same reference, which once counted as missing, is still pending.
    let purchase = app.purchase_of(&row["phone_number"]).await;
    let other = unsold(&app).await;
    let state = app.telnyx_state().await;
    assert_eq!(state["orders"].as_array().unwrap().len(), 1);
    let earlier = json!({"phone_numbers": [{"phone_number": other}], "customer_reference": purchase["telnyx_reference"]});
    crate::support::actions::telnyx(&app, app.telnyx.api_key(), lambda_http::http::Method::POST, "/number_orders", Some(earlier)).await;
    // Every list shows that order as one for the same number.
    let patch = json!({"/data/0/phone_numbers/0/phone_number": row["phone_number"]});
    app.fault(json!({"method": "GET", "path_prefix": ORDERS, "kind": "patched", "patch": patch, "times": 1_000})).await;
    app.release("owner", release_of(&row)).await.expect(200);
    let orders = app.telnyx_state().await["orders"].clone();
    assert!(orders.as_array().unwrap().iter().all(|order| order["status"] == "failure"), "{orders:#}");
    clear_faults(&app).await;
}

#[tokio::test]
async fn an_order_of_an_agency_that_was_deleted_is_cancelled_while_that_is_free() {
    let app = app().await;
    regulated(&app).await;
    app.execute(&format!("delete from agencies where id = '{}'", demo::DEMO.id)).await;
    app.reconcile().await;
    assert_eq!((app.asked("PATCH", CANCELLATIONS), app.billed().await.len()), (1, 0));
    assert_eq!(app.ledger().await[0]["phase"], "failed");
    assert!(app.findings().await.is_empty());
}

#[tokio::test]
async fn a_deleted_agencys_number_that_is_not_available_is_reported_at_once() {
    let app = app().await;
    let row = regulated(&app).await;
    app.execute(&format!("delete from agencies where id = '{}'", demo::DEMO.id)).await;
    crate::support::actions::decide(&app, "success").await;
    app.reconcile().await;
    assert_eq!(app.ledger().await[0]["phase"], "completed");
    assert_eq!(only_finding(&app).await, ("agency_gone".to_owned(), "platform".to_owned(), row["phone_number"].clone()));
}

#[tokio::test]
async fn a_success_that_names_another_number_is_not_ours() {
    let app = app().await;
    let row = ordered(&app).await;
    app.telnyx_settings(json!({"order_outcome": "success"})).await;
    let patch = json!({"/data/phone_numbers/0/phone_number": "+13125550100"});
    let list = json!({"/data/0/phone_numbers/0/phone_number": "+13125550100"});
    app.fault(json!({"method": "GET", "path_prefix": format!("{ORDERS}/"), "kind": "patched", "patch": patch, "times": 1})).await;
    app.fault(json!({"method": "GET", "path_prefix": ORDERS, "kind": "patched", "patch": list, "times": 1})).await;
    app.reconcile().await;
    assert_eq!(app.now(&row).await["status"], "pending");
    clear_faults(&app).await;
    app.reconcile().await;
    assert_eq!(app.now(&row).await["status"], "active");
    balance(&app).await;
}

#[tokio::test]
async fn everything_holds_where_telnyx_copies_no_reference_onto_numbers() {
    let app = app().await;
    app.telnyx_settings(json!({"references_on_numbers": false})).await;
    let row = assigned(&app).await;
    let owned = app.telnyx_state().await["numbers"][0].clone();
    assert!(owned["customer_reference"].is_null());
    app.reconcile().await;
    assert!(app.findings().await.is_empty());
    // A lost answer is found by the order's own reference.
    app.fault(json!({"method": "POST", "path_prefix": ORDERS, "kind": "drop_after"})).await;
    let other = assigned(&app).await;
    assert_eq!(orders_sent(&app), 2);
    for row in [row, other] {
        app.release("owner", release_of(&row)).await.expect(200);
    }
    assert!(app.billed().await.is_empty());
    balance(&app).await;
}

#[tokio::test]
async fn the_archive_gives_back_what_it_took_though_the_table_has_grown_since() {
    let app = app().await;
    let old = crate::money::bought_again::given_back(&app, "owner").await;
    app.telnyx_settings(json!({"order_outcome": "never"})).await;
    let number = old["phone_number"].as_str().unwrap();
    app.purchase("owner", order_of(number)).await.expect(202);
    assert_eq!(app.archive().await.len(), 1);
    app.execute("alter table agency_phone_numbers add column label text default 'none' not null").await;
    crate::support::actions::decide(&app, "failure").await;
    app.purchase("owner", order_of(number)).await.expect_problem(409, "number_unavailable");
    let back = app.rows().await.remove(0);
    assert_eq!((&back["id"], &back["status"], &back["label"]), (&old["id"], &json!("released"), &json!("none")));
    assert!(app.archive().await.is_empty());
}

/// A number that a walk has deactivated, as Telnyx does not have it: its row.
async fn switched_off(app: &TestApp) -> Value {
    let row = assigned(app).await;
    removed_by_hand(app, &format!("numbers/{}", row["phone_number"].as_str().unwrap())).await;
    for _ in 0..2 {
        app.reconcile().await;
    }
    assert_eq!(app.now(&row).await["status"], "inactive");
    row
}

#[tokio::test]
async fn a_number_that_was_switched_off_and_is_gone_is_bought_anew() {
    let app = TestApp::new().await;
    let old = switched_off(&app).await;
    let bought = app.purchase("owner", order_of(old["phone_number"].as_str().unwrap())).await.expect(200);
    assert_ne!(bought.number()["id"], old["id"]);
    assert_eq!((bought.header("idempotent-replayed"), orders_sent(&app)), ("", 2));
    let query = format!("id={}&include_history=true", old["id"].as_str().unwrap());
    let shown = app.assign("owner", lambda_http::http::Method::GET, &query, None).await.expect(200);
    assert_eq!(shown.body["phone_number"]["status"], "released");
    let reasons: Vec<_> = shown.body["history"].as_array().unwrap().iter().filter(|entry| entry["actor"] == "reconcile").collect();
    assert!(
        reasons.iter().any(|entry| entry["changes"]["number_at_telnyx"]["to"].is_null() && !entry["changes"]["number_at_telnyx"].is_null())
    );
    balance(&app).await;
}

#[tokio::test]
async fn a_number_that_was_switched_off_and_is_not_on_offer_is_refused_in_truth() {
    let app = TestApp::new().await;
    let old = switched_off(&app).await;
    // Another customer of Telnyx has it now.
    app.telnyx_settings(json!({"accounts": {"another": "KEYANOTHER"}, "hold_ms": 0})).await;
    removed_hold(&app, &old["phone_number"]).await;
    app.purchase("owner", order_of(old["phone_number"].as_str().unwrap())).await.expect_problem(409, "number_unavailable");
    assert_eq!(app.now(&old).await["status"], "released");
}

/// Orders a number in another account.
async fn removed_hold(app: &TestApp, number: &Value) {
    let number = number.as_str().unwrap();
    app.telnyx_settings(json!({"clock": "manual"})).await;
    app.control(Method::POST, "/clock", Some(json!({"advance_ms": 2_000_000_000_u64}))).await;
    app.telnyx_settings(json!({"clock": "auto"})).await;
    let search = format!("/available_phone_numbers?filter[country_code]=US&filter[phone_number][starts_with]={}", &number[2..]);
    crate::support::actions::telnyx(app, "KEYANOTHER", Method::GET, &search, None).await;
    let order = json!({"phone_numbers": [{"phone_number": number}], "customer_reference": dev::invariants::FOREIGN_REFERENCE});
    crate::support::actions::telnyx(app, "KEYANOTHER", lambda_http::http::Method::POST, "/number_orders", Some(order)).await;
}

#[tokio::test]
async fn a_number_that_was_switched_off_and_is_back_is_the_agencys_without_an_order() {
    let app = TestApp::new().await;
    let old = switched_off(&app).await;
    crate::reconcile::reconcile_inventory::come_back(&app, &old["phone_number"]).await;
    let again = app.purchase("owner", order_of(old["phone_number"].as_str().unwrap())).await.expect(200);
    assert_eq!((&again.number()["id"], &again.number()["status"]), (&old["id"], &json!("active")));
    balance(&app).await;
}
