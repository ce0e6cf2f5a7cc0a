//! The queries and bodies of the four methods.
//!
//! They name a number by the `id` of our row, which they also call `phone_number_id`, as the documented function does. In a row,
//! `phone_number_id` is Telnyx's id.

use shared::error::Error;
use shared::input::{Input, assigned};
use shared::model::{Direction, Patch, Status};
use shared::store::{Change, ListFilter};
use uuid::Uuid;

/// The width of the column `friendly_name`.
const LONGEST_NAME: usize = 255;

/// GET: what to show.
pub(crate) enum Show {
    /// One number.
    One { id: Uuid, include_history: bool },
    /// The numbers that the filter selects.
    All(ListFilter),
}

impl Show {
    pub(crate) fn read(mut input: Input) -> Result<Self, Error> {
        if input.has("id") || input.has("phone_number_id") {
            let id = row_id(&mut input);
            let include_history = input.boolean("include_history").unwrap_or(false);
            return input.build(|| Some(Self::One { id: id?, include_history }));
        }
        let filter = ListFilter { status: input.parsed::<Status>("status"), assigned: assigned(&mut input), ..ListFilter::default() };
        input.build(|| Some(Self::All(filter)))
    }
}

/// POST: the row, and the agent that it gets.
pub(crate) fn assignment(mut input: Input) -> Result<(Uuid, Change), Error> {
    let id = row_id(&mut input);
    let agent = input.required("agent_mapping_id", |input| input.uuid("agent_mapping_id"));
    let direction = input.parsed::<Direction>("direction");
    input.build(|| Some((id?, Change { agent: Patch::Set(agent?), direction, ..Change::default() })))
}

/// PATCH: the row, and its new settings. A setting that is absent stays as it is.
pub(crate) fn settings(mut input: Input) -> Result<(Uuid, Change), Error> {
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
    input.build(|| Some((id?, change)))
}

/// DELETE: the row that loses its agent.
pub(crate) fn unassignment(mut input: Input) -> Result<(Uuid, Change), Error> {
    let id = row_id(&mut input);
    input.build(|| Some((id?, Change { agent: Patch::Clear, ..Change::default() })))
}

/// The row's id, under either of its names.
fn row_id(input: &mut Input) -> Option<Uuid> {
    let names = if input.has("id") { ["id", "phone_number_id"] } else { ["phone_number_id", "id"] };
    let id = input.required(names[0], |input| input.uuid(names[0]));
    let other = input.uuid(names[1]);
    if other.is_some() && id.is_some() && other != id {
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
