//! A locked row and a slow statement affect only that row, not the run.

use dev::demo;
use lambda_http::Context;
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::money::release_failures;
use crate::reconcile::leases_run_out;
use crate::reconcile::reconcile_inventory::{bought, found, vanish};
use crate::support::accounts::{keep_own_key, own_account, two_accounts};
use crate::support::actions::{assigned, balance, ordered_by_somebody_else};
use crate::support::app::{TestApp, eventually};

const NUMBERS: &str = "/v2/phone_numbers";

/// An app that waits for a lock for at most half a second.
async fn app() -> TestApp {
    let mut app = TestApp::new().await;
    app.set("DATABASE_TIMEOUT_MS", "800");
    app.set("LEASE_MS", "150");
    app
}

/// Locks the rows of a query until the client is dropped.
async fn lock(app: &TestApp, query: &str) -> Client {
    let elsewhere = app.database.connect().await.unwrap();
    elsewhere.batch_execute(&format!("begin; {query} for update")).await.unwrap();
    elsewhere
}

/// Releases the locks.
async fn unlock(client: Client) {
    client.batch_execute("rollback").await.unwrap();
}

/// The end of the last whole walk.
async fn compared(app: &TestApp) -> Value {
    app.walks().await.first().map(|walk| walk["finished_at"].clone()).unwrap_or_default()
}

#[tokio::test]
async fn a_locked_row_is_left_out_and_the_others_of_its_account_are_compared() {
    let app = app().await;
    let rows = bought(&app, 3).await;
    app.execute("update agency_phone_numbers set phone_number_id = '7'").await;
    let locked = lock(&app, &format!("select from agency_phone_numbers where id = '{}'", rows[1]["id"].as_str().unwrap())).await;
    app.reconcile().await;
    let right = async || {
        let rows = app.rows().await;
        rows.iter().filter(|row| row["phone_number_id"] != "7").count()
    };
    assert_eq!(right().await, 2);
    assert!(compared(&app).await.is_string());
    unlock(locked).await;
    app.reconcile().await;
    assert_eq!(right().await, 3);
    balance(&app).await;
}

#[tokio::test]
async fn a_locked_purchase_is_left_out_and_the_others_are_finished() {
    let app = app().await;
    let rows = bought(&app, 3).await;
    let forget = "\
update phone_number_purchases set phase = 'ordered', completed_at = null, telnyx_phone_number_id = null;
update agency_phone_numbers set status = 'pending', phone_number_id = null, purchased_at = null;";
    app.execute(forget).await;
    let of_row = format!("select from phone_number_purchases where agency_phone_number_id = '{}'", rows[0]["id"].as_str().unwrap());
    let locked = lock(&app, &of_row).await;
    app.reconcile().await;
    let active = async || app.rows().await.iter().filter(|row| row["status"] == "active").count();
    assert_eq!(active().await, 2);
    assert!(compared(&app).await.is_string(), "and the accounts are compared");
    unlock(locked).await;
    app.reconcile().await;
    assert_eq!(active().await, 3);
    balance(&app).await;
}

#[tokio::test]
async fn a_locked_release_is_left_out_and_the_others_are_finished() {
    let app = app().await;
    let rows = [assigned(&app).await, assigned(&app).await];
    for row in &rows {
        app.fault(json!({"method": "DELETE", "path_prefix": NUMBERS, "kind": "delay", "delay_ms": 30_000})).await;
        let deletions = app.asked("DELETE", NUMBERS);
        release_failures::dies(&app, row, async || app.asked("DELETE", NUMBERS) > deletions).await;
    }
    leases_run_out(&app).await;
    let of_row = format!("select from phone_number_releases where agency_phone_number_id = '{}'", rows[0]["id"].as_str().unwrap());
    let locked = lock(&app, &of_row).await;
    app.reconcile().await;
    assert_eq!((&app.now(&rows[0]).await["status"], &app.now(&rows[1]).await["status"]), (&json!("inactive"), &json!("released")));
    assert!(compared(&app).await.is_string());
    unlock(locked).await;
    app.reconcile().await;
    assert_eq!(app.now(&rows[0]).await["status"], "released");
    balance(&app).await;
}

