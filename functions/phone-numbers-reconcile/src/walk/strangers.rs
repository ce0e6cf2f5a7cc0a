//! Strangers: the numbers of an account that no purchase of this deployment names. They are one finding for the account.

use shared::error::Error;
use shared::store::{FindingKind, Observation};

use super::AccountWalk;
use crate::findings::join_numbers;

/// How many strangers the text of the finding names.
const MAX_NAMED: i64 = 10;

impl AccountWalk<'_, '_> {
    /// Updates the strangers of the account after a walk, and reports them.
    pub(super) async fn report_strangers(&mut self) -> Result<(), Error> {
        let store = self.run.store();
        let identified = store.identify_strangers(self.state.account(), self.state.started_at).await;
        self.run.skip_refused(identified).await?;
        self.forget_strangers().await?;
        let sample = store.sample_strangers(self.state.account(), MAX_NAMED).await;
        let Some((count, sample)) = self.run.skip_refused(sample).await? else { return Ok(()) };
        if count == 0 {
            return Ok(());
        }
        let detail = format!("The account has {count} numbers that no purchase of ours names ({}).", join_numbers(&sample, count));
        let observation = Observation { number_count: count, detail, ..Observation::new(FindingKind::NotOurs, self.state.account()) };
        self.run.report_findings(vec![observation]).await
    }

    /// Deletes the strangers that neither of the last two whole walks has seen. If those walks have seen none at all, the
    /// inventory that Telnyx shows may be incomplete: then one stranger must be proven to be gone first.
    async fn forget_strangers(&mut self) -> Result<(), Error> {
        let store = self.run.store();
        let Some(since) = self.state.previous_started_at.filter(|_| self.state.place.is_whole) else { return Ok(()) };
        let strangers = store.strangers(self.state.account(), since).await;
        let Some(strangers) = self.run.skip_refused(strangers).await? else { return Ok(()) };
        let Some(unseen) = strangers.unseen else { return Ok(()) };
        if strangers.seen > 0 || self.is_gone(&unseen.phone_number_id, unseen.key_digest).await? {
            let forgotten = store.forget_strangers(self.state.account(), since).await;
            self.run.skip_refused(forgotten).await?;
        }
        Ok(())
    }
}
