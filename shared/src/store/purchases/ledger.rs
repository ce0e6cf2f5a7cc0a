//! The ledger of purchases: one row for each attempt to buy one number, written before Telnyx hears of it.
//!
//! Whoever works on a purchase holds its lease: a token of their own, and a time on the database's clock until which
//! nobody else may take it. Every write renews the lease and is fenced by the token, so that a process that lost its
//! lease, however late it wakes, writes nothing.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::error::{Error, Price};
use crate::model::{E164, Money, PriceLimits, Status};
use crate::store::deployment::of_this_deployment;
use crate::store::numbers::switched_off::switched_off;
use crate::store::{Store, column, digest, millis, word};

/// Width of the column `currency`, in characters.
const LONGEST_CURRENCY: usize = 3;

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

/// Who has a number, and the latest attempt to buy it into that row.
const HOLDING: &str = concat!(
    "-- purchases.holding
select n.id as row_id,
       n.agency_id = $2 /* agency_id */ as ours,
       n.status::text as status,
       n.is_active,
       n.phone_number_id,
       ",
    switched_off!(),
    " as switched_off,
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

/// The unfinished purchases that nobody works on and nobody has looked at since `before`, behind a position in the order in
/// which they are looked at. Those whose number may be paid for without an order on record come first. The others have an
/// order, and many of them wait for documents for days.
const UNATTENDED: &str = concat!(
    "-- purchases.unattended
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

/// The purchase is done and the row is live, both or neither.
const COMPLETE: &str = "\
-- purchases.complete
with done as (
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
  returning p.agency_phone_number_id, p.number_type, p.country_code, p.features, p.monthly_cost, p.upfront_cost, p.currency,
            set_config('phone_numbers.actor', coalesce(p.caller_id::text, 'reconcile'), true) as actor
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
select exists (select from activated) as activated
from done";

/// The purchase has failed for good and the row is gone, if it did not go with its agency; the one that had made room for
/// it is back, as it was, unless its own agency is gone. The row is put back whole, whatever columns it has. `removed` is
/// joined even where nothing was: it has to be done before the number can have its old row again.
const FAIL: &str = "\
-- purchases.fail
with failed as (
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
  returning p.id, p.agency_phone_number_id, set_config('phone_numbers.actor', $3 /* actor */, true) as actor
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

pub(in crate::store) const STATEMENTS: &[&str] = &[HOLDING, GET, CLAIM, RENEW, YIELD, UNATTENDED, COMPLETE, FAIL, CANCEL];

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
    /// Telnyx's id of the order, once there is one.
    pub telnyx_order_id: Option<String>,
    /// Whether Telnyx has every document it wants, once it has told.
    pub requirements_met: Option<bool>,
    /// Until when Telnyx waits for those that it lacks, once it has told.
    pub requirements_deadline: Option<DateTime<Utc>>,
    /// How far it has come.
    pub phase: Phase,
    /// How often an order was placed.
    pub order_attempts: i32,
    /// Why it failed, as an error's code.
    pub failure_code: Option<String>,
    /// The SHA-256 of the API key that placed the order or first showed the number; None before that.
    pub key_digest: Option<[u8; 32]>,
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
    /// Whether it has come to its end, whichever.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Completed | Phase::Failed | Phase::Cancelled)
    }
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
    /// Telnyx's id of the number, as the row has it.
    pub phone_number_id: Option<String>,
    /// It is inactive because a comparison with Telnyx did not find its number.
    pub switched_off: bool,
    /// The latest attempt to buy it into that row, if we made any.
    pub purchase: Option<Purchase>,
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
    pub key_digest: [u8; 32],
}

/// What finishing a purchase came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completed {
    /// It is done and its row is live.
    Activated,
    /// It is done, and its row was deleted with its agency: Telnyx bills a number that nobody has.
    WithoutRow,
    /// The lease is lost.
    Lost,
}

impl Store {
    /// The next `limit` unfinished purchases after `after` that nobody works on and that were last looked at before `before`.
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
            phone_number_id: column(&row, "phone_number_id")?,
            switched_off: column::<Option<bool>>(&row, "switched_off")?.unwrap_or(false),
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

    /// Finishes a purchase and makes its row live.
    ///
    /// # Errors
    /// The database's own.
    pub async fn complete_purchase(&self, claim: &Claim, bought: &BoughtNumber<'_>) -> Result<Completed, Error> {
        let BoughtNumber { phone_number_id, number_type, country_code, key_digest } = bought;
        let key = key_digest.as_slice();
        let row = self.row(COMPLETE, &[&claim.purchase_id, &claim.token, phone_number_id, number_type, country_code, &key]).await?;
        Ok(match row {
            None => Completed::Lost,
            Some(row) if column(&row, "activated")? => Completed::Activated,
            Some(_) => Completed::WithoutRow,
        })
    }

    /// Ends a purchase with the error that it failed with and removes its row; false when the lease is lost. The price in
    /// `PriceExceeded` is noted, so that the error can be told again.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn fail_purchase(&self, claim: &Claim, error: &Error) -> Result<bool, Error> {
        let price = if let Error::PriceExceeded(price) = error { Some(price) } else { None };
        let amount = |amount: Option<Money>| amount.and_then(storable);
        let monthly_cost = amount(price.and_then(|price| price.monthly));
        let upfront_cost = amount(price.and_then(|price| price.upfront));
        let currency = price.and_then(|price| price.currency.as_deref()).filter(|currency| currency.chars().count() <= LONGEST_CURRENCY);
        let (code, detail, is_priced) = (error.code(), error.to_string(), price.is_some());
        let Claim { purchase_id, token, .. } = claim;
        self.fenced(FAIL, &[purchase_id, token, &code, &detail, &is_priced, &monthly_cost, &upfront_cost, &currency]).await
    }

    /// Ends a purchase that was given up before it was paid for, and its row with it; false when the lease is lost. `actor` is
    /// who did it, as the history names them.
    ///
    /// # Errors
    /// The database's own.
    pub async fn cancel_purchase(&self, claim: &Claim, actor: &str) -> Result<bool, Error> {
        self.fenced(CANCEL, &[&claim.purchase_id, &claim.token, &actor]).await
    }

    /// A write that its lease's holder alone may do: whether it was done.
    pub(in crate::store) async fn fenced(
        &self,
        sql: &'static str,
        parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    ) -> Result<bool, Error> {
        Ok(self.row(sql, parameters).await?.is_some())
    }
}

