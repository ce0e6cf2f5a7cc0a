//! Numbers that Telnyx has moved from one account to another: the ledger follows them.
//!
//! Moved means: the account that the number was bought in is proven not to have it, and another one that its agency may buy in
//! shows it with the reference of its purchase.

use shared::error::Error;
use shared::saga::{Absence, Trace};
use shared::store::{Counterpart, FindingKind};
use shared::telnyx::{Failure, Owned, Session};

use crate::walker::Walker;

/// What came of following a number to the account that shows it.
pub(crate) enum Followed {
    /// The ledger has it in this account now.
    Here,
    /// Whether it was moved cannot be told yet.
    NotNow,
    /// It cannot be followed, which is a finding.
    Not(FindingKind),
}

impl Walker<'_> {
    /// Has the ledger follow a number to this account, if it is proven to have been moved here.
    pub(crate) async fn follow(&mut self, owned: &Owned, counterpart: &Counterpart) -> Result<Followed, Error> {
        let Some(row) = &counterpart.row else { return Ok(Followed::NotNow) };
        let Some(origin) = &row.origin else { return Ok(Followed::NotNow) };
        let sagas = &self.reconcile.sagas;
        let Some(purchase) = sagas.store.purchase(origin.purchase_id).await? else { return Ok(Followed::NotNow) };
        let before = match sagas.accounts.find(&sagas.accounts.resolve(&purchase.account)).await {
            Ok(Some(account)) => account,
            // Nobody can ask it any more.
            Ok(None) => return Ok(Followed::Not(FindingKind::NumberMoved)),
            Err(_) => return Ok(Followed::NotNow),
        };
        if before.key_digest() == self.session.account().key_digest() {
            return Ok(Followed::Not(FindingKind::SameAccount));
        }
        let session = sagas.telnyx.session(&before, self.session.deadline());
        if !matches!(has_number(session, owned, row.phone_number_id.as_deref()).await, Ok(false)) {
            return Ok(Followed::NotNow);
        }
        let trace = Trace { phone_number_id: row.phone_number_id.as_deref(), ..Trace::from(&purchase) };
        match sagas.absence(session, &trace).await? {
            Absence::Moved(found) if found.0.name == self.walk.account() => {
                let key_digest = found.0.key_digest();
                let moved = sagas.store.move_number(purchase.id, &purchase.account, self.walk.account(), &found.1.id, key_digest).await;
                let moved = self.reconcile.pass_over(self.report, moved).await?;
                self.report.moved += usize::from(moved == Some(true));
                Ok(if moved.is_some() { Followed::Here } else { Followed::NotNow })
            }
            Absence::WrongKey => Ok(Followed::Not(FindingKind::NumberMoved)),
            _ => Ok(Followed::NotNow),
        }
    }
}

/// Whether an account has a number, under the id that its row has, or at all.
async fn has_number(session: Session<'_>, owned: &Owned, id: Option<&str>) -> Result<bool, Failure> {
    if let Some(id) = id
        && session.number(id).await?.is_some()
    {
        return Ok(true);
    }
    Ok(session.find_number(&owned.number).await?.is_some())
}
