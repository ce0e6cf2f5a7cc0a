//! The answers: one number, all numbers, or a number that was changed.

use serde::Serialize;
use shared::error::Error;
use shared::lambda::Answer;
use shared::model::{AvailableAgent, HistoryEntry, PhoneNumber};

use crate::etag;

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(shared::document::JsonSchema), schemars(crate = "shared::document::schemars", rename = "OneNumber"))]
pub(crate) struct One {
    /// The number.
    pub(crate) phone_number: PhoneNumber,
    /// What happened to the number; only with `include_history`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) history: Option<Vec<HistoryEntry>>,
    /// Which page of the history it is; only with `include_history`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pagination: Option<Pagination>,
}

impl One {
    pub(crate) fn answer(&self) -> Result<Answer, Error> {
        Ok(etag::tagged(Answer::ok(self)?, &self.phone_number))
    }
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(shared::document::JsonSchema), schemars(crate = "shared::document::schemars", rename = "AllNumbers"))]
pub(crate) struct All {
    /// The numbers that the filter selects.
    pub(crate) phone_numbers: Vec<PhoneNumber>,
    /// The agency's agents, ordered by name.
    pub(crate) available_agents: Vec<AvailableAgent>,
    /// Which page it is.
    pub(crate) pagination: Pagination,
}

#[derive(Serialize)]
#[cfg_attr(
    feature = "schema",
    derive(shared::document::JsonSchema),
    schemars(crate = "shared::document::schemars", rename = "AssignPagination")
)]
pub(crate) struct Pagination {
    /// The largest number of rows or entries of a page; null if none was asked for.
    pub(crate) limit: Option<i64>,
    /// The `cursor` of the next page; null on the last one.
    pub(crate) next_cursor: Option<String>,
}

#[derive(Serialize)]
#[cfg_attr(
    feature = "schema",
    derive(shared::document::JsonSchema),
    schemars(crate = "shared::document::schemars", rename = "ChangedNumber")
)]
pub(crate) struct Changed {
    /// Always true.
    pub(crate) success: bool,
    /// The number as it is now.
    pub(crate) phone_number: PhoneNumber,
    /// What was done, as one sentence.
    pub(crate) message: &'static str,
}
