//! The query of a list.

use serde_json::Value;
use shared::cursor::{CURSOR_WITH_ITS_FILTERS, Cursor};
use shared::error::Error;
use shared::input;
use shared::input::{Flag, Id, Input, Integer, Parameter, Rule, Text, assigned};
use shared::model::{Status, digits_of_written_number};
use shared::store::{ListFilter, Position};

/// As long as a friendly name can be.
const LONGEST_SEARCH: usize = 255;

/// A cursor is a position, so an offset beside it is refused.
pub(crate) const CURSOR_OR_OFFSET: Rule =
    Rule { name: "cursor_or_offset", field: "offset", message: "cannot be given together with cursor" };

/// The database reads every row that is skipped.
const LARGEST_OFFSET: i64 = 100_000;

/// How many rows are skipped.
pub(crate) struct Offset;

impl Parameter for Offset {
    type Value = i64;

    fn read(input: &mut Input, field: &str, value: Value) -> Option<i64> {
        let offset = Integer::<0, { i64::MAX }>::read(input, field, value)?;
        if offset > LARGEST_OFFSET {
            input.refuse(field, format!("must be at most {LARGEST_OFFSET}: pages further away are read by cursor"));
            return None;
        }
        Some(offset)
    }

    #[cfg(feature = "schema")]
    fn schema() -> Value {
        Integer::<0, LARGEST_OFFSET>::schema()
    }
}

input! {
    /// The query of a list.
    pub(crate) struct Query {
        /// Rows in this status.
        optional status: Status, example "active";
        /// Rows with an agent. Not together with `unassigned`.
        optional assigned: Flag = false;
        /// Rows without an agent. Not together with `assigned`.
        optional unassigned: Flag = false;
        /// Rows with this agent: the id of an agent mapping.
        optional agent_id: Id, example "0d3c5c6a-6b61-4a7e-8d0a-0f6f3f0c9b55";
        /// Part of the friendly name, in small or capital letters, or of the number, in E.164 or as people write it.
        optional search: Text<LONGEST_SEARCH>, example "(312) 555";
        /// Released rows too. `status=released` needs no such flag.
        optional include_released: Flag = false;
        /// Adds `available_agents`, ordered by name.
        optional include_agents: Flag = false;
        /// The largest number of rows.
        optional limit: Integer<1, 200> = 50;
        /// How many rows are skipped; 0 if it is absent. Not together with `cursor`, which reaches further.
        optional offset: Offset, example 50;
        /// `pagination.next_cursor` of the previous page, with the same filters.
        optional cursor: Cursor;
    }
}

/// What to list.
pub(crate) struct Request {
    pub(crate) filter: ListFilter,
    pub(crate) include_agents: bool,
    pub(crate) limit: i64,
    pub(crate) offset: i64,
    pub(crate) cursor: Option<Cursor>,
}

impl Request {
    pub(crate) fn read(mut input: Input) -> Result<Self, Error> {
        if input.has(CURSOR_OR_OFFSET.field) && input.has("cursor") {
            input.breaks(&CURSOR_OR_OFFSET);
        }
        let read = input.read::<Query>().map(|query| {
            let assigned = assigned(&mut input, query.assigned, query.unassigned);
            let digits = query.search.as_deref().and_then(digits_of_written_number);
            let filter = ListFilter {
                status: query.status,
                include_released: query.include_released,
                assigned,
                agent_id: query.agent_id,
                number: digits.filter(|digits| Some(digits) != query.search.as_ref()),
                search: query.search,
            };
            if query.cursor.as_ref().is_some_and(|cursor| !cursor.continues(&filter)) {
                input.breaks(&CURSOR_WITH_ITS_FILTERS);
            }
            let (include_agents, limit, offset) = (query.include_agents, query.limit, query.offset.unwrap_or(0));
            Self { filter, include_agents, limit, offset, cursor: query.cursor }
        });
        input.finish(read)
    }

    /// Where the page begins.
    pub(crate) fn after(&self) -> Option<Position> {
        self.cursor.as_ref().map(Cursor::position)
    }
}
