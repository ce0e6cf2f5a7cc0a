//! `phone-numbers-assign`: which agent answers a number, and the number's settings.

mod answer;
#[cfg(feature = "schema")]
pub mod document;
mod etag;
mod request;

use std::sync::Arc;

use lambda_http::http::Method;
use shared::config::Config;
use shared::cursor::{Cursor, HistoryCursor};
use shared::error::Error;
use shared::lambda::{Answer, Call, Function, size};
use shared::model::Caller;
use shared::secrets::Secrets;
use shared::store::{Access, Change, ListFilter, Position, Store};
use uuid::Uuid;

use answer::{All, Changed, One, Pagination};
use request::Show;

/// How many rows are read at once if no page was asked for.
const BATCH: i64 = 1_000;

/// The function.
pub struct Assign {
    store: Store,
}

impl Function for Assign {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const METHODS: &'static [&'static str] = &["GET", "POST", "PATCH", "DELETE"];

    fn new(config: &Config, secrets: Arc<Secrets>) -> Self {
        Self { store: Store::new(config, secrets) }
    }

    async fn warm(&self) {
        self.store.warm().await;
    }

    async fn check(&self) -> Result<(), Error> {
        self.store.check(Access::Assign).await
    }

    async fn handle(&self, call: Call) -> Result<Answer, Error> {
        match call.method {
            Method::POST => self.change(&call, request::assignment(call.body()?)?, "The phone number is assigned.").await,
            Method::PATCH => self.change(&call, request::settings(call.body()?)?, "The phone number's settings are changed.").await,
            Method::DELETE => self.change(&call, request::unassignment(call.query_or_body()?)?, "The phone number is unassigned.").await,
            _ => self.show(&call).await,
        }
    }
}

impl Assign {
    /// One number, or all of them with the agents that they could be assigned to.
    async fn show(&self, call: &Call) -> Result<Answer, Error> {
        let caller = caller(call);
        match Show::read(call.query())? {
            Show::One { id, history: Some(page) } => {
                let (phone_number, history) = self.store.number_with_history(&caller, id, page.after, page.limit).await?;
                let next_cursor = history.next.map(|entry| HistoryCursor(id, entry).to_string());
                let pagination = Some(Pagination { limit: Some(page.limit), next_cursor });
                One { phone_number, history: Some(history.entries), pagination }.answer()
            }
            Show::One { id, history: None } => {
                One { phone_number: self.store.number(&caller, id).await?, history: None, pagination: None }.answer()
            }
            Show::All { filter, limit, cursor } => Answer::ok(&self.all(&caller, &filter, limit, cursor).await?),
        }
    }

    /// A page of the numbers, or as many as fit. Those are read in batches, so that a process never holds many more of them.
    async fn all(&self, caller: &Caller, filter: &ListFilter, limit: Option<i64>, cursor: Option<Cursor>) -> Result<All, Error> {
        let rows = limit.unwrap_or(BATCH);
        let mut batch = self.store.numbers_and_agents(caller, filter, cursor.as_ref().map(Cursor::position), rows, true).await?;
        let agency_id = batch.agency_id;
        if let Some(cursor) = cursor {
            cursor.is_of(agency_id)?;
        }
        let mut agents = std::mem::take(&mut batch.agents);
        size::keep_what_fits(&mut agents, &mut { size::LONGEST_AGENTS })?;
        let mut room = size::LONGEST_LIST;
        let mut numbers = Vec::new();
        let next = loop {
            let all_fit = size::keep_what_fits(&mut batch.numbers, &mut room)?;
            numbers.append(&mut batch.numbers);
            if !all_fit {
                break numbers.last().map(Position::of);
            }
            if limit.is_some() || batch.next.is_none() {
                break batch.next;
            }
            batch = self.store.numbers_and_agents(caller, filter, batch.next, BATCH, false).await?;
        };
        let next_cursor = next.map(|position| Cursor::new(agency_id, filter, position)).transpose()?.map(|next| next.to_string());
        Ok(All { phone_numbers: numbers, available_agents: agents, pagination: Pagination { limit, next_cursor } })
    }

    /// Changes a row, if it still is as `If-Match` says.
    async fn change(&self, call: &Call, (id, change): (Uuid, Change), message: &'static str) -> Result<Answer, Error> {
        let expected = etag::expected(call)?;
        let phone_number = self.store.change(&caller(call), id, &change, expected.as_deref()).await?;
        let changed = Changed { success: true, phone_number, message };
        Ok(etag::tagged(Answer::ok(&changed)?, &changed.phone_number))
    }
}

fn caller(call: &Call) -> Caller {
    Caller::new(call.user_id, Assign::NAME, call.method.as_str())
}
