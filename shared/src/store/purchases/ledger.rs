//! The ledger of purchases: one row for each attempt to buy one number, written before anything is sent to Telnyx.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::error::{Error, Price};
use crate::model::{E164, KeyDigest, PriceLimits};
use crate::store::deployment::of_this_deployment;
use crate::store::lease::{Lease, Leased};
use crate::store::{Parameter, Store, column};

/// The columns of a purchase `p`.
macro_rules! columns {
    () => {
        "p.id,
       p.order_id,
       p.agency_id,
       p.agency_phone_number_id,
       p.phone_number,
       p.telnyx_account,
       p.telnyx_reference,
       p.connection_id,
       p.telnyx_order_id,
       p.requirements_met,
       p.requirements_deadline,
       p.max_monthly_cost,
       p.max_upfront_cost,
       p.limit_currency,
       p.monthly_cost,
       p.upfront_cost,
       p.currency,
       p.phase,
       p.order_attempts,
       p.failure_code,
       p.key_sha256,
       p.deployment,
       p.created_at,
       extract(epoch from now() - p.created_at)::float8 as age_s,
       p.order_missed_at is not null as order_missed,
       coalesce(p.requirements_deadline < now(), false) as documents_overdue,
       exists (select from agency_phone_numbers n where n.id = p.agency_phone_number_id) as has_row"
    };
}

pub(in crate::store) use columns;

const GET: &str = concat!("-- purchases.ledger.get\nselect ", columns!(), "\nfrom phone_number_purchases p\nwhere p.id = $1 /* id */");

/// Takes the lease of an unfinished purchase that no process works on. The same token can take it again.
const CLAIM: &str = concat!(
    "-- purchases.ledger.claim
update phone_number_purchases p
set lease_token = $2 /* lease_token */,
    leased_until = now() + $3::bigint /* lease_ms */ * interval '1 millisecond'
where p.id = $1 /* id */
  and p.phase in ('intended', 'ordering', 'ordered')
  and (p.leased_until is null or p.leased_until < now() or p.lease_token = $2)
returning ",
    columns!()
);

const RENEW: &str = "\
-- purchases.ledger.renew
update phone_number_purchases p
set leased_until = now() + $3::bigint /* lease_ms */ * interval '1 millisecond'
where p.id = $1 /* id */
  and p.lease_token = $2 /* lease_token */
returning p.id";

const YIELD: &str = "\
-- purchases.ledger.yield
update phone_number_purchases p
set lease_token = null,
    leased_until = null
where p.id = $1 /* id */
  and p.lease_token = $2 /* lease_token */
returning p.id";

/// The unfinished purchases that no process works on or has looked at since `before`, behind a position in the order in
/// which they are looked at. Those whose number may be paid for without an order on record come first. The others have an
/// order, and many of them wait for documents for days.
const UNATTENDED: &str = concat!(
    "-- purchases.ledger.unattended
select p.id,
       p.phase = 'ordered' as is_ordered,
       p.updated_at
from phone_number_purchases p
where p.phase in ('intended', 'ordering', 'ordered')
  and (p.leased_until is null or p.leased_until < now())
  and p.updated_at < $1 /* before */
  and ",
    of_this_deployment!("p"),
    "
  and (p.phase = 'ordered', p.updated_at, p.id)
    > ($2::boolean /* is_ordered */, coalesce($3::timestamptz /* updated_at */, '-infinity'), $4::uuid /* id */)
order by p.phase = 'ordered', p.updated_at, p.id
limit $5 /* limit */"
);

pub(in crate::store) const STATEMENTS: &[&str] = &[GET, CLAIM, RENEW, YIELD, UNATTENDED];

/// How far a purchase has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The row exists. No order has been placed, or the last one is known not to exist.
    Intended,
    /// An order is being placed. Whether it exists is unknown.
    Ordering,
    /// The order exists.
    Ordered {
        /// Telnyx's id of the order.
        order_id: String,
    },
    /// The number is bought and its row is live.
    Completed {
        /// Telnyx's id of the order; None for a purchase that was adopted or predates the ledger.
        order_id: Option<String>,
    },
    /// Nothing was bought, and the row is removed.
    Failed {
        /// The code of the error; see [`Error::of_failed_purchase`].
        code: String,
    },
    /// Given up before it was paid for.
    Cancelled,
}

fn phase(row: &Row) -> Result<Phase, Error> {
    Ok(match column(row, "phase")? {
        "intended" => Phase::Intended,
        "ordering" => Phase::Ordering,
        "ordered" => Phase::Ordered { order_id: column(row, "telnyx_order_id")? },
        "completed" => Phase::Completed { order_id: column(row, "telnyx_order_id")? },
        "failed" => Phase::Failed { code: column(row, "failure_code")? },
        "cancelled" => Phase::Cancelled,
        unknown => return Err(Error::Internal(format!("a purchase has the unknown phase {unknown}").into())),
    })
}

