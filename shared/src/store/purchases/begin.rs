//! The beginning of a purchase: within the agency's quota, the number is taken and the intent noted, all or nothing. A released
//! row that has the number is archived.

use std::time::Duration;

use uuid::Uuid;

use crate::error::Error;
use crate::model::{Actor, E164, PriceLimits, Reference};
use crate::store::deployment::{deployed, deployment};
use crate::store::idempotency_keys::purchases::{KeyEntry, KeyPosition, list_within};
use crate::store::lease::{Fenced, Lease};
use crate::store::numbers::archive::VACATE;
use crate::store::purchases::ledger::{Purchase, PurchaseId, columns, purchase};
use crate::store::tenant::{Tenant, TenantRow};
use crate::store::{Store, Undone, rows_of};

/// One purchase of an agency begins at a time: what the next one counts, this one has written.
const LOCK: &str = "\
-- purchases.begin.lock
select pg_advisory_xact_lock(hashtext('phone_number_purchases'), hashtext($1::uuid::text /* agency_id */))::text as locked";

/// How many numbers an agency has and may have, and the agency that has a number.
const QUOTA: &str = concat!(
    "-- purchases.begin.quota
select a.id as agency_id,
       ",
    deployed!("$3"),
    " as deployed,
       a.settings ->> 'max_phone_numbers' as own_limit,
       h.agency_id as held_agency_id,
       coalesce(h.held, 0) as held,
       (
         select n.agency_id
         from agency_phone_numbers n
         where n.phone_number = $2 /* phone_number */
           and n.status <> 'released'
       ) as holder
from agencies a
left join lateral (
  select n.agency_id, count(*) as held
  from agency_phone_numbers n
  where n.agency_id = a.id
    and n.status <> 'released'
  group by n.agency_id
) h on true
where a.id = $1 /* agency_id */"
);

/// Takes a number for an agency and notes the intent to buy it, both or neither. No row comes back where the number is
/// taken already.
const BEGIN: &str = concat!(
    "-- purchases.begin.insert
with taken as (
  insert into agency_phone_numbers (id, agency_id, phone_number, friendly_name, agent_mapping_id, status)
  values ($13 /* row_id */, $1 /* agency_id */, $2 /* phone_number */, $3 /* friendly_name */, $4 /* agent_mapping_id */,
          'pending')
  on conflict (phone_number) do nothing
  returning id, agency_id, phone_number, set_config('phone_numbers.actor', $9::uuid::text, true) as actor
)
insert into phone_number_purchases as p
  (id, order_id, agency_id, agency_phone_number_id, phone_number, telnyx_account, telnyx_reference, connection_id,
   caller_id, customer_reference, max_monthly_cost, max_upfront_cost, limit_currency, lease_token, leased_until, deployment)
select $5 /* id */,
       $6 /* order_id */,
       t.agency_id,
       t.id,
       t.phone_number,
       $7 /* telnyx_account */,
       $14 /* telnyx_reference */,
       $8 /* connection_id */,
       $9 /* caller_id */,
       $10 /* customer_reference */,
       $15 /* max_monthly_cost */,
       $16 /* max_upfront_cost */,
       $17 /* limit_currency */,
       $11 /* lease_token */,
       now() + $12::bigint /* lease_ms */ * interval '1 millisecond',
       ",
    deployment!(),
    "
from taken t
returning ",
    columns!()
);

