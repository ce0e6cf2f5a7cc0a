//! Buying a number: begins a purchase, or takes up the one that is under way, and sees it through.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::attempt::{Attempt, Step};
use super::fresh_look::Looked;
use super::outcome::ending;
use super::{Sagas, offer};
use crate::deadline::sleep_within;
use crate::error::Error;
use crate::model::{Actor, Status};
use crate::store::{Begun, Claim, Intent, KeyEntry, KeyPosition, Offer, Phase, Purchase, renewing};
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
    /// It was begun by an earlier request.
    pub replayed: bool,
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
        let claim = self.claim(intent.id);
        for _ in 0..TRIES {
            if config.enabled {
                match store.begin_purchase(actor, intent, &claim, config.max_phone_numbers, place).await? {
                    Begun::New(purchase) => return self.pursue(purchase, claim, false).await,
                    Begun::QuotaExceeded(limit) => return Err(Error::QuotaExceeded(limit)),
                    Begun::KeyLost => return Err(Error::RequestInProgress(config.lease)),
                    Begun::WrongDeployment => return Err(store.wrong_deployment().await),
                    Begun::Taken => {}
                }
            }
            let holding = store.holding(actor.agency_id, &intent.number).await?;
            let Some(holding) = holding.filter(|holding| holding.status != Status::Released) else {
                if config.enabled {
                    // Released or given up since it was found taken: there is room for it.
                    continue;
                }
                return Err(Error::PurchasesDisabled);
            };
            // Held by another agency, or being released.
            if !holding.ours || !holding.is_active {
                return Err(Error::NumberUnavailable);
            }
            if let (true, Some(purchase)) = (holding.switched_off, &holding.purchase)
                && matches!(self.sagas.look_afresh(&holding, purchase, self.deadline).await?, Looked::Gone)
            {
                continue;
            }
            let entry = holding.purchase.as_ref().map_or(KeyEntry::Row(holding.row_id), |purchase| KeyEntry::Purchase(purchase.id));
            if let Some(place) = place
                && !store.list_purchase(place, entry).await?
            {
                return Err(Error::RequestInProgress(config.lease));
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
        let offer = offer::of(&self.session(&account), &intent.number).await?.ok_or(Error::NumberUnavailable)?;
        offer::within_limits(&self.sagas.config, &intent.limits, &offer)?;
        Ok(Quote::Offered(offer))
    }

    fn claim(&self, purchase_id: Uuid) -> Claim {
        Claim { purchase_id, token: Uuid::new_v4(), lease: self.sagas.config.lease }
    }

    /// Takes up a purchase as soon as nobody works on it, or learns how it ended.
    pub(super) async fn take_over(&self, mut purchase: Purchase, claim: Claim, replayed: bool) -> Result<Bought, Error> {
        loop {
            if let Some(claimed) = self.sagas.store.claim_purchase(&claim).await? {
                return Box::pin(self.pursue(claimed, claim, replayed)).await;
            }
            purchase = self.sagas.store.purchase(purchase.id).await?.unwrap_or(purchase);
            match ending(&purchase) {
                None if self.sleep(self.sagas.config.poll).await => {}
                Some(Err(error)) => return Err(error),
                None | Some(Ok(())) => return Ok(Bought { row_id: purchase.row_id, purchase: Some(purchase), replayed }),
            }
        }
    }

    /// Goes through the phases from where the purchase stands, as the holder of its lease.
    async fn pursue(&self, purchase: Purchase, claim: Claim, replayed: bool) -> Result<Bought, Error> {
        let renew = || self.sagas.store.renew_purchase(&claim);
        renewing(claim.lease, renew, self.go_through(purchase, claim, replayed)).await
    }

    async fn go_through(&self, purchase: Purchase, claim: Claim, replayed: bool) -> Result<Bought, Error> {
        if purchase.phase == Phase::Intended && purchase.order_attempts == 0 && purchase.age >= self.sagas.config.expires_after {
            // Nothing was ever sent, so that Telnyx need not be asked, nor its key be there.
            return self.fail(purchase, claim, Error::PurchaseExpired, replayed).await;
        }
        let account = match self.sagas.accounts.named(&purchase.account).await {
            Ok(account) => account,
            Err(error) => {
                self.sagas.store.yield_purchase(&claim).await?;
                return Err(error);
            }
        };
        let mut attempt = Attempt { sagas: self.sagas, deadline: self.deadline, claim, account, purchase };
        let mut pause = self.sagas.config.poll;
        loop {
            match attempt.step().await? {
                Step::Next => {}
                Step::Done => return Ok(Bought { row_id: attempt.purchase.row_id, purchase: Some(attempt.purchase), replayed }),
                Step::Lost => return self.take_over(attempt.purchase, claim, replayed).await,
                Step::Fail(error) => return self.fail(attempt.purchase, claim, error, replayed).await,
                Step::Blocked(error) => {
                    self.sagas.store.yield_purchase(&claim).await?;
                    return Err(error);
                }
                Step::Wait(at_least) if self.is_patient && self.sleep(pause.max(at_least)).await => {
                    pause = (pause * 5 / 4).min(self.sagas.config.poll * LONGEST_PAUSE);
                }
                Step::Wait(_) | Step::Stop => {
                    self.sagas.store.yield_purchase(&claim).await?;
                    return Ok(Bought { row_id: attempt.purchase.row_id, purchase: Some(attempt.purchase), replayed });
                }
            }
        }
    }

    /// Ends a purchase that bought nothing, unless another process has taken it over.
    async fn fail(&self, purchase: Purchase, claim: Claim, error: Error, replayed: bool) -> Result<Bought, Error> {
        tracing::warn!(purchase_id = %purchase.id, error = %error, "purchase failed");
        if self.sagas.store.fail_purchase(&claim, &error).await? {
            return Err(error);
        }
        self.take_over(purchase, claim, replayed).await
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
