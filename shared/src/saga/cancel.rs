//! Gives up a purchase that is not confirmed: its orders are cancelled while that is possible.

use std::time::Duration;

use super::Releaser;
use super::attempt::Attempt;
use super::proof::{Absence, Trace};
use crate::deadline::sleep_within;
use crate::error::Error;
use crate::model::Actor;
use crate::store::{Clearance, Lease, PurchaseId, ReleaseTarget, Sought};
use crate::telnyx::{Failure, Order, OrderStatus, Orders, Refusal, usable_id};

/// The pause before a cancelled order is looked at again.
const PAUSE: Duration = Duration::from_millis(300);
/// How often it is looked at before it counts as not cancelled.
const LOOKS: u32 = 5;

/// The result of cancelling the orders of a purchase.
pub(super) enum Cancelled {
    /// Each of them shows as failed.
    All,
    /// The account knows none.
    None,
    /// One has bought the number.
    Succeeded,
    /// One is still pending.
    NotYet,
    /// Telnyx, or the ledger, does not permit it.
    Refused(Error),
    /// Another process works on the purchase now.
    Lost,
}

impl Attempt<'_> {
    /// Cancels every order of the purchase that is still pending. An order is cancelled part by part, and counts as cancelled
    /// when Telnyx shows it as failed.
    pub(super) async fn cancel_orders(&self) -> Result<Cancelled, Error> {
        let orders = match self.known_orders().await {
            Ok(orders) => orders,
            Err(failure) => return Ok(Cancelled::Refused(failure.into())),
        };
        if let Some(outcome) = outcome(&orders) {
            return Ok(outcome);
        }
        for order in orders.known.iter().filter(|order| order.status == OrderStatus::Pending) {
            match self.sagas.store.begin_cancelling(self.lease).await? {
                Clearance::Granted => {}
                Clearance::WrongDeployment => return Ok(Cancelled::Refused(self.sagas.store.wrong_deployment().await)),
                Clearance::Lost => return Ok(Cancelled::Lost),
            }
            if let Err(error) = self.cancel_parts(order).await {
                return Ok(Cancelled::Refused(error));
            }
        }
        for _ in 0..LOOKS {
            if let Ok(Some(outcome)) = self.known_orders().await.as_ref().map(outcome) {
                return Ok(outcome);
            }
            if !sleep_within(self.deadline, PAUSE).await {
                break;
            }
        }
        Ok(Cancelled::NotYet)
    }

    /// Every order of the purchase: those with its reference, and the one whose id the ledger has.
    async fn known_orders(&self) -> Result<Orders, Failure> {
        let mut orders = self.orders().await?;
        if let Some(id) = self.purchase.telnyx_order_id().and_then(usable_id) {
            // Asked for by its id, an order is up to date; lists can be late.
            orders.known.retain(|order| order.id != id);
            orders.known.extend(self.session().order(id).await?);
        }
        Ok(orders)
    }

    async fn cancel_parts(&self, order: &Order) -> Result<(), Error> {
        let session = self.session();
        let parts = if order.sub_order_ids.is_empty() { session.sub_orders(&order.id).await? } else { order.sub_order_ids.clone() };
        for part in &parts {
            match session.cancel_sub_order(part).await {
                Ok(()) => {}
                Err(Failure::Refused(Refusal::RateLimited(wait))) => return Err(Error::RateLimited(wait)),
                Err(Failure::Refused(_)) => return Err(Error::PurchaseInProgress),
                // Whether it worked shows when the order is looked at.
                Err(Failure::Unknown(_) | Failure::NotSent(_)) => break,
            }
        }
        Ok(())
    }

    /// Makes sure that no order of the purchase can buy the number any more, or that the number it bought is gone.
    async fn give_up(&self) -> Result<(), Error> {
        let store = &self.sagas.store;
        match self.cancel_orders().await? {
            Cancelled::All => return Ok(()),
            Cancelled::NotYet | Cancelled::Lost => return Err(Error::PurchaseInProgress),
            Cancelled::Refused(error) => return Err(error),
            // It may yet be there, until it has not been found for as long as Telnyx may take to show it.
            Cancelled::None => {}
            Cancelled::Succeeded => {
                if self.session().find_number(&self.purchase.number).await?.is_some() {
                    return Err(Error::PurchaseInProgress);
                }
                self.must_be_absent().await?;
                let missing = store.note_missing_number(self.lease, self.sagas.config.number_missing_after()).await?;
                return if missing == Sought::Long { Ok(()) } else { Err(Error::PurchaseInProgress) };
            }
        }
        self.must_be_absent().await?;
        let missing = store.note_missing_order(self.lease, self.sagas.config.lag()).await?;
        if missing == Sought::Long { Ok(()) } else { Err(Error::PurchaseInProgress) }
    }

    async fn must_be_absent(&self) -> Result<(), Error> {
        match self.absence().await? {
            Absence::Proven => Ok(()),
            absence => Err(self.sagas.unproven(self.session(), &Trace::from(&self.purchase), absence).await),
        }
    }
}

/// The common result of the orders of a purchase; None while one is pending and none has succeeded.
fn outcome(orders: &Orders) -> Option<Cancelled> {
    let is = |status| move |order: &Order| order.status == status;
    if orders.known.iter().any(is(OrderStatus::Success)) {
        return Some(Cancelled::Succeeded);
    }
    match (orders.known.is_empty(), orders.are_all) {
        (true, true) => Some(Cancelled::None),
        (false, true) => orders.known.iter().all(is(OrderStatus::Failure)).then_some(Cancelled::All),
        (_, false) => None,
    }
}

impl Releaser<'_> {
    /// Gives up the purchase of a number that is pending.
    pub(super) async fn cancel(&self, actor: &Actor, target: &ReleaseTarget) -> Result<(), Error> {
        // The row predates the ledger: its order is not known.
        let purchase_id = target.purchase_id.ok_or(Error::PurchaseInProgress)?;
        let store = &self.sagas.store;
        let lease = Lease::new(PurchaseId(purchase_id), self.sagas.config.lease);
        // A process that works on it now is about to finish it.
        let purchase = store.claim_purchase(&lease).await?.ok_or(Error::PurchaseInProgress)?;
        let outcome = if purchase.is_never_ordered() {
            Ok(())
        } else {
            let account = self.sagas.accounts.named(&purchase.account).await;
            let give_up = async {
                let attempt = Attempt { sagas: self.sagas, deadline: self.deadline, lease: &lease, account: account?, purchase };
                attempt.give_up().await
            };
            store.renewing(&lease, give_up).await
        };
        if outcome.is_ok() && store.cancel_purchase(&lease, &actor.user_id.to_string()).await?.is_done() {
            return Ok(());
        }
        store.give_back(&lease).await?;
        outcome.and(Err(Error::PurchaseInProgress))
    }
}
