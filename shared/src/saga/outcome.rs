//! The outcome of a purchase in the ledger, and the answer to a repeated request whose idempotency key lists it.

use super::purchase::{Bought, Buyer};
use crate::error::Error;
use crate::store::{Listed, Phase, Purchase};

/// How a purchase ended: `Ok` if the number was bought, otherwise the error that the caller gets. None while it is unfinished.
#[must_use]
pub fn ending(purchase: &Purchase) -> Option<Result<(), Error>> {
    match &purchase.phase {
        Phase::Intended | Phase::Ordering | Phase::Ordered { .. } => None,
        Phase::Completed { .. } => Some(Ok(())),
        Phase::Failed { code } => Some(Err(failure(purchase, code))),
        Phase::Cancelled => Some(Err(Error::PhoneNumberReleased)),
    }
}

/// Whether a listed purchase leaves its number to be bought by a new attempt: only one that is known to have failed, with an
/// error that the caller was told to retry after.
#[must_use]
pub fn may_be_retried(listed: &Listed) -> bool {
    match listed {
        Listed::Purchase(Purchase { phase: Phase::Failed { code }, price, .. }) => {
            Error::of_failed_purchase(code, price.clone()).is_some_and(|error| error.retryable())
        }
        Listed::Purchase(_) | Listed::Row(_) => false,
    }
}

/// The error that a purchase failed with. A code that this version does not know says nothing about whether the request may
/// be repeated: the answer is not final, and nothing is bought.
fn failure(purchase: &Purchase, code: &str) -> Error {
    let unknown = || Error::Internal(format!("purchase {} failed with the unknown code {code}", purchase.id).into());
    Error::of_failed_purchase(code, purchase.price.clone()).unwrap_or_else(unknown)
}

impl Buyer<'_> {
    /// Answers a repeated request for a purchase that its idempotency key lists: resumes an unfinished one, returns one that
    /// is completed whatever has become of its number since.
    ///
    /// # Errors
    /// The purchase has failed or was cancelled, before or just now; `Unavailable` or `Internal` if it cannot be resumed.
    pub async fn repeat(&self, listed: Listed) -> Result<Bought, Error> {
        let purchase = match listed {
            Listed::Purchase(purchase) => purchase,
            Listed::Row(row_id) => return Ok(Bought { row_id, purchase: None, row: None, replayed: true }),
        };
        let purchase_id = purchase.id;
        match ending(&purchase) {
            None => self.take_over(purchase, &self.lease(purchase_id), true).await,
            Some(Ok(())) => Ok(Bought::of(purchase, true)),
            Some(Err(error)) => Err(error),
        }
    }
}
