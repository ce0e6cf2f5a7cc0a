//! Databases of the earlier migrations, V1 to V12, recorded by the library refinery.

use dev::migrations;
use dev::postgres::TestDatabase;
use tokio_postgres::Client;

use super::existing::everything;
use super::{lines, two_agencies};

/// The names under which the earlier migrations are recorded.
const EARLIER: [&str; 12] = [
    "agency_phone_numbers",
    "agent_of_the_same_agency",
    "purchases",
    "releases",
    "history",
    "archive",
    "idempotency_keys",
    "purchases_by_anybody",
    "reconcile",
    "deployments_and_accounts",
    "idempotency_keys_list_purchases",
    "reconcile_at_scale",
];

/// The functions of the numbered files differ from those that the earlier migrations left.
const FUNCTIONS: &str = include_str!("../fixtures/earlier_functions.sql");

/// Removes from the tables of the earlier migrations what later files have added.
const WITHOUT_LATER_FILES: &str = "
drop table phone_number_counts cascade;
drop function agency_phone_numbers_count() cascade;
drop function agency_phone_numbers_archive_count() cascade;
drop function agency_phone_numbers_archive_created_at() cascade;
drop function phone_number_search_terms(uuid, text, text) cascade;
drop index idx_agency_phones_assigned_by_age, idx_agency_phones_unassigned_by_age, idx_agency_phones_agent_by_age;
alter table agency_phone_numbers_archive drop column created_at";

/// Replaces the record of the numbered files by that of `migrations`, the first of them as version 1.
async fn record(client: &Client, migrations: &[&str]) {
    client
        .batch_execute(
            "drop table if exists phone_number_migrations;
             create table refinery_schema_history (
               version int4 primary key,
               name varchar(255),
               applied_on varchar(255),
               checksum varchar(255)
             )",
        )
        .await
        .unwrap();
    let insert = "insert into refinery_schema_history (version, name, applied_on, checksum)
                  select m.version, m.name, '2026-01-02T03:04:05.678901234Z', '0'
                  from unnest($1::text[]) with ordinality as m (name, version)";
    client.execute(insert, &[&migrations]).await.unwrap();
}

/// A database as the last of the earlier migrations left it, with a number.
async fn last() -> (TestDatabase, Client) {
    let (database, client) = two_agencies().await;
    client.batch_execute(WITHOUT_LATER_FILES).await.unwrap();
    client.batch_execute(FUNCTIONS).await.unwrap();
    record(&client, &EARLIER).await;
    (database, client)
}

async fn migrate(database: &TestDatabase) -> Vec<String> {
    migrations::run(database.url(), None).await.unwrap()
}

/// Asserts that a database is refused and unchanged: the message.
async fn refusal(database: &TestDatabase, client: &Client) -> String {
    let before = everything(client).await;
    let error = format!("{:#}", migrations::run(database.url(), None).await.unwrap_err());
    assert!(error.contains("nothing was changed"), "{error}");
    assert_eq!(everything(client).await, before);
    error
}

#[tokio::test]
async fn the_last_earlier_version_is_recognised_and_recorded_as_the_files() {
    let (fresh, client) = two_agencies().await;
    client.batch_execute(WITHOUT_LATER_FILES).await.unwrap();
    client.batch_execute("delete from phone_number_migrations where name >= 'V11'").await.unwrap();
    assert!(!migrate(&fresh).await.is_empty());
    let expected = everything(&client).await;
    let (database, client) = last().await;
    let applied = migrate(&database).await;
    assert!(applied[0].starts_with("V01__"), "{applied:?}");
    assert_eq!(lines(&client, "select m.name from phone_number_migrations as m order by m.name").await, applied);
    assert_eq!(everything(&client).await, expected);
    assert_eq!(lines(&client, "select n.phone_number from agency_phone_numbers as n").await, ["+13125550100"]);
    assert!(migrate(&database).await.is_empty());
}

#[tokio::test]
async fn two_migrators_recognise_it_once() {
    let (database, _client) = last().await;
    let (one, other) = tokio::join!(migrate(&database), migrate(&database));
    assert!(one.is_empty() != other.is_empty(), "{one:?} {other:?}");
}

#[tokio::test]
async fn an_earlier_version_than_the_last_is_refused() {
    for version in [1, 11] {
        let (database, client) = two_agencies().await;
        record(&client, &EARLIER[..version]).await;
        let error = refusal(&database, &client).await;
        assert!(error.contains(&format!("this database is at V{version} of the earlier migrations")), "{error}");
        assert!(error.contains("Migrate it with the last release that has V12__reconcile_at_scale"), "{error}");
    }
}

#[tokio::test]
async fn a_difference_from_what_the_last_one_left_is_refused() {
    for (change, object) in [
        ("alter table agency_phone_numbers alter currency drop not null", "agency_phone_numbers"),
        ("alter table agency_phone_numbers drop constraint agency_phone_numbers_phone_format", "agency_phone_numbers"),
        ("drop index idx_agency_phones_status", "agency_phone_numbers"),
        ("alter table agency_phone_numbers disable trigger agency_phone_numbers_history", "agency_phone_numbers"),
        ("drop table phone_number_strangers", "phone_number_strangers"),
        ("alter table phone_number_sightings reset (fillfactor)", "phone_number_sightings"),
        ("alter table phone_number_findings add column severity text", "phone_number_findings"),
        ("alter table phone_number_findings drop column number_count", "phone_number_findings"),
        ("alter table phone_number_findings alter number_count drop default", "phone_number_findings"),
        ("alter table phone_number_releases alter caller_id type text", "phone_number_releases"),
        ("alter table phone_number_releases drop constraint phone_number_releases_phase_known", "phone_number_releases"),
        ("create index of_ours on phone_number_purchases (agency_id)", "phone_number_purchases"),
        ("drop trigger phone_number_history_is_append_only on phone_number_history", "phone_number_history"),
        ("alter function agency_phone_numbers_history() security invoker", "agency_phone_numbers_history"),
        (
            "create or replace function agency_phone_numbers_restore(record jsonb) returns uuid language sql as 'select null::uuid'",
            "agency_phone_numbers_restore",
        ),
    ] {
        let (database, client) = last().await;
        client.batch_execute(change).await.unwrap();
        let error = refusal(&database, &client).await;
        assert!(error.contains(&format!("differs from what V12 left: {object}; nothing was changed")), "{change}: {error}");
        assert!(error.contains("Undo the difference"), "{error}");
    }
}

#[tokio::test]
async fn what_the_platform_added_to_its_table_is_no_difference() {
    let (database, client) = last().await;
    client
        .batch_execute(
            "alter table agency_phone_numbers
               add column client_id uuid,
               add constraint agency_phone_numbers_client_id_fkey foreign key (client_id) references users (id);
             create index on agency_phone_numbers (client_id);
             comment on column phone_number_findings.detail is 'Said by reconcile.'",
        )
        .await
        .unwrap();
    assert!(!migrate(&database).await.is_empty());
}

#[tokio::test]
async fn the_record_of_another_program_is_left_alone() {
    for migrations in [&["users"][..], &[]] {
        let database = TestDatabase::empty().await.unwrap();
        migrations::platform(database.url()).await.unwrap();
        let client = database.connect().await.unwrap();
        record(&client, migrations).await;
        assert!(!migrate(&database).await.is_empty());
        assert_eq!(lines(&client, "select h.name from refinery_schema_history as h").await, migrations);
    }
}
