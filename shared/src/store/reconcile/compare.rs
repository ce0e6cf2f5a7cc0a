//! The comparison of the numbers that Telnyx has with the rows: the row and the purchase of each number.

use std::time::Duration;

use tokio_postgres::Row;
use uuid::Uuid;

use crate::error::Error;
use crate::model::{E164, Reference, Status};
use crate::store::numbers::switched_off::switched_off;
use crate::store::{Store, column, millis};

/// For each number of a page, in their order: its row, if there is one, and the purchase that bought it, by its reference or
/// its id. A reference of another number's purchase proves nothing, since references can be copied. A release is that of the purchase, or,
/// for a row that predates the ledger, that of the number under the same id. What another deployment has written is only told
/// apart.
///
/// Whether something exists is asked with `limit 1` instead of `exists`, for which the planner may read a whole table into a hash.
const COMPARE: &str = concat!(
    "-- reconcile.compare.counterparts
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
       p.phase in ('intended', 'ordering', 'ordered') or (
         select true
         from phone_number_releases r
         where r.agency_phone_number_id = p.agency_phone_number_id
           and r.phase = 'requested'
         limit 1
       ) is not null as pursued,
       coalesce(p.agency_id, i.agency_id) as agency_id,
       (select true from agencies a where a.id = coalesce(p.agency_id, i.agency_id) limit 1) is not null as agency_exists,
       (
         select true
         from phone_number_purchases l
         where l.telnyx_reference = i.telnyx_reference
           and l.phone_number <> i.phone_number
           and coalesce(l.deployment, d.name) = d.name
         limit 1
       ) is not null as is_copied,
       (
         select true
         from phone_number_purchases l
         where l.phone_number = i.phone_number
           and coalesce(l.deployment, d.name) = d.name
         limit 1
       ) is not null as is_named,
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

pub(in crate::store) const STATEMENTS: &[&str] = &[COMPARE];

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
    /// The last release of the number since this purchase.
    pub last_release: LastRelease,
}

/// The last release of a number since its purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastRelease {
    /// There is none.
    Never,
    /// Telnyx may not show it yet.
    Recent,
    /// Telnyx shows it by now.
    Settled,
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
    /// The purchase that it comes from; None for a row that predates the ledger.
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

impl Store {
    /// The rows and purchases of the numbers of a page, in their order. Telnyx is expected to show a release after `lag`.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if a query fails.
    pub async fn counterparts(&self, owners: &[Owner], lag: Duration) -> Result<Vec<Counterpart>, Error> {
        let numbers: Vec<_> = owners.iter().map(|owner| owner.number.as_str()).collect();
        let references: Vec<_> = owners.iter().map(|owner| owner.reference.as_deref()).collect();
        let agencies: Vec<_> = references.iter().map(|reference| reference.and_then(agency_of)).collect();
        let ids: Vec<_> = owners.iter().map(|owner| owner.phone_number_id.as_str()).collect();
        let rows = self.rows(COMPARE, &[&numbers, &references, &agencies, &millis(lag), &ids]).await?;
        rows.iter().map(counterpart).collect()
    }
}

/// The agency that a reference names, also if another deployment wrote it.
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
        last_release: match column(row, "released")? {
            None => LastRelease::Never,
            Some(false) => LastRelease::Recent,
            Some(true) => LastRelease::Settled,
        },
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
        status: column(row, "status")?,
        phone_number_id: column(row, "phone_number_id")?,
        origin: purchase_id.map(origin).transpose()?,
        is_ours: column(row, "row_is_ours")?,
        switched_off: column::<Option<bool>>(row, "switched_off")?.unwrap_or(false),
    })
}
