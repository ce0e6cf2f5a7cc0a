//! The queries and bodies of the four methods.
//!
//! They name a number by the `id` of our row, which they also call `phone_number_id`, as the documented function does. In a row,
//! `phone_number_id` is Telnyx's id.

use shared::cursor::{AnyCursor, CURSOR_OF_AN_ANSWER, CURSOR_WITH_ITS_FILTERS, Cursor, HistoryCursor};
use shared::error::Error;
use shared::input;
use shared::input::{Flag, Id, Input, Integer, Rule, Text, assigned};
use shared::model::{Direction, Patch, Status, Written};
use shared::store::{Change, ListFilter};
use uuid::Uuid;

/// The width of the column `friendly_name`.
const LONGEST_NAME: usize = 255;

/// How many entries of a history are a page unless the caller says otherwise.
const ENTRIES: i64 = 200;

/// A number is named under one of two names.
pub(crate) const A_NUMBER_IS_NAMED: Rule = Rule { name: "a_number_is_named", field: "phone_number_id", message: "is required" };

/// Both names name the same number.
pub(crate) const ONE_NUMBER: Rule = Rule { name: "one_number", field: "phone_number_id", message: "names another number than id" };

/// One number is named by its id alone.
pub(crate) const NO_FILTER_FOR_ONE: [Rule; 3] = {
    const fn rule(field: &'static str) -> Rule {
        Rule { name: "no_filter_for_one_number", field, message: "cannot be given together with the id of a number" }
    }
    [rule("status"), rule("assigned"), rule("unassigned")]
};

/// Only a list and a history have pages.
pub(crate) const NO_PAGE_FOR_ONE: [Rule; 2] = {
    const fn rule(field: &'static str) -> Rule {
        Rule { name: "no_page_for_one_number", field, message: "can be given together with the id of a number only with include_history" }
    }
    [rule("limit"), rule("cursor")]
};

/// A history is that of one number.
pub(crate) const HISTORY_OF_ONE: Rule =
    Rule { name: "history_of_one_number", field: "include_history", message: "can only be given together with the id of a number" };

/// The settings of a number.
pub(crate) const SETTINGS: [&str; 6] = ["friendly_name", "direction", "voice_enabled", "sms_enabled", "mms_enabled", "status"];

input! {
    /// GET: the query.
    pub(crate) struct Shown {
        /// The `id` of the row to show. Without it, all rows are shown.
        optional id: Id, example "9c1f3d0e-52a4-4b8e-9c61-2f1d9d6f7a10";
        /// The same as `id`.
        optional phone_number_id: Id, example "9c1f3d0e-52a4-4b8e-9c61-2f1d9d6f7a10";
        /// Adds `history`. Only together with `id`.
        optional include_history: Flag, example true;
        /// Rows in this status. Not together with `id`.
        optional status: Status, example "active";
        /// Rows with an agent. Neither together with `id` nor with `unassigned`.
        optional assigned: Flag, example true;
        /// Rows without an agent. Neither together with `id` nor with `assigned`.
        optional unassigned: Flag, example true;
        /// The largest number of rows, or of entries of a history. Without it, as many rows as 4 MB have room for, and 200 entries.
        optional limit: Integer<1, 200>, example 200;
        /// `pagination.next_cursor` of the previous page, with the same filters or the same `id`.
        optional cursor: AnyCursor;
    }
}

input! {
    /// POST: the body.
    pub(crate) struct Assigned {
        /// The `id` of the row.
        optional id: Id, example "9c1f3d0e-52a4-4b8e-9c61-2f1d9d6f7a10";
        /// The same as `id`. Not the `phone_number_id` of a row, which is Telnyx's.
        optional phone_number_id: Id, example "9c1f3d0e-52a4-4b8e-9c61-2f1d9d6f7a10";
        /// The id of the agent mapping that the number is assigned to.
        required agent_mapping_id: Id, example "0d3c5c6a-6b61-4a7e-8d0a-0f6f3f0c9b55";
        /// The call direction that the number is used for. Without it, the present one stays.
        optional direction: Direction, example "inbound";
    }
}

input! {
    /// PATCH: the body. A member that is absent stays as it is.
    pub(crate) struct Settings {
        /// The `id` of the row.
        optional id: Id, example "9c1f3d0e-52a4-4b8e-9c61-2f1d9d6f7a10";
        /// The same as `id`. Not the `phone_number_id` of a row, which is Telnyx's.
        optional phone_number_id: Id, example "9c1f3d0e-52a4-4b8e-9c61-2f1d9d6f7a10";
        /// The agency's own label; null clears it.
        clearable friendly_name: Text<LONGEST_NAME>, example "Night line";
        /// The call direction that the number is used for.
        setting direction: Direction, example "inbound";
        /// Whether the number takes calls.
        setting voice_enabled: Flag, example true;
        /// Whether the number takes SMS.
        setting sms_enabled: Flag, example false;
        /// Whether the number takes MMS.
        setting mms_enabled: Flag, example false;
        /// `inactive` disables the number for a time, `active` enables it again.
        setting status: ChosenStatus, example "inactive";
    }
}

input! {
    /// DELETE: the query or the body.
    pub(crate) struct Unassigned {
        /// The `id` of the row.
        optional id: Id, example "9c1f3d0e-52a4-4b8e-9c61-2f1d9d6f7a10";
        /// The same as `id`. Not the `phone_number_id` of a row, which is Telnyx's.
        optional phone_number_id: Id, example "9c1f3d0e-52a4-4b8e-9c61-2f1d9d6f7a10";
    }
}

