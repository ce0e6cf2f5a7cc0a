//! The simulator's clock: it runs by itself, or is advanced through `/_control/clock`.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// How the clock moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClockMode {
    /// It runs by itself.
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

    /// Changes the mode without a jump.
    pub(super) fn switch(&mut self, mode: ClockMode) {
        let now = self.now();
        *self = match mode {
            ClockMode::Auto => Self::Running { ahead: now - Utc::now() },
            ClockMode::Manual => Self::Stopped { at: now },
        };
    }
}

/// Converts a setting in milliseconds.
pub(super) fn millis(ms: u64) -> TimeDelta {
    // Longer than any run. The limit keeps sums of times in range.
    const CENTURY_MS: u64 = 100 * 365 * 24 * 60 * 60 * 1000;
    TimeDelta::milliseconds(i64::try_from(ms.min(CENTURY_MS)).unwrap_or(0))
}

/// The format in number orders: microseconds and a numeric offset.
pub(super) fn micros(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string()
}

/// The format in phone numbers and events: milliseconds and `Z`.
pub(super) fn zulu_millis(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The format of `purchased_at`: seconds and `Z`.
pub(super) fn zulu_seconds(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
