//! Everything that crossed `/v2`.

use super::Exchange;

/// How many answers are remembered in full: a storm of searches would otherwise fill the memory.
const MOST_ANSWERS: usize = 2000;

#[derive(Debug, Default)]
pub(super) struct Journal(Vec<Entry>);

/// An exchange without its answer, and the answer as text, which is far smaller than the tree.
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
