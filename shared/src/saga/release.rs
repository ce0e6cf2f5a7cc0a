//! Releasing a number: the release is noted, the number is deleted at Telnyx, and the row becomes `released`. Each step can be
//! repeated by any process.
//!
//! ```text
//! requested ──Telnyx has let go──▶ completed (row released)
//!     └───────Telnyx refused─────▶ refused (row as it was before)
//! ```

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::Sagas;
use super::deletion::{Deletion, Outcome};
use crate::deadline::sleep_within;
use crate::error::{Error, Source};
use crate::model::{Actor, Status};
use crate::store::{Fenced, HeldRelease, ReleaseBegun, ReleaseStart, ReleaseTarget};
use crate::telnyx::Account;

/// The pause before another process's progress is looked at again.
const PAUSE: Duration = Duration::from_millis(500);

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

/// The result of resuming a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumed {
    /// The number is released.
    Released,
    /// No release of the row is under way, or another process works on it.
    NotHeld,
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

    /// Resumes the release of a row unless another process works on it.
    ///
    /// # Errors
    /// It is not released, and the reason.
    pub async fn resume(&self, row_id: Uuid) -> Result<Resumed, Error> {
        let held = self.sagas.store.claim_release(row_id, self.sagas.config.lease).await?;
        let Some(held) = held else { return Ok(Resumed::NotHeld) };
        let account = self.account_of(&held).await?;
        Ok(match self.carry_out(held, account).await? {
            Fenced::Done(()) => Resumed::Released,
            Fenced::Lost => Resumed::NotHeld,
        })
    }

    /// The account that a release names. If its key cannot be read, the lease of the release is given back at once.
    async fn account_of(&self, held: &HeldRelease) -> Result<Account, Error> {
        match self.sagas.accounts.named(&held.release.account).await {
            Ok(account) => Ok(account),
            Err(error) => {
                self.sagas.store.give_back(&held.lease).await?;
                Err(error)
            }
        }
    }

    /// The account that the ledger names; for a row that predates the ledger, the one that has the number.
    async fn account(&self, actor: &Actor, target: &ReleaseTarget) -> Result<Account, Error> {
        if let Some(name) = &target.account {
            return self.sagas.accounts.named(name).await;
        }
        let mut accounts = self.sagas.accounts.all_of_agency(actor.agency_id).await?;
        for (index, account) in accounts.iter().enumerate() {
            if self.sagas.telnyx.session(account, self.deadline).find_number(&target.number).await?.is_some() {
                return Ok(accounts.swap_remove(index));
            }
        }
        Ok(accounts.swap_remove(0))
    }

    /// Releases a number that is bought.
    async fn give_back(&self, actor: &Actor, target: &ReleaseTarget) -> Result<(), Error> {
        let account = self.account(actor, target).await?;
        let Some(held) = self.begin(actor, target, &account).await? else { return Ok(()) };
        // A release under way stays where it was begun, even if the agency has got a key of its own since.
        let account = if held.release.account == account.name { account } else { self.account_of(&held).await? };
        match self.carry_out(held, account).await? {
            Fenced::Done(()) => Ok(()),
            // Another process has taken it up, and ends it the same way.
            Fenced::Lost => self.outcome_of_another(actor, target).await,
        }
    }

    /// Has Telnyx delete a number, as the holder of its release's lease.
    async fn carry_out(&self, held: HeldRelease, account: Account) -> Result<Fenced, Error> {
        let store = &self.sagas.store;
        let HeldRelease { lease, release, is_new } = held;
        let mut deletion = Deletion { sagas: self.sagas, deadline: self.deadline, lease: &lease, account, release, may_be_gone: !is_new };
        match store.renewing(&lease, deletion.run()).await? {
            Outcome::Gone => store.complete_release(&lease).await,
            Outcome::Lost => Ok(Fenced::Lost),
            Outcome::Refused(error) => match store.refuse_release(&lease, error.code(), &error.to_string()).await? {
                // Without the lease, the release is left to the process that holds it now.
                Fenced::Done(()) | Fenced::Lost => Err(error),
            },
            Outcome::Again(error) | Outcome::Blocked(error) => {
                store.give_back(&lease).await?;
                Err(error)
            }
        }
    }

    /// Notes the release or takes the lease of the one under way. None: another process has finished it meanwhile.
    async fn begin(&self, actor: &Actor, target: &ReleaseTarget, account: &Account) -> Result<Option<HeldRelease>, Error> {
        let start = ReleaseStart { row_id: target.row_id, account: account.name.clone(), lease: self.sagas.config.lease };
        loop {
            match self.sagas.store.begin_release(actor, &start).await? {
                ReleaseBegun::Held(held) => return Ok(Some(held)),
                ReleaseBegun::WrongDeployment => return Err(self.sagas.store.wrong_deployment().await),
                ReleaseBegun::Busy => {}
            }
            if self.status(actor, target).await? == Some(Status::Released) {
                return Ok(None);
            }
            if !sleep_within(self.deadline, PAUSE).await {
                return Err(busy());
            }
        }
    }

    async fn outcome_of_another(&self, actor: &Actor, target: &ReleaseTarget) -> Result<(), Error> {
        while self.status(actor, target).await? != Some(Status::Released) {
            if !sleep_within(self.deadline, PAUSE).await {
                return Err(busy());
            }
        }
        Ok(())
    }

    async fn status(&self, actor: &Actor, target: &ReleaseTarget) -> Result<Option<Status>, Error> {
        let found = self.sagas.store.numbers_of(actor, &[target.row_id]).await?;
        Ok(found.first().map(|row| row.status))
    }
}

fn busy() -> Error {
    let source: Source = "another process is releasing the number".into();
    Error::Unavailable(source)
}
