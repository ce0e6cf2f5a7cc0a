//! Migrations on databases with existing objects.

use std::fs;

use dev::postgres::TestDatabase;
use dev::{migrations, workspace};
use tokio_postgres::Client;

use super::lines;

/// The prelude, then the numbered files in the order of their names, as one session of psql runs them.
fn files() -> Vec<String> {
    let entries = fs::read_dir(workspace::root().join("sql")).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with('V'));
    paths.sort();
    paths.insert(0, workspace::root().join("sql/prelude.sql"));
    paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// Creates the platform's table with its documented objects, without our trigger.
fn documented() -> String {
    files()[..3].concat() + "drop function agency_phone_numbers_agent_same_agency() cascade"
}

/// A database with the platform's tables, what `setup` does to it, and no migration applied.
async fn platform_and(setup: &str) -> (TestDatabase, Client) {
    let database = TestDatabase::empty().await.unwrap();
    migrations::platform(database.url()).await.unwrap();
    let client = database.connect().await.unwrap();
    client.batch_execute(setup).await.unwrap();
    (database, client)
}

/// Everything that migrations could change, as text.
pub(super) async fn everything(client: &Client) -> Vec<String> {
    lines(
        client,
        "select thing.kind, thing.name, thing.what, thing.how
         from (
           select c.relkind::text as kind,
                  c.relname::text as name,
                  regexp_replace(array_to_string(c.relacl, ' '), ' ?phone_numbers_\\w+=\\S+', '', 'g') as what,
                  coalesce(pg_get_viewdef(c.oid), '') as how
           from pg_class as c
           where c.relnamespace::regnamespace::text !~ '^pg_|^information_schema$' and c.relkind in ('r', 'v', 'S')
           union all
           select 'column', concat_ws('.', a.attrelid::regclass::text, a.attname), format_type(a.atttypid, a.atttypmod),
                  concat_ws(' ', a.attnum, a.attnotnull, pg_get_expr(d.adbin, d.adrelid))
           from pg_attribute as a
           join pg_class as c on c.oid = a.attrelid and c.relkind in ('r', 'v')
           left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
           where c.relnamespace::regnamespace::text !~ '^pg_|^information_schema$' and a.attnum > 0
           union all
           select 'constraint', c.conname, c.conrelid::regclass::text, pg_get_constraintdef(c.oid)
           from pg_constraint as c
           where c.connamespace::regnamespace::text !~ '^pg_|^information_schema$'
           union all
           select 'index', i.indexrelid::regclass::text, i.indrelid::regclass::text, pg_get_indexdef(i.indexrelid)
           from pg_index as i
           join pg_class as c on c.oid = i.indrelid
           where c.relnamespace::regnamespace::text !~ '^pg_|^information_schema$'
           union all
           select 'trigger', t.tgname, t.tgrelid::regclass::text, pg_get_triggerdef(t.oid)
           from pg_trigger as t
           where not t.tgisinternal
           union all
           select 'function', p.oid::regprocedure::text, concat_ws(' ', p.prosrc, p.prosecdef), concat_ws(' ', p.proconfig, p.proacl)
           from pg_proc as p
           where p.pronamespace::regnamespace::text !~ '^pg_|^information_schema$'
           union all
           select 'enum', e.enumtypid::regtype::text, e.enumlabel, e.enumsortorder::text
           from pg_enum as e
           union all
           select 'extension', e.extname, e.extnamespace::regnamespace::text, ''
           from pg_extension as e
         ) as thing
         order by thing",
    )
    .await
}

#[tokio::test]
async fn each_file_run_again_changes_nothing() {
    let database = TestDatabase::migrated().await.unwrap();
    let client = database.connect().await.unwrap();
    let before = everything(&client).await;
    for _ in 0..2 {
        for file in files() {
            client.batch_execute(&file).await.unwrap();
        }
    }
    assert_eq!(everything(&client).await, before);
}

#[tokio::test]
async fn the_files_alone_make_what_the_recorded_migrations_make() {
    let recorded = TestDatabase::migrated().await.unwrap();
    let (_database, plain) = platform_and("").await;
    for file in files() {
        plain.batch_execute(&file).await.unwrap();
    }
    let mut expected = everything(&recorded.connect().await.unwrap()).await;
    expected.retain(|line| !line.contains("phone_number_migrations"));
    assert_eq!(everything(&plain).await, expected);
}

