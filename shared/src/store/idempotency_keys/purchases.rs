//! What an idempotency key lists: the purchases that its requests have begun or joined, by position.

use std::collections::HashMap;

use tokio_postgres::Row;
use uuid::Uuid;

use super::IdempotencyKey;
use crate::error::Error;
use crate::store::callers::caller;
use crate::store::lease::{Fenced, Lease};
use crate::store::purchases::ledger::{Purchase, columns, purchase};
use crate::store::tenant::Tenant;
use crate::store::{Store, column};

/// Lists a purchase, or a row without one, at a position of the key, for the holder of the key, and renews the lease. The
/// lease counts from `clock_timestamp()`: the transaction may have begun long before, to wait for its agency's lock.
const LIST: &str = "\
-- idempotency_keys.purchases.list
with held as (
  update phone_number_idempotency_keys k
  set leased_until = clock_timestamp() + $5::bigint /* lease_ms */ * interval '1 millisecond'
  where k.agency_id = $1 /* agency_id */
    and k.function = $2 /* function */
    and k.key = $3 /* key */
    and k.lease_token = $4 /* lease_token */
  returning k.agency_id, k.function, k.key
)
insert into phone_number_idempotency_purchases as i
  (agency_id, function, key, position, purchase_id, agency_phone_number_id)
select h.agency_id, h.function, h.key, $6 /* position */, $7 /* purchase_id */, $8 /* row_id */
from held h
on conflict (agency_id, function, key, position) do update
set purchase_id = excluded.purchase_id,
    agency_phone_number_id = excluded.agency_phone_number_id,
    listed_at = excluded.listed_at
returning i.position";

/// What a key lists, as it is now.
pub(super) const LISTED: &str = concat!(
    "-- idempotency_keys.purchases.listed\n",
    caller!(),
    "
select i.agency_id as key_agency_id,
       i.position,
       i.agency_phone_number_id as row_id,
       ",
    columns!(),
    "
from phone_number_idempotency_purchases i
join caller c on c.agency_id = i.agency_id
left join phone_number_purchases p on p.id = i.purchase_id
where i.function = $3 /* function */
  and i.key = $4 /* key */"
);

pub(in crate::store) const STATEMENTS: &[&str] = &[LIST, LISTED];

/// One of the numbers that the request of a held key asks for.
#[derive(Clone, Copy, Debug)]
pub struct KeyPosition<'a> {
    /// The key.
    pub key: &'a Lease<IdempotencyKey>,
    /// The index of the number in the request.
    pub position: i16,
}

/// What a key lists at a position.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "there are ten of them at most")]
pub enum Listed {
    /// A purchase that a request with the key has begun or joined, as it is now.
    Purchase(Purchase),
    /// A row that the agency had already, and that no purchase is known of.
    Row(Uuid),
}

/// What is to be listed at a position.
#[derive(Clone, Copy, Debug)]
pub enum KeyEntry {
    /// The purchase with this id.
    Purchase(Uuid),
    /// The row with this id, which no purchase is known of.
    Row(Uuid),
}

impl KeyEntry {
    /// The values of the columns `purchase_id` and `agency_phone_number_id`.
    const fn columns(self) -> (Option<Uuid>, Option<Uuid>) {
        match self {
            Self::Purchase(id) => (Some(id), None),
            Self::Row(id) => (None, Some(id)),
        }
    }
}

impl Store {
    /// Lists a purchase or a row at a position of a held key, in place of what was listed there.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn list_purchase(&self, place: KeyPosition<'_>, entry: KeyEntry) -> Result<Fenced, Error> {
        let KeyPosition { key: lease, position } = place;
        let IdempotencyKey { agency_id, function, key } = &lease.of;
        let (purchase_id, row_id) = entry.columns();
        let duration = lease.millis();
        let listed = self.fenced(LIST, &[agency_id, function, key, &lease.token, &duration, &position, &purchase_id, &row_id]).await?;
        listed.read(|_| Ok(()))
    }
}

/// What a key lists, by position. `Internal` if the ledger lacks a listed purchase.
pub(super) fn listed(tenant: Tenant, rows: &[Row]) -> Result<HashMap<i16, Listed>, Error> {
    rows.iter().map(|row| Ok((column(row, "position")?, entry(tenant, row)?))).collect()
}

fn entry(tenant: Tenant, row: &Row) -> Result<Listed, Error> {
    tenant.part(row, "key_agency_id")?;
    if let Some(row_id) = column(row, "row_id")? {
        return Ok(Listed::Row(row_id));
    }
    match tenant.part(row, "agency_id")? {
        Some(listed) => Ok(Listed::Purchase(purchase(listed.ledger())?)),
        None => Err(Error::Internal("the ledger lacks a purchase that an idempotency key lists".into())),
    }
}
