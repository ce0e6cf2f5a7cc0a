//! Findings close by proof, not because one comparison did not show them.

use dev::demo;
use dev::secrets_manager::SecretsManager;
use lambda_http::http::Method;
use serde_json::{Value, json};

use crate::boundary::secrets::{PLATFORM, secrets_manager};
use crate::reconcile::reconcile_inventory::{bought, found, vanish};
use crate::support::actions::{assigned, clear_faults, ordered_by_somebody_else, release_of, telnyx};
use crate::support::app::TestApp;

const NUMBERS: &str = "/v2/phone_numbers";

/// Findings of three kinds about three numbers: without a row, of a deleted agency, and a stranger.
async fn findings(app: &TestApp) -> Vec<Value> {
    let rows = bought(app, 2).await;
    ordered_by_somebody_else(app, &app.offers("415", 1).await[0]).await;
    app.execute(&format!("delete from agencies where id = '{}'", demo::DEMO.id)).await;
    app.reconcile().await;
    assert_eq!(app.store().open_findings().await.unwrap().len(), 3);
    rows
}

/// The ids and states of all findings, and since when they are known.
async fn states(app: &TestApp) -> Vec<[Value; 3]> {
    app.findings().await.iter().map(|finding| ["id", "state", "first_seen_at"].map(|name| finding[name].clone())).collect()
}

async fn open(app: &TestApp) -> usize {
    app.store().open_findings().await.unwrap().len()
}

/// The next reads of the inventory show nothing.
async fn empty_pages(app: &TestApp, count: usize) {
    app.fault(json!({"method": "GET", "path_prefix": NUMBERS, "kind": "empty", "times": count})).await;
}

#[tokio::test]
async fn empty_pages_close_no_finding_and_make_none_new() {
    let app = TestApp::new().await;
    findings(&app).await;
    let before = states(&app).await;
    for empty in [1, 0, 3] {
        for _ in 0..empty {
            empty_pages(&app, 1).await;
            app.reconcile().await;
            // They are found by id.
            assert_eq!(states(&app).await, before);
        }
        app.reconcile().await;
        assert_eq!(states(&app).await, before);
    }
    assert_eq!(app.strangers().await.len(), 1);
}

#[tokio::test]
async fn a_number_that_is_gone_ends_its_finding_after_two_walks_and_a_look_by_its_id() {
    let app = TestApp::new().await;
    let rows = findings(&app).await;
    vanish(&app, &rows[0]["phone_number"]).await;
    app.reconcile().await;
    assert_eq!(open(&app).await, 3, "one walk is none");
    let asked = app.telnyx.exchanges().len();
    app.reconcile().await;
    assert_eq!(open(&app).await, 2);
    let id = rows[0]["phone_number_id"].as_str().unwrap();
    let looks = app.telnyx.exchanges().split_off(asked).into_iter().filter(|exchange| exchange.path.ends_with(id)).count();
    assert_eq!(looks, 1);
    let closed = app.findings().await.into_iter().find(|finding| finding["state"] == "gone").unwrap();
    assert_eq!((&closed["phone_number"], &closed["resolved_by"]), (&rows[0]["phone_number"], &json!("reconcile")));
    // If it is found again, that is a new finding.
    telnyx(&app, app.telnyx.api_key(), Method::GET, "/available_phone_numbers?filter[national_destination_code]=312", None).await;
    let reference = app.purchase_of(&rows[0]["phone_number"]).await["telnyx_reference"].clone();
    let body = json!({"phone_numbers": [{"phone_number": rows[0]["phone_number"]}], "customer_reference": reference});
    telnyx(&app, app.telnyx.api_key(), Method::POST, "/number_orders", Some(body)).await;
    app.reconcile().await;
    assert_eq!((open(&app).await, app.findings().await.len()), (3, 4));
}

#[tokio::test]
async fn what_cannot_be_asked_for_ends_nothing() {
    let app = TestApp::new().await;
    let rows = findings(&app).await;
    for row in &rows {
        vanish(&app, &row["phone_number"]).await;
    }
    app.reconcile().await;
    for status in [401, 429, 500] {
        let path = format!("{NUMBERS}/");
        app.fault(json!({"method": "GET", "path_prefix": path, "kind": "status", "status": status, "times": 1_000})).await;
        for _ in 0..2 {
            app.reconcile().await;
        }
        clear_faults(&app).await;
        assert_eq!(open(&app).await, 3, "{status}");
    }
    app.reconcile().await;
    assert_eq!(open(&app).await, 1);
}