#[tokio::test]
async fn objects_of_the_platform_are_used_as_they_are() {
    let (database, client) = platform_and(
        "create schema extensions;
         create extension \"uuid-ossp\" schema extensions;
         create type phone_number_status as enum ('active', 'inactive', 'pending', 'released');
         create function update_updated_at_column() returns trigger language plpgsql as
         'begin new.updated_at = clock_timestamp(); return new; end'",
    )
    .await;
    let before = everything(&client).await;
    migrations::run(database.url(), None).await.unwrap();
    let after = everything(&client).await;
    let lost: Vec<_> = before.iter().filter(|line| !after.contains(line)).collect();
    assert!(lost.is_empty(), "{lost:#?}");
    client
        .batch_execute(
            "insert into agencies (name, slug) values ('A', 'a');
             insert into agency_phone_numbers (agency_id, phone_number)
             select a.id, '+13125550100' from agencies as a",
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn a_uuid_function_without_the_extension_will_do() {
    let (database, client) =
        platform_and("create function uuid_generate_v4() returns uuid language sql as 'select gen_random_uuid()'").await;
    migrations::run(database.url(), None).await.unwrap();
    assert!(!everything(&client).await.iter().any(|line| line.starts_with("extension uuid-ossp")));
}

#[tokio::test]
async fn an_existing_table_keeps_its_rows_and_gets_what_it_lacks() {
    let (database, client) = platform_and("").await;
    client.batch_execute(&documented()).await.unwrap();
    let complete = everything(&client).await;
    client
        .batch_execute(
            "drop view v_agency_phone_numbers_with_agent;
             drop index idx_agency_phones_active;
             drop trigger update_agency_phone_numbers_updated_at on agency_phone_numbers;
             alter table agency_phone_numbers
               drop constraint agency_phone_numbers_phone_format,
               drop constraint agency_phone_numbers_agency_id_fkey,
               add column notes text;
             insert into agencies (name, slug) values ('A', 'a');
             insert into agency_phone_numbers (agency_id, phone_number, notes)
             select a.id, '+13125550100', 'ours for years' from agencies as a",
        )
        .await
        .unwrap();
    migrations::run(database.url(), None).await.unwrap();
    let after = everything(&client).await;
    let lost: Vec<_> = complete.iter().filter(|line| !after.contains(line)).collect();
    assert!(lost.is_empty(), "{lost:#?}");
    let rows = lines(&client, "select n.phone_number, n.notes from agency_phone_numbers as n").await;
    assert_eq!(rows, ["+13125550100 ours for years"]);
}

#[tokio::test]
async fn the_platform_comes_first() {
    let database = TestDatabase::empty().await.unwrap();
    let client = database.connect().await.unwrap();
    let error = migrations::run(database.url(), None).await.unwrap_err();
    let message = format!("{error:#}");
    assert!(message.contains("table agencies does not exist: the platform's tables come before"), "{message}");
    assert!(message.contains("run sql/platform.sql first"), "{message}");
    assert!(lines(&client, "select c.relname::text from pg_class as c where c.relname like '%phone%'").await.is_empty());
}

#[tokio::test]
async fn a_platform_without_what_only_some_functions_need_will_do() {
    let database = TestDatabase::empty().await.unwrap();
    let client = database.connect().await.unwrap();
    client
        .batch_execute(
            "create table agencies (id uuid primary key);
             create table agent_mappings (
               id uuid primary key,
               agency_id uuid,
               ultravox_agent_name text,
               voice text,
               language_hint text
             )",
        )
        .await
        .unwrap();
    assert!(!migrations::run(database.url(), None).await.unwrap().is_empty());
    // The table and its view serve without `users`, and without the columns that only some functions read.
    client
        .batch_execute(
            "insert into agencies (id) values ('0a000000-0000-4000-8000-000000000000');
             insert into agent_mappings (id, agency_id, ultravox_agent_name)
             values ('0a000000-0000-4000-8000-00000000000a', '0a000000-0000-4000-8000-000000000000', 'Ann');
             insert into agency_phone_numbers (agency_id, phone_number, agent_mapping_id)
             values (
               '0a000000-0000-4000-8000-000000000000', '+13125550100', '0a000000-0000-4000-8000-00000000000a'
             )",
        )
        .await
        .unwrap();
    let seen = "select phone_number::text || ' ' || ultravox_agent_name from v_agency_phone_numbers_with_agent";
    let seen: String = client.query_one(seen, &[]).await.unwrap().get(0);
    assert_eq!(seen, "+13125550100 Ann");
}

/// An existing object beside the platform's tables, and a part of the message about it.
const CONTRADICTIONS: [(&str, &str); 10] = [
    ("alter type call_direction add value 'both'", "enum call_direction: found inbound, outbound, both, expected inbound, outbound"),
    ("create domain phone_number_status as text", "enum phone_number_status: found a type without labels"),
    (
        "create function update_updated_at_column() returns integer language sql as 'select 1'",
        "function update_updated_at_column(): found one that is no trigger function",
    ),
    ("alter table agent_mappings drop column voice", "column agent_mappings.voice: found none, expected one"),
    ("create view agency_phone_numbers as select 1 as id", "agency_phone_numbers: found a view, expected a table"),
    (
        "create table agency_phone_numbers (id uuid primary key, phone_number text not null)",
        "column agency_phone_numbers.phone_number: found text not null, expected character varying(20) not null",
    ),
    ("create table idx_agency_phones_status ()", "index idx_agency_phones_status: found something that is no index, expected CREATE INDEX"),
    (
        "create view v_agency_phone_numbers_with_agent as select 1 as id",
        // The columns that are missing follow in no particular order.
        "view v_agency_phone_numbers_with_agent: found one without ",
    ),
    ("create table phone_number_purchases (id uuid)", "found phone_number_purchases without order_id uuid, agency_id uuid,"),
    ("create table phone_number_releases (id text)", "found phone_number_releases without id uuid, agency_id uuid,"),
];

#[tokio::test]
async fn a_contradiction_stops_the_migrations_and_nothing_is_changed() {
    for (setup, expected) in CONTRADICTIONS {
        let (database, client) = platform_and(setup).await;
        let before = everything(&client).await;
        let message = format!("{:#}", migrations::run(database.url(), None).await.unwrap_err());
        assert!(message.contains(expected), "{setup}: {message}");
        assert!(message.contains("which has changed nothing"), "{message}");
        assert_eq!(everything(&client).await, before, "{setup}");
    }
}

/// A change of the documented table, and a part of the message about it.
const ALTERATIONS: [(&str, &str); 11] = [
    (
        "alter table agency_phone_numbers alter status set default 'active'",
        "column agency_phone_numbers.status: found phone_number_status default 'active'::phone_number_status not null, \
         expected phone_number_status default 'pending'::phone_number_status not null",
    ),
    (
        "alter table agency_phone_numbers alter friendly_name set not null",
        "column agency_phone_numbers.friendly_name: found character varying(255) not null, expected character varying(255)",
    ),
    (
        "alter table agency_phone_numbers rename setup_cost to upfront_cost",
        "column agency_phone_numbers.setup_cost: found none, expected numeric(10,4)",
    ),
    ("alter table agency_phone_numbers add tenant text not null", "column agency_phone_numbers.tenant: found not null without a default"),
    (
        "alter table agency_phone_numbers rename constraint agency_phone_numbers_phone_unique to one_number",
        "constraint of agency_phone_numbers: found one_number UNIQUE (phone_number), \
         expected agency_phone_numbers_phone_unique UNIQUE (phone_number)",
    ),
    (
        "alter table agency_phone_numbers
           drop constraint agency_phone_numbers_agency_id_fkey,
           add constraint agency_phone_numbers_agency_id_fkey foreign key (agency_id) references agencies",
        "found agency_phone_numbers_agency_id_fkey FOREIGN KEY (agency_id) REFERENCES agencies(id), expected",
    ),
    (
        "alter table agency_phone_numbers
           drop constraint agency_phone_numbers_pkey,
           add constraint by_number primary key (phone_number)",
        "found by_number PRIMARY KEY (phone_number), expected agency_phone_numbers_pkey PRIMARY KEY (id)",
    ),
    (
        "alter table agency_phone_numbers
           drop constraint agency_phone_numbers_phone_format,
           add constraint agency_phone_numbers_phone_format check (phone_number like '+%')",
        "found agency_phone_numbers_phone_format CHECK (((phone_number)::text ~~ '+%'::text)), expected",
    ),
    (
        "drop index idx_agency_phones_active; create index idx_agency_phones_active on agency_phone_numbers (is_active)",
        "index idx_agency_phones_active: found CREATE INDEX",
    ),
    (
        "drop trigger update_agency_phone_numbers_updated_at on agency_phone_numbers;
         create trigger update_agency_phone_numbers_updated_at after update on agency_phone_numbers
         for each row execute function update_updated_at_column()",
        "expected BEFORE UPDATE FOR EACH ROW EXECUTE FUNCTION update_updated_at_column()",
    ),
    (
        "insert into agencies (id, name, slug)
         values ('0a000000-0000-4000-8000-000000000000', 'A', 'a'), ('0b000000-0000-4000-8000-000000000000', 'B', 'b');
         insert into agent_mappings (id, agency_id, ultravox_agent_id)
         values ('0b000000-0000-4000-8000-00000000000a', '0b000000-0000-4000-8000-000000000000', 'two');
         insert into agency_phone_numbers (id, agency_id, phone_number, agent_mapping_id)
         values ('0a000000-0000-4000-8000-000000000001', '0a000000-0000-4000-8000-000000000000', '+13125550100',
                 '0b000000-0000-4000-8000-00000000000a')",
        "carry an agent of another agency; the migration has changed nothing: 0a000000-0000-4000-8000-000000000001",
    ),
];

#[tokio::test]
async fn an_existing_table_that_differs_stops_the_migrations_and_nothing_is_changed() {
    for (setup, expected) in ALTERATIONS {
        let (database, client) = platform_and(&documented()).await;
        client.batch_execute(setup).await.unwrap();
        let before = everything(&client).await;
        let message = format!("{:#}", migrations::run(database.url(), None).await.unwrap_err());
        assert!(message.contains(expected), "{setup}: {message}");
        assert!(message.contains("has changed nothing"), "{message}");
        assert_eq!(everything(&client).await, before, "{setup}");
    }
}

#[tokio::test]
async fn every_contradiction_is_named_at_once() {
    let (database, _client) = platform_and(
        "alter type call_direction add value 'both';
         create table agency_phone_numbers (id integer)",
    )
    .await;
    let message = format!("{:#}", migrations::run(database.url(), None).await.unwrap_err());
    for name in ["enum call_direction", "agency_phone_numbers.id", "agency_phone_numbers.updated_at"] {
        assert!(message.contains(name), "{message}");
    }
}
