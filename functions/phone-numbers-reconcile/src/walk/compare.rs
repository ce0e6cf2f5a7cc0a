//! Compares a page of an account's inventory with the rows, and acts on the differences.

use std::collections::HashSet;

use shared::error::Error;
use shared::model::KeyDigest;
use shared::store::{Adoptee, Counterpart, FindingKind, Observation, Owner, Reconciled, Seen, Stranger};
use shared::telnyx::Owned;
use uuid::Uuid;

use super::AccountWalk;
use super::moves::MoveOutcome;
use super::verdict::{Verdict, verdict};

/// A number of a page, what the database has about it, and the verdict.
struct Judged<'a> {
    owned: &'a Owned,
    counterpart: Counterpart,
    verdict: Verdict,
}

/// What a page has led to.
struct PageResult {
    seen: Seen,
    observations: Vec<Observation>,
}

impl AccountWalk<'_, '_> {
    /// Compares the numbers of a page with the rows. Returns what the page has shown.
    pub(super) async fn compare_page(&mut self, numbers: &[Owned]) -> Result<Seen, Error> {
        self.run.report.numbers_compared += numbers.len();
        let counterparts = self.counterparts(numbers).await?;
        let judged: Vec<_> = numbers.iter().zip(counterparts).map(|(owned, counterpart)| self.judge(owned, counterpart)).collect();
        let known = self.known_findings(&judged).await?;
        let mut result = PageResult { seen: self.seen(&judged), observations: Vec::new() };
        for judged in &judged {
            self.act_on(judged, &known, &mut result).await?;
        }
        self.run.report_findings(result.observations).await?;
        Ok(result.seen)
    }

