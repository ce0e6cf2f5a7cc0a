//! The phases of a purchase: a saga whose every step is one short write to the ledger or one call to Telnyx.
//!
//! ```text
//! intended ──offer read, about to order──▶ ordering ──the order is known──▶ ordered ──number found──▶ completed
//!    ▲                                        │ ▲                              │
//!    └──two look-ups did not find an order────┘ └──look up by reference        └──▶ failed (row removed)
//! ```
//!
//! Whoever asks for the number again, after a time-out or a crash, takes up the purchase where it stands. Between
//! `ordering` and `ordered` nobody knows whether an order exists: it is looked up by its reference, which is the
//! purchase's id, and placed anew only once it is certain that there is none. Telnyx itself sells a number once, so that
//! not even a mistake here could pay for it twice.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use shared::config;
use shared::deadline::sleep_within;
use shared::error::Error;
use shared::model::{Actor, E164, Status};
use shared::numbering;
use shared::store::{Begun, Claim, Intent, Offer, Phase, Purchase, Store};
use shared::telnyx::{Account, Accounts, Available, Client, Failure, Order, OrderStatus, Refusal, Session};
use tokio::time::Instant;
use uuid::Uuid;

/// With less time than this left, an order is not placed: its answer could come too late to be written down.
const LEAST_FOR_AN_ORDER: Duration = Duration::from_secs(2);
/// Countries that share a calling code are asked this many at a time.
const COUNTRIES_AT_A_TIME: usize = 4;
/// A number that is no longer on offer after an order whose outcome is unknown has most likely been bought, and by that
/// order: this many times as long as before it may be placed again, no look-up must find it before it counts as failed.
const DOUBT: u32 = 12;
/// How often a number is tried whose holder gives up just then.
const TRIES: usize = 3;
/// The pause between two looks grows up to this many times the configured one.
const LONGEST_PAUSE: u32 = 8;

/// Somebody who buys, until a deadline.
pub(crate) struct Buyer<'a> {
    pub(crate) store: &'a Store,
    pub(crate) accounts: &'a Accounts,
    pub(crate) telnyx: &'a Client,
    pub(crate) config: config::Purchase,
    pub(crate) actor: &'a Actor,
    pub(crate) deadline: Instant,
}

/// A number that the agency holds or is buying.
pub(crate) struct Bought {
    pub(crate) row_id: Uuid,
    /// The attempt that bought it, if we made it.
    pub(crate) purchase: Option<Purchase>,
    /// It was begun by an earlier request.
    pub(crate) replayed: bool,
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
    pub(crate) async fn buy(&self, intent: &Intent) -> Result<Bought, Error> {
        let claim = Claim { purchase_id: intent.id, token: Uuid::new_v4(), lease: self.config.lease };
        for _ in 0..TRIES {
            if let Begun::New(purchase) = self.store.begin_purchase(self.actor, intent, &claim).await? {
                return self.pursue(purchase, claim, false).await;
            }
            let Some(holding) = self.store.holding(self.actor.agency_id, &intent.number).await? else { continue };
            // Somebody else's, given back to Telnyx, or on its way there.
            if !holding.ours || !holding.is_active || holding.status == Status::Released {
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

    /// Takes up a purchase as soon as nobody works on it, or learns how it ended.
    async fn take_over(&self, mut purchase: Purchase, claim: Claim, replayed: bool) -> Result<Bought, Error> {
        loop {
            if let Some(claimed) = self.store.claim_purchase(&claim).await? {
                return Box::pin(self.pursue(claimed, claim, replayed)).await;
            }
            purchase = self.store.purchase(purchase.id).await?.unwrap_or(purchase);
            match purchase.phase {
                Phase::Intended | Phase::Ordering | Phase::Ordered if self.sleep(self.config.poll).await => {}
                Phase::Failed => return Err(earlier_failure(purchase.failure_code.as_deref())),
                Phase::Cancelled => return Err(Error::NumberUnavailable),
                Phase::Intended | Phase::Ordering | Phase::Ordered | Phase::Completed => {
                    return Ok(Bought { row_id: purchase.row_id, purchase: Some(purchase), replayed });
                }
            }
        }
    }

    /// Goes through the phases from where the purchase stands.
    async fn pursue(&self, mut purchase: Purchase, claim: Claim, replayed: bool) -> Result<Bought, Error> {
        let account = self.accounts.named(&purchase.account).await?;
        let mut pause = self.config.poll;
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
                    if self.store.fail_purchase(&claim, error.code(), &error.to_string()).await? {
                        return Err(error);
                    }
                    return self.take_over(purchase, claim, replayed).await;
                }
                Step::Wait | Step::Stop => {
                    if matches!(step, Step::Stop) || !self.sleep(pause).await {
                        self.store.yield_purchase(&claim).await?;
                        return Ok(Bought { row_id: purchase.row_id, purchase: Some(purchase), replayed });
                    }
                    pause = (pause * 5 / 4).min(self.config.poll * LONGEST_PAUSE);
                    if !self.store.renew_purchase(&claim).await? {
                        return self.take_over(purchase, claim, replayed).await;
                    }
                }
            }
        }
    }

