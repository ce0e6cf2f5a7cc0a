//! `phone-numbers-assign`: which agent answers a number, and the number's settings.

mod etag;

use std::sync::Arc;

use lambda_http::http::Method;
use serde::Serialize;
use shared::config::Config;
use shared::error::Error;
use shared::input::{Input, assigned};
use shared::lambda::{Answer, Call, Function};
use shared::model::{AvailableAgent, Direction, HistoryEntry, Patch, PhoneNumber, Status};
use shared::secrets::Secrets;
use shared::store::{Change, ListFilter, Store};
use uuid::Uuid;

/// The column's width.
const LONGEST_NAME: usize = 255;

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

    async fn handle(&self, call: Call) -> Result<Answer, Error> {
        match call.method {
            Method::POST => self.assign(&call).await,
            Method::PATCH => self.configure(&call).await,
            Method::DELETE => self.unassign(&call).await,
            _ => self.show(&call).await,
        }
    }
}

impl Assign {
    /// GET: one number, or all of them with the agents they could be assigned to.
    async fn show(&self, call: &Call) -> Result<Answer, Error> {
        let mut input = call.query();
        if input.has("id") || input.has("phone_number_id") {
            let id = row_id(&mut input);
            let include_history = input.boolean("include_history").unwrap_or(false);
            input.finish()?;
            if include_history {
                let (phone_number, history) = self.store.number_with_history(call.user_id, id).await?;
                return One { phone_number, history: Some(history) }.answer();
            }
            let phone_number = self.store.number(call.user_id, id).await?;
            return One { phone_number, history: None }.answer();
        }
        let filter = ListFilter { status: input.parsed::<Status>("status"), assigned: assigned(&mut input), ..ListFilter::default() };
        input.finish()?;
        let all = self.store.numbers_and_agents(call.user_id, &filter).await?;
        Answer::ok(&All { phone_numbers: all.numbers, available_agents: all.agents })
    }

    /// POST: assign an agent.
    async fn assign(&self, call: &Call) -> Result<Answer, Error> {
        let mut input = call.body()?;
        let id = row_id(&mut input);
        let agent = input.required("agent_mapping_id", |input| input.uuid("agent_mapping_id")).unwrap_or_default();
        let direction = input.parsed::<Direction>("direction");
        input.finish()?;
        let change = Change { agent: Patch::Set(agent), direction, ..Change::default() };
        self.change(call, id, &change, "The phone number is assigned.").await
    }

    /// PATCH: change settings; what is left out stays as it is.
    async fn configure(&self, call: &Call) -> Result<Answer, Error> {
        let mut input = call.body()?;
        // Null clears a name; the others have nothing to be cleared to.
        let settings = ["direction", "voice_enabled", "sms_enabled", "mms_enabled", "status"];
        input.refuse_nulls(&settings);
        if !input.has("friendly_name") && !settings.iter().any(|setting| input.has(setting)) {
            input.refuse("friendly_name", "or another setting to change is required");
        }
        let id = row_id(&mut input);
        let change = Change {
            friendly_name: input.patch_text("friendly_name", LONGEST_NAME),
            direction: input.parsed::<Direction>("direction"),
            voice_enabled: input.boolean("voice_enabled"),
            sms_enabled: input.boolean("sms_enabled"),
            mms_enabled: input.boolean("mms_enabled"),
            status: input.parsed::<ChosenStatus>("status").map(|chosen| chosen.0),
            ..Change::default()
        };
        input.finish()?;
        self.change(call, id, &change, "The phone number's settings are changed.").await
    }

    /// DELETE: take the number from its agent.
    async fn unassign(&self, call: &Call) -> Result<Answer, Error> {
        let mut input = call.query_or_body()?;
        let id = row_id(&mut input);
        input.finish()?;
        let change = Change { agent: Patch::Clear, ..Change::default() };
        self.change(call, id, &change, "The phone number is unassigned.").await
    }

    async fn change(&self, call: &Call, id: Uuid, change: &Change, message: &'static str) -> Result<Answer, Error> {
        let expected = etag::expected(call)?;
        let phone_number = self.store.change(call.user_id, id, change, expected.as_deref()).await?;
        let changed = Changed { success: true, phone_number, message };
        Ok(etag::tagged(Answer::ok(&changed)?, &changed.phone_number))
    }
}

/// The row's id, under either of its names.
fn row_id(input: &mut Input) -> Uuid {
    let names = if input.has("id") { ["id", "phone_number_id"] } else { ["phone_number_id", "id"] };
    let id = input.required(names[0], |input| input.uuid(names[0])).unwrap_or_default();
    if input.uuid(names[1]).is_some_and(|other| other != id) {
        input.refuse(names[1], "names another number than id");
    }
    id
}

/// A status that a caller may choose.
struct ChosenStatus(Status);

impl std::str::FromStr for ChosenStatus {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(status @ (Status::Active | Status::Inactive)) => Ok(Self(status)),
            _ => Err("must be active or inactive"),
        }
    }
}

#[derive(Serialize)]
struct One {
    phone_number: PhoneNumber,
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<Vec<HistoryEntry>>,
}

impl One {
    fn answer(&self) -> Result<Answer, Error> {
        Ok(etag::tagged(Answer::ok(self)?, &self.phone_number))
    }
}

#[derive(Serialize)]
struct All {
    phone_numbers: Vec<PhoneNumber>,
    available_agents: Vec<AvailableAgent>,
}

#[derive(Serialize)]
struct Changed {
    success: bool,
    phone_number: PhoneNumber,
    message: &'static str,
}
