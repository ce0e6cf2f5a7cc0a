//! A number that Telnyx moves to another account of its agency: the ledger records the new account, once.

use dev::demo;
use serde_json::{Value, json};
use shared::store::Adoption;

use crate::boundary::secrets::PLATFORM;
use crate::support::accounts::{OWN, OWN_KEY, keep_own_key, moved_to_own, own_account, own_secret, two_accounts};
use crate::support::actions::{assigned, balance, by_hand, only_finding, release_of, removed_by_hand};
use crate::support::app::TestApp;

/// The events of a row, without those of its purchase and its agent.
async fn reconciled(app: &TestApp, row: &Value) -> Vec<Value> {
    app.history(row).await.into_iter().filter(|entry| entry["event"] == "reconciled").collect()
}

/// The account of a number in the ledger.
async fn account_of(app: &TestApp, row: &Value) -> Value {
    app.purchase_of(&row["phone_number"]).await["telnyx_account"].clone()
}

#[tokio::test]
async fn a_number_that_was_moved_is_followed_once() {
    let (app, secrets_manager) = two_accounts().await;
    let (row, other) = (assigned(&app).await, assigned(&app).await);
    keep_own_key(&secrets_manager);
    app.reconcile().await;
    moved_to_own(&app, &row["phone_number"]).await;
    for _ in 0..6 {
        app.reconcile().await;
    }
    assert_eq!(account_of(&app, &row).await, json!(own_account()));
    assert_eq!(account_of(&app, &other).await, "platform");
    let history = reconciled(&app, &row).await;
    assert_eq!(history.len(), 1, "{history:#?}");
    assert_eq!(history[0]["changes"].as_object().unwrap().keys().collect::<Vec<_>>(), ["phone_number_id"]);
    let now = app.now(&row).await;
    assert_eq!((&now["status"], &now["agent_mapping_id"]), (&json!("active"), &row["agent_mapping_id"]));
    assert!(app.findings().await.is_empty());
    balance(&app).await;
    app.release("owner", release_of(&row)).await.expect(200);
    assert_eq!(app.billed().await.len(), 1);
}

#[tokio::test]
async fn a_number_that_was_switched_off_before_it_is_found_elsewhere_is_switched_on_again() {
    let (app, secrets_manager) = two_accounts().await;
    let row = assigned(&app).await;
    moved_to_own(&app, &row["phone_number"]).await;
    // The agency's own account is not known yet.
    for _ in 0..3 {
        app.reconcile().await;
    }
    assert_eq!(app.now(&row).await["status"], "inactive");
    keep_own_key(&secrets_manager);
    for _ in 0..3 {
        app.reconcile().await;
    }
    assert_eq!((app.now(&row).await["status"].clone(), account_of(&app, &row).await), (json!("active"), json!(own_account())));
    assert_eq!(reconciled(&app, &row).await.len(), 2);
    balance(&app).await;
}

#[tokio::test]
async fn a_number_is_not_followed_while_its_own_account_has_it_or_cannot_be_asked() {
    let (app, secrets_manager) = two_accounts().await;
    let row = assigned(&app).await;
    keep_own_key(&secrets_manager);
    let id = row["phone_number_id"].as_str().unwrap();
    moved_to_own(&app, &row["phone_number"]).await;
    for fault in [json!({"status": 500}), json!({"status": 429}), json!({"status": 403})] {
        let mut fault = fault;
        fault.as_object_mut().unwrap().extend(
            json!({"method": "GET", "path_prefix": format!("/v2/phone_numbers/{id}"), "kind": "status", "times": 1_000})
                .as_object()
                .unwrap()
                .clone(),
        );
        app.fault(fault).await;
        for _ in 0..3 {
            app.reconcile().await;
        }
        crate::support::actions::clear_faults(&app).await;
        assert_eq!((account_of(&app, &row).await, app.now(&row).await["status"].clone()), (json!("platform"), json!("active")));
    }
    assert!(app.findings().await.is_empty());
    app.reconcile().await;
    assert_eq!(account_of(&app, &row).await, json!(own_account()));
}

#[tokio::test]
async fn a_number_whose_old_accounts_key_is_gone_is_followed_when_an_operator_says_so() {
    let (app, secrets_manager) = two_accounts().await;
    keep_own_key(&secrets_manager);
    let row = assigned(&app).await;
    by_hand(&app, &row["phone_number"], json!({"account": "default"})).await;
    secrets_manager.remove(&own_secret());
    for _ in 0..3 {
        app.reconcile().await;
    }
    assert_eq!(app.now(&row).await["status"], "active");
    let open = app.store().open_findings().await.unwrap();
    let moved = open.iter().find(|finding| finding.observation.kind.as_str() == "number_moved").unwrap();
    assert_eq!((moved.observation.account.as_str(), moved.observation.number.as_deref()), ("platform", row["phone_number"].as_str()));
    assert_eq!(app.store().adopt_finding(moved.id, None, None).await.unwrap(), Adoption::Moved);
    assert_eq!(account_of(&app, &row).await, "platform");
    app.release("owner", release_of(&row)).await.expect(200);
    assert!(app.billed().await.is_empty());
    app.reconcile().await;
    balance(&app).await;
}

