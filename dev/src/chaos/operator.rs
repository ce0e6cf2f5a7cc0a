//! The operator, who decides findings.

use anyhow::Result;
use shared::error::Error;
use shared::store::{Adoption, Dismissal, Finding, FindingKind, Store};

use super::agencies;
use super::harness::{Counters, Harness};
use super::plan::Plan;
use crate::postgres::connection::store;

impl Harness {
    /// Decides the findings that the disruptions of a plan cause. Other findings stay open, and so do those that cannot be decided
    /// at the moment: they are violations.
    pub(super) async fn decide(&self, plan: &Plan) -> Result<()> {
        let store = store(self.database_url())?;
        for finding in store.open_findings().await.unwrap_or_default() {
            let is_decided = self.decide_one(&store, &finding, plan).await.is_ok_and(|is_decided| is_decided);
            Counters::add(&self.counters.decided, usize::from(is_decided));
        }
        Ok(())
    }

    /// Returns whether a finding was decided.
    async fn decide_one(&self, store: &Store, finding: &Finding, plan: &Plan) -> Result<bool, Error> {
        match finding.observation.kind {
            FindingKind::NumberMoved => Ok(store.adopt_finding(finding.id, None, None).await? == Adoption::Moved),
            FindingKind::AgencyGone => {
                let adoption = store.adopt_finding(finding.id, None, Some(agencies::agency(agencies::ADOPTER))).await?;
                Ok(matches!(adoption, Adoption::Adopted(_)))
            }
            // The lock that kept Telnyx from deleting the number is gone; its agency decides whether it is deleted.
            FindingKind::ReleaseRefused => Ok(store.dismiss_finding(finding.id).await? == Dismissal::Dismissed),
            // The right key proves nothing about requests that were made with another account's key.
            FindingKind::KeyUnproven if plan.swaps_keys() && self.accounts.is_platforms(finding.observation.key_digest) => {
                Ok(matches!(store.adopt_finding(finding.id, None, None).await?, Adoption::Vouched(_)))
            }
            _ => Ok(false),
        }
    }
}
