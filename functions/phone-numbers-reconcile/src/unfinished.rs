//! Resumes purchases and releases that no process works on.
//!
//! A run looks at each of them once, in batches, until its share of the time is used up. Those with an unknown order come first,
//! those that only wait (for documents, for example) last.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::stream::{self, StreamExt as _};
use shared::error::Error;
use shared::saga::{Buyer, Releaser, Resumed};
use shared::store::{Phase, Turn};
use tokio::time::Instant;
use uuid::Uuid;

use crate::report::Report;
use crate::run::Run;

/// How many purchases or releases are resumed concurrently.
const CONCURRENCY: usize = 4;
/// How long one purchase or release may take. No order is placed with less than two seconds left.
const MAX_TIME_FOR_ONE: Duration = Duration::from_secs(6);

/// The kind of work that is resumed.
#[derive(Clone, Copy)]
pub(crate) enum Work {
    Purchases,
    Releases,
}

/// What became of one purchase or release.
enum Outcome {
    PurchaseCompleted,
    /// It failed or was cancelled: it is over.
    PurchaseFailed,
    PurchasePending,
    /// The error may go away; a later run tries again.
    PurchaseInterrupted(Error),
    ReleaseCompleted,
    ReleaseInterrupted(Error),
    /// There was no time left for it, or another process works on it.
    Skipped,
}

impl Run<'_> {
    /// Resumes all unfinished work of a kind, in batches.
    ///
    /// `started_at` is when the run began, on the database's clock: work that was looked at since then is not looked at again.
    /// Nothing is begun after `until`.
    pub(crate) async fn resume_all(&mut self, work: Work, started_at: DateTime<Utc>, until: Instant) -> Result<(), Error> {
        let limit = self.config.batch;
        let mut last = Turn::default();
        loop {
            let batch = match work {
                Work::Purchases => self.store().unattended_purchases(started_at, last, limit).await,
                Work::Releases => self.store().unattended_releases(started_at, last, limit).await,
            };
            let batch = self.skip_refused(batch).await?.unwrap_or_default();
            let Some(next) = batch.last().copied() else { return Ok(()) };
            let is_last = i64::try_from(batch.len()).is_ok_and(|length| length < limit);
            let resumed = stream::iter(batch).map(|turn| self.resume_one(work, turn.id, until));
            let outcomes: Vec<_> = resumed.buffer_unordered(CONCURRENCY).collect().await;
            for outcome in outcomes {
                outcome.count(&mut self.report);
            }
            if is_last || Instant::now() >= until {
                return Ok(());
            }
            last = next;
        }
    }

    async fn resume_one(&self, work: Work, id: Uuid, until: Instant) -> Outcome {
        let now = Instant::now();
        if now >= until {
            return Outcome::Skipped;
        }
        let deadline = self.deadline.min(now + MAX_TIME_FOR_ONE);
        // On the heap, since several of these futures exist at once.
        match work {
            Work::Purchases => Box::pin(self.resume_purchase(id, deadline)).await,
            Work::Releases => Box::pin(self.resume_release(id, deadline)).await,
        }
    }

    async fn resume_purchase(&self, id: Uuid, deadline: Instant) -> Outcome {
        let buyer = Buyer { sagas: self.sagas, deadline, is_patient: false };
        match buyer.resume(id).await {
            Ok(bought) => match bought.and_then(|bought| bought.purchase).map(|purchase| purchase.phase) {
                Some(Phase::Completed { .. }) => Outcome::PurchaseCompleted,
                Some(Phase::Failed { .. } | Phase::Cancelled) => Outcome::PurchaseFailed,
                Some(Phase::Intended | Phase::Ordering | Phase::Ordered { .. }) => Outcome::PurchasePending,
                None => Outcome::Skipped,
            },
            Err(error) if error.retryable() => Outcome::PurchaseInterrupted(error),
            // Telnyx rejected the order: the purchase is over.
            Err(_) => Outcome::PurchaseFailed,
        }
    }

    async fn resume_release(&self, row_id: Uuid, deadline: Instant) -> Outcome {
        match (Releaser { sagas: self.sagas, deadline }).resume(row_id).await {
            Ok(Resumed::Released) => Outcome::ReleaseCompleted,
            Ok(Resumed::NotHeld) => Outcome::Skipped,
            Err(error) => Outcome::ReleaseInterrupted(error),
        }
    }
}

impl Outcome {
    fn count(self, report: &mut Report) {
        match self {
            Self::PurchaseCompleted => report.purchases_completed += 1,
            Self::PurchaseFailed => report.purchases_failed += 1,
            Self::PurchasePending => report.purchases_pending += 1,
            Self::PurchaseInterrupted(error) => {
                report.purchases_pending += 1;
                report.log_interruption(&error, "a purchase could not be continued");
            }
            Self::ReleaseCompleted => report.releases_completed += 1,
            Self::ReleaseInterrupted(error) => {
                report.releases_failed += 1;
                report.log_interruption(&error, "a release could not be finished");
            }
            Self::Skipped => {}
        }
    }
}
