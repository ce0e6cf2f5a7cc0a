//! What Telnyx has, held against the rows: which row a number belongs to, and which rows have no number.

use std::time::Duration;

use chrono::{DateTime, Utc};
use deadpool_postgres::Transaction;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

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

pub(super) const STATEMENTS: &[&str] =
    &[SIGN, ACCOUNTS, AGENCIES, WALK, RENEW, PAUSE, FINISH, COMPARE, MISSING, DEACTIVATE, CORRECT, STUCK];

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

/// What is unfinished for too long.
#[derive(Clone, Copy, Debug)]
pub struct Stuck {
    /// Purchases.
    pub purchases: i64,
    /// Releases.
    pub releases: i64,
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
    pub(super) async fn reconciled(&self, sql: &'static str, parameters: &[&(dyn ToSql + Sync)]) -> Result<bool, Error> {
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