pub(in crate::store) const STATEMENTS: &[&str] = &[LOCK, QUOTA, BEGIN];

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
    /// The agency has the number, or it is another one's since a moment ago: look again.
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
    /// room for it. A number of another agency is refused last, as Telnyx would refuse it: so that it does not show. `default_limit` is how many numbers an agency may have whose settings do not say. For a request with an
    /// idempotency key, the key lists the purchase at `place` in the same transaction.
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
        self.transaction(|| self.try_to_begin(actor, intent, lease, default_limit, place)).await
    }

    async fn try_to_begin(
        &self,
        actor: &Actor,
        intent: &Intent,
        lease: &Lease<PurchaseId>,
        default_limit: Option<i64>,
        place: Option<KeyPosition<'_>>,
    ) -> Result<Begun, Undone> {
        let (number, row_id) = (&intent.number, Uuid::new_v4());
        let reference = Reference { deployment: self.deployment.clone(), agency_id: actor.agency_id, purchase_id: intent.id }.to_string();
        let limits = &intent.limits;
        let mut client = self.connections.get().await?;
        let transaction = client.transaction().await?;
        rows_of(&transaction, LOCK, &[&actor.agency_id]).await?;
        // A statement of its own, to see what was written while we waited for the lock.
        let quota = rows_of(&transaction, QUOTA, &[&actor.agency_id, number, &self.deployment]).await?;
        let tenant = Tenant::from(actor);
        let Some(quota) = tenant.read(&quota, |row| read_quota(row, default_limit))?.pop() else { return Ok(Begun::Held) };
        let is_held_elsewhere = match quota.holder {
            Some(agency_id) if tenant.is(agency_id) => return Ok(Begun::Held),
            holder => holder.is_some(),
        };
        // From here on, a number that another agency has is treated as any other one, until nothing else is against it.
        if !quota.deployed {
            return Ok(Begun::WrongDeployment);
        }
        if let Some(limit) = quota.quota.exceeded_by(1) {
            return Ok(Begun::QuotaExceeded(limit));
        }
        if let Some(wait) = self.count_purchase(&transaction, actor.agency_id).await? {
            return Ok(Begun::RateLimited(wait));
        }
        if is_held_elsewhere {
            // It counts as an attempt.
            transaction.commit().await?;
            return Ok(Begun::HeldElsewhere);
        }
        rows_of(&transaction, VACATE, &[number, &row_id]).await?;
        let begun = rows_of(
            &transaction,
            BEGIN,
            &[
                &actor.agency_id,
                number,
                &intent.friendly_name,
                &intent.agent_mapping_id,
                &intent.id,
                &intent.order_id,
                &intent.account,
                &intent.connection_id,
                &actor.user_id,
                &intent.customer_reference,
                &lease.token,
                &lease.millis(),
                &row_id,
                &reference,
                &limits.monthly,
                &limits.upfront,
                &limits.currency,
            ],
        )
        .await?;
        // Dropped without a commit, a transaction is undone.
        let Some(begun) = begun.first() else { return Ok(Begun::Held) };
        if let Some(place) = place
            && list_within(&transaction, place, KeyEntry::Purchase(intent.id)).await? == Fenced::Lost
        {
            return Ok(Begun::KeyLost);
        }
        transaction.commit().await?;
        Ok(Begun::New(purchase(tenant.row(begun)?.ledger())?))
    }

    /// How many numbers an agency has and may have.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if a query fails.
    pub async fn quota(&self, agency_id: Uuid, default_limit: Option<i64>) -> Result<Quota, Error> {
        let rows = self.rows(QUOTA, &[&agency_id, &"", &self.deployment]).await?;
        let quota = Tenant::from(agency_id).read(&rows, |row| read_quota(row, default_limit))?.pop();
        Ok(quota.ok_or_else(|| Error::Unavailable("the agency is gone".into()))?.quota)
    }
}

/// What is known before a purchase begins.
struct Room {
    quota: Quota,
    deployed: bool,
    /// The agency that has the number, if any has it.
    holder: Option<Uuid>,
}

/// A limit of the agency's own goes before the general one; one that cannot be read permits nothing.
fn read_quota(row: TenantRow<'_>, default_limit: Option<i64>) -> Result<Room, Error> {
    let own: Option<&str> = row.column("own_limit")?;
    // What was counted is the agency's, too.
    row.joined("held_agency_id")?;
    let quota = Quota { held: row.column("held")?, limit: own.map_or(default_limit, |own| Some(own.parse().unwrap_or(0))) };
    Ok(Room { quota, deployed: row.column("deployed")?, holder: row.column("holder")? })
}
