//! `phone-numbers-list`: an agency's numbers.

mod cursor;

use std::sync::Arc;

use serde::Serialize;
use shared::config::Config;
use shared::error::Error;
use shared::input::{Input, assigned};
use shared::lambda::{Answer, Call, Function};
use shared::model::{AvailableAgent, PhoneNumber, Status};
use shared::secrets::Secrets;
use shared::store::{ListFilter, ListPage, Position, Store, Summary};

use cursor::Cursor;

const LIMIT_DEFAULT: i64 = 50;
const LIMIT_LARGEST: i64 = 200;
const OFFSET_LARGEST: i64 = 1_000_000;
/// As long as a friendly name can be.
const LONGEST_SEARCH: usize = 255;

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

    async fn handle(&self, call: Call) -> Result<Answer, Error> {
        let request = Request::read(call.query())?;
        let page = ListPage { limit: request.limit, offset: request.offset, after: request.after() };
        let listing = self.store.list(call.user_id, &request.filter, page, request.include_agents).await?;
        // The rows are the caller's whatever the cursor says; what is refused is a page that would continue nothing.
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

/// The query.
struct Request {
    filter: ListFilter,
    include_agents: bool,
    limit: i64,
    offset: i64,
    cursor: Option<Cursor>,
}

impl Request {
    fn read(mut input: Input) -> Result<Self, Error> {
        let assigned = assigned(&mut input);
        let filter = ListFilter {
            status: input.parsed::<Status>("status"),
            include_released: input.boolean("include_released").unwrap_or(false),
            assigned,
            agent_id: input.uuid("agent_id"),
            search: input.text("search", LONGEST_SEARCH),
        };
        let request = Self {
            include_agents: input.boolean("include_agents").unwrap_or(false),
            limit: input.integer("limit", 1..=LIMIT_LARGEST).unwrap_or(LIMIT_DEFAULT),
            cursor: cursor(&mut input, &filter),
            offset: input.integer("offset", 0..=OFFSET_LARGEST).unwrap_or(0),
            filter,
        };
        input.finish()?;
        Ok(request)
    }

    fn after(&self) -> Option<Position> {
        self.cursor.as_ref().map(Cursor::position)
    }
}

/// A cursor continues the very list it came from, and says where: an offset beside it would say it twice.
fn cursor(input: &mut Input, filter: &ListFilter) -> Option<Cursor> {
    if input.has("cursor") && input.has("offset") {
        input.refuse("offset", "cannot be given together with cursor");
    }
    let cursor: Cursor = input.parsed("cursor")?;
    if !cursor.continues(filter) {
        input.refuse("cursor", "belongs to a list with other filters");
    }
    Some(cursor)
}

/// The answer.
#[derive(Serialize)]
struct Page {
    phone_numbers: Vec<PhoneNumber>,
    #[serde(skip_serializing_if = "Option::is_none")]
    available_agents: Option<Vec<AvailableAgent>>,
    summary: Summary,
    pagination: Pagination,
}

#[derive(Serialize)]
struct Pagination {
    limit: i64,
    offset: i64,
    total: i64,
    next_cursor: Option<String>,
}
