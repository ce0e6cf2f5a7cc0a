//! How many rows the large writes read, on a database with one large agency among many. Their plans are inside a function, or below
//! the parts of a statement that write: so what is asserted is what the server counts in the transaction.

use dev::populate;
use shared::store::statements;
use tokio_postgres::Client;

use super::plans::{MODES, populated};

/// The most that one table is read for a purchase that begins.
const BEGIN: i64 = 10;
/// The numbers on a page of Telnyx's inventory.
const PAGE: i64 = 250;

/// The begin of a purchase by the largest agency, of a released number of its own, whose row is archived.
fn begin() -> String {
    let (agency, owner) = (populate::agency(1), populate::owner(1));
    format!(
        "do $$
begin
  if 'begun' is distinct from (
    select b.outcome
    from phone_number_purchase_begin(
      buyer_agency_id => '{agency}', buyer_id => '{owner}',
      wanted_number => (select n.phone_number from released n),
      new_row_id => gen_random_uuid(), new_friendly_name => null, new_agent_mapping_id => null,
      new_purchase_id => gen_random_uuid(), new_order_id => gen_random_uuid(),
      new_telnyx_account => 'platform', new_telnyx_reference => 'read', new_connection_id => null, new_customer_reference => null,
      new_max_monthly_cost => null, new_max_upfront_cost => null, new_limit_currency => null,
      new_lease_token => gen_random_uuid(), lease_ms => 60000,
      deployment => (select d.name from phone_number_deployment d), general_limit => 1000000,
      rate_share_s => 1, rate_whole_s => 100,
      key_function => null, request_key => null, key_lease_token => null, key_lease_ms => null, key_position => null
    ) b
  ) then
    raise exception 'the purchase did not begin';
  end if;
end
$$"
    )
}

/// A step of a walk that has seen all rows of the largest agency before, and now a page of them and as many strangers.
fn advance() -> String {
    let statement = statements().find(|statement| statement.starts_with("-- reconcile.walks.advance\n")).unwrap();
    format!(
        "prepare advance as {statement};
do $$
declare
  row_ids uuid[] := (select array_agg(s.agency_phone_number_id) from (select * from seen limit {PAGE}) s);
  numbers text[] := (select array_agg('+4930' || i) from generate_series(1, {PAGE}) i);
  texts text[] := array_fill('x'::text, array[{PAGE}]);
  keys bytea[] := array_fill(decode(repeat('00', 32), 'hex'), array[{PAGE}]);
begin
  execute format(
    'execute advance(''walked'', md5('''')::uuid, '''', 2, null, null, 0, true, false, %L, %L, %L, %L, %L)',
    row_ids, numbers, texts, texts, keys
  );
end
$$"
    )
}

/// The rows of each table that were read in the transaction, by index or not.
async fn rows_read(sql: &Client, mode: &str, script: &str) -> Vec<(String, i64)> {
    sql.batch_execute(&format!("begin; set local plan_cache_mode = {mode}")).await.unwrap();
    let count = "\
select s.relname::text, (coalesce(s.seq_tup_read, 0) + coalesce(s.idx_tup_fetch, 0))::bigint
from pg_stat_xact_user_tables s
order by s.relname";
    let counted =
        async || -> Vec<(String, i64)> { sql.query(count, &[]).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect() };
    let before = counted().await;
    sql.batch_execute(script).await.unwrap();
    let after = counted().await;
    sql.batch_execute("rollback; deallocate all").await.unwrap();
    let earlier = |table: &str| before.iter().find(|(name, _)| name == table).map_or(0, |(_, rows)| *rows);
    let mut read = Vec::new();
    for (table, rows) in after {
        let rows = rows - earlier(&table);
        if rows > 0 {
            read.push((table, rows));
        }
    }
    read
}

#[tokio::test]
async fn the_begin_of_a_purchase_and_the_step_of_a_walk_read_no_more_of_a_large_agency_than_they_write() {
    let (_database, sql) = populated().await;
    let agency = populate::agency(1);
    let prepare = format!(
        "create table released as
select n.phone_number from agency_phone_numbers n where n.agency_id = '{agency}' and n.status = 'released' limit 1;
create table seen as
select n.id as agency_phone_number_id from agency_phone_numbers n where n.agency_id = '{agency}';
insert into phone_number_inventory_walks (telnyx_account, started_at, lease_token, leased_until)
values ('walked', now(), md5('')::uuid, now() + interval '1 hour');
insert into phone_number_sightings (telnyx_account, agency_phone_number_id, seen_at)
select 'walked', s.agency_phone_number_id, now() from seen s;
insert into phone_number_strangers (telnyx_account, phone_number, telnyx_phone_number_id, key_sha256, seen_at)
select 'walked', '+4930' || i, 'x', decode(repeat('00', 32), 'hex'), now() from generate_series(1, 10000) i;
analyze"
    );
    sql.batch_execute(&prepare).await.unwrap();
    for mode in MODES {
        let begun = rows_read(&sql, mode, &begin()).await;
        assert!(begun.contains(&("released".to_owned(), 1)), "the counter counts: {begun:?}");
        assert!(begun.iter().all(|(_, rows)| *rows <= BEGIN), "{mode}: {begun:?}");

        let advanced = rows_read(&sql, mode, &advance()).await;
        assert!(advanced.iter().any(|(table, _)| table == "phone_number_sightings"), "{mode}: {advanced:?}");
        assert!(advanced.iter().all(|(_, rows)| *rows <= 2 * PAGE), "{mode}: {advanced:?}");
    }
}
