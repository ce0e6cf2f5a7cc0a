//! What Telnyx has, compared with the rows: which row and which purchase each number belongs to.

use std::time::Duration;

use deadpool_postgres::Transaction;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::error::Error;
use crate::model::{E164, Reference, Status};
use crate::store::deployment::of_this_deployment;
use crate::store::numbers::switched_off::switched_off;
use crate::store::reconcile::walks::MissingRow;
use crate::store::{Store, Undone, column, millis, rows_of, word};

/// Says, within a transaction, who changes a row for which reason.
const SIGN: &str = "\
-- inventory.sign
select set_config('phone_numbers.actor', $1 /* actor */, true) as actor,
       set_config('phone_numbers.event', 'reconciled', true) as event";

/// Some agencies, others each time.
const AGENCIES: &str = "\
-- inventory.agencies
select a.id
from agencies a
order by random()
limit $1 /* limit */";

/// For each number of a page, in their order: its row, if there is one, and the purchase that bought it, by its reference or
/// its id. A reference of another number's purchase means nothing: somebody has copied it. A release is that of the purchase, or,
/// for a row that predates the ledger, that of the number under the same id. What another deployment has written is only told
/// apart.
const COMPARE: &str = concat!(
    "-- inventory.compare
select n.id as row_id,
       n.agency_id as row_agency_id,
       n.status::text as status,
       n.phone_number_id,
       b.id as row_purchase_id,
       b.telnyx_reference as bought_as,
       b.telnyx_account as row_account,
       case when b.id is null then n.created_at >= d.since else coalesce(b.deployment, d.name) = d.name end as row_is_ours,
       ",
    switched_off!(),
    " as switched_off,
       p.id as purchase_id,
       p.agency_id as purchase_agency_id,
       p.telnyx_account as purchase_account,
       coalesce(p.deployment, d.name) = d.name as purchase_is_ours,
       (p.telnyx_reference = i.telnyx_reference) is true as purchase_is_named,
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
           and coalesce(l.deployment, d.name) = d.name
       ) as is_copied,
       exists (
         select
         from phone_number_purchases l
         where l.phone_number = i.phone_number
           and coalesce(l.deployment, d.name) = d.name
       ) as is_named,
       (
         select max(r.completed_at)
         from phone_number_releases r
         where r.phone_number = i.phone_number
           and r.phase = 'completed'
           and coalesce(r.deployment, d.name) = d.name
           and case
             when p.id is null then r.telnyx_phone_number_id = i.phone_number_id
             else r.agency_phone_number_id = p.agency_phone_number_id
           end
       ) <= now() - $4::bigint /* lag_ms */ * interval '1 millisecond' as released
from phone_number_deployment d
cross join unnest($1::text[], $2::text[], $3::uuid[], $5::text[]) with ordinality as i
  (phone_number, telnyx_reference, agency_id, phone_number_id, position)
left join agency_phone_numbers n on n.phone_number = i.phone_number
left join lateral (
  select l.id, l.telnyx_reference, l.telnyx_account, l.deployment
  from phone_number_purchases l
  where l.agency_phone_number_id = n.id
  order by l.created_at desc
  limit 1
) b on true
left join lateral (
  select l.id, l.agency_id, l.agency_phone_number_id, l.phase, l.telnyx_account, l.telnyx_reference, l.deployment
  from phone_number_purchases l
  where l.phone_number = i.phone_number
    and (l.telnyx_reference = i.telnyx_reference or l.telnyx_phone_number_id = i.phone_number_id)
  order by (l.telnyx_reference = i.telnyx_reference) is true desc, l.created_at desc
  limit 1
) p on true
order by i.position"
);

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

/// What is unfinished for too long, though it does not wait for documents, or has waited for them past their time: 30 days
/// where Telnyx did not say how long.
const STUCK: &str = concat!(
    "-- inventory.stuck
select (
         select count(*)
         from phone_number_purchases p
         where p.phase in ('intended', 'ordering', 'ordered')
           and (
             p.requirements_met is not false
             or coalesce(p.requirements_deadline, p.created_at + interval '30 days') < now()
           )
           and ",
    of_this_deployment!("p"),
    "
           and p.created_at <= now() - $1::bigint /* stuck_ms */ * interval '1 millisecond'
       ) as purchases,
       (
         select count(*)
         from phone_number_releases r
         where r.phase = 'requested'
           and ",
    of_this_deployment!("r"),
    "
           and r.created_at <= now() - $1 * interval '1 millisecond'
       ) as releases,
       (
         select count(*)
         from phone_number_inventory_walks w
         where coalesce(w.finished_at, w.created_at) <= now() - interval '1 day'
       ) as accounts"
);

pub(in crate::store) const STATEMENTS: &[&str] = &[SIGN, AGENCIES, COMPARE, DEACTIVATE, CORRECT, STUCK];

