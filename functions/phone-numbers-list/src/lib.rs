//! `phone-numbers-list`: an agency's numbers.

mod answer;
#[cfg(feature = "schema")]
pub mod document;
mod request;

use std::sync::Arc;

use shared::config::Config;
use shared::cursor::Cursor;
use shared::error::Error;
use shared::lambda::{Answer, Call, Function, size};
use shared::model::Caller;
use shared::secrets::Secrets;
use shared::store::{Access, ListPage, Store};

use answer::{Page, Pagination};
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
        if let Some(cursor) = &request.cursor {
            cursor.is_of(listing.agency_id)?;
        }
        let mut agents = listing.agents;
        size::keep_what_fits(&mut agents, &mut { size::LONGEST_AGENTS })?;
        let next_cursor = listing.next.map(|position| Cursor::new(listing.agency_id, &request.filter, position)).transpose()?;
        Answer::ok(&Page {
            phone_numbers: listing.numbers,
            available_agents: request.include_agents.then_some(agents),
            summary: listing.summary,
            pagination: Pagination {
                limit: request.limit,
                offset: request.offset,
                total: listing.total.rows,
                total_is_exact: listing.total.is_exact,
                next_cursor: next_cursor.map(|next| next.to_string()),
            },
        })
    }
}