#[tokio::test]
async fn a_number_that_another_account_has_for_nobody_is_neither_switched_off_nor_followed() {
    let (app, secrets_manager) = two_accounts().await;
    let row = assigned(&app).await;
    keep_own_key(&secrets_manager);
    by_hand(&app, &row["phone_number"], json!({"account": OWN, "customer_reference": null})).await;
    for _ in 0..4 {
        app.reconcile().await;
    }
    assert_eq!((app.now(&row).await["status"].clone(), account_of(&app, &row).await), (json!("active"), json!("platform")));
    let open = app.store().open_findings().await.unwrap();
    let moved: Vec<_> = open.iter().filter(|finding| finding.observation.kind.as_str() == "number_moved").collect();
    assert_eq!(moved.len(), 1, "{open:#?}");
    assert_eq!(moved[0].observation.account, own_account());
    assert_eq!(app.store().adopt_finding(moved[0].id, None, None).await.unwrap(), Adoption::Moved);
    for _ in 0..3 {
        app.reconcile().await;
    }
    assert_eq!((app.now(&row).await["status"].clone(), account_of(&app, &row).await), (json!("active"), json!(own_account())));
    assert!(app.store().open_findings().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_finding_that_a_number_was_moved_ends_when_its_own_account_shows_it_again() {
    let (app, secrets_manager) = two_accounts().await;
    let row = assigned(&app).await;
    keep_own_key(&secrets_manager);
    by_hand(&app, &row["phone_number"], json!({"account": OWN, "customer_reference": null})).await;
    for _ in 0..3 {
        app.reconcile().await;
    }
    let reference = app.purchase_of(&row["phone_number"]).await["telnyx_reference"].clone();
    by_hand(&app, &row["phone_number"], json!({"account": "default", "customer_reference": reference})).await;
    for _ in 0..3 {
        app.reconcile().await;
    }
    assert!(app.store().open_findings().await.unwrap().is_empty());
    balance(&app).await;
}

#[tokio::test]
async fn two_names_of_one_account_are_a_finding_and_move_nothing() {
    let (app, secrets_manager) = two_accounts().await;
    let row = assigned(&app).await;
    // Two secrets with one key; then another key of the same account.
    let platform = app.telnyx.api_key().to_owned();
    app.telnyx_settings(json!({"accounts": {"default": [platform, "KEYSECOND"], OWN: OWN_KEY}})).await;
    for key in [platform.as_str(), "KEYSECOND"] {
        secrets_manager.set_text(&own_secret(), key);
        for _ in 0..4 {
            app.reconcile().await;
        }
        assert_eq!(account_of(&app, &row).await, "platform");
        assert!(reconciled(&app, &row).await.is_empty());
        let open = app.store().open_findings().await.unwrap();
        assert_eq!(open.len(), 1, "{open:#?}");
        assert_eq!((open[0].observation.kind.as_str(), open[0].observation.account.as_str()), ("same_account", own_account().as_str()));
        assert!(open[0].observation.detail.contains("platform"), "{open:#?}");
        assert_eq!(app.store().adopt_finding(open[0].id, None, None).await.unwrap(), Adoption::NothingToDo);
    }
    keep_own_key(&secrets_manager);
    for _ in 0..3 {
        app.reconcile().await;
    }
    assert!(app.store().open_findings().await.unwrap().is_empty());
    secrets_manager.set_text(PLATFORM, &platform);
    balance(&app).await;
}

#[tokio::test]
async fn a_number_that_went_to_an_account_of_another_agency_is_not_followed_there() {
    let (app, secrets_manager) = two_accounts().await;
    let row = assigned(&app).await;
    secrets_manager.set_text(&format!("telnyx/{}", demo::OTHER.id), OWN_KEY);
    moved_to_own(&app, &row["phone_number"]).await;
    for _ in 0..4 {
        app.reconcile().await;
    }
    assert_eq!(account_of(&app, &row).await, "platform");
    let (kind, account, number) = only_finding(&app).await;
    assert_eq!((kind.as_str(), account), ("unproven_claim", format!("agency:{}", demo::OTHER.id)));
    assert_eq!(number, row["phone_number"]);
    assert_eq!(app.now(&row).await["status"], "inactive", "it takes no calls for this agency");
    removed_by_hand(&app, &format!("numbers/{}", row["phone_number"].as_str().unwrap())).await;
}
