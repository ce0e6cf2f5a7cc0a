//! The counts of each agency's rows: they are right for every way in which rows are written, and no writer waits for them.

use dev::invariants::wrong_counts;
use dev::migrations;
use dev::postgres::TestDatabase;
use tokio_postgres::Client;

/// A migrated database with two agencies, an agent each, and four rows of the first.
async fn database() -> (TestDatabase, Client) {
    let database = TestDatabase::migrated().await.unwrap();
    let sql = database.connect().await.unwrap();
    sql.batch_execute(
        "insert into agencies (id, name, slug)
         select ('0000000' || n || '-0000-4000-8000-000000000000')::uuid, n::text, n::text from generate_series(1, 2) n;
         insert into agent_mappings (id, agency_id, ultravox_agent_id)
         select a.id, a.id, 'agent' from agencies a;
         insert into agency_phone_numbers (agency_id, phone_number, status, agent_mapping_id, monthly_cost)
         select '00000001-0000-4000-8000-000000000000', '+1312555010' || s.n, s.status::phone_number_status, s.agent::uuid, s.cost
         from (values
           (1, 'pending', null, null), (2, 'active', '00000001-0000-4000-8000-000000000000', 1.5), (3, 'inactive', null, 2),
           (4, 'released', null, 8)
         ) s (n, status, agent, cost)",
    )
    .await
    .unwrap();
    (database, sql)
}

