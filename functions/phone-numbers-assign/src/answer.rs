//! The answers: one number, all numbers, or a number that was changed.

use serde::Serialize;
use shared::error::Error;
use shared::lambda::Answer;
use shared::model::{AvailableAgent, HistoryEntry, PhoneNumber};

use crate::etag;

#[derive(Serialize)]
pub(crate) struct One {
    pub(crate) phone_number: PhoneNumber,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) history: Option<Vec<HistoryEntry>>,
}

impl One {
    pub(crate) fn answer(&self) -> Result<Answer, Error> {
        Ok(etag::tagged(Answer::ok(self)?, &self.phone_number))
    }
}

#[derive(Serialize)]
pub(crate) struct All {
    pub(crate) phone_numbers: Vec<PhoneNumber>,
    pub(crate) available_agents: Vec<AvailableAgent>,
}

#[derive(Serialize)]
pub(crate) struct Changed {
    pub(crate) success: bool,
    pub(crate) phone_number: PhoneNumber,
    pub(crate) message: &'static str,
}
