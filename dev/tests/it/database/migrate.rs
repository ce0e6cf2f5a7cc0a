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
use phone_numbers_migrate::requests::{Outcome, State};
use serde_json::{Value, json};
use shared::config::Config;
use uuid::Uuid;

fn migrate(database_url: &str) -> Migrate {
    Migrate::new(Config::read(|name| (name == "DATABASE_URL").then(|| database_url.to_owned())))
}

/// Sends an event to the function.
async fn send(migrate: &Migrate, event: Value) -> Result<Outcome, Diagnostic> {
    migrate.handle(LambdaEvent::new(event, Context::default())).await
}

/// Applies the migrations, and returns the names of those that the database lacked.
async fn invoke(migrate: &Migrate) -> Result<Vec<String>, Diagnostic> {
    match send(migrate, json!({})).await? {
        Outcome::Applied { applied } => Ok(applied),
        outcome => panic!("{outcome:?}"),
    }
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
async fn a_request_is_carried_out_once_and_another_invocation_reads_its_outcome() {
    let database = unmigrated().await;
    let migrate = migrate(database.url());
    let request = Uuid::new_v4();
    let unknown = Outcome::Open { state: State::Unknown };
    assert_eq!(send(&migrate, json!({"outcome": request})).await.unwrap(), unknown);
    let applied = Outcome::Applied { applied: names() };
    assert_eq!(send(&migrate, json!({"request": request})).await.unwrap(), applied);
    // Lambda delivers it again.
    assert_eq!(send(&migrate, json!({"request": request})).await.unwrap(), Outcome::Open { state: State::Running });
    assert_eq!(send(&migrate, json!({"outcome": request})).await.unwrap(), applied);
    assert_eq!(send(&migrate, json!({"outcome": Uuid::new_v4()})).await.unwrap(), unknown);
}

#[tokio::test]
async fn a_request_that_fails_records_why() {
    // Without the platform's tables.
    let database = TestDatabase::empty().await.unwrap();
    let migrate = migrate(database.url());
    let request = Uuid::new_v4();
    send(&migrate, json!({"request": request})).await.unwrap();
    match send(&migrate, json!({"outcome": request})).await.unwrap() {
        Outcome::Failed { error } => assert!(error.contains("prelude.sql failed, and nothing was changed"), "{error}"),
        outcome => panic!("{outcome:?}"),
    }
}

#[tokio::test]
async fn a_request_whose_invocation_ended_is_lost_and_one_behind_another_migrator_is_not() {
    let database = unmigrated().await;
    let migrate = migrate(database.url());
    let first = Uuid::new_v4();
    send(&migrate, json!({"request": first})).await.unwrap();
    let client = database.connect().await.unwrap();
    let stopped = "update phone_number_migration_requests set finished_at = null, requested_at = now() - interval '1 minute'";
    client.batch_execute(stopped).await.unwrap();
    // The lock of migrators.
    client.execute("select pg_advisory_lock($1)", &[&0x7068_6f6e_656e_i64]).await.unwrap();
    assert_eq!(send(&migrate, json!({"outcome": first})).await.unwrap(), Outcome::Open { state: State::Running });
    client.batch_execute("select pg_advisory_unlock_all()").await.unwrap();
    assert_eq!(send(&migrate, json!({"outcome": first})).await.unwrap(), Outcome::Open { state: State::Lost });
}

#[tokio::test]
async fn only_the_owner_has_rights_on_the_requests() {
    let database = unmigrated().await;
    send(&migrate(database.url()), json!({"request": Uuid::new_v4()})).await.unwrap();
    let granted = "select count(*) from information_schema.role_table_grants g
                   where g.table_name = 'phone_number_migration_requests' and g.grantee <> current_user";
    let granted: i64 = database.connect().await.unwrap().query_one(granted, &[]).await.unwrap().get(0);
    assert_eq!(granted, 0);
}

#[tokio::test]
async fn an_event_with_anything_else_is_refused() {
    let migrate = migrate("");
    let id = Uuid::new_v4();
    for event in [json!([]), json!({"request": "1"}), json!({"request": id, "outcome": id}), json!({"version": "2.0"}), json!(null)] {
        assert_eq!(send(&migrate, event.clone()).await.unwrap_err().error_type, "InvalidEvent", "{event}");
    }
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
