//! Deletes data that is kept for a limited time: closed findings, and the free text of failures. Ids, references, accounts and codes stay in
//! the ledgers for good, and so do history and archive.

use std::time::Duration;

use crate::error::Error;
use crate::store::{Store, millis};

/// Deletes findings that were closed so long ago, and dismissed ones that nothing has shown since.
const FINDINGS: &str = "\
-- reconcile.retention.findings
with old as (
  select f.id
  from phone_number_findings f
  where f.state <> 'open'
    and f.resolved_at < now() - $1::bigint /* retention_ms */ * interval '1 millisecond'
    and f.last_seen_at < now() - $1 * interval '1 millisecond'
  order by f.resolved_at
  limit $2 /* limit */
  for update skip locked
)
delete from phone_number_findings f
using old
where f.id = old.id
returning f.id";

const PURCHASES: &str = "\
-- reconcile.retention.purchases
with old as (
  select p.id
  from phone_number_purchases p
  where p.failure_detail is not null
    and p.updated_at < now() - $1::bigint /* retention_ms */ * interval '1 millisecond'
  order by p.updated_at
  limit $2 /* limit */
  for update skip locked
)
update phone_number_purchases p
set failure_detail = null
from old
where p.id = old.id
returning p.id";

const RELEASES: &str = "\
-- reconcile.retention.releases
with old as (
  select r.id
  from phone_number_releases r
  where r.failure_detail is not null
    and r.updated_at < now() - $1::bigint /* retention_ms */ * interval '1 millisecond'
  order by r.updated_at
  limit $2 /* limit */
  for update skip locked
)
update phone_number_releases r
set failure_detail = null
from old
where r.id = old.id
returning r.id";

pub(in crate::store) const STATEMENTS: &[&str] = &[FINDINGS, PURCHASES, RELEASES];

impl Store {
    /// Deletes at most `limit` findings that were closed, and last seen, longer ago than `retention`; how many.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn forget_findings(&self, retention: Duration, limit: i64) -> Result<usize, Error> {
        Ok(self.rows(FINDINGS, &[&millis(retention), &limit]).await?.len())
    }

    /// Clears the free text of at most `limit` purchases and as many releases that failed longer ago than `retention`; how
    /// many.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if a query fails.
    pub async fn forget_failures(&self, retention: Duration, limit: i64) -> Result<usize, Error> {
        let purchases = self.rows(PURCHASES, &[&millis(retention), &limit]).await?;
        let releases = self.rows(RELEASES, &[&millis(retention), &limit]).await?;
        Ok(purchases.len() + releases.len())
    }
}
