//! Warming: what a function reads and connects to before its first request.

use std::fs;
use std::time::Duration;

use dev::lambda::functions::{self, Logs};
use dev::lambda::template::Template;
use dev::postgres::TestDatabase;
use dev::secrets_manager::{SecretResponse, SecretsManager};
use dev::stack::{Options, Stack};
use dev::{demo, loopback, workspace};
use lambda_http::http::Method;
use phone_numbers_search::Search;
use serde_json::Value;

use crate::boundary::secrets::{PLATFORM, secrets_manager};
use crate::support::app::{TestApp, in_virtual_time, send};

const SEARCH: &str = "country_code=US&limit=1";

/// An app with all secrets in Secrets Manager, and that Secrets Manager.
async fn app() -> (TestApp, SecretsManager) {
    let mut app = TestApp::new().await;
    let manager = secrets_manager(&mut app).await;
    manager.set_text("the database", app.database.url());
    manager.set_text("the tokens", &app.issuer.secret);
    manager.set_text(PLATFORM, app.telnyx.api_key());
    let settings = [("DATABASE_URL", ""), ("DATABASE_SECRET_ID", "the database"), ("JWT_SECRET", ""), ("JWT_SECRET_ID", "the tokens")];
    for (name, value) in settings {
        app.set(name, value);
    }
    (app, manager)
}

fn reads(manager: &SecretsManager) -> [usize; 3] {
    ["the database", "the tokens", PLATFORM].map(|name| manager.reads(name))
}

#[tokio::test]
async fn a_function_fetches_its_secrets_and_connects_before_its_first_request() {
    let (app, manager) = app().await;
    let function = app.function::<Search>();
    function.warm().await;
    assert_eq!(reads(&manager), [1, 1, 1]);
    let sql = "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'phone-numbers'";
    assert_eq!(app.sql.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 1);
    send(&function, &app.token("owner"), Method::GET, SEARCH, None).await.expect(200);
    assert_eq!(reads(&manager), [1, 1, 1]);
    assert_eq!(app.sql.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 1);
}

#[tokio::test]
async fn what_does_not_answer_is_given_up_soon_and_keeps_nothing_else_from_being_fetched() {
    let (app, manager) = app().await;
    manager.set("the database", SecretResponse::Silence);
    let function = app.function::<Search>();
    let ((), took) = in_virtual_time(function.warm()).await;
    // Lambda grants ten seconds.
    assert!(took < Duration::from_secs(6), "{took:?}");
    assert_eq!(reads(&manager), [1, 1, 1]);
    manager.set_text("the database", app.database.url());
    send(&function, &app.token("owner"), Method::GET, SEARCH, None).await.expect(200);
    assert_eq!(reads(&manager), [2, 1, 1]);
}

#[tokio::test]
async fn what_fails_is_fetched_by_the_first_request() {
    let (app, manager) = app().await;
    for name in ["the database", "the tokens", PLATFORM] {
        manager.set(name, SecretResponse::Error(400, "AccessDeniedException"));
    }
    let function = app.function::<Search>();
    function.warm().await;
    manager.set_text("the database", app.database.url());
    manager.set_text("the tokens", &app.issuer.secret);
    manager.set_text(PLATFORM, app.telnyx.api_key());
    send(&function, &app.token("owner"), Method::GET, SEARCH, None).await.expect(200);
    assert_eq!(reads(&manager), [2, 2, 2]);
}

#[tokio::test]
async fn a_process_is_warm_before_it_takes_its_first_event() {
    let database = TestDatabase::migrated().await.unwrap();
    demo::seed(database.url()).await.unwrap();
    let mut template = Template::read(&workspace::root().join("template.yaml")).unwrap();
    template.functions.retain(|function| function.name == "phone-numbers-list");
    let programs = functions::build::build(&["phone-numbers-list"], false).await.unwrap();
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut options = Options::new(template, programs, database.url());
    options.logs = Logs::File(log.path().to_owned());
    let stack = Stack::start(options).await.unwrap();
    let owner = demo::USERS[0];
    let request =
        loopback::client().unwrap().get(&stack.routes()["phone-numbers-list"]).bearer_auth(stack.issuer().token(owner.id, owner.email));
    assert_eq!(request.send().await.unwrap().status(), 200);
    let text = fs::read_to_string(log.path()).unwrap();
    let messages: Vec<_> = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).collect();
    let messages: Vec<_> = messages.iter().filter_map(|line| line["message"].as_str().or(line["fields"]["message"].as_str())).collect();
    assert_eq!(messages, ["warmed up", "request answered"], "{text}");
    stack.stop().await;
}
