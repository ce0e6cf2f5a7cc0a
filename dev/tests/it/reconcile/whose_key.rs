//! "There is no such number" counts only from a key that the ledger connects with the account that has it.

use lambda_http::http::Method;
use serde_json::{Value, json};

use crate::boundary::secrets::PLATFORM;
use crate::money::purchase_crashes;
use crate::support::accounts::{OWN, keep_own_key, moved_to_own, own_account, two_accounts};
use crate::support::actions::{
    assigned, balance, by_hand, clear_faults, only_finding, order_of, orders_sent, release_of, removed_by_hand, telnyx, unsold,
};
use crate::support::app::TestApp;

const NUMBERS: &str = "/v2/phone_numbers";
const ORDERS: &str = "/v2/number_orders";

/// Replaces the functions' key with that of an account that has none of our numbers.
async fn use_another_accounts_key(app: &mut TestApp) {
    app.telnyx_settings(json!({"accounts": {"another": "KEYANOTHER"}})).await;
    app.set("TELNYX_API_KEY", "KEYANOTHER");
}

fn use_the_right_key(app: &mut TestApp) {
    let key = app.telnyx.api_key().to_owned();
    app.set("TELNYX_API_KEY", &key);
}

/// Requests a release that stays open: the problem of the number.
async fn stays_open(app: &TestApp, row: &Value) -> Value {
    let reply = app.release("owner", release_of(row)).await.expect(207);
    let problem = reply.body["failed"][0]["problem"].clone();
    assert_eq!((&problem["code"], &problem["retryable"]), (&json!("unavailable"), &json!(true)), "{problem}");
    problem
}

#[tokio::test]
async fn a_release_with_another_accounts_key_stays_open_until_the_right_one_is_back() {
    let mut app = TestApp::new().await;
    let row = assigned(&app).await;
    use_another_accounts_key(&mut app).await;
    for _ in 0..2 {
        stays_open(&app, &row).await;
        app.reconcile().await;
    }
    assert_eq!(app.now(&row).await["status"], "inactive", "its release is under way");
    assert_eq!(only_finding(&app).await, ("key_unproven".to_owned(), "platform".to_owned(), row["phone_number"].clone()));
    assert_eq!(app.billed().await.len(), 1);
    use_the_right_key(&mut app);
    app.reconcile().await;
    assert_eq!(app.now(&row).await["status"], "released");
    assert!(app.billed().await.is_empty());
    balance(&app).await;
}

#[tokio::test]
async fn what_a_key_has_bought_itself_proves_nothing_of_what_another_key_bought() {
    let mut app = TestApp::new().await;
    let old = assigned(&app).await;
    use_another_accounts_key(&mut app).await;
    let new = assigned(&app).await;
    stays_open(&app, &old).await;
    assert_eq!(app.billed().await.len(), 2);
    app.release("owner", release_of(&new)).await.expect(200);
    use_the_right_key(&mut app);
    app.release("owner", release_of(&old)).await.expect(200);
    assert!(app.billed().await.is_empty());
}

#[tokio::test]
async fn a_later_key_of_the_same_account_proves_itself_by_any_order_of_the_earlier_one() {
    for knows_the_order in [true, false] {
        let mut app = TestApp::new().await;
        let (row, other) = (assigned(&app).await, assigned(&app).await);
        let purchase = app.purchase_of(&row["phone_number"]).await;
        removed_by_hand(&app, &format!("numbers/{}", row["phone_number"].as_str().unwrap())).await;
        if !knows_the_order {
            removed_by_hand(&app, &format!("orders/{}", purchase["telnyx_order_id"].as_str().unwrap())).await;
        }
        let first = app.telnyx.api_key().to_owned();
        app.telnyx_settings(json!({"accounts": {"default": [first, "KEYLATER"]}})).await;
        app.set("TELNYX_API_KEY", "KEYLATER");
        app.release("owner", release_of(&row)).await.expect(200);
        assert_eq!(app.now(&row).await["status"], "released");
        assert_eq!(app.now(&other).await["status"], "active");
        assert!(app.findings().await.is_empty());
    }
}

