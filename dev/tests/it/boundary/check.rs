//! The check before traffic: a deployment asks each new version whether it can do its work.

use bytes::Bytes;
use dev::lambda::functions::Logs;
use dev::postgres::logins::Login;
use dev::secrets_manager::{SecretResponse, SecretsManager};
use phone_numbers_assign::Assign;
use phone_numbers_list::List;
use phone_numbers_purchase::Purchase;
use phone_numbers_release::Release;
use phone_numbers_search::Search;
use serde_json::{Value, json};
use shared::error::{Error, chain};
use shared::lambda::Function;
use tempfile::NamedTempFile;

use crate::boundary::secrets::{PLATFORM, secrets_manager};
use crate::support::app::TestApp;
use crate::support::product::{Product, web_functions};

/// The message of a check that does not pass.
#[track_caller]
fn refused(outcome: Result<(), Error>) -> String {
    let error = outcome.unwrap_err();
    assert_eq!(error.code(), "unavailable");
    chain(&error)
}

/// An app with all secrets in Secrets Manager, and that Secrets Manager.
async fn app_with_secrets() -> (TestApp, SecretsManager) {
    let mut app = TestApp::new().await;
    let manager = secrets_manager(&mut app).await;
    manager.set_text("the tokens", &app.issuer.secret);
    manager.set_text(PLATFORM, app.telnyx.api_key());
    app.set("JWT_SECRET", "");
    app.set("JWT_SECRET_ID", "the tokens");
    (app, manager)
}

#[tokio::test]
async fn each_function_passes_when_it_is_invoked_with_its_own_login() {
    let product = Product::start(&[]).await;
    for name in web_functions() {
        let event = Bytes::from(json!({"check": "dependencies"}).to_string());
        let answer = product.function(&name).invoke("a-check".to_owned(), event).await.unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap(), json!({"checked": "dependencies"}), "{name}");
    }
    let app = TestApp::new().await;
    app.reconciler().check().await.unwrap();
}

#[tokio::test]
async fn an_invocation_that_does_not_pass_fails_with_the_reason() {
    let log = NamedTempFile::new().unwrap();
    let path = log.path().to_owned();
    let product = Product::with(async move |options| {
        options.environment = [("JWT_ISSUER".to_owned(), String::new())].into();
        options.logs = Logs::File(path);
    })
    .await;
    let event = Bytes::from(json!({"check": "dependencies"}).to_string());
    product.function("phone-numbers-list").invoke("a-check".to_owned(), event).await.unwrap_err();
    let written = std::fs::read_to_string(log.path()).unwrap();
    let line = written.lines().find(|line| line.contains("check failed")).unwrap_or_else(|| panic!("{written}"));
    assert!(line.contains("JWT_ISSUER is not configured") && line.contains("a-check"), "{line}");
}

/// Checks a function with the login of others.
async fn with_login<F: Function>(login: Login) -> Result<(), Error> {
    let mut app = TestApp::new().await;
    let url = login.url(app.database.url()).unwrap();
    app.set("DATABASE_URL", &url);
    app.function::<F>().check().await
}

#[tokio::test]
async fn a_login_without_the_rights_of_the_function_does_not_pass() {
    assert_eq!(
        refused(with_login::<Search>(Login::Assign).await),
        "unavailable: the database login lacks rights: select on phone_number_counts; update on phone_number_search_rates"
    );
    assert!(refused(with_login::<Assign>(Login::Read).await).contains("update on agency_phone_numbers"));
    for outcome in [with_login::<Purchase>(Login::Read).await, with_login::<Release>(Login::Assign).await] {
        let reason = refused(outcome);
        assert!(reason.contains("insert on phone_number_purchases; insert on phone_number_releases"), "{reason}");
    }
}

#[tokio::test]
async fn a_database_without_the_tables_does_not_pass() {
    let app = TestApp::new().await;
    app.execute("alter table phone_number_search_rates rename to elsewhere").await;
    assert!(refused(app.function::<List>().check().await).contains("update on phone_number_search_rates"));
}

#[tokio::test]
async fn a_database_that_does_not_answer_does_not_pass() {
    let mut app = TestApp::new().await;
    let proxy = app.with_fault_proxy().await;
    proxy.refuse_connections();
    refused(app.function::<List>().check().await);
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_does_not_pass() {
    let (app, manager) = app_with_secrets().await;
    app.function::<Search>().check().await.unwrap();
    for name in ["the tokens", PLATFORM] {
        manager.set(name, SecretResponse::Error(400, "AccessDeniedException"));
        let reason = refused(app.function::<Search>().check().await);
        assert!(reason.contains(name) && reason.contains("AccessDeniedException"), "{reason}");
        manager.set_text("the tokens", &app.issuer.secret);
        manager.set_text(PLATFORM, app.telnyx.api_key());
    }
    manager.set_text("the tokens", "short");
    assert!(refused(app.function::<List>().check().await).contains("fewer than 32 bytes"));
}

#[tokio::test]
async fn a_platform_without_a_key_passes_because_each_agency_may_have_its_own() {
    let (app, manager) = app_with_secrets().await;
    manager.set(PLATFORM, SecretResponse::Error(400, "ResourceNotFoundException"));
    app.function::<Purchase>().check().await.unwrap();
}

#[tokio::test]
async fn an_issuer_whose_keys_cannot_be_fetched_does_not_pass() {
    let mut app = TestApp::new().await;
    app.set("JWT_SECRET", "");
    assert!(refused(app.function::<List>().check().await).contains("neither JWT_SECRET nor JWKS_URL"));
    // A port on which nothing listens.
    app.set("JWKS_URL", "http://127.0.0.1:1/keys");
    assert!(refused(app.function::<List>().check().await).contains("the issuer's keys cannot be fetched"));
}

#[tokio::test]
async fn only_what_changes_numbers_at_telnyx_minds_the_database_of_another_deployment() {
    let mut app = TestApp::new().await;
    app.set("DEPLOYMENT", "another");
    let purchase = app.function::<Purchase>().check().await;
    for outcome in [purchase, app.function::<Release>().check().await, app.reconciler().check().await] {
        assert!(refused(outcome).contains("the database belongs to the deployment"));
    }
    app.function::<List>().check().await.unwrap();
}

#[tokio::test]
async fn settings_that_cannot_be_used_do_not_pass() {
    let mut app = TestApp::new().await;
    app.set("DATABASE_TIMEOUT_MS", "soon");
    assert!(refused(app.function::<List>().check().await).contains("DATABASE_TIMEOUT_MS"));
    assert!(refused(app.reconciler().check().await).contains("DATABASE_TIMEOUT_MS"));
}
