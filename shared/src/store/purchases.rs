//! The ledger of purchases: one row for each attempt to buy one number, written before Telnyx hears of it.
//!
//! Whoever works on a purchase holds its lease: a token of their own, and a time on the database's clock until which
//! nobody else may take it. Every write renews the lease and is fenced by the token, so that a process that lost its
//! lease, however late it wakes, writes nothing.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{Store, column, millis, word};
use crate::error::Error;
use crate::model::{Actor, E164, Money, Status};

/// The columns of a purchase `p`.
macro_rules! columns {
    () => {
        "p.id,
       p.order_id,
       p.agency_phone_number_id,
       p.phone_number,
       p.telnyx_account,
       p.connection_id,
       p.telnyx_order_id,
       p.requirements_met,
       p.phase,
       p.order_attempts,
       p.failure_code,
       p.created_at"
    };
}

/// Takes a number for an agency and notes the intent to buy it, both or neither. No row comes back where the number is
/// taken already.
const BEGIN: &str = concat!(
    "-- purchases.begin
with taken as (
  insert into agency_phone_numbers (agency_id, phone_number, friendly_name, agent_mapping_id, status)
  values ($1 /* agency_id */, $2 /* phone_number */, $3 /* friendly_name */, $4 /* agent_mapping_id */, 'pending')
  on conflict (phone_number) do nothing
  returning id, agency_id, phone_number
)
insert into phone_number_purchases as p
  (id, order_id, agency_id, agency_phone_number_id, phone_number, telnyx_account, connection_id, caller_id,
   customer_reference, lease_token, leased_until)
select $5 /* id */,
       $6 /* order_id */,
       t.agency_id,
       t.id,
       t.phone_number,
       $7 /* telnyx_account */,
       $8 /* connection_id */,
       $9 /* caller_id */,
       $10 /* customer_reference */,
       $11 /* lease_token */,
       now() + $12::bigint /* lease_ms */ * interval '1 millisecond'
from taken t
returning ",
    columns!()
);

/// Who has a number, and the latest attempt to buy it into that row.
const HOLDING: &str = concat!(
    "-- purchases.holding
select n.id as row_id,
       n.agency_id = $2 /* agency_id */ as ours,
       n.status::text as status,
       n.is_active,
       ",
    columns!(),
    "
from agency_phone_numbers n
left join phone_number_purchases p on p.agency_phone_number_id = n.id
where n.phone_number = $1 /* phone_number */
order by p.created_at desc
limit 1"
);

const GET: &str = concat!("-- purchases.get\nselect ", columns!(), "\nfrom phone_number_purchases p\nwhere p.id = $1 /* id */");

