//! Migrations: all or nothing, once.

use dev::migrations::{self, Migration};
use dev::postgres::TestDatabase;
use tokio_postgres::Client;

const FIRST: Migration = Migration { name: "V01__first", sql: "create table first (id int);" };
const SECOND: Migration = Migration { name: "V02__second", sql: "create table second (id int);" };
const THIRD: Migration = Migration { name: "V03__third", sql: "create table third (id int);" };

async fn apply(client: &mut Client, migrations: &[Migration]) -> Vec<String> {
    migrations::apply(client, migrations).await.unwrap()
}

/// Asserts that migrations that contradict the applied ones are refused: the message.
async fn refusal(client: &mut Client, migrations: &[Migration]) -> String {
    let before = tables(client).await;
    let error = format!("{:#}", migrations::apply(client, migrations).await.unwrap_err());
    assert!(error.contains("nothing was changed"), "{error}");
    assert_eq!(tables(client).await, before);
    error
}

async fn tables(client: &Client) -> Vec<String> {
    let rows = client.query("select relname::text from pg_stat_user_tables order by relname", &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn migrations_are_applied_once_and_recorded() {
    let database = TestDatabase::empty().await.unwrap();
    let mut client = database.connect().await.unwrap();
    assert_eq!(apply(&mut client, &[FIRST]).await, ["V01__first"]);
    assert_eq!(apply(&mut client, &[FIRST, SECOND]).await, ["V02__second"]);
    assert!(apply(&mut client, &[FIRST, SECOND]).await.is_empty());
    assert_eq!(tables(&client).await, ["first", "phone_number_migrations", "second"]);
}

#[tokio::test]
async fn a_migration_that_fails_changes_nothing_and_is_named() {
    let database = TestDatabase::empty().await.unwrap();
    let mut client = database.connect().await.unwrap();
    let wrong = Migration { name: "V02__wrong", sql: "create table other (id int);\n\ninsert into nowhere values (1);" };
    let error = refusal(&mut client, &[FIRST, wrong]).await;
    assert!(error.contains("V02__wrong.sql, line 3"), "{error}");
    assert!(error.contains("relation \"nowhere\" does not exist (42P01)"), "{error}");
    assert!(tables(&client).await.is_empty());
}

#[tokio::test]
async fn an_edited_file_is_refused() {
    let database = TestDatabase::empty().await.unwrap();
    let mut client = database.connect().await.unwrap();
    apply(&mut client, &[FIRST]).await;
    let edited = Migration { sql: "create table first (id bigint);", ..FIRST };
    let error = refusal(&mut client, &[edited, SECOND]).await;
    assert!(error.contains("V01__first was edited after it was applied"), "{error}");
}

#[tokio::test]
async fn a_database_of_a_newer_release_is_refused() {
    let database = TestDatabase::empty().await.unwrap();
    let mut client = database.connect().await.unwrap();
    apply(&mut client, &[FIRST, SECOND]).await;
    let error = refusal(&mut client, &[FIRST]).await;
    assert!(error.contains("this database has V02__second, which is newer than the files"), "{error}");
}

#[tokio::test]
async fn a_file_before_one_that_was_applied_is_refused() {
    let database = TestDatabase::empty().await.unwrap();
    let mut client = database.connect().await.unwrap();
    apply(&mut client, &[FIRST, THIRD]).await;
    let error = refusal(&mut client, &[FIRST, SECOND, THIRD]).await;
    assert!(error.contains("this database has V03__third where the files have V02__second"), "{error}");
}

#[tokio::test]
async fn two_migrators_at_once_do_not_collide() {
    let database = TestDatabase::empty().await.unwrap();
    let mut first = database.connect().await.unwrap();
    let mut second = database.connect().await.unwrap();
    let (one, other) = tokio::join!(apply(&mut first, &[FIRST]), apply(&mut second, &[FIRST]));
    assert_eq!(one.len() + other.len(), 1);
}

#[tokio::test]
async fn the_product_migrates_twice_and_its_stand_in_too() {
    let database = TestDatabase::migrated().await.unwrap();
    migrations::platform(database.url()).await.unwrap();
    assert!(migrations::run(database.url(), None).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_session_keeps_its_search_path() {
    let database = TestDatabase::empty().await.unwrap();
    migrations::platform(database.url()).await.unwrap();
    let mut client = database.connect().await.unwrap();
    client.batch_execute("set search_path = pg_catalog, public").await.unwrap();
    phone_numbers_migrate::migrations::run(&mut client).await.unwrap();
    let path: String = client.query_one("show search_path", &[]).await.unwrap().get(0);
    assert_eq!(path, "pg_catalog, public");
}
