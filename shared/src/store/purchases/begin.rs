//! The beginning of a purchase: within the agency's quota, the number is taken and the intent noted, all or nothing. A released
//! row that has the number is archived.

use std::time::Duration;

use uuid::Uuid;

use crate::error::Error;
use crate::model::{Actor, E164, PriceLimits, Reference};
use crate::store::idempotency_keys::KeyPosition;
use crate::store::lease::Lease;
use crate::store::purchases::ledger::{Purchase, PurchaseId, columns, purchase};
use crate::store::rates::wait;
use crate::store::tenant::{Tenant, TenantRow};
use crate::store::{Store, column};

/// How many numbers an agency has and may have.
const QUOTA: &str = "\
-- purchases.begin.quota
select a.id as agency_id,
       a.settings ->> 'max_phone_numbers' as own_limit,
       h.agency_id as held_agency_id,
       coalesce(h.held, 0) as held
from agencies a
left join lateral (
  select c.agency_id, sum(c.pending + c.active + c.inactive)::bigint as held
  from phone_number_counts c
  where c.agency_id = a.id
  group by c.agency_id
) h on true
where a.id = $1 /* agency_id */";

/// Takes a number for an agency and notes the intent to buy it, all or nothing and in one round trip: `sql/V12__poolers.sql`.
const BEGIN: &str = concat!(
    "-- purchases.begin.insert
select b.outcome,
       b.quota,
       b.wait_s,
       ",
    columns!(),
    "
from phone_number_purchase_begin(
  $1 /* agency_id */, $2 /* user_id */, $3 /* phone_number */, $4 /* row_id */, $5 /* friendly_name */, $6 /* agent_mapping_id */,
  $7 /* id */, $8 /* order_id */, $9 /* telnyx_account */, $10 /* telnyx_reference */, $11 /* connection_id */,
  $12 /* customer_reference */, $13 /* max_monthly_cost */, $14 /* max_upfront_cost */, $15 /* limit_currency */,
  $16 /* lease_token */, $17 /* lease_ms */, $18 /* deployment */, $19 /* general_limit */, $20 /* rate_share_s */,
  $21 /* rate_whole_s */, $22 /* key_function */, $23 /* key */, $24 /* key_lease_token */, $25 /* key_lease_ms */,
  $26 /* key_position */
) b
cross join lateral (select (b.purchase).*) p"
);

pub(in crate::store) const STATEMENTS: &[&str] = &[QUOTA, BEGIN];

/// A number to buy, with everything that is noted before it is ordered.
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
    /// The most that the caller pays.
    pub limits: PriceLimits,
}

/// The result of noting an intent.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
pub enum Begun {
    /// It is noted, and the caller holds its lease.
    New(Purchase),
    /// The agency has the number, perhaps from this very call if it was sent twice, or it is another one's since a moment ago: look
    /// again.
    Held,
    /// Another agency has the number.
    HeldElsewhere,
    /// The agency has as many numbers as this, and may have no more.
    QuotaExceeded(i64),
    /// The agency has begun too many purchases lately, and must wait for so long.
    RateLimited(Duration),
    /// The database belongs to another deployment.
    WrongDeployment,
    /// The hold on the idempotency key is lost: nothing is begun.
    KeyLost,
}

/// How many numbers an agency has and may have.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    /// All but the released.
    pub held: i64,
    /// None is no limit.
    pub limit: Option<i64>,
}

impl Quota {
    /// The limit, where there is no room for `more` numbers.
    #[must_use]
    pub fn exceeded_by(&self, more: i64) -> Option<i64> {
        self.limit.filter(|limit| self.held + more > *limit)
    }
}

impl Store {
    /// Takes the number for the caller's agency and notes the intent, unless a live row has the number or the agency has no
    /// room for it. A number of another agency is refused last, as Telnyx would refuse it: so that it does not show. `default_limit` is how
    /// many numbers an agency may have whose settings do not say. For a request with an idempotency key, the key lists the purchase at
    /// `place` in the same transaction. One round trip.
    ///
    /// # Errors
    /// `NotFound`: the agent is not the agency's; `Unavailable` or `Internal` if a query fails.
    pub async fn begin_purchase(
        &self,
        actor: &Actor,
        intent: &Intent,
        lease: &Lease<PurchaseId>,
        default_limit: Option<i64>,
        place: Option<KeyPosition<'_>>,
    ) -> Result<Begun, Error> {
        let row_id = Uuid::new_v4();
        let reference = Reference { deployment: self.deployment.clone(), agency_id: actor.agency_id, purchase_id: intent.id }.to_string();
        let Intent { id, order_id, number, friendly_name, agent_mapping_id, account, connection_id, customer_reference, limits } = intent;
        let rate = self.purchase_rate();
        let key = place.map(|place| &place.key.of);
        let row = self
            .row(
                BEGIN,
                &[
                    &actor.agency_id,
                    &actor.user_id,
                    number,
                    &row_id,
                    friendly_name,
                    agent_mapping_id,
                    id,
                    order_id,
                    account,
                    &reference,
                    connection_id,
                    customer_reference,
                    &limits.monthly,
                    &limits.upfront,
                    &limits.currency,
                    &lease.token,
                    &lease.millis(),
                    &self.deployment,
                    &default_limit,
                    &rate.map(|rate| rate.share_s),
                    &rate.map(|rate| rate.whole_s),
                    &key.map(|key| key.function),
                    &key.map(|key| key.key.as_str()),
                    &place.map(|place| place.key.token),
                    &place.map(|place| place.key.millis()),
                    &place.map(|place| place.position),
                ],
            )
            .await?;
        let row = row.ok_or_else(|| Error::Internal("purchases.begin.insert returned no row".into()))?;
        Ok(match column(&row, "outcome")? {
            "begun" => Begun::New(purchase(Tenant::from(actor).row(&row)?.ledger())?),
            "held" => Begun::Held,
            "held_elsewhere" => Begun::HeldElsewhere,
            "quota_exceeded" => Begun::QuotaExceeded(column(&row, "quota")?),
            "rate_limited" => Begun::RateLimited(wait(&row)?),
            "wrong_deployment" => Begun::WrongDeployment,
            "key_lost" => Begun::KeyLost,
            unknown => return Err(Error::Internal(format!("a purchase began with the unknown outcome {unknown}").into())),
        })
    }

    /// How many numbers an agency has and may have.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if a query fails.
    pub async fn quota(&self, agency_id: Uuid, default_limit: Option<i64>) -> Result<Quota, Error> {
        let rows = self.rows(QUOTA, &[&agency_id]).await?;
        let quota = Tenant::from(agency_id).read(&rows, |row| read_quota(row, default_limit))?.pop();
        quota.ok_or_else(|| Error::Unavailable("the agency is gone".into()))
    }
}

/// A limit of the agency's own goes before the general one; one that cannot be read permits nothing.
fn read_quota(row: TenantRow<'_>, default_limit: Option<i64>) -> Result<Quota, Error> {
    let own: Option<&str> = row.column("own_limit")?;
    // What was counted is the agency's, too.
    row.joined("held_agency_id")?;
    Ok(Quota { held: row.column("held")?, limit: own.map_or(default_limit, |own| Some(own.parse().unwrap_or(0))) })
}
