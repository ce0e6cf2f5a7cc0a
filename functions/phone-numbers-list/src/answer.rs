//! The answer to a list.

use serde::Serialize;
use shared::model::{AvailableAgent, PhoneNumber};
use shared::store::Summary;

/// A page of a list.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(shared::document::JsonSchema), schemars(crate = "shared::document::schemars", rename = "ListPage"))]
pub(crate) struct Page {
    /// The rows, newest first.
    pub(crate) phone_numbers: Vec<PhoneNumber>,
    /// The agency's agents, ordered by name; only with `include_agents`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) available_agents: Option<Vec<AvailableAgent>>,
    /// All of the agency's rows in sum, whatever the filter.
    pub(crate) summary: Summary,
    /// Which page it is.
    pub(crate) pagination: Pagination,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(shared::document::JsonSchema), schemars(crate = "shared::document::schemars"))]
pub(crate) struct Pagination {
    /// The largest number of rows of a page.
    pub(crate) limit: i64,
    /// How many rows were skipped.
    pub(crate) offset: i64,
    /// How many rows the filter selects; of a filtered list, 1,000 at most.
    pub(crate) total: i64,
    /// False if the filter selects more rows than `total`.
    pub(crate) total_is_exact: bool,
    /// The `cursor` of the next page; null on the last one.
    pub(crate) next_cursor: Option<String>,
}