    /// The rows and strangers that the verdicts alone show.
    fn seen(&self, judged: &[Judged<'_>]) -> Seen {
        let key_digest = self.session.account().key_digest();
        let mut seen = Seen::default();
        for Judged { owned, verdict, .. } in judged {
            match *verdict {
                Verdict::Seen(row_id) | Verdict::Correct { row_id, .. } => seen.row_ids.push(row_id),
                Verdict::Stranger => seen.strangers.push(stranger(owned, key_digest)),
                _ => {}
            }
        }
        seen
    }

    /// Acts on one verdict. Before the first change or finding, the verdict is confirmed with a second look.
    async fn act_on(&mut self, judged: &Judged<'_>, known: &HashSet<(String, String)>, result: &mut PageResult) -> Result<(), Error> {
        let Judged { owned, counterpart, verdict } = judged;
        match *verdict {
            Verdict::Seen(_) | Verdict::InProgress | Verdict::Stranger | Verdict::OtherDeployment => {}
            // A known finding was confirmed when it was reported first.
            Verdict::Finding(kind) if known.contains(&(owned.number.to_string(), kind.as_str().to_owned())) => {
                result.observations.push(self.observation(judged, kind));
            }
            _ if !self.is_confirmed(owned, *verdict).await? => {}
            Verdict::Correct { row_id, reactivate } => {
                let corrected = self.run.store().correct(row_id, &owned.id, reactivate).await;
                let corrected = self.run.skip_refused(corrected).await?;
                self.run.report.corrected += usize::from(corrected == Some(Reconciled::Done));
            }
            Verdict::Follow(row_id) => match self.follow(owned, counterpart).await? {
                MoveOutcome::Here => result.seen.row_ids.push(row_id),
                MoveOutcome::Undecided => {}
                MoveOutcome::Finding(kind) => result.observations.push(self.observation(judged, kind)),
            },
            Verdict::Adopt { agency_id, purchase_id } => result.seen.row_ids.extend(self.adopt(owned, agency_id, purchase_id).await?),
            Verdict::Finding(kind) => result.observations.push(self.observation(judged, kind)),
        }
        Ok(())
    }

    /// Reads what the database has about numbers, in the same order, with accounts named as in the settings.
    async fn counterparts(&self, numbers: &[Owned]) -> Result<Vec<Counterpart>, Error> {
        let owners: Vec<_> = numbers.iter().map(owner).collect();
        let mut counterparts = self.run.store().counterparts(&owners, self.run.lag()).await?;
        for counterpart in &mut counterparts {
            let bought_in = counterpart.purchase.as_mut().map(|purchase| &mut purchase.account);
            let origin = counterpart.row.as_mut().and_then(|row| row.origin.as_mut()).map(|origin| &mut origin.account);
            for account in bought_in.into_iter().chain(origin) {
                *account = self.run.sagas.accounts.resolve(account).to_string();
            }
        }
        Ok(counterparts)
    }

    fn judge<'n>(&self, owned: &'n Owned, counterpart: Counterpart) -> Judged<'n> {
        let verdict = verdict(&self.scope, owned, &counterpart);
        Judged { owned, counterpart, verdict }
    }

    /// The open or dismissed findings about those numbers whose verdict is a finding, as pairs of number and kind.
    async fn known_findings(&self, judged: &[Judged<'_>]) -> Result<HashSet<(String, String)>, Error> {
        let found = judged.iter().filter(|judged| matches!(judged.verdict, Verdict::Finding(_)));
        let numbers: Vec<_> = found.map(|judged| judged.owned.number.as_str()).collect();
        if numbers.is_empty() {
            return Ok(HashSet::new());
        }
        Ok(self.run.store().known_findings(self.state.account(), &numbers).await?.into_iter().collect())
    }

    /// Whether a number is still there and still has the same verdict. The page is older than the rows that it was compared
    /// with: the number may have been released or bought in between.
    async fn is_confirmed(&self, owned: &Owned, before: Verdict) -> Result<bool, Error> {
        let Ok(Some(owned)) = self.session.number(&owned.id).await else { return Ok(false) };
        let counterparts = self.counterparts(std::slice::from_ref(&owned)).await?;
        Ok(counterparts.into_iter().next().is_some_and(|counterpart| self.judge(&owned, counterpart).verdict == before))
    }

    /// Gives a number its row. Returns None if it has one meanwhile, or the database refused.
    async fn adopt(&mut self, owned: &Owned, agency_id: Uuid, purchase_id: Uuid) -> Result<Option<Uuid>, Error> {
        let reference = owned.customer_reference.clone().unwrap_or_else(|| format!("adopted:{purchase_id}"));
        // The order's id is optional: a failure to read it does not stop the adoption.
        let order = self.session.orders_for(&reference, &owned.number).await.ok().and_then(|orders| orders.known.into_iter().next());
        let adoptee = Adoptee {
            agency_id,
            number: owned.number.as_str(),
            phone_number_id: &owned.id,
            number_type: owned.number_type.as_deref(),
            country_code: owned.country_code.as_deref(),
            purchase_id,
            account: self.state.account(),
            reference: &reference,
            order_id: order.as_ref().map(|order| order.id.as_str()),
            key_digest: Some(self.session.account().key_digest()),
        };
        let outcome = self.run.store().adopt(&adoptee).await;
        let row_id = self.run.skip_refused(outcome).await?.flatten();
        if let Some(row_id) = row_id {
            tracing::warn!(%row_id, %agency_id, "a row was added for a number that this deployment has bought");
            self.run.report.adopted += 1;
        }
        Ok(row_id)
    }

    fn observation(&self, judged: &Judged<'_>, kind: FindingKind) -> Observation {
        let Judged { owned, counterpart, .. } = judged;
        if kind == FindingKind::SameAccount {
            return self.same_account(owned, counterpart);
        }
        // An agency that does not exist, or that nothing proves to be the owner, must not be suggested to an operator.
        let is_known = !matches!(kind, FindingKind::AgencyGone | FindingKind::UnprovenClaim);
        Observation {
            number: Some(owned.number.to_string()),
            phone_number_id: Some(owned.id.clone()),
            reference: owned.customer_reference.clone(),
            agency_id: counterpart.agency_id.filter(|_| is_known),
            row_ids: counterpart.row.iter().map(|row| row.id).collect(),
            key_digest: Some(self.session.account().key_digest()),
            ..Observation::new(kind, self.state.account())
        }
    }

    /// One finding about the two accounts, whichever number shows it.
    fn same_account(&self, owned: &Owned, counterpart: &Counterpart) -> Observation {
        let origin = counterpart.row.as_ref().and_then(|row| row.origin.as_ref()).map(|origin| &origin.account);
        let other = origin.or_else(|| counterpart.purchase.as_ref().map(|purchase| &purchase.account));
        let sentence = FindingKind::SameAccount.detail();
        let detail = format!("{sentence} The other name: {}. One of the numbers: {}.", other.map_or("", |name| name), owned.number);
        Observation { detail, ..Observation::new(FindingKind::SameAccount, self.state.account()) }
    }
}

fn owner(owned: &Owned) -> Owner {
    Owner { number: owned.number.clone(), phone_number_id: owned.id.clone(), reference: owned.customer_reference.clone() }
}

fn stranger(owned: &Owned, key_digest: KeyDigest) -> Stranger {
    let reference = owned.customer_reference.clone();
    Stranger { number: owned.number.clone(), phone_number_id: owned.id.clone(), reference, key_digest }
}
