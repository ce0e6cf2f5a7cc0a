//! `phone-numbers-assign`: which agent answers a number, and the number's settings.

mod answer;
#[cfg(feature = "schema")]
pub mod document;
mod etag;
mod request;

use std::sync::Arc;

use lambda_http::http::Method;
use shared::config::Config;
use shared::error::Error;
use shared::lambda::{Answer, Call, Function};
use shared::model::Caller;
use shared::secrets::Secrets;
use shared::store::{Access, Change, Store};
use uuid::Uuid;

use answer::{All, Changed, One};
use request::Show;

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
            Show::One { id, include_history: true } => {
                let (phone_number, history) = self.store.number_with_history(&caller, id).await?;
                One { phone_number, history: Some(history) }.answer()
            }
            Show::One { id, include_history: false } => One { phone_number: self.store.number(&caller, id).await?, history: None }.answer(),
            Show::All(filter) => {
                let all = self.store.numbers_and_agents(&caller, &filter).await?;
                Answer::ok(&All { phone_numbers: all.numbers, available_agents: all.agents })
            }
        }
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