/// Takes the lease of an unfinished purchase that nobody works on. Taking it again with the same token is no loss.
const CLAIM: &str = concat!(
    "-- purchases.claim
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
-- purchases.renew
update phone_number_purchases p
set leased_until = now() + $3::bigint /* lease_ms */ * interval '1 millisecond'
where p.id = $1 /* id */
  and p.lease_token = $2 /* lease_token */
returning p.id";

const YIELD: &str = "\
-- purchases.yield
update phone_number_purchases p
set lease_token = null,
    leased_until = null
where p.id = $1 /* id */
  and p.lease_token = $2 /* lease_token */
returning p.id";

/// From here on the outcome of an order is unknown until Telnyx has told it.
const ORDERING: &str = "\
-- purchases.ordering
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
where p.id = $1 /* id */
  and p.lease_token = $2 /* lease_token */
  and p.phase = 'intended'
returning p.id";

const ORDERED: &str = "\
-- purchases.ordered
update phone_number_purchases p
set phase = 'ordered',
    telnyx_order_id = $4 /* telnyx_order_id */,
    requirements_met = $5 /* requirements_met */,
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

/// The purchase is done and the row is live, both or neither.
const COMPLETE: &str = "\
-- purchases.complete
with done as (
  update phone_number_purchases p
  set phase = 'completed',
      telnyx_phone_number_id = $3 /* telnyx_phone_number_id */,
      number_type = coalesce($4 /* number_type */, p.number_type),
      country_code = coalesce(p.country_code, $5 /* country_code */),
      completed_at = now(),
      lease_token = null,
      leased_until = null
  where p.id = $1 /* id */
    and p.lease_token = $2 /* lease_token */
    and p.phase = 'ordered'
  returning p.agency_phone_number_id, p.number_type, p.country_code, p.features, p.monthly_cost, p.upfront_cost, p.currency
), activated as (
  update agency_phone_numbers n
  set status = 'active',
      phone_number_id = $3,
      number_type = d.number_type,
      country_code = d.country_code,
      voice_enabled = coalesce('voice' = any(d.features), n.voice_enabled),
      sms_enabled = coalesce('sms' = any(d.features), n.sms_enabled),
      mms_enabled = coalesce('mms' = any(d.features), n.mms_enabled),
      monthly_cost = d.monthly_cost,
      setup_cost = d.upfront_cost,
      currency = coalesce(d.currency, n.currency),
      purchased_at = now()
  from done d
  where n.id = d.agency_phone_number_id
    and n.status = 'pending'
  returning n.id
)
select exists (select from activated) as activated
from done";

/// The purchase has failed for good and the row is gone, both or neither.
const FAIL: &str = "\
-- purchases.fail
with failed as (
  update phone_number_purchases p
  set phase = 'failed',
      failure_code = $3 /* failure_code */,
      failure_detail = $4 /* failure_detail */,
      lease_token = null,
      leased_until = null
  where p.id = $1 /* id */
    and p.lease_token = $2 /* lease_token */
    and p.phase in ('intended', 'ordering', 'ordered')
  returning p.id, p.agency_phone_number_id
), removed as (
  delete from agency_phone_numbers n
  using failed f
  where n.id = f.agency_phone_number_id
    and n.status = 'pending'
)
select f.id
from failed f";

/// The purchase was given up before it was paid for, and its row with it.
const CANCEL: &str = "\
-- purchases.cancel
with cancelled as (
  update phone_number_purchases p
  set phase = 'cancelled',
      completed_at = now(),
      lease_token = null,
      leased_until = null
  where p.id = $1 /* id */
    and p.lease_token = $2 /* lease_token */
    and p.phase in ('intended', 'ordering', 'ordered')
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

pub(super) const STATEMENTS: &[&str] =
    &[BEGIN, HOLDING, GET, CLAIM, RENEW, YIELD, ORDERING, ORDERED, MISSED, REOPEN, COMPLETE, FAIL, CANCEL];

/// How far a purchase has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The row is there; no order has been placed, or the last one is known not to exist.
    Intended,
    /// An order is being placed: whether it exists is unknown.
    Ordering,
    /// The order exists.
    Ordered,
    /// The number is bought and its row is live.
    Completed,
    /// Telnyx refused; the row is gone.
    Failed,
    /// Given up before it was paid for.
    Cancelled,
}

impl std::str::FromStr for Phase {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "intended" => Ok(Self::Intended),
            "ordering" => Ok(Self::Ordering),
            "ordered" => Ok(Self::Ordered),
            "completed" => Ok(Self::Completed),
            "failed" => Ok(Self::Failed),
            "cancelled" => Ok(Self::Cancelled),
            _ => Err("must be a phase of a purchase"),
        }
    }
}

/// An attempt to buy one number.
#[derive(Clone, Debug)]
pub struct Purchase {
    /// Our id of it, which is the `customer_reference` at Telnyx.
    pub id: Uuid,
    /// Our id of the order it belongs to.
    pub order_id: Uuid,
    /// The row it buys into.
    pub row_id: Uuid,
    /// The number.
    pub number: E164,
    /// The name of the account at Telnyx that buys it.
    pub account: String,
    /// The application that its calls go to.
    pub connection_id: Option<String>,
    /// Telnyx's id of the order, once there is one.
    pub telnyx_order_id: Option<String>,
    /// Whether Telnyx has every document it wants, once it has told.
    pub requirements_met: Option<bool>,
    /// How far it has come.
    pub phase: Phase,
    /// How often an order was placed.
    pub order_attempts: i32,
    /// Why it failed, as an error's code.
    pub failure_code: Option<String>,
    /// When it was begun.
    pub created_at: DateTime<Utc>,
}

