//! A number's way back to Telnyx: noted, deleted there, and done; each step can be repeated.

use std::time::Duration;

use shared::error::{Error, Source};
use shared::model::Status;
use shared::store::{Release, ReleaseStart, ReleaseTarget};
use shared::telnyx::{Account, Failure, Owned, Refusal, Session};

use crate::Releaser;

/// The pause before Telnyx is asked once more.
const PAUSE: Duration = Duration::from_millis(500);
/// How often Telnyx is asked to delete a number before the caller is told to come again.
const TRIES: u32 = 6;

/// What an attempt to delete a number at Telnyx came to.
enum Attempt {
    /// Telnyx does not have it any more.
    Gone,
    /// Telnyx will not let go, and nothing happened.
    Refused(Error),
    /// It may have worked: later.
    Again(Error),
}

impl Releaser<'_> {
    /// Releases a number that is bought.
    pub(crate) async fn give_back(&self, target: &ReleaseTarget) -> Result<(), Error> {
        let account = self.account(target).await?;
        let Some(release) = self.begin(target, &account).await? else { return Ok(()) };
        // A release under way stays where it was begun, even if the agency has got a key of its own since.
        let account = if release.account == account.name { account } else { self.function.accounts.named(&release.account).await? };
        let store = &self.function.store;
        let finished = match self.delete(target, &release, &account).await {
            Attempt::Gone => store.complete_release(&release).await?,
            Attempt::Refused(error) => {
                store.refuse_release(&release, error.code(), &error.to_string()).await?;
                return Err(error);
            }
            Attempt::Again(error) => {
                store.yield_release(&release).await?;
                return Err(error);
            }
        };
        // Somebody else has taken it up, and ends it the same way.
        if finished { Ok(()) } else { self.outcome_of_another(target).await }
    }

    /// Notes the release or takes up the one under way. None: somebody else has finished it meanwhile.
    async fn begin(&self, target: &ReleaseTarget, account: &Account) -> Result<Option<Release>, Error> {
        let start = ReleaseStart { row_id: target.row_id, account: account.name.clone(), lease: self.function.config.lease };
        loop {
            if let Some(release) = self.function.store.begin_release(self.actor, &start).await? {
                return Ok(Some(release));
            }
            if self.status(target).await? == Some(Status::Released) {
                return Ok(None);
            }
            if !self.sleep(PAUSE).await {
                return Err(busy());
            }
        }
    }

    async fn outcome_of_another(&self, target: &ReleaseTarget) -> Result<(), Error> {
        while self.status(target).await? != Some(Status::Released) {
            if !self.sleep(PAUSE).await {
                return Err(busy());
            }
        }
        Ok(())
    }

    async fn status(&self, target: &ReleaseTarget) -> Result<Option<Status>, Error> {
        let found = self.function.store.release_targets(self.actor.agency_id, &[target.row_id]).await?;
        Ok(found.first().map(|target| target.status))
    }

    /// Asks until Telnyx has let go, refused, or time is up. Deleting twice does no harm.
    async fn delete(&self, target: &ReleaseTarget, release: &Release, account: &Account) -> Attempt {
        let session = self.function.telnyx.session(account, self.deadline);
        let mut known = release.telnyx_phone_number_id.clone();
        let mut may_be_gone = !release.is_new;
        let mut tries = 1;
        loop {
            let attempt = match &known {
                Some(id) => match session.delete_number(id).await {
                    Ok(()) => Attempt::Gone,
                    // Gone, or never there under this id: its inventory knows.
                    Err(Failure::Refused(Refusal::NotFound(_))) => {
                        may_be_gone = true;
                        confirm(&session, target, release, &mut known).await
                    }
                    Err(failure) => {
                        may_be_gone |= matches!(failure, Failure::Unknown(_));
                        not_deleted(failure)
                    }
                },
                None => confirm(&session, target, release, &mut known).await,
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
}

/// Looks for the number in the account's inventory. One that is there under another id is deleted by that id next, if it
/// is the one we bought: it could be a later purchase in the same account.
async fn confirm(session: &Session<'_>, target: &ReleaseTarget, release: &Release, known: &mut Option<String>) -> Attempt {
    match session.find_number(&release.number).await {
        Err(failure) => not_deleted(failure),
        Ok(Some(owned)) if known.as_deref() == Some(&owned.id) => Attempt::Again(Error::Upstream(text("the number is not gone yet"))),
        Ok(Some(owned)) if is_ours(target, &owned) => {
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
        Ok(Some(_)) => Attempt::Refused(error),
        Ok(None) => Attempt::Gone,
        Err(_) => Attempt::Again(error),
    }
}

/// A number carries the reference of the purchase that bought it; one without any is from before there was a ledger.
fn is_ours(target: &ReleaseTarget, owned: &Owned) -> bool {
    match (&owned.customer_reference, target.purchase_id) {
        (Some(reference), Some(id)) => *reference == id.to_string(),
        (None, _) | (Some(_), None) => true,
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