/// The counts of the first agency, without its currency.
async fn counts(sql: &Client) -> Vec<String> {
    let query = "\
select concat_ws(' ', sum(c.pending), sum(c.active), sum(c.inactive), sum(c.released), sum(c.assigned), sum(c.priced), sum(c.monthly_cost))
from phone_number_counts c
where c.agency_id = '00000001-0000-4000-8000-000000000000'
group by c.currency
order by c.currency";
    sql.query(query, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn the_counts_are_those_of_the_rows_whatever_is_written() {
    let (_database, sql) = database().await;
    assert_eq!(counts(&sql).await, ["1 1 1 1 1 2 3.5000"]);
    for write in [
        "update agency_phone_numbers set status = 'active' where status = 'pending'",
        "update agency_phone_numbers set agent_mapping_id = agency_id where agent_mapping_id is null",
        "update agency_phone_numbers set agent_mapping_id = null where status = 'inactive'",
        "update agency_phone_numbers set monthly_cost = null where monthly_cost = 2",
        "update agency_phone_numbers set currency = 'EUR' where status = 'active'",
        "update agency_phone_numbers set friendly_name = 'no count changes'",
        "update agency_phone_numbers set agency_id = '00000002-0000-4000-8000-000000000000', agent_mapping_id = null where currency = 'EUR'",
        "insert into agency_phone_numbers (agency_id, phone_number) select a.id, '+1415555010' || a.slug from agencies a",
        "insert into agency_phone_numbers (agency_id, phone_number) values ('00000001-0000-4000-8000-000000000000', '+14155550101')
         on conflict do nothing",
        "insert into agency_phone_numbers (agency_id, phone_number) values ('00000001-0000-4000-8000-000000000000', '+14155550101')
         on conflict (phone_number) do update set status = 'active'",
        "with vacated as (delete from agency_phone_numbers n where n.status = 'released' returning n.*)
         insert into agency_phone_numbers_archive (id, agency_id, phone_number, replaced_by, record)
         select v.id, v.agency_id, v.phone_number, v.id, to_jsonb(v) from vacated v",
        "update agency_phone_numbers_archive set record = record || '{\"currency\": \"EUR\"}'",
        "with restored as (delete from agency_phone_numbers_archive a returning a.record)
         select agency_phone_numbers_restore(r.record) from restored r",
        "delete from agent_mappings where agency_id = '00000001-0000-4000-8000-000000000000'",
        "delete from agency_phone_numbers where phone_number = '+13125550103'",
        "begin; delete from agency_phone_numbers; insert into agency_phone_numbers (agency_id, phone_number) select id, '+14155550109' from agencies limit 1; rollback",
        "delete from agencies where slug = '2'",
        "insert into agency_phone_numbers_archive (id, agency_id, phone_number, replaced_by, record)
         select n.id, n.agency_id, n.phone_number, n.id, to_jsonb(n) || '{\"status\": \"released\"}' from agency_phone_numbers n limit 1",
        "truncate agency_phone_numbers",
        "truncate agency_phone_numbers_archive",
    ] {
        sql.batch_execute(write).await.unwrap_or_else(|error| panic!("{write}: {:?}", error.as_db_error()));
        assert_eq!(wrong_counts(&sql).await.unwrap(), Vec::<String>::new(), "{write}");
        // One after the other, writers leave one entry for each agency and currency.
        let several = "select from phone_number_counts c group by c.agency_id, c.currency having count(*) > 1";
        assert!(sql.query(several, &[]).await.unwrap().is_empty(), "{write}");
    }
    assert!(sql.query("select from phone_number_counts", &[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn nobody_waits_for_the_counts_of_another_transaction() {
    let (database, sql) = database().await;
    let rename = |slug: &str, number: &str| {
        format!(
            "insert into agency_phone_numbers (agency_id, phone_number) select a.id, '{number}' from agencies a where a.slug = '{slug}'"
        )
    };
    // Each writes rows of both agencies, in opposite orders, and neither ends before the other has written.
    let (one, two) = (database.connect().await.unwrap(), database.connect().await.unwrap());
    for (client, first, second) in
        [(&one, ["1", "+14155550111"], ["2", "+14155550112"]), (&two, ["2", "+14155550121"], ["1", "+14155550122"])]
    {
        client.batch_execute("begin; set local lock_timeout = '1ms'").await.unwrap();
        client.batch_execute(&rename(first[0], first[1])).await.unwrap();
        client.batch_execute(&rename(second[0], second[1])).await.unwrap();
    }
    assert_eq!(counts(&sql).await, ["1 1 1 1 1 2 3.5000"], "nothing is committed");
    one.batch_execute("commit").await.unwrap();
    two.batch_execute("rollback").await.unwrap();
    assert_eq!(wrong_counts(&sql).await.unwrap(), Vec::<String>::new());
    assert_eq!(counts(&sql).await, ["2 1 1 1 1 2 3.5000"]);
}

#[tokio::test]
async fn a_transaction_with_an_older_view_counts_too_and_later_writers_tidy_up() {
    let (database, sql) = database().await;
    let other = database.connect().await.unwrap();
    other.batch_execute("begin isolation level serializable; select from agency_phone_numbers").await.unwrap();
    sql.batch_execute("update agency_phone_numbers set status = 'active' where phone_number = '+13125550101'").await.unwrap();
    other.batch_execute("update agency_phone_numbers set status = 'active' where phone_number = '+13125550103'; commit").await.unwrap();
    assert_eq!(wrong_counts(&sql).await.unwrap(), Vec::<String>::new());
    let entries = async || sql.query("select from phone_number_counts", &[]).await.unwrap().len();
    assert_eq!(entries().await, 2);
    sql.batch_execute("update agency_phone_numbers set status = 'inactive' where phone_number = '+13125550103'").await.unwrap();
    assert_eq!((entries().await, wrong_counts(&sql).await.unwrap()), (1, vec![]));
}

#[tokio::test]
async fn a_migration_counts_the_rows_that_there_are() {
    let (database, sql) = database().await;
    sql.batch_execute(
        "delete from phone_number_migrations where name >= 'V11';
         drop table phone_number_counts cascade;
         drop function agency_phone_numbers_count() cascade;
         drop function agency_phone_numbers_archive_count() cascade;
         insert into agency_phone_numbers_archive (id, agency_id, phone_number, replaced_by, record)
         select n.id, n.agency_id, n.phone_number, n.id, to_jsonb(n) from agency_phone_numbers n where n.status = 'released';
         alter table agency_phone_numbers_archive drop column created_at;
         delete from agency_phone_numbers where status in ('released', 'pending')",
    )
    .await
    .unwrap();
    assert_eq!(migrations::run(database.url(), None).await.unwrap()[0], "V11__flat");
    assert_eq!(wrong_counts(&sql).await.unwrap(), Vec::<String>::new());
    assert_eq!(counts(&sql).await, ["0 1 1 1 1 2 3.5000"]);
    let aged = "select from agency_phone_numbers_archive a where a.created_at = (a.record ->> 'created_at')::timestamptz";
    assert_eq!(sql.query(aged, &[]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn rows_that_were_written_without_triggers_are_counted_anew_on_request() {
    let (_database, sql) = database().await;
    sql.batch_execute(
        "begin;
         set local session_replication_role = replica;
         update agency_phone_numbers set status = 'active';
         commit",
    )
    .await
    .unwrap();
    assert_eq!(wrong_counts(&sql).await.unwrap().len(), 1);
    sql.batch_execute("select phone_number_counts_rebuild()").await.unwrap();
    assert_eq!((wrong_counts(&sql).await.unwrap(), counts(&sql).await), (vec![], vec!["0 4 0 0 1 3 11.5000".to_owned()]));
}

#[tokio::test]
async fn the_counts_of_another_table_are_not_kept() {
    let (_database, sql) = database().await;
    for function in ["agency_phone_numbers_count", "agency_phone_numbers_archive_count"] {
        let attach = format!(
            "create temporary table other (agency_id uuid);
             create trigger t after insert on other referencing new table as new_rows for each statement execute function {function}()"
        );
        sql.batch_execute(&attach).await.unwrap();
        let error = sql.batch_execute("insert into other values (null)").await.unwrap_err();
        assert!(error.as_db_error().unwrap().message().contains(&format!("{function} is not a trigger for other")), "{error:?}");
        sql.batch_execute("drop table other").await.unwrap();
    }
}
