//! Findings about blocked purchases and releases: the operator's decisions, and when they close by themselves.

use serde_json::{Value, json};
use shared::store::{Adoption, Finding};

use crate::support::actions::{assigned, balance, by_hand, order_of, release_of, removed_by_hand, unsold};
use crate::support::app::TestApp;

/// The only open finding.
async fn only(app: &TestApp, kind: &str) -> Finding {
    let mut open = app.store().open_findings().await.unwrap();
    assert_eq!(open.iter().map(|finding| finding.observation.kind.as_str()).collect::<Vec<_>>(), [kind]);
    open.remove(0)
}

async fn adopt(app: &TestApp, finding: &Finding) -> Adoption {
    app.store().adopt_finding(finding.id, None, None).await.unwrap()
}

/// Replaces the account's key, without a witness that it is the same account.
async fn another_key(app: &mut TestApp) {
    app.telnyx_settings(json!({"accounts": {"default": ["KEYREPLACED"]}})).await;
    app.set("TELNYX_API_KEY", "KEYREPLACED");
}

/// A number whose order is pending: its row.
async fn ordered(app: &TestApp) -> Value {
    app.telnyx_settings(json!({"order_outcome": "never"})).await;
    app.purchase("owner", order_of(&unsold(app).await)).await.expect(202).number().clone()
}

#[tokio::test]
async fn an_operator_vouches_for_a_key_and_the_release_goes_on() {
    let mut app = TestApp::new().await;
    let row = assigned(&app).await;
    let order = app.purchase_of(&row["phone_number"]).await["telnyx_order_id"].as_str().unwrap().to_owned();
    removed_by_hand(&app, &format!("numbers/{}", row["phone_number"].as_str().unwrap())).await;
    removed_by_hand(&app, &format!("orders/{order}")).await;
    another_key(&mut app).await;
    app.release("owner", release_of(&row)).await.expect(207);
    app.reconcile().await;
    let finding = only(&app, "key_unproven").await;
    assert_eq!(app.now(&row).await["status"], "inactive");
    assert!(matches!(adopt(&app, &finding).await, Adoption::Vouched(_)));
    app.reconcile().await;
    assert_eq!(app.now(&row).await["status"], "released");
    assert!(app.store().open_findings().await.unwrap().is_empty());
    balance(&app).await;
}

#[tokio::test]
async fn an_operator_vouches_for_a_key_and_the_purchase_goes_on() {
    let mut app = TestApp::new().await;
    app.set("PURCHASE_ORDER_MISSING_AFTER_MS", "0");
    app.set("REQUEST_BUDGET_MS", "3000");
    let row = ordered(&app).await;
    let order = app.purchase_of(&row["phone_number"]).await["telnyx_order_id"].as_str().unwrap().to_owned();
    removed_by_hand(&app, &format!("orders/{order}")).await;
    another_key(&mut app).await;
    app.reconcile().await;
    let finding = only(&app, "key_unproven").await;
    assert_eq!(adopt(&app, &finding).await, Adoption::Vouched(1));
    for _ in 0..2 {
        app.reconcile().await;
    }
    let finding = only(&app, "order_missing").await;
    assert_eq!(adopt(&app, &finding).await, Adoption::GivenUp(1));
    let now = app.now(&row).await;
    assert_eq!((&now["status"], &now["is_active"]), (&json!("released"), &json!(false)));
    assert_eq!(app.history(&row).await.last().unwrap()["actor"], "operator");
    assert_eq!(app.purchase_of(&row["phone_number"]).await["phase"], "cancelled");
    app.reconcile().await;
    assert!(app.store().open_findings().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_operator_releases_a_row_from_before_the_ledger_that_nobody_can_prove_anything_about() {
    let app = TestApp::new().await;
    let row = app.insert(json!({"status": "pending", "created_at": "2025-12-24T12:00:00Z"})).await;
    app.reconcile().await;
    let finding = only(&app, "key_unproven").await;
    assert_eq!(adopt(&app, &finding).await, Adoption::GivenUp(1));
    assert_eq!(app.now(&row).await["status"], "released");
    assert_eq!(app.history(&row).await.last().unwrap()["actor"], "operator");
    app.reconcile().await;
    assert!(app.store().open_findings().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_operator_gives_up_a_purchase_whose_number_is_missing() {
    let mut app = TestApp::new().await;
    app.set("REQUEST_BUDGET_MS", "3000");
    let row = ordered(&app).await;
    // Its order succeeds, and its number is deleted before its id is found.
    crate::support::actions::decide(&app, "success").await;
    removed_by_hand(&app, &format!("numbers/{}", row["phone_number"].as_str().unwrap())).await;
    app.reconcile().await;
    app.execute("update phone_number_purchases set number_missed_at = now() - interval '1 hour'").await;
    app.reconcile().await;
    let finding = only(&app, "number_missing").await;
    assert_eq!(adopt(&app, &finding).await, Adoption::GivenUp(1));
    assert_eq!(adopt(&app, &finding).await, Adoption::NoSuchFinding);
    assert_eq!(app.now(&row).await["status"], "released");
    balance(&app).await;
}

#[tokio::test]
async fn a_missing_order_that_is_found_again_is_no_finding_any_more() {
    let mut app = TestApp::new().await;
    app.set("PURCHASE_ORDER_MISSING_AFTER_MS", "0");
    app.set("REQUEST_BUDGET_MS", "3000");
    ordered(&app).await;
    app.fault(json!({"method": "GET", "path_prefix": "/v2/number_orders/", "kind": "status", "status": 404, "times": 1_000})).await;
    app.fault(json!({"method": "GET", "path_prefix": "/v2/number_orders", "kind": "empty", "times": 1_000})).await;
    for _ in 0..2 {
        app.reconcile().await;
    }
    only(&app, "order_missing").await;
    crate::support::actions::clear_faults(&app).await;
    app.reconcile().await;
    assert!(app.store().open_findings().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_refused_release_is_a_finding_until_the_number_is_released() {
    let app = TestApp::new().await;
    let row = assigned(&app).await;
    by_hand(&app, &row["phone_number"], json!({"deletion_lock_enabled": true})).await;
    app.release("owner", release_of(&row)).await.expect(207);
    app.reconcile().await;
    let finding = only(&app, "release_refused").await;
    assert_eq!(adopt(&app, &finding).await, Adoption::NothingToDo);
    by_hand(&app, &row["phone_number"], json!({"deletion_lock_enabled": false})).await;
    app.release("owner", release_of(&row)).await.expect(200);
    app.reconcile().await;
    assert!(app.store().open_findings().await.unwrap().is_empty());
    balance(&app).await;
}