    /// `intended` → `ordering` → `ordered`: reads the offer, notes it, and places the order.
    async fn place_order(&self, purchase: &mut Purchase, claim: &Claim, account: &Account) -> Result<Step, Error> {
        let session = self.session(account);
        if purchase.order_attempts > 0 {
            // Never a second order without a look for the first.
            match session.find_order(&purchase.id.to_string(), &purchase.number).await {
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
        if self.deadline.saturating_duration_since(Instant::now()) < LEAST_FOR_AN_ORDER {
            return Ok(Step::Stop);
        }
        let leased_until = Instant::now() + self.config.lease;
        if !self.store.begin_order(claim, &offer).await? {
            return Ok(Step::Lost);
        }
        purchase.phase = Phase::Ordering;
        purchase.order_attempts += 1;
        if Instant::now() > leased_until {
            // The process slept through its lease: others may have taken over, and the order must not leave any more.
            return Ok(Step::Next);
        }
        match session.place_order(&purchase.number, &purchase.id.to_string(), purchase.connection_id.as_deref()).await {
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
        let reference = purchase.id.to_string();
        match session.find_order(&reference, &purchase.number).await {
            Ok(Some(order)) => return self.settle(purchase, claim, account, order).await,
            Ok(None) => {}
            Err(failure) => return Ok(wait(purchase, &failure)),
        }
        match session.find_number(&purchase.number).await {
            // Its order is yet to show.
            Ok(Some(owned)) if owned.customer_reference.as_deref() == Some(&reference) => Ok(Step::Wait),
            // Refused for another reason, it was still on offer: no earlier order has bought it.
            Ok(_) if answered || !matches!(error, Error::NumberUnavailable) => Ok(Step::Fail(error)),
            Ok(_) => match self.store.note_missing_order(claim, self.config.order_missing_after * DOUBT).await? {
                None => Ok(Step::Lost),
                Some(false) => Ok(Step::Wait),
                Some(true) => Ok(Step::Fail(error)),
            },
            Err(failure) => Ok(wait(purchase, &failure)),
        }
    }

    /// `ordering`: finds out whether there is an order.
    async fn look_up(&self, purchase: &mut Purchase, claim: &Claim, account: &Account) -> Result<Step, Error> {
        match self.session(account).find_order(&purchase.id.to_string(), &purchase.number).await {
            Ok(Some(order)) => self.settle(purchase, claim, account, order).await,
            Err(failure) => Ok(wait(purchase, &failure)),
            Ok(None) => match self.store.note_missing_order(claim, self.config.order_missing_after).await? {
                Some(false) => Ok(Step::Wait),
                Some(true) if self.store.reopen_purchase(claim).await? => {
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
            Ok(None) => session.find_order(&purchase.id.to_string(), &purchase.number).await,
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
        let noted = purchase.phase == Phase::Ordered
            && purchase.telnyx_order_id.as_deref() == Some(&order.id)
            && purchase.requirements_met == order.requirements_met;
        if !noted && !self.store.note_order(claim, &order.id, order.requirements_met, order.number_type.as_deref()).await? {
            return Ok(Step::Lost);
        }
        purchase.phase = Phase::Ordered;
        purchase.telnyx_order_id = Some(order.id);
        purchase.requirements_met = order.requirements_met;
        match order.status {
            OrderStatus::Pending => Ok(Step::Wait),
            OrderStatus::Success => self.complete(purchase, claim, account).await,
            OrderStatus::Failure => self.order_failed(purchase, claim, account).await,
        }
    }

    /// `ordered` → `completed`: finds the number's id, which is in the inventory and nowhere else.
    async fn complete(&self, purchase: &mut Purchase, claim: &Claim, account: &Account) -> Result<Step, Error> {
        match self.session(account).find_number(&purchase.number).await {
            // A number can be a little later than its order.
            Ok(None) => Ok(Step::Wait),
            Err(failure) => Ok(wait(purchase, &failure)),
            Ok(Some(owned)) => {
                let done =
                    self.store.complete_purchase(claim, &owned.id, owned.number_type.as_deref(), owned.country_code.as_deref()).await?;
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
        match self.session(account).find_order(&purchase.id.to_string(), &purchase.number).await {
            Ok(Some(order)) if order.status != OrderStatus::Failure => Box::pin(self.settle(purchase, claim, account, order)).await,
            Ok(_) => Ok(Step::Fail(Error::NumberUnavailable)),
            Err(failure) => Ok(wait(purchase, &failure)),
        }
    }

    /// What the very number costs and can do now, asked in each country it may belong to, the likeliest first.
    async fn offer(&self, session: &Session<'_>, number: &E164) -> Result<Option<Offer>, Failure> {
        let Some(plan) = numbering::plan(number) else { return Ok(None) };
        let digits = plan.national_digits.as_str();
        let mut countries = plan.countries.into_iter();
        if let Some(likeliest) = countries.next()
            && let Some(found) = session.offer(number, &likeliest, digits).await?
        {
            return Ok(Some(offer(found, likeliest)));
        }
        let rest = stream::iter(countries).map(async |country| {
            let found = session.offer(number, &country, digits).await;
            found.map(|found| (found, country))
        });
        let mut rest = std::pin::pin!(rest.buffer_unordered(COUNTRIES_AT_A_TIME));
        while let Some(answer) = rest.next().await {
            if let (Some(found), country) = answer? {
                return Ok(Some(offer(found, country)));
            }
        }
        Ok(None)
    }

    const fn session<'s>(&'s self, account: &'s Account) -> Session<'s> {
        self.telnyx.session(account, self.deadline)
    }

    /// Sleeps; false when that would take it past the deadline.
    async fn sleep(&self, pause: Duration) -> bool {
        sleep_within(self.deadline, pause).await
    }
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
