//! `phone-numbers-purchase`: buys numbers for an agency.
//!
//! The intent is written before any money moves, and whatever happens then is found out by asking Telnyx, never by trying
//! again blindly: see `shared::saga`.

mod answer;
mod request;

use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use shared::config::Config;
use shared::error::Error;
use shared::idempotency;
use shared::lambda::{Answer, Call, Function};
use shared::model::{Actor, Permission};
use shared::saga::{Bought, Buyer, Quote, Sagas};
use shared::secrets::Secrets;
use shared::store::Intent;
use tokio::time::Instant;
use uuid::Uuid;

use request::{Item, Request};

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

    async fn handle(&self, call: Call) -> Result<Answer, Error> {
        let request = Request::read(call.body()?)?;
        if !self.sagas.config.enabled {
            return Err(Error::PurchasesDisabled);
        }
        let store = &self.sagas.store;
        let actor = store.authorize(call.user_id, Permission::Manage).await?;
        if request.validate_only {
            let intents = self.intents(&actor, &request).await?;
            let quotes = self.quote(&actor, &intents, call.deadline).await?;
            return answer::quoted(&intents, quotes, request.customer_reference);
        }
        let work = async {
            let intents = self.intents(&actor, &request).await?;
            let outcomes = self.buy(&actor, &intents, call.deadline).await;
            answer::bought(store, &actor, &intents, outcomes, request.customer_reference.clone()).await
        };
        idempotency::once(store, &self.sagas.config, &actor, Self::NAME, &call, Box::pin(work)).await
    }
}

impl Purchase {
    /// What is to be bought, once everything that can be known without Telnyx is known to be right.
    async fn intents(&self, actor: &Actor, request: &Request) -> Result<Vec<Intent>, Error> {
        let Sagas { store, accounts, .. } = &self.sagas;
        let wanted: Vec<_> = request.items.iter().filter_map(|item| item.agent_mapping_id).collect();
        let (agents, connection_id, account) = tokio::try_join!(
            store.agents_of(actor.agency_id, &wanted),
            store.telnyx_application(actor.agency_id),
            accounts.of_agency(actor.agency_id)
        )?;
        let unknown = |item: &Item| item.agent_mapping_id.is_some_and(|id| !agents.contains(&id));
        if let Some(index) = request.items.iter().position(unknown) {
            return Err(Error::NotFound { what: "agent", field: format!("phone_numbers[{index}].agent_mapping_id") });
        }
        let order_id = Uuid::new_v4();
        let intent = |(index, item): (usize, &Item)| Intent {
            // An order goes by the name of its first purchase.
            id: if index == 0 { order_id } else { Uuid::new_v4() },
            order_id,
            number: item.number.clone(),
            friendly_name: item.friendly_name.clone(),
            agent_mapping_id: item.agent_mapping_id,
            account: account.name.clone(),
            connection_id: connection_id.clone(),
            customer_reference: request.customer_reference.clone(),
            limits: request.limits.clone(),
        };
        Ok(request.items.iter().enumerate().map(intent).collect())
    }

    /// Buys each number on its own: one that fails takes no other down.
    async fn buy(&self, actor: &Actor, intents: &[Intent], deadline: Instant) -> Vec<Result<Bought, Error>> {
        let buyer = Buyer { sagas: &self.sagas, deadline, is_patient: true };
        let work: Vec<_> = intents.iter().map(|intent| buyer.buy(actor, intent)).collect();
        stream::iter(work).buffered(AT_A_TIME).collect().await
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
            held_or_failed => held_or_failed,
        };
        Ok(quotes.into_iter().map(with_room).collect())
    }
}
