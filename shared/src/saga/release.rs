//! A number's way back to Telnyx: noted, deleted there, and done; each step can be repeated by anybody.
//!
//! ```text
//! requested ──Telnyx has let go──▶ completed (row released)
//!     └───────Telnyx refused─────▶ refused (row as it was before)
//! ```

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::Sagas;
use crate::deadline::sleep_within;
use crate::error::{Error, Source};
use crate::lease::renewing;
use crate::model::{Actor, Reference, Status};
use crate::store::{Release, ReleaseStart, ReleaseTarget};
use crate::telnyx::{Account, Failure, Owned, Refusal, Session};

/// The pause before Telnyx is asked once more.
const PAUSE: Duration = Duration::from_millis(500);
/// How often Telnyx is asked to delete a number before the caller is told to come again.
const TRIES: u32 = 6;

/// Somebody who releases, until a deadline.
pub struct Releaser<'a> {
    /// What it takes.
    pub sagas: &'a Sagas,
    /// When work must have stopped.
    pub deadline: Instant,
}

/// A number that is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// By this request, or one at the same time.
    Now,
    /// It was so already.
    Before,
}

/// What an attempt to delete a number at Telnyx came to.
enum Attempt {
    /// Telnyx does not have it any more.
    Gone,
    /// Telnyx will not let go, and nothing happened.
    Refused(Error),
    /// It may have worked: later.
    Again(Error),
    /// Somebody else works on it now.
    Lost,
}

impl Releaser<'_> {
    /// Releases a number; one that is not bought yet is given up.
    ///
    /// # Errors
    /// It is not released, and the reason.
    pub async fn release(&self, actor: &Actor, target: &ReleaseTarget) -> Result<Released, Error> {
        match target.status {
            Status::Released => Ok(Released::Before),
            Status::Pending => self.cancel(actor, target).await.map(|()| Released::Now),
            Status::Active | Status::Inactive => self.give_back(actor, target).await.map(|()| Released::Now),
        }
    }

    /// Goes on with the release of a row unless somebody works on it; false: somebody does, or there is none.
    ///
    /// # Errors
    /// It is not released, and the reason.
    pub async fn resume(&self, row_id: Uuid) -> Result<bool, Error> {
        let Some(release) = self.sagas.store.claim_release(row_id, self.sagas.config.lease).await? else { return Ok(false) };
        let account = self.sagas.accounts.named(&release.account).await?;
        self.carry_out(&release, &account).await
    }

    /// The account that the ledger names; for a row from before there was a ledger, the one that has the number.
    pub(super) async fn account(&self, actor: &Actor, target: &ReleaseTarget) -> Result<Account, Error> {
        if let Some(name) = &target.account {
            return self.sagas.accounts.named(name).await;
        }
        let mut accounts = self.sagas.accounts.all_of_agency(actor.agency_id).await?;
        for (index, account) in accounts.iter().enumerate() {
            if self.session(account).find_number(&target.number).await?.is_some() {
                return Ok(accounts.swap_remove(index));
            }
        }
        Ok(accounts.swap_remove(0))
    }

    /// Releases a number that is bought.
    async fn give_back(&self, actor: &Actor, target: &ReleaseTarget) -> Result<(), Error> {
        let account = self.account(actor, target).await?;
        let Some(release) = self.begin(actor, target, &account).await? else { return Ok(()) };
        // A release under way stays where it was begun, even if the agency has got a key of its own since.
        let account = if release.account == account.name { account } else { self.sagas.accounts.named(&release.account).await? };
        if self.carry_out(&release, &account).await? {
            return Ok(());
        }
        // Somebody else has taken it up, and ends it the same way.
        self.outcome_of_another(actor, target).await
    }

    /// Has Telnyx let go of a number, as the holder of its release's lease; false when the lease is lost.
    async fn carry_out(&self, release: &Release, account: &Account) -> Result<bool, Error> {
        let store = &self.sagas.store;
        let renew = || store.renew_release(release, self.sagas.config.lease);
        match renewing(self.sagas.config.lease, renew, self.delete(release, account)).await {
            Attempt::Gone => store.complete_release(release).await,
            Attempt::Lost => Ok(false),
            Attempt::Refused(error) => {
                store.refuse_release(release, error.code(), &error.to_string()).await?;
                Err(error)
            }
            Attempt::Again(error) => {
                store.yield_release(release).await?;
                Err(error)
            }
        }
    }

    /// Notes the release or takes up the one under way. None: somebody else has finished it meanwhile.
    async fn begin(&self, actor: &Actor, target: &ReleaseTarget, account: &Account) -> Result<Option<Release>, Error> {
        let start = ReleaseStart { row_id: target.row_id, account: account.name.clone(), lease: self.sagas.config.lease };
        loop {
            if let Some(release) = self.sagas.store.begin_release(actor, &start).await? {
                return Ok(Some(release));
            }
            if self.status(actor, target).await? == Some(Status::Released) {
                return Ok(None);
            }
            if !self.sleep(PAUSE).await {
                return Err(busy());
            }
        }
    }

    async fn outcome_of_another(&self, actor: &Actor, target: &ReleaseTarget) -> Result<(), Error> {
        while self.status(actor, target).await? != Some(Status::Released) {
            if !self.sleep(PAUSE).await {
                return Err(busy());
            }
        }
        Ok(())
    }

    async fn status(&self, actor: &Actor, target: &ReleaseTarget) -> Result<Option<Status>, Error> {
        let found = self.sagas.store.release_targets(actor.agency_id, &[target.row_id]).await?;
        Ok(found.first().map(|target| target.status))
    }

    /// Asks until Telnyx has let go, refused, or time is up. Deleting twice does no harm.
    async fn delete(&self, release: &Release, account: &Account) -> Attempt {
        let session = self.session(account);
        let mut known = release.telnyx_phone_number_id.clone();
        let mut may_be_gone = !release.is_new;
        let mut tries = 1;
        loop {
            let attempt = match &known {
                Some(id) => match self.delete_once(&session, release, id).await {
                    Ok(true) => Attempt::Gone,
                    Ok(false) => Attempt::Lost,
                    // Gone, or never there under this id: its inventory knows.
                    Err(Failure::Refused(Refusal::NotFound(_))) => {
                        may_be_gone = true;
                        confirm(&session, release, &mut known).await
                    }
                    Err(failure) => {
                        may_be_gone |= matches!(failure, Failure::Unknown(_));
                        not_deleted(failure)
                    }
                },
                None => confirm(&session, release, &mut known).await,
            };
            let attempt = match attempt {
                Attempt::Refused(error) if may_be_gone => still_there(&session, release, error).await,
                attempt => attempt,
            };
            match attempt {
                Attempt::Again(_) if tries < TRIES && self.sleep(PAUSE).await => tries += 1,
                attempt => return attempt,
            }
        }
    }

    /// Deletes by an id, as long as the lease is ours; false when it is not. A process that slept must not wake and delete
    /// what may have been bought again meanwhile.
    async fn delete_once(&self, session: &Session<'_>, release: &Release, id: &str) -> Result<bool, Failure> {
        let asked = Instant::now();
        let lease = self.sagas.config.lease;
        match self.sagas.store.renew_release(release, lease).await {
            Ok(true) if asked.elapsed() < lease => session.delete_number(id).await.map(|()| true),
            Ok(_) => Ok(false),
            Err(error) => Err(Failure::NotSent(error.to_string().into())),
        }
    }

    pub(super) const fn session<'s>(&'s self, account: &'s Account) -> Session<'s> {
        self.sagas.telnyx.session(account, self.deadline)
    }

    /// Sleeps; false when that would take it past the deadline.
    pub(super) async fn sleep(&self, pause: Duration) -> bool {
        sleep_within(self.deadline, pause).await
    }
}

