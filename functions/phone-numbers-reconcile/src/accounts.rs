//! The accounts at Telnyx, each in its turn.

use std::collections::HashSet;

use shared::error::Error;
use shared::model::AccountName;
use shared::telnyx::Account;
use tokio::time::Instant;

use crate::report::Report;
use crate::walker::{LEAST_FOR_A_PAGE, Walker};
use crate::{Reconcile, missing};

/// Walks through every account, those first that were visited longest ago.
pub(crate) async fn compare_accounts(reconcile: &Reconcile, report: &mut Report, deadline: Instant) -> Result<(), Error> {
    let store = &reconcile.sagas.store;
    let ledger = reconcile.pass_over(report, store.telnyx_accounts().await).await?.unwrap_or_default();
    let agencies = reconcile.pass_over(report, store.agencies(reconcile.config.batch).await).await?.unwrap_or_default();
    for name in in_turn(&ledger, &reconcile.sagas.accounts.names(&agencies)) {
        if deadline.saturating_duration_since(Instant::now()) < LEAST_FOR_A_PAGE {
            break;
        }
        let outcome = match reconcile.sagas.accounts.find(&reconcile.sagas.accounts.resolve(&name)).await {
            Ok(Some(account)) => compare_account(reconcile, report, &account, deadline).await,
            Ok(None) if ledger.contains(&name) => missing::without_key(reconcile, report, &name).await,
            // An agency need not have an account of its own.
            Ok(None) => Ok(()),
            Err(error) => {
                tracing::error!(account = name, error = %error, "the key of an account cannot be read");
                report.accounts_failed += 1;
                Ok(())
            }
        };
        reconcile.pass_over(report, outcome).await?;
    }
    Ok(())
}

/// The account whose turn it is; then those that agencies may have bought in and that the ledger has forgotten, so that they
/// have a turn at all; then the others that the ledger knows.
fn in_turn(ledger: &[String], of_agencies: &[AccountName]) -> Vec<String> {
    let mut known = ledger.iter().cloned();
    let mut names: Vec<_> = known.next().into_iter().chain(of_agencies.iter().map(ToString::to_string)).chain(known).collect();
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

/// Continues the walk through an account, and gives it back however it went.
async fn compare_account(reconcile: &Reconcile, report: &mut Report, account: &Account, deadline: Instant) -> Result<(), Error> {
    let store = &reconcile.sagas.store;
    let Some(walk) = store.walk(&account.name, reconcile.sagas.config.lease).await? else { return Ok(()) };
    let lease = walk.lease.clone();
    let session = reconcile.sagas.telnyx.session(account, deadline);
    let mut walker = Walker::new(reconcile, report, session, walk, deadline);
    let outcome = store.renewing(&lease, walker.walk()).await;
    let given_back = store.give_back(&lease).await;
    outcome.and(given_back)
}
