//! Purchases and releases that nobody works on any more: each gets one step further, or to its end.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use shared::error::Error;
use shared::saga::{Buyer, Releaser};
use shared::store::Phase;
use tokio::time::Instant;
use uuid::Uuid;

use crate::report::Report;
use crate::{AT_A_TIME, Reconcile};

/// How long one purchase or release may take: an order is not placed with less than two seconds left.
const FOR_EACH: Duration = Duration::from_secs(6);

/// How long a run has for one of its parts.
#[derive(Clone, Copy)]
pub(crate) struct Time {
    /// From then on nothing more is begun.
    pub(crate) until: Instant,
    /// When all work must have stopped.
    pub(crate) deadline: Instant,
}

impl Time {
    /// By when something must be done that is begun now; None: it must not be begun.
    fn for_one(self) -> Option<Instant> {
        let now = Instant::now();
        (now < self.until).then(|| self.deadline.min(now + FOR_EACH))
    }
}

/// Takes up unfinished purchases, those first that were looked at longest ago.
pub(crate) async fn finish_purchases(reconcile: &Reconcile, report: &mut Report, time: Time) -> Result<(), Error> {
    let ids = reconcile.sagas.store.unattended_purchases(reconcile.config.batch).await?;
    let outcomes: Vec<_> = stream::iter(ids).map(|id| finish_purchase(reconcile, id, time)).buffer_unordered(AT_A_TIME).collect().await;
    for outcome in outcomes.into_iter().flatten() {
        match outcome {
            Ok(Phase::Completed) => report.purchases_completed += 1,
            Ok(Phase::Failed | Phase::Cancelled) => report.purchases_failed += 1,
            Ok(Phase::Intended | Phase::Ordering | Phase::Ordered) => report.purchases_pending += 1,
            // A refusal by Telnyx is an end, too.
            Err(error) if !error.retryable() => report.purchases_failed += 1,
            Err(error) => {
                tracing::warn!(error = %error, "a purchase could not be gone on with");
                report.purchases_pending += 1;
            }
        }
    }
    Ok(())
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
    let rows = reconcile.sagas.store.unattended_releases(reconcile.config.batch).await?;
    let outcomes: Vec<_> = stream::iter(rows).map(|row| finish_release(reconcile, row, time)).buffer_unordered(AT_A_TIME).collect().await;
    for outcome in outcomes {
        match outcome {
            Ok(true) => report.releases_completed += 1,
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(error = %error, "a release could not be finished");
                report.releases_failed += 1;
            }
        }
    }
    Ok(())
}

/// False: there is no time for it in this run, or somebody works on it.
async fn finish_release(reconcile: &Reconcile, row_id: Uuid, time: Time) -> Result<bool, Error> {
    let Some(deadline) = time.for_one() else { return Ok(false) };
    let releaser = Releaser { sagas: &reconcile.sagas, deadline };
    Box::pin(releaser.resume(row_id)).await
}
