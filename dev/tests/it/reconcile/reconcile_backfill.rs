//! Rows that predate the ledger: they are taken into it in the state that Telnyx reports.

use dev::demo;
use dev::fault_proxy::{Fault, Moment};
use dev::invariants::{FOREIGN_REFERENCE, unfinished};
use dev::secrets_manager::SecretResponse;
use futures_util::future::join_all;
use lambda_http::http::Method;
use serde_json::{Value, json};

use crate::reconcile::reconcile_inventory::{appear, bought, found, nothing_was_touched, reference_of, vanish};
use crate::support::accounts::{OWN_KEY, keep_own_key, own_account, own_secret, two_accounts};
use crate::support::actions::{assigned, clear_faults, only_finding, release_of, telnyx, unsold};
use crate::support::app::TestApp;

const NUMBERS: &str = "/v2/phone_numbers";

/// A number that was bought with a foreign reference: its id at Telnyx.
async fn owned(app: &TestApp, number: &str) -> Value {
    appear(app, &json!(number), FOREIGN_REFERENCE).await;
    let found = telnyx(app, app.telnyx.api_key(), Method::GET, &format!("/phone_numbers/{number}"), None).await;
    found["data"]["id"].clone()
}

/// A number whose order is pending.
async fn being_bought(app: &TestApp, number: &str) {
    app.telnyx_settings(json!({"order_outcome": "never"})).await;
    let body = json!({"phone_numbers": [{"phone_number": number}], "customer_reference": FOREIGN_REFERENCE});
    telnyx(app, app.telnyx.api_key(), Method::POST, "/number_orders", Some(body)).await;
}

/// Ends the order of a number.
async fn decide_of(app: &TestApp, number: &str, status: &str) {
    let state = app.telnyx_state().await;
    let is_it = |order: &&Value| order["phone_numbers"][0]["phone_number"] == number;
    let id = state["orders"].as_array().unwrap().iter().find(is_it).unwrap()["id"].as_str().unwrap().to_owned();
    app.control(Method::POST, &format!("/orders/{id}"), Some(json!({ "status": status }))).await;
}

/// A row that predates the ledger, too old to be work in progress.
async fn old(app: &TestApp, mut columns: Value) -> Value {
    columns["created_at"] = json!("2025-12-24T12:00:00Z");
    app.insert(columns).await
}

/// A purchase in the account, by which its key is known.
async fn known_account(app: &TestApp) {
    assigned(app).await;
}

/// Asserts that the ledger's only entry is of the row.
async fn taken_in(app: &TestApp, row: &Value, phase: &str) -> Value {
    let purchase = app.purchase_of(&row["phone_number"]).await;
    assert_eq!((&purchase["agency_phone_number_id"], &purchase["agency_id"]), (&row["id"], &row["agency_id"]));
    assert_eq!((&purchase["phase"], &purchase["origin"]), (&json!(phase), &json!("backfilled")));
    purchase
}

#[tokio::test]
async fn an_active_row_is_taken_in_with_the_id_that_telnyx_has() {
    let app = TestApp::new().await;
    for known in [Some("right"), Some("wrong"), None] {
        let number = unsold(&app).await;
        let id = owned(&app, &number).await;
        let known = known.map(|known| if known == "right" { id.clone() } else { json!("7") });
        let row = old(&app, json!({"phone_number": number, "phone_number_id": known, "purchased_at": "2025-12-24T12:00:01Z"})).await;
        let since = app.telnyx.exchanges().len();
        app.reconcile().await;
        nothing_was_touched(&app, since);
        assert_eq!(taken_in(&app, &row, "completed").await["telnyx_phone_number_id"], id);
        let mut now = app.now(&row).await;
        assert_eq!((&now["phone_number_id"], &now["status"]), (&id, &json!("active")));
        for name in ["phone_number_id", "updated_at"] {
            now[name] = row[name].clone();
        }
        assert_eq!(now, row, "nothing else has changed");
        let history = app.history(&row).await;
        if known == Some(id) {
            assert_eq!(history.len(), 1, "nothing had to be put right: {history:#?}");
        } else {
            let last = history.last().unwrap();
            assert_eq!((&last["event"], &last["actor"]), (&json!("reconciled"), &json!("reconcile")));
            let changed: Vec<_> = last["changes"].as_object().unwrap().keys().collect();
            assert_eq!(changed, ["phone_number_id"]);
        }
        app.release("owner", release_of(&row)).await.expect(200);
        assert_eq!(app.now(&row).await["status"], "released");
        let state = app.telnyx_state().await;
        assert!(state["numbers"].as_array().unwrap().is_empty(), "Telnyx bills it no more");
        app.reconcile().await;
        assert!(app.findings().await.is_empty());
    }
}