/// Looks for the number in the account's inventory. One that is there under another id is deleted by that id next, if it
/// is the one we bought: it could be a later purchase in the same account.
async fn confirm(session: &Session<'_>, release: &Release, known: &mut Option<String>) -> Attempt {
    match session.find_number(&release.number).await {
        Err(failure) => not_deleted(failure),
        Ok(Some(owned)) if known.as_deref() == Some(&owned.id) => Attempt::Again(Error::Upstream(text("the number is not gone yet"))),
        Ok(Some(owned)) if is_ours(release, &owned) => {
            *known = Some(owned.id);
            Attempt::Again(Error::Upstream(text("the number has another id than its row")))
        }
        // Ours is gone, even if somebody has bought the number since.
        Ok(_) => Attempt::Gone,
    }
}

/// A refusal undoes a release only while the number is there: an earlier attempt may have worked unheard.
async fn still_there(session: &Session<'_>, release: &Release, error: Error) -> Attempt {
    match session.find_number(&release.number).await {
        Ok(Some(owned)) if is_ours(release, &owned) => Attempt::Refused(error),
        // Ours is gone, even if somebody has bought the number since.
        Ok(_) => Attempt::Gone,
        Err(_) => Attempt::Again(error),
    }
}

/// A number carries the reference of the purchase that bought it. Of a row from before there was a ledger, nobody knows
/// what its number carries, but for one thing: not the name of another agency.
fn is_ours(release: &Release, owned: &Owned) -> bool {
    let named = || owned.customer_reference.as_deref()?.parse::<Reference>().ok();
    match &release.reference {
        Some(_) => release.reference == owned.customer_reference,
        None => named().is_none_or(|reference| reference.agency_id == release.agency_id),
    }
}

fn not_deleted(failure: Failure) -> Attempt {
    match failure {
        Failure::Unknown(source) | Failure::NotSent(source) => Attempt::Again(Error::Upstream(source)),
        Failure::Refused(Refusal::RateLimited(wait)) => Attempt::Again(Error::RateLimited(wait)),
        Failure::Refused(Refusal::NotPermitted(source) | Refusal::NotFound(source)) => Attempt::Refused(Error::Upstream(source)),
        Failure::Refused(Refusal::InsufficientFunds) => Attempt::Refused(Error::InsufficientFunds),
        Failure::Refused(Refusal::NumberUnavailable(source) | Refusal::BadRequest(source) | Refusal::Rejected(source)) => {
            Attempt::Refused(Error::UpstreamRejected(source))
        }
    }
}

fn text(message: &str) -> Source {
    message.into()
}

fn busy() -> Error {
    Error::Unavailable(text("somebody else is releasing the number"))
}
