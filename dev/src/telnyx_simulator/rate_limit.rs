//! The rate limit of an account: requests per window, and the headers about it.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use hyper::header::{HeaderMap, HeaderValue};

use super::{clock::millis, settings::Settings};

/// The limit in the headers if none is set.
const ADVERTISED_LIMIT: u32 = 2000;

/// The current window of each account.
#[derive(Debug, Default)]
pub(super) struct Traffic(HashMap<String, Window>);

#[derive(Debug)]
struct Window {
    since: DateTime<Utc>,
    used: u32,
}

/// The values of the headers about the limit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    limit: u32,
    /// Requests left in the window.
    remaining: u32,
    window: TimeDelta,
    /// Until the window ends.
    reset: TimeDelta,
}

impl Rate {
    /// The rate in an answer that is not counted: a whole window is left, or nothing of it if the status is 429.
    pub(super) fn uncounted(settings: &Settings, status: u16) -> Self {
        Self::of(settings, window(settings), if status == 429 { u32::MAX } else { 0 })
    }

    fn of(settings: &Settings, reset: TimeDelta, used: u32) -> Self {
        let limit = settings.rate_limit_per_second.unwrap_or(ADVERTISED_LIMIT);
        Self { limit, remaining: limit.saturating_sub(used), window: window(settings), reset }
    }

    /// Telnyx's `x-ratelimit-*`, in whole seconds.
    pub(super) fn headers(&self) -> HeaderMap {
        let Self { limit, remaining, window, reset } = self;
        let mut headers = HeaderMap::new();
        if let Ok(limit) = HeaderValue::try_from(format!("{limit}, {limit};w={}", whole_seconds(*window))) {
            headers.insert("x-ratelimit-limit", limit);
        }
        headers.insert("x-ratelimit-remaining", HeaderValue::from(*remaining));
        headers.insert("x-ratelimit-reset", HeaderValue::from(whole_seconds(*reset)));
        headers
    }
}

/// Rounded up, so that a client that waits this long waits long enough.
fn whole_seconds(time: TimeDelta) -> i64 {
    (time + TimeDelta::nanoseconds(999_999_999)).num_seconds()
}

impl Traffic {
    /// Counts a request of an account. `Err` if it exceeds the limit.
    pub(super) fn admit(&mut self, account: &str, now: DateTime<Utc>, settings: &Settings) -> Result<Rate, Rate> {
        let length = window(settings);
        let window = self.0.entry(account.to_owned()).or_insert(Window { since: now, used: 0 });
        if now >= window.since + length {
            *window = Window { since: now, used: 0 };
        }
        window.used += 1;
        let rate = Rate::of(settings, window.since + length - now, window.used);
        if settings.rate_limit_per_second.is_some_and(|limit| window.used > limit) { Err(rate) } else { Ok(rate) }
    }
}

fn window(settings: &Settings) -> TimeDelta {
    millis(settings.rate_limit_window_ms.get())
}
