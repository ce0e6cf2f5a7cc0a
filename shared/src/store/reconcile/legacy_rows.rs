//! Rows that predate the ledger, and how they are taken into it.

use std::time::Duration;

use uuid::Uuid;

use crate::error::Error;
use crate::model::{E164, KeyDigest, Status};
use crate::store::deployment::deployment;
use crate::store::numbers::history::Reconciled;
use crate::store::{Parameter, Store, column, millis};

/// Rows that predate the ledger, in random order, so that rows that cannot be settled do not delay the others. Rows that
/// a copied database has brought along are the other deployment's.
const LIST: &str = "\
-- reconcile.legacy_rows.list
select n.id,
       n.agency_id,
       n.phone_number,
       n.status::text as status,
       n.created_at <= now() - $2::bigint /* stuck_ms */ * interval '1 millisecond' as stuck
from phone_number_deployment d
join agency_phone_numbers n on n.created_at >= d.since
where n.status <> 'released'
  and n.is_active
  and not exists (
    select
    from phone_number_purchases p
    where p.agency_phone_number_id = n.id
  )
order by random()
limit $1 /* limit */";

/// Takes a row that predates the ledger into it, in the state that Telnyx shows, unless the row has changed since it was read: its
/// release may have begun, or its purchase come to an end. The purchase has the row's id, so that doing it twice does
/// nothing.
pub(in crate::store) const BACKFILL: &str = concat!(
    "-- reconcile.legacy_rows.backfill
with legacy_row as (
  select n.id, n.agency_id, n.phone_number, n.created_at, n.status
  from agency_phone_numbers n
  where n.id = $1 /* row_id */
    and n.is_active
    and (n.status = 'pending' or ($5::text /* phase */ = 'completed' and n.status in ('active', 'inactive')))
  for update
), noted as (
  insert into phone_number_purchases as p
    (id, order_id, agency_id, agency_phone_number_id, phone_number, telnyx_account, telnyx_reference, telnyx_order_id,
     telnyx_phone_number_id, key_sha256, deployment, origin, phase, order_attempts, created_at, completed_at)
  select l.id, l.id, l.agency_id, l.id, l.phone_number, $2 /* telnyx_account */, 'backfilled:' || l.id,
         $3 /* telnyx_order_id */, $4 /* telnyx_phone_number_id */, $6 /* key_sha256 */, ",
    deployment!(),
    ", 'backfilled', $5, 1, l.created_at,
         case when $5 = 'completed' then now() end
  from legacy_row l
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
from noted"
);

pub(in crate::store) const STATEMENTS: &[&str] = &[LIST, BACKFILL];

/// A row that predates the ledger.
#[derive(Clone, Debug)]
pub struct LegacyRow {
    /// The row.
    pub row_id: Uuid,
    /// Its agency.
    pub agency_id: Uuid,
    /// The number.
    pub number: E164,
    /// The row's status.
    pub status: Status,
    /// Whether it is too old to be part of a purchase that is still under way.
    pub stuck: bool,
}

impl Store {
    /// Rows that predate the ledger, at most `limit`.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if a query fails.
    pub async fn legacy_rows(&self, limit: i64, stuck_after: Duration) -> Result<Vec<LegacyRow>, Error> {
        let rows = self.rows(LIST, &[&limit, &millis(stuck_after)]).await?;
        rows.iter()
            .map(|row| {
                Ok(LegacyRow {
                    row_id: column(row, "id")?,
                    agency_id: column(row, "agency_id")?,
                    number: column(row, "phone_number")?,
                    status: column(row, "status")?,
                    stuck: column(row, "stuck")?,
                })
            })
            .collect()
    }

    /// Takes a row into the ledger whose number Telnyx has under this id, as a key has shown.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if a query fails.
    pub async fn backfill_owned(
        &self,
        legacy_row: &LegacyRow,
        account: &str,
        phone_number_id: &str,
        key_digest: KeyDigest,
    ) -> Result<Reconciled, Error> {
        self.reconciled(BACKFILL, &[&legacy_row.row_id, &account, &None::<&str>, &phone_number_id, &"completed", &key_digest]).await
    }

    /// Takes a row into the ledger whose number is ordered, as a key has shown.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if a query fails.
    pub async fn backfill_ordered(
        &self,
        legacy_row: &LegacyRow,
        account: &str,
        order_id: &str,
        key_digest: KeyDigest,
    ) -> Result<Reconciled, Error> {
        self.reconciled(BACKFILL, &[&legacy_row.row_id, &account, &order_id, &None::<&str>, &"ordered", &key_digest]).await
    }

    /// Takes a row into the ledger whose purchase bought nothing: it is released.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if a query fails.
    pub async fn backfill_abandoned(&self, legacy_row: &LegacyRow, account: &str) -> Result<Reconciled, Error> {
        self.reconciled(BACKFILL, &abandoned(&legacy_row.row_id, &account)).await
    }
}

/// The parameters with which a row is taken in as released.
pub(in crate::store) const fn abandoned<'a>(row_id: &'a Uuid, account: &'a &'a str) -> [&'a dyn Parameter; 6] {
    [row_id, account, &None::<&str>, &None::<&str>, &"cancelled", &None::<KeyDigest>]
}
