//! Pages that a walk cannot read: the account has shrunk, Telnyx limits the pages, or one keeps failing.

use lambda_http::http::Method;
use serde_json::{Value, json};

use crate::reconcile::reconcile_inventory::{bought, vanish};
use crate::support::actions::{balance, clear_faults, telnyx};
use crate::support::app::{TestApp, eventually};

const NUMBERS: &str = "/v2/phone_numbers";

/// An app with two numbers per page of the inventory.
async fn app() -> TestApp {
    let mut app = TestApp::new().await;
    app.set("REQUEST_BUDGET_MS", "20000");
    app.telnyx_settings(json!({"largest_page": 2})).await;
    app
}

async fn walk(app: &TestApp) -> Value {
    app.walks().await.remove(0)
}

/// How often a page of the whole account was read.
fn asked(app: &TestApp, page: usize) -> usize {
    let asked = app.telnyx.exchanges();
    let page = format!("page%5Bnumber%5D={page}");
    let pages = asked.iter().filter(|exchange| exchange.path == NUMBERS && exchange.query.starts_with("sort="));
    pages.filter(|exchange| exchange.query.ends_with(&page)).count()
}

/// Runs the schedule until a new walk has ended whole.
async fn walked(app: &TestApp) -> Value {
    let before = app.walks().await.first().map(|walk| walk["finished_at"].clone()).unwrap_or_default();
    eventually(async || {
        app.reconcile().await;
        let walk = walk(app).await;
        (walk["finished_at"] != before).then_some(walk)
    })
    .await
}

/// Makes the next walk stop before its second page.
async fn second_page_fails(app: &TestApp) {
    app.fault(json!({"method": "GET", "path_prefix": NUMBERS, "kind": "delay"})).await;
    app.fault(json!({"method": "GET", "path_prefix": NUMBERS, "kind": "status", "status": 500})).await;
}

#[tokio::test]
async fn an_account_with_more_pages_than_telnyx_serves_is_walked_completely() {
    let mut app = app().await;
    app.set("RECONCILE_MAX_DEACTIVATED_PERCENT", "20");
    let rows = bought(&app, 7).await;
    // On the last of four pages, of which two are served.
    app.execute(&format!("delete from agency_phone_numbers where id = '{}'", rows[6]["id"].as_str().unwrap())).await;
    app.telnyx_settings(json!({"last_page": 2})).await;
    let whole = walked(&app).await;
    assert_eq!((&whole["page_limit"], &whole["window_digits"], &whole["next_page"]), (&json!(3), &json!(""), &json!(1)));
    assert_eq!((asked(&app, 3), asked(&app, 4)), (2, 0), "once more, to be sure");
    assert_eq!(app.rows().await.iter().filter(|row| row["status"] == "active").count(), 7);
    assert!(app.missed().await.is_empty());

    // The known limit saves requests, and missing numbers are detected as in any other walk.
    vanish(&app, &rows[5]["phone_number"]).await;
    for _ in 0..2 {
        walked(&app).await;
    }
    assert_eq!(asked(&app, 3), 2);
    assert_eq!(app.now(&rows[5]).await["status"], "inactive");
    assert!(app.findings().await.is_empty());
    app.release("owner", crate::support::actions::release_of(&rows[5])).await.expect(200);
    balance(&app).await;
}

#[tokio::test]
async fn an_account_that_shrinks_while_a_walk_has_stopped_is_walked_from_its_beginning() {
    let app = app().await;
    let rows = bought(&app, 5).await;
    let before = walked(&app).await;
    // The next walk stops before the third page, which is empty when it continues.
    app.fault(json!({"method": "GET", "path_prefix": NUMBERS, "kind": "delay", "times": 2})).await;
    app.fault(json!({"method": "GET", "path_prefix": NUMBERS, "kind": "status", "status": 500})).await;
    app.reconcile().await;
    let stopped = walk(&app).await;
    assert_eq!(stopped["next_page"], 3);
    let listed = telnyx(&app, app.telnyx.api_key(), Method::GET, "/phone_numbers?sort=purchased_at&page[size]=2", None).await;
    for number in listed["data"].as_array().unwrap() {
        vanish(&app, &number["phone_number"]).await;
    }
    app.reconcile().await;
    let whole = walk(&app).await;
    assert!(whole["finished_at"].as_str() > before["finished_at"].as_str());
    assert!(whole["started_at"].as_str() > stopped["started_at"].as_str(), "it counts from its new beginning");
    assert_eq!((&whole["page_limit"], &whole["refused_page"]), (&json!(null), &json!(null)));
    assert!(app.rows().await.iter().all(|row| row["status"] == "active"), "one whole walk has missed two");
    assert_eq!(app.rows().await.len(), rows.len());
}

#[tokio::test]
async fn a_page_that_keeps_failing_makes_the_walk_start_over_and_blocks_nothing() {
    let app = app().await;
    bought(&app, 3).await;
    for runs in [1, 2] {
        if runs == 1 {
            second_page_fails(&app).await;
        } else {
            app.fault(json!({"method": "GET", "path_prefix": NUMBERS, "kind": "status", "status": 500})).await;
        }
        app.reconcile().await;
        let walk = walk(&app).await;
        assert_eq!((&walk["next_page"], &walk["failed_runs"], &walk["leased_until"]), (&json!(2), &json!(runs), &json!(null)));
    }
    app.fault(json!({"method": "GET", "path_prefix": NUMBERS, "kind": "status", "status": 500})).await;
    app.reconcile().await;
    let over = walk(&app).await;
    assert_eq!((&over["next_page"], &over["refused_page"], &over["failed_runs"]), (&json!(1), &json!(2), &json!(0)));
    app.reconcile().await;
    let whole = walk(&app).await;
    assert!(whole["finished_at"].is_string());
    assert_eq!((&whole["page_limit"], &whole["refused_page"]), (&json!(null), &json!(null)), "it was read after all");
}

#[tokio::test]
async fn a_refused_key_or_too_many_calls_leave_a_walk_where_it_is() {
    let app = app().await;
    bought(&app, 3).await;
    second_page_fails(&app).await;
    app.reconcile().await;
    for status in [401, 429] {
        for _ in 0..4 {
            app.fault(json!({"method": "GET", "path_prefix": NUMBERS, "kind": "status", "status": status, "times": 10})).await;
            app.reconcile().await;
            clear_faults(&app).await;
            let walk = walk(&app).await;
            assert_eq!((&walk["next_page"], &walk["failed_runs"], &walk["refused_page"]), (&json!(2), &json!(1), &json!(null)));
        }
    }
    app.reconcile().await;
    assert!(walk(&app).await["finished_at"].is_string());
}

#[tokio::test]
async fn a_walk_that_had_to_leave_something_out_is_not_whole_and_nothing_follows_from_it() {
    let mut app = app().await;
    app.set("RECONCILE_MAX_DEACTIVATED_PERCENT", "100");
    let rows = bought(&app, 4).await;
    let before = walked(&app).await;
    vanish(&app, &rows[0]["phone_number"]).await;
    for _ in 0..3 {
        second_page_fails(&app).await;
        // As if a window had been left out.
        app.execute("update phone_number_inventory_walks set is_whole = false").await;
        app.reconcile().await;
        app.reconcile().await;
        let walk = walk(&app).await;
        assert_eq!((&walk["finished_at"], &walk["previous_started_at"]), (&before["finished_at"], &before["previous_started_at"]));
        assert_eq!((&walk["is_whole"], &walk["next_page"]), (&json!(true), &json!(1)), "the next one may be whole");
    }
    assert!(app.rows().await.iter().all(|row| row["status"] == "active"));
}
