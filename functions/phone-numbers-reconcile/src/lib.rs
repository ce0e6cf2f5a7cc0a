//! `phone-numbers-reconcile`: the other half of the guarantee that no number is lost.
//!
//! On its schedule it finishes the purchases and releases that nobody works on, takes rows from before the ledger into it,
//! and compares the inventory of each account at Telnyx with the rows. At once it finishes the one purchase that a webhook
//! of Telnyx tells of. It gives nothing back to Telnyx on its own, and what is not ours it reports and never touches.
//!
//! Each run is bounded and goes on where the last one stopped; two at once do no harm.

mod account_names;
mod accounts;
mod legacy_rows;
mod report;
mod retention;
mod unfinished;
mod walk;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use shared::config::{self, Config};
use shared::error::Error;
use shared::lambda::{Answer, Background, Delivery};
use shared::saga::Sagas;
use shared::secrets::Secrets;
use shared::store::{Deployment, is_refusal};
use tokio::time::Instant;

use report::Report;
use unfinished::Time;

/// How many things of a kind are worked on at a time.
const AT_A_TIME: usize = 4;

/// The function.
pub struct Reconcile {
    sagas: Sagas,
    config: config::Reconcile,
    deployment: Option<String>,
}

impl Background for Reconcile {
    const NAME: &'static str = env!("CARGO_PKG_NAME");

    fn new(config: &Config, secrets: Arc<Secrets>) -> Self {
        Self { sagas: Sagas::new(config, secrets), config: config.reconcile.clone(), deployment: config.deployment.clone() }
    }

    async fn warm(&self) {
        self.sagas.warm().await;
    }

    async fn run(&self, deadline: Instant) -> Result<(), Error> {
        let mut report = Report::default();
        let outcome = self.work(&mut report, deadline).await;
        report.print(&self.config.service, outcome.is_ok());
        outcome
    }

    async fn receive(&self, delivery: Delivery) -> Result<Answer, Error> {
        webhook::receive(self, &delivery).await
    }
}

impl Reconcile {
    /// Everything that a run is for. With the database of another deployment it only counts.
    async fn work(&self, report: &mut Report, deadline: Instant) -> Result<(), Error> {
        let store = &self.sagas.store;
        let deployment = store.deployment().await?;
        report.deployment = Some(deployment.clone());
        if deployment == Deployment::Ours {
            self.reconcile(report, deadline).await?;
        } else {
            tracing::error!(?deployment, "the database does not belong to the deployment that DEPLOYMENT names: nothing is changed");
        }
        report.stuck = self.pass_over(report, store.stuck(self.config.stuck_after).await).await?;
        report.open_findings = self.pass_over(report, store.open_findings_count().await).await?;
        if deployment == Deployment::Ours { retention::forget(self, report).await } else { Ok(()) }
    }

    /// No part may take all of the time: what is left of one waits for the next run.
    async fn reconcile(&self, report: &mut Report, deadline: Instant) -> Result<(), Error> {
        account_names::rename(self, report).await?;
        let (began, now) = (self.sagas.store.now().await?, Instant::now());
        let until = |tenths: u32| now + deadline.saturating_duration_since(now) * tenths / 10;
        unfinished::finish_purchases(self, report, Time { began, until: until(3), deadline }).await?;
        unfinished::finish_releases(self, report, Time { began, until: until(5), deadline }).await?;
        legacy_rows::take_in(self, report, until(6)).await?;
        accounts::compare_accounts(self, report, deadline).await?;
        self.pass_over(report, self.sagas.store.settle_work().await).await?;
        retention::expire_keys(self, report).await
    }

    /// The outcome of a statement; None if the database refused it, a locked row or a timeout say. That is counted, and
    /// concerns only what the statement was about.
    ///
    /// # Errors
    /// The database does not answer at all, which ends the run.
    async fn pass_over<T>(&self, report: &mut Report, outcome: Result<T, Error>) -> Result<Option<T>, Error> {
        match outcome {
            Ok(done) => Ok(Some(done)),
            // No answer in time may be due to locks as well. One that answers another question is there.
            Err(error @ Error::Unavailable(_)) if !is_refusal(&error) && self.sagas.store.now().await.is_err() => Err(error),
            Err(error) => {
                report.objection(&error);
                Ok(None)
            }
        }
    }

    /// How long Telnyx may take to show everywhere what has happened.
    const fn lag(&self) -> Duration {
        self.sagas.config.lag()
    }
}
