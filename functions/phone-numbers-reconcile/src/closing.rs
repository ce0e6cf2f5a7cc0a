//! What follows from a walk for the findings of its account: the strangers, which are one finding, and which findings end.

use shared::error::Error;
use shared::store::{FindingKind, Observation};
use shared::telnyx::KeyDigest;

use crate::walker::Walker;

/// How many strangers the finding about them names.
const SAMPLE: i64 = 10;
/// How many numbers of findings are asked for by their ids in one run at most.
const ASKED_FOR: i64 = 50;

impl Walker<'_> {
    /// Reports the strangers of the account. Those that neither of the last two whole walks has seen are forgotten, the last
    /// ones only once one of them is proven to be gone: an inventory that shows nothing may be broken.
    pub(crate) async fn report_strangers(&mut self) -> Result<(), Error> {
        let (store, account) = (&self.reconcile.sagas.store, self.walk.account().to_owned());
        let identified = store.identify_strangers(&account, self.walk.started_at).await;
        self.reconcile.pass_over(self.report, identified).await?;
        if let Some(since) = self.walk.previous_started_at.filter(|_| self.walk.place.is_whole) {
            let strangers = self.reconcile.pass_over(self.report, store.strangers(&account, since).await).await?;
            if let Some((seen, Some(unseen))) = strangers.map(|strangers| (strangers.seen, strangers.unseen))
                && (seen > 0 || self.is_gone(&unseen.phone_number_id, unseen.key_digest).await?)
            {
                self.reconcile.pass_over(self.report, store.forget_strangers(&account, since).await).await?;
            }
        }
        let sample = store.sample_strangers(&account, SAMPLE).await;
        let Some((count, sample)) = self.reconcile.pass_over(self.report, sample).await? else { return Ok(()) };
        if count == 0 {
            return Ok(());
        }
        let detail = format!("The account has {count} numbers that no purchase of ours names ({}).", listed(&sample, count));
        let observation = Observation { number_count: count, detail, ..Observation::new(FindingKind::NotOurs, &account) };
        self.report_findings(vec![observation]).await
    }

    /// Closes findings: those that the walk has seen to be settled, and those about numbers that are proven to be gone.
    pub(crate) async fn close_findings(&mut self) -> Result<(), Error> {
        let (store, account) = (&self.reconcile.sagas.store, self.walk.account().to_owned());
        let settled = store.settle_findings(&account, self.walk.started_at).await;
        self.reconcile.pass_over(self.report, settled).await?;
        let Some(since) = self.walk.previous_started_at else { return Ok(()) };
        let settled = store.settle_same_account(&account, since).await;
        self.reconcile.pass_over(self.report, settled).await?;
        let unseen = store.unseen_findings(&account, since, ASKED_FOR).await;
        for finding in self.reconcile.pass_over(self.report, unseen).await?.unwrap_or_default() {
            if self.is_gone(&finding.phone_number_id, finding.key_digest).await? {
                let closed = store.close_finding(&finding, since).await;
                self.reconcile.pass_over(self.report, closed).await?;
            }
        }
        Ok(())
    }

    /// Whether a number is gone that a key has shown: the account has none of this id, and is the one that this key has opened.
    async fn is_gone(&self, phone_number_id: &str, key_digest: Option<KeyDigest>) -> Result<bool, Error> {
        if !matches!(self.session.number(phone_number_id).await, Ok(None)) {
            return Ok(false);
        }
        Ok(matches!(self.reconcile.sagas.is_opened_by(self.session, key_digest).await?, Ok(true)))
    }

    /// Reports findings together, or one by one where one of them is locked.
    pub(crate) async fn report_findings(&mut self, observations: Vec<Observation>) -> Result<(), Error> {
        let store = &self.reconcile.sagas.store;
        let together = store.report(&observations).await;
        if let Ok(new) = together {
            self.report.new_findings += new;
            return Ok(());
        }
        for observation in observations {
            let reported = store.report(&[observation]).await;
            self.report.new_findings += self.reconcile.pass_over(self.report, reported).await?.unwrap_or_default();
        }
        Ok(())
    }
}

/// The first of so many numbers, for an operator to read.
pub(crate) fn listed(numbers: &[String], count: i64) -> String {
    let is_cut = usize::try_from(count).is_ok_and(|count| count > numbers.len());
    numbers.iter().map(String::as_str).chain(is_cut.then_some("…")).collect::<Vec<_>>().join(", ")
}
