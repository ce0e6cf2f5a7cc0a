//! A repeated look for the number of a row that reconcile has switched off, when its agency buys the number again.

use tokio::time::Instant;

use super::Sagas;
use super::proof::{Absence, Trace};
use crate::error::Error;
use crate::store::{Held, Purchase, Reconciled};
use crate::telnyx::{Session, usable_id};

/// The result of a fresh look.
pub(super) enum Looked {
    /// The number is there, and its row is live again.
    There,
    /// The row has changed, and is to be read again: it is released since there is no such number, or another process has
    /// changed it.
    Changed,
}

impl Looked {
    /// The result of writing down where the number was found.
    const fn after(written: Reconciled) -> Self {
        match written {
            Reconciled::Done => Self::There,
            Reconciled::Outdated => Self::Changed,
        }
    }
}

impl Sagas {
    /// Looks once more for the number of a row that is switched off.
    ///
    /// # Errors
    /// `Unavailable` or `Upstream`: it cannot be told now.
    pub(super) async fn look_afresh(&self, holding: &Held, purchase: &Purchase, deadline: Instant) -> Result<Looked, Error> {
        let account = self.accounts.named(&purchase.account).await?;
        let session = self.telnyx.session(&account, deadline);
        if let Some(id) = self.shown_id(session, holding, purchase).await? {
            return Ok(Looked::after(self.store.correct(holding.row_id, &id, true).await?));
        }
        let trace = Trace { phone_number_id: holding.phone_number_id.as_deref(), ..Trace::from(purchase) };
        match self.absence(session, &trace).await? {
            Absence::Proven => match self.store.end_life(holding.row_id).await? {
                Reconciled::Done | Reconciled::Outdated => Ok(Looked::Changed),
            },
            Absence::Moved(found) => {
                let (other, owned) = *found;
                let (from, key_digest) = (&purchase.account, other.key_digest());
                Ok(Looked::after(self.store.move_number(purchase.id, from, &other.name, &owned.id, key_digest).await?))
            }
            absence => Err(self.unproven(session, &trace, absence).await),
        }
    }

    /// The id under which the account has the number of a row, if it has it.
    async fn shown_id(&self, session: Session<'_>, holding: &Held, purchase: &Purchase) -> Result<Option<String>, Error> {
        if let Some(id) = holding.phone_number_id.as_deref().and_then(usable_id)
            && let Some(owned) = session.number(id).await?
        {
            return Ok(Some(owned.id));
        }
        let owned = session.find_number(&purchase.number).await?;
        Ok(owned.filter(|owned| owned.customer_reference.as_ref() == Some(&purchase.reference)).map(|owned| owned.id))
    }
}
