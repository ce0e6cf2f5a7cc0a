//! The order of a purchase at Telnyx: what the ledger notes before and after it is sent.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::error::Error;
use crate::model::{KeyDigest, Money};
use crate::store::deployment::{Clearance, clearance, deployed_row};
use crate::store::lease::{Fenced, Lease};
use crate::store::purchases::ledger::{Purchase, PurchaseId, columns, purchase};
use crate::store::{Parameter, Store, column, millis};

const OF_ORDER: &str = "\
-- purchases.order.find
select p.id
from phone_number_purchases p
where (p.telnyx_reference = $1 /* telnyx_reference */ or p.telnyx_order_id = $2 /* telnyx_order_id */)
  and p.phase in ('intended', 'ordering', 'ordered')
limit 1";

/// From here on the outcome of an order is unknown until Telnyx has told it. Nothing is ordered for a row that is gone, nor by
/// another deployment than the one that the database and the purchase belong to.
const ORDERING: &str = concat!(
    "-- purchases.order.ordering
update phone_number_purchases p
set phase = 'ordering',
    order_attempts = p.order_attempts + 1,
    order_missed_at = null,
    country_code = $4 /* country_code */,
    features = $5 /* features */,
    monthly_cost = $6 /* monthly_cost */,
    upfront_cost = $7 /* upfront_cost */,
    currency = $8 /* currency */,
    key_sha256 = $9 /* key_sha256 */,
    leased_until = now() + $3::bigint /* lease_ms */ * interval '1 millisecond'
where p.id = $1 /* id */
  and p.lease_token = $2 /* lease_token */
  and p.phase = 'intended'
  and exists (select from agency_phone_numbers n where n.id = p.agency_phone_number_id and n.status = 'pending')
  and ",
    deployed_row!("p", "$10"),
    "
returning ",
    columns!()
);

/// Why nothing may be ordered.
const NOT_ORDERING: &str = concat!(
    "-- purchases.order.not_ordering
select exists (select from agency_phone_numbers n where n.id = p.agency_phone_number_id and n.status = 'pending') as wanted,
       ",
    deployed_row!("p", "$2"),
    " as deployed
from phone_number_purchases p
where p.id = $1 /* id */"
);

/// Keeps the lease of a purchase for the time that its order is cancelled at Telnyx.
const CANCELLING: &str = concat!(
    "-- purchases.order.cancelling
with held as (
  update phone_number_purchases p
  set leased_until = now() + $3::bigint /* lease_ms */ * interval '1 millisecond'
  where p.id = $1 /* id */
    and p.lease_token = $2 /* lease_token */
    and p.phase in ('ordering', 'ordered')
  returning p.deployment
)
select ",
    deployed_row!("h", "$4"),
    " as deployed
from held h"
);

const ORDERED: &str = concat!(
    "-- purchases.order.ordered
update phone_number_purchases p
set phase = 'ordered',
    telnyx_order_id = $4 /* telnyx_order_id */,
    requirements_met = $5 /* requirements_met */,
    requirements_deadline = coalesce($7 /* requirements_deadline */, p.requirements_deadline),
    number_type = coalesce($6 /* number_type */, p.number_type),
    key_sha256 = case when p.phase = 'ordered' then p.key_sha256 else $8 /* key_sha256 */ end,
    order_missed_at = null,
    leased_until = now() + $3::bigint /* lease_ms */ * interval '1 millisecond'
where p.id = $1 /* id */
  and p.lease_token = $2 /* lease_token */
  and p.phase in ('intended', 'ordering', 'ordered')
returning ",
    columns!()
);

/// Notes that a look-up did not find the order, and returns whether an earlier one, long enough ago, did not either.
const MISSED: &str = "\
-- purchases.order.order_missed
update phone_number_purchases p
set order_missed_at = coalesce(p.order_missed_at, now()),
    leased_until = now() + $3::bigint /* lease_ms */ * interval '1 millisecond'
where p.id = $1 /* id */
  and p.lease_token = $2 /* lease_token */
  and p.phase in ('intended', 'ordering', 'ordered')
returning p.order_missed_at <= now() - $4::bigint /* missing_after_ms */ * interval '1 millisecond' as missing";

/// Notes that the inventory does not show the number of a successful order, and returns whether an earlier look, long enough ago,
/// did not show it either.
const NUMBER_MISSED: &str = "\
-- purchases.order.number_missed
update phone_number_purchases p
set number_missed_at = coalesce(p.number_missed_at, now()),
    leased_until = now() + $3::bigint /* lease_ms */ * interval '1 millisecond'
where p.id = $1 /* id */
  and p.lease_token = $2 /* lease_token */
  and p.phase = 'ordered'
returning p.number_missed_at <= now() - $4::bigint /* missing_after_ms */ * interval '1 millisecond' as missing";

/// An order that was never placed may be placed again.
const REOPEN: &str = concat!(
    "-- purchases.order.reopen
update phone_number_purchases p
set phase = 'intended',
    leased_until = now() + $3::bigint /* lease_ms */ * interval '1 millisecond'
where p.id = $1 /* id */
  and p.lease_token = $2 /* lease_token */
  and p.phase = 'ordering'
returning ",
    columns!()
);

