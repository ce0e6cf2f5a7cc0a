//! The phases of a purchase: a saga whose every step is one short write to the ledger or one call to Telnyx.
//!
//! ```text
//! intended ──offer read, about to order──▶ ordering ──the order is known──▶ ordered ──number found──▶ completed
//!    ▲                                        │ ▲                              │
//!    └──two look-ups did not find an order────┘ └──look up by reference        └──▶ failed (row removed)
//! ```
//!
//! Whoever asks for the number again, after a time-out or a crash, takes up the purchase where it stands. Between
//! `ordering` and `ordered` nobody knows whether an order exists: it is looked up by its reference, which names the
//! purchase, and placed anew only once it is certain that there is none. Telnyx itself sells a number once, so that
//! not even a mistake here could pay for it twice.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use uuid::Uuid;

use super::Sagas;
use crate::config;
use crate::deadline::sleep_within;
use crate::error::{Error, Price};
use crate::lease::renewing;
use crate::model::{Actor, E164, PriceLimits, Status};
use crate::numbering;
use crate::store::{Begun, Claim, Intent, Offer, OrderNoted, OrderState, Phase, Purchase};
use crate::telnyx::{Account, Available, Failure, Order, OrderStatus, Refusal, Session};

/// With less time than this left, an order is not placed: its answer could come too late to be written down.
const LEAST_FOR_AN_ORDER: Duration = Duration::from_secs(2);
/// How often a number is tried whose holder gives up just then.
const TRIES: usize = 3;
/// The pause between two looks grows up to this many times the configured one.
const LONGEST_PAUSE: u32 = 8;

/// Somebody who buys, until a deadline.
pub struct Buyer<'a> {
    /// What it takes.
    pub sagas: &'a Sagas,
    /// When work must have stopped.
    pub deadline: Instant,
    /// Whether an order that Telnyx has not decided is waited for.
    pub is_patient: bool,
}

/// A number that the agency holds or is buying.
#[derive(Debug)]
pub struct Bought {
    /// Its row.
    pub row_id: Uuid,
    /// The attempt that bought it, if we made it.
    pub purchase: Option<Purchase>,
    /// It was begun by an earlier request.
    pub replayed: bool,
}

/// What a step leads to.
enum Step {
    /// The next step, at once.
    Next,
    /// Telnyx needs time.
    Wait,
    /// There is no time left for the next step: whoever asks again takes it.
    Stop,
    /// Nothing is left to do.
    Done,
    /// Telnyx refused, and nothing was bought.
    Fail(Error),
    /// Somebody else works on it now.
    Lost,
}

