//! `phone-numbers-search`: numbers on offer at Telnyx.

mod answer;
#[cfg(feature = "schema")]
pub mod document;
mod request;

use std::sync::Arc;

use shared::config::Config;
use shared::error::Error;
use shared::lambda::{Answer, Call, Function};
use shared::model::Caller;
use shared::secrets::Secrets;
use shared::store::{Access, Store};
use shared::telnyx::{Accounts, Client};

/// The function.
pub struct Search {
    store: Store,
    accounts: Accounts,
    telnyx: Client,
}

impl Function for Search {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const METHODS: &'static [&'static str] = &["GET"];

    fn new(config: &Config, secrets: Arc<Secrets>) -> Self {
        Self {
            store: Store::new(config, Arc::clone(&secrets)),
            accounts: Accounts::new(config.telnyx.keys.clone(), secrets),
            telnyx: Client::new(&config.telnyx),
        }
    }

    async fn warm(&self) {
        tokio::join!(self.store.warm(), self.accounts.warm());
    }

    async fn check(&self) -> Result<(), Error> {
        tokio::try_join!(self.store.check(Access::Read), self.accounts.check())?;
        Ok(())
    }

    async fn handle(&self, call: Call) -> Result<Answer, Error> {
        let search = request::read(call.query())?;
        let actor = self.store.authorize_search(&Caller::new(call.user_id, Self::NAME, call.method.as_str())).await?;
        let account = self.accounts.of_agency(actor.agency_id).await?;
        let offers = self.telnyx.session(&account, call.deadline).search(&search).await?;
        answer::found(&search, offers)
    }
}
