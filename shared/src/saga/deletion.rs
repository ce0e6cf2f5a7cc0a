//! The deletion of one number at Telnyx, by the process that holds its release's lease. Deleting twice does no harm;
//! what must not happen is that a number counts as deleted which Telnyx still has and bills.

use std::time::Duration;

use tokio::time::Instant;

use super::Sagas;
use super::proof::{Absence, Trace, observation};
use crate::deadline::sleep_within;
use crate::error::{Error, Source};
use crate::model::Reference;
use crate::store::{Clearance, Fenced, FindingKind, Lease, Reconciled, Release, ReleaseId};
use crate::telnyx::{Account, Failure, Owned, Refusal, Session, usable_id};

/// The pause before Telnyx is asked once more.
const PAUSE: Duration = Duration::from_millis(500);
/// How often Telnyx is asked to delete a number before the caller is asked to retry.
const TRIES: u32 = 6;

/// A number that is being deleted.
pub(super) struct Deletion<'a> {
    pub(super) sagas: &'a Sagas,
    pub(super) deadline: Instant,
    pub(super) lease: &'a Lease<ReleaseId>,
    pub(super) account: Account,
    /// As the ledger has it, after the last write.
    pub(super) release: Release,
    /// Whether an earlier attempt may have deleted the number without a known answer.
    pub(super) may_be_gone: bool,
}

/// The result of a deletion.
pub(super) enum Outcome {
    /// Telnyx does not have the number any more.
    Gone,
    /// Telnyx refused, and still has the number.
    Refused(Error),
    /// It may have worked, or may work later.
    Again(Error),
    /// It cannot go on until an operator has done something.
    Blocked(Error),
    /// Another process works on it now.
    Lost,
}

