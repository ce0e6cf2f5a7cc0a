//! Work that is unfinished for too long.

use std::time::Duration;

use crate::error::Error;
use crate::store::deployment::of_this_deployment;
use crate::store::{Store, column, millis};

/// What is unfinished for too long, though it does not wait for documents, or has waited for them past their time: 30 days
/// where Telnyx did not say how long.
const STUCK: &str = concat!(
    "-- reconcile.stuck.count
select (
         select count(*)
         from phone_number_purchases p
         where p.phase in ('intended', 'ordering', 'ordered')
           and (
             p.requirements_met is not false
             or coalesce(p.requirements_deadline, p.created_at + interval '30 days') < now()
           )
           and ",
    of_this_deployment!("p"),
    "
           and p.created_at <= now() - $1::bigint /* stuck_ms */ * interval '1 millisecond'
       ) as purchases,
       (
         select count(*)
         from phone_number_releases r
         where r.phase = 'requested'
           and ",
    of_this_deployment!("r"),
    "
           and r.created_at <= now() - $1 * interval '1 millisecond'
       ) as releases,
       (
         select count(*)
         from phone_number_inventory_walks w
         where coalesce(w.finished_at, w.created_at) <= now() - interval '1 day'
       ) as accounts"
);

pub(in crate::store) const STATEMENTS: &[&str] = &[STUCK];

/// What is unfinished for too long.
#[derive(Clone, Copy, Debug)]
pub struct Stuck {
    /// Purchases.
    pub purchases: i64,
    /// Releases.
    pub releases: i64,
    /// Accounts that no whole walk has gone through for a day.
    pub accounts: i64,
}

impl Store {
    /// How much is unfinished for longer than `stuck_after`, documents aside.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if a query fails.
    pub async fn stuck(&self, stuck_after: Duration) -> Result<Stuck, Error> {
        let row = self.row(STUCK, &[&millis(stuck_after)]).await?;
        let row = row.ok_or_else(|| Error::Internal("reconcile.stuck.count returned no row".into()))?;
        Ok(Stuck { purchases: column(&row, "purchases")?, releases: column(&row, "releases")?, accounts: column(&row, "accounts")? })
    }
}
