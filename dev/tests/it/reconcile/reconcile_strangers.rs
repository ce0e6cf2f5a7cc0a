//! Strangers, the numbers that no purchase of ours names: one finding per account, which hides no number of ours.

use dev::demo;
use lambda_http::http::Method;
use serde_json::{Value, json};
use shared::store::{Adoption, Dismissal, Finding};

use crate::reconcile::reconcile_inventory::{appear, bought, found, nothing_was_touched, vanish};
use crate::support::actions::{ordered_by_somebody_else, release_of, telnyx, unsold};
use crate::support::app::TestApp;

const NUMBERS: &str = "/v2/phone_numbers";

/// Numbers that another program has bought in our account.
async fn strangers(app: &TestApp, count: usize) -> Vec<Value> {
    let numbers = app.offers("415", count).await;
    for number in &numbers {
        ordered_by_somebody_else(app, number).await;
    }
    numbers.into_iter().map(Value::from).collect()
}

async fn open(app: &TestApp) -> Vec<Finding> {
    app.store().open_findings().await.unwrap()
}

async fn only(app: &TestApp) -> Finding {
    let mut open = open(app).await;
    assert_eq!(open.len(), 1, "{open:#?}");
    open.remove(0)
}

fn not_ours(state: &str) -> [Value; 3] {
    [json!("not_ours"), json!(null), json!(state)]
}

#[tokio::test]
async fn the_strangers_of_an_account_are_one_finding_with_a_count_and_a_sample() {
    let app = TestApp::new().await;
    let numbers = strangers(&app, 12).await;
    let asked = app.telnyx.exchanges().len();
    for _ in 0..2 {
        app.reconcile().await;
    }
    nothing_was_touched(&app, asked);
    let finding = only(&app).await;
    assert_eq!((finding.observation.number_count, app.strangers().await.len()), (12, 12));
    let named = numbers.iter().filter(|number| finding.observation.detail.contains(number.as_str().unwrap())).count();
    assert_eq!(named, 10, "{}", finding.observation.detail);
    assert!(finding.observation.detail.starts_with("The account has 12 numbers"));
    assert!(app.rows().await.is_empty() && app.ledger().await.is_empty());
}

#[tokio::test]
async fn a_number_without_any_reference_is_a_stranger_too() {
    let app = TestApp::new().await;
    let number = json!(unsold(&app).await);
    let body = json!({"phone_numbers": [{"phone_number": number}]});
    telnyx(&app, app.telnyx.api_key(), Method::POST, "/number_orders", Some(body)).await;
    app.reconcile().await;
    assert_eq!((found(&app).await, app.strangers().await[0]["phone_number"].clone()), (vec![not_ours("open")], number));
}

#[tokio::test]
async fn strangers_that_were_dismissed_are_found_again_when_they_become_more_and_not_before() {
    let app = TestApp::new().await;
    bought(&app, 1).await;
    let numbers = strangers(&app, 3).await;
    app.reconcile().await;
    let finding = only(&app).await;
    assert_eq!(app.store().dismiss_finding(finding.id).await.unwrap(), Dismissal::Dismissed);
    vanish(&app, &numbers[0]).await;
    for _ in 0..3 {
        app.reconcile().await;
        assert_eq!(found(&app).await, [not_ours("dismissed")]);
    }
    assert_eq!(app.strangers().await.len(), 2, "missing ones are deleted");
    let more = app.offers("510", 2).await;
    ordered_by_somebody_else(&app, &more[0]).await;
    app.reconcile().await;
    assert_eq!(found(&app).await, [not_ours("dismissed")], "as many as when it was dismissed");
    ordered_by_somebody_else(&app, &more[1]).await;
    app.reconcile().await;
    let again = only(&app).await;
    assert_eq!((again.id, again.observation.number_count), (finding.id, 4));
    assert!(again.first_seen_at > finding.first_seen_at, "it is news");
}

#[tokio::test]
async fn strangers_are_adopted_one_by_one_and_the_others_stay() {
    let app = TestApp::new().await;
    let numbers = strangers(&app, 3).await;
    app.reconcile().await;
    let finding = only(&app).await;
    for (adopted, number) in numbers.iter().enumerate() {
        let number = number.as_str().unwrap().parse().unwrap();
        let adoption = app.store().adopt_finding(finding.id, Some(&number), Some(demo::DEMO.id)).await.unwrap();
        assert!(matches!(adoption, Adoption::Adopted(_)), "{adoption:?}");
        assert_eq!((app.rows().await.len(), app.strangers().await.len()), (adopted + 1, 2 - adopted));
        if adopted < 2 {
            let count = i64::try_from(2 - adopted).unwrap();
            assert_eq!(only(&app).await.observation.number_count, count);
            app.reconcile().await;
            assert_eq!((only(&app).await.id, only(&app).await.observation.number_count), (finding.id, count));
        }
    }
    app.reconcile().await;
    assert_eq!(found(&app).await, [not_ours("adopted")]);
    let told = app.history(&json!({"id": null})).await;
    assert_eq!(told.iter().map(|entry| entry["phone_number"].clone()).collect::<Vec<_>>(), numbers);
}

