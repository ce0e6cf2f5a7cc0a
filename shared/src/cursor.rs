//! Keyset cursors: where the next page of a list begins, bound to the agency and the filters it was made for, or of the history of a
//! row, bound to the row.
//!
//! They are opaque to callers and contain nothing that they do not know. They need no signature, since a page has only rows of the
//! caller's agency whatever the cursor contains.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::error::Error;
use crate::lambda::input::Rule;
use crate::model::{Timestamp, Written};
use crate::store::{ListFilter, Position};

const UNREADABLE: &str = "is not a cursor of this list";

/// A cursor is one that an earlier answer contained: its type refuses any other.
pub const CURSOR_OF_AN_ANSWER: Rule = Rule { name: "cursor_of_an_answer", field: "cursor", message: UNREADABLE };

/// A cursor continues the list that it came from.
pub const CURSOR_WITH_ITS_FILTERS: Rule =
    Rule { name: "cursor_with_its_filters", field: "cursor", message: "belongs to a list with other filters" };

/// Where the next page of a list begins.
#[derive(Debug, PartialEq, Eq)]
pub struct Cursor {
    agency_id: Uuid,
    /// The [`ListFilter`] as JSON.
    filter: Value,
    position: Position,
}

/// What is written: agency, filter, microseconds since 1970, row.
#[derive(Serialize, Deserialize)]
struct Encoded(Uuid, Value, i64, Uuid);

impl Cursor {
    /// The cursor of the rows behind a place.
    ///
    /// # Errors
    /// `Internal` if the filter cannot be written as JSON.
    pub fn new(agency_id: Uuid, filter: &ListFilter, position: Position) -> Result<Self, Error> {
        let filter = serde_json::to_value(filter).map_err(|error| Error::Internal(Box::new(error)))?;
        Ok(Self { agency_id, filter, position })
    }

    /// The place.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }

    /// Whether it comes from a list with these filters.
    #[must_use]
    pub fn continues(&self, filter: &ListFilter) -> bool {
        serde_json::to_value(filter).is_ok_and(|filter| filter == self.filter)
    }

    /// Refuses the cursor of another agency. The rows are those of the caller's agency in any case.
    ///
    /// # Errors
    /// `InvalidRequest` if the cursor is another agency's.
    pub fn is_of(&self, agency_id: Uuid) -> Result<(), Error> {
        if self.agency_id == agency_id { Ok(()) } else { Err(Error::invalid("cursor", UNREADABLE)) }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Postgres keeps microseconds, so that nothing is lost.
        let written = Encoded(self.agency_id, self.filter.clone(), self.position.created_at.timestamp_micros(), self.position.id);
        let json = serde_json::to_vec(&written).map_err(|_| fmt::Error)?;
        formatter.write_str(&BASE64_URL_SAFE_NO_PAD.encode(json))
    }
}

impl FromStr for Cursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let json = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| UNREADABLE)?;
        let Encoded(agency_id, filter, micros, id) = serde_json::from_slice(&json).map_err(|_| UNREADABLE)?;
        let created_at = Timestamp::from_micros(micros).ok_or(UNREADABLE)?.into();
        Ok(Self { agency_id, filter, position: Position { created_at, id } })
    }
}

/// Base64 of a JSON document; which texts are cursors is none of a caller's business.
impl Written for Cursor {
    #[cfg(feature = "schema")]
    fn schema() -> Value {
        serde_json::json!({"type": "string", "minLength": 1})
    }
}

/// Where the next page of the history of a row begins: the row, and the entry before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryCursor(pub Uuid, pub i64);

impl fmt::Display for HistoryCursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_vec(self).map_err(|_| fmt::Error)?;
        formatter.write_str(&BASE64_URL_SAFE_NO_PAD.encode(json))
    }
}

impl FromStr for HistoryCursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let json = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| UNREADABLE)?;
        serde_json::from_slice(&json).map_err(|_| UNREADABLE)
    }
}

/// A cursor of either kind.
#[derive(Debug, PartialEq, Eq)]
pub enum AnyCursor {
    /// Of a list.
    List(Cursor),
    /// Of a history.
    History(HistoryCursor),
}

impl FromStr for AnyCursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self::List).or_else(|_| text.parse().map(Self::History))
    }
}

