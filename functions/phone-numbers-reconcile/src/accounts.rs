//! Chooses the Telnyx accounts that a run walks through, and their order.

use std::collections::HashSet;

use shared::error::Error;
use shared::model::AccountName;
use shared::telnyx::Account;
use tokio::time::Instant;

use crate::run::Run;
use crate::walk::{AccountWalk, MIN_PAGE_TIME};

impl Run<'_> {
    /// Walks through every account, least recently visited first, until time is up.
    pub(crate) async fn walk_accounts(&mut self) -> Result<(), Error> {
        let ledger = self.store().telnyx_accounts().await;
        let ledger = self.skip_refused(ledger).await?.unwrap_or_default();
        let agencies = self.store().agencies(self.config.batch).await;
        let agencies = self.skip_refused(agencies).await?.unwrap_or_default();
        for name in visiting_order(&ledger, &self.sagas.accounts.names(&agencies)) {
            if self.deadline.saturating_duration_since(Instant::now()) < MIN_PAGE_TIME {
                break;
            }
            let outcome = self.visit_account(&name, &ledger).await;
            self.skip_refused(outcome).await?;
        }
        Ok(())
    }

    async fn visit_account(&mut self, name: &str, ledger: &[String]) -> Result<(), Error> {
        let accounts = &self.sagas.accounts;
        match accounts.find(&accounts.resolve(name)).await {
            Ok(Some(account)) => self.walk_account(&account).await,
            Ok(None) if ledger.iter().any(|known| known == name) => self.report_account_without_key(name).await,
            // An agency does not need an account of its own.
            Ok(None) => Ok(()),
            Err(error) => {
                tracing::error!(account = name, error = %error, "the key of an account cannot be read");
                self.report.accounts_failed += 1;
                Ok(())
            }
        }
    }

    /// Continues the walk through an account unless another process walks there, and gives up its lease in any case.
    async fn walk_account(&mut self, account: &Account) -> Result<(), Error> {
        let store = self.store();
        let Some(held) = store.walk(&account.name, self.sagas.config.lease).await? else { return Ok(()) };
        let lease = held.lease.clone();
        let mut walk = AccountWalk::new(self, account, held);
        let outcome = store.renewing(&lease, walk.advance_until_deadline()).await;
        let given_back = store.give_back(&lease).await;
        outcome.and(given_back)
    }
}

/// First the account that was visited longest ago; then those that agencies may buy in, so that an account that the ledger does
/// not name is visited, too; then the rest of the ledger's accounts.
fn visiting_order(ledger: &[String], of_agencies: &[AccountName]) -> Vec<String> {
    let mut known = ledger.iter().cloned();
    let mut names: Vec<_> = known.next().into_iter().chain(of_agencies.iter().map(ToString::to_string)).chain(known).collect();
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}
