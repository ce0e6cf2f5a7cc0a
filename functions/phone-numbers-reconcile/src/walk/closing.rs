//! Closes the findings that a whole walk has shown to be settled.

use shared::error::Error;
use shared::model::KeyDigest;

use super::AccountWalk;

/// How many numbers of findings are read by their ids in one run at most.
const MAX_READ: i64 = 50;

impl AccountWalk<'_, '_> {
    /// Closes the findings that the walk has seen to be settled, and those about numbers that are proven to be gone.
    pub(super) async fn close_findings(&mut self) -> Result<(), Error> {
        let store = self.run.store();
        let settled = store.settle_findings(self.state.account(), self.state.started_at).await;
        self.run.skip_refused(settled).await?;
        let Some(since) = self.state.previous_started_at else { return Ok(()) };
        let settled = store.settle_same_account(self.state.account(), since).await;
        self.run.skip_refused(settled).await?;
        let unseen = store.unseen_findings(self.state.account(), since, MAX_READ).await;
        for finding in self.run.skip_refused(unseen).await?.unwrap_or_default() {
            if self.is_gone(&finding.phone_number_id, finding.key_digest).await? {
                let closed = store.close_finding(&finding, since).await;
                self.run.skip_refused(closed).await?;
            }
        }
        Ok(())
    }

    /// Whether a number that was first shown with the key `key_digest` is gone: the account answers 404 for its id, and is
    /// proven to be the account that this key opened.
    pub(super) async fn is_gone(&self, phone_number_id: &str, key_digest: Option<KeyDigest>) -> Result<bool, Error> {
        if !matches!(self.session.number(phone_number_id).await, Ok(None)) {
            return Ok(false);
        }
        Ok(matches!(self.run.sagas.is_opened_by(self.session, key_digest).await?, Ok(true)))
    }
}
