//! `phone-numbers-purchase`: buys numbers for an agency.
//!
//! A purchase is recorded before it costs money. After that, Telnyx is asked what became of an order, and an order whose outcome is
//! unknown is never simply placed again: see `shared::saga`.

mod answer;
#[cfg(feature = "schema")]
pub mod document;
mod request;

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use shared::config::Config;
use shared::error::Error;
use shared::idempotency;
use shared::lambda::{Answer, Call, Function};
use shared::model::{Actor, Caller};
use shared::saga::{Bought, Buyer, Quote, Sagas, may_be_retried};
use shared::secrets::Secrets;
use shared::store::{BuyingAgency, HeldKey, Intent, KeyPosition, Listed, Lookup};
use tokio::time::Instant;
use uuid::Uuid;

use request::{Request, Wanted};

/// How many numbers of one request are worked on at a time.
const AT_A_TIME: usize = 4;

/// The function.
pub struct Purchase {
    sagas: Sagas,
}

impl Function for Purchase {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const METHODS: &'static [&'static str] = &["POST"];

    fn new(config: &Config, secrets: Arc<Secrets>) -> Self {
        Self { sagas: Sagas::new(config, secrets) }
    }

    async fn warm(&self) {
        self.sagas.warm().await;
    }

    async fn check(&self) -> Result<(), Error> {
        self.sagas.check().await
    }

    async fn handle(&self, call: Call) -> Result<Answer, Error> {
        let request = Request::read(call.body()?)?;
        let Sagas { store, config, .. } = &self.sagas;
        // Nothing is kept of a check. A header that is wrong is refused all the same.
        idempotency::key(&call)?;
        if request.validate_only && !config.enabled {
            return Err(Error::PurchasesDisabled);
        }
        let caller = Caller::new(call.user_id, Self::NAME, call.method.as_str());
        let agents: Vec<_> = request.items.iter().filter_map(|item| item.agent_mapping_id).collect();
        let lookup = Lookup::buying_agency(&agents);
        if request.validate_only {
            let (actor, agency) = store.authorize_with(&caller, &lookup).await?;
            let intents = self.intents(&actor, &request, &agency?).await?.into_iter().collect::<Result<Vec<_>, _>>()?;
            let quotes = self.quote(&actor, &intents, call.deadline).await?;
            return answer::quoted(&intents, quotes, request.customer_reference);
        }
        let (request, deadline) = (&request, call.deadline);
        let work = |actor: Actor, agency: Result<BuyingAgency, Error>, key: Option<HeldKey>| {
            Box::pin(async move {
                let outcomes = self.buy(&actor, request, agency, key, deadline).await?;
                answer::bought(store, &actor, request, outcomes).await
            })
        };
        idempotency::once(store, config, &caller, Self::NAME, &call, lookup, work).await
    }
}

/// What to do about one number of a request.
#[allow(clippy::large_enum_variant, reason = "ten at most")]
enum Task {
    /// The request's idempotency key lists its purchase: resume it, or report how it ended.
    Repeat(Listed),
    /// Buy it.
    Buy(Intent),
    /// Refuse it.
    Refuse(Error),
}

impl Purchase {
    /// The intent to buy each number of a request, or why it cannot be bought, as far as that is known without Telnyx.
    ///
    /// # Errors
    /// `Unavailable` if a secret cannot be read.
    async fn intents(&self, actor: &Actor, request: &Request, agency: &BuyingAgency) -> Result<Vec<Result<Intent, Error>>, Error> {
        let account = match self.sagas.accounts.of_agency(actor.agency_id).await {
            Err(Error::TelnyxNotConfigured) => None,
            found => Some(found?),
        };
        let order_id = Uuid::new_v4();
        let intent = |(index, item): (usize, &Wanted)| {
            let account = account.as_ref().ok_or(Error::TelnyxNotConfigured)?;
            if item.agent_mapping_id.is_some_and(|id| !agency.agents.contains(&id)) {
                return Err(Error::NotFound { what: "agent", field: format!("phone_numbers[{index}].agent_mapping_id") });
            }
            Ok(Intent {
                // An order goes by the name of its first purchase.
                id: if index == 0 { order_id } else { Uuid::new_v4() },
                order_id,
                number: item.number.clone(),
                friendly_name: item.friendly_name.clone(),
                agent_mapping_id: item.agent_mapping_id,
                account: account.name.clone(),
                connection_id: agency.connection_id.clone(),
                customer_reference: request.customer_reference.clone(),
                limits: request.limits.clone(),
            })
        };
        Ok(request.items.iter().enumerate().map(intent).collect())
    }