impl Buyer<'_> {
    /// Buys a number, or goes on buying it, until it is bought or refused or time is up.
    ///
    /// # Errors
    /// Nothing was bought, and the reason.
    pub async fn buy(&self, actor: &Actor, intent: &Intent) -> Result<Bought, Error> {
        let (store, config) = (&self.sagas.store, &self.sagas.config);
        let claim = self.claim(intent.id);
        for _ in 0..TRIES {
            match store.begin_purchase(actor, intent, &claim, config.max_phone_numbers).await? {
                Begun::New(purchase) => return self.pursue(purchase, claim, false).await,
                Begun::QuotaExceeded(limit) => return Err(Error::QuotaExceeded(limit)),
                Begun::Taken => {}
            }
            let Some(holding) = store.holding(actor.agency_id, &intent.number).await? else { continue };
            if holding.status == Status::Released {
                // Released in between: there is room for it.
                continue;
            }
            // Somebody else's, or on its way back to Telnyx.
            if !holding.ours || !holding.is_active {
                return Err(Error::NumberUnavailable);
            }
            return match (holding.status, holding.purchase) {
                (Status::Pending, Some(purchase)) => {
                    let claim = Claim { purchase_id: purchase.id, ..claim };
                    // Sent twice over a broken connection, our own intent is what we find.
                    self.take_over(purchase, claim, claim.purchase_id != intent.id).await
                }
                (_, purchase) => Ok(Bought { row_id: holding.row_id, purchase, replayed: true }),
            };
        }
        Err(Error::NumberUnavailable)
    }

    /// Goes on with a purchase unless somebody works on it. None: somebody does, or it is finished.
    ///
    /// # Errors
    /// It has failed now, and the reason; or it could not be gone on with.
    pub async fn resume(&self, purchase_id: Uuid) -> Result<Option<Bought>, Error> {
        let claim = self.claim(purchase_id);
        let Some(purchase) = self.sagas.store.claim_purchase(&claim).await? else { return Ok(None) };
        self.pursue(purchase, claim, true).await.map(Some)
    }

    /// Whether a number could be bought now, without buying it.
    ///
    /// # Errors
    /// It could not, and the reason.
    pub async fn quote(&self, actor: &Actor, intent: &Intent) -> Result<Quote, Error> {
        let holding = self.sagas.store.holding(actor.agency_id, &intent.number).await?;
        match holding.filter(|holding| holding.status != Status::Released) {
            Some(holding) if holding.ours && holding.is_active => return Ok(Quote::Held),
            Some(_) => return Err(Error::NumberUnavailable),
            None => {}
        }
        let account = self.sagas.accounts.named(&intent.account).await?;
        let offer = self.offer(&self.session(&account), &intent.number).await?.ok_or(Error::NumberUnavailable)?;
        within_limits(&self.sagas.config, &intent.limits, &offer)?;
        Ok(Quote::Offered(offer))
    }

    fn claim(&self, purchase_id: Uuid) -> Claim {
        Claim { purchase_id, token: Uuid::new_v4(), lease: self.sagas.config.lease }
    }

    /// Takes up a purchase as soon as nobody works on it, or learns how it ended.
    async fn take_over(&self, mut purchase: Purchase, claim: Claim, replayed: bool) -> Result<Bought, Error> {
        loop {
            if let Some(claimed) = self.sagas.store.claim_purchase(&claim).await? {
                return Box::pin(self.pursue(claimed, claim, replayed)).await;
            }
            purchase = self.sagas.store.purchase(purchase.id).await?.unwrap_or(purchase);
            match purchase.phase {
                Phase::Intended | Phase::Ordering | Phase::Ordered if self.sleep(self.sagas.config.poll).await => {}
                Phase::Failed => return Err(earlier_failure(purchase.failure_code.as_deref())),
                Phase::Cancelled => return Err(Error::NumberUnavailable),
                Phase::Intended | Phase::Ordering | Phase::Ordered | Phase::Completed => {
                    return Ok(Bought { row_id: purchase.row_id, purchase: Some(purchase), replayed });
                }
            }
        }
    }

    /// Goes through the phases from where the purchase stands, as the holder of its lease.
    async fn pursue(&self, purchase: Purchase, claim: Claim, replayed: bool) -> Result<Bought, Error> {
        let renew = || self.sagas.store.renew_purchase(&claim);
        renewing(claim.lease, renew, self.go_through(purchase, claim, replayed)).await
    }

    async fn go_through(&self, mut purchase: Purchase, claim: Claim, replayed: bool) -> Result<Bought, Error> {
        let account = self.sagas.accounts.named(&purchase.account).await?;
        let mut pause = self.sagas.config.poll;
        loop {
            let step = match purchase.phase {
                Phase::Intended => self.place_order(&mut purchase, &claim, &account).await?,
                Phase::Ordering => self.look_up(&mut purchase, &claim, &account).await?,
                Phase::Ordered => self.await_order(&mut purchase, &claim, &account).await?,
                Phase::Completed | Phase::Failed | Phase::Cancelled => Step::Done,
            };
            match step {
                Step::Next => {}
                Step::Done => return Ok(Bought { row_id: purchase.row_id, purchase: Some(purchase), replayed }),
                Step::Lost => return self.take_over(purchase, claim, replayed).await,
                Step::Fail(error) => {
                    tracing::warn!(purchase_id = %purchase.id, error = %error, "purchase failed");
                    if self.sagas.store.fail_purchase(&claim, error.code(), &error.to_string()).await? {
                        return Err(error);
                    }
                    return self.take_over(purchase, claim, replayed).await;
                }
                Step::Wait | Step::Stop => {
                    if matches!(step, Step::Stop) || !self.is_patient || !self.sleep(pause).await {
                        self.sagas.store.yield_purchase(&claim).await?;
                        return Ok(Bought { row_id: purchase.row_id, purchase: Some(purchase), replayed });
                    }
                    pause = (pause * 5 / 4).min(self.sagas.config.poll * LONGEST_PAUSE);
                }
            }
        }
    }

    /// `intended` → `ordering` → `ordered`: reads the offer, notes it, and places the order.
    async fn place_order(&self, purchase: &mut Purchase, claim: &Claim, account: &Account) -> Result<Step, Error> {
        let session = self.session(account);
        if purchase.order_attempts > 0 {
            // Never a second order without a look for the first.
            match session.find_order(&purchase.reference, &purchase.number).await {
                Ok(None) => {}
                Ok(Some(order)) => return self.settle(purchase, claim, account, order).await,
                Err(failure) => return Ok(wait(purchase, &failure)),
            }
        }
        let offer = match self.offer(&session, &purchase.number).await {
            Ok(Some(offer)) => offer,
            Ok(None) => return self.refused(purchase, claim, account, Error::NumberUnavailable).await,
            Err(failure) if purchase.order_attempts == 0 => return Ok(Step::Fail(failure.into())),
            Err(failure) => return Ok(wait(purchase, &failure)),
        };
        if let Err(error) = within_limits(&self.sagas.config, &purchase.limits, &offer) {
            return self.refused(purchase, claim, account, error).await;
        }
        if !self.sagas.config.enabled || self.deadline.saturating_duration_since(Instant::now()) < LEAST_FOR_AN_ORDER {
            return Ok(Step::Stop);
        }
        let leased_until = Instant::now() + self.sagas.config.lease;
        match self.sagas.store.begin_order(claim, &offer).await? {
            OrderNoted::Noted => {}
            OrderNoted::Lost => return Ok(Step::Lost),
            OrderNoted::Unwanted => return Ok(Step::Fail(Error::NotFound { what: "agency", field: "agency_id".to_owned() })),
        }
        purchase.phase = Phase::Ordering;
        purchase.order_attempts += 1;
        if Instant::now() > leased_until {
            // The process slept through its lease: others may have taken over, and the order must not leave any more.
            return Ok(Step::Next);
        }
        match session.place_order(&purchase.number, &purchase.reference, purchase.connection_id.as_deref()).await {
            Ok(order) => self.settle(purchase, claim, account, order).await,
            Err(Failure::Unknown(source)) => {
                tracing::warn!(purchase_id = %purchase.id, error = %source, "the outcome of an order is unknown");
                Ok(Step::Next)
            }
            Err(Failure::NotSent(source)) => self.refused(purchase, claim, account, Error::Upstream(source)).await,
            Err(Failure::Refused(refusal)) => self.refused(purchase, claim, account, order_refused(refusal)).await,
        }
    }

    /// Telnyx will not sell. The reason may be that it has sold already, to us: an order or a number with our own
    /// reference proves it. Without one the number is somebody else's, even in the same account.
    async fn refused(&self, purchase: &mut Purchase, claim: &Claim, account: &Account, error: Error) -> Result<Step, Error> {
        // The only order ever sent has just been answered with this.
        let answered = purchase.order_attempts == 1 && purchase.phase == Phase::Ordering;
        if purchase.order_attempts == 0 || (answered && !matches!(error, Error::NumberUnavailable)) {
            return Ok(Step::Fail(error));
        }
        let session = self.session(account);
        match session.find_order(&purchase.reference, &purchase.number).await {
            Ok(Some(order)) => return self.settle(purchase, claim, account, order).await,
            Ok(None) => {}
            Err(failure) => return Ok(wait(purchase, &failure)),
        }
        match session.find_number(&purchase.number).await {
            // Its order is yet to show.
            Ok(Some(owned)) if owned.customer_reference.as_ref() == Some(&purchase.reference) => Ok(Step::Wait),
            // Refused for another reason, it was still on offer: no earlier order has bought it.
            Ok(_) if answered || !matches!(error, Error::NumberUnavailable) => Ok(Step::Fail(error)),
            Ok(_) => match self.sagas.store.note_missing_order(claim, self.sagas.config.lag()).await? {
                None => Ok(Step::Lost),
                Some(false) => Ok(Step::Wait),
                Some(true) => Ok(Step::Fail(error)),
            },
            Err(failure) => Ok(wait(purchase, &failure)),
        }
    }

    /// `ordering`: finds out whether there is an order.
    async fn look_up(&self, purchase: &mut Purchase, claim: &Claim, account: &Account) -> Result<Step, Error> {
        match self.session(account).find_order(&purchase.reference, &purchase.number).await {
            Ok(Some(order)) => self.settle(purchase, claim, account, order).await,
            Err(failure) => Ok(wait(purchase, &failure)),
            Ok(None) => match self.sagas.store.note_missing_order(claim, self.sagas.config.order_missing_after).await? {
                Some(false) => Ok(Step::Wait),
                Some(true) if self.sagas.store.reopen_purchase(claim).await? => {
                    purchase.phase = Phase::Intended;
                    Ok(Step::Next)
                }
                Some(true) | None => Ok(Step::Lost),
            },
        }
    }

    /// `ordered`: asks what has become of the order.
    async fn await_order(&self, purchase: &mut Purchase, claim: &Claim, account: &Account) -> Result<Step, Error> {
        let session = self.session(account);
        let known = purchase.telnyx_order_id.as_deref().unwrap_or_default();
        let order = match session.order(known).await {
            Ok(None) => session.find_order(&purchase.reference, &purchase.number).await,
            found => found,
        };
        match order {
            Ok(Some(order)) => self.settle(purchase, claim, account, order).await,
            Ok(None) => Ok(Step::Wait),
            Err(failure) => Ok(wait(purchase, &failure)),
        }
    }

    /// Writes down an order and does what its status asks for.
    async fn settle(&self, purchase: &mut Purchase, claim: &Claim, account: &Account, order: Order) -> Result<Step, Error> {
        let deadline = self.requirements_deadline(purchase, account, &order).await;
        let noted = purchase.phase == Phase::Ordered
            && purchase.telnyx_order_id.as_deref() == Some(&order.id)
            && purchase.requirements_met == order.requirements_met
            && purchase.requirements_deadline == deadline;
        let state = OrderState {
            order_id: &order.id,
            requirements_met: order.requirements_met,
            requirements_deadline: deadline,
            number_type: order.number_type.as_deref(),
        };
        if !noted && !self.sagas.store.note_order(claim, &state).await? {
            return Ok(Step::Lost);
        }
        purchase.phase = Phase::Ordered;
        purchase.telnyx_order_id = Some(order.id);
        purchase.requirements_met = order.requirements_met;
        purchase.requirements_deadline = deadline;
        match order.status {
            OrderStatus::Pending => Ok(Step::Wait),
            OrderStatus::Success => self.complete(purchase, claim, account).await,
            OrderStatus::Failure => self.order_failed(purchase, claim, account).await,
        }
    }

    /// Until when Telnyx waits for documents. It is asked once, when an order that is written down turns out to lack some;
    /// not knowing it keeps nothing from going on.
    async fn requirements_deadline(&self, purchase: &Purchase, account: &Account, order: &Order) -> Option<DateTime<Utc>> {
        let waits = purchase.phase == Phase::Ordered && order.status == OrderStatus::Pending && order.requirements_met == Some(false);
        match (&order.item_id, purchase.requirements_deadline) {
            (Some(item_id), None) if waits => self.session(account).requirements_deadline(item_id).await.ok().flatten(),
            (_, known) => known,
        }
    }

    /// `ordered` → `completed`: finds the number's id, which is in the inventory and nowhere else.
    async fn complete(&self, purchase: &mut Purchase, claim: &Claim, account: &Account) -> Result<Step, Error> {
        match self.session(account).find_number(&purchase.number).await {
            // A number can be a little later than its order.
            Ok(None) => Ok(Step::Wait),
            Err(failure) => Ok(wait(purchase, &failure)),
            Ok(Some(owned)) => {
                let done = self
                    .sagas
                    .store
                    .complete_purchase(claim, &owned.id, owned.number_type.as_deref(), owned.country_code.as_deref())
                    .await?;
                if done {
                    purchase.phase = Phase::Completed;
                }
                Ok(if done { Step::Done } else { Step::Lost })
            }
        }
    }

    /// An order has failed: unless another of ours, thought missing once, has not, the number is not to be had.
    async fn order_failed(&self, purchase: &mut Purchase, claim: &Claim, account: &Account) -> Result<Step, Error> {
        if purchase.order_attempts < 2 {
            return Ok(Step::Fail(Error::NumberUnavailable));
        }
        match self.session(account).find_order(&purchase.reference, &purchase.number).await {
            Ok(Some(order)) if order.status != OrderStatus::Failure => Box::pin(self.settle(purchase, claim, account, order)).await,
            Ok(_) => Ok(Step::Fail(Error::NumberUnavailable)),
            Err(failure) => Ok(wait(purchase, &failure)),
        }
    }

    /// What the number costs and can do now, asked in one country after another, the likeliest first. A country in which Telnyx
    /// refuses the search is passed over; only if all of them refuse it, that is the failure.
    async fn offer(&self, session: &Session<'_>, number: &E164) -> Result<Option<Offer>, Failure> {
        let Some(plan) = numbering::plan(number) else { return Ok(None) };
        let (mut asked, mut refused) = (false, None);
        for country in plan.countries {
            match session.offer(number, &country, &plan.national_digits).await {
                Ok(Some(found)) => return Ok(Some(offer(found, country))),
                Ok(None) => asked = true,
                Err(failure @ Failure::Refused(Refusal::BadRequest(_))) => refused = Some(failure),
                Err(failure) => return Err(failure),
            }
        }
        match refused {
            Some(failure) if !asked => Err(failure),
            _ => Ok(None),
        }
    }

    const fn session<'s>(&'s self, account: &'s Account) -> Session<'s> {
        self.sagas.telnyx.session(account, self.deadline)
    }

    /// Sleeps; false when that would take it past the deadline.
    async fn sleep(&self, pause: Duration) -> bool {
        sleep_within(self.deadline, pause).await
    }
}

