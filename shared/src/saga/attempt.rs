//! One attempt to buy a number, by the process that holds its lease. Every step is one short write to the ledger or
//! one call to Telnyx.
//!
//! ```text
//! intended ──offer read, about to order──▶ ordering ──the order is known──▶ ordered ──number found──▶ completed
//!  │ ▲                                        │ ▲                              │
//!  │ └──two look-ups did not find an order────┘ └──look up by reference        ├──every order failed──▶ failed (row removed)
//!  └──never ordered in time──▶ failed                                          └──cancelled──────────▶ cancelled (row released)
//! ```
//!
//! Between `ordering` and `ordered` it is unknown whether an order exists: it is looked up by its reference, which names the
//! purchase, and placed again only once it is certain that there is none.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::cancel::Cancelled;
use super::proof::{Absence, Trace, names_another, observation};
use super::{Sagas, offer};
use crate::error::Error;
use crate::model::PhoneNumber;
use crate::store::{
    Activation, BoughtNumber, Fenced, FindingKind, Lease, Observation, OrderNoted, OrderState, Phase, Purchase, PurchaseId, Sought,
};
use crate::telnyx::{Account, Failure, Order, OrderStatus, Orders, Refusal, Session, usable_id};

/// With less time than this left, an order is not placed: its answer could come too late to be recorded.
const LEAST_FOR_AN_ORDER: Duration = Duration::from_secs(2);

/// An attempt to buy a number.
pub(super) struct Attempt<'a> {
    pub(super) sagas: &'a Sagas,
    pub(super) deadline: Instant,
    pub(super) lease: &'a Lease<PurchaseId>,
    pub(super) account: Account,
    /// As the ledger has it, after the last write.
    pub(super) purchase: Purchase,
}

/// What a step leads to.
pub(super) enum Step {
    /// The next step, at once.
    Next,
    /// Telnyx needs time, or wants to be left alone for as long as this.
    Wait(Duration),
    /// There is no time left for the next step, or purchases are switched off: the next request takes it.
    Stop,
    /// It needs an operator. The caller gets an error after which a retry is permitted.
    Blocked(Error),
    /// Nothing is left to do. The row, if this step has just made it live.
    Done(Option<Box<PhoneNumber>>),
    /// Nothing was bought, and this is why.
    Fail(Error),
    /// Another process works on it now.
    Lost,
}

/// Nothing was learnt, or nothing has happened yet: look again after the usual pause.
const WAIT: Step = Step::Wait(Duration::ZERO);

