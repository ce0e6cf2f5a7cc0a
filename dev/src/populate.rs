//! Fills a migrated database with agencies and their numbers, to see how the product behaves when there are many. The rows are made by
//! Postgres itself, and are the same for the same numbers of everything.
//!
//! The first agency is the largest, the second is the yardstick of [`YARDSTICK`] rows, and the others share the rest. Every row has
//! its purchase in the ledger, and every released one its release.

use anyhow::{Result, ensure};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::postgres::{connect, describe};

/// How many rows the second agency has, to compare the first with.
pub const YARDSTICK: u32 = 1_000;

/// How many there are of everything.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Scale {
    /// Agencies, each with a user and three agents.
    #[arg(long, default_value_t = 10_000)]
    pub agencies: u32,
    /// Numbers of all agencies.
    #[arg(long, default_value_t = 1_000_000)]
    pub rows: u32,
    /// Numbers of the largest agency, among those.
    #[arg(long, default_value_t = 100_000)]
    pub largest: u32,
    /// Archived rows for each hundred rows.
    #[arg(long, default_value_t = 5)]
    pub archive: u32,
    /// Entries in the history of each row.
    #[arg(long, default_value_t = 2)]
    pub history: u32,
}

/// The id of the `number`th agency, counted from 1.
#[must_use]
pub const fn agency(number: u32) -> Uuid {
    id(1, number)
}

/// The id of its owner.
#[must_use]
pub const fn owner(number: u32) -> Uuid {
    id(2, number)
}

/// The id of one of its three agents, counted from 0.
#[must_use]
pub const fn agent(number: u32, agent: u32) -> Uuid {
    id(3, number * 3 + agent)
}

const fn id(kind: u32, number: u32) -> Uuid {
    Uuid::from_u128(((kind as u128) << 96) | 0x4000_a000_0000_0000_0000 | number as u128)
}

/// Triggers and foreign keys would only repeat what the statements do. Needs a superuser.
const WITHOUT_TRIGGERS: &str = "set local session_replication_role = replica";

/// The indexes that no constraint needs: they are filled faster at once than row by row.
const INDEXES: &str = "\
select i.indexrelid::regclass::text as name, pg_get_indexdef(i.indexrelid) as definition
from pg_index i
join pg_class c on c.oid = i.indrelid
where c.relnamespace = current_schema()::regnamespace
  and c.relname in ('agency_phone_numbers', 'agency_phone_numbers_archive', 'phone_number_purchases',
                    'phone_number_releases', 'phone_number_history')
  and not exists (select from pg_constraint k where k.conindid = i.indexrelid)
order by 1";

const AGENCIES: &str = "\
with numbered as (
  select i, lpad(to_hex(i), 12, '0') as suffix
  from generate_series(1, $1::bigint /* agencies */) i
), agencies as (
  insert into agencies (id, name, slug, telnyx_application_id, telephony_configured)
  select ('00000001-0000-4000-a000-' || n.suffix)::uuid, 'Agency ' || n.i, 'populated-' || n.i, '1293384261075731499', true
  from numbered n
), owners as (
  insert into users (id, agency_id, role, email)
  select ('00000002-0000-4000-a000-' || n.suffix)::uuid, ('00000001-0000-4000-a000-' || n.suffix)::uuid, 'agency_owner',
         n.i || '@populated.example'
  from numbered n
)
insert into agent_mappings (id, agency_id, ultravox_agent_id, ultravox_agent_name, voice)
select ('00000003-0000-4000-a000-' || lpad(to_hex(n.i * 3 + a.number), 12, '0'))::uuid,
       ('00000001-0000-4000-a000-' || n.suffix)::uuid,
       'agent-' || n.i || '-' || a.number,
       'Agent ' || a.number,
       'Mark'
from numbered n
cross join generate_series(0, 2) a (number)";

/// Of a hundred rows, two are pending, three inactive, ten released and the others active. Two of three have a name, and of those
/// that are not released, two of three have an agent.
const ROWS: &str = "\
insert into agency_phone_numbers
  (id, agency_id, phone_number, phone_number_id, friendly_name, number_type, country_code, agent_mapping_id, monthly_cost, setup_cost,
   status, is_active, purchased_at, released_at, created_at, updated_at)
select md5('row ' || r.i)::uuid,
       ('00000001-0000-4000-a000-' || lpad(to_hex(r.agency), 12, '0'))::uuid,
       '+1' || (2000000000 + r.i * 7919 % 7999999999),
       case when r.status <> 'pending' then (1290000000000000000 + r.i)::text end,
       case when r.i % 3 > 0 then (array['Front desk', 'Sales', 'Support', 'Reception'])[1 + r.i % 4] || ' ' || r.i end,
       'local',
       'US',
       case
         when r.status <> 'released' and r.i % 3 > 0
         then ('00000003-0000-4000-a000-' || lpad(to_hex(r.agency * 3 + r.i % 3), 12, '0'))::uuid
       end,
       1,
       1,
       r.status::phone_number_status,
       r.status <> 'released',
       case when r.status <> 'pending' then r.at end,
       case when r.status = 'released' then r.at + interval '30 days' end,
       r.at,
       r.at
from (
  select s.i,
         case
           when s.i <= $2::bigint /* largest */ then 1
           when s.i <= $2 + $3::bigint /* yardstick */ then 2
           else 3 + s.i % ($4::bigint /* agencies */ - 2)
         end as agency,
         case when s.i % 100 < 2 then 'pending' when s.i % 100 < 5 then 'inactive' when s.i % 100 < 15 then 'released' else 'active' end
           as status,
         timestamptz '2025-01-01' + s.i * interval '7 seconds' as at
  from generate_series(1, $1::bigint /* rows */) s (i)
) r";