pub(in crate::store) const STATEMENTS: &[&str] = &[OF_ORDER, ORDERING, NOT_ORDERING, CANCELLING, ORDERED, MISSED, NUMBER_MISSED, REOPEN];

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

/// The result of noting that an order is about to be placed.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
pub enum OrderNoted {
    /// It is noted, and the order may be sent: the purchase as it is now.
    Noted(Purchase),
    /// The row that the order would be for was deleted with its agency.
    Unwanted,
    /// The database or the purchase belongs to another deployment.
    WrongDeployment,
    /// The lease is lost.
    Lost,
}

/// How long something has been looked for in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sought {
    /// Not long enough to conclude anything.
    NotLong,
    /// An earlier look, long enough ago, did not find it either.
    Long,
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
    /// The SHA-256 of the API key that showed it.
    pub key_digest: KeyDigest,
}

impl Store {
    /// The unfinished purchase that an order at Telnyx belongs to.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if a query fails.
    pub async fn purchase_of_order(&self, reference: &str, order_id: &str) -> Result<Option<Uuid>, Error> {
        self.row(OF_ORDER, &[&reference, &order_id]).await?.as_ref().map(|row| column(row, "id")).transpose()
    }

    /// Notes the offer, the API key, and that an order is about to be placed with it.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the statement fails.
    pub async fn begin_order(&self, lease: &Lease<PurchaseId>, offer: &Offer, key_digest: KeyDigest) -> Result<OrderNoted, Error> {
        let duration = lease.millis();
        let Offer { country_code, features, monthly_cost, upfront_cost, currency } = offer;
        let (purchase_id, token, deployment) = (&lease.of.0, &lease.token, &self.deployment);
        let parameters: [&dyn Parameter; 10] =
            [purchase_id, token, &duration, country_code, features, monthly_cost, upfront_cost, currency, &key_digest, deployment];
        if let Some(row) = self.row(ORDERING, &parameters).await? {
            return Ok(OrderNoted::Noted(purchase(&row)?));
        }
        let Some(row) = self.row(NOT_ORDERING, &[purchase_id, deployment]).await? else { return Ok(OrderNoted::Lost) };
        Ok(match (column(&row, "wanted")?, column(&row, "deployed")?) {
            (false, _) => OrderNoted::Unwanted,
            (true, false) => OrderNoted::WrongDeployment,
            (true, true) => OrderNoted::Lost,
        })
    }

    /// Keeps the lease for the time that the order is cancelled at Telnyx, which must not outlast it.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the statement fails.
    pub async fn begin_cancelling(&self, lease: &Lease<PurchaseId>) -> Result<Clearance, Error> {
        clearance(self.row(CANCELLING, &[&lease.of.0, &lease.token, &lease.millis(), &self.deployment]).await?)
    }

    /// Notes that the order exists, or its present state. Returns the purchase as it is now.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the statement fails.
    pub async fn note_order(&self, lease: &Lease<PurchaseId>, order: &OrderState<'_>) -> Result<Fenced<Purchase>, Error> {
        let OrderState { order_id, requirements_met, requirements_deadline, number_type, key_digest } = order;
        let (purchase_id, token, duration) = (&lease.of.0, &lease.token, lease.millis());
        let parameters: [&dyn Parameter; 8] =
            [purchase_id, token, &duration, order_id, requirements_met, number_type, requirements_deadline, key_digest];
        self.fenced(ORDERED, &parameters).await?.read(purchase)
    }

    /// Notes that a look-up did not find the order, and returns whether an earlier one, `missing_after` ago or longer, did not
    /// either.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the statement fails.
    pub async fn note_missing_order(&self, lease: &Lease<PurchaseId>, missing_after: Duration) -> Result<Sought, Error> {
        self.note_missing(MISSED, lease, missing_after).await
    }

    /// Notes that the inventory does not show the number of a successful order; see [`Store::note_missing_order`].
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the statement fails.
    pub async fn note_missing_number(&self, lease: &Lease<PurchaseId>, missing_after: Duration) -> Result<Sought, Error> {
        self.note_missing(NUMBER_MISSED, lease, missing_after).await
    }

    async fn note_missing(&self, sql: &'static str, lease: &Lease<PurchaseId>, missing_after: Duration) -> Result<Sought, Error> {
        let row = self.row(sql, &[&lease.of.0, &lease.token, &lease.millis(), &millis(missing_after)]).await?;
        Ok(match row.map(|row| column(&row, "missing")).transpose()? {
            None => Sought::Lost,
            Some(true) => Sought::Long,
            Some(false) => Sought::NotLong,
        })
    }

    /// Lets an order that was never placed be placed again. Returns the purchase as it is now.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the statement fails.
    pub async fn reopen_purchase(&self, lease: &Lease<PurchaseId>) -> Result<Fenced<Purchase>, Error> {
        self.fenced(REOPEN, &[&lease.of.0, &lease.token, &lease.millis()]).await?.read(purchase)
    }
}