/// An app with its keys in Secrets Manager.
async fn keys_in_a_vault() -> (TestApp, SecretsManager) {
    let mut app = TestApp::new().await;
    app.telnyx_settings(json!({"accounts": {"another": "KEYANOTHER"}})).await;
    let secrets_manager = secrets_manager(&mut app).await;
    secrets_manager.set_text(PLATFORM, app.telnyx.api_key());
    (app, secrets_manager)
}

#[tokio::test]
async fn the_key_of_another_account_ends_no_finding() {
    let (app, secrets_manager) = keys_in_a_vault().await;
    assigned(&app).await;
    ordered_by_somebody_else(&app, &app.offers("415", 1).await[0]).await;
    app.execute(&format!("delete from agencies where id = '{}'", demo::DEMO.id)).await;
    app.reconcile().await;
    assert_eq!(open(&app).await, 2);
    let before = states(&app).await;
    secrets_manager.set_text(PLATFORM, "KEYANOTHER");
    for _ in 0..3 {
        app.reconcile().await;
        assert_eq!(states(&app).await, before);
    }
    secrets_manager.set_text(PLATFORM, app.telnyx.api_key());
    app.reconcile().await;
    assert_eq!(states(&app).await, before);
}

#[tokio::test]
async fn a_finding_ends_at_once_when_its_number_is_seen_in_its_row_or_as_something_else() {
    let app = TestApp::new().await;
    let rows = bought(&app, 2).await;
    app.execute(&format!("delete from agencies where id = '{}'", demo::DEMO.id)).await;
    app.reconcile().await;
    assert_eq!(open(&app).await, 2);
    // The owner of one number is unknown; the other gets its row back.
    let number = rows[0]["phone_number"].as_str().unwrap();
    let body = json!({"customer_reference": "something else"});
    telnyx(&app, app.telnyx.api_key(), Method::PATCH, &format!("/phone_numbers/{number}"), Some(body)).await;
    app.execute(&format!("delete from phone_number_purchases where phone_number = '{number}'")).await;
    app.execute(&format!("insert into agencies (id, name, slug) values ('{}', 'Again', 'again')", demo::DEMO.id)).await;
    app.reconcile().await;
    let mut found = found(&app).await;
    found.sort_by_key(|finding| json!(finding).to_string());
    let mut expected: Vec<_> = rows.iter().map(|row| [json!("agency_gone"), row["phone_number"].clone(), json!("gone")]).collect();
    expected.push([json!("not_ours"), json!(null), json!("open")]);
    expected.sort_by_key(|finding| json!(finding).to_string());
    assert_eq!(found, expected);
    let now = app.rows().await;
    assert_eq!((now.len(), &now[0]["phone_number"], &now[0]["status"]), (1, &rows[1]["phone_number"], &json!("active")));
}

#[tokio::test]
async fn a_drift_ends_when_its_rows_are_seen_again_or_released() {
    let app = TestApp::new().await;
    let rows = bought(&app, 4).await;
    for row in &rows[..2] {
        vanish(&app, &row["phone_number"]).await;
    }
    for _ in 0..2 {
        app.reconcile().await;
    }
    assert_eq!(found(&app).await, [[json!("inventory_drift"), json!(null), json!("open")]]);
    // An empty page does not end it, nor does the release of one of the two.
    app.release("owner", release_of(&rows[0])).await.expect(200);
    app.execute("update phone_number_findings set last_seen_at = last_seen_at - interval '1 hour'").await;
    empty_pages(&app, 1).await;
    app.fault(json!({"method": "GET", "path_prefix": format!("{NUMBERS}/"), "kind": "status", "status": 500, "times": 10})).await;
    app.reconcile().await;
    clear_faults(&app).await;
    assert_eq!(open(&app).await, 1);
    app.release("owner", release_of(&rows[1])).await.expect(200);
    app.reconcile().await;
    assert_eq!(found(&app).await, [[json!("inventory_drift"), json!(null), json!("gone")]]);
}

#[tokio::test]
async fn of_many_findings_whose_numbers_are_gone_a_run_asks_for_some_and_the_next_for_others() {
    let app = TestApp::new().await;
    bought(&app, 1).await;
    app.reconcile().await;
    // As many missing numbers as were ever found.
    let insert = "\
insert into phone_number_findings (kind, telnyx_account, phone_number, telnyx_phone_number_id, detail, first_seen_at, last_seen_at)
select 'agency_gone', 'env:TELNYX_API_KEY', '+1217' || (3000000 + i), (900000 + i)::text, '', now() - interval '1 day', now() - interval '1 day'
from generate_series(1, 120) i";
    app.execute(insert).await;
    for left in [70, 20, 0] {
        let asked = app.asked("GET", &format!("{NUMBERS}/"));
        app.reconcile().await;
        assert_eq!(open(&app).await, left);
        assert!(app.asked("GET", &format!("{NUMBERS}/")) - asked <= 50);
    }
}
