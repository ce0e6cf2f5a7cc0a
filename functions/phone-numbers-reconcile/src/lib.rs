//! `phone-numbers-reconcile`: resumes unfinished work and compares the rows with Telnyx.
//!
//! The schedule starts a run, which resumes unfinished purchases and releases, adds rows that predate the ledger to it, and
//! compares the inventory of each Telnyx account with the rows. A webhook of Telnyx resumes the one purchase that it is about.
//! The function never deletes a number at Telnyx, and never changes a number that no purchase of this deployment names: it
//! reports it as a finding.
//!
//! A run is bounded in time and continues where the last one stopped. Two runs at once are safe: leases and fenced writes keep
//! them apart.
//!
//! | module | content |
//! |---|---|
//! | `run` | a scheduled run: its context, and its parts in order |
//! | `account_names` | part 1: renames accounts that the ledger names after a secret |
//! | `unfinished` | parts 2 and 3: resumes purchases and releases |
//! | `legacy_rows` | part 4: adds rows that predate the ledger to it |
//! | `accounts` | part 5: chooses the accounts to walk through; `account_without_key` handles those whose key is missing |
//! | `walk` | one walk through the inventory of an account, page by page |
//! | `walk::pages` | which page a walk reads next |
//! | `walk::compare`, `walk::verdict` | compares a page with the rows; decides what each number is |
//! | `walk::moves` | numbers that Telnyx moved to this account |
//! | `walk::missing` | rows whose numbers the account no longer has |
//! | `walk::strangers`, `walk::closing` | the finding about strangers; which findings a walk closes |
//! | `retention` | deletes expired idempotency keys, old findings and old error texts |
//! | `findings` | writes findings |
//! | `report` | the counts of a run, printed as metrics |
//! | `webhook` | handles a webhook; `webhook::signature` verifies it |

mod account_names;
mod account_without_key;
mod accounts;
mod findings;
mod legacy_rows;
mod report;
mod retention;
mod run;
mod unfinished;
mod walk;
mod webhook;

use std::sync::Arc;

use shared::config::{self, Config};
use shared::error::Error;
use shared::lambda::{Answer, Background, Delivery};
use shared::saga::Sagas;
use shared::secrets::Secrets;
use tokio::time::Instant;

use run::Run;

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

    async fn check(&self) -> Result<(), Error> {
        self.sagas.check().await
    }

    async fn run(&self, deadline: Instant) -> Result<(), Error> {
        Run::new(self, deadline).execute().await
    }

    async fn receive(&self, delivery: Delivery) -> Result<Answer, Error> {
        webhook::receive(&self.sagas, &self.config.public_keys, &delivery).await
    }
}