    /// What to do about each number of a request, with its position. `listed` is what the request's key lists.
    ///
    /// # Errors
    /// A number must be refused and there is no purchase to repeat: then all of the request is refused. `Unavailable` or
    /// `Internal` if the agency or a secret could not be read.
    async fn tasks(
        &self,
        actor: &Actor,
        request: &Request,
        agency: Result<BuyingAgency, Error>,
        mut listed: HashMap<i16, Listed>,
    ) -> Result<Vec<(i16, Task)>, Error> {
        let to_repeat = |(position, _): (i16, &Wanted)| (position, listed.remove(&position).filter(|listed| !may_be_retried(listed)));
        let positions: Vec<_> = (0..).zip(&request.items).map(to_repeat).collect();
        let is_new = positions.iter().all(|(_, listed)| listed.is_none());
        if positions.iter().all(|(_, listed)| listed.is_some()) {
            // Needs neither agents nor an account, which may be gone by now.
            return Ok(positions.into_iter().filter_map(|(position, listed)| Some((position, Task::Repeat(listed?)))).collect());
        }
        let intents = self.intents(actor, request, &agency?).await?;
        let task = |((position, listed), intent)| match (listed, intent) {
            (Some(listed), _) => Ok((position, Task::Repeat(listed))),
            (None, Ok(intent)) => Ok((position, Task::Buy(intent))),
            (None, Err(error)) if is_new => Err(error),
            (None, Err(error)) => Ok((position, Task::Refuse(error))),
        };
        positions.into_iter().zip(intents).map(task).collect()
    }

    /// Buys each number, or repeats its purchase. They are independent: one that fails does not stop the others.
    async fn buy(
        &self,
        actor: &Actor,
        request: &Request,
        agency: Result<BuyingAgency, Error>,
        key: Option<HeldKey>,
        deadline: Instant,
    ) -> Result<Vec<Result<Bought, Error>>, Error> {
        let (key, listed) = key.map(|key| (key.lease, key.listed)).unzip();
        let buyer = Buyer { sagas: &self.sagas, deadline, is_patient: true };
        let tasks = self.tasks(actor, request, agency, listed.unwrap_or_default()).await?;
        let (buyer, key) = (&buyer, key.as_ref());
        let work = tasks.into_iter().map(|(position, task)| async move {
            match task {
                Task::Repeat(listed) => buyer.repeat(listed).await,
                Task::Buy(intent) => buyer.buy(actor, &intent, key.map(|key| KeyPosition { key, position })).await,
                Task::Refuse(error) => Err(error),
            }
        });
        let work: Vec<_> = work.collect();
        Ok(stream::iter(work).buffered(AT_A_TIME).collect().await)
    }

    /// Checks each number as if it were bought, the first ones taking the room that the agency still has.
    async fn quote(&self, actor: &Actor, intents: &[Intent], deadline: Instant) -> Result<Vec<Result<Quote, Error>>, Error> {
        let quota = self.sagas.store.quota(actor.agency_id, self.sagas.config.max_phone_numbers).await?;
        let buyer = Buyer { sagas: &self.sagas, deadline, is_patient: true };
        let work: Vec<_> = intents.iter().map(|intent| buyer.quote(actor, intent)).collect();
        let quotes: Vec<_> = stream::iter(work).buffered(AT_A_TIME).collect().await;
        let mut more = 0;
        let with_room = |quote: Result<Quote, Error>| match quote {
            Ok(Quote::Offered(offer)) => {
                more += 1;
                quota.exceeded_by(more).map_or(Ok(Quote::Offered(offer)), |limit| Err(Error::QuotaExceeded(limit)))
            }
            Ok(Quote::Held) => Ok(Quote::Held),
            // A purchase would begin with the quota.
            Err(error) => Err(quota.exceeded_by(more + 1).map_or(error, Error::QuotaExceeded)),
        };
        Ok(quotes.into_iter().map(with_room).collect())
    }
}
