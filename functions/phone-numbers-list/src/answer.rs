//! The answer to a list.

use serde::Serialize;
use shared::model::{AvailableAgent, PhoneNumber};
use shared::store::Summary;

/// A page of a list.
#[derive(Serialize)]
pub(crate) struct Page {
    pub(crate) phone_numbers: Vec<PhoneNumber>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) available_agents: Option<Vec<AvailableAgent>>,
    pub(crate) summary: Summary,
    pub(crate) pagination: Pagination,
}

#[derive(Serialize)]
pub(crate) struct Pagination {
    pub(crate) limit: i64,
    pub(crate) offset: i64,
    pub(crate) total: i64,
    pub(crate) next_cursor: Option<String>,
}
