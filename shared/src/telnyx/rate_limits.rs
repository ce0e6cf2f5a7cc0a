//! Telnyx's rate limits: which accounts must wait, and how long.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chrono::DateTime;
use http::HeaderMap;
use http::header::RETRY_AFTER;

/// The wait if Telnyx does not say how long.
const DEFAULT_WAIT: Duration = Duration::from_secs(1);
/// The longest wait. Longer ones are shortened to it.
const LONGEST_WAIT: Duration = Duration::from_hours(1);
/// A larger number of seconds is a Unix time, in 2001 or later.
const EARLIEST_TIME_S: f64 = 1e9;

/// The accounts that Telnyx rate-limits at the moment. A limit holds for every call with the account's key.
#[derive(Default)]
pub(super) struct RateLimits(Mutex<HashMap<String, Limit>>);

/// The end of a wait, on both clocks. While a process is frozen between two requests its monotonic clock may stand still;
/// the wall clock can be set back.
#[derive(Clone, Copy)]
struct Limit {
    until: Instant,
    until_by_wall: SystemTime,
}

impl Limit {
    /// The remaining wait, rounded up to whole milliseconds; `None` once either clock has reached the end.
    fn remaining(self, now: Instant, now_by_wall: SystemTime) -> Option<Duration> {
        let left = self.until.saturating_duration_since(now);
        let left_by_wall = self.until_by_wall.duration_since(now_by_wall).unwrap_or_default();
        Some(whole_millis(left.min(left_by_wall))).filter(|left| !left.is_zero())
    }
}

impl RateLimits {
    /// The remaining wait of an account; `None` if a call may be sent now.
    pub(super) fn remaining(&self, account: &str) -> Option<Duration> {
        self.limits().get(account)?.remaining(Instant::now(), SystemTime::now())
    }

    /// Records that an account must wait, and returns how long: the longer of the new wait and the remaining one.
    pub(super) fn note(&self, account: &str, wait: Duration) -> Duration {
        let (now, now_by_wall) = (Instant::now(), SystemTime::now());
        let mut limits = self.limits();
        limits.retain(|_, limit| limit.remaining(now, now_by_wall).is_some());
        let earlier = limits.get(account).and_then(|limit| limit.remaining(now, now_by_wall)).unwrap_or_default();
        if wait > earlier {
            limits.insert(account.to_owned(), Limit { until: now + wait, until_by_wall: now_by_wall + wait });
        }
        wait.max(earlier)
    }

