//! Gives accounts that the ledger still names after a secret their own names.

use shared::error::Error;
use shared::model::AccountName;

use crate::run::Run;

impl Run<'_> {
    /// Renames the accounts whose secrets the settings name. An operator has to rename the others.
    pub(crate) async fn rename_accounts(&mut self) -> Result<(), Error> {
        let names = self.store().account_names().await;
        for name in self.skip_refused(names).await?.unwrap_or_default() {
            let account = match self.sagas.accounts.resolve(&name) {
                AccountName::Secret(_) => continue,
                account => account.to_string(),
            };
            if account == name {
                continue;
            }
            let renamed = self.store().rename_account(&name, &account).await;
            if let Some(rows) = self.skip_refused(renamed).await? {
                tracing::info!(from = name, to = account, rows, "an account was renamed");
            }
        }
        Ok(())
    }
}
