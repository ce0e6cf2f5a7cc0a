//! The ledgers of purchases and releases, and the other tables of ours.

use super::{lines, refusal, two_agencies};

/// Every table of the product.
const TABLES: [&str; 15] = [
    "agency_phone_numbers_archive",
    "phone_number_counts",
    "phone_number_deployment",
    "phone_number_findings",
    "phone_number_history",
    "phone_number_idempotency_keys",
    "phone_number_idempotency_purchases",
    "phone_number_inventory_walks",
    "phone_number_migrations",
    "phone_number_purchase_rates",
    "phone_number_purchases",
    "phone_number_releases",
    "phone_number_search_rates",
    "phone_number_sightings",
    "phone_number_strangers",
];

/// A purchase and a release of one number, both just begun.
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
async fn no_table_of_ours_refers_to_another() {
    let (_database, client) = two_agencies().await;
    let keys = lines(
        &client,
        "select t.relname::text, c.conname::text
         from pg_class as t
         left join pg_constraint as c
           on c.conrelid = t.oid
           and c.contype = 'f'
         where t.relkind = 'r'
           and (t.relname like 'phone\\_number\\_%' or t.relname = 'agency_phone_numbers_archive')
         order by 1",
    )
    .await;
    assert_eq!(keys, TABLES);
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
        ("purchases", "origin = 'imported'", "origin_known"),
        ("purchases", "caller_id = null", "requested_has_caller"),
        ("purchases", "max_monthly_cost = 1", "limits_have_currency"),
        ("purchases", "max_upfront_cost = 1", "limits_have_currency"),
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
async fn an_answer_is_sent_complete_and_never_cached() {
    let (_database, client) = two_agencies().await;
    let begun = "insert into phone_number_idempotency_keys (agency_id, function, key, request_hash, expires_at)
                 select a.id, 'f', 'k', sha256(''), now() from agencies as a";
    client.batch_execute(begun).await.unwrap();
    for (changes, constraint) in [
        ("request_hash = 'x'", "request_hash_is_sha256"),
        ("status = 200", "answer_is_whole"),
        ("body = '{}'", "answer_is_whole"),
        ("content_type = 'application/json', body = '{}'", "answer_is_whole"),
        ("status = 200, content_type = '', body = '', lease_token = uuid_generate_v4(), leased_until = now()", "answered_is_over"),
        ("lease_token = uuid_generate_v4()", "lease_is_whole"),
        ("leased_until = now()", "lease_is_whole"),
    ] {
        let error = refusal(&client, &format!("update phone_number_idempotency_keys set {changes}")).await;
        assert_eq!(error.constraint(), Some(format!("phone_number_idempotency_keys_{constraint}").as_str()), "{changes}");
    }
}

#[tokio::test]
async fn a_key_lists_at_each_position_either_a_purchase_or_a_row() {
    let (_database, client) = two_agencies().await;
    let listed = "insert into phone_number_idempotency_purchases (agency_id, function, key, position, purchase_id)
                  select a.id, 'f', 'k', 0, a.id from agencies as a";
    client.batch_execute(listed).await.unwrap();
    for (changes, constraint) in [
        ("position = -1", "position_not_negative"),
        ("purchase_id = null", "purchase_or_row"),
        ("agency_phone_number_id = agency_id", "purchase_or_row"),
    ] {
        let error = refusal(&client, &format!("update phone_number_idempotency_purchases set {changes}")).await;
        assert_eq!(error.constraint(), Some(format!("phone_number_idempotency_purchases_{constraint}").as_str()), "{changes}");
    }
    assert_eq!(refusal(&client, listed).await.constraint(), Some("phone_number_idempotency_purchases_pkey"));
    client
        .batch_execute("update phone_number_idempotency_purchases set purchase_id = null, agency_phone_number_id = agency_id")
        .await
        .unwrap();
}

#[tokio::test]
async fn the_archive_takes_released_rows_as_they_are_and_one_for_each_successor() {
    let (_database, client) = two_agencies().await;
    let insert = "insert into agency_phone_numbers_archive (id, agency_id, phone_number, replaced_by, record)
                  select n.id, n.agency_id, n.phone_number, n.agency_id, to_jsonb(n) || '{changes}' from agency_phone_numbers as n";
    for (changes, constraint) in [
        (r#"{"status": "active"}"#, "is_released"),
        (r#"{"status": "released", "id": "0a000000-0000-4000-8000-000000000002"}"#, "is_whole"),
        (r#"{"status": "released", "agency_id": "0b000000-0000-4000-8000-000000000000"}"#, "is_whole"),
        (r#"{"status": "released", "phone_number": "+13125550101"}"#, "is_whole"),
    ] {
        let error = refusal(&client, &insert.replace("{changes}", changes)).await;
        assert_eq!(error.constraint(), Some(format!("agency_phone_numbers_archive_{constraint}").as_str()), "{changes}");
    }
    client.batch_execute(&insert.replace("{changes}", r#"{"status": "released"}"#)).await.unwrap();
    let another = insert.replace("select n.id", "select uuid_generate_v4()").replace("to_jsonb(n)", "to_jsonb(n) - 'id'");
    let error = refusal(&client, &another.replace("{changes}", r#"{"status": "released"}"#)).await;
    assert_eq!(error.constraint(), Some("agency_phone_numbers_archive_replaced_by_unique"));
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
