//! Accounts that the database still calls by the name of a secret get names of their own.

use shared::error::Error;
use shared::model::AccountName;

use crate::Reconcile;
use crate::report::Report;

/// Renames what the settings name. What they do not name stays as it is until an operator renames it.
pub(crate) async fn rename(reconcile: &Reconcile, report: &mut Report) -> Result<(), Error> {
    let store = &reconcile.sagas.store;
    for name in reconcile.pass_over(report, store.account_names().await).await?.unwrap_or_default() {
        let account = match reconcile.sagas.accounts.resolve(&name) {
            AccountName::Secret(_) => continue,
            account => account.to_string(),
        };
        if account == name {
            continue;
        }
        if let Some(rows) = reconcile.pass_over(report, store.rename_account(&name, &account).await).await? {
            tracing::info!(from = name, to = account, rows, "an account has a name of its own now");
        }
    }
    Ok(())
}
