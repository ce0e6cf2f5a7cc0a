//! The beginning of a release: what an agency asks to release, and the note of it.

use std::time::Duration;

use uuid::Uuid;

use crate::error::Error;
use crate::model::{Actor, E164, Status};
use crate::store::callers::{Lookup, caller};
use crate::store::deployment::{deployed_number, deployment};
use crate::store::lease::Lease;
use crate::store::releases::ledger::{HeldRelease, ReleaseId, columns, of_purchase, release};
use crate::store::tenant::{Tenant, TenantRow};
use crate::store::{Parameter, Store, column};

/// What an agency asks to release, with the account that its ledger names, if any. A number that was bought again since
/// was released before.
const TARGETS: &str = concat!(
    "-- releases.begin.targets\n",
    caller!(),
    "
select n.agency_id,
       n.id,
       n.phone_number,
       n.status,
       p.agency_id as purchase_agency_id,
       p.id as purchase_id,
       p.telnyx_account
from caller c
cross join unnest($3::uuid[] /* ids */) k (id)
cross join lateral (
  select n.agency_id, n.id, n.phone_number, n.status::text as status
  from agency_phone_numbers n
  where n.agency_id = c.agency_id
    and n.id = k.id
  union all
  select a.agency_id, a.id, a.phone_number, 'released'
  from agency_phone_numbers_archive a
  where a.agency_id = c.agency_id
    and a.id = k.id
  limit 1
) n
left join lateral (
  select p.agency_id, p.id, p.telnyx_account
  from phone_number_purchases p
  where p.agency_phone_number_id = n.id
  order by p.created_at desc
  limit 1
) p on true"
);

/// Notes the release, takes the number from its agent and out of use, all or nothing.
const BEGIN: &str = concat!(
    "-- releases.begin.insert
with target as (
  select n.id,
         n.agency_id,
         n.phone_number,
         n.phone_number_id,
         n.status,
         n.agent_mapping_id
  from agency_phone_numbers n
  where n.id = $2 /* row_id */
    and n.agency_id = $3 /* agency_id */
    and n.status in ('active', 'inactive')
    and ",
    deployed_number!("n", "$8"),
    "
  for update
), begun as (
  insert into phone_number_releases as r
    (id, agency_id, agency_phone_number_id, phone_number, telnyx_account, telnyx_phone_number_id, caller_id,
     previous_status, previous_agent_mapping_id, lease_token, leased_until, deployment)
  select $1 /* id */,
         t.agency_id,
         t.id,
         t.phone_number,
         $4 /* telnyx_account */,
         t.phone_number_id,
         $5 /* caller_id */,
         t.status,
         t.agent_mapping_id,
         $6 /* lease_token */,
         now() + $7::bigint /* lease_ms */ * interval '1 millisecond',
         ",
    deployment!(),
    "
  from target t
  on conflict (agency_phone_number_id) where phase = 'requested' do nothing
  returning phone_numbers_sign(r.caller_id::text) as signature, r.id, r.agency_id, r.agency_phone_number_id,
            r.phone_number, r.telnyx_account, r.telnyx_phone_number_id, r.key_sha256
), marked as (
  update agency_phone_numbers n
  set agent_mapping_id = null,
      status = 'inactive',
      is_active = false
  from begun r
  where n.id = r.agency_phone_number_id
)
select ",
    columns!(),
    "
from begun r"
);

/// Whether a row's number may be changed at Telnyx by this deployment.
const MAY_BEGIN: &str = concat!(
    "-- releases.begin.may_begin
select ",
    deployed_number!("n", "$2"),
    " as deployed
from agency_phone_numbers n
where n.id = $1 /* row_id */"
);

pub(in crate::store) const STATEMENTS: &[&str] = &[TARGETS, BEGIN, MAY_BEGIN];

/// A number an agency asks to release.
#[derive(Clone, Debug)]
pub struct ReleaseTarget {
    /// The row.
    pub row_id: Uuid,
    /// The number.
    pub number: E164,
    /// The row's status.
    pub status: Status,
    /// The latest attempt to buy it, if we made any.
    pub purchase_id: Option<Uuid>,
    /// The account at Telnyx that the ledger names.
    pub account: Option<String>,
}

/// The result of beginning a release.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
pub enum ReleaseBegun {
    /// It is under way, and the caller holds its lease.
    Held(HeldRelease),
    /// Another process works on it, or the row is not there to be released any more.
    Busy,
    /// The database or the row belongs to another deployment.
    WrongDeployment,
}

/// How to begin a release, or to take one up.
#[derive(Clone, Debug)]
pub struct ReleaseStart {
    /// The row.
    pub row_id: Uuid,
    /// The account at Telnyx that has the number.
    pub account: String,
    /// How long others are kept off.
    pub lease: Duration,
}

impl<'a> Lookup<'a, Vec<ReleaseTarget>> {
    /// Those of `ids` that are rows of the caller's agency.
    #[must_use]
    pub const fn release_targets(ids: &'a [Uuid]) -> Self {
        Self { sql: TARGETS, ids, read: |tenant, rows| tenant.read(rows, target) }
    }
}

impl Store {
    /// Begins a release, or takes the lease of the one that is under way.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if a statement fails.
    pub async fn begin_release(&self, actor: &Actor, start: &ReleaseStart) -> Result<ReleaseBegun, Error> {
        let lease = Lease::new(ReleaseId(Uuid::new_v4()), start.lease);
        let (agency_id, caller_id, deployment, duration) = (&actor.agency_id, &actor.user_id, &self.deployment, lease.millis());
        let parameters: [&dyn Parameter; 8] =
            [&lease.of.0, &start.row_id, agency_id, &start.account, caller_id, &lease.token, &duration, deployment];
        if let Some(row) = self.row(BEGIN, &parameters).await? {
            let release = release(Tenant::from(actor).row(&row)?.ledger())?;
            return Ok(ReleaseBegun::Held(HeldRelease { release, lease, is_new: true }));
        }
        // Sent twice over a broken connection, the statement finds the release that it began itself.
        if let Some(held) = self.take_release(start.row_id, lease.token, lease.duration).await? {
            return Ok(ReleaseBegun::Held(held));
        }
        let row = self.row(MAY_BEGIN, &[&start.row_id, deployment]).await?;
        let deployed = row.map(|row| column(&row, "deployed")).transpose()?;
        Ok(if deployed == Some(false) { ReleaseBegun::WrongDeployment } else { ReleaseBegun::Busy })
    }
}

fn target(row: TenantRow<'_>) -> Result<ReleaseTarget, Error> {
    row.joined("purchase_agency_id")?;
    Ok(ReleaseTarget {
        row_id: row.column("id")?,
        number: row.column("phone_number")?,
        status: row.column("status")?,
        purchase_id: row.column("purchase_id")?,
        account: row.column("telnyx_account")?,
    })
}
