//! `phone-numbers-purchase`: buys numbers for an agency.
//!
//! The intent is written before any money moves, and whatever happens then is found out by asking Telnyx, never by trying
//! again blindly: see `phases.rs`.

mod answer;
mod phases;
mod request;

use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use shared::config::{self, Config};
use shared::error::Error;
use shared::lambda::{Answer, Call, Function};
use shared::model::{Actor, Permission};
use shared::secrets::Secrets;
use shared::store::{Intent, Store};
use shared::telnyx::{Accounts, Client};
use tokio::time::Instant;
use uuid::Uuid;

use phases::{Bought, Buyer};
use request::{Item, Request};

/// How many numbers of one request are worked on at a time.
const AT_A_TIME: usize = 4;

/// The function.
pub struct Purchase {
    store: Store,
    accounts: Accounts,
    telnyx: Client,
    config: config::Purchase,
}

impl Function for Purchase {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const METHODS: &'static [&'static str] = &["POST"];

    fn new(config: &Config, secrets: Arc<Secrets>) -> Self {
        Self {
            store: Store::new(&config.database, Arc::clone(&secrets)),
            accounts: Accounts::new(config.telnyx.keys.clone(), secrets),
            telnyx: Client::new(&config.telnyx),
            config: config.purchase,
        }
    }

    async fn warm(&self) {
        tokio::join!(self.store.warm(), self.accounts.warm());
    }

    async fn handle(&self, call: Call) -> Result<Answer, Error> {
        let request = Request::read(call.body()?)?;
        let actor = self.store.authorize(call.user_id, Permission::Manage).await?;
        let intents = self.intents(&actor, &request).await?;
        let outcomes = self.buy(&actor, &intents, call.deadline).await;
        answer::answer(&self.store, &actor, &intents, outcomes, request.customer_reference).await
    }
}

impl Purchase {
    /// What is to be bought, once everything that can be known without Telnyx is known to be right.
    async fn intents(&self, actor: &Actor, request: &Request) -> Result<Vec<Intent>, Error> {
        let wanted: Vec<_> = request.items.iter().filter_map(|item| item.agent_mapping_id).collect();
        let (agents, connection_id, account) = tokio::try_join!(
            self.store.agents_of(actor.agency_id, &wanted),
            self.store.telnyx_application(actor.agency_id),
            self.accounts.of_agency(actor.agency_id)
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
        };
        Ok(request.items.iter().enumerate().map(intent).collect())
    }

    /// Buys each number on its own: one that fails takes no other down.
    async fn buy(&self, actor: &Actor, intents: &[Intent], deadline: Instant) -> Vec<Result<Bought, Error>> {
        let buyer = Buyer { store: &self.store, accounts: &self.accounts, telnyx: &self.telnyx, config: self.config, actor, deadline };
        let work: Vec<_> = intents.iter().map(|intent| buyer.buy(intent)).collect();
        stream::iter(work).buffered(AT_A_TIME).collect().await
    }
}