#[tokio::test]
async fn a_row_that_its_owner_has_switched_off_stays_off() {
    let app = TestApp::new().await;
    let number = unsold(&app).await;
    owned(&app, &number).await;
    let row = old(&app, json!({"phone_number": number, "status": "inactive"})).await;
    app.reconcile().await;
    taken_in(&app, &row, "completed").await;
    app.reconcile().await;
    assert_eq!(app.now(&row).await["status"], "inactive");
}

#[tokio::test]
async fn a_pending_row_whose_number_telnyx_has_becomes_active() {
    let app = TestApp::new().await;
    let number = unsold(&app).await;
    let id = owned(&app, &number).await;
    let row = app.insert(json!({"phone_number": number, "status": "pending"})).await;
    app.reconcile().await;
    taken_in(&app, &row, "completed").await;
    let now = app.now(&row).await;
    assert_eq!((&now["status"], &now["phone_number_id"], now["purchased_at"].is_string()), (&json!("active"), &id, true));
    let last = app.history(&row).await.pop().unwrap();
    assert_eq!((&last["event"], &last["actor"]), (&json!("reconciled"), &json!("reconcile")));
    app.release("owner", release_of(&row)).await.expect(200);
}

#[tokio::test]
async fn a_pending_row_that_telnyx_knows_nothing_of_is_given_up_once_it_is_old() {
    let app = TestApp::new().await;
    known_account(&app).await;
    let young = app.insert(json!({"status": "pending"})).await;
    let old = old(&app, json!({"status": "pending"})).await;
    app.reconcile().await;
    assert_eq!((app.now(&young).await, app.ledger().await.len()), (young, 2));
    taken_in(&app, &old, "cancelled").await;
    let now = app.now(&old).await;
    assert_eq!((&now["status"], &now["is_active"], now["released_at"].is_string()), (&json!("released"), &json!(false), true));
    let last = app.history(&old).await.pop().unwrap();
    assert_eq!((&last["event"], &last["actor"]), (&json!("reconciled"), &json!("reconcile")));
    assert!(app.findings().await.is_empty());
}

#[tokio::test]
async fn nothing_is_given_up_on_the_word_of_a_key_that_nothing_connects_with_the_account() {
    let mut app = TestApp::new().await;
    app.telnyx_settings(json!({"accounts": {"another": "KEYANOTHER"}})).await;
    let row = old(&app, json!({"status": "pending"})).await;
    app.reconcile().await;
    assert_eq!(only_finding(&app).await, ("key_unproven".to_owned(), "platform".to_owned(), row["phone_number"].clone()));
    known_account(&app).await;
    let right = app.telnyx.api_key().to_owned();
    app.set("TELNYX_API_KEY", "KEYANOTHER");
    app.reconcile().await;
    assert_eq!((app.now(&row).await["status"].clone(), app.ledger().await.len()), (json!("pending"), 1));
    app.set("TELNYX_API_KEY", &right);
    for _ in 0..2 {
        app.reconcile().await;
    }
    assert_eq!(app.now(&row).await["status"], "released");
    assert_eq!(found(&app).await, [[json!("key_unproven"), row["phone_number"].clone(), json!("gone")]]);
}

