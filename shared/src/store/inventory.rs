//! What Telnyx has, held against the rows: which row a number belongs to, and which rows have no number.

use std::time::Duration;

use chrono::{DateTime, Utc};
use deadpool_postgres::Transaction;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::intents::VACATE;
use super::{Store, Undone, column, millis, rows_of, word};
use crate::error::Error;
use crate::model::{E164, Reference, Status};

/// Says, within a transaction, who changes a row for which reason.
const SIGN: &str = "\
-- inventory.sign
select set_config('phone_numbers.actor', $1 /* actor */, true) as actor,
       set_config('phone_numbers.event', 'reconciled', true) as event";

/// The accounts that numbers were ever bought in, those first in which somebody last walked longest ago. That one walk ends
/// does not decide it: an account that cannot be read would come first for ever.
const ACCOUNTS: &str = "\
-- inventory.accounts
select a.telnyx_account
from (
  select p.telnyx_account
  from phone_number_purchases p
  union
  select w.telnyx_account
  from phone_number_inventory_walks w
) a
left join phone_number_inventory_walks w on w.telnyx_account = a.telnyx_account
order by w.visited_at nulls first, a.telnyx_account";

/// Some agencies, others each time.
const AGENCIES: &str = "\
-- inventory.agencies
select a.id
from agencies a
order by random()
limit $1 /* limit */";

/// Begins a walk through an account, or goes on with the one that stopped; for one at a time.
const WALK: &str = "\
-- inventory.walk
insert into phone_number_inventory_walks as w (telnyx_account, started_at, lease_token, leased_until)
values ($1 /* telnyx_account */, now(), $2 /* lease_token */, now() + $3::bigint /* lease_ms */ * interval '1 millisecond')
on conflict (telnyx_account) do update
set started_at = case when w.next_page = 1 then excluded.started_at else w.started_at end,
    visited_at = excluded.visited_at,
    lease_token = excluded.lease_token,
    leased_until = excluded.leased_until
where w.leased_until is null
  or w.leased_until < now()
  or w.lease_token = excluded.lease_token
returning w.next_page, w.seen, w.missed, w.started_at";

const RENEW: &str = "\
-- inventory.renew
update phone_number_inventory_walks w
set leased_until = now() + $3::bigint /* lease_ms */ * interval '1 millisecond'
where w.telnyx_account = $1 /* telnyx_account */
  and w.lease_token = $2 /* lease_token */
returning w.telnyx_account";

const PAUSE: &str = "\
-- inventory.pause
update phone_number_inventory_walks w
set next_page = $3 /* next_page */,
    seen = $4 /* seen */,
    lease_token = null,
    leased_until = null
where w.telnyx_account = $1 /* telnyx_account */
  and w.lease_token = $2 /* lease_token */
returning w.telnyx_account";

const FINISH: &str = "\
-- inventory.finish
update phone_number_inventory_walks w
set next_page = 1,
    seen = '{}',
    missed = $3 /* missed */,
    finished_at = now(),
    lease_token = null,
    leased_until = null
where w.telnyx_account = $1 /* telnyx_account */
  and w.lease_token = $2 /* lease_token */
returning w.telnyx_account";

/// For each number of a page, in their order: its row, if there is one, and the purchase that bought it, by its reference or
/// its id. A reference of another number's purchase means nothing: somebody has copied it.
const COMPARE: &str = "\
-- inventory.compare
select n.id as row_id,
       n.agency_id as row_agency_id,
       n.status::text as status,
       n.phone_number_id,
       b.telnyx_reference as bought_as,
       n.status = 'inactive' and (
         select h.event = 'reconciled' and h.changes #>> '{status,to}' = 'inactive'
         from phone_number_history h
         where h.agency_phone_number_id = n.id
           and h.changes ? 'status'
         order by h.id desc
         limit 1
       ) as switched_off,
       p.id as purchase_id,
       p.phase in ('intended', 'ordering', 'ordered') or exists (
         select
         from phone_number_releases r
         where r.agency_phone_number_id = p.agency_phone_number_id
           and r.phase = 'requested'
       ) as pursued,
       coalesce(p.agency_id, i.agency_id) as agency_id,
       exists (select from agencies a where a.id = coalesce(p.agency_id, i.agency_id)) as agency_exists,
       exists (
         select
         from phone_number_purchases l
         where l.telnyx_reference = i.telnyx_reference
           and l.phone_number <> i.phone_number
       ) as is_copied,
       (
         select max(r.completed_at)
         from phone_number_releases r
         where r.agency_phone_number_id = p.agency_phone_number_id
           and r.phase = 'completed'
       ) <= now() - $4::bigint /* lag_ms */ * interval '1 millisecond' as released