#[tokio::test]
async fn a_number_that_names_a_purchase_of_ours_is_no_stranger() {
    for forget in ["", "delete from agency_phone_numbers"] {
        let app = TestApp::new().await;
        let row = bought(&app, 1).await.remove(0);
        let reference = app.purchase_of(&row["phone_number"]).await["telnyx_reference"].clone();
        app.execute(forget).await;
        strangers(&app, 2).await;
        // Another order has the same reference.
        let number = json!(unsold(&app).await);
        appear(&app, &number, reference.as_str().unwrap()).await;
        for _ in 0..2 {
            app.reconcile().await;
            let mut found = found(&app).await;
            found.sort_by_key(|[kind, _, _]| kind.to_string());
            assert_eq!(found, [not_ours("open"), [json!("unproven_claim"), number.clone(), json!("open")]]);
        }
        let rows = app.rows().await;
        assert_eq!((rows.len(), &rows[0]["phone_number"]), (1, &row["phone_number"]));
        let purchases = app.ledger().await;
        assert_eq!((purchases.len(), &purchases[0]["agency_phone_number_id"]), (1, &rows[0]["id"]));
    }
}

#[tokio::test]
async fn a_number_that_a_purchase_of_ours_was_to_buy_is_no_stranger() {
    let app = TestApp::new().await;
    let row = bought(&app, 1).await.remove(0);
    // Given up as failed, and at Telnyx with a foreign reference.
    let failed = "\
delete from agency_phone_numbers;
update phone_number_purchases
set phase = 'failed', failure_code = 'number_unavailable', telnyx_phone_number_id = null, completed_at = null;";
    app.execute(failed).await;
    let path = format!("/phone_numbers/{}", row["phone_number"].as_str().unwrap());
    let body = json!({"customer_reference": "something else"});
    telnyx(&app, app.telnyx.api_key(), Method::PATCH, &path, Some(body)).await;
    app.reconcile().await;
    assert_eq!(found(&app).await, [[json!("unproven_claim"), row["phone_number"].clone(), json!("open")]]);
    assert!(app.strangers().await.is_empty());
}

#[tokio::test]
async fn a_row_whose_number_telnyx_has_as_another_is_no_stranger() {
    let app = TestApp::new().await;
    let row = bought(&app, 1).await.remove(0);
    vanish(&app, &row["phone_number"]).await;
    appear(&app, &row["phone_number"], dev::invariants::FOREIGN_REFERENCE).await;
    app.reconcile().await;
    assert_eq!(found(&app).await, [[json!("unproven_claim"), row["phone_number"].clone(), json!("open")]]);
    assert_eq!(app.findings().await[0]["agency_phone_number_ids"], json!([row["id"]]));
    assert_eq!(app.now(&row).await, row);
}

#[tokio::test]
async fn what_was_released_and_is_billed_is_never_hidden_among_the_strangers() {
    // Neither when the ledger knows the purchase, nor when the row predates it and Telnyx keeps no reference.
    for forget in ["", "delete from phone_number_purchases"] {
        let mut app = TestApp::new().await;
        app.set("PURCHASE_ORDER_MISSING_AFTER_MS", "0");
        strangers(&app, 2).await;
        let row = bought(&app, 1).await.remove(0);
        app.execute(forget).await;
        app.fault(json!({"method": "DELETE", "path_prefix": NUMBERS, "kind": "status", "status": 404})).await;
        if !forget.is_empty() {
            // Looked up in the accounts of its agency; then read by its id, which proves the key.
            app.fault(json!({"method": "GET", "path_prefix": format!("{NUMBERS}/"), "kind": "delay"})).await;
            app.fault(json!({"method": "GET", "path_prefix": NUMBERS, "kind": "empty"})).await;
        }
        app.fault(json!({"method": "GET", "path_prefix": NUMBERS, "kind": "empty"})).await;
        app.release("owner", release_of(&row)).await.expect(200);
        let path = format!("/phone_numbers/{}", row["phone_number"].as_str().unwrap());
        let body = json!({"customer_reference": "something else"});
        telnyx(&app, app.telnyx.api_key(), Method::PATCH, &path, Some(body)).await;
        for _ in 0..2 {
            app.reconcile().await;
            let mut found = found(&app).await;
            found.sort_by_key(|[kind, _, _]| kind.to_string());
            assert_eq!(found, [not_ours("open"), [json!("released_but_billed"), row["phone_number"].clone(), json!("open")]]);
        }
    }
}

#[tokio::test]
async fn a_stranger_that_turns_out_to_be_ours_is_none_any_more() {
    let app = TestApp::new().await;
    let number = strangers(&app, 1).await.remove(0);
    app.reconcile().await;
    let row = app.insert(json!({"phone_number": number, "created_at": "2025-12-24T12:00:00Z"})).await;
    // Taken into the ledger, then seen in its row.
    for _ in 0..2 {
        app.reconcile().await;
    }
    assert_eq!(app.purchase_of(&number).await["agency_phone_number_id"], row["id"]);
    assert_eq!((app.strangers().await, found(&app).await), (vec![], vec![not_ours("gone")]));
}