/// Who changes rows after a comparison with Telnyx.
pub(in crate::store) const RECONCILE: &str = "reconcile";

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
    /// The purchase that bought the number, if the ledger knows it.
    pub purchase: Option<KnownPurchase>,
    /// The agency that the ledger or the reference names.
    pub agency_id: Option<Uuid>,
    /// Whether there is such an agency.
    pub agency_exists: bool,
    /// Whether the reference is that of another number's purchase.
    pub is_copied: bool,
    /// Whether any purchase of this deployment is of this number.
    pub is_named: bool,
    /// Whether the life that this purchase began was given back, and long enough ago for Telnyx to have heard of it.
    pub released: Option<bool>,
}

/// A purchase that the ledger connects with a number.
#[derive(Clone, Debug)]
pub struct KnownPurchase {
    /// Its id.
    pub id: Uuid,
    /// The agency that bought.
    pub agency_id: Uuid,
    /// The name of the account at Telnyx that it was bought in.
    pub account: String,
    /// Whether this deployment wrote it.
    pub is_ours: bool,
    /// Whether the number carries its reference. Otherwise it is known by the number's id.
    pub is_named: bool,
    /// Whether it, or the release of its number, is still being pursued.
    pub is_pursued: bool,
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
    /// The purchase that it comes from; None for a row from before the ledger.
    pub origin: Option<Origin>,
    /// Whether this deployment may write about its number at Telnyx.
    pub is_ours: bool,
    /// It is inactive because an earlier comparison did not find its number.
    pub switched_off: bool,
}

/// The purchase that a row comes from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Its id.
    pub purchase_id: Uuid,
    /// Its reference.
    pub reference: String,
    /// The name of the account at Telnyx that it was bought in.
    pub account: String,
}

/// What is unfinished for too long.
#[derive(Clone, Copy, Debug)]
pub struct Stuck {
    /// Purchases.
    pub purchases: i64,
    /// Releases.
    pub releases: i64,
    /// Accounts that no whole walk has gone through for a day.
    pub accounts: i64,
}

impl Store {
    /// Some of the agencies there are, `limit` at the most and others each time.
    ///
    /// # Errors
    /// The database's own.
    pub async fn agencies(&self, limit: i64) -> Result<Vec<Uuid>, Error> {
        self.rows(AGENCIES, &[&limit]).await?.iter().map(|row| column(row, "id")).collect()
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

    /// Switches a row off whose number Telnyx does not have; false when it has changed meanwhile.
    ///
    /// # Errors
    /// The database's own.
    pub async fn deactivate(&self, missing: &MissingRow) -> Result<bool, Error> {
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
        Ok(Stuck { purchases: column(&row, "purchases")?, releases: column(&row, "releases")?, accounts: column(&row, "accounts")? })
    }

    /// A change that follows from a comparison with Telnyx, as the history is to have it: whether it was made.
    pub(in crate::store) async fn reconciled(&self, sql: &'static str, parameters: &[&(dyn ToSql + Sync)]) -> Result<bool, Error> {
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
pub(in crate::store) async fn sign(transaction: &Transaction<'_>, actor: &str) -> Result<(), Undone> {
    rows_of(transaction, SIGN, &[&actor]).await?;
    Ok(())
}

/// The agency that a reference names, whichever deployment wrote it.
fn agency_of(reference: &str) -> Option<Uuid> {
    reference.parse::<Reference>().ok().map(|reference| reference.agency_id)
}

fn counterpart(row: &Row) -> Result<Counterpart, Error> {
    let row_id: Option<Uuid> = column(row, "row_id")?;
    let purchase: Option<Uuid> = column(row, "purchase_id")?;
    Ok(Counterpart {
        row: row_id.map(|id| counterpart_row(row, id)).transpose()?,
        purchase: purchase.map(|id| known_purchase(row, id)).transpose()?,
        agency_id: column(row, "agency_id")?,
        agency_exists: column(row, "agency_exists")?,
        is_copied: column(row, "is_copied")?,
        is_named: column(row, "is_named")?,
        released: column(row, "released")?,
    })
}

fn known_purchase(row: &Row, id: Uuid) -> Result<KnownPurchase, Error> {
    Ok(KnownPurchase {
        id,
        agency_id: column(row, "purchase_agency_id")?,
        account: column(row, "purchase_account")?,
        is_ours: column(row, "purchase_is_ours")?,
        is_named: column(row, "purchase_is_named")?,
        is_pursued: column::<Option<bool>>(row, "pursued")?.unwrap_or(false),
    })
}

fn counterpart_row(row: &Row, id: Uuid) -> Result<CounterpartRow, Error> {
    let purchase_id: Option<Uuid> = column(row, "row_purchase_id")?;
    let origin = |purchase_id| -> Result<Origin, Error> {
        Ok(Origin { purchase_id, reference: column(row, "bought_as")?, account: column(row, "row_account")? })
    };
    Ok(CounterpartRow {
        id,
        agency_id: column(row, "row_agency_id")?,
        status: word(row, "status")?,
        phone_number_id: column(row, "phone_number_id")?,
        origin: purchase_id.map(origin).transpose()?,
        is_ours: column(row, "row_is_ours")?,
        switched_off: column::<Option<bool>>(row, "switched_off")?.unwrap_or(false),
    })
}
