//! Entity tags of rows, and writes that require the row as it was read (RFC 9110, 8.8.3 and 13.1.1).
//!
//! A row's tag is the time of its last change, in microseconds, which a trigger sets on every change. The agent that is shown
//! beside the row is no part of it.

use chrono::{DateTime, Utc};
use lambda_http::http::header::{ETAG, HeaderValue, IF_MATCH};
use shared::error::Error;
use shared::lambda::{Answer, Call};
use shared::model::{PhoneNumber, Timestamp};

/// The answer, with the tag of the row that is in it.
pub(crate) fn tagged(answer: Answer, row: &PhoneNumber) -> Answer {
    match HeaderValue::try_from(tag(row.updated_at)) {
        Ok(tag) => answer.with_header(ETAG, tag),
        Err(_) => answer,
    }
}

fn tag(updated_at: DateTime<Utc>) -> String {
    format!("\"{}\"", updated_at.timestamp_micros())
}

/// The times of the last change that `If-Match` permits; None if it permits every time.
///
/// # Errors
/// `InvalidRequest` if the header is not a list of tags.
pub(crate) fn expected(call: &Call) -> Result<Option<Vec<DateTime<Utc>>>, Error> {
    match call.header(IF_MATCH.as_str()).map(str::trim) {
        None | Some("*") => Ok(None),
        Some(tags) => {
            let changes = read(tags).ok_or_else(|| Error::invalid("If-Match", "must be * or a list of entity tags, in quotes"))?;
            Ok(Some(changes))
        }
    }
}

/// The times that a list of tags stands for. Weak tags, foreign tags, and tags of a time that no row can have match no row.
fn read(tags: &str) -> Option<Vec<DateTime<Utc>>> {
    let mut changes = Vec::new();
    // Our tags contain no comma, so a foreign tag that contains one cannot become one of ours.
    for tag in tags.split(',') {
        let tag = tag.trim();
        let opaque = tag.strip_prefix("W/").unwrap_or(tag).strip_prefix('"')?.strip_suffix('"')?;
        if opaque.contains('"') {
            return None;
        }
        if !tag.starts_with("W/") {
            changes.extend(opaque.parse().ok().and_then(Timestamp::from_micros).map(DateTime::from));
        }
    }
    Some(changes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn times() -> impl Strategy<Value = Vec<DateTime<Utc>>> {
        let time = (-60_000_000_000_000_000..250_000_000_000_000_000_i64).prop_filter_map("a time", DateTime::from_timestamp_micros);
        proptest::collection::vec(time, 1..5)
    }

    proptest! {
        #[test]
        fn a_list_of_our_tags_is_read_back_to_the_microsecond(times in times(), blanks in " {0,3}") {
            let header = times.iter().map(|time| tag(*time)).collect::<Vec<_>>().join(&format!("{blanks},{blanks}"));
            prop_assert_eq!(read(&header), Some(times));
        }

        #[test]
        fn a_weak_tag_permits_no_row(times in times()) {
            let header = times.iter().map(|time| format!("W/{}", tag(*time))).collect::<Vec<_>>().join(",");
            prop_assert_eq!(read(&header), Some(Vec::new()));
        }

        #[test]
        fn any_header_is_read_or_refused(header in any::<String>()) {
            if let Some(times) = read(&header) {
                prop_assert!(times.len() <= header.matches('"').count() / 2);
            }
        }
    }

    #[test]
    fn a_list_of_tags_stands_for_the_times_of_those_that_are_ours_and_strong() {
        let time = |micros| DateTime::from_timestamp_micros(micros).into_iter().collect::<Vec<_>>();
        assert_eq!(read("\"1767225600000001\""), Some(time(1_767_225_600_000_001)));
        assert_eq!(read("\"1\", \"2\""), Some([time(1), time(2)].concat()));
        assert_eq!(read("W/\"1\""), Some(Vec::new()));
        assert_eq!(read("\"another's\",\"\",\"1\""), Some(time(1)));
        assert_eq!(read("\"-9223372036854775808\",\"-210866803200000001\",\"1\""), Some(time(1)));
    }

    #[test]
    fn what_is_no_list_of_tags_is_refused() {
        for header in ["", "1", "\"1", "1\"", "\"", "\"1\" \"2\"", "\"1\",", "w/\"1\"", "*, \"1\""] {
            assert_eq!(read(header), None, "{header}");
        }
    }
}
