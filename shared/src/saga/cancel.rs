//! Giving up a number whose purchase is not confirmed: its order is cancelled while that is possible.

use std::time::Duration;

use uuid::Uuid;

use super::Releaser;
use crate::error::Error;
use crate::lease::renewing;
use crate::model::Actor;
use crate::store::{Claim, Phase, Purchase, ReleaseTarget};
use crate::telnyx::{Failure, Order, OrderStatus, Refusal, Session};

/// The pause before a cancelled order is looked at again.
const PAUSE: Duration = Duration::from_millis(300);
/// How often it is looked at before it counts as not cancelled.
const LOOKS: u32 = 5;

impl Releaser<'_> {
    /// Cancels a number's purchase.
    pub(super) async fn cancel(&self, actor: &Actor, target: &ReleaseTarget) -> Result<(), Error> {
        // A row from before there was a ledger: nobody knows its order.
        let purchase_id = target.purchase_id.ok_or(Error::PurchaseInProgress)?;
        let store = &self.sagas.store;
        let claim = Claim { purchase_id, token: Uuid::new_v4(), lease: self.sagas.config.lease };
        // Whoever works on it now is about to finish it.
        let purchase = store.claim_purchase(&claim).await?.ok_or(Error::PurchaseInProgress)?;
        let renew = || store.renew_purchase(&claim);
        let outcome = renewing(claim.lease, renew, self.cancel_order(actor, target, &purchase, &claim)).await;
        if outcome.is_ok() && store.cancel_purchase(&claim, actor.user_id).await? {
            return Ok(());
        }
        store.yield_purchase(&claim).await?;
        outcome.and(Err(Error::PurchaseInProgress))
    }

    /// Sees to it that no order of the purchase can succeed any more.
    async fn cancel_order(&self, actor: &Actor, target: &ReleaseTarget, purchase: &Purchase, claim: &Claim) -> Result<(), Error> {
        if purchase.phase == Phase::Intended && purchase.order_attempts == 0 {
            return Ok(());
        }
        let account = self.account(actor, target).await?;
        let session = self.session(&account);
        let order = match &purchase.telnyx_order_id {
            Some(id) => session.order(id).await?,
            None => session.find_order(&purchase.reference, &purchase.number).await?,
        };
        let Some(order) = order else {
            // It may yet be there, until it has not been found for as long as Telnyx may take to show it.
            let missing = self.sagas.store.note_missing_order(claim, self.sagas.config.lag()).await?;
            return if missing == Some(true) { Ok(()) } else { Err(Error::PurchaseInProgress) };
        };
        match order.status {
            OrderStatus::Failure => Ok(()),
            OrderStatus::Success => Err(Error::PurchaseInProgress),
            OrderStatus::Pending => self.cancel_parts(&session, order).await,
        }
    }

    /// An order is cancelled part by part, and counts as cancelled when Telnyx shows it as failed.
    async fn cancel_parts(&self, session: &Session<'_>, order: Order) -> Result<(), Error> {
        let parts = if order.sub_order_ids.is_empty() { session.sub_orders(&order.id).await? } else { order.sub_order_ids };
        for part in &parts {
            match session.cancel_sub_order(part).await {
                Ok(()) => {}
                Err(Failure::Refused(Refusal::RateLimited(wait))) => return Err(Error::RateLimited(wait)),
                Err(Failure::Refused(_)) => return Err(Error::PurchaseInProgress),
                // Whether it worked shows below.
                Err(Failure::Unknown(_) | Failure::NotSent(_)) => break,
            }
        }
        for _ in 0..LOOKS {
            match session.order(&order.id).await?.map(|order| order.status) {
                Some(OrderStatus::Failure) => return Ok(()),
                Some(OrderStatus::Success) => return Err(Error::PurchaseInProgress),
                Some(OrderStatus::Pending) | None => {}
            }
            if !self.sleep(PAUSE).await {
                break;
            }
        }
        Err(Error::PurchaseInProgress)
    }
}