    fn limits(&self) -> MutexGuard<'_, HashMap<String, Limit>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The wait that the headers of a response ask for.
///
/// `Retry-After` counts first: seconds, also with a fraction, or an HTTP date. Then `x-ratelimit-reset`: Telnyx documents it as
/// seconds, and its examples show Unix times too. A wait that is missing, unreadable or over becomes one second, one longer than
/// an hour becomes an hour.
pub(super) fn wait(headers: &HeaderMap) -> Duration {
    wait_at(headers, SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// `now` is the time since the Unix epoch.
fn wait_at(headers: &HeaderMap, now: Duration) -> Duration {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let retry_after = text(RETRY_AFTER.as_str()).and_then(|text| seconds(text).or_else(|| until_date(text, now)));
    let reset = || {
        let reset = text("x-ratelimit-reset").and_then(seconds)?;
        Some(if reset > EARLIEST_TIME_S { reset - now.as_secs_f64() } else { reset })
    };
    let positive = |seconds: &f64| *seconds > 0.0;
    let Some(seconds) = retry_after.filter(positive).or_else(|| reset().filter(positive)) else { return DEFAULT_WAIT };
    whole_millis(Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT))
}

fn seconds(text: &str) -> Option<f64> {
    text.parse().ok().filter(|seconds: &f64| !seconds.is_nan())
}

/// The seconds from now to an HTTP date (RFC 9110, section 5.6.7, in the one form that may be sent).
fn until_date(text: &str, now: Duration) -> Option<f64> {
    let date = DateTime::parse_from_rfc2822(text).ok()?;
    let date = Duration::from_secs(u64::try_from(date.timestamp()).ok()?);
    Some(date.saturating_sub(now).as_secs_f64())
}

fn whole_millis(duration: Duration) -> Duration {
    Duration::from_millis(u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    /// `Thu, 01 Jan 2026 00:00:00 GMT`, and a little.
    const NOW: Duration = Duration::from_millis(1_767_225_600_250);

    fn waits(headers: &[(&'static str, &'static str)]) -> Duration {
        wait_at(&headers.iter().map(|(name, value)| (name.parse().unwrap_or(RETRY_AFTER), HeaderValue::from_static(value))).collect(), NOW)
    }

    #[test]
    fn a_wait_is_read_as_seconds_a_fraction_or_a_date_and_rounded_up() {
        let cases = [
            ("7", 7_000),
            (" 7 ", 7_000),
            ("1.5", 1_500),
            ("0.0001", 1),
            ("0.2", 200),
            ("Thu, 01 Jan 2026 00:00:30 GMT", 29_750),
            ("Thu, 01 Jan 2026 00:00:01 GMT", 750),
            ("Thu, 01 Jan 2026 23:00:00 GMT", 3_600_000),
            ("3600", 3_600_000),
        ];
        for (value, millis) in cases {
            assert_eq!(waits(&[("retry-after", value)]), Duration::from_millis(millis), "{value}");
        }
    }

    #[test]
    fn what_is_no_wait_is_a_second_and_what_is_absurd_is_an_hour() {
        for value in [
            "",
            "0",
            "-5",
            "NaN",
            "soon",
            "Thu, 01 Jan 2026 00:00:00 GMT",
            "Thu, 01 Jan 1970 00:00:00 GMT",
            "Fri, 01 Jan 2026 00:00:30 GMT",
        ] {
            assert_eq!(waits(&[("retry-after", value)]), DEFAULT_WAIT, "{value}");
        }
        assert_eq!(waits(&[]), DEFAULT_WAIT);
        for value in ["3601", "1e300", "inf", "99999999999999999999999999", "Thu, 31 Dec 9998 00:00:00 GMT"] {
            assert_eq!(waits(&[("retry-after", value)]), LONGEST_WAIT, "{value}");
        }
    }

    #[test]
    fn without_a_usable_retry_after_the_reset_counts_as_seconds_or_as_a_time() {
        assert_eq!(waits(&[("x-ratelimit-reset", "3")]), Duration::from_secs(3));
        assert_eq!(waits(&[("x-ratelimit-reset", "1767225604")]), Duration::from_millis(3_750));
        assert_eq!(waits(&[("x-ratelimit-reset", "1000000001")]), DEFAULT_WAIT);
        assert_eq!(waits(&[("x-ratelimit-limit", "2000, 2000;w=1")]), DEFAULT_WAIT);
        assert_eq!(waits(&[("retry-after", "7"), ("x-ratelimit-reset", "3")]), Duration::from_secs(7));
        assert_eq!(waits(&[("retry-after", "0"), ("x-ratelimit-reset", "3")]), Duration::from_secs(3));
    }

    #[test]
    fn an_account_waits_by_itself_and_the_longer_wait_counts() {
        let limits = RateLimits::default();
        assert_eq!(limits.remaining("one"), None);
        assert_eq!(limits.note("one", Duration::from_mins(1)), Duration::from_mins(1));
        let noted = limits.note("one", Duration::from_secs(2));
        assert!(noted > Duration::from_secs(50), "{noted:?}");
        assert!(limits.remaining("one").is_some_and(|left| left > Duration::from_secs(50)));
        assert_eq!(limits.remaining("another"), None);
        limits.note("another", Duration::ZERO);
        assert_eq!(limits.remaining("another"), None);
    }

    #[test]
    fn a_wait_is_over_when_either_clock_says_so() {
        let (now, wall, wait) = (Instant::now(), SystemTime::now(), Duration::from_secs(10));
        let limit = Limit { until: now + wait, until_by_wall: wall + wait };
        let later = |seconds| Duration::from_secs(seconds);
        assert_eq!(limit.remaining(now + later(4), wall + later(4)), Some(later(6)));
        // The process was frozen; the wall clock was set back.
        assert_eq!(limit.remaining(now + later(1), wall + later(10)), None);
        assert_eq!(limit.remaining(now + later(10), wall - later(1_000)), None);
        assert_eq!(limit.remaining(now + later(9) + Duration::from_nanos(1), wall), Some(later(1)));
    }
}