from unnest($1::text[], $2::text[], $3::uuid[], $5::text[]) with ordinality as i
  (phone_number, telnyx_reference, agency_id, phone_number_id, position)
left join agency_phone_numbers n on n.phone_number = i.phone_number
left join lateral (
  select l.telnyx_reference
  from phone_number_purchases l
  where l.agency_phone_number_id = n.id
  order by l.created_at desc
  limit 1
) b on true
left join lateral (
  select l.id, l.agency_id, l.agency_phone_number_id, l.phase
  from phone_number_purchases l
  where l.phone_number = i.phone_number
    and (l.telnyx_reference = i.telnyx_reference or l.telnyx_phone_number_id = i.phone_number_id)
  order by (l.telnyx_reference = i.telnyx_reference) is true desc, l.created_at desc
  limit 1
) p on true
order by i.position";

/// The rows that an account should have a number for and that a walk did not meet.
const MISSING: &str = "\
-- inventory.missing
with expected as (
  select n.id,
         n.phone_number,
         n.phone_number_id,
         n.status,
         p.telnyx_order_id
  from agency_phone_numbers n
  join lateral (
    select l.telnyx_account, l.telnyx_order_id, l.completed_at
    from phone_number_purchases l
    where l.agency_phone_number_id = n.id
    order by l.created_at desc
    limit 1
  ) p on true
  where n.status in ('active', 'inactive')
    and n.is_active
    and n.phone_number_id is not null
    and p.telnyx_account = $1 /* telnyx_account */
    and p.completed_at < $2 /* before */
)
select e.id,
       e.phone_number,
       e.phone_number_id,
       e.telnyx_order_id,
       (select count(*) from expected) as expected
from expected e
where e.status = 'active'
  and e.id <> all($3::uuid[] /* seen */)
order by e.id";

/// A row whose number Telnyx does not have: it takes no calls.
const DEACTIVATE: &str = "\
-- inventory.deactivate
update agency_phone_numbers n
set status = 'inactive'
where n.id = $1 /* row_id */
  and n.status = 'active'
  and n.is_active
  and n.phone_number_id = $2 /* phone_number_id */
returning n.id";

/// A row whose number Telnyx has: under this id, and again if we said that it had not.
const CORRECT: &str = "\
-- inventory.correct
update agency_phone_numbers n
set phone_number_id = $2 /* phone_number_id */,
    status = case when $3 /* reactivate */ and n.status = 'inactive' then 'active' else n.status end
where n.id = $1 /* row_id */
  and n.status in ('active', 'inactive')
  and n.is_active
returning n.id";

/// A row that nobody answers for any more, so that its number can go to whom it belongs.
const SURRENDER: &str = "\
-- inventory.surrender
update agency_phone_numbers n
set status = 'released',
    is_active = false,
    released_at = now(),
    agent_mapping_id = null
where n.phone_number = $1 /* phone_number */
  and n.id = any($2::uuid[] /* row_ids */)
  and n.status in ('active', 'inactive')
returning n.id";

