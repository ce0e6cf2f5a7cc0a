//! `phone-numbers-migrate`, which a deployment invokes before any other change.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use dev::lambda::functions::{Failure, Function, Launch, Logs, build};
use dev::lambda::runtime_api::RuntimeApi;
use dev::lambda::template::Definition;
use dev::migrations;
use dev::postgres::TestDatabase;
use dev::workspace;
use lambda_http::lambda_runtime::Diagnostic;
use lambda_http::{Context, LambdaEvent};
use phone_numbers_migrate::Migrate;
use serde_json::{Value, json};
use shared::config::Config;

fn migrate(database_url: &str) -> Migrate {
    Migrate::new(Config::read(|name| (name == "DATABASE_URL").then(|| database_url.to_owned())))
}

async fn invoke(migrate: &Migrate) -> Result<Vec<String>, Diagnostic> {
    Ok(migrate.handle(LambdaEvent::new(json!({}), Context::default())).await?.applied)
}

/// The names of the numbered files, in order.
fn names() -> Vec<String> {
    let files = fs::read_dir(workspace::root().join("sql")).unwrap().map(|file| file.unwrap().path());
    let mut names: Vec<_> = files.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.retain(|name| name.starts_with('V'));
    names.sort();
    names
}

/// A database with the platform's tables only.
async fn unmigrated() -> TestDatabase {
    let database = TestDatabase::empty().await.unwrap();
    migrations::platform(database.url()).await.unwrap();
    database
}

#[tokio::test]
async fn it_applies_every_migration_once() {
    let database = unmigrated().await;
    let migrate = migrate(database.url());
    assert_eq!(invoke(&migrate).await.unwrap(), names());
    assert_eq!(invoke(&migrate).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn two_deployments_at_once_do_not_collide() {
    let database = unmigrated().await;
    let (first, second) = (migrate(database.url()), migrate(database.url()));
    let (one, other) = tokio::join!(invoke(&first), invoke(&second));
    let mut applied = [one.unwrap(), other.unwrap()];
    applied.sort_by_key(Vec::len);
    assert_eq!(applied, [vec![], names()]);
}

#[tokio::test]
async fn a_migration_that_fails_fails_the_invocation_and_says_why() {
    let database = TestDatabase::empty().await.unwrap();
    let error = invoke(&migrate(database.url())).await.unwrap_err();
    assert_eq!(error.error_type, "MigrationFailed");
    assert!(error.error_message.contains("prelude.sql failed, and nothing was changed"), "{}", error.error_message);
    let tables = "select count(*) from pg_stat_user_tables";
    let left: i64 = database.connect().await.unwrap().query_one(tables, &[]).await.unwrap().get(0);
    assert_eq!(left, 0);
}

#[tokio::test]
async fn without_a_database_the_message_names_what_is_missing() {
    let error = invoke(&migrate("")).await.unwrap_err();
    assert!(error.error_message.contains("DATABASE_URL is not configured"), "{}", error.error_message);
    let nowhere = invoke(&migrate("postgres://nobody:hunter2@127.0.0.1:1/x?sslmode=disable")).await.unwrap_err();
    assert!(nowhere.error_message.contains("Connection refused"), "{}", nowhere.error_message);
    assert!(!nowhere.error_message.contains("hunter2"), "{}", nowhere.error_message);
}

#[tokio::test]
async fn with_a_setting_that_cannot_be_used_it_fails_and_names_the_setting() {
    let migrate = Migrate::new(Config::read(|name| (name == "DATABASE_TIMEOUT_MS").then(|| "8 s".to_owned())));
    let message = invoke(&migrate).await.unwrap_err().error_message;
    assert!(message.contains("DATABASE_TIMEOUT_MS must be a whole number from 100 to 900000"), "{message}");
}

#[tokio::test]
async fn the_binary_is_invoked_with_an_empty_object_and_nothing_else() {
    let database = unmigrated().await;
    let name = "phone-numbers-migrate";
    let program = build::build(&[name], false).await.unwrap()[name].clone();
    let environment = [("DATABASE_URL".to_owned(), database.url().to_owned())].into();
    let definition = Definition {
        name: name.to_owned(),
        resource: "PhoneNumbersMigrateFunction".to_owned(),
        timeout: Duration::from_mins(1),
        memory_mb: 256,
        routes: Vec::new(),
        is_scheduled: false,
    };
    let launch = Launch { program, environment, logs: Logs::File("/dev/null".into()) };
    let function = Function::new(definition, launch, 1, Arc::new(RuntimeApi::start().await.unwrap()));
    let refused = function.invoke("1".to_owned(), Bytes::from_static(br#"{"version":"2.0"}"#)).await;
    assert_eq!(refused, Err(Failure::Reported));
    let answer: Value = serde_json::from_slice(&function.invoke("2".to_owned(), Bytes::from_static(b"{}")).await.unwrap()).unwrap();
    assert_eq!(answer, json!({"applied": names()}));
    function.stop().await;
}
