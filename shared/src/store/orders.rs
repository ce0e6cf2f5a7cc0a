//! What the ledger notes of a purchase's order at Telnyx, before and after Telnyx hears of it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::purchases::Claim;
use super::{Store, column, millis};
use crate::error::Error;
use crate::model::Money;

const OF_ORDER: &str = "\
-- purchases.of_order
select p.id
from phone_number_purchases p
where (p.telnyx_reference = $1 /* telnyx_reference */ or p.telnyx_order_id = $2 /* telnyx_order_id */)
  and p.phase in ('intended', 'ordering', 'ordered')
limit 1";

/// From here on the outcome of an order is unknown until Telnyx has told it. Nothing is ordered for a row that is gone.
const ORDERING: &str = "\
-- purchases.ordering
with wanted as (
  select n.id
  from agency_phone_numbers n
  join phone_number_purchases p on p.agency_phone_number_id = n.id
  where p.id = $1 /* id */
    and n.status = 'pending'
), ordering as (
  update phone_number_purchases p
  set phase = 'ordering',
      order_attempts = p.order_attempts + 1,
      order_missed_at = null,
      country_code = $4 /* country_code */,
      features = $5 /* features */,
      monthly_cost = $6 /* monthly_cost */,
      upfront_cost = $7 /* upfront_cost */,
      currency = $8 /* currency */,
      leased_until = now() + $3::bigint /* lease_ms */ * interval '1 millisecond'
  where p.id = $1
    and p.lease_token = $2 /* lease_token */
    and p.phase = 'intended'
    and exists (select from wanted)
  returning p.id
)
select exists (select from ordering) as noted,
       exists (select from wanted) as wanted";

const ORDERED: &str = "\
-- purchases.ordered
update phone_number_purchases p
set phase = 'ordered',
    telnyx_order_id = $4 /* telnyx_order_id */,
    requirements_met = $5 /* requirements_met */,
    requirements_deadline = coalesce($7 /* requirements_deadline */, p.requirements_deadline),
    number_type = coalesce($6 /* number_type */, p.number_type),
    leased_until = now() + $3::bigint /* lease_ms */ * interval '1 millisecond'
where p.id = $1 /* id */
  and p.lease_token = $2 /* lease_token */
  and p.phase in ('intended', 'ordering', 'ordered')
returning p.id";

/// Notes that a look-up did not find the order, and tells whether an earlier one, long enough ago, did not either.
const MISSED: &str = "\
-- purchases.missed
update phone_number_purchases p
set order_missed_at = coalesce(p.order_missed_at, now()),
    leased_until = now() + $3::bigint /* lease_ms */ * interval '1 millisecond'
where p.id = $1 /* id */
  and p.lease_token = $2 /* lease_token */
  and p.phase in ('intended', 'ordering')
returning p.order_missed_at <= now() - $4::bigint /* missing_after_ms */ * interval '1 millisecond' as missing";

/// An order that was never placed may be placed again.
const REOPEN: &str = "\
-- purchases.reopen
update phone_number_purchases p
set phase = 'intended',
    leased_until = now() + $3::bigint /* lease_ms */ * interval '1 millisecond'
where p.id = $1 /* id */
  and p.lease_token = $2 /* lease_token */
  and p.phase = 'ordering'
returning p.id";

pub(super) const STATEMENTS: &[&str] = &[OF_ORDER, ORDERING, ORDERED, MISSED, REOPEN];

/// What Telnyx offered a number for, just before it was ordered.
#[derive(Clone, Debug)]
pub struct Offer {
    /// ISO 3166-1 alpha-2.
    pub country_code: String,
    /// What the number can carry, in Telnyx's words.
    pub features: Vec<String>,
    /// Paid every month.
    pub monthly_cost: Option<Money>,
    /// Paid once.
    pub upfront_cost: Option<Money>,
    /// ISO 4217.
    pub currency: Option<String>,
}

/// What became of the note that an order is about to be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderNoted {
    /// It is noted: the order may be sent.
    Noted,
    /// The row that it would be for is gone, with its agency.
    Unwanted,
    /// The lease is lost.
    Lost,
}

/// What Telnyx says of an order.
#[derive(Clone, Copy, Debug)]
pub struct OrderState<'a> {
    /// Telnyx's id of it.
    pub order_id: &'a str,
    /// Whether Telnyx has every document it wants.
    pub requirements_met: Option<bool>,
    /// Until when it waits for those that it lacks.
    pub requirements_deadline: Option<DateTime<Utc>>,
    /// The number's type, in Telnyx's words.
    pub number_type: Option<&'a str>,
}

impl Store {
    /// The unfinished purchase that an order at Telnyx belongs to.
    ///
    /// # Errors
    /// The database's own.
    pub async fn purchase_of_order(&self, reference: &str, order_id: &str) -> Result<Option<Uuid>, Error> {
        self.row(OF_ORDER, &[&reference, &order_id]).await?.as_ref().map(|row| column(row, "id")).transpose()
    }

    /// Notes the offer, and that an order is about to be placed.
    ///
    /// # Errors
    /// The database's own.
    pub async fn begin_order(&self, claim: &Claim, offer: &Offer) -> Result<OrderNoted, Error> {
        let monthly_cost = offer.monthly_cost.map(|cost| cost.0);
        let upfront_cost = offer.upfront_cost.map(|cost| cost.0);
        let lease = millis(claim.lease);
        let Offer { country_code, features, currency, .. } = offer;
        let (purchase_id, token) = (&claim.purchase_id, &claim.token);
        let row = self.row(ORDERING, &[purchase_id, token, &lease, country_code, features, &monthly_cost, &upfront_cost, currency]).await?;
        let row = row.ok_or_else(|| Error::Internal("purchases.ordering told nothing".into()))?;
        Ok(match (column(&row, "noted")?, column(&row, "wanted")?) {
            (true, _) => OrderNoted::Noted,
            (false, true) => OrderNoted::Lost,
            (false, false) => OrderNoted::Unwanted,
        })
    }

    /// Notes that the order exists, or what it says by now; false when the lease is lost.
    ///
    /// # Errors
    /// The database's own.
    pub async fn note_order(&self, claim: &Claim, order: &OrderState<'_>) -> Result<bool, Error> {
        let OrderState { order_id, requirements_met, requirements_deadline, number_type } = order;
        let (purchase_id, token, lease) = (&claim.purchase_id, &claim.token, millis(claim.lease));
        self.fenced(ORDERED, &[purchase_id, token, &lease, order_id, requirements_met, number_type, requirements_deadline]).await
    }

    /// Notes that a look-up did not find the order. True: an earlier one did not either, `missing_after` ago or longer.
    /// None: the lease is lost.
    ///
    /// # Errors
    /// The database's own.
    pub async fn note_missing_order(&self, claim: &Claim, missing_after: Duration) -> Result<Option<bool>, Error> {
        let row = self.row(MISSED, &[&claim.purchase_id, &claim.token, &millis(claim.lease), &millis(missing_after)]).await?;
        row.map(|row| column(&row, "missing")).transpose()
    }

    /// Lets an order that was never placed be placed again; false when the lease is lost.
    ///
    /// # Errors
    /// The database's own.
    pub async fn reopen_purchase(&self, claim: &Claim) -> Result<bool, Error> {
        self.fenced(REOPEN, &[&claim.purchase_id, &claim.token, &millis(claim.lease)]).await
    }
}