const PURCHASES: &str = "\
insert into phone_number_purchases
  (id, order_id, agency_id, agency_phone_number_id, phone_number, deployment, telnyx_account, key_sha256, telnyx_reference,
   telnyx_order_id, telnyx_phone_number_id, caller_id, phase, order_attempts, created_at, updated_at, completed_at)
select p.id, p.id, n.agency_id, n.id, n.phone_number, d.name, 'platform', sha256('populated'),
       'pn:' || d.name || ':' || n.agency_id || ':' || p.id,
       md5('order ' || n.id)::uuid,
       n.phone_number_id,
       md5('owner ' || n.agency_id)::uuid,
       case when n.status = 'pending' then 'ordered' else 'completed' end,
       1,
       n.created_at,
       n.created_at,
       n.purchased_at
from agency_phone_numbers n
cross join lateral (select md5('purchase ' || n.id)::uuid as id) p
cross join phone_number_deployment d";

const RELEASES: &str = "\
insert into phone_number_releases
  (id, agency_id, agency_phone_number_id, phone_number, deployment, telnyx_account, key_sha256, telnyx_phone_number_id, caller_id,
   previous_status, phase, created_at, updated_at, completed_at)
select md5('release ' || n.id)::uuid, n.agency_id, n.id, n.phone_number, d.name, 'platform', sha256('populated'), n.phone_number_id,
       md5('owner ' || n.agency_id)::uuid, 'active', 'completed', n.released_at, n.released_at, n.released_at
from agency_phone_numbers n
cross join phone_number_deployment d
where n.status = 'released'";

/// Earlier lives of the numbers of live rows.
const ARCHIVE: &str = "\
insert into agency_phone_numbers_archive (id, agency_id, phone_number, replaced_by, record, created_at)
select p.id,
       n.agency_id,
       n.phone_number,
       n.id,
       to_jsonb(n) || jsonb_build_object(
         'id', p.id, 'status', 'released', 'is_active', false, 'agent_mapping_id', null, 'created_at', p.created_at,
         'purchased_at', p.created_at, 'released_at', n.created_at
       ),
       p.created_at
from agency_phone_numbers n
cross join lateral (select md5('archived ' || n.id)::uuid as id, n.created_at - interval '60 days' as created_at) p
where n.status = 'active'
  and ('x' || right(n.id::text, 6))::bit(24)::integer % 100 < $1::integer /* archive */";

const HISTORY: &str = "\
insert into phone_number_history (at, agency_id, agency_phone_number_id, phone_number, event, actor, changes)
select n.created_at + e.number * interval '1 second',
       n.agency_id,
       n.id,
       n.phone_number,
       case e.number when 1 then 'bought' else 'changed' end,
       'platform',
       case e.number
         when 1 then jsonb_build_object('status', jsonb_build_object('from', null, 'to', n.status))
         else jsonb_build_object('sms_enabled', jsonb_build_object('from', e.number % 2 = 1, 'to', e.number % 2 = 0))
       end
from agency_phone_numbers n
cross join generate_series(1, $1::integer /* history */) e (number)
where n.status <> 'pending'";

/// Fills the database at `url`, as the owner of its tables and a superuser, and reports each step to `note`.
///
/// # Errors
/// If the scale is contradictory, the database is not migrated or not empty, or it refuses.
pub async fn populate(url: &str, scale: Scale, note: impl Fn(&str)) -> Result<()> {
    ensure!(scale.agencies > 2, "there must be at least 3 agencies");
    ensure!(scale.rows > scale.largest + YARDSTICK, "there must be more rows than those of the largest agency and {YARDSTICK}");
    let mut client = connect(url).await?;
    fill(&mut client, scale, &note).await.map_err(|error| describe(&error))
}

async fn fill(client: &mut Client, scale: Scale, note: impl Fn(&str)) -> Result<(), tokio_postgres::Error> {
    let Scale { agencies, rows, largest, archive, history } = scale;
    let [agencies, rows, largest, yardstick] = [agencies, rows, largest, YARDSTICK].map(i64::from);
    let [archive, history] = [archive, history].map(u32::cast_signed);
    // None of the statements is as short as those of the functions.
    client.batch_execute("set statement_timeout = 0; set idle_in_transaction_session_timeout = 0").await?;
    let transaction = client.transaction().await?;
    transaction.batch_execute(WITHOUT_TRIGGERS).await?;
    let indexes = transaction.query(INDEXES, &[]).await?;
    for index in &indexes {
        transaction.batch_execute(&format!("drop index {}", index.get::<_, &str>("name"))).await?;
    }
    note("agencies");
    transaction.execute(AGENCIES, &[&agencies]).await?;
    note("rows");
    transaction.execute(ROWS, &[&rows, &largest, &yardstick, &agencies]).await?;
    note("purchases");
    transaction.execute(PURCHASES, &[]).await?;
    note("releases");
    transaction.execute(RELEASES, &[]).await?;
    note("archive");
    transaction.execute(ARCHIVE, &[&archive]).await?;
    note("history");
    transaction.execute(HISTORY, &[&history]).await?;
    for index in &indexes {
        note(index.get("name"));
        transaction.batch_execute(index.get("definition")).await?;
    }
    note("counts");
    transaction.execute("select phone_number_counts_rebuild()", &[]).await?;
    transaction.commit().await?;
    note("statistics");
    client.batch_execute("vacuum analyze").await
}
