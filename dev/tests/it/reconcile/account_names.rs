//! The ledger's names of accounts do not depend on the secrets that hold their keys.

use dev::demo;
use serde_json::{Value, json};

use crate::boundary::secrets::{PLATFORM, secrets_manager};
use crate::support::actions::{assigned, balance, order_of, release_of, unsold};
use crate::support::app::TestApp;

/// The accounts that the ledger names.
async fn named(app: &TestApp) -> Vec<String> {
    app.store().account_names().await.unwrap()
}

/// Renames an account in the ledger to the name of its secret, as in earlier versions.
async fn call_by_secret(app: &TestApp, from: &str, to: &str) {
    app.execute(&format!(
        "update phone_number_purchases set telnyx_account = '{to}' where telnyx_account = '{from}';
             update phone_number_inventory_walks set telnyx_account = '{to}' where telnyx_account = '{from}';
             update phone_number_findings set telnyx_account = '{to}' where telnyx_account = '{from}'"
    ))
    .await;
}

#[tokio::test]
async fn a_key_that_moves_to_another_secret_strands_nothing() {
    let mut app = TestApp::new().await;
    let row = assigned(&app).await;
    // The key moves from the environment to Secrets Manager, and from one secret to another.
    let secrets_manager = secrets_manager(&mut app).await;
    secrets_manager.set_text(PLATFORM, app.telnyx.api_key());
    let second = assigned(&app).await;
    secrets_manager.set_text("renamed", app.telnyx.api_key());
    app.set("TELNYX_PLATFORM_SECRET_ID", "renamed");
    for row in [row, second] {
        app.release("owner", release_of(&row)).await.expect(200);
    }
    assert!(app.billed().await.is_empty());
    balance(&app).await;
}

#[tokio::test]
async fn both_forms_of_a_name_are_read_and_the_schedule_leaves_the_new_one() {
    for by_secret in ["env:TELNYX_API_KEY", PLATFORM] {
        let mut app = TestApp::new().await;
        let secrets_manager = secrets_manager(&mut app).await;
        secrets_manager.set_text(PLATFORM, app.telnyx.api_key());
        let (row, other) = (assigned(&app).await, assigned(&app).await);
        app.reconcile().await;
        call_by_secret(&app, "platform", by_secret).await;
        app.release("owner", release_of(&row)).await.expect(200);
        app.reconcile().await;
        assert_eq!(named(&app).await, ["platform"]);
        app.release("owner", release_of(&other)).await.expect(200);
        assert!(app.billed().await.is_empty());
    }
}

#[tokio::test]
async fn an_agencys_own_account_is_known_by_its_secrets_name() {
    let mut app = TestApp::new().await;
    app.telnyx_settings(json!({"accounts": {"their own": "KEYTHEIROWN"}})).await;
    let secrets_manager = secrets_manager(&mut app).await;
    let secret = format!("telnyx/{}", demo::DEMO.id);
    secrets_manager.set_text(&secret, "KEYTHEIROWN");
    let row = assigned(&app).await;
    call_by_secret(&app, &format!("agency:{}", demo::DEMO.id), &secret).await;
    app.reconcile().await;
    assert_eq!(named(&app).await, [format!("agency:{}", demo::DEMO.id)]);
    app.release("owner", release_of(&row)).await.expect(200);
    balance(&app).await;
}

#[tokio::test]
async fn a_name_that_the_settings_do_not_name_stays_until_an_operator_renames_it() {
    let mut app = TestApp::new().await;
    let secrets_manager = secrets_manager(&mut app).await;
    secrets_manager.set_text(PLATFORM, app.telnyx.api_key());
    let row = assigned(&app).await;
    call_by_secret(&app, "platform", "a secret of old").await;
    app.reconcile().await;
    assert!(named(&app).await.contains(&"a secret of old".to_owned()));
    let failed = app.release("owner", release_of(&row)).await.expect(207).body["failed"][0].clone();
    assert_eq!(failed["problem"]["code"], "unavailable", "its key is not to be had");
    assert_eq!(app.store().rename_account("a secret of old", "platform").await.unwrap(), 1);
    app.release("owner", release_of(&row)).await.expect(200);
    balance(&app).await;
}

#[tokio::test]
async fn walks_that_collide_are_dropped_and_findings_are_merged() {
    let app = TestApp::new().await;
    let number = json!(unsold(&app).await);
    let reference = format!("pn:{}:{}:{}", dev::migrations::DEPLOYMENT, uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
    crate::reconcile::reconcile_inventory::appear(&app, &number, &reference).await;
    let open = async |app: &TestApp| app.findings().await.into_iter().filter(|finding| finding["state"] == "open").count();
    app.reconcile().await;
    call_by_secret(&app, "platform", "a secret of old").await;
    app.reconcile().await;
    assert_eq!((open(&app).await, app.walks().await.len()), (2, 2), "each name has a finding of its own");
    app.store().rename_account("a secret of old", "platform").await.unwrap();
    assert_eq!((open(&app).await, app.walks().await.len(), named(&app).await), (1, 1, vec!["platform".to_owned()]));
    app.reconcile().await;
    assert_eq!(open(&app).await, 1);
}

#[tokio::test]
async fn an_account_is_renamed_at_the_command_line() {
    let app = TestApp::new().await;
    let row: Value = assigned(&app).await;
    call_by_secret(&app, "platform", "a secret of old").await;
    let run = |arguments: &[&str]| crate::stack::dev(&[arguments, &["--database-url", app.database.url()]].concat());
    assert_eq!(String::from_utf8(run(&["accounts"]).stdout).unwrap(), "a secret of old\n");
    assert!(!run(&["accounts", "rename", "nobody", "platform"]).status.success());
    assert!(!run(&["accounts", "rename", "a secret of old", "another secret"]).status.success());
    assert!(run(&["accounts", "rename", "a secret of old", "platform"]).status.success());
    app.release("owner", release_of(&row)).await.expect(200);
    let again = app.purchase("owner", order_of(row["phone_number"].as_str().unwrap())).await.expect(200);
    assert_eq!(again.number()["status"], "active");
    assert_eq!(String::from_utf8(run(&["deployment"]).stdout).unwrap(), "dev\n");
    assert!(run(&["deployment", "rename", "staging"]).status.success());
    assert_eq!(String::from_utf8(run(&["deployment"]).stdout).unwrap(), "staging\n");
}