/// What a purchase would come to.
#[derive(Debug)]
pub enum Quote {
    /// The agency has the number, or is buying it.
    Held,
    /// This is what Telnyx offers it for.
    Offered(Offer),
}

/// Checks a price that was just read against the highest plausible price and the caller's limits.
///
/// # Errors
/// `PriceExceeded`; `Unavailable` if the setting for the highest plausible price cannot be read.
fn within_limits(config: &config::Purchase, limits: &PriceLimits, offer: &Offer) -> Result<(), Error> {
    let highest = config.max_plausible_price.ok_or_else(|| Error::Unavailable("MAX_PLAUSIBLE_PRICE is not an amount".into()))?;
    let Offer { monthly_cost, upfront_cost, currency, .. } = offer;
    let plausible = [monthly_cost, upfront_cost].into_iter().flatten().all(|price| price.0 <= highest);
    if plausible && limits.permit(*monthly_cost, *upfront_cost, currency.as_deref()) {
        return Ok(());
    }
    Err(Error::PriceExceeded(Price { monthly: *monthly_cost, upfront: *upfront_cost, currency: currency.clone() }))
}

/// Nothing was learnt: later, then.
fn wait(purchase: &Purchase, failure: &Failure) -> Step {
    tracing::warn!(purchase_id = %purchase.id, ?failure, "Telnyx could not be asked about a purchase");
    Step::Wait
}

