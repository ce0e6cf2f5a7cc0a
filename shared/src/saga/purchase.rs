//! Buys a number: begins a purchase, or resumes the one that is under way, until it ends or time is up.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::attempt::{Attempt, Step};
use super::fresh_look::Looked;
use super::outcome::ending;
use super::{Sagas, offer};
use crate::deadline::sleep_within;
use crate::error::Error;
use crate::model::{Actor, PhoneNumber, Status};
use crate::store::{Begun, Fenced, Holding, Intent, KeyEntry, KeyPosition, Lease, Offer, Purchase, PurchaseId};
use crate::telnyx::{Account, Session};

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
    /// The row as it was when this call made it live.
    pub row: Option<Box<PhoneNumber>>,
    /// It was begun by an earlier request.
    pub replayed: bool,
}

impl Bought {
    /// A number whose row is known by its purchase.
    pub(super) const fn of(purchase: Purchase, replayed: bool) -> Self {
        Self { row_id: purchase.row_id, purchase: Some(purchase), row: None, replayed }
    }
}

impl Buyer<'_> {
    /// Buys a number, or resumes its purchase, until it is bought or refused or time is up. For a request with an idempotency
    /// key, the key lists the purchase at `place` before it is pursued or answered.
    ///
    /// # Errors
    /// Nothing was bought, and the reason: among them `PurchasesDisabled` if a purchase would have to be begun, and
    /// `RequestInProgress` if another request holds the key now.
    pub async fn buy(&self, actor: &Actor, intent: &Intent, place: Option<KeyPosition<'_>>) -> Result<Bought, Error> {
        let (store, config) = (&self.sagas.store, &self.sagas.config);
        let lease = self.lease(intent.id);
        for _ in 0..TRIES {
            if config.enabled {
                match store.begin_purchase(actor, intent, &lease, config.max_phone_numbers, place).await? {
                    Begun::New(purchase) => return self.pursue(purchase, &lease, false).await,
                    Begun::QuotaExceeded(limit) => return Err(Error::QuotaExceeded(limit)),
                    Begun::RateLimited(wait) => return Err(Error::RateLimited(wait)),
                    Begun::KeyLost => return Err(Error::RequestInProgress(config.lease)),
                    Begun::WrongDeployment => return Err(store.wrong_deployment().await),
                    Begun::HeldElsewhere => return self.refuse(intent).await,
                    Begun::Held => {}
                }
            }
            let holding = match store.holding(actor.agency_id, &intent.number).await? {
                Holding::Own(held) => held,
                // Released or given up since it was found to be held: there is room for it.
                Holding::Free | Holding::Elsewhere if config.enabled => continue,
                Holding::Free | Holding::Elsewhere => return Err(Error::PurchasesDisabled),
            };
            // It is being released.
            if !holding.is_active {
                return Err(Error::NumberUnavailable);
            }
            if let (true, Some(purchase)) = (holding.switched_off, &holding.purchase)
                && matches!(self.sagas.look_afresh(&holding, purchase, self.deadline).await?, Looked::Changed)
            {
                continue;
            }
            let entry = holding.purchase.as_ref().map_or(KeyEntry::Row(holding.row_id), |purchase| KeyEntry::Purchase(purchase.id));
            if let Some(place) = place
                && store.list_purchase(place, entry).await? == Fenced::Lost
            {
                return Err(Error::RequestInProgress(config.lease));
            }
            return match (holding.status, holding.purchase) {
                (Status::Pending, Some(purchase)) => {
                    let lease = lease.with(PurchaseId(purchase.id));
                    // Sent twice over a broken connection, the statement finds the intent of this request.
                    self.take_over(purchase, &lease, lease.of.0 != intent.id).await
                }
                (_, purchase) => Ok(Bought { row_id: holding.row_id, purchase, row: None, replayed: true }),
            };
        }
        Err(Error::NumberUnavailable)
    }

    /// Resumes a purchase unless another process works on it. None: another process does, or it is finished.
    ///
    /// # Errors
    /// The error that it has failed with now, or why it cannot be resumed.
    pub async fn resume(&self, purchase_id: Uuid) -> Result<Option<Bought>, Error> {
        let lease = self.lease(purchase_id);
        let Some(purchase) = self.sagas.store.claim_purchase(&lease).await? else { return Ok(None) };
        self.pursue(purchase, &lease, true).await.map(Some)
    }

    /// Whether a number could be bought now, without buying it.
    ///
    /// # Errors
    /// It could not, and the reason.
    pub async fn quote(&self, actor: &Actor, intent: &Intent) -> Result<Quote, Error> {
        match self.sagas.store.holding(actor.agency_id, &intent.number).await? {
            Holding::Own(held) if held.is_active => Ok(Quote::Held),
            Holding::Own(_) => Err(Error::NumberUnavailable),
            Holding::Elsewhere => self.refuse(intent).await,
            Holding::Free => self.offer(intent).await.map(Quote::Offered),
        }
    }

    /// What Telnyx offers a number for, within the limits.
    async fn offer(&self, intent: &Intent) -> Result<Offer, Error> {
        let account = self.sagas.accounts.named(&intent.account).await?;
        let offer = offer::of(&self.session(&account), &intent.number).await?.ok_or(Error::NumberUnavailable)?;
        offer::within_limits(&self.sagas.config, &intent.limits, &offer)?;
        Ok(offer)
    }

    /// Refuses a number that another agency has. It is looked for at Telnyx as every other number is, so that neither the answer
    /// nor the time that it takes shows that the number is an agency's.
    async fn refuse<T>(&self, intent: &Intent) -> Result<T, Error> {
        self.offer(intent).await?;
        Err(Error::NumberUnavailable)
    }

    pub(super) fn lease(&self, purchase_id: Uuid) -> Lease<PurchaseId> {
        Lease::new(PurchaseId(purchase_id), self.sagas.config.lease)
    }

    /// Takes the lease of an unfinished purchase as soon as no other process works on it and pursues it, or returns how another
    /// process ended it.
    pub(super) async fn take_over(&self, purchase: Purchase, lease: &Lease<PurchaseId>, replayed: bool) -> Result<Bought, Error> {
        match self.await_lease(purchase, lease).await? {
            Awaited::Held(purchase) => self.pursue(purchase, lease, replayed).await,
            Awaited::Left(purchase) => Ok(Bought::of(purchase, replayed)),
        }
    }

    /// Works on a purchase as the holder of its lease. If the lease is lost, it waits for the other process and continues.
    async fn pursue(&self, mut purchase: Purchase, lease: &Lease<PurchaseId>, replayed: bool) -> Result<Bought, Error> {
        loop {
            let lost = match self.sagas.store.renewing(lease, self.work(purchase, lease)).await? {
                Worked::Over(purchase, row) => return Ok(Bought { row, ..Bought::of(purchase, replayed) }),
                Worked::Left(purchase) => return Ok(Bought::of(purchase, replayed)),
                Worked::LeaseLost(purchase) => purchase,
            };
            match self.await_lease(lost, lease).await? {
                Awaited::Held(held) => purchase = held,
                Awaited::Left(purchase) => return Ok(Bought::of(purchase, replayed)),
            }
        }
    }

    /// Waits for the lease of a purchase that another process holds.
    ///
    /// # Errors
    /// The error that the other process ended the purchase with.
    async fn await_lease(&self, mut purchase: Purchase, lease: &Lease<PurchaseId>) -> Result<Awaited, Error> {
        loop {
            if let Some(claimed) = self.sagas.store.claim_purchase(lease).await? {
                return Ok(Awaited::Held(claimed));
            }
            purchase = self.sagas.store.purchase(purchase.id).await?.unwrap_or(purchase);
            match ending(&purchase) {
                None if self.sleep(self.sagas.config.poll).await => {}
                Some(Err(error)) => return Err(error),
                None | Some(Ok(())) => return Ok(Awaited::Left(purchase)),
            }
        }
    }

    /// Takes the steps of a purchase from its present phase until it ends, must wait, or the lease is lost.
    ///
    /// # Errors
    /// The error that the purchase ended with, or why it cannot be continued now.
    async fn work(&self, purchase: Purchase, lease: &Lease<PurchaseId>) -> Result<Worked, Error> {
        if purchase.is_never_ordered() && purchase.age >= self.sagas.config.expires_after {
            // Nothing was ever sent, so that Telnyx need not be asked, and its key is not needed.
            return self.fail(purchase, lease, Error::PurchaseExpired).await;
        }
        let account = match self.sagas.accounts.named(&purchase.account).await {
            Ok(account) => account,
            Err(error) => {
                self.sagas.store.give_back(lease).await?;
                return Err(error);
            }
        };
        let mut attempt = Attempt { sagas: self.sagas, deadline: self.deadline, lease, account, purchase };
        let mut pause = self.sagas.config.poll;
        loop {
            match attempt.step().await? {
                Step::Next => {}
                Step::Done(row) => return Ok(Worked::Over(attempt.purchase, row)),
                Step::Lost => return Ok(Worked::LeaseLost(attempt.purchase)),
                Step::Fail(error) => return self.fail(attempt.purchase, lease, error).await,
                Step::Blocked(error) => {
                    self.sagas.store.give_back(lease).await?;
                    return Err(error);
                }
                Step::Wait(at_least) if self.is_patient && self.sleep(pause.max(at_least)).await => {
                    pause = (pause * 5 / 4).min(self.sagas.config.poll * LONGEST_PAUSE);
                }
                Step::Wait(_) | Step::Stop => {
                    self.sagas.store.give_back(lease).await?;
                    return Ok(Worked::Left(attempt.purchase));
                }
            }
        }
    }

    /// Ends a purchase that bought nothing, unless the lease is lost.
    async fn fail(&self, purchase: Purchase, lease: &Lease<PurchaseId>, error: Error) -> Result<Worked, Error> {
        tracing::warn!(purchase_id = %purchase.id, error = %error, "purchase failed");
        match self.sagas.store.fail_purchase(lease, &error).await? {
            Fenced::Done(()) => Err(error),
            Fenced::Lost => Ok(Worked::LeaseLost(purchase)),
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

/// The result of work on a purchase.
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
enum Worked {
    /// It is over, and this is its row if the work has made it live.
    Over(Purchase, Option<Box<PhoneNumber>>),
    /// It is left for a later request.
    Left(Purchase),
    /// Another process works on it now.
    LeaseLost(Purchase),
}

/// The result of waiting for a lease.
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
enum Awaited {
    /// The lease is held.
    Held(Purchase),
    /// The other process has completed the purchase, or there is no time left.
    Left(Purchase),
}

/// The result of a check without a purchase.
#[derive(Debug)]
pub enum Quote {
    /// The agency has the number, or is buying it.
    Held,
    /// This is what Telnyx offers it for.
    Offered(Offer),
}
