//! The query of a list.

use shared::error::Error;
use shared::input::{Input, assigned};
use shared::model::{Status, digits_of_written_number};
use shared::store::{ListFilter, Position};

use crate::cursor::Cursor;

const LIMIT_DEFAULT: i64 = 50;
const LIMIT_LARGEST: i64 = 200;
const OFFSET_LARGEST: i64 = 1_000_000;
/// As long as a friendly name can be.
const LONGEST_SEARCH: usize = 255;

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
        let assigned = assigned(&mut input);
        let search = input.text("search", LONGEST_SEARCH);
        let filter = ListFilter {
            status: input.parsed::<Status>("status"),
            include_released: input.boolean("include_released").unwrap_or(false),
            assigned,
            agent_id: input.uuid("agent_id"),
            number: search.as_deref().and_then(digits_of_written_number).filter(|digits| Some(digits) != search.as_ref()),
            search,
        };
        let include_agents = input.boolean("include_agents").unwrap_or(false);
        let limit = input.integer("limit", 1..=LIMIT_LARGEST).unwrap_or(LIMIT_DEFAULT);
        let cursor = cursor(&mut input, &filter);
        let offset = input.integer("offset", 0..=OFFSET_LARGEST).unwrap_or(0);
        input.build(|| Some(Self { filter, include_agents, limit, offset, cursor }))
    }

    /// Where the page begins.
    pub(crate) fn after(&self) -> Option<Position> {
        self.cursor.as_ref().map(Cursor::position)
    }
}

/// A cursor continues the list that it came from. It is a position, so an offset beside it is refused.
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
