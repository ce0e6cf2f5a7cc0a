//! A database belongs to one deployment: functions on a copy of it change nothing at Telnyx, whatever their key.

use dev::demo;
use dev::migrations;
use lambda_http::http::Method;
use phone_numbers_migrate::deployment;
use serde_json::{Value, json};

use crate::support::actions::{assigned, balance, order_of, release_of, telnyx, unsold};
use crate::support::app::TestApp;

/// The write requests to Telnyx.
fn writes(app: &TestApp) -> usize {
    app.telnyx.exchanges().iter().filter(|exchange| exchange.method != "GET").count()
}

/// Makes the database a copy that belongs to another deployment.
async fn renamed(app: &mut TestApp) {
    let client = app.database.connect().await.unwrap();
    assert_eq!(deployment::rename(&client, "staging").await.unwrap(), migrations::DEPLOYMENT);
    app.set("DEPLOYMENT", "staging");
}

/// Asserts that buying, releasing and cancelling change nothing at Telnyx.
async fn nothing_is_written(app: &TestApp, live: &Value, pending: &Value) {
    let before = writes(app);
    let number = unsold(app).await;
    let refused = app.purchase("owner", order_of(&number)).await.expect_problem(503, "unavailable");
    assert_eq!(refused.body["retryable"], true);
    for row in [live, pending] {
        let failed = app.release("owner", release_of(row)).await.expect(207).body["failed"][0].clone();
        assert_eq!(failed["problem"]["code"], "unavailable", "{failed:#}");
        assert_eq!(app.now(row).await["status"], row["status"]);
    }
    assert!(!app.rows().await.iter().any(|row| row["phone_number"] == json!(number)), "nothing is begun that cannot go on");
    let rows = app.rows().await;
    app.reconcile().await;
    assert_eq!((writes(app), app.rows().await, app.findings().await), (before, rows, Vec::new()));
}

/// A live number, and one whose order is pending.
async fn numbers(app: &mut TestApp) -> (Value, Value) {
    let live = assigned(app).await;
    app.telnyx_settings(json!({"order_outcome": "never"})).await;
    let number = unsold(app).await;
    let pending = app.pending_purchase(order_of(&number)).await.number().clone();
    (app.now(&live).await, app.now(&pending).await)
}

#[tokio::test]
async fn without_a_name_of_its_own_nothing_is_written_at_telnyx() {
    for name in ["", "another"] {
        let mut app = TestApp::new().await;
        let (live, pending) = numbers(&mut app).await;
        app.set("DEPLOYMENT", name);
        nothing_is_written(&app, &live, &pending).await;
    }
}

#[tokio::test]
async fn a_database_without_a_name_buys_nothing() {
    let mut app = TestApp::new().await;
    let (live, pending) = numbers(&mut app).await;
    app.execute("delete from phone_number_deployment").await;
    nothing_is_written(&app, &live, &pending).await;
}

#[tokio::test]
async fn what_older_rows_stand_for_is_never_written_by_the_copy() {
    let mut app = TestApp::new().await;
    let (live, pending) = numbers(&mut app).await;
    // Also a row that predates the ledger.
    let old = app.insert(json!({"created_at": "2025-12-24T12:00:00Z", "phone_number_id": "7"})).await;
    renamed(&mut app).await;
    let before = writes(&app);
    for row in [&live, &pending, &old] {
        let failed = app.release("owner", release_of(row)).await.expect(207).body["failed"][0].clone();
        assert_eq!(failed["problem"]["code"], "unavailable", "{failed:#}");
        assert_eq!(&app.now(row).await, row);
    }
    for _ in 0..3 {
        app.reconcile().await;
    }
    assert_eq!((writes(&app), app.findings().await), (before, Vec::new()));
    for row in [&live, &pending, &old] {
        assert_eq!(&app.now(row).await, row);
    }
    // It can release what it bought itself.
    app.telnyx_settings(json!({"order_outcome": "success"})).await;
    let own = assigned(&app).await;
    let purchase = app.purchase_of(&own["phone_number"]).await;
    assert!(purchase["telnyx_reference"].as_str().unwrap().starts_with("pn:staging:"), "{purchase:#}");
    app.release("owner", release_of(&own)).await.expect(200);
}