impl Deletion<'_> {
    /// Asks until Telnyx has let go, refused, or time is up.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the database fails.
    pub(super) async fn run(&mut self) -> Result<Outcome, Error> {
        let mut tries = 1;
        loop {
            let error = match self.attempt().await? {
                Outcome::Again(error) => error,
                outcome => return Ok(outcome),
            };
            let pause = if let Error::RateLimited(wait) = &error { PAUSE.max(*wait) } else { PAUSE };
            if tries == TRIES || !sleep_within(self.deadline, pause).await {
                return Ok(Outcome::Again(error));
            }
            tries += 1;
        }
    }

    async fn attempt(&mut self) -> Result<Outcome, Error> {
        let known = self.release.telnyx_phone_number_id.as_deref().and_then(usable_id);
        let Some(id) = known.map(str::to_owned) else { return self.look_for_number().await };
        if self.release.key_digest.is_none() && self.release.order_id.is_none() {
            // Nothing else could show later that "there is no such number" comes from the right account.
            match self.session().number(&id).await {
                Ok(Some(owned)) => {
                    if self.note_shown(&owned).await? == Fenced::Lost {
                        return Ok(Outcome::Lost);
                    }
                }
                Ok(None) => return self.not_found(&id).await,
                Err(failure) => return Ok(again(failure)),
            }
        }
        let asked = Instant::now();
        match self.sagas.store.begin_deleting(self.lease).await? {
            // A process that slept must not wake and delete what may have been bought again meanwhile.
            Clearance::Granted if asked.elapsed() < self.lease.duration => {}
            Clearance::Granted | Clearance::Lost => return Ok(Outcome::Lost),
            Clearance::WrongDeployment => return Ok(Outcome::Blocked(self.sagas.store.wrong_deployment().await)),
        }
        match self.session().delete_number(&id).await {
            Ok(()) => Ok(Outcome::Gone),
            Err(Failure::Refused(Refusal::NotFound(_))) => self.not_found(&id).await,
            Err(Failure::Refused(Refusal::RateLimited(wait))) => Ok(Outcome::Again(Error::RateLimited(wait))),
            Err(Failure::Refused(refusal)) => self.refused(&id, refusal).await,
            Err(failure) => {
                self.may_be_gone |= matches!(failure, Failure::Unknown(_));
                Ok(again(failure))
            }
        }
    }

    /// The row does not know the number's id: the inventory does, or the number is gone.
    async fn look_for_number(&mut self) -> Result<Outcome, Error> {
        match self.session().find_number(&self.release.number).await {
            Ok(Some(owned)) if self.is_ours(&owned) => self.again_with(&owned, "the number's id is known now").await,
            Ok(_) => self.conclude().await,
            Err(failure) => Ok(again(failure)),
        }
    }

    /// There is no number with this id: it is gone, it never had this id, or it is another account that says so.
    async fn not_found(&mut self, id: &str) -> Result<Outcome, Error> {
        self.may_be_gone = true;
        match self.session().find_number(&self.release.number).await {
            Ok(Some(owned)) if owned.id == id => Ok(Outcome::Again(upstream("the number is not gone yet"))),
            Ok(Some(owned)) if self.is_ours(&owned) => self.again_with(&owned, "the number has another id than its row").await,
            // The released number is gone, even if the same number was bought again since.
            Ok(_) => self.conclude().await,
            Err(failure) => Ok(again(failure)),
        }
    }

    /// What it means that the account does not have our number.
    async fn conclude(&mut self) -> Result<Outcome, Error> {
        let session = self.sagas.telnyx.session(&self.account, self.deadline);
        match self.sagas.absence(session, &trace(&self.release)).await? {
            Absence::Proven => Ok(Outcome::Gone),
            Absence::NotNow(source) => Ok(Outcome::Again(Error::Upstream(source))),
            Absence::Moved(found) => {
                let (account, owned) = *found;
                self.follow(account, &owned).await
            }
            absence => Ok(Outcome::Blocked(self.sagas.unproven(session, &trace(&self.release), absence).await)),
        }
    }

    /// The number was moved to another account of the agency's: the ledger follows it there, and so does the deletion.
    async fn follow(&mut self, account: Account, owned: &Owned) -> Result<Outcome, Error> {
        if let Some(purchase_id) = self.release.purchase_id {
            let (from, to, key) = (&self.release.account, &account.name, account.key_digest());
            match self.sagas.store.move_number(purchase_id, from, to, &owned.id, key).await? {
                // Outdated: reconcile has just done so, and the release continues there as well.
                Reconciled::Done | Reconciled::Outdated => {}
            }
        }
        self.account = account;
        self.again_with(owned, "the number is in another account by now").await
    }

    /// A refusal undoes the release only while Telnyx has the number: an earlier attempt may have worked although its answer was lost.
    async fn refused(&mut self, id: &str, refusal: Refusal) -> Result<Outcome, Error> {
        let owned = match self.session().number(id).await {
            Ok(Some(owned)) => Some(owned),
            Ok(None) => return self.not_found(id).await,
            Err(_) if self.may_be_gone => return Ok(Outcome::Again(refused(refusal, false))),
            Err(_) => None,
        };
        let error = refused(refusal, owned.is_some_and(|owned| owned.is_locked));
        if matches!(error, Error::NumberLocked | Error::UpstreamRejected(_)) {
            self.sagas.report(observation(FindingKind::ReleaseRefused, &trace(&self.release))).await;
        }
        Ok(Outcome::Refused(error))
    }

    /// Notes the number's id and the key that showed it. The next attempt deletes the number under that id.
    async fn again_with(&mut self, owned: &Owned, reason: &str) -> Result<Outcome, Error> {
        Ok(match self.note_shown(owned).await? {
            Fenced::Done(()) => Outcome::Again(upstream(reason)),
            Fenced::Lost => Outcome::Lost,
        })
    }

    async fn note_shown(&mut self, owned: &Owned) -> Result<Fenced, Error> {
        Ok(match self.sagas.store.note_shown(self.lease, &owned.id, self.account.key_digest()).await? {
            Fenced::Done(release) => {
                self.release = release;
                Fenced::Done(())
            }
            Fenced::Lost => Fenced::Lost,
        })
    }

    /// Whether a number is the one to be deleted. The same id is the same number, whatever its reference says. Under another id
    /// it is ours if it names the purchase; of a row that predates the ledger the reference is unknown, except for one
    /// thing: not the name of another agency.
    fn is_ours(&self, owned: &Owned) -> bool {
        if self.release.telnyx_phone_number_id.as_ref() == Some(&owned.id) {
            return true;
        }
        if self.release.reference.is_some() {
            return self.release.reference == owned.customer_reference;
        }
        let named = owned.customer_reference.as_deref().and_then(|reference| reference.parse::<Reference>().ok());
        named.is_none_or(|reference| reference.agency_id == self.release.agency_id)
    }

    const fn session(&self) -> Session<'_> {
        self.sagas.telnyx.session(&self.account, self.deadline)
    }
}

fn trace(release: &Release) -> Trace<'_> {
    Trace {
        number: &release.number,
        agency_id: release.agency_id,
        row_id: release.row_id,
        account: &release.account,
        purchase_id: release.purchase_id,
        reference: release.reference.as_deref(),
        key_digest: release.key_digest,
        order_id: release.order_id.as_deref(),
        phone_number_id: release.telnyx_phone_number_id.as_deref(),
    }
}

fn again(failure: Failure) -> Outcome {
    Outcome::Again(failure.wait().map_or_else(|| Error::Upstream(failure.into_source()), Error::RateLimited))
}

/// What a refused deletion means to the caller.
fn refused(refusal: Refusal, is_locked: bool) -> Error {
    match refusal {
        Refusal::Locked(_) => Error::NumberLocked,
        Refusal::NotPermitted(source) | Refusal::NotFound(source) => Error::Upstream(source),
        Refusal::RateLimited(wait) => Error::RateLimited(wait),
        Refusal::InsufficientFunds => Error::InsufficientFunds,
        Refusal::NumberUnavailable(_) | Refusal::BadRequest(_) | Refusal::Rejected(_) if is_locked => Error::NumberLocked,
        Refusal::NumberUnavailable(source) | Refusal::BadRequest(source) | Refusal::Rejected(source) => Error::UpstreamRejected(source),
    }
}

fn upstream(message: &str) -> Error {
    let source: Source = message.into();
    Error::Upstream(source)
}
