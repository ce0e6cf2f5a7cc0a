//! The operator, who settles what only a person can.

use anyhow::Result;
use shared::error::Error;
use shared::store::{Adoption, Dismissal, Finding, FindingKind, Store};

use super::agencies;
use super::harness::{Counters, Harness};
use super::plan::Plan;
use crate::postgres::connection::store;

impl Harness {
    /// Decides the findings that the disruptions of a plan bring about. Others stay open, and so does what cannot be decided
    /// just now: they are violations.
    pub(super) async fn decide(&self, plan: &Plan) -> Result<()> {
        let store = store(self.database_url())?;
        for finding in store.open_findings().await.unwrap_or_default() {
            let is_decided = self.decide_one(&store, &finding, plan).await.is_ok_and(|is_decided| is_decided);
            Counters::add(&self.counters.decided, usize::from(is_decided));
        }
        Ok(())
    }

    /// Whether there was something to decide.
    async fn decide_one(&self, store: &Store, finding: &Finding, plan: &Plan) -> Result<bool, Error> {
        match finding.observation.kind {
            FindingKind::NumberMoved => Ok(store.adopt_finding(finding.id, None, None).await? == Adoption::Moved),
            FindingKind::AgencyGone => {
                let adoption = store.adopt_finding(finding.id, None, Some(agencies::agency(agencies::ADOPTER))).await?;
                Ok(matches!(adoption, Adoption::Adopted(_)))
            }
            // What kept Telnyx from deleting the number is over by now; whether it is deleted is its agency's to say.
            FindingKind::ReleaseRefused => Ok(store.dismiss_finding(finding.id).await? == Dismissal::Dismissed),
            // What another account's key was used for, the right one cannot prove anything about.
            FindingKind::KeyUnproven if plan.swaps_keys() && self.accounts.is_platforms(finding.observation.key_digest) => {
                Ok(matches!(store.adopt_finding(finding.id, None, None).await?, Adoption::Vouched(_)))
            }
            _ => Ok(false),
        }
    }
}
