//! The ledger of releases: one row for each release of a number, written before anything is sent to Telnyx.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::error::Error;
use crate::model::{Actor, E164, Status};
use crate::store::deployment::{deployed_number, deployed_row, deployment, of_this_deployment};
use crate::store::lease::{Fenced, Lease, Leased};
use crate::store::purchases::ledger::Turn;
use crate::store::{Store, column, digest, millis};

/// A column of the latest purchase into the row of a release `r`.
macro_rules! of_purchase {
    ($column:literal) => {
        concat!(
            "(
         select p.",
            $column,
            "
         from phone_number_purchases p
         where p.agency_phone_number_id = r.agency_phone_number_id
         order by p.created_at desc
         limit 1
       )"
        )
    };
}

/// The columns of a release `r`, with what the ledger knows of the purchase that bought its number.
macro_rules! columns {
    () => {
        concat!(
            "r.id,
       r.agency_id,
       r.agency_phone_number_id,
       r.phone_number,
       r.telnyx_account,
       r.telnyx_phone_number_id,
       ",
            of_purchase!("id"),
            " as purchase_id,
       ",
            of_purchase!("telnyx_reference"),
            " as telnyx_reference,
       ",
            of_purchase!("telnyx_order_id"),
            " as telnyx_order_id,
       coalesce(r.key_sha256, ",
            of_purchase!("key_sha256"),
            ") as key_sha256"
        )
    };
}

/// What an agency asks to release, with the account that its ledger names, if any. A number that was bought again since
/// was released before.
const TARGETS: &str = "\
-- releases.targets
select distinct on (n.id)
       n.id,
       n.phone_number,
       n.status,
       p.id as purchase_id,
       p.telnyx_account
from (
  select n.id, n.phone_number, n.status::text as status
  from agency_phone_numbers n
  where n.agency_id = $1 /* agency_id */
    and n.id = any($2::uuid[] /* ids */)
  union all
  select a.id, a.phone_number, 'released'
  from agency_phone_numbers_archive a
  where a.agency_id = $1
    and a.id = any($2)
) n
left join phone_number_purchases p on p.agency_phone_number_id = n.id
order by n.id, p.created_at desc";

/// The releases under way that no process works on or has looked at since `before`, behind a position in the order in
/// which they are looked at: longest ago first.
const UNATTENDED: &str = concat!(
    "-- releases.unattended
select r.agency_phone_number_id,
       r.updated_at
from phone_number_releases r
where r.phase = 'requested'
  and (r.leased_until is null or r.leased_until < now())
  and r.updated_at < $1 /* before */
  and ",
    of_this_deployment!("r"),
    "
  and (r.updated_at, r.agency_phone_number_id)
    > (coalesce($2::timestamptz /* updated_at */, '-infinity'), $3::uuid /* row_id */)
order by r.updated_at, r.agency_phone_number_id
limit $4 /* limit */"
);

const RENEW: &str = "\
-- releases.renew
update phone_number_releases r
set leased_until = now() + $3::bigint /* lease_ms */ * interval '1 millisecond'
where r.id = $1 /* id */
  and r.lease_token = $2 /* lease_token */
returning r.id";

/// Notes the release, takes the number from its agent and out of use, all or nothing.
const BEGIN: &str = concat!(
    "-- releases.begin
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
  returning set_config('phone_numbers.actor', r.caller_id::text, true) as actor, r.id, r.agency_id, r.agency_phone_number_id,
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
    "-- releases.may_begin
select ",
    deployed_number!("n", "$2"),
    " as deployed
from agency_phone_numbers n
where n.id = $1 /* row_id */"
);

/// Keeps the lease of a release for the time that its number is deleted at Telnyx.
const DELETING: &str = concat!(
    "-- releases.deleting
with held as (
  update phone_number_releases r
  set leased_until = now() + $3::bigint /* lease_ms */ * interval '1 millisecond'
  where r.id = $1 /* id */
    and r.lease_token = $2 /* lease_token */
    and r.phase = 'requested'
  returning r.deployment
)
select ",
    deployed_row!("h", "$4"),
    " as deployed
from held h"
);

/// The account has shown the number, under this id.
const SHOWN: &str = concat!(
    "-- releases.shown
update phone_number_releases r
set telnyx_phone_number_id = $3 /* telnyx_phone_number_id */,
    key_sha256 = $4 /* key_sha256 */
where r.id = $1 /* id */
  and r.lease_token = $2 /* lease_token */
  and r.phase = 'requested'
returning ",
    columns!()
);

const CLAIM: &str = concat!(
    "-- releases.claim
update phone_number_releases r
set lease_token = $2 /* lease_token */,
    leased_until = now() + $3::bigint /* lease_ms */ * interval '1 millisecond'
where r.agency_phone_number_id = $1 /* row_id */
  and r.phase = 'requested'
  and (r.leased_until is null or r.leased_until < now() or r.lease_token = $2)
returning ",
    columns!()
);

const YIELD: &str = "\
-- releases.yield
update phone_number_releases r
set lease_token = null,
    leased_until = null
where r.id = $1 /* id */
  and r.lease_token = $2 /* lease_token */
returning r.id";

/// Telnyx has let go: the release is done and the row is released, both or neither.
const COMPLETE: &str = "\
-- releases.complete
with target as (
  -- The row before the release, in the order of releases.begin: the two would deadlock otherwise.
  select n.id
  from agency_phone_numbers n
  where n.id = (
    select r.agency_phone_number_id
    from phone_number_releases r
    where r.id = $1 /* id */
      and r.lease_token = $2 /* lease_token */
  )
  for update
), done as (
  update phone_number_releases r
  set phase = 'completed',
      completed_at = now(),
      lease_token = null,
      leased_until = null
  where r.id = $1 /* id */
    and r.lease_token = $2 /* lease_token */
    and r.phase = 'requested'
    and (select count(*) from target) >= 0
  returning r.id, r.agency_phone_number_id, set_config('phone_numbers.actor', r.caller_id::text, true) as actor
), released as (
  update agency_phone_numbers n
  set status = 'released',
      is_active = false,
      released_at = now(),
      agent_mapping_id = null
  from done d
  where n.id = d.agency_phone_number_id
)
select d.id
from done d";

/// Telnyx will not let go: the row is what it was before, with its agent if that is still there.
const REFUSE: &str = "\
-- releases.refuse
with target as (
  -- The row before the release, in the order of releases.begin: the two would deadlock otherwise.
  select n.id
  from agency_phone_numbers n
  where n.id = (
    select r.agency_phone_number_id
    from phone_number_releases r
    where r.id = $1 /* id */
      and r.lease_token = $2 /* lease_token */
  )
  for update
), refused as (
  update phone_number_releases r
  set phase = 'refused',
      failure_code = $3 /* failure_code */,
      failure_detail = $4 /* failure_detail */,
      lease_token = null,
      leased_until = null
  where r.id = $1 /* id */
    and r.lease_token = $2 /* lease_token */
    and r.phase = 'requested'
    and (select count(*) from target) >= 0
  returning r.id, r.agency_id, r.agency_phone_number_id, r.previous_status, r.previous_agent_mapping_id,
            set_config('phone_numbers.actor', r.caller_id::text, true) as actor
), restored as (
  update agency_phone_numbers n
  set status = f.previous_status,
      is_active = true,
      agent_mapping_id = (
        select m.id
        from agent_mappings m
        where m.id = f.previous_agent_mapping_id
          and m.agency_id = f.agency_id
      )
  from refused f
  where n.id = f.agency_phone_number_id
)
select f.id
from refused f";

pub(super) const STATEMENTS: &[&str] = &[TARGETS, UNATTENDED, BEGIN, MAY_BEGIN, CLAIM, RENEW, DELETING, SHOWN, YIELD, COMPLETE, REFUSE];

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

/// A release under way.
#[derive(Clone, Debug)]
pub struct Release {
    /// Our id of it.
    pub id: Uuid,
    /// The agency that gives the number back.
    pub agency_id: Uuid,
    /// The row.
    pub row_id: Uuid,
    /// The number.
    pub number: E164,
    /// The name of the account at Telnyx that has it.
    pub account: String,
    /// Telnyx's id of the number, where the row knew it.
    pub telnyx_phone_number_id: Option<String>,
    /// The purchase that bought it; None for a row that predates the ledger.
    pub purchase_id: Option<Uuid>,
    /// The reference of its order.
    pub reference: Option<String>,
    /// Telnyx's id of its order, if the ledger has it.
    pub order_id: Option<String>,
    /// The SHA-256 of the API key that placed the order or showed the number, if the ledger has it.
    pub key_digest: Option<[u8; 32]>,
}

/// A release in the ledger, as what a lease is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReleaseId(pub Uuid);

impl Leased for ReleaseId {
    const RENEW: &'static str = RENEW;
    const YIELD: &'static str = YIELD;

    fn key(&self) -> Vec<&(dyn ToSql + Sync)> {
        vec![&self.0]
    }
}

/// A release with its lease.
#[derive(Clone, Debug)]
pub struct HeldRelease {
    /// The lease.
    pub lease: Lease<ReleaseId>,
    /// The release as the ledger has it.
    pub release: Release,
    /// Whether it was begun just now, so that nothing has been sent to Telnyx.
    pub is_new: bool,
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

/// What the ledger says when a number is about to be deleted at Telnyx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleting {
    /// It may be deleted.
    Allowed,
    /// The database or the release belongs to another deployment.
    WrongDeployment,
    /// The lease is lost.
    Lost,
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

impl Store {
    /// Those of `ids` that are rows of the agency.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if a query fails.
    pub async fn release_targets(&self, agency_id: Uuid, ids: &[Uuid]) -> Result<Vec<ReleaseTarget>, Error> {
        self.rows(TARGETS, &[&agency_id, &ids]).await?.iter().map(target).collect()
    }

    /// Begins a release, or takes the lease of the one that is under way.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if a statement fails.
    pub async fn begin_release(&self, actor: &Actor, start: &ReleaseStart) -> Result<ReleaseBegun, Error> {
        let lease = Lease::new(ReleaseId(Uuid::new_v4()), start.lease);
        let (agency_id, caller_id, deployment, duration) = (&actor.agency_id, &actor.user_id, &self.deployment, lease.millis());
        let parameters: [&(dyn ToSql + Sync); 8] =
            [&lease.of.0, &start.row_id, agency_id, &start.account, caller_id, &lease.token, &duration, deployment];
        if let Some(row) = self.row(BEGIN, &parameters).await? {
            return Ok(ReleaseBegun::Held(HeldRelease { release: release(&row)?, lease, is_new: true }));
        }
        // Sent twice over a broken connection, the statement finds the release that it began itself.
        if let Some(held) = self.take_release(start.row_id, lease.token, lease.duration).await? {
            return Ok(ReleaseBegun::Held(held));
        }
        let row = self.row(MAY_BEGIN, &[&start.row_id, deployment]).await?;
        let deployed = row.map(|row| column(&row, "deployed")).transpose()?;
        Ok(if deployed == Some(false) { ReleaseBegun::WrongDeployment } else { ReleaseBegun::Busy })
    }

    /// Keeps the lease for the time that the number is deleted at Telnyx, which must not outlast it.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the statement fails.
    pub async fn begin_deleting(&self, lease: &Lease<ReleaseId>) -> Result<Deleting, Error> {
        let row = self.row(DELETING, &[&lease.of.0, &lease.token, &lease.millis(), &self.deployment]).await?;
        Ok(match row.map(|row| column(&row, "deployed")).transpose()? {
            None => Deleting::Lost,
            Some(true) => Deleting::Allowed,
            Some(false) => Deleting::WrongDeployment,
        })
    }

    /// Notes under which id, and to which API key, the account has shown the number. Returns the release as it is now.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the statement fails.
    pub async fn note_shown(
        &self,
        lease: &Lease<ReleaseId>,
        phone_number_id: &str,
        key_digest: [u8; 32],
    ) -> Result<Fenced<Release>, Error> {
        self.fenced(SHOWN, &[&lease.of.0, &lease.token, &phone_number_id, &key_digest.as_slice()]).await?.read(release)
    }

    /// Takes the lease of the release of a row. None: there is none under way, or another process works on it.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn claim_release(&self, row_id: Uuid, duration: Duration) -> Result<Option<HeldRelease>, Error> {
        self.take_release(row_id, Uuid::new_v4(), duration).await
    }

    async fn take_release(&self, row_id: Uuid, token: Uuid, duration: Duration) -> Result<Option<HeldRelease>, Error> {
        let Some(row) = self.row(CLAIM, &[&row_id, &token, &millis(duration)]).await? else { return Ok(None) };
        let release = release(&row)?;
        Ok(Some(HeldRelease { lease: Lease { of: ReleaseId(release.id), token, duration }, release, is_new: false }))
    }

    /// The next `limit` releases after `after` that no process works on and that were last looked at before `before`, those looked
    /// at longest ago first. The id of each is that of the row.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn unattended_releases(&self, before: DateTime<Utc>, after: Turn, limit: i64) -> Result<Vec<Turn>, Error> {
        let rows = self.rows(UNATTENDED, &[&before, &after.looked_at, &after.id, &limit]).await?;
        rows.iter()
            .map(|row| Ok(Turn { id: column(row, "agency_phone_number_id")?, is_ordered: false, looked_at: column(row, "updated_at")? }))
            .collect()
    }

    /// Completes a release and its row.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn complete_release(&self, lease: &Lease<ReleaseId>) -> Result<Fenced, Error> {
        self.fenced(COMPLETE, &[&lease.of.0, &lease.token]).await?.read(|_| Ok(()))
    }

    /// Undoes a release that Telnyx refused.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn refuse_release(&self, lease: &Lease<ReleaseId>, code: &str, detail: &str) -> Result<Fenced, Error> {
        self.fenced(REFUSE, &[&lease.of.0, &lease.token, &code, &detail]).await?.read(|_| Ok(()))
    }
}

fn target(row: &Row) -> Result<ReleaseTarget, Error> {
    Ok(ReleaseTarget {
        row_id: column(row, "id")?,
        number: column(row, "phone_number")?,
        status: column(row, "status")?,
        purchase_id: column(row, "purchase_id")?,
        account: column(row, "telnyx_account")?,
    })
}

fn release(row: &Row) -> Result<Release, Error> {
    Ok(Release {
        id: column(row, "id")?,
        agency_id: column(row, "agency_id")?,
        row_id: column(row, "agency_phone_number_id")?,
        number: column(row, "phone_number")?,
        account: column(row, "telnyx_account")?,
        telnyx_phone_number_id: column(row, "telnyx_phone_number_id")?,
        purchase_id: column(row, "purchase_id")?,
        reference: column(row, "telnyx_reference")?,
        order_id: column(row, "telnyx_order_id")?,
        key_digest: digest(row, "key_sha256")?,
    })
}
