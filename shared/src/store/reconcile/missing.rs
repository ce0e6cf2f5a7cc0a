//! Rows that an account should have a number for and that no walk sees any more.

use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::error::Error;
use crate::model::{E164, KeyDigest};
use crate::store::deployment::of_this_deployment;
use crate::store::reconcile::walks::Walk;
use crate::store::{Store, column};

/// The rows that an account should have a number for: how many there are, how many of the active ones no walk has seen since
/// a time, and the first of those.
const MISSING: &str = concat!(
    "-- reconcile.missing.rows
with expected as materialized (
  select n.id,
         p.id as purchase_id,
         n.status = 'active' and p.completed_at < $3 /* unseen_since */ and (s.seen_at is null or s.seen_at < $3) as is_missing
  from phone_number_purchases p
  join agency_phone_numbers n on n.id = p.agency_phone_number_id
  left join phone_number_sightings s
    on s.telnyx_account = p.telnyx_account
    and s.agency_phone_number_id = n.id
  where p.telnyx_account = $1 /* telnyx_account */
    and p.completed_at < $2 /* started_at */
    and n.status in ('active', 'inactive')
    and n.is_active
    and n.phone_number_id is not null
    and ",
    of_this_deployment!("p"),
    "
    and not exists (
      select
      from phone_number_purchases l
      where l.agency_phone_number_id = p.agency_phone_number_id
        and (l.created_at, l.id) > (p.created_at, p.id)
    )
), counted as (
  select count(*) as expected, count(*) filter (where e.is_missing) as missing
  from expected e
), first as (
  select e.id, e.purchase_id
  from expected e
  where e.is_missing
  order by e.id
  limit $4 /* limit */
)
select c.expected, c.missing, f.id, n.agency_id, n.phone_number, n.phone_number_id, f.purchase_id, p.telnyx_account,
       p.telnyx_reference, p.telnyx_order_id, p.key_sha256
from counted c
left join (
  first f
  join agency_phone_numbers n on n.id = f.id
  join phone_number_purchases p on p.id = f.purchase_id
) on true
order by f.id"
);

pub(in crate::store) const STATEMENTS: &[&str] = &[MISSING];

/// The rows that an account should have a number for and that no walk sees.
#[derive(Clone, Debug)]
pub struct Missing {
    /// How many rows the account should have a number for.
    pub expected: i64,
    /// How many of them are active and were not seen.
    pub count: i64,
    /// The first of those, by their ids.
    pub rows: Vec<MissingRow>,
}

/// A row whose number no walk sees, with what the ledger knows of the number.
#[derive(Clone, Debug)]
pub struct MissingRow {
    /// The row.
    pub row_id: Uuid,
    /// Its agency.
    pub agency_id: Uuid,
    /// The number.
    pub number: E164,
    /// Telnyx's id of the number.
    pub phone_number_id: String,
    /// The purchase that bought it.
    pub purchase_id: Uuid,
    /// The account that it was bought in.
    pub account: String,
    /// The reference of its order.
    pub reference: String,
    /// Telnyx's id of the order.
    pub order_id: Option<String>,
    /// The SHA-256 of the API key that placed the order or first showed the number.
    pub key_digest: Option<KeyDigest>,
}

impl Store {
    /// The active rows that an account should have a number for and that no walk has seen since `unseen_since`, counted, and
    /// the first `limit` of them. Rows that were bought after the walk began are not expected.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn missing(&self, walk: &Walk, unseen_since: DateTime<Utc>, limit: i64) -> Result<Missing, Error> {
        let rows = self.rows(MISSING, &[&walk.account(), &walk.started_at, &unseen_since, &limit]).await?;
        let counts = rows.first().ok_or_else(|| Error::Internal("reconcile.missing.rows returned no row".into()))?;
        Ok(Missing {
            expected: column(counts, "expected")?,
            count: column(counts, "missing")?,
            rows: rows.iter().filter_map(|row| missing_row(row).transpose()).collect::<Result<_, Error>>()?,
        })
    }
}

fn missing_row(row: &Row) -> Result<Option<MissingRow>, Error> {
    let row_id: Option<Uuid> = column(row, "id")?;
    let missing = |row_id| -> Result<MissingRow, Error> {
        Ok(MissingRow {
            row_id,
            agency_id: column(row, "agency_id")?,
            number: column(row, "phone_number")?,
            phone_number_id: column(row, "phone_number_id")?,
            purchase_id: column(row, "purchase_id")?,
            account: column(row, "telnyx_account")?,
            reference: column(row, "telnyx_reference")?,
            order_id: column(row, "telnyx_order_id")?,
            key_digest: column(row, "key_sha256")?,
        })
    };
    row_id.map(missing).transpose()
}