/// What a refused order means to the caller.
fn order_refused(refusal: Refusal) -> Error {
    match refusal {
        Refusal::NumberUnavailable(_) | Refusal::BadRequest(_) => Error::NumberUnavailable,
        Refusal::InsufficientFunds => Error::InsufficientFunds,
        Refusal::RateLimited(wait) => Error::RateLimited(wait),
        Refusal::NotPermitted(source) => Error::Upstream(source),
        // There is no such connection, say.
        Refusal::NotFound(source) | Refusal::Rejected(source) => Error::UpstreamRejected(source),
    }
}

/// Why somebody else's attempt at the same purchase failed, as the ledger remembers it.
fn earlier_failure(code: Option<&str>) -> Error {
    let source = || format!("an earlier attempt failed: {}", code.unwrap_or_default()).into();
    match code {
        Some("insufficient_funds") => Error::InsufficientFunds,
        Some("upstream_rejected") => Error::UpstreamRejected(source()),
        Some("number_unavailable") => Error::NumberUnavailable,
        Some("price_exceeded") => Error::PriceExceeded(Price { monthly: None, upfront: None, currency: None }),
        _ => Error::Upstream(source()),
    }
}

fn offer(found: Available, country_code: String) -> Offer {
    Offer {
        country_code,
        features: found.features,
        monthly_cost: found.monthly_cost,
        upfront_cost: found.upfront_cost,
        currency: found.currency,
    }
}