/// What somebody wants to buy, and how.
#[derive(Clone, Debug)]
pub struct Intent {
    /// The purchase's id, made here so that a statement sent twice is one purchase.
    pub id: Uuid,
    /// Our id of the order it belongs to.
    pub order_id: Uuid,
    /// The number.
    pub number: E164,
    /// The agency's label for it.
    pub friendly_name: Option<String>,
    /// The agent it is for.
    pub agent_mapping_id: Option<Uuid>,
    /// The name of the account at Telnyx that is to buy it.
    pub account: String,
    /// The application that its calls are to go to.
    pub connection_id: Option<String>,
    /// The caller's own reference.
    pub customer_reference: Option<String>,
}

/// What became of an intent.
#[derive(Clone, Debug)]
pub enum Begun {
    /// It is noted, and ours to pursue.
    New(Purchase),
    /// The number is taken.
    Taken,
}

/// Who has a number.
#[derive(Clone, Debug)]
pub struct Holding {
    /// The row.
    pub row_id: Uuid,
    /// Whether it is the agency's that asks.
    pub ours: bool,
    /// The row's status.
    pub status: Status,
    /// False once its release has begun.
    pub is_active: bool,
    /// The latest attempt to buy it into that row, if we made any.
    pub purchase: Option<Purchase>,
}

/// The lease of a purchase: what every write of its holder is fenced by.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// The purchase.
    pub purchase_id: Uuid,
    /// The holder's own token.
    pub token: Uuid,
    /// How long it lasts after each write.
    pub lease: Duration,
}

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

impl Store {
    /// Takes the number for the caller's agency and notes the intent, unless somebody has the number.
    ///
    /// # Errors
    /// `NotFound`: the agent is not the agency's; and the database's own.
    pub async fn begin_purchase(&self, actor: &Actor, intent: &Intent, claim: &Claim) -> Result<Begun, Error> {
        let row = self
            .row(
                BEGIN,
                &[
                    &actor.agency_id,
                    &intent.number.as_str(),
                    &intent.friendly_name,
                    &intent.agent_mapping_id,
                    &intent.id,
                    &intent.order_id,
                    &intent.account,
                    &intent.connection_id,
                    &actor.user_id,
                    &intent.customer_reference,
                    &claim.token,
                    &millis(claim.lease),
                ],
            )
            .await?;
        row.map_or(Ok(Begun::Taken), |row| purchase(&row).map(Begun::New))
    }

    /// Who has a number, seen by an agency; None when nobody has.
    ///
    /// # Errors
    /// The database's own.
    pub async fn holding(&self, agency_id: Uuid, number: &E164) -> Result<Option<Holding>, Error> {
        let Some(row) = self.row(HOLDING, &[&number.as_str(), &agency_id]).await? else { return Ok(None) };
        let bought: Option<Uuid> = column(&row, "id")?;
        Ok(Some(Holding {
            row_id: column(&row, "row_id")?,
            ours: column(&row, "ours")?,
            status: word(&row, "status")?,
            is_active: column(&row, "is_active")?,
            purchase: bought.map(|_| purchase(&row)).transpose()?,
        }))
    }

    /// A purchase as it is now.
    ///
    /// # Errors
    /// The database's own.
    pub async fn purchase(&self, id: Uuid) -> Result<Option<Purchase>, Error> {
        self.row(GET, &[&id]).await?.as_ref().map(purchase).transpose()
    }

    /// Takes a purchase's lease. None: it is finished, or somebody else works on it.
    ///
    /// # Errors
    /// The database's own.
    pub async fn claim_purchase(&self, claim: &Claim) -> Result<Option<Purchase>, Error> {
        let row = self.row(CLAIM, &[&claim.purchase_id, &claim.token, &millis(claim.lease)]).await?;
        row.as_ref().map(purchase).transpose()
    }