impl Attempt<'_> {
    /// The next step from where the purchase stands.
    pub(super) async fn step(&mut self) -> Result<Step, Error> {
        match &self.purchase.phase {
            Phase::Intended => self.place_order().await,
            Phase::Ordering => self.look_up().await,
            Phase::Ordered { order_id } => {
                let order_id = order_id.clone();
                self.await_order(&order_id).await
            }
            Phase::Completed { .. } | Phase::Failed { .. } | Phase::Cancelled => Ok(Step::Done(None)),
        }
    }

    pub(super) fn session(&self) -> Session<'_> {
        self.sagas.telnyx.session(&self.account, self.deadline)
    }

    /// Every order of the purchase that the account knows, each with what it says now.
    pub(super) async fn orders(&self) -> Result<Orders, Failure> {
        self.session().orders_for(&self.purchase.reference, &self.purchase.number).await
    }

    /// What to conclude from the account's not knowing something of this purchase.
    pub(super) async fn absence(&self) -> Result<Absence, Error> {
        self.sagas.absence(self.session(), &Trace::from(&self.purchase)).await
    }

    /// An absence that is not proven: the step that follows.
    async fn unproven(&self, absence: Absence) -> Step {
        match absence {
            Absence::NotNow(source) => {
                tracing::warn!(purchase_id = %self.purchase.id, error = %source, "whether something is missing cannot be told now");
                WAIT
            }
            absence => Step::Blocked(self.sagas.unproven(self.session(), &Trace::from(&self.purchase), absence).await),
        }
    }

    /// `intended` → `ordering` → `ordered`: reads the offer, notes it, and places the order.
    async fn place_order(&mut self) -> Result<Step, Error> {
        if self.purchase.order_attempts > 0 {
            // Never a second order without a look for the first.
            match self.orders().await {
                Ok(orders) if !orders.known.is_empty() => return self.settle_one_of(orders.known).await,
                Ok(_) => match self.absence().await? {
                    Absence::Proven => {}
                    absence => return Ok(self.unproven(absence).await),
                },
                Err(failure) => return Ok(self.wait(&failure)),
            }
        }
        if self.purchase.age >= self.sagas.config.expires_after {
            return Ok(Step::Fail(Error::PurchaseExpired));
        }
        let offer = match offer::of(&self.session(), &self.purchase.number).await {
            Ok(Some(offer)) => offer,
            Ok(None) => return self.refused(Error::NumberUnavailable, Refused::BeforeOrdering).await,
            Err(failure @ Failure::Refused(Refusal::BadRequest(_))) => return self.refused(failure.into(), Refused::BeforeOrdering).await,
            Err(failure) if self.purchase.order_attempts == 0 => return Ok(Step::Fail(failure.into())),
            Err(failure) => return Ok(self.wait(&failure)),
        };
        if let Err(error) = offer::within_limits(&self.sagas.config, &self.purchase.limits, &offer) {
            return self.refused(error, Refused::BeforeOrdering).await;
        }
        if !self.sagas.config.enabled || self.deadline.saturating_duration_since(Instant::now()) < LEAST_FOR_AN_ORDER {
            return Ok(Step::Stop);
        }
        let leased_until = Instant::now() + self.sagas.config.lease;
        match self.sagas.store.begin_order(self.lease, &offer, self.account.key_digest()).await? {
            OrderNoted::Noted(purchase) => self.purchase = purchase,
            OrderNoted::Lost => return Ok(Step::Lost),
            OrderNoted::WrongDeployment => return Ok(Step::Blocked(self.sagas.store.wrong_deployment().await)),
            OrderNoted::Unwanted => return Ok(Step::Fail(Error::NotFound { what: "agency", field: "agency_id".to_owned() })),
        }
        if Instant::now() > leased_until {
            // The process slept through its lease: others may have taken over, and the order must not leave any more.
            return Ok(Step::Next);
        }
        let Purchase { number, reference, connection_id, .. } = &self.purchase;
        match self.session().place_order(number, reference, connection_id.as_deref()).await {
            Ok(order) => self.settle(order).await,
            Err(Failure::Unknown(source)) => {
                tracing::warn!(purchase_id = %self.purchase.id, error = %source, "the outcome of an order is unknown");
                Ok(Step::Next)
            }
            Err(Failure::NotSent(source)) => self.refused(Error::Upstream(source), Refused::ByAnswer).await,
            Err(Failure::Refused(refusal)) => self.refused(order_refused(refusal), Refused::ByAnswer).await,
        }
    }

    /// Telnyx does not sell. The reason may be that it has sold already, to us: an order or a number with our own reference
    /// proves it. Without one the number is another buyer's, even in the same account.
    async fn refused(&mut self, error: Error, refused: Refused) -> Result<Step, Error> {
        // The only order ever sent has just been answered with this.
        let answered = refused == Refused::ByAnswer && self.purchase.order_attempts == 1;
        if self.purchase.order_attempts == 0 || (answered && !matches!(error, Error::NumberUnavailable)) {
            return Ok(Step::Fail(error));
        }
        match self.orders().await {
            Ok(orders) if !orders.known.is_empty() => return self.settle_one_of(orders.known).await,
            Ok(_) => {}
            Err(failure) => return Ok(self.wait(&failure)),
        }
        match self.session().find_number(&self.purchase.number).await {
            // Its order is yet to show.
            Ok(Some(owned)) if owned.customer_reference.as_ref() == Some(&self.purchase.reference) => return Ok(WAIT),
            // Answered, there is no order.
            Ok(_) if answered => return Ok(Step::Fail(error)),
            Ok(_) => {}
            Err(failure) => return Ok(self.wait(&failure)),
        }
        match self.absence().await? {
            Absence::Proven => {}
            absence => return Ok(self.unproven(absence).await),
        }
        // Refused for another reason, it was still on offer: no earlier order has bought it.
        if !matches!(error, Error::NumberUnavailable) {
            return Ok(Step::Fail(error));
        }
        Ok(match self.sagas.store.note_missing_order(self.lease, self.sagas.config.lag()).await? {
            Sought::Lost => Step::Lost,
            Sought::NotLong => WAIT,
            Sought::Long => Step::Fail(error),
        })
    }

    /// `ordering`: finds out whether there is an order.
    async fn look_up(&mut self) -> Result<Step, Error> {
        match self.orders().await {
            Ok(orders) if !orders.known.is_empty() => return self.settle_one_of(orders.known).await,
            Ok(_) => {}
            Err(failure) => return Ok(self.wait(&failure)),
        }
        match self.absence().await? {
            Absence::Proven => {}
            absence => return Ok(self.unproven(absence).await),
        }
        match self.sagas.store.note_missing_order(self.lease, self.sagas.config.order_missing_after).await? {
            Sought::Lost => Ok(Step::Lost),
            Sought::NotLong => Ok(WAIT),
            Sought::Long => match self.sagas.store.reopen_purchase(self.lease).await? {
                Fenced::Done(purchase) => {
                    self.purchase = purchase;
                    Ok(Step::Next)
                }
                Fenced::Lost => Ok(Step::Lost),
            },
        }
    }

    /// `ordered`: asks what has become of the order.
    async fn await_order(&mut self, order_id: &str) -> Result<Step, Error> {
        let found = match usable_id(order_id) {
            Some(id) => self.session().order(id).await,
            None => Ok(None),
        };
        match found {
            Ok(Some(order)) if order.status != OrderStatus::Success || !order.names_another(&self.purchase.number) => {
                return self.settle(order).await;
            }
            Ok(_) => {}
            Err(failure) => return Ok(self.wait(&failure)),
        }
        match self.orders().await {
            Ok(orders) if !orders.known.is_empty() => return self.settle_one_of(orders.known).await,
            Ok(_) => {}
            Err(failure) => return Ok(self.wait(&failure)),
        }
        match self.absence().await? {
            Absence::Proven => {}
            absence => return Ok(self.unproven(absence).await),
        }
        match self.sagas.store.note_missing_order(self.lease, self.sagas.config.lag()).await? {
            Sought::Lost => return Ok(Step::Lost),
            Sought::NotLong => {}
            Sought::Long => self.sagas.report(observation(FindingKind::OrderMissing, &Trace::from(&self.purchase))).await,
        }
        Ok(WAIT)
    }

    /// Of several orders with the purchase's reference, the one that bought the number counts, then one that still may.
    async fn settle_one_of(&mut self, orders: Vec<Order>) -> Result<Step, Error> {
        let rank = |order: &Order| match order.status {
            OrderStatus::Success => 0,
            OrderStatus::Pending => 1,
            OrderStatus::Failure => 2,
        };
        match orders.into_iter().min_by_key(rank) {
            Some(order) => self.settle(order).await,
            None => Ok(WAIT),
        }
    }

    /// Writes down an order and does what its status asks for.
    async fn settle(&mut self, order: Order) -> Result<Step, Error> {
        let deadline = self.requirements_deadline(&order).await;
        let noted = matches!(&self.purchase.phase, Phase::Ordered { order_id } if *order_id == order.id)
            && !self.purchase.order_missed
            && self.purchase.requirements_met == order.requirements_met
            && self.purchase.requirements_deadline == deadline;
        if !noted {
            let state = OrderState {
                order_id: &order.id,
                requirements_met: order.requirements_met,
                requirements_deadline: deadline,
                number_type: order.number_type.as_deref(),
                key_digest: self.account.key_digest(),
            };
            match self.sagas.store.note_order(self.lease, &state).await? {
                Fenced::Done(purchase) => self.purchase = purchase,
                Fenced::Lost => return Ok(Step::Lost),
            }
        }
        match order.status {
            OrderStatus::Success if !order.names_another(&self.purchase.number) => self.complete().await,
            OrderStatus::Failure => self.order_failed().await,
            OrderStatus::Pending if !self.purchase.has_row || self.documents_are_overdue(&order) => self.give_up_order().await,
            // A successful order of another number does not complete this purchase.
            OrderStatus::Success | OrderStatus::Pending => Ok(WAIT),
        }
    }

    /// Until when Telnyx waits for documents. It is asked once, when an order that is written down turns out to lack some;
    /// not knowing it keeps nothing from going on.
    async fn requirements_deadline(&self, order: &Order) -> Option<DateTime<Utc>> {
        let is_ordered = matches!(self.purchase.phase, Phase::Ordered { .. });
        let waits = is_ordered && order.status == OrderStatus::Pending && order.requirements_met == Some(false);
        match (&order.item_id, self.purchase.requirements_deadline) {
            (Some(item_id), None) if waits => self.session().requirements_deadline(item_id).await.ok().flatten(),
            (_, known) => known,
        }
    }

    const fn documents_are_overdue(&self, order: &Order) -> bool {
        self.purchase.documents_overdue && matches!(order.requirements_met, Some(false))
    }

    /// Cancels a pending order whose agency was deleted, or that can never succeed, since its documents
    /// are overdue: it is cancelled at Telnyx while that is free.
    async fn give_up_order(&mut self) -> Result<Step, Error> {
        match self.cancel_orders().await? {
            Cancelled::All if self.purchase.has_row => Ok(Step::Fail(Error::NumberUnavailable)),
            Cancelled::All => Ok(Step::Fail(Error::NotFound { what: "agency", field: "agency_id".to_owned() })),
            // One has succeeded meanwhile, or still may: the next step looks again.
            Cancelled::Succeeded | Cancelled::NotYet | Cancelled::None => Ok(WAIT),
            Cancelled::Lost => Ok(Step::Lost),
            Cancelled::Refused(error) => match error {
                Error::RateLimited(wait) => Ok(Step::Wait(wait)),
                error => Ok(Step::Blocked(error)),
            },
        }
    }

    /// `ordered` → `completed`: finds the number's id, which is in the inventory and nowhere else.
    async fn complete(&mut self) -> Result<Step, Error> {
        let owned = match self.session().find_number(&self.purchase.number).await {
            Ok(owned) => owned.filter(|owned| !names_another(owned, Some(self.purchase.id))),
            Err(failure) => return Ok(self.wait(&failure)),
        };
        let Some(owned) = owned else { return self.number_missing().await };
        let number = BoughtNumber {
            phone_number_id: &owned.id,
            number_type: owned.number_type.as_deref(),
            country_code: owned.country_code.as_deref(),
            key_digest: self.account.key_digest(),
        };
        match self.sagas.store.complete_purchase(self.lease, &self.purchase, &number).await? {
            Fenced::Lost => Ok(Step::Lost),
            Fenced::Done((purchase, Activation::Activated(row))) => {
                self.purchase = purchase;
                Ok(Step::Done(row))
            }
            Fenced::Done((purchase, Activation::WithoutRow)) => {
                let trace = Trace { phone_number_id: Some(&owned.id), ..Trace::from(&self.purchase) };
                let found = observation(FindingKind::AgencyGone, &trace);
                self.sagas.report(Observation { agency_id: None, key_digest: Some(number.key_digest), ..found }).await;
                self.purchase = purchase;
                Ok(Step::Done(None))
            }
        }
    }

    /// The order has succeeded, and the account does not show its number: it can appear a little later than its order, or somebody
    /// has deleted it since.
    async fn number_missing(&self) -> Result<Step, Error> {
        match self.absence().await? {
            Absence::Proven => {}
            absence => return Ok(self.unproven(absence).await),
        }
        match self.sagas.store.note_missing_number(self.lease, self.sagas.config.number_missing_after()).await? {
            Sought::Lost => return Ok(Step::Lost),
            Sought::NotLong => {}
            Sought::Long => self.sagas.report(observation(FindingKind::NumberMissing, &Trace::from(&self.purchase))).await,
        }
        Ok(WAIT)
    }

    /// An order has failed: the number is not available, unless another order of the purchase, once not found, has not failed.
    async fn order_failed(&mut self) -> Result<Step, Error> {
        match self.orders().await {
            Ok(orders) if orders.known.iter().any(|order| order.status != OrderStatus::Failure) => {
                Box::pin(self.settle_one_of(orders.known)).await
            }
            Ok(orders) if orders.are_all => Ok(Step::Fail(Error::NumberUnavailable)),
            Ok(_) => Ok(WAIT),
            Err(failure) => Ok(self.wait(&failure)),
        }
    }

    /// Nothing was learnt: later, then.
    fn wait(&self, failure: &Failure) -> Step {
        tracing::warn!(purchase_id = %self.purchase.id, ?failure, "Telnyx could not be asked about a purchase");
        Step::Wait(failure.wait().unwrap_or_default())
    }
}

/// When Telnyx turned out not to sell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    /// Before an order was sent.
    BeforeOrdering,
    /// In the answer to an order.
    ByAnswer,
}

/// What a refused order means to the caller.
fn order_refused(refusal: Refusal) -> Error {
    match refusal {
        Refusal::NumberUnavailable(_) | Refusal::BadRequest(_) => Error::NumberUnavailable,
        Refusal::InsufficientFunds => Error::InsufficientFunds,
        Refusal::RateLimited(wait) => Error::RateLimited(wait),
        Refusal::NotPermitted(source) => Error::Upstream(source),
        // There is no such connection, say.
        Refusal::NotFound(source) | Refusal::Locked(source) | Refusal::Rejected(source) => Error::UpstreamRejected(source),
    }
}
