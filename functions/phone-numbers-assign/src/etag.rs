//! Entity tags of rows, and writes that want the row as it was read (RFC 9110, 8.8.3 and 13.1.1).
//!
//! A row's tag is the time of its last change, in microseconds: a trigger keeps that on every change, whoever makes it. The
//! agent that is shown beside the row is no part of it.

use chrono::{DateTime, Utc};
use lambda_http::http::header::{ETAG, HeaderValue, IF_MATCH};
use shared::error::Error;
use shared::lambda::{Answer, Call};
use shared::model::PhoneNumber;

/// The answer, with the tag of the row that is in it.
pub(crate) fn tagged(answer: Answer, row: &PhoneNumber) -> Answer {
    let tag = format!("\"{}\"", row.updated_at.timestamp_micros());
    match HeaderValue::try_from(tag) {
        Ok(tag) => answer.with_header(ETAG, tag),
        Err(_) => answer,
    }
}

/// The times of the last change that a write puts up with; None where any will do.
///
/// # Errors
/// `InvalidRequest`: the header is no list of tags.
pub(crate) fn expected(call: &Call) -> Result<Option<Vec<DateTime<Utc>>>, Error> {
    match call.header(IF_MATCH.as_str()).map(str::trim) {
        None | Some("*") => Ok(None),
        Some(tags) => {
            let changes = read(tags).ok_or_else(|| Error::invalid("If-Match", "must be * or a list of entity tags, in quotes"))?;
            Ok(Some(changes))
        }
    }
}

/// The times that a list of tags stands for. Those that are weak, or none of ours, match no row.
fn read(tags: &str) -> Option<Vec<DateTime<Utc>>> {
    let mut changes = Vec::new();
    // No tag of ours has a comma in it, and so none of another's that has can become one of ours.
    for tag in tags.split(',') {
        let tag = tag.trim();
        let opaque = tag.strip_prefix("W/").unwrap_or(tag).strip_prefix('"')?.strip_suffix('"')?;
        if opaque.contains('"') {
            return None;
        }
        if !tag.starts_with("W/") {
            changes.extend(opaque.parse().ok().and_then(DateTime::from_timestamp_micros));
        }
    }
    Some(changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_tags_stands_for_the_times_of_those_that_are_ours_and_strong() {
        let time = |micros| DateTime::from_timestamp_micros(micros).into_iter().collect::<Vec<_>>();
        assert_eq!(read("\"1767225600000001\""), Some(time(1_767_225_600_000_001)));
        assert_eq!(read("\"1\", \"2\""), Some([time(1), time(2)].concat()));
        assert_eq!(read("W/\"1\""), Some(Vec::new()));
        assert_eq!(read("\"another's\",\"\",\"1\""), Some(time(1)));
    }

    #[test]
    fn what_is_no_list_of_tags_is_refused() {
        for header in ["", "1", "\"1", "1\"", "\"", "\"1\" \"2\"", "\"1\",", "w/\"1\"", "*, \"1\""] {
            assert_eq!(read(header), None, "{header}");
        }
    }
}