/// A number that Telnyx has for an agency and that has no row gets one, and the ledger a purchase that is done. What the
/// number can do and costs, only the ledger may still know.
const ADOPT: &str = "\
-- inventory.adopt
with adopted as (
  insert into agency_phone_numbers
    (id, agency_id, phone_number, phone_number_id, number_type, country_code, voice_enabled, sms_enabled, mms_enabled,
     monthly_cost, setup_cost, currency, status, purchased_at)
  select $1 /* row_id */,
         $2 /* agency_id */,
         $3 /* phone_number */,
         $4 /* phone_number_id */,
         coalesce($5 /* number_type */, k.number_type),
         coalesce($6 /* country_code */, k.country_code),
         coalesce('voice' = any(k.features), true),
         coalesce('sms' = any(k.features), false),
         coalesce('mms' = any(k.features), false),
         k.monthly_cost,
         k.upfront_cost,
         coalesce(k.currency, 'USD'),
         'active',
         now()
  from (values ($7::uuid /* purchase_id */)) i (purchase_id)
  left join phone_number_purchases k on k.id = i.purchase_id
  on conflict (phone_number) do nothing
  returning id, agency_id, phone_number, phone_number_id, number_type, country_code
)
insert into phone_number_purchases as p
  (id, order_id, agency_id, agency_phone_number_id, phone_number, telnyx_account, telnyx_reference, telnyx_order_id,
   telnyx_phone_number_id, number_type, country_code, origin, phase, completed_at)
select $7, $7, a.agency_id, a.id, a.phone_number, $8 /* telnyx_account */, $9 /* telnyx_reference */,
       $10 /* telnyx_order_id */, a.phone_number_id, a.number_type, a.country_code, 'adopted', 'completed', now()
from adopted a
on conflict (id) do update
set agency_id = excluded.agency_id,
    agency_phone_number_id = excluded.agency_phone_number_id,
    telnyx_account = excluded.telnyx_account,
    telnyx_order_id = coalesce(excluded.telnyx_order_id, p.telnyx_order_id),
    telnyx_phone_number_id = excluded.telnyx_phone_number_id,
    origin = 'adopted',
    phase = 'completed',
    failure_code = null,
    failure_detail = null,
    completed_at = excluded.completed_at,
    lease_token = null,
    leased_until = null
where p.phase in ('completed', 'failed', 'cancelled')
  and p.phone_number = excluded.phone_number
returning p.agency_phone_number_id";

/// Rows from before the ledger, in no particular order: those that cannot be settled must not keep the others waiting.
const LEFTOVERS: &str = "\
-- inventory.leftovers
select n.id,
       n.agency_id,
       n.phone_number,
       n.status::text as status,
       n.created_at <= now() - $2::bigint /* stuck_ms */ * interval '1 millisecond' as stuck
from agency_phone_numbers n
where n.status <> 'released'
  and n.is_active
  and not exists (
    select
    from phone_number_purchases p
    where p.agency_phone_number_id = n.id
  )
order by random()
limit $1 /* limit */";

/// Takes a row from before the ledger into it, as what Telnyx says it is, unless that is no longer what it was then: its
/// release may have begun, or its purchase come to an end. The purchase has the row's id, so that doing it twice does
/// nothing.
const BACKFILL: &str = "\
-- inventory.backfill
with leftover as (
  select n.id, n.agency_id, n.phone_number, n.created_at, n.status
  from agency_phone_numbers n
  where n.id = $1 /* row_id */
    and n.is_active
    and (n.status = 'pending' or ($5::text /* phase */ = 'completed' and n.status in ('active', 'inactive')))
  for update
), noted as (
  insert into phone_number_purchases as p
    (id, order_id, agency_id, agency_phone_number_id, phone_number, telnyx_account, telnyx_reference, telnyx_order_id,
     telnyx_phone_number_id, origin, phase, order_attempts, created_at, completed_at)
  select l.id, l.id, l.agency_id, l.id, l.phone_number, $2 /* telnyx_account */, 'backfilled:' || l.id,
         $3 /* telnyx_order_id */, $4 /* telnyx_phone_number_id */, 'backfilled', $5, 1, l.created_at,
         case when $5 = 'completed' then now() end
  from leftover l
  on conflict (id) do nothing
  returning p.id
), changed as (
  update agency_phone_numbers n
  set phone_number_id = coalesce($4, n.phone_number_id),
      status = case
        when $5 = 'cancelled' then 'released'
        when $5 = 'completed' and n.status = 'pending' then 'active'
        else n.status
      end,
      is_active = $5 <> 'cancelled',
      purchased_at = case when $5 = 'completed' then coalesce(n.purchased_at, now()) else n.purchased_at end,
      released_at = case when $5 = 'cancelled' then now() else n.released_at end,
      agent_mapping_id = case when $5 <> 'cancelled' then n.agent_mapping_id end
  from noted
  where n.id = noted.id
)
select noted.id
from noted";

