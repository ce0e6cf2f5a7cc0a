//! `page[number]` and `page[size]`.

use serde_json::{Value, json};

use super::{errors::Problem, query::Query, settings::Settings};

const DEFAULT_SIZE: usize = 20;
const LARGEST_SIZE: usize = 250;

/// One page of a list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    number: usize,
    size: usize,
}

impl Page {
    pub(super) fn from(query: &Query, settings: &Settings) -> Result<Self, Problem> {
        // Limited so that the offset cannot overflow.
        let last = settings.last_page.unwrap_or(usize::MAX).min(u32::MAX as usize);
        Ok(Self {
            number: query.integer(&["page", "number"], 1, last)?.unwrap_or(1),
            size: query.integer(&["page", "size"], 1, LARGEST_SIZE)?.unwrap_or(DEFAULT_SIZE),
        })
    }

    /// Limits the page size.
    pub(super) fn at_most(self, size: usize) -> Self {
        Self { size: self.size.min(size.max(1)), ..self }
    }

    /// The answer to a list request. A page past the end is empty, not an error.
    pub(super) fn answer<T>(self, items: &[T], show: impl Fn(&T) -> Value) -> Value {
        let shown: Vec<_> = items.iter().skip((self.number - 1) * self.size).take(self.size).map(show).collect();
        json!({
            "data": shown,
            "meta": {
                "page_number": self.number,
                "page_size": self.size,
                "total_pages": items.len().div_ceil(self.size),
                "total_results": items.len(),
            },
        })
    }

    /// All items on one page, for lists that Telnyx does not page.
    pub(super) fn whole<T>(items: &[T], show: impl Fn(&T) -> Value) -> Value {
        Self { number: 1, size: items.len().max(1) }.answer(items, show)
    }
}
