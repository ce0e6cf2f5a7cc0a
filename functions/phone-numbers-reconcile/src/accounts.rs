//! Accounts that the database still calls by the name of a secret get names of their own.

use shared::error::Error;
use shared::model::AccountName;

use crate::Reconcile;

/// Renames what the settings name. What they do not name stays as it is until an operator renames it.
pub(crate) async fn rename(reconcile: &Reconcile) -> Result<(), Error> {
    let store = &reconcile.sagas.store;
    for name in store.account_names().await? {
        match reconcile.sagas.accounts.resolve(&name) {
            AccountName::Secret(_) => {}
            account if account.to_string() == name => {}
            account => {
                let rows = store.rename_account(&name, &account.to_string()).await?;
                tracing::info!(from = name, to = %account, rows, "an account has a name of its own now");
            }
        }
    }
    Ok(())
}