#[tokio::test]
async fn a_purchase_whose_order_another_accounts_key_does_not_find_is_neither_failed_nor_ordered_again() {
    let mut app = TestApp::new().await;
    let number = unsold(&app).await;
    // The order is placed, and its answer is lost.
    app.fault(json!({"method": "POST", "path_prefix": ORDERS, "kind": "drop_after"})).await;
    app.fault(json!({"method": "GET", "path_prefix": ORDERS, "kind": "status", "status": 500, "times": 1_000})).await;
    app.pending_purchase(order_of(&number)).await;
    clear_faults(&app).await;
    use_another_accounts_key(&mut app).await;
    for _ in 0..3 {
        app.purchase("owner", order_of(&number)).await.expect_problem(503, "unavailable");
        app.reconcile().await;
        // No matter how long it has been missing.
        app.execute("update phone_number_purchases set order_missed_at = now() - interval '1 hour'").await;
    }
    assert_eq!((orders_sent(&app), app.ledger().await[0]["phase"].clone()), (1, json!("ordering")));
    assert_eq!(only_finding(&app).await.0, "key_unproven");
    use_the_right_key(&mut app);
    app.reconcile().await;
    assert_eq!(app.rows().await[0]["status"], "active");
    balance(&app).await;
}

#[tokio::test]
async fn a_known_order_stays_though_another_account_does_not_have_it() {
    let mut app = TestApp::new().await;
    app.telnyx_settings(json!({"order_outcome": "never"})).await;
    let number = unsold(&app).await;
    let row = app.pending_purchase(order_of(&number)).await.number().clone();
    use_another_accounts_key(&mut app).await;
    app.execute("update phone_number_purchases set order_missed_at = now() - interval '1 hour'").await;
    app.reconcile().await;
    stays_open(&app, &row).await;
    assert_eq!(app.ledger().await[0]["phase"], "ordered");
    app.telnyx_settings(json!({"order_outcome": "success"})).await;
    use_the_right_key(&mut app);
    app.reconcile().await;
    assert_eq!(app.now(&row).await["status"], "active");
    balance(&app).await;
}

#[tokio::test]
async fn a_process_that_dies_with_its_order_sent_leaves_the_key_that_it_was_sent_with() {
    let mut app = TestApp::new().await;
    app.set("LEASE_MS", "150");
    let number = unsold(&app).await;
    app.telnyx_settings(json!({"reference_lag_ms": 60_000})).await;
    app.fault(json!({"method": "POST", "path_prefix": ORDERS, "kind": "delay", "delay_ms": 30_000})).await;
    purchase_crashes::dies(&app, &number, async || orders_sent(&app) == 1).await;
    use_another_accounts_key(&mut app).await;
    app.execute("update phone_number_purchases set leased_until = now()").await;
    app.reconcile().await;
    assert_eq!((orders_sent(&app), app.ledger().await[0]["phase"].clone()), (1, json!("ordering")));
    app.telnyx_settings(json!({"reference_lag_ms": 0})).await;
    use_the_right_key(&mut app);
    app.reconcile().await;
    assert_eq!(app.rows().await[0]["status"], "active");
    balance(&app).await;
}

#[tokio::test]
async fn a_row_from_before_the_ledger_gets_its_witness_before_its_number_is_deleted() {
    let app = TestApp::new().await;
    let number = unsold(&app).await;
    crate::support::actions::ordered_by_somebody_else(&app, &number).await;
    let path = format!("/phone_numbers/{number}");
    let id = telnyx(&app, app.telnyx.api_key(), Method::GET, &path, None).await["data"]["id"].clone();
    let row = app.insert(json!({"phone_number": number, "phone_number_id": id})).await;
    // Telnyx deletes it, and the answer is lost: the next attempt is answered 404.
    app.fault(json!({"method": "DELETE", "path_prefix": NUMBERS, "kind": "drop_after"})).await;
    app.release("owner", release_of(&row)).await.expect(200);
    assert_eq!((app.asked("DELETE", NUMBERS), app.billed().await.len()), (2, 0));
    assert_eq!(app.now(&row).await["status"], "released");
}

#[tokio::test]
async fn the_release_of_a_number_that_was_moved_goes_on_in_the_account_that_has_it() {
    let (app, secrets_manager) = two_accounts().await;
    let row = assigned(&app).await;
    keep_own_key(&secrets_manager);
    moved_to_own(&app, &row["phone_number"]).await;
    app.release("owner", release_of(&row)).await.expect(200);
    assert_eq!(app.now(&row).await["status"], "released");
    assert!(app.billed().await.is_empty());
    let purchase = app.purchase_of(&row["phone_number"]).await;
    assert_eq!(purchase["telnyx_account"], json!(own_account()));
    balance(&app).await;
}

