//! The simulator's time: it runs by itself for people, and by hand for tests.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// Who moves the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClockMode {
    /// It passes by itself.
    #[default]
    Auto,
    /// It stands still until `POST /_control/clock` advances it.
    Manual,
}

#[derive(Debug)]
pub(super) enum Clock {
    Running { ahead: TimeDelta },
    Stopped { at: DateTime<Utc> },
}

impl Clock {
    pub(super) fn new(mode: ClockMode) -> Self {
        match mode {
            ClockMode::Auto => Self::Running { ahead: TimeDelta::zero() },
            ClockMode::Manual => Self::Stopped { at: Utc::now() },
        }
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        match self {
            Self::Running { ahead } => Utc::now() + *ahead,
            Self::Stopped { at } => *at,
        }
    }

    pub(super) fn advance(&mut self, by: TimeDelta) {
        match self {
            Self::Running { ahead } => *ahead += by,
            Self::Stopped { at } => *at += by,
        }
    }

    /// Changes who moves the time, without a jump.
    pub(super) fn switch(&mut self, mode: ClockMode) {
        let now = self.now();
        *self = match mode {
            ClockMode::Auto => Self::Running { ahead: now - Utc::now() },
            ClockMode::Manual => Self::Stopped { at: now },
        };
    }
}

/// A setting in milliseconds as a span of time.
pub(super) fn millis(ms: u64) -> TimeDelta {
    // Far beyond any run; the cap keeps sums of times in range.
    const CENTURY_MS: u64 = 100 * 365 * 24 * 60 * 60 * 1000;
    TimeDelta::milliseconds(i64::try_from(ms.min(CENTURY_MS)).unwrap_or(0))
}

/// As number orders write it: microseconds and a numeric offset.
pub(super) fn micros(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string()
}

/// As phone numbers and events write it: milliseconds and `Z`.
pub(super) fn zulu_millis(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// As `purchased_at` is written: seconds and `Z`.
pub(super) fn zulu_seconds(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