impl Written for AnyCursor {
    #[cfg(feature = "schema")]
    fn schema() -> Value {
        <Cursor as Written>::schema()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;
    use crate::model::Status;

    fn filter() -> ListFilter {
        ListFilter { status: Some(Status::Active), search: Some("büro".to_owned()), ..ListFilter::default() }
    }

    fn cursor() -> Cursor {
        let created_at = DateTime::from_timestamp_micros(1_767_225_600_123_456).unwrap();
        Cursor::new(Uuid::from_u128(1), &filter(), Position { created_at, id: Uuid::from_u128(2) }).unwrap()
    }

    #[test]
    fn a_cursor_survives_being_written_to_the_microsecond() {
        assert_eq!(cursor().to_string().parse(), Ok(cursor()));
    }

    #[test]
    fn a_cursor_continues_only_the_list_it_came_from() {
        assert!(cursor().continues(&filter()));
        assert!(!cursor().continues(&ListFilter { search: None, ..filter() }));
        assert!(!cursor().continues(&ListFilter { include_released: true, ..filter() }));
    }

    /// Every filter, with every position that Postgres can hold.
    fn cursors() -> impl Strategy<Value = (ListFilter, Cursor)> {
        let words = [Status::Pending, Status::Active, Status::Inactive, Status::Released];
        let status = proptest::option::of(proptest::sample::select(words.to_vec()));
        let ids = (any::<u128>(), proptest::option::of(any::<u128>()), any::<u128>());
        let filter = (status, any::<bool>(), proptest::option::of(any::<bool>()), proptest::option::of(any::<String>()));
        (filter, ids, -60_000_000_000_000_000..250_000_000_000_000_000_i64).prop_map(|(filter, (agency, agent, row), micros)| {
            let (status, include_released, assigned, search) = filter;
            let filter = ListFilter { status, include_released, assigned, agent_id: agent.map(Uuid::from_u128), search, number: None };
            let position = Position { created_at: DateTime::from_timestamp_micros(micros).unwrap(), id: Uuid::from_u128(row) };
            let cursor = Cursor::new(Uuid::from_u128(agency), &filter, position).unwrap();
            (filter, cursor)
        })
    }

    proptest! {
        #[test]
        fn every_cursor_is_read_back_and_continues_its_own_list((filter, cursor) in cursors()) {
            let text = cursor.to_string();
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
            prop_assert!(cursor.continues(&filter));
            prop_assert_eq!(text.parse(), Ok(cursor));
        }

        #[test]
        fn a_cursor_continues_no_list_with_another_filter((filter, cursor) in cursors(), search: Option<String>, agent: u128) {
            let others = [ListFilter { search, ..filter.clone() }, ListFilter { agent_id: Some(Uuid::from_u128(agent)), ..filter.clone() }];
            for other in others {
                let is_same = (&other.search, other.agent_id) == (&filter.search, filter.agent_id);
                prop_assert_eq!(cursor.continues(&other), is_same);
            }
        }

        #[test]
        fn any_text_is_a_cursor_or_is_refused(text in any::<String>()) {
            if let Ok(cursor) = text.parse::<Cursor>() {
                prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
            }
        }
    }

    #[test]
    fn a_cursor_of_a_history_is_none_of_a_list() {
        let history = HistoryCursor(Uuid::from_u128(3), 4711);
        assert_eq!(history.to_string().parse(), Ok(AnyCursor::History(history)));
        assert_eq!(history.to_string().parse::<Cursor>(), Err(UNREADABLE));
        assert_eq!(cursor().to_string().parse(), Ok(AnyCursor::List(cursor())));
        assert_eq!(cursor().to_string().parse::<HistoryCursor>(), Err(UNREADABLE));
        assert_eq!("x".parse::<AnyCursor>(), Err(UNREADABLE));
    }

    #[test]
    fn a_cursor_whose_time_postgres_cannot_hold_is_refused() {
        for micros in [i64::MIN, -210_866_803_200_000_001, i64::MAX] {
            let written = serde_json::to_vec(&Encoded(Uuid::from_u128(1), Value::Null, micros, Uuid::from_u128(2))).unwrap();
            assert_eq!(BASE64_URL_SAFE_NO_PAD.encode(written).parse::<Cursor>(), Err(UNREADABLE), "{micros}");
        }
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for text in ["", "x", "bm9uc2Vuc2U", "W10", "é"] {
            assert_eq!(text.parse::<Cursor>(), Err(UNREADABLE), "{text}");
        }
    }
}