#[tokio::test]
async fn nothing_is_given_up_while_telnyx_cannot_be_asked() {
    let app = TestApp::new().await;
    let row = old(&app, json!({"status": "pending"})).await;
    for path in [NUMBERS, "/v2/number_orders"] {
        for status in [401, 429, 500] {
            app.fault(json!({"path_prefix": path, "kind": "status", "status": status, "times": 1_000})).await;
            app.reconcile().await;
            clear_faults(&app).await;
        }
    }
    assert_eq!((app.now(&row).await, app.ledger().await), (row, Vec::new()));
}

#[tokio::test]
async fn taking_in_twice_or_in_several_runs_at_once_is_taking_in_once() {
    let app = TestApp::new().await;
    known_account(&app).await;
    let mut rows = Vec::new();
    for _ in 0..3 {
        let number = unsold(&app).await;
        owned(&app, &number).await;
        rows.push(app.insert(json!({"phone_number": number, "status": "pending"})).await);
    }
    rows.push(old(&app, json!({"status": "pending"})).await);
    join_all((0..4).map(|_| app.reconcile())).await;
    app.reconcile().await;
    assert_eq!(app.ledger().await.len(), 5);
    for row in &rows {
        assert_eq!(app.history(row).await.iter().filter(|entry| entry["event"] == "reconciled").count(), 1);
    }
    assert!(app.findings().await.is_empty());
}

#[tokio::test]
async fn more_of_them_than_a_run_takes_up_are_taken_in_by_the_next() {
    let mut app = TestApp::new().await;
    known_account(&app).await;
    app.set("RECONCILE_BATCH", "2");
    for _ in 0..5 {
        old(&app, json!({"status": "pending"})).await;
    }
    for taken in [2, 4, 5] {
        app.reconcile().await;
        assert_eq!(app.ledger().await.len(), 1 + taken);
    }
}

#[tokio::test]
async fn a_row_is_taken_in_with_the_account_that_has_its_number() {
    let (app, secrets_manager) = two_accounts().await;
    keep_own_key(&secrets_manager);
    // An account can order only what a search has shown to it.
    telnyx(&app, OWN_KEY, Method::GET, "/available_phone_numbers?filter[national_destination_code]=415", None).await;
    telnyx(&app, app.telnyx.api_key(), Method::GET, "/available_phone_numbers?filter[national_destination_code]=415", None).await;
    let offers = app.offers("415", 2).await;
    let mut rows = Vec::new();
    for (number, key) in offers.iter().zip([app.telnyx.api_key(), OWN_KEY]) {
        let body = json!({"phone_numbers": [{"phone_number": number}], "customer_reference": FOREIGN_REFERENCE});
        telnyx(&app, key, Method::POST, "/number_orders", Some(body)).await;
        rows.push(old(&app, json!({"phone_number": number})).await);
    }
    secrets_manager.set(&own_secret(), SecretResponse::Error(400, "AccessDeniedException"));
    app.reconcile().await;
    assert!(app.ledger().await.is_empty(), "an account that cannot be asked may have it");
    keep_own_key(&secrets_manager);
    app.reconcile().await;
    for (row, account) in rows.iter().zip(["platform", &own_account()]) {
        assert_eq!(taken_in(&app, row, "completed").await["telnyx_account"], account);
    }
    for row in &rows {
        app.release("owner", release_of(row)).await.expect(200);
    }
    assert!(app.telnyx_state().await["numbers"].as_array().unwrap().is_empty());
    assert!(app.findings().await.is_empty());
}

