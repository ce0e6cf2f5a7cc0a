//! Purchases and releases that nobody works on any more: each gets one step further, or to its end.
//!
//! Each is looked at once in a run, in batches, until the share of time is spent. Those that only wait, for documents say,
//! come after those at risk, and never delay the other parts of the run.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::stream::{self, StreamExt as _};
use shared::error::Error;
use shared::saga::{Buyer, Releaser};
use shared::store::{Phase, Turn};
use tokio::time::Instant;
use uuid::Uuid;

use crate::report::Report;
use crate::{AT_A_TIME, Reconcile};

/// How long one purchase or release may take: an order is not placed with less than two seconds left.
const FOR_EACH: Duration = Duration::from_secs(6);

/// How long a run has for one of its parts.
#[derive(Clone, Copy)]
pub(crate) struct Time {
    /// When the run began, on the database's clock. What was looked at since is not looked at again.
    pub(crate) began: DateTime<Utc>,
    /// From then on nothing more is begun.
    pub(crate) until: Instant,
    /// When all work must have stopped.
    pub(crate) deadline: Instant,
}

impl Time {
    /// The deadline of one purchase or release that begins now; None if none may begin any more.
    fn for_one(self) -> Option<Instant> {
        let now = Instant::now();
        (now < self.until).then(|| self.deadline.min(now + FOR_EACH))
    }
}

/// Takes up unfinished purchases: those with an unknown order first, then those that were looked at longest ago.
pub(crate) async fn finish_purchases(reconcile: &Reconcile, report: &mut Report, time: Time) -> Result<(), Error> {
    let (store, limit) = (&reconcile.sagas.store, reconcile.config.batch);
    let mut last = Turn::default();
    loop {
        let batch = reconcile.pass_over(report, store.unattended_purchases(time.began, last, limit).await).await?.unwrap_or_default();
        let Some(next) = batch.last().copied() else { return Ok(()) };
        let is_last = is_last(batch.len(), limit);
        let work = stream::iter(batch).map(|turn| finish_purchase(reconcile, turn.id, time));
        for outcome in work.buffer_unordered(AT_A_TIME).filter_map(std::future::ready).collect::<Vec<_>>().await {
            count_purchase(report, outcome);
        }
        if is_last || time.for_one().is_none() {
            return Ok(());
        }
        last = next;
    }
}

fn count_purchase(report: &mut Report, outcome: Result<Phase, Error>) {
    match outcome {
        Ok(Phase::Completed { .. }) => report.purchases_completed += 1,
        Ok(Phase::Failed { .. } | Phase::Cancelled) => report.purchases_failed += 1,
        Ok(Phase::Intended | Phase::Ordering | Phase::Ordered { .. }) => report.purchases_pending += 1,
        // A refusal by Telnyx is an end, too.
        Err(error) if !error.retryable() => report.purchases_failed += 1,
        Err(error) => {
            report.purchases_pending += 1;
            report.unfinished(&error, "a purchase could not be continued");
        }
    }
}

/// None: there is no time for it in this run, or somebody works on it.
async fn finish_purchase(reconcile: &Reconcile, id: Uuid, time: Time) -> Option<Result<Phase, Error>> {
    let buyer = Buyer { sagas: &reconcile.sagas, deadline: time.for_one()?, is_patient: false };
    // On the heap, since several of these futures exist at once.
    match Box::pin(buyer.resume(id)).await {
        Ok(bought) => bought.and_then(|bought| bought.purchase).map(|purchase| Ok(purchase.phase)),
        Err(error) => Some(Err(error)),
    }
}

/// Takes up releases under way, those first that were looked at longest ago.
pub(crate) async fn finish_releases(reconcile: &Reconcile, report: &mut Report, time: Time) -> Result<(), Error> {
    let (store, limit) = (&reconcile.sagas.store, reconcile.config.batch);
    let mut last = Turn::default();
    loop {
        let batch = reconcile.pass_over(report, store.unattended_releases(time.began, last, limit).await).await?.unwrap_or_default();
        let Some(next) = batch.last().copied() else { return Ok(()) };
        let is_last = is_last(batch.len(), limit);
        let work = stream::iter(batch).map(|turn| finish_release(reconcile, turn.id, time));
        for outcome in work.buffer_unordered(AT_A_TIME).collect::<Vec<_>>().await {
            match outcome {
                Ok(true) => report.releases_completed += 1,
                Ok(false) => {}
                Err(error) => {
                    report.releases_failed += 1;
                    report.unfinished(&error, "a release could not be finished");
                }
            }
        }
        if is_last || time.for_one().is_none() {
            return Ok(());
        }
        last = next;
    }
}

/// False: there is no time for it in this run, or somebody works on it.
async fn finish_release(reconcile: &Reconcile, row_id: Uuid, time: Time) -> Result<bool, Error> {
    let Some(deadline) = time.for_one() else { return Ok(false) };
    let releaser = Releaser { sagas: &reconcile.sagas, deadline };
    Box::pin(releaser.resume(row_id)).await
}

/// Whether a batch of this length is the last one.
fn is_last(length: usize, limit: i64) -> bool {
    i64::try_from(length).is_ok_and(|length| length < limit)
}