/// What is unfinished for too long, though it does not wait for documents.
const STUCK: &str = "\
-- inventory.stuck
select (
         select count(*)
         from phone_number_purchases p
         where p.phase in ('intended', 'ordering', 'ordered')
           and p.requirements_met is not false
           and p.created_at <= now() - $1::bigint /* stuck_ms */ * interval '1 millisecond'
       ) as purchases,
       (
         select count(*)
         from phone_number_releases r
         where r.phase = 'requested'
           and r.created_at <= now() - $1 * interval '1 millisecond'
       ) as releases";

pub(super) const STATEMENTS: &[&str] = &[
    SIGN, ACCOUNTS, AGENCIES, WALK, RENEW, PAUSE, FINISH, COMPARE, MISSING, DEACTIVATE, CORRECT, SURRENDER, ADOPT, LEFTOVERS, BACKFILL,
    STUCK,
];

/// Who changes rows after a comparison with Telnyx.
pub(super) const RECONCILE: &str = "reconcile";

/// A walk through the inventory of an account, in the hands of somebody.
#[derive(Clone, Debug)]
pub struct Walk {
    /// The account's name.
    pub account: String,
    /// The page to go on with, from 1.
    pub next_page: u32,
    /// The rows whose numbers were met so far.
    pub seen: Vec<Uuid>,
    /// The rows whose numbers the walk before did not meet.
    pub missed_before: Vec<Uuid>,
    /// When the walk began, on the database's clock.
    pub started_at: DateTime<Utc>,
    /// The holder's own token.
    pub token: Uuid,
}

/// A number of an account's inventory, as far as its owner can be told by it.
#[derive(Clone, Debug)]
pub struct Owner {
    /// The number.
    pub number: E164,
    /// Telnyx's id of it.
    pub phone_number_id: String,
    /// Its `customer_reference`.
    pub reference: Option<String>,
}

/// What a number of the inventory is to us.
#[derive(Clone, Debug)]
pub struct Counterpart {
    /// The row of the number, if there is one.
    pub row: Option<CounterpartRow>,
    /// The purchase that bought the number, if the ledger knows it, and whether that or its release is still being pursued.
    pub purchase: Option<(Uuid, bool)>,
    /// The agency that the reference or the ledger names.
    pub agency_id: Option<Uuid>,
    /// Whether there is such an agency.
    pub agency_exists: bool,
    /// Whether the reference is that of another number's purchase.
    pub is_copied: bool,
    /// Whether the life that this purchase began was given back, and long enough ago for Telnyx to have heard of it.
    pub released: Option<bool>,
}

/// The row of a number.
#[derive(Clone, Debug)]
pub struct CounterpartRow {
    /// Its id.
    pub id: Uuid,
    /// Its agency.
    pub agency_id: Uuid,
    /// Its status.
    pub status: Status,
    /// Telnyx's id of the number, as the row has it.
    pub phone_number_id: Option<String>,
    /// The reference of the purchase that the row comes from; None for a row from before the ledger.
    pub bought_as: Option<String>,
    /// It is inactive because an earlier comparison did not find its number.
    pub switched_off: bool,
}

/// A row whose number a walk did not meet.
#[derive(Clone, Debug)]
pub struct Missing {
    /// The row.
    pub row_id: Uuid,
    /// The number.
    pub number: E164,
    /// Telnyx's id of the number.
    pub phone_number_id: String,
    /// Telnyx's id of the order that bought it, if the ledger knows it.
    pub order_id: Option<String>,
    /// How many rows the account should have a number for.
    pub expected: i64,
}

/// A row from before the ledger.
#[derive(Clone, Debug)]
pub struct Leftover {
    /// The row.
    pub row_id: Uuid,
    /// Its agency.
    pub agency_id: Uuid,
    /// The number.
    pub number: E164,
    /// The row's status.
    pub status: Status,
    /// It is too old for somebody to be buying it still.
    pub stuck: bool,
}