#[tokio::test]
async fn a_number_that_was_taken_in_is_ours_whatever_its_reference() {
    let mut app = TestApp::new().await;
    app.set("PURCHASE_ORDER_MISSING_AFTER_MS", "0");
    let number = unsold(&app).await;
    owned(&app, &number).await;
    let row = old(&app, json!({"phone_number": number})).await;
    app.reconcile().await;
    app.execute("delete from agency_phone_numbers").await;
    app.reconcile().await;
    let again = app.rows().await.remove(0);
    assert_eq!(
        (&again["phone_number"], &again["agency_id"], &again["status"]),
        (&row["phone_number"], &row["agency_id"], &json!("active"))
    );
    assert_eq!(
        (app.purchase_of(&json!(number)).await["agency_phone_number_id"].clone(), app.findings().await),
        (again["id"].clone(), vec![])
    );
    // Released, but billed.
    app.fault(json!({"method": "DELETE", "path_prefix": NUMBERS, "kind": "status", "status": 404})).await;
    app.fault(json!({"method": "GET", "path_prefix": NUMBERS, "kind": "empty"})).await;
    app.release("owner", release_of(&again)).await.expect(200);
    app.reconcile().await;
    assert_eq!(found(&app).await, [[json!("released_but_billed"), json!(number), json!("open")]]);
}

#[tokio::test]
async fn what_is_taken_in_is_compared_like_any_other() {
    let app = TestApp::new().await;
    let number = unsold(&app).await;
    owned(&app, &number).await;
    let row = old(&app, json!({"phone_number": number})).await;
    app.reconcile().await;
    vanish(&app, &json!(number)).await;
    for _ in 0..2 {
        app.reconcile().await;
    }
    assert_eq!(app.now(&row).await["status"], "inactive");
    app.release("owner", release_of(&row)).await.expect(200);
    app.reconcile().await;
    assert!(app.findings().await.is_empty());
}

#[tokio::test]
async fn what_changes_while_telnyx_is_asked_stays_changed() {
    // Its release has begun; functions that predate the ledger have finished its purchase.
    let changes = [
        ("active", true, "update agency_phone_numbers set status = 'inactive', is_active = false"),
        ("pending", false, "update agency_phone_numbers set status = 'active'"),
        ("pending", false, "update agency_phone_numbers set status = 'released', is_active = false, released_at = now()"),
    ];
    for (status, is_there, change) in changes {
        let mut app = TestApp::new().await;
        known_account(&app).await;
        let number = unsold(&app).await;
        if is_there {
            owned(&app, &number).await;
        }
        let row = old(&app, json!({"phone_number": number, "status": status})).await;
        let elsewhere = app.database.connect().await.unwrap();
        let proxy = app.with_fault_proxy().await;
        proxy.inject(
            "reconcile.legacy_rows.backfill",
            Moment::Before,
            Fault::call(async move { elsewhere.batch_execute(change).await.unwrap() }),
        );
        app.reconcile().await;
        assert_eq!(proxy.injected(), 1);
        let now = app.now(&row).await;
        assert!(change.contains(now["status"].as_str().unwrap()), "{change}: {now:#}");
        assert_eq!(now["is_active"] == json!(false), change.contains("is_active = false"), "{now:#}");
        assert_eq!(app.ledger().await.len(), 1);
        assert!(app.history(&row).await.iter().all(|entry| entry["actor"] == "platform"));
    }
}

#[tokio::test]
async fn a_pending_row_whose_order_is_pending_waits_for_it_in_the_ledger() {
    for (decision, status) in [("success", Some("active")), ("failure", None)] {
        let app = TestApp::new().await;
        let number = unsold(&app).await;
        being_bought(&app, &number).await;
        // Others are pending, too, and come first.
        for _ in 0..2 {
            being_bought(&app, &unsold(&app).await).await;
        }
        app.telnyx_settings(json!({"largest_page": 1})).await;
        // However old it is: some orders wait for documents for days.
        let row = old(&app, json!({"phone_number": number, "status": "pending"})).await;
        app.reconcile().await;
        assert!(taken_in(&app, &row, "ordered").await["telnyx_order_id"].is_string());
        app.reconcile().await;
        assert_eq!(app.now(&row).await["status"], "pending");
        decide_of(&app, &number, decision).await;
        app.reconcile().await;
        let now = app.rows().await.into_iter().next();
        assert_eq!(now.as_ref().map(|now| now["status"].as_str().unwrap()), status, "{decision}");
        assert!(unfinished(&app.sql).await.unwrap().is_empty() && app.findings().await.is_empty());
    }
}

