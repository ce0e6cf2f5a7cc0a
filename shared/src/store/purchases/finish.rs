//! The end of a purchase: completed, failed or cancelled.

use rust_decimal::Decimal;
use tokio_postgres::error::SqlState;

use super::ledger::{Purchase, PurchaseId, columns, purchase};
use crate::error::Error;
use crate::model::{KeyDigest, Money, PhoneNumber};
use crate::store::lease::{Fenced, Lease};
use crate::store::numbers::read;
use crate::store::numbers::row::phone_number;
use crate::store::numbers::row_lock::{row_is_locked, row_lock};
use crate::store::tenant::Tenant;
use crate::store::{Parameter, Query, Store, column, is_violation};

/// Width of the column `currency`, in characters.
const LONGEST_CURRENCY: usize = 3;

/// The purchase is done and the row is live, both or neither.
const COMPLETE: &str = concat!(
    "-- purchases.finish.complete
with ",
    row_lock!("phone_number_purchases", "l.id = $1 and l.lease_token = $2"),
    ", done as (
  update phone_number_purchases p
  set phase = 'completed',
      telnyx_phone_number_id = $3 /* telnyx_phone_number_id */,
      key_sha256 = $6 /* key_sha256 */,
      number_missed_at = null,
      number_type = coalesce($4 /* number_type */, p.number_type),
      country_code = coalesce(p.country_code, $5 /* country_code */),
      completed_at = now(),
      lease_token = null,
      leased_until = null
  where p.id = $1 /* id */
    and p.lease_token = $2 /* lease_token */
    and p.phase = 'ordered'
    and ",
    row_is_locked!(),
    "
  returning p.*, phone_numbers_sign(coalesce(p.caller_id::text, 'reconcile'), p.id) as signature
), activated as (
  update agency_phone_numbers n
  set status = 'active',
      phone_number_id = $3,
      number_type = coalesce(d.number_type, n.number_type),
      country_code = coalesce(d.country_code, n.country_code),
      voice_enabled = coalesce('voice' = any(d.features), n.voice_enabled),
      sms_enabled = coalesce('sms' = any(d.features), n.sms_enabled),
      mms_enabled = coalesce('mms' = any(d.features), n.mms_enabled),
      monthly_cost = coalesce(d.monthly_cost, n.monthly_cost),
      setup_cost = coalesce(d.upfront_cost, n.setup_cost),
      currency = coalesce(d.currency, n.currency),
      purchased_at = now()
  from done d
  where n.id = d.agency_phone_number_id
    and n.status = 'pending'
  returning n.id
)
select exists (select from activated) as activated,
       ",
    columns!(),
    "
from done p"
);

/// The purchase has failed for good and the row is gone, if it did not go with its agency; the one that had made room for
/// it is back, as it was, unless its own agency is gone. The row is put back whole, whatever columns it has. `removed` is
/// joined even where nothing was: it has to be done before the number can have its old row again.
const FAIL: &str = concat!(
    "-- purchases.finish.fail
with ",
    row_lock!("phone_number_purchases", "l.id = $1 and l.lease_token = $2"),
    ", failed as (
  update phone_number_purchases p
  set phase = 'failed',
      failure_code = $3 /* failure_code */,
      failure_detail = $4 /* failure_detail */,
      monthly_cost = case when $5 /* is_priced */ then $6 /* monthly_cost */ else p.monthly_cost end,
      upfront_cost = case when $5 then $7 /* upfront_cost */ else p.upfront_cost end,
      currency = case when $5 then $8 /* currency */ else p.currency end,
      lease_token = null,
      leased_until = null
  where p.id = $1 /* id */
    and p.lease_token = $2 /* lease_token */
    and p.phase in ('intended', 'ordering', 'ordered')
    and ",
    row_is_locked!(),
    "
  returning p.id, p.agency_id, p.agency_phone_number_id, p.phone_number
), expired as (
  insert into phone_number_history (agency_id, agency_phone_number_id, phone_number, event, actor, changes)
  select f.agency_id, f.agency_phone_number_id, f.phone_number, 'expired', 'reconcile',
         jsonb_build_object('purchase', jsonb_build_object('id', f.id, 'from', 'intended', 'to', 'failed'))
  from failed f
  where $3 = 'purchase_expired'
), removed as (
  delete from agency_phone_numbers n
  using failed f
  where n.id = f.agency_phone_number_id
    and n.status = 'pending'
  returning n.id
), unarchived as (
  delete from agency_phone_numbers_archive a
  using failed f
  left join removed r on r.id = f.agency_phone_number_id
  where a.replaced_by = f.agency_phone_number_id
    and exists (select from agencies g where g.id = a.agency_id)
    and (r.id is not null or not exists (select from agency_phone_numbers n where n.phone_number = a.phone_number))
  returning a.record
)
select f.id,
       (
         select agency_phone_numbers_restore(u.record)
         from unarchived u
       ) as restored
from failed f"
);

/// The purchase was given up before it was paid for, and its row with it.
const CANCEL: &str = concat!(
    "-- purchases.finish.cancel
with ",
    row_lock!("phone_number_purchases", "l.id = $1 and l.lease_token = $2"),
    ", cancelled as (
  update phone_number_purchases p
  set phase = 'cancelled',
      completed_at = now(),
      lease_token = null,
      leased_until = null
  where p.id = $1 /* id */
    and p.lease_token = $2 /* lease_token */
    and p.phase in ('intended', 'ordering', 'ordered')
    and ",
    row_is_locked!(),
    "
  returning p.id, p.agency_phone_number_id, phone_numbers_sign($3 /* actor */, p.id) as signature
), released as (
  update agency_phone_numbers n
  set status = 'released',
      is_active = false,
      released_at = now(),
      agent_mapping_id = null
  from cancelled c
  where n.id = c.agency_phone_number_id
    and n.status = 'pending'
)
select c.id
from cancelled c"
);