#[tokio::test]
async fn a_locked_walk_is_left_out_and_the_other_accounts_are_compared() {
    let (mut app, secrets_manager) = two_accounts().await;
    app.set("DATABASE_TIMEOUT_MS", "800");
    app.set("LEASE_MS", "150");
    bought(&app, 1).await;
    keep_own_key(&secrets_manager);
    let own = own_account();
    bought(&app, 1).await;
    app.reconcile().await;
    let before = app.walks().await;
    assert_eq!(before.len(), 2);
    let locked = lock(&app, &format!("select from phone_number_inventory_walks where telnyx_account = '{own}'")).await;
    app.reconcile().await;
    let after = app.walks().await;
    let ended =
        |walks: &[Value], account: &str| walks.iter().find(|walk| walk["telnyx_account"] == account).unwrap()["finished_at"].clone();
    assert_eq!(ended(&after, &own), ended(&before, &own));
    assert_ne!(ended(&after, "platform"), ended(&before, "platform"));
    unlock(locked).await;
    // Behind a pooler, the statement that was given up may still take the lease.
    eventually(async || {
        app.reconcile().await;
        (ended(&app.walks().await, &own) != ended(&before, &own)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_walk_that_is_locked_half_way_is_continued_where_it_was() {
    let app = app().await;
    app.telnyx_settings(json!({"largest_page": 2})).await;
    bought(&app, 3).await;
    app.fault(json!({"method": "GET", "path_prefix": NUMBERS, "kind": "delay", "times": 1})).await;
    app.fault(json!({"method": "GET", "path_prefix": NUMBERS, "kind": "status", "status": 500})).await;
    app.reconcile().await;
    let begun = app.walks().await.remove(0);
    assert_eq!(begun["next_page"], 2);
    let locked = lock(&app, "select from phone_number_inventory_walks").await;
    app.reconcile().await;
    assert_eq!(app.walks().await[0]["next_page"], 2);
    unlock(locked).await;
    app.reconcile().await;
    let ended = app.walks().await.remove(0);
    assert_eq!((&ended["started_at"], ended["finished_at"].is_string()), (&begun["started_at"], true));
}

#[tokio::test]
async fn a_locked_finding_is_left_out_and_the_others_are_seen_again_and_closed() {
    let app = app().await;
    let rows = bought(&app, 3).await;
    ordered_by_somebody_else(&app, &app.offers("415", 1).await[0]).await;
    app.execute(&format!("delete from agencies where id = '{}'", demo::DEMO.id)).await;
    app.reconcile().await;
    let before = app.findings().await;
    assert_eq!(before.len(), 4);
    let number = &rows[0]["phone_number"];
    let of_number = format!("select from phone_number_findings where phone_number = '{}'", number.as_str().unwrap());
    let locked = lock(&app, &of_number).await;
    app.reconcile().await;
    for (before, after) in before.iter().zip(&app.findings().await) {
        assert_eq!(before["last_seen_at"] == after["last_seen_at"], before["phone_number"] == *number, "{after:#}");
    }
    // Others are closed nevertheless.
    for row in &rows[..2] {
        vanish(&app, &row["phone_number"]).await;
    }
    for _ in 0..2 {
        app.reconcile().await;
    }
    let state = async |number: &Value| found(&app).await.into_iter().find(|[_, found, _]| found == number).unwrap()[2].clone();
    assert_eq!((state(number).await, state(&rows[1]["phone_number"]).await), (json!("open"), json!("gone")));
    unlock(locked).await;
    app.reconcile().await;
    assert_eq!(state(number).await, "gone");
}

#[tokio::test]
async fn a_row_that_predates_the_ledger_and_is_locked_is_left_out() {
    let app = app().await;
    bought(&app, 1).await;
    let old = async || app.insert(json!({"status": "pending", "created_at": "2025-12-24T12:00:00Z"})).await;
    let rows = [old().await, old().await];
    let locked = lock(&app, &format!("select from agency_phone_numbers where id = '{}'", rows[0]["id"].as_str().unwrap())).await;
    app.reconcile().await;
    assert_eq!((&app.now(&rows[0]).await["status"], &app.now(&rows[1]).await["status"]), (&json!("pending"), &json!("released")));
    unlock(locked).await;
    app.reconcile().await;
    assert_eq!(app.now(&rows[0]).await["status"], "released");
}

#[tokio::test]
async fn a_statement_that_takes_too_long_concerns_its_row() {
    let app = app().await;
    let rows = bought(&app, 2).await;
    app.execute("update agency_phone_numbers set phone_number_id = '7'").await;
    let slow = format!(
        "create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(30); return new; end $$;
         create trigger slow before update on agency_phone_numbers for each row when (new.id = '{}') execute function slow();",
        rows[0]["id"].as_str().unwrap()
    );
    app.execute(&slow).await;
    app.reconcile().await;
    assert_eq!(app.now(&rows[0]).await["phone_number_id"], "7");
    assert_eq!(app.now(&rows[1]).await["phone_number_id"], rows[1]["phone_number_id"]);
    assert!(compared(&app).await.is_string());
}

#[tokio::test]
async fn a_table_that_is_locked_as_a_whole_ends_no_run_and_a_database_that_is_gone_does() {
    let mut app = app().await;
    let row = bought(&app, 1).await.remove(0);
    let elsewhere = app.database.connect().await.unwrap();
    elsewhere.batch_execute("begin; lock table phone_number_findings in access exclusive mode").await.unwrap();
    app.execute("delete from agency_phone_numbers").await;
    app.reconcile().await;
    let again = app.rows().await.remove(0);
    assert_eq!((&again["phone_number"], &again["status"]), (&row["phone_number"], &json!("active")), "what can be done is done");
    unlock(elsewhere).await;
    let proxy = app.with_fault_proxy().await;
    let reconciler = app.reconciler();
    proxy.refuse_connections();
    assert!(reconciler.run(&Context::default()).await.is_err());
    proxy.accept_connections();
    reconciler.run(&Context::default()).await.unwrap();
}
