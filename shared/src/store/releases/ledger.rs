//! The ledger of releases: one row for each release of a number, written before anything is sent to Telnyx.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::error::Error;
use crate::model::{E164, KeyDigest};
use crate::store::deployment::{Clearance, clearance, deployed_row, of_this_deployment};
use crate::store::lease::{Fenced, Lease, Leased};
use crate::store::purchases::ledger::Turn;
use crate::store::{Parameter, Store, column, millis};

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

pub(in crate::store) use {columns, of_purchase};

/// The releases under way that no process works on or has looked at since `before`, behind a position in the order in
/// which they are looked at: longest ago first.
const UNATTENDED: &str = concat!(
    "-- releases.ledger.unattended
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
-- releases.ledger.renew
update phone_number_releases r
set leased_until = now() + $3::bigint /* lease_ms */ * interval '1 millisecond'
where r.id = $1 /* id */
  and r.lease_token = $2 /* lease_token */
returning r.id";

/// Keeps the lease of a release for the time that its number is deleted at Telnyx.
const DELETING: &str = concat!(
    "-- releases.ledger.deleting
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
    "-- releases.ledger.shown
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
    "-- releases.ledger.claim
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
-- releases.ledger.yield
update phone_number_releases r
set lease_token = null,
    leased_until = null
where r.id = $1 /* id */
  and r.lease_token = $2 /* lease_token */
returning r.id";

pub(in crate::store) const STATEMENTS: &[&str] = &[UNATTENDED, CLAIM, RENEW, DELETING, SHOWN, YIELD];

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
    pub key_digest: Option<KeyDigest>,
}

/// A release in the ledger, as what a lease is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReleaseId(pub Uuid);

impl Leased for ReleaseId {
    const RENEW: &'static str = RENEW;
    const YIELD: &'static str = YIELD;

    fn key(&self) -> Vec<&dyn Parameter> {
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

impl Store {
    /// Keeps the lease for the time that the number is deleted at Telnyx, which must not outlast it.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the statement fails.
    pub async fn begin_deleting(&self, lease: &Lease<ReleaseId>) -> Result<Clearance, Error> {
        clearance(self.row(DELETING, &[&lease.of.0, &lease.token, &lease.millis(), &self.deployment]).await?)
    }

    /// Notes under which id, and to which API key, the account has shown the number. Returns the release as it is now.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the statement fails.
    pub async fn note_shown(
        &self,
        lease: &Lease<ReleaseId>,
        phone_number_id: &str,
        key_digest: KeyDigest,
    ) -> Result<Fenced<Release>, Error> {
        self.fenced(SHOWN, &[&lease.of.0, &lease.token, &phone_number_id, &key_digest]).await?.read(release)
    }

    /// Takes the lease of the release of a row. None: there is none under way, or another process works on it.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn claim_release(&self, row_id: Uuid, duration: Duration) -> Result<Option<HeldRelease>, Error> {
        self.take_release(row_id, Uuid::new_v4(), duration).await
    }

    pub(super) async fn take_release(&self, row_id: Uuid, token: Uuid, duration: Duration) -> Result<Option<HeldRelease>, Error> {
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
}

pub(super) fn release(row: &Row) -> Result<Release, Error> {
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
        key_digest: column(row, "key_sha256")?,
    })
}
