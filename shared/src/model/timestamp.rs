//! Times that Postgres can hold.

use chrono::{DateTime, Utc};

/// The first time of Postgres's type `timestamptz`, 24 November 4714 BC, in microseconds since 1970: `MIN_TIMESTAMP` in
/// Postgres's `datatype/timestamp.h`. Its last one lies behind the last of [`DateTime`].
const FIRST_MICROS: i64 = -210_866_803_200_000_000;

/// A time that a caller names and that Postgres can hold, to the microsecond.
///
/// ```
/// use shared::model::Timestamp;
///
/// assert!(Timestamp::from_micros(1_767_225_600_000_001).is_some());
/// assert!(Timestamp::from_micros(i64::MIN).is_none() && Timestamp::from_micros(i64::MAX).is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp(DateTime<Utc>);

impl Timestamp {
    /// The time so many microseconds after the beginning of 1970; None if Postgres cannot hold it.
    #[must_use]
    pub fn from_micros(micros: i64) -> Option<Self> {
        let time = DateTime::from_timestamp_micros(micros)?;
        (micros >= FIRST_MICROS).then_some(Self(time))
    }
}

impl From<Timestamp> for DateTime<Utc> {
    fn from(time: Timestamp) -> Self {
        time.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_postgres_cannot_hold_is_none() {
        for micros in [FIRST_MICROS, -1, 0, 8_210_266_876_799_999_999] {
            assert_eq!(Timestamp::from_micros(micros).map(|time| time.0.timestamp_micros()), Some(micros));
        }
        for micros in [i64::MIN, FIRST_MICROS - 1, 8_210_266_876_800_000_000, i64::MAX] {
            assert_eq!(Timestamp::from_micros(micros), None, "{micros}");
        }
    }
}
