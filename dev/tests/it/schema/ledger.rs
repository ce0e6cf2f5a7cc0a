//! The ledgers of purchases and releases.

use dev::migrations;
use dev::postgres::{Server, connect};

use super::{lines, refusal, two_agencies};

/// A purchase and a release of the one number, both just begun.
const BEGUN: &str = "
    insert into phone_number_purchases (order_id, agency_id, agency_phone_number_id, phone_number, telnyx_account, telnyx_reference, caller_id)
    select n.id, n.agency_id, n.id, n.phone_number, 'account', 'first', n.id from agency_phone_numbers as n;

    insert into phone_number_releases (agency_id, agency_phone_number_id, phone_number, telnyx_account, caller_id, previous_status)
    select n.agency_id, n.id, n.phone_number, 'account', n.id, n.status from agency_phone_numbers as n;
";

#[tokio::test]
async fn the_ledger_outlives_the_agency() {
    let (_database, client) = two_agencies().await;
    client.batch_execute(BEGUN).await.unwrap();
    client.batch_execute("delete from agencies").await.unwrap();
    let left = lines(
        &client,
        "select (select count(*) from agency_phone_numbers)::text,
                (select count(*) from phone_number_purchases)::text,
                (select count(*) from phone_number_releases)::text",
    )
    .await;
    assert_eq!(left, ["0 1 1"]);
}

#[tokio::test]
async fn the_ledger_refers_to_nothing() {
    let (_database, client) = two_agencies().await;
    let keys = lines(
        &client,
        "select c.conname::text
         from pg_constraint as c
         where c.contype = 'f' and c.conrelid in ('phone_number_purchases'::regclass, 'phone_number_releases'::regclass)",
    )
    .await;
    assert!(keys.is_empty(), "{keys:?}");
}

#[tokio::test]
async fn a_phase_is_refused_without_what_it_needs() {
    let (_database, client) = two_agencies().await;
    client.batch_execute(BEGUN).await.unwrap();
    for (table, changes, constraint) in [
        ("purchases", "phase = 'paid'", "phase_known"),
        ("purchases", "phase = 'ordering'", "ordering_is_counted"),
        ("purchases", "phase = 'ordered', order_attempts = 1", "ordered_has_order"),
        ("purchases", "phase = 'completed', telnyx_order_id = 'o', telnyx_phone_number_id = 'n'", "completed_is_complete"),
        ("purchases", "phase = 'completed', telnyx_order_id = 'o', completed_at = now()", "completed_is_complete"),
        ("purchases", "phase = 'completed', telnyx_phone_number_id = 'n', completed_at = now()", "completed_is_complete"),
        ("purchases", "phase = 'failed'", "failed_has_reason"),
        ("purchases", "failure_code = 'number_unavailable'", "failed_has_reason"),
        ("purchases", "lease_token = uuid_generate_v4()", "lease_is_whole"),
        ("purchases", "leased_until = now()", "lease_is_whole"),
        ("purchases", "monthly_cost = -0.0001", "monthly_cost_not_negative"),
        ("purchases", "upfront_cost = -0.0001", "upfront_cost_not_negative"),
        ("purchases", "order_attempts = -1", "order_attempts_not_negative"),
        ("purchases", "phone_number = '3125550100'", "phone_format"),
        ("releases", "phase = 'gone'", "phase_known"),
        ("releases", "phase = 'completed'", "completed_is_complete"),
        ("releases", "phase = 'refused'", "refused_has_reason"),
        ("releases", "failure_code = 'upstream_rejected'", "refused_has_reason"),
        ("releases", "lease_token = uuid_generate_v4()", "lease_is_whole"),
        ("releases", "phone_number = '3125550100'", "phone_format"),
    ] {
        let error = refusal(&client, &format!("update phone_number_{table} set {changes}")).await;
        assert_eq!(error.constraint(), Some(format!("phone_number_{table}_{constraint}").as_str()), "{changes}");
    }
}

#[tokio::test]
async fn a_row_has_one_unfinished_purchase_and_one_unfinished_release() {
    let (_database, client) = two_agencies().await;
    client.batch_execute(BEGUN).await.unwrap();
    let purchase = "insert into phone_number_purchases
          (order_id, agency_id, agency_phone_number_id, phone_number, telnyx_account, telnyx_reference, caller_id, phase,
           order_attempts, telnyx_order_id)
        select p.order_id, p.agency_id, p.agency_phone_number_id, p.phone_number, p.telnyx_account, p.telnyx_reference || ' again',
               p.caller_id, 'ordered', 1, 'o'
        from phone_number_purchases as p";
    let release = "insert into phone_number_releases
          (agency_id, agency_phone_number_id, phone_number, telnyx_account, caller_id, previous_status)
        select r.agency_id, r.agency_phone_number_id, r.phone_number, r.telnyx_account, r.caller_id, r.previous_status
        from phone_number_releases as r";
    for (again, constraint) in [(purchase, "phone_number_purchases_one_unfinished"), (release, "phone_number_releases_one_unfinished")] {
        assert_eq!(refusal(&client, again).await.constraint(), Some(constraint));
    }
    client
        .batch_execute(
            "update phone_number_purchases set phase = 'cancelled';
             update phone_number_releases set phase = 'refused', failure_code = 'upstream_rejected'",
        )
        .await
        .unwrap();
    for again in [purchase, release] {
        client.batch_execute(again).await.unwrap();
    }
}

#[tokio::test]
async fn the_rest_api_of_the_platform_reads_none_of_it() {
    // Roles belong to a server, not to a database: a server of our own.
    let server = Server::temporary().await.unwrap();
    server.create_database("platform", None).await.unwrap();
    let client = connect(&server.url("platform")).await.unwrap();
    client
        .batch_execute(
            "create role anon;
             create role authenticated;
             alter default privileges in schema public grant all on tables to anon, authenticated;
             create table granted ()",
        )
        .await
        .unwrap();
    migrations::platform(&server.url("platform")).await.unwrap();
    migrations::run(&server.url("platform")).await.unwrap();
    let readable = lines(
        &client,
        "select r.rolname::text, c.relname::text
         from pg_class as c
         cross join pg_roles as r
         where r.rolname in ('anon', 'authenticated')
           and c.relname in ('granted', 'agency_phone_numbers', 'phone_number_purchases', 'phone_number_releases')
           and has_table_privilege(r.oid, c.oid, 'select, insert, update, delete')
         order by 1, 2",
    )
    .await;
    assert_eq!(readable, ["anon granted", "authenticated granted"]);
    let error = refusal(&client, "set role authenticated; select v.id from v_agency_phone_numbers_with_agent as v").await;
    assert_eq!(error.code().code(), "42501");
}
