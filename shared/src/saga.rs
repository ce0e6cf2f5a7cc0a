//! Purchases and releases as sagas. Each step is one short transaction or one call to Telnyx, noted in the ledger before and
//! after, so that any process can resume where another one stopped: the same request again, a concurrent one, or
//! `phone-numbers-reconcile`. The only module that uses both [`crate::store`] and [`crate::telnyx`].

mod attempt;
mod cancel;
mod deletion;
mod fresh_look;
mod offer;
mod outcome;
mod proof;
mod purchase;
mod release;

use std::sync::Arc;

use crate::config::{self, Config};
use crate::error::Error;
use crate::secrets::Secrets;
use crate::store::{Access, Deployment, Store};
use crate::telnyx::{Accounts, Client};

pub use outcome::{ending, may_be_retried};
pub use proof::{Absence, Trace};
pub use purchase::{Bought, Buyer, Quote};
pub use release::{Released, Releaser, Resumed};

/// What sagas need; one serves a whole function.
pub struct Sagas {
    /// The database.
    pub store: Store,
    /// The accounts at Telnyx.
    pub accounts: Accounts,
    /// Telnyx.
    pub telnyx: Client,
    /// How numbers are bought, and what happens when things go wrong.
    pub config: config::Purchase,
}

impl Sagas {
    /// Performs no I/O.
    #[must_use]
    pub fn new(config: &Config, secrets: Arc<Secrets>) -> Self {
        Self {
            store: Store::new(config, Arc::clone(&secrets)),
            accounts: Accounts::new(config.telnyx.keys.clone(), secrets),
            telnyx: Client::new(&config.telnyx),
            config: config.purchase,
        }
    }

    /// Fetches and connects to what the first saga will need.
    pub async fn warm(&self) {
        tokio::join!(self.store.warm(), self.accounts.warm());
    }

    /// Checks that sagas can be run: the database with its rights and of this deployment, and the platform's key.
    ///
    /// # Errors
    /// `Unavailable` with what cannot be used.
    pub async fn check(&self) -> Result<(), Error> {
        tokio::try_join!(self.store.check(Access::Spend), self.accounts.check())?;
        match self.store.deployment().await? {
            Deployment::Ours => Ok(()),
            Deployment::Unnamed | Deployment::Another(_) => Err(self.store.wrong_deployment().await),
        }
    }
}