/// Purchases whose order or number is missing are given up, and their rows with them. Their rows have to be locked already.
pub(in crate::store) const GIVE_UP: &str = "\
-- purchases.finish.give_up
with cancelled as (
  update phone_number_purchases p
  set phase = 'cancelled',
      completed_at = now(),
      lease_token = null,
      leased_until = null
  where p.id in (
    select o.id
    from phone_number_purchases o
    where o.agency_phone_number_id = any($1::uuid[] /* row_ids */)
      and o.phase in ('ordering', 'ordered')
      and (o.order_missed_at is not null or o.number_missed_at is not null)
    order by o.id
    for update
  )
  returning p.id, p.agency_phone_number_id
), released as (
  update agency_phone_numbers n
  set status = 'released',
      is_active = false,
      released_at = now(),
      agent_mapping_id = null
  from cancelled c
  where n.id = c.agency_phone_number_id
    and n.status = 'pending'
)
select c.id
from cancelled c";

pub(in crate::store) const STATEMENTS: &[&str] = &[COMPLETE, FAIL, CANCEL, GIVE_UP];

/// The number that a purchase bought, as Telnyx's inventory shows it.
#[derive(Clone, Copy, Debug)]
pub struct BoughtNumber<'a> {
    /// Telnyx's id of the number.
    pub phone_number_id: &'a str,
    /// Its type, in Telnyx's words.
    pub number_type: Option<&'a str>,
    /// ISO 3166-1 alpha-2.
    pub country_code: Option<&'a str>,
    /// The SHA-256 of the API key that showed it.
    pub key_digest: KeyDigest,
}

/// The row of a completed purchase.
#[derive(Clone, Debug)]
pub enum Activation {
    /// The row is live: as it was just after, or None if it could not be read.
    Activated(Option<Box<PhoneNumber>>),
    /// The row was deleted with its agency. Telnyx bills a number that no agency has.
    WithoutRow,
}

impl Store {
    /// Completes a purchase and makes its row live. Returns both as they are now, in one round trip.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the purchase cannot be completed.
    pub async fn complete_purchase(
        &self,
        lease: &Lease<PurchaseId>,
        ordered: &Purchase,
        bought: &BoughtNumber<'_>,
    ) -> Result<Fenced<(Purchase, Activation)>, Error> {
        let BoughtNumber { phone_number_id, number_type, country_code, key_digest } = bought;
        let parameters: [&dyn Parameter; 6] = [&lease.of.0, &lease.token, phone_number_id, number_type, country_code, key_digest];
        let rows = [ordered.row_id];
        // The row is shown by a statement of its own, behind the one that changes it: a failure to show it undoes nothing.
        let [done, shown] = self
            .run_each([Query::new(COMPLETE, &parameters), Query::new(read::OF_AGENCY, &[&ordered.agency_id, &rows.as_slice()])])
            .await?;
        let Some(row) = done?.into_iter().next() else { return Ok(Fenced::Lost) };
        let activation = if column(&row, "activated")? {
            let shown = shown.and_then(|shown| Tenant::from(ordered.agency_id).read(&shown, phone_number));
            Activation::Activated(shown.ok().and_then(|mut rows| rows.pop()).map(Box::new))
        } else {
            Activation::WithoutRow
        };
        Ok(Fenced::Done((purchase(&row)?, activation)))
    }

    /// Ends a purchase with the error that it failed with and removes its row. The price in `PriceExceeded` is noted, so that
    /// a repeated request gets the same error.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn fail_purchase(&self, lease: &Lease<PurchaseId>, error: &Error) -> Result<Fenced, Error> {
        let price = if let Error::PriceExceeded(price) = error { Some(price) } else { None };
        let amount = |amount: Option<Money>| amount.and_then(storable);
        let monthly_cost = amount(price.and_then(|price| price.monthly));
        let upfront_cost = amount(price.and_then(|price| price.upfront));
        let currency = price.and_then(|price| price.currency.as_deref()).filter(|currency| currency.chars().count() <= LONGEST_CURRENCY);
        let (code, detail, is_priced) = (error.code(), error.to_string(), price.is_some());
        let (id, token) = (&lease.of.0, &lease.token);
        let parameters: [&dyn Parameter; 8] = [id, token, &code, &detail, &is_priced, &monthly_cost, &upfront_cost, &currency];
        let failed = match self.fenced(FAIL, &parameters).await {
            // Another agency took the number after the statement had found it free. The second attempt finds it taken.
            Err(error) if is_violation(&error, &SqlState::UNIQUE_VIOLATION) => self.fenced(FAIL, &parameters).await,
            outcome => outcome,
        };
        failed?.read(|_| Ok(()))
    }

    /// Ends a purchase that was given up before it was paid for, and releases its row. `actor` is who did it, as the history
    /// names them.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn cancel_purchase(&self, lease: &Lease<PurchaseId>, actor: &str) -> Result<Fenced, Error> {
        self.fenced(CANCEL, &[&lease.of.0, &lease.token, &actor]).await?.read(|_| Ok(()))
    }
}

/// An amount as `numeric(10,4)` holds it. None: it is too large, and only unknown prices can be stored without a mistake.
fn storable(amount: Money) -> Option<Money> {
    let amount = amount.0.round_dp(4);
    (amount < Decimal::from(1_000_000)).then_some(Money(amount))
}