/// GET: what to show.
pub(crate) enum Show {
    /// One number, and which part of its history, if that was asked for.
    One { id: Uuid, history: Option<HistoryPage> },
    /// The numbers that the filter selects, and which part of them.
    All { filter: ListFilter, limit: Option<i64>, cursor: Option<Cursor> },
}

/// A part of a history.
pub(crate) struct HistoryPage {
    pub(crate) limit: i64,
    /// The id of the entry before.
    pub(crate) after: Option<i64>,
}

impl Show {
    pub(crate) fn read(mut input: Input) -> Result<Self, Error> {
        let names_one = input.has("id") || input.has("phone_number_id");
        let refused = if names_one { &NO_FILTER_FOR_ONE[..] } else { std::slice::from_ref(&HISTORY_OF_ONE) };
        for rule in refused.iter().filter(|rule| input.has(rule.field)).collect::<Vec<_>>() {
            input.breaks(rule);
        }
        let show = input.read::<Shown>().and_then(|shown| if names_one { one(&mut input, &shown) } else { Some(all(&mut input, shown)) });
        input.finish(show)
    }
}

fn one(input: &mut Input, shown: &Shown) -> Option<Show> {
    let id = row_id(input, shown.id, shown.phone_number_id)?;
    if shown.include_history != Some(true) {
        let [limit, cursor] = &NO_PAGE_FOR_ONE;
        if shown.limit.is_some() {
            input.breaks(limit);
        }
        if shown.cursor.is_some() {
            input.breaks(cursor);
        }
        return Some(Show::One { id, history: None });
    }
    let after = match shown.cursor {
        Some(AnyCursor::History(HistoryCursor(row, entry))) if row == id => Some(entry),
        None => None,
        Some(_) => {
            input.breaks(&CURSOR_OF_AN_ANSWER);
            None
        }
    };
    Some(Show::One { id, history: Some(HistoryPage { limit: shown.limit.unwrap_or(ENTRIES), after }) })
}

fn all(input: &mut Input, shown: Shown) -> Show {
    let assigned = assigned(input, shown.assigned.unwrap_or(false), shown.unassigned.unwrap_or(false));
    let filter = ListFilter { status: shown.status, assigned, ..ListFilter::default() };
    let cursor = match shown.cursor {
        Some(AnyCursor::List(cursor)) => {
            if !cursor.continues(&filter) {
                input.breaks(&CURSOR_WITH_ITS_FILTERS);
            }
            Some(cursor)
        }
        Some(AnyCursor::History(_)) => {
            input.breaks(&CURSOR_OF_AN_ANSWER);
            None
        }
        None => None,
    };
    Show::All { filter, limit: shown.limit, cursor }
}

/// POST: the row, and the agent that it gets.
pub(crate) fn assignment(mut input: Input) -> Result<(Uuid, Change), Error> {
    require_a_row(&mut input);
    let assigned = input.read::<Assigned>().and_then(|body| {
        let id = row_id(&mut input, body.id, body.phone_number_id)?;
        Some((id, Change { agent: Patch::Set(body.agent_mapping_id), direction: body.direction, ..Change::default() }))
    });
    input.finish(assigned)
}

/// PATCH: the row, and its new settings.
pub(crate) fn settings(mut input: Input) -> Result<(Uuid, Change), Error> {
    if !SETTINGS.iter().any(|setting| input.has(setting)) {
        input.refuse(SETTINGS[0], "or another setting to change is required");
    }
    require_a_row(&mut input);
    let change = input.read::<Settings>().and_then(|body| {
        let id = row_id(&mut input, body.id, body.phone_number_id)?;
        let change = Change {
            friendly_name: body.friendly_name,
            direction: body.direction,
            voice_enabled: body.voice_enabled,
            sms_enabled: body.sms_enabled,
            mms_enabled: body.mms_enabled,
            status: body.status.map(|chosen| chosen.0),
            ..Change::default()
        };
        Some((id, change))
    });
    input.finish(change)
}

/// DELETE: the row that loses its agent.
pub(crate) fn unassignment(mut input: Input) -> Result<(Uuid, Change), Error> {
    require_a_row(&mut input);
    let unassigned = input.read::<Unassigned>().and_then(|row| {
        let id = row_id(&mut input, row.id, row.phone_number_id)?;
        Some((id, Change { agent: Patch::Clear, ..Change::default() }))
    });
    input.finish(unassigned)
}

/// Notes if the input names no row.
fn require_a_row(input: &mut Input) {
    if input.lacks("id") && input.lacks("phone_number_id") {
        input.breaks(&A_NUMBER_IS_NAMED);
    }
}

/// The row's id, under either of its names.
fn row_id(input: &mut Input, id: Option<Uuid>, phone_number_id: Option<Uuid>) -> Option<Uuid> {
    if id.is_some() && phone_number_id.is_some() && id != phone_number_id {
        input.breaks(&ONE_NUMBER);
    }
    id.or(phone_number_id)
}

/// A status that a caller may choose.
pub(crate) struct ChosenStatus(Status);

impl std::str::FromStr for ChosenStatus {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(status @ (Status::Active | Status::Inactive)) => Ok(Self(status)),
            _ => Err("must be active or inactive"),
        }
    }
}

impl Written for ChosenStatus {
    #[cfg(feature = "schema")]
    fn schema() -> shared::document::Value {
        shared::document::json!({"type": "string", "enum": [Status::Active, Status::Inactive]})
    }
}
