//! Numbers that Telnyx has moved to the account of the walk: the ledger is changed to name that account.
//!
//! A number counts as moved if the account that it was bought in is proven not to have it, and another account that its agency
//! may buy in shows it with the reference of its purchase.

use shared::error::Error;
use shared::model::KeyDigest;
use shared::saga::{Absence, Trace};
use shared::store::{Counterpart, FindingKind, Purchase, Reconciled};
use shared::telnyx::{Failure, Owned, Session};

use super::AccountWalk;

/// What became of a number that seems to have been moved here.
pub(super) enum MoveOutcome {
    /// The ledger names this account now.
    Here,
    /// A later walk decides.
    Undecided,
    /// An operator has to decide.
    Finding(FindingKind),
}

impl AccountWalk<'_, '_> {
    /// Changes the ledger to name this account for a number, if the number is proven to have been moved here.
    pub(super) async fn follow(&mut self, owned: &Owned, counterpart: &Counterpart) -> Result<MoveOutcome, Error> {
        let row = counterpart.row.as_ref();
        let Some((row, origin)) = row.and_then(|row| Some((row, row.origin.as_ref()?))) else { return Ok(MoveOutcome::Undecided) };
        let sagas = self.run.sagas;
        let Some(purchase) = sagas.store.purchase(origin.purchase_id).await? else { return Ok(MoveOutcome::Undecided) };
        let before = match sagas.accounts.find(&sagas.accounts.resolve(&purchase.account)).await {
            Ok(Some(account)) => account,
            // Without a key, the other account cannot be asked.
            Ok(None) => return Ok(MoveOutcome::Finding(FindingKind::NumberMoved)),
            Err(_) => return Ok(MoveOutcome::Undecided),
        };
        if before.key_digest() == self.session.account().key_digest() {
            return Ok(MoveOutcome::Finding(FindingKind::SameAccount));
        }
        let session = sagas.telnyx.session(&before, self.session.deadline());
        if !matches!(has_number(session, owned, row.phone_number_id.as_deref()).await, Ok(false)) {
            return Ok(MoveOutcome::Undecided);
        }
        let trace = Trace { phone_number_id: row.phone_number_id.as_deref(), ..Trace::from(&purchase) };
        match sagas.absence(session, &trace).await? {
            Absence::Moved(found) if found.0.name == self.state.account() => {
                let (account, owned) = *found;
                self.change_account(&purchase, &owned, account.key_digest()).await
            }
            Absence::WrongKey => Ok(MoveOutcome::Finding(FindingKind::NumberMoved)),
            _ => Ok(MoveOutcome::Undecided),
        }
    }

    async fn change_account(&mut self, purchase: &Purchase, owned: &Owned, key_digest: KeyDigest) -> Result<MoveOutcome, Error> {
        let moved = self.run.store().move_number(purchase.id, &purchase.account, self.state.account(), &owned.id, key_digest).await;
        let moved = self.run.skip_refused(moved).await?;
        self.run.report.moved += usize::from(moved == Some(Reconciled::Done));
        // Outdated: another process has changed it.
        Ok(if moved.is_some() { MoveOutcome::Here } else { MoveOutcome::Undecided })
    }
}

/// Whether an account has a number, under the id in its row or any other.
async fn has_number(session: Session<'_>, owned: &Owned, id: Option<&str>) -> Result<bool, Failure> {
    if let Some(id) = id
        && session.number(id).await?.is_some()
    {
        return Ok(true);
    }
    Ok(session.find_number(&owned.number).await?.is_some())
}
