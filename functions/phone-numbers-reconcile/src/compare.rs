//! A page of an account's inventory, compared with the rows: what each number is to us, and what is done about it.

use std::collections::HashSet;

use shared::error::Error;
use shared::model::Reference;
use shared::store::{Adoptee, Counterpart, FindingKind, Observation, Owner, Seen, Stranger};
use shared::telnyx::Owned;
use uuid::Uuid;

use crate::verdict::{Verdict, verdict};
use crate::walker::Walker;

impl Walker<'_> {
    /// Compares the numbers of a page, and returns what it has shown.
    pub(crate) async fn compare_page(&mut self, numbers: &[Owned]) -> Result<Seen, Error> {
        self.report.numbers_compared += numbers.len();
        let owners: Vec<_> = numbers.iter().map(owner).collect();
        let counterparts = self.reconcile.sagas.store.counterparts(&owners, self.reconcile.lag()).await?;
        let judged: Vec<_> =
            numbers.iter().zip(&counterparts).map(|(owned, counterpart)| (owned, counterpart, verdict(owned, counterpart))).collect();
        let known = self.known_findings(&judged).await?;
        let (mut seen, mut observations) = (Seen::default(), Vec::new());
        for (owned, counterpart, verdict) in judged {
            match verdict {
                Verdict::Later => {}
                Verdict::Stranger => seen.strangers.push(stranger(owned)),
                _ => seen.identified.push(owned.number.clone()),
            }
            if let Verdict::Seen(row_id) | Verdict::Correct { row_id, .. } = verdict {
                seen.row_ids.push(row_id);
            }
            match verdict {
                Verdict::Seen(_) | Verdict::Later | Verdict::Stranger => {}
                // What was confirmed once is only seen again.
                Verdict::Finding(kind) if known.contains(&(owned.number.to_string(), kind.as_str().to_owned())) => {
                    observations.push(self.observation(owned, counterpart, kind));
                }
                Verdict::Correct { .. } | Verdict::Adopt(_) | Verdict::Finding(_) if !self.is_still_so(owned, verdict).await? => {}
                Verdict::Correct { row_id, reactivate } => {
                    let corrected = self.reconcile.sagas.store.correct(row_id, &owned.id, reactivate).await;
                    let corrected = self.reconcile.pass_over(self.report, corrected).await?;
                    self.report.corrected += usize::from(corrected.unwrap_or(false));
                }
                Verdict::Adopt(reference) => seen.row_ids.extend(self.adopt(owned, reference).await?),
                Verdict::Finding(kind) => observations.push(self.observation(owned, counterpart, kind)),
            }
        }
        self.report_findings(observations).await?;
        Ok(seen)
    }

    /// The findings that there are already about the numbers that something is found about, by number and kind.
    async fn known_findings(&mut self, judged: &[(&Owned, &Counterpart, Verdict)]) -> Result<HashSet<(String, String)>, Error> {
        let found = judged.iter().filter(|(_, _, verdict)| matches!(verdict, Verdict::Finding(_)));
        let numbers: Vec<_> = found.map(|(owned, _, _)| owned.number.as_str()).collect();
        if numbers.is_empty() {
            return Ok(HashSet::new());
        }
        Ok(self.reconcile.sagas.store.known_findings(&self.walk.account, &numbers).await?.into_iter().collect())
    }

    /// Whether a number is still there and still judged alike: the page is from a moment ago, the rows are of now, and in
    /// between it may have been given back or bought.
    async fn is_still_so(&self, owned: &Owned, before: Verdict) -> Result<bool, Error> {
        let Ok(Some(owned)) = self.session.number(&owned.id).await else { return Ok(false) };
        let counterparts = self.reconcile.sagas.store.counterparts(&[owner(&owned)], self.reconcile.lag()).await?;
        Ok(counterparts.first().is_some_and(|counterpart| verdict(&owned, counterpart) == before))
    }

    /// Gives a number of ours the row that it should have; None if it has one by now, or the database refused.
    async fn adopt(&mut self, owned: &Owned, reference: Reference) -> Result<Option<Uuid>, Error> {
        let known_as = owned.customer_reference.clone().unwrap_or_else(|| reference.to_string());
        // Good to know, and nothing to wait for: the number is there.
        let order = self.session.find_order(&known_as, &owned.number).await.ok().flatten();
        let adoptee = Adoptee {
            agency_id: reference.agency_id,
            number: owned.number.as_str(),
            phone_number_id: &owned.id,
            number_type: owned.number_type.as_deref(),
            country_code: owned.country_code.as_deref(),
            purchase_id: reference.purchase_id,
            account: &self.walk.account,
            reference: &known_as,
            order_id: order.as_ref().map(|order| order.id.as_str()),
        };
        let outcome = self.reconcile.sagas.store.adopt(&adoptee).await;
        let row_id = self.reconcile.pass_over(self.report, outcome).await?.flatten();
        if let Some(row_id) = row_id {
            tracing::warn!(%row_id, agency_id = %reference.agency_id, "a number of ours had no row, and has one now");
            self.report.adopted += 1;
        }
        Ok(row_id)
    }

    fn observation(&self, owned: &Owned, counterpart: &Counterpart, kind: FindingKind) -> Observation {
        Observation {
            number: Some(owned.number.to_string()),
            phone_number_id: Some(owned.id.clone()),
            reference: owned.customer_reference.clone(),
            // An agency that is gone, or only claimed, is nobody to give the number to.
            agency_id: counterpart.agency_id.filter(|_| !matches!(kind, FindingKind::AgencyGone | FindingKind::UnprovenClaim)),
            row_ids: counterpart.row.as_ref().map(|row| row.id).into_iter().collect(),
            ..Observation::new(kind, &self.walk.account)
        }
    }
}

fn owner(owned: &Owned) -> Owner {
    Owner { number: owned.number.clone(), phone_number_id: owned.id.clone(), reference: owned.customer_reference.clone() }
}

fn stranger(owned: &Owned) -> Stranger {
    Stranger { number: owned.number.clone(), phone_number_id: owned.id.clone(), reference: owned.customer_reference.clone() }
}