/// What is unfinished for too long.
#[derive(Clone, Copy, Debug)]
pub struct Stuck {
    /// Purchases.
    pub purchases: i64,
    /// Releases.
    pub releases: i64,
}

/// A number at Telnyx that gets a row.
#[derive(Clone, Debug)]
pub struct Adoptee<'a> {
    /// The agency whose it is.
    pub agency_id: Uuid,
    /// The number, in E.164.
    pub number: &'a str,
    /// Telnyx's id of it.
    pub phone_number_id: &'a str,
    /// Its type, in Telnyx's words.
    pub number_type: Option<&'a str>,
    /// ISO 3166-1 alpha-2.
    pub country_code: Option<&'a str>,
    /// The purchase that its reference names, or a new one.
    pub purchase_id: Uuid,
    /// The account that has it.
    pub account: &'a str,
    /// Its `customer_reference`, or one that no other purchase has.
    pub reference: &'a str,
    /// Telnyx's id of the order that bought it, where there is one to be found.
    pub order_id: Option<&'a str>,
}

impl Store {
    /// The names of the accounts that numbers were ever bought in, those first that were last visited longest ago.
    ///
    /// # Errors
    /// The database's own.
    pub async fn telnyx_accounts(&self) -> Result<Vec<String>, Error> {
        self.rows(ACCOUNTS, &[]).await?.iter().map(|row| column(row, "telnyx_account")).collect()
    }

    /// Some of the agencies there are, `limit` at the most and others each time.
    ///
    /// # Errors
    /// The database's own.
    pub async fn agencies(&self, limit: i64) -> Result<Vec<Uuid>, Error> {
        self.rows(AGENCIES, &[&limit]).await?.iter().map(|row| column(row, "id")).collect()
    }

    /// Begins a walk through an account's inventory, or goes on with the one that stopped. None: somebody else walks.
    ///
    /// # Errors
    /// The database's own.
    pub async fn walk(&self, account: &str, lease: Duration) -> Result<Option<Walk>, Error> {
        let token = Uuid::new_v4();
        let Some(row) = self.row(WALK, &[&account, &token, &millis(lease)]).await? else { return Ok(None) };
        Ok(Some(Walk {
            account: account.to_owned(),
            next_page: u32::try_from(column::<i32>(&row, "next_page")?).unwrap_or(1),
            seen: column(&row, "seen")?,
            missed_before: column(&row, "missed")?,
            started_at: column(&row, "started_at")?,
            token,
        }))
    }

    /// Prolongs the hold on a walk; false when it is lost.
    ///
    /// # Errors
    /// The database's own.
    pub async fn renew_walk(&self, walk: &Walk, lease: Duration) -> Result<bool, Error> {
        self.fenced(RENEW, &[&walk.account, &walk.token, &millis(lease)]).await
    }

    /// Stops a walk, to be gone on with; false when it is somebody else's by now.
    ///
    /// # Errors
    /// The database's own.
    pub async fn pause_walk(&self, walk: &Walk) -> Result<bool, Error> {
        let next_page = i32::try_from(walk.next_page).unwrap_or(1);
        self.fenced(PAUSE, &[&walk.account, &walk.token, &next_page, &walk.seen]).await
    }

    /// Ends a walk; false when it is somebody else's by now.
    ///
    /// # Errors
    /// The database's own.
    pub async fn finish_walk(&self, walk: &Walk, missed: &[Uuid]) -> Result<bool, Error> {
        self.fenced(FINISH, &[&walk.account, &walk.token, &missed]).await
    }

    /// What the numbers of a page are to us, in their order. A release is believed to have reached Telnyx after `lag`.
    ///
    /// # Errors
    /// The database's own.
    pub async fn counterparts(&self, owners: &[Owner], lag: Duration) -> Result<Vec<Counterpart>, Error> {
        let numbers: Vec<_> = owners.iter().map(|owner| owner.number.as_str()).collect();
        let references: Vec<_> = owners.iter().map(|owner| owner.reference.as_deref()).collect();
        let agencies: Vec<_> = references.iter().map(|reference| reference.and_then(agency_of)).collect();
        let ids: Vec<_> = owners.iter().map(|owner| owner.phone_number_id.as_str()).collect();
        let rows = self.rows(COMPARE, &[&numbers, &references, &agencies, &millis(lag), &ids]).await?;
        rows.iter().map(counterpart).collect()
    }

