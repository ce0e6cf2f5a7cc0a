//! The exchanges on `/v2`.

use serde_json::Value;

/// A request to `/v2` and its answer.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// In capitals.
    pub method: String,
    /// As sent, with `/v2`.
    pub path: String,
    /// As sent, without the question mark.
    pub query: String,
    /// `Null` if there was none or it is not JSON.
    pub request_body: Value,
    /// `None` if the connection was cut.
    pub status: Option<u16>,
    /// The body of the answer before a fault changed it. `Null` if the connection was cut, or after two thousand further
    /// exchanges.
    pub response_body: Value,
    /// Whether a fault or the setting `documents_deadline` may have changed the answer.
    pub faulted: bool,
}

/// How many answers are kept in full, to limit memory.
const MOST_ANSWERS: usize = 2000;

#[derive(Debug, Default)]
pub(super) struct Journal(Vec<Entry>);

/// An exchange without its answer, and the answer as text, which takes less memory than a `Value`.
#[derive(Debug)]
struct Entry {
    exchange: Exchange,
    answer: String,
}

impl Journal {
    pub(super) fn add(&mut self, exchange: Exchange, answer: String) {
        self.0.push(Entry { exchange, answer });
        if let Some(index) = self.0.len().checked_sub(MOST_ANSWERS + 1) {
            self.0[index].answer = String::new();
        }
    }

    /// Each exchange with its answer.
    pub(super) fn exchanges(&self) -> Vec<Exchange> {
        let with_answer =
            |entry: &Entry| Exchange { response_body: serde_json::from_str(&entry.answer).unwrap_or_default(), ..entry.exchange.clone() };
        self.0.iter().map(with_answer).collect()
    }

    /// Each exchange without its answer.
    pub(super) fn requests(&self) -> impl Iterator<Item = &Exchange> {
        self.0.iter().map(|entry| &entry.exchange)
    }
}
