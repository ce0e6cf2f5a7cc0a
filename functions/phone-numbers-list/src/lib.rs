//! `phone-numbers-list`: an agency's numbers.

mod answer;
mod cursor;
#[cfg(feature = "schema")]
pub mod document;
mod request;

use std::sync::Arc;

use shared::config::Config;
use shared::error::Error;
use shared::lambda::{Answer, Call, Function};
use shared::model::Caller;
use shared::secrets::Secrets;
use shared::store::{Access, ListPage, Store};

use answer::{Page, Pagination};
use cursor::Cursor;
use request::Request;

/// The function.
pub struct List {
    store: Store,
}

impl Function for List {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const METHODS: &'static [&'static str] = &["GET"];

    fn new(config: &Config, secrets: Arc<Secrets>) -> Self {
        Self { store: Store::new(config, secrets) }
    }

    async fn warm(&self) {
        self.store.warm().await;
    }

    async fn check(&self) -> Result<(), Error> {
        self.store.check(Access::Read).await
    }

    async fn handle(&self, call: Call) -> Result<Answer, Error> {
        let request = Request::read(call.query())?;
        let page = ListPage { limit: request.limit, offset: request.offset, after: request.after() };
        let caller = Caller::new(call.user_id, Self::NAME, call.method.as_str());
        let listing = self.store.list(&caller, &request.filter, page, request.include_agents).await?;
        // The rows are those of the caller's agency in any case. A cursor of another agency has no place in this list.
        if request.cursor.as_ref().is_some_and(|cursor| cursor.agency_id != listing.agency_id) {
            return Err(cursor::refused());
        }
        let next_cursor = listing.next.map(|position| Cursor::new(listing.agency_id, &request.filter, position)).transpose()?;
        Answer::ok(&Page {
            phone_numbers: listing.numbers,
            available_agents: request.include_agents.then_some(listing.agents),
            summary: listing.summary,
            pagination: Pagination {
                limit: request.limit,
                offset: request.offset,
                total: listing.total,
                next_cursor: next_cursor.map(|next| next.to_string()),
            },
        })
    }
}