/// An amount as `numeric(10,4)` holds it. None: it is too large, and only unknown prices can be stored without a mistake.
fn storable(amount: Money) -> Option<Decimal> {
    let amount = amount.0.round_dp(4);
    (amount < Decimal::from(1_000_000)).then_some(amount)
}

pub(in crate::store) fn purchase(row: &Row) -> Result<Purchase, Error> {
    Ok(Purchase {
        id: column(row, "id")?,
        order_id: column(row, "order_id")?,
        agency_id: column(row, "agency_id")?,
        row_id: column(row, "agency_phone_number_id")?,
        number: word(row, "phone_number")?,
        account: column(row, "telnyx_account")?,
        reference: column(row, "telnyx_reference")?,
        connection_id: column(row, "connection_id")?,
        limits: PriceLimits {
            monthly: column::<Option<Decimal>>(row, "max_monthly_cost")?.map(Money),
            upfront: column::<Option<Decimal>>(row, "max_upfront_cost")?.map(Money),
            currency: column::<Option<String>>(row, "limit_currency")?.unwrap_or_default(),
        },
        price: Price {
            monthly: column::<Option<Decimal>>(row, "monthly_cost")?.map(Money),
            upfront: column::<Option<Decimal>>(row, "upfront_cost")?.map(Money),
            currency: column(row, "currency")?,
        },
        telnyx_order_id: column(row, "telnyx_order_id")?,
        requirements_met: column(row, "requirements_met")?,
        requirements_deadline: column(row, "requirements_deadline")?,
        phase: word(row, "phase")?,
        order_attempts: column(row, "order_attempts")?,
        failure_code: column(row, "failure_code")?,
        key_digest: digest(row, "key_sha256")?,
        deployment: column(row, "deployment")?,
        created_at: column(row, "created_at")?,
        age: Duration::from_secs_f64(column::<f64>(row, "age_s")?.max(0.0)),
        order_missed: column(row, "order_missed")?,
        documents_overdue: column(row, "documents_overdue")?,
        has_row: column(row, "has_row")?,
    })
}