/// An attempt to buy one number.
#[derive(Clone, Debug)]
pub struct Purchase {
    /// Our id of it.
    pub id: Uuid,
    /// Our id of the order it belongs to.
    pub order_id: Uuid,
    /// The agency that buys.
    pub agency_id: Uuid,
    /// The row it buys into.
    pub row_id: Uuid,
    /// The number.
    pub number: E164,
    /// The name of the account at Telnyx that buys it.
    pub account: String,
    /// The `customer_reference` of its order at Telnyx.
    pub reference: String,
    /// The application that its calls go to.
    pub connection_id: Option<String>,
    /// The most that the caller pays.
    pub limits: PriceLimits,
    /// What the number cost when it was last ordered, or when it was refused as too dear.
    pub price: Price,
    /// Whether Telnyx has every document it wants, once it has told.
    pub requirements_met: Option<bool>,
    /// Until when Telnyx waits for those that it lacks, once it has told.
    pub requirements_deadline: Option<DateTime<Utc>>,
    /// How far it has come.
    pub phase: Phase,
    /// How often an order was placed.
    pub order_attempts: i32,
    /// The SHA-256 of the API key that placed the order or first showed the number; None before that.
    pub key_digest: Option<KeyDigest>,
    /// The deployment that wrote it.
    pub deployment: Option<String>,
    /// When it was begun.
    pub created_at: DateTime<Utc>,
    /// How long ago that was, on the database's clock.
    pub age: Duration,
    /// The last look for its order found none.
    pub order_missed: bool,
    /// The time until which Telnyx waits for documents has passed.
    pub documents_overdue: bool,
    /// The row that it buys into exists; it is deleted with its agency.
    pub has_row: bool,
}

impl Purchase {
    /// Whether it has ended: completed, failed or cancelled.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Completed { .. } | Phase::Failed { .. } | Phase::Cancelled)
    }

    /// Whether no order has ever been sent to Telnyx.
    #[must_use]
    pub fn is_never_ordered(&self) -> bool {
        self.phase == Phase::Intended && self.order_attempts == 0
    }

    /// Telnyx's id of the order, if the order is known.
    #[must_use]
    pub fn telnyx_order_id(&self) -> Option<&str> {
        match &self.phase {
            Phase::Ordered { order_id } => Some(order_id),
            Phase::Completed { order_id } => order_id.as_deref(),
            Phase::Intended | Phase::Ordering | Phase::Failed { .. } | Phase::Cancelled => None,
        }
    }
}

/// The position of an unfinished purchase or release in the order in which they are looked at. The default precedes all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Turn {
    /// The purchase, or the row that is being released.
    pub id: Uuid,
    /// When it was last looked at, on the database's clock; None precedes all times.
    pub(in crate::store) looked_at: Option<DateTime<Utc>>,
    /// Whether a purchase has an order; false for a release.
    pub(in crate::store) is_ordered: bool,
}

/// A purchase in the ledger, as what a lease is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PurchaseId(pub Uuid);

impl Leased for PurchaseId {
    const RENEW: &'static str = RENEW;
    const YIELD: &'static str = YIELD;

    fn key(&self) -> Vec<&dyn Parameter> {
        vec![&self.0]
    }
}

impl Store {
    /// The next `limit` unfinished purchases after `after` that no process works on and that were last looked at before `before`.
    /// Purchases with an unknown order come first, then those looked at longest ago.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn unattended_purchases(&self, before: DateTime<Utc>, after: Turn, limit: i64) -> Result<Vec<Turn>, Error> {
        let rows = self.rows(UNATTENDED, &[&before, &after.is_ordered, &after.looked_at, &after.id, &limit]).await?;
        rows.iter()
            .map(|row| Ok(Turn { id: column(row, "id")?, is_ordered: column(row, "is_ordered")?, looked_at: column(row, "updated_at")? }))
            .collect()
    }

    /// A purchase as it is now.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if a query fails.
    pub async fn purchase(&self, id: Uuid) -> Result<Option<Purchase>, Error> {
        self.row(GET, &[&id]).await?.as_ref().map(purchase).transpose()
    }

    /// Takes the lease of an unfinished purchase. None: it is finished, or another process works on it.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn claim_purchase(&self, lease: &Lease<PurchaseId>) -> Result<Option<Purchase>, Error> {
        let row = self.row(CLAIM, &[&lease.of.0, &lease.token, &lease.millis()]).await?;
        row.as_ref().map(purchase).transpose()
    }
}

pub(in crate::store) fn purchase(row: &Row) -> Result<Purchase, Error> {
    Ok(Purchase {
        id: column(row, "id")?,
        order_id: column(row, "order_id")?,
        agency_id: column(row, "agency_id")?,
        row_id: column(row, "agency_phone_number_id")?,
        number: column(row, "phone_number")?,
        account: column(row, "telnyx_account")?,
        reference: column(row, "telnyx_reference")?,
        connection_id: column(row, "connection_id")?,
        limits: PriceLimits {
            monthly: column(row, "max_monthly_cost")?,
            upfront: column(row, "max_upfront_cost")?,
            currency: column::<Option<String>>(row, "limit_currency")?.unwrap_or_default(),
        },
        price: Price { monthly: column(row, "monthly_cost")?, upfront: column(row, "upfront_cost")?, currency: column(row, "currency")? },
        requirements_met: column(row, "requirements_met")?,
        requirements_deadline: column(row, "requirements_deadline")?,
        phase: phase(row)?,
        order_attempts: column(row, "order_attempts")?,
        key_digest: column(row, "key_sha256")?,
        deployment: column(row, "deployment")?,
        created_at: column(row, "created_at")?,
        age: Duration::from_secs_f64(column::<f64>(row, "age_s")?.max(0.0)),
        order_missed: column(row, "order_missed")?,
        documents_overdue: column(row, "documents_overdue")?,
        has_row: column(row, "has_row")?,
    })
}