    /// The active rows that an account should have a number for and that a walk did not meet.
    ///
    /// # Errors
    /// The database's own.
    pub async fn missing(&self, walk: &Walk) -> Result<Vec<Missing>, Error> {
        let rows = self.rows(MISSING, &[&walk.account, &walk.started_at, &walk.seen]).await?;
        rows.iter()
            .map(|row| {
                Ok(Missing {
                    row_id: column(row, "id")?,
                    number: word(row, "phone_number")?,
                    phone_number_id: column(row, "phone_number_id")?,
                    order_id: column(row, "telnyx_order_id")?,
                    expected: column(row, "expected")?,
                })
            })
            .collect()
    }

    /// Switches a row off whose number Telnyx does not have; false when it has changed meanwhile.
    ///
    /// # Errors
    /// The database's own.
    pub async fn deactivate(&self, missing: &Missing) -> Result<bool, Error> {
        self.reconciled(DEACTIVATE, &[&missing.row_id, &missing.phone_number_id]).await
    }

    /// Gives a row the id under which Telnyx has its number, and switches it on again where a comparison had switched it
    /// off; false when it has changed meanwhile.
    ///
    /// # Errors
    /// The database's own.
    pub async fn correct(&self, row_id: Uuid, phone_number_id: &str, reactivate: bool) -> Result<bool, Error> {
        self.reconciled(CORRECT, &[&row_id, &phone_number_id, &reactivate]).await
    }

    /// Gives a number of ours at Telnyx that has no live row the row that it should have. None: it has one by now, or its
    /// purchase is still being pursued.
    ///
    /// # Errors
    /// The database's own.
    pub async fn adopt(&self, adoptee: &Adoptee<'_>) -> Result<Option<Uuid>, Error> {
        self.transaction(|| self.try_to_adopt(adoptee)).await
    }

    async fn try_to_adopt(&self, adoptee: &Adoptee<'_>) -> Result<Option<Uuid>, Undone> {
        let mut client = self.connections.get().await?;
        let transaction = client.transaction().await?;
        sign(&transaction, RECONCILE).await?;
        let row_id = adopt(&transaction, adoptee, &[]).await?;
        if row_id.is_some() {
            transaction.commit().await?;
        }
        Ok(row_id)
    }

    /// Rows from before the ledger, `limit` at the most.
    ///
    /// # Errors
    /// The database's own.
    pub async fn leftovers(&self, limit: i64, stuck_after: Duration) -> Result<Vec<Leftover>, Error> {
        let rows = self.rows(LEFTOVERS, &[&limit, &millis(stuck_after)]).await?;
        rows.iter()
            .map(|row| {
                Ok(Leftover {
                    row_id: column(row, "id")?,
                    agency_id: column(row, "agency_id")?,
                    number: word(row, "phone_number")?,
                    status: word(row, "status")?,
                    stuck: column(row, "stuck")?,
                })
            })
            .collect()
    }

    /// Takes a row into the ledger whose number Telnyx has under this id.
    ///
    /// # Errors
    /// The database's own.
    pub async fn backfill_owned(&self, leftover: &Leftover, account: &str, phone_number_id: &str) -> Result<bool, Error> {
        self.backfill(leftover, account, None, Some(phone_number_id), "completed").await
    }

    /// Takes a row into the ledger whose number is ordered.
    ///
    /// # Errors
    /// The database's own.
    pub async fn backfill_ordered(&self, leftover: &Leftover, account: &str, order_id: &str) -> Result<bool, Error> {
        self.backfill(leftover, account, Some(order_id), None, "ordered").await
    }

    /// Takes a row into the ledger whose purchase came to nothing: it counts as released.
    ///
    /// # Errors
    /// The database's own.
    pub async fn backfill_abandoned(&self, leftover: &Leftover, account: &str) -> Result<bool, Error> {
        self.backfill(leftover, account, None, None, "cancelled").await
    }