#[tokio::test]
async fn a_row_whose_ledger_is_lost_is_taken_in_again() {
    let app = TestApp::new().await;
    let row = bought(&app, 1).await.remove(0);
    app.execute("delete from phone_number_purchases").await;
    app.reconcile().await;
    taken_in(&app, &row, "completed").await;
    assert_eq!((app.history(&row).await.len(), app.findings().await), (1, Vec::new()), "nothing had to be put right");
    app.release("owner", release_of(&row)).await.expect(200);
    app.reconcile().await;
    assert_eq!((app.billed().await, app.findings().await), (Vec::<String>::new(), Vec::new()));
}

#[tokio::test]
async fn a_purchase_from_before_the_ledger_can_be_given_up() {
    let app = TestApp::new().await;
    let number = unsold(&app).await;
    being_bought(&app, &number).await;
    let row = old(&app, json!({"phone_number": number, "status": "pending"})).await;
    let refused = app.release("owner", release_of(&row)).await.expect(207);
    assert_eq!(refused.body["failed"][0]["problem"]["code"], "purchase_in_progress");
    app.reconcile().await;
    app.release("owner", release_of(&row)).await.expect(200);
    assert_eq!(app.now(&row).await["status"], "released");
    assert_eq!(app.telnyx_state().await["orders"][0]["status"], "failure");
}

#[tokio::test]
async fn an_order_that_is_decided_between_two_looks_is_not_given_up() {
    let app = TestApp::new().await;
    let number = unsold(&app).await;
    let row = old(&app, json!({"phone_number": number, "status": "pending"})).await;
    // The inventory was read just before the number appeared; the order has ended when it is looked up.
    owned(&app, &number).await;
    app.fault(json!({"method": "GET", "path_prefix": NUMBERS, "kind": "empty"})).await;
    app.reconcile().await;
    assert_eq!(app.now(&row).await["status"], "pending");
    app.reconcile().await;
    assert_eq!(app.now(&row).await["status"], "active");
}

#[tokio::test]
async fn an_active_row_whose_number_no_account_has_is_left_to_an_operator_until_it_is_settled() {
    let app = TestApp::new().await;
    let number = unsold(&app).await;
    let row = old(&app, json!({"phone_number": number})).await;
    for _ in 0..3 {
        app.reconcile().await;
        assert_eq!(found(&app).await, [[json!("inventory_drift"), json!(number), json!("open")]], "one, however often it is seen");
    }
    assert_eq!((app.now(&row).await, app.ledger().await.len()), (row.clone(), 0));
    owned(&app, &number).await;
    app.reconcile().await;
    taken_in(&app, &row, "completed").await;
    assert_eq!(found(&app).await, [[json!("inventory_drift"), json!(number), json!("gone")]]);
}

#[tokio::test]
async fn a_number_that_was_bought_for_another_agency_is_not_taken_in() {
    let app = TestApp::new().await;
    let number = json!(unsold(&app).await);
    appear(&app, &number, &reference_of(&demo::OTHER)).await;
    let row = old(&app, json!({"phone_number": number})).await;
    for _ in 0..2 {
        app.reconcile().await;
        assert_eq!((app.now(&row).await, app.ledger().await.len()), (row.clone(), 0));
        assert_eq!(found(&app).await, [[json!("held_by_another"), number.clone(), json!("open")]]);
    }
    assert_eq!(app.findings().await[0]["agency_id"], json!(demo::OTHER.id));
}
