//! Migrations: all or nothing, once.

use dev::migrations;
use dev::postgres::TestDatabase;
use refinery::{Migration, Runner};
use tokio_postgres::Client;

fn runner(migrations: &[(&str, &str)]) -> Runner {
    let parse = |&(name, sql): &(&str, &str)| Migration::unapplied(name, sql).unwrap();
    Runner::new(&migrations.iter().map(parse).collect::<Vec<_>>())
}

async fn tables(client: &Client) -> Vec<String> {
    let rows = client.query("select relname::text from pg_stat_user_tables order by relname", &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

const FIRST: (&str, &str) = ("V1__first", "create table first (id int);");
const SECOND: (&str, &str) = ("V2__second", "create table second (id int);");
const WRONG: (&str, &str) = ("V2__wrong", "create table other (id int);\n\ninsert into nowhere values (1);");

#[tokio::test]
async fn migrations_are_applied_once_and_recorded() {
    let database = TestDatabase::empty().await.unwrap();
    let mut client = database.connect().await.unwrap();
    assert_eq!(migrations::apply(&mut client, runner(&[FIRST])).await.unwrap(), ["V1__first"]);
    assert_eq!(migrations::apply(&mut client, runner(&[FIRST, SECOND])).await.unwrap(), ["V2__second"]);
    assert!(migrations::apply(&mut client, runner(&[FIRST, SECOND])).await.unwrap().is_empty());
    assert_eq!(tables(&client).await, ["first", "refinery_schema_history", "second"]);
}

#[tokio::test]
async fn a_migration_that_fails_changes_nothing_and_is_named() {
    let database = TestDatabase::empty().await.unwrap();
    let mut client = database.connect().await.unwrap();
    let error = format!("{:#}", migrations::apply(&mut client, runner(&[FIRST, WRONG])).await.unwrap_err());
    assert!(error.contains("V2__wrong, line 3"), "{error}");
    assert!(error.contains("relation \"nowhere\" does not exist (42P01)"), "{error}");
    assert!(tables(&client).await.is_empty());
}

#[tokio::test]
async fn a_changed_file_is_refused() {
    let database = TestDatabase::empty().await.unwrap();
    let mut client = database.connect().await.unwrap();
    migrations::apply(&mut client, runner(&[FIRST])).await.unwrap();
    let changed = runner(&[("V1__first", "create table first (id bigint);")]);
    let error = format!("{:#}", migrations::apply(&mut client, changed).await.unwrap_err());
    assert!(error.contains("does not fit the files"), "{error}");
}

#[tokio::test]
async fn two_migrators_at_once_do_not_collide() {
    let database = TestDatabase::empty().await.unwrap();
    let mut first = database.connect().await.unwrap();
    let mut second = database.connect().await.unwrap();
    let (one, other) = tokio::join!(migrations::apply(&mut first, runner(&[FIRST])), migrations::apply(&mut second, runner(&[FIRST])));
    assert_eq!(one.unwrap().len() + other.unwrap().len(), 1);
}

#[tokio::test]
async fn the_product_migrates_twice_and_its_stand_in_too() {
    let database = TestDatabase::migrated().await.unwrap();
    migrations::platform(database.url()).await.unwrap();
    assert!(migrations::run(database.url(), None).await.unwrap().is_empty());
}