    async fn backfill(
        &self,
        leftover: &Leftover,
        account: &str,
        order_id: Option<&str>,
        phone_number_id: Option<&str>,
        phase: &str,
    ) -> Result<bool, Error> {
        self.reconciled(BACKFILL, &[&leftover.row_id, &account, &order_id, &phone_number_id, &phase]).await
    }

    /// How much is unfinished for longer than `stuck_after`, documents aside.
    ///
    /// # Errors
    /// The database's own.
    pub async fn stuck(&self, stuck_after: Duration) -> Result<Stuck, Error> {
        let row = self.row(STUCK, &[&millis(stuck_after)]).await?;
        let row = row.ok_or_else(|| Error::Internal("inventory.stuck told nothing".into()))?;
        Ok(Stuck { purchases: column(&row, "purchases")?, releases: column(&row, "releases")? })
    }

    /// A change that follows from a comparison with Telnyx, as the history is to have it: whether it was made.
    async fn reconciled(&self, sql: &'static str, parameters: &[&(dyn ToSql + Sync)]) -> Result<bool, Error> {
        self.transaction(|| self.try_to_reconcile(sql, parameters)).await
    }

    async fn try_to_reconcile(&self, sql: &'static str, parameters: &[&(dyn ToSql + Sync)]) -> Result<bool, Undone> {
        let mut client = self.connections.get().await?;
        let transaction = client.transaction().await?;
        sign(&transaction, RECONCILE).await?;
        let changed = rows_of(&transaction, sql, parameters).await?;
        transaction.commit().await?;
        Ok(!changed.is_empty())
    }
}

/// Says, for the rest of the transaction, that a person of ours or a comparison makes the changes.
pub(super) async fn sign(transaction: &Transaction<'_>, actor: &str) -> Result<(), Undone> {
    rows_of(transaction, SIGN, &[&actor]).await?;
    Ok(())
}

/// The row that a number gets, instead of those rows; None when another live row has it.
pub(super) async fn adopt(transaction: &Transaction<'_>, adoptee: &Adoptee<'_>, instead_of: &[Uuid]) -> Result<Option<Uuid>, Undone> {
    let row_id = Uuid::new_v4();
    if !instead_of.is_empty() {
        rows_of(transaction, SURRENDER, &[&adoptee.number, &instead_of]).await?;
    }
    rows_of(transaction, VACATE, &[&adoptee.number, &row_id]).await?;
    let Adoptee { agency_id, number, phone_number_id, number_type, country_code, purchase_id, account, reference, order_id } = adoptee;
    let rows = rows_of(
        transaction,
        ADOPT,
        &[&row_id, agency_id, number, phone_number_id, number_type, country_code, purchase_id, account, reference, order_id],
    )
    .await?;
    Ok(rows.first().map(|row| column(row, "agency_phone_number_id")).transpose()?)
}

fn agency_of(reference: &str) -> Option<Uuid> {
    reference.parse::<Reference>().ok().map(|reference| reference.agency_id)
}

fn counterpart(row: &Row) -> Result<Counterpart, Error> {
    let row_id: Option<Uuid> = column(row, "row_id")?;
    let purchase: Option<Uuid> = column(row, "purchase_id")?;
    let pursued: Option<bool> = column(row, "pursued")?;
    Ok(Counterpart {
        row: row_id.map(|id| counterpart_row(row, id)).transpose()?,
        purchase: purchase.map(|id| (id, pursued.unwrap_or(false))),
        agency_id: column(row, "agency_id")?,
        agency_exists: column(row, "agency_exists")?,
        is_copied: column(row, "is_copied")?,
        released: column(row, "released")?,
    })
}

fn counterpart_row(row: &Row, id: Uuid) -> Result<CounterpartRow, Error> {
    Ok(CounterpartRow {
        id,
        agency_id: column(row, "row_agency_id")?,
        status: word(row, "status")?,
        phone_number_id: column(row, "phone_number_id")?,
        bought_as: column(row, "bought_as")?,
        switched_off: column::<Option<bool>>(row, "switched_off")?.unwrap_or(false),
    })
}
