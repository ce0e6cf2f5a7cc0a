//! A scheduled run: what its parts share, and the order of the parts.

use std::time::Duration;

use shared::config;
use shared::error::Error;
use shared::saga::Sagas;
use shared::store::{Deployment, Store, is_refusal};
use tokio::time::Instant;

use crate::Reconcile;
use crate::report::{Completeness, Report};
use crate::unfinished::Work;

/// One run. Each module that does a part of it adds a method.
pub(crate) struct Run<'a> {
    pub(crate) sagas: &'a Sagas,
    pub(crate) config: &'a config::Reconcile,
    /// The deployment that this process belongs to; empty if `DEPLOYMENT` is not set.
    pub(crate) deployment: &'a str,
    /// When all work must have stopped.
    pub(crate) deadline: Instant,
    pub(crate) report: Report,
}

impl<'a> Run<'a> {
    /// Performs no I/O.
    pub(crate) fn new(function: &'a Reconcile, deadline: Instant) -> Self {
        let Reconcile { sagas, config, deployment } = function;
        Self { sagas, config, deployment: deployment.as_deref().unwrap_or_default(), deadline, report: Report::default() }
    }

    /// Does the whole run and prints its report.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the database does not answer, or a setting cannot be read. The next run tries again.
    pub(crate) async fn execute(mut self) -> Result<(), Error> {
        let started = Instant::now();
        let outcome = self.all_parts().await;
        let completeness = if outcome.is_ok() { Completeness::Full } else { Completeness::Partial };
        self.report.print(&self.config.service, completeness, started.elapsed());
        outcome
    }

    /// Changes nothing if the database belongs to another deployment: such a run only counts.
    async fn all_parts(&mut self) -> Result<(), Error> {
        let deployment = self.store().deployment().await?;
        self.report.deployment = Some(deployment.clone());
        if deployment == Deployment::Ours {
            self.reconcile().await?;
            self.count().await?;
            self.delete_old_data().await
        } else {
            tracing::error!(?deployment, "the database does not belong to the deployment that DEPLOYMENT names: nothing is changed");
            self.count().await
        }
    }

    /// The parts that change something, in order. Each has a share of the run's time, so that none uses up all of it; what is
    /// left over is done in the next run.
    async fn reconcile(&mut self) -> Result<(), Error> {
        self.rename_accounts().await?;
        let (started_at, now) = (self.store().now().await?, Instant::now());
        let left = self.deadline.saturating_duration_since(now);
        let until = |tenths: u32| now + left * tenths / 10;
        self.resume_all(Work::Purchases, started_at, until(3)).await?;
        self.resume_all(Work::Releases, started_at, until(5)).await?;
        self.add_legacy_rows(until(6)).await?;
        self.walk_accounts().await?;
        let settled = self.store().settle_work().await;
        self.skip_refused(settled).await?;
        self.expire_keys().await
    }

    async fn count(&mut self) -> Result<(), Error> {
        let stuck = self.store().stuck(self.config.stuck_after).await;
        self.report.stuck = self.skip_refused(stuck).await?;
        let open_findings = self.store().open_findings_count().await;
        self.report.open_findings = self.skip_refused(open_findings).await?;
        Ok(())
    }

    /// Counts a refused statement, and lets the run continue without it: the database may refuse one because of a locked row
    /// or a timeout, which concerns only the rows of that statement. Returns None for a refused statement.
    ///
    /// # Errors
    /// The error of `outcome` if the database does not answer at all, which ends the run.
    pub(crate) async fn skip_refused<T>(&mut self, outcome: Result<T, Error>) -> Result<Option<T>, Error> {
        match outcome {
            Ok(done) => Ok(Some(done)),
            // A timeout may be due to locks, too. If another statement is answered, the database is reachable.
            Err(error @ Error::Unavailable(_)) if !is_refusal(&error) && self.store().now().await.is_err() => Err(error),
            Err(error) => {
                self.report.count_refusal(&error);
                Ok(None)
            }
        }
    }

    pub(crate) const fn store(&self) -> &'a Store {
        &self.sagas.store
    }

    /// How long Telnyx may take to show a change everywhere.
    pub(crate) const fn lag(&self) -> Duration {
        self.sagas.config.lag()
    }
}
