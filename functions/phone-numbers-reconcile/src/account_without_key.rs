//! Accounts that the ledger names and whose key is missing.

use shared::error::Error;
use shared::store::{Fenced, Place, Seen};

use crate::run::Run;
use crate::walk::missing::{MAX_ROWS, drift, list_numbers};

impl Run<'_> {
    /// Reports an account whose key is missing: Telnyx still bills its numbers, and without the key they can be neither read nor
    /// released. Takes the walk's lease and reads nothing, so nothing is concluded about the account's inventory.
    pub(crate) async fn report_account_without_key(&mut self, account: &str) -> Result<(), Error> {
        let store = self.store();
        let Some(walk) = store.walk(account, self.sagas.config.lease).await? else { return Ok(()) };
        let advanced = store.advance_walk(&walk, &Place::start(walk.place.page_limit), &Seen::default()).await?;
        let Fenced::Done(walk) = advanced else { return Ok(()) };
        let missing = store.missing(&walk, walk.started_at, MAX_ROWS).await?;
        if missing.count == 0 {
            return store.finish_walk(&walk).await.map(|_| ());
        }
        tracing::error!(account, "the key of an account with numbers is missing");
        self.report.accounts_failed += 1;
        let detail = format!(
            "The account's API key is missing: its {} numbers can be neither read nor released ({}).",
            missing.count,
            list_numbers(&missing.rows, missing.count)
        );
        self.report.new_findings += store.report(&[drift(account, &missing.rows, missing.count, detail)]).await?;
        store.give_back(&walk.lease).await
    }
}