#[tokio::test]
async fn an_unproven_key_does_not_show_that_another_account_lacks_a_moved_number() {
    let (app, secrets_manager) = two_accounts().await;
    app.telnyx_settings(json!({"accounts": {"another": "KEYANOTHER"}})).await;
    let stays = assigned(&app).await;
    keep_own_key(&secrets_manager);
    let row = assigned(&app).await;
    by_hand(&app, &row["phone_number"], json!({"account": "default"})).await;
    secrets_manager.set_text(PLATFORM, "KEYANOTHER");
    stays_open(&app, &row).await;
    app.reconcile().await;
    assert_eq!(only_finding(&app).await, ("key_unproven".to_owned(), "platform".to_owned(), row["phone_number"].clone()));
    assert_eq!(app.billed().await.len(), 2);
    secrets_manager.set_text(PLATFORM, app.telnyx.api_key());
    app.reconcile().await;
    assert_eq!((app.now(&row).await["status"].clone(), app.now(&stays).await["status"].clone()), (json!("released"), json!("active")));
    assert_eq!(app.billed().await.len(), 1);
    app.reconcile().await;
    balance(&app).await;
}

#[tokio::test]
async fn a_number_that_another_account_has_and_nobody_names_is_left_to_an_operator() {
    let (app, secrets_manager) = two_accounts().await;
    let row = assigned(&app).await;
    keep_own_key(&secrets_manager);
    by_hand(&app, &row["phone_number"], json!({"account": OWN, "customer_reference": null})).await;
    stays_open(&app, &row).await;
    assert_eq!(only_finding(&app).await.0, "number_moved");
    assert_eq!(app.billed().await.len(), 1);
    by_hand(&app, &row["phone_number"], json!({"account": "default"})).await;
    removed_by_hand(&app, &format!("numbers/{}", row["phone_number"].as_str().unwrap())).await;
    app.release("owner", release_of(&row)).await.expect(200);
    balance(&app).await;
}

#[tokio::test]
async fn the_same_number_id_is_ours_whatever_its_reference() {
    let app = TestApp::new().await;
    for refusal in [json!({"kind": "status", "status": 422, "code": "10027"}), json!({"kind": "status", "status": 429})] {
        let row = assigned(&app).await;
        by_hand(&app, &row["phone_number"], json!({"customer_reference": "edited in the portal"})).await;
        // The outcome of the first is unknown, and then Telnyx refuses.
        let on_delete = |mut fault: Value, times: u32| {
            fault["method"] = json!("DELETE");
            fault["path_prefix"] = json!(NUMBERS);
            fault["times"] = json!(times);
            app.fault(fault)
        };
        on_delete(json!({"kind": "status", "status": 500}), 1).await;
        on_delete(refusal, 1_000).await;
        app.release("owner", release_of(&row)).await.expect(207);
        assert_ne!(app.now(&row).await["status"], "released");
        assert!(app.billed().await.contains(&row["phone_number"].as_str().unwrap().to_owned()));
        clear_faults(&app).await;
        app.release("owner", release_of(&row)).await.expect(200);
        balance(&app).await;
    }
}

#[tokio::test]
async fn a_locked_number_is_409_and_a_finding_says_what_to_do() {
    let app = TestApp::new().await;
    let row = assigned(&app).await;
    by_hand(&app, &row["phone_number"], json!({"deletion_lock_enabled": true})).await;
    let before = app.now(&row).await;
    let failed = app.release("owner", release_of(&row)).await.expect(207).body["failed"][0].clone();
    assert_eq!((&failed["problem"]["code"], &failed["problem"]["status"]), (&json!("number_locked"), &json!(409)));
    assert!(failed["error"].as_str().unwrap().contains("deletion lock"));
    let after = app.now(&row).await;
    for name in ["status", "is_active", "agent_mapping_id"] {
        assert_eq!(after[name], before[name], "{name}");
    }
    assert_eq!(only_finding(&app).await.0, "release_refused");
    by_hand(&app, &row["phone_number"], json!({"deletion_lock_enabled": false})).await;
    app.release("owner", release_of(&row)).await.expect(200);
    balance(&app).await;
}
