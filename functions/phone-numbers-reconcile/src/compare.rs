//! A page of an account's inventory, compared with the rows: what each number is to us, and what is done about it.

use std::collections::HashSet;

use shared::error::Error;
use shared::store::{Adoptee, Counterpart, FindingKind, Observation, Owner, Seen, Stranger};
use shared::telnyx::{KeyDigest, Owned};
use uuid::Uuid;

use crate::moves::Followed;
use crate::verdict::{Verdict, verdict};
use crate::walker::Walker;

/// A number of a page, with what it is to us.
struct Judged<'a> {
    owned: &'a Owned,
    counterpart: Counterpart,
    verdict: Verdict,
}

impl Walker<'_> {
    /// Compares the numbers of a page, and returns what it has shown.
    pub(crate) async fn compare_page(&mut self, numbers: &[Owned]) -> Result<Seen, Error> {
        self.report.numbers_compared += numbers.len();
        let judged: Vec<_> = numbers.iter().zip(self.counterparts(numbers).await?).map(|(owned, known)| self.judge(owned, known)).collect();
        let known = self.known_findings(&judged).await?;
        let mut seen = seen(&judged, self.session.account().key_digest());
        let mut observations = Vec::new();
        for judged in &judged {
            let Judged { owned, verdict, .. } = judged;
            match *verdict {
                Verdict::Seen(_) | Verdict::Later | Verdict::Stranger | Verdict::AnotherDeployments => {}
                // What was confirmed once is only seen again.
                Verdict::Finding(kind) if known.contains(&(owned.number.to_string(), kind.as_str().to_owned())) => {
                    observations.push(self.observation(judged, kind));
                }
                _ if !self.is_still_so(owned, *verdict).await? => {}
                Verdict::Correct { row_id, reactivate } => {
                    let corrected = self.reconcile.sagas.store.correct(row_id, &owned.id, reactivate).await;
                    let corrected = self.reconcile.pass_over(self.report, corrected).await?;
                    self.report.corrected += usize::from(corrected.unwrap_or(false));
                }
                Verdict::Follow(row_id) => match self.follow(owned, &judged.counterpart).await? {
                    Followed::Here => seen.row_ids.push(row_id),
                    Followed::NotNow => {}
                    Followed::Not(kind) => observations.push(self.observation(judged, kind)),
                },
                Verdict::Adopt { agency_id, purchase_id } => seen.row_ids.extend(self.adopt(owned, agency_id, purchase_id).await?),
                Verdict::Finding(kind) => observations.push(self.observation(judged, kind)),
            }
        }
        self.report_findings(observations).await?;
        Ok(seen)
    }

    /// What the numbers are to us, their accounts called as the settings call them.
    async fn counterparts(&self, numbers: &[Owned]) -> Result<Vec<Counterpart>, Error> {
        let owners: Vec<_> = numbers.iter().map(owner).collect();
        let mut counterparts = self.reconcile.sagas.store.counterparts(&owners, self.reconcile.lag()).await?;
        for counterpart in &mut counterparts {
            let bought_in = counterpart.purchase.as_mut().map(|purchase| &mut purchase.account);
            let origin = counterpart.row.as_mut().and_then(|row| row.origin.as_mut()).map(|origin| &mut origin.account);
            for account in bought_in.into_iter().chain(origin) {
                *account = self.reconcile.sagas.accounts.resolve(account).to_string();
            }
        }
        Ok(counterparts)
    }

    fn judge<'a>(&self, owned: &'a Owned, counterpart: Counterpart) -> Judged<'a> {
        let verdict = verdict(&self.asked, owned, &counterpart);
        Judged { owned, counterpart, verdict }
    }

    /// The findings that there are already about the numbers that something is found about, by number and kind.
    async fn known_findings(&mut self, judged: &[Judged<'_>]) -> Result<HashSet<(String, String)>, Error> {
        let found = judged.iter().filter(|judged| matches!(judged.verdict, Verdict::Finding(_)));
        let numbers: Vec<_> = found.map(|judged| judged.owned.number.as_str()).collect();
        if numbers.is_empty() {
            return Ok(HashSet::new());
        }
        Ok(self.reconcile.sagas.store.known_findings(self.walk.account(), &numbers).await?.into_iter().collect())
    }

    /// Whether a number is still there and still judged alike: the page is from a moment ago, the rows are of now, and in
    /// between it may have been given back or bought.
    async fn is_still_so(&self, owned: &Owned, before: Verdict) -> Result<bool, Error> {
        let Ok(Some(owned)) = self.session.number(&owned.id).await else { return Ok(false) };
        let counterparts = self.counterparts(std::slice::from_ref(&owned)).await?;
        Ok(counterparts.into_iter().next().is_some_and(|counterpart| self.judge(&owned, counterpart).verdict == before))
    }

    /// Gives a number of ours the row that it should have; None if it has one by now, or the database refused.
    async fn adopt(&mut self, owned: &Owned, agency_id: Uuid, purchase_id: Uuid) -> Result<Option<Uuid>, Error> {
        let known_as = owned.customer_reference.clone().unwrap_or_else(|| format!("adopted:{purchase_id}"));
        // Good to know, and nothing to wait for: the number is there.
        let order = self.session.orders_for(&known_as, &owned.number).await.ok().and_then(|orders| orders.known.into_iter().next());
        let adoptee = Adoptee {
            agency_id,
            number: owned.number.as_str(),
            phone_number_id: &owned.id,
            number_type: owned.number_type.as_deref(),
            country_code: owned.country_code.as_deref(),
            purchase_id,
            account: self.walk.account(),
            reference: &known_as,
            order_id: order.as_ref().map(|order| order.id.as_str()),
            key_digest: Some(self.session.account().key_digest()),
        };
        let outcome = self.reconcile.sagas.store.adopt(&adoptee).await;
        let row_id = self.reconcile.pass_over(self.report, outcome).await?.flatten();
        if let Some(row_id) = row_id {
            tracing::warn!(%row_id, %agency_id, "a number of ours had no row, and has one now");
            self.report.adopted += 1;
        }
        Ok(row_id)
    }

    fn observation(&self, judged: &Judged<'_>, kind: FindingKind) -> Observation {
        let Judged { owned, counterpart, .. } = judged;
        if kind == FindingKind::SameAccount {
            return self.same_account(owned, counterpart);
        }
        let row = counterpart.row.as_ref();
        // An agency that is gone, or only claimed, is nobody to give the number to.
        let is_known = !matches!(kind, FindingKind::AgencyGone | FindingKind::UnprovenClaim);
        Observation {
            number: Some(owned.number.to_string()),
            phone_number_id: Some(owned.id.clone()),
            reference: owned.customer_reference.clone(),
            agency_id: counterpart.agency_id.filter(|_| is_known),
            row_ids: row.map(|row| row.id).into_iter().collect(),
            key_digest: Some(self.session.account().key_digest()),
            ..Observation::new(kind, self.walk.account())
        }
    }

    /// The finding is about two accounts, whichever of their numbers shows it.
    fn same_account(&self, owned: &Owned, counterpart: &Counterpart) -> Observation {
        let origin = counterpart.row.as_ref().and_then(|row| row.origin.as_ref()).map(|origin| &origin.account);
        let other = origin.or_else(|| counterpart.purchase.as_ref().map(|purchase| &purchase.account));
        let sentence = FindingKind::SameAccount.detail();
        let detail = format!("{sentence} The other name: {}. One of the numbers: {}.", other.map_or("", |name| name), owned.number);
        Observation { detail, ..Observation::new(FindingKind::SameAccount, self.walk.account()) }
    }
}

/// What a page has shown.
fn seen(judged: &[Judged<'_>], key_digest: KeyDigest) -> Seen {
    let mut seen = Seen::default();
    for Judged { owned, verdict, .. } in judged {
        if let Verdict::Seen(row_id) | Verdict::Correct { row_id, .. } = verdict {
            seen.row_ids.push(*row_id);
        } else if *verdict == Verdict::Stranger {
            seen.strangers.push(stranger(owned, key_digest));
        }
    }
    seen
}

fn owner(owned: &Owned) -> Owner {
    Owner { number: owned.number.clone(), phone_number_id: owned.id.clone(), reference: owned.customer_reference.clone() }
}

fn stranger(owned: &Owned, key_digest: KeyDigest) -> Stranger {
    let reference = owned.customer_reference.clone();
    Stranger { number: owned.number.clone(), phone_number_id: owned.id.clone(), reference, key_digest }
}