    /// Prolongs the lease; false when it is lost.
    ///
    /// # Errors
    /// The database's own.
    pub async fn renew_purchase(&self, claim: &Claim) -> Result<bool, Error> {
        self.fenced(RENEW, &[&claim.purchase_id, &claim.token, &millis(claim.lease)]).await
    }

    /// Gives the lease back, so that whoever comes next need not wait for its end.
    ///
    /// # Errors
    /// The database's own.
    pub async fn yield_purchase(&self, claim: &Claim) -> Result<(), Error> {
        self.fenced(YIELD, &[&claim.purchase_id, &claim.token]).await.map(|_| ())
    }

    /// Notes the offer, and that an order is about to be placed; false when the lease is lost.
    ///
    /// # Errors
    /// The database's own.
    pub async fn begin_order(&self, claim: &Claim, offer: &Offer) -> Result<bool, Error> {
        let monthly_cost = offer.monthly_cost.map(|cost| cost.0);
        let upfront_cost = offer.upfront_cost.map(|cost| cost.0);
        self.fenced(
            ORDERING,
            &[
                &claim.purchase_id,
                &claim.token,
                &millis(claim.lease),
                &offer.country_code,
                &offer.features,
                &monthly_cost,
                &upfront_cost,
                &offer.currency,
            ],
        )
        .await
    }

    /// Notes that the order exists, or what it says by now; false when the lease is lost.
    ///
    /// # Errors
    /// The database's own.
    pub async fn note_order(
        &self,
        claim: &Claim,
        order_id: &str,
        requirements_met: Option<bool>,
        number_type: Option<&str>,
    ) -> Result<bool, Error> {
        let parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
            &[&claim.purchase_id, &claim.token, &millis(claim.lease), &order_id, &requirements_met, &number_type];
        self.fenced(ORDERED, parameters).await
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

    /// Finishes a purchase and makes its row live; false when the lease is lost.
    ///
    /// # Errors
    /// The database's own.
    pub async fn complete_purchase(
        &self,
        claim: &Claim,
        phone_number_id: &str,
        number_type: Option<&str>,
        country_code: Option<&str>,
    ) -> Result<bool, Error> {
        let row = self.row(COMPLETE, &[&claim.purchase_id, &claim.token, &phone_number_id, &number_type, &country_code]).await?;
        let Some(row) = row else { return Ok(false) };
        if !column::<bool>(&row, "activated")? {
            // Its agency is gone, and its row with it. The ledger knows what Telnyx goes on billing.
            tracing::error!(purchase_id = %claim.purchase_id, phone_number_id, "a number was bought for a row that is gone");
        }
        Ok(true)
    }

    /// Ends a purchase that Telnyx refused and removes its row; false when the lease is lost.
    ///
    /// # Errors
    /// The database's own.
    pub async fn fail_purchase(&self, claim: &Claim, code: &str, detail: &str) -> Result<bool, Error> {
        self.fenced(FAIL, &[&claim.purchase_id, &claim.token, &code, &detail]).await
    }

    /// Ends a purchase that was given up before it was paid for, and its row with it; false when the lease is lost.
    ///
    /// # Errors
    /// The database's own.
    pub async fn cancel_purchase(&self, claim: &Claim) -> Result<bool, Error> {
        self.fenced(CANCEL, &[&claim.purchase_id, &claim.token]).await
    }

    /// A write that its lease's holder alone may do: whether it was done.
    pub(super) async fn fenced(&self, sql: &'static str, parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)]) -> Result<bool, Error> {
        Ok(self.row(sql, parameters).await?.is_some())
    }
}

fn purchase(row: &Row) -> Result<Purchase, Error> {
    Ok(Purchase {
        id: column(row, "id")?,
        order_id: column(row, "order_id")?,
        row_id: column(row, "agency_phone_number_id")?,
        number: word(row, "phone_number")?,
        account: column(row, "telnyx_account")?,
        connection_id: column(row, "connection_id")?,
        telnyx_order_id: column(row, "telnyx_order_id")?,
        requirements_met: column(row, "requirements_met")?,
        phase: word(row, "phase")?,
        order_attempts: column(row, "order_attempts")?,
        failure_code: column(row, "failure_code")?,
        created_at: column(row, "created_at")?,
    })
}