#[tokio::test]
async fn another_deployments_numbers_are_passed_over_in_silence() {
    let app = TestApp::new().await;
    let number = json!(unsold(&app).await);
    let reference = format!("pn:production:{}:{}", demo::DEMO.id, uuid::Uuid::new_v4());
    crate::reconcile::reconcile_inventory::appear(&app, &number, &reference).await;
    for _ in 0..3 {
        app.reconcile().await;
    }
    assert!(app.rows().await.is_empty() && app.findings().await.is_empty());
}

#[tokio::test]
async fn the_old_form_of_a_reference_counts_where_the_ledger_knows_the_purchase() {
    let app = TestApp::new().await;
    let row = assigned(&app).await;
    let purchase = app.purchase_of(&row["phone_number"]).await;
    let old_form = format!("pn:{}:{}", demo::DEMO.id, purchase["id"].as_str().unwrap());
    app.execute(&format!("update phone_number_purchases set telnyx_reference = '{old_form}'")).await;
    let order = format!("/number_orders/{}", purchase["telnyx_order_id"].as_str().unwrap());
    telnyx(&app, app.telnyx.api_key(), Method::PATCH, &order, Some(json!({"customer_reference": old_form}))).await;
    crate::support::actions::by_hand(&app, &row["phone_number"], json!({"customer_reference": old_form})).await;
    app.execute("delete from agency_phone_numbers").await;
    app.reconcile().await;
    assert_eq!(app.rows().await[0]["status"], "active");
    balance(&app).await;

    let unknown = json!(unsold(&app).await);
    crate::reconcile::reconcile_inventory::appear(&app, &unknown, &format!("pn:{}:{}", demo::DEMO.id, uuid::Uuid::new_v4())).await;
    app.reconcile().await;
    assert_eq!((app.rows().await.len(), app.findings().await.len()), (1, 1), "nothing shows which deployment bought it");
}

#[tokio::test]
async fn the_migrations_name_a_database_once_and_refuse_another_name() {
    let app = TestApp::new().await;
    assert_eq!(app.ledger().await.len(), 0);
    let error = migrations::run(app.database.url(), Some("another")).await.unwrap_err().to_string();
    assert!(error.contains("belongs to the deployment dev"), "{error}");
    migrations::run(app.database.url(), Some(migrations::DEPLOYMENT)).await.unwrap();
    app.execute("delete from phone_number_deployment").await;
    assigned_before_names(&app).await;
    migrations::run(app.database.url(), Some("first")).await.unwrap();
    assert_eq!(app.ledger().await[0]["deployment"], "first", "what was there before belongs to the first name");
    for wrong in ["", "a b", "-a", "a:b"] {
        let client = app.database.connect().await.unwrap();
        assert!(deployment::rename(&client, wrong).await.is_err(), "{wrong}");
    }
}

/// A purchase that predates names of deployments.
async fn assigned_before_names(app: &TestApp) {
    let row = app.insert(json!({})).await;
    let sql = "insert into phone_number_purchases
          (order_id, agency_id, agency_phone_number_id, phone_number, telnyx_account, telnyx_reference, caller_id, phase,
           telnyx_order_id, telnyx_phone_number_id, completed_at, order_attempts)
        select n.id, n.agency_id, n.id, n.phone_number, 'platform', 'first', n.id, 'completed', 'o', '7', now(), 1
        from agency_phone_numbers n
        where n.id = $1::text::uuid";
    app.sql.execute(sql, &[&row["id"].as_str().unwrap()]).await.unwrap();
}
