//! What the functions log about their requests.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

/// What a part of a log says.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// The time of all requests together.
    duration_ms: u64,
    /// How long they waited for answers of Postgres.
    postgres_ms: u64,
    /// How long they waited for answers of Telnyx.
    telnyx_ms: u64,
    /// Warnings and errors, and how often there was each.
    pub(super) complaints: BTreeMap<String, usize>,
}

/// How long a log is, in bytes.
pub(super) fn length(path: &Path) -> u64 {
    // Before the first line there is no file.
    fs::metadata(path).map_or(0, |found| found.len())
}

/// Reads a log from this byte on.
pub(super) fn read(path: &Path, from: u64) -> Result<Said> {
    let log = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let lines = log.get(usize::try_from(from)?..).unwrap_or_default().split(|byte| *byte == b'\n');
    let mut said = Said::default();
    for line in lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok()) {
        said.add(&line);
    }
    Ok(said)
}

impl Said {
    fn add(&mut self, line: &Value) {
        let fields = &line["fields"];
        let message = fields["message"].as_str().unwrap_or_default();
        if message == "request answered" {
            let of = |name: &str| fields[name].as_u64().unwrap_or_default();
            self.duration_ms += of("duration_ms");
            self.postgres_ms += of("postgres_ms");
            self.telnyx_ms += of("telnyx_ms");
        }
        if ["WARN", "ERROR"].contains(&line["level"].as_str().unwrap_or_default()) {
            let complaint = fields["error"].as_str().map_or_else(|| message.to_owned(), |error| format!("{message}: {error}"));
            *self.complaints.entry(complaint).or_default() += 1;
        }
    }

    /// The part of the requests' time that they waited for Postgres.
    pub(super) fn postgres_part(&self) -> f64 {
        part(self.postgres_ms, self.duration_ms)
    }

    /// The part of the requests' time that they waited for Telnyx.
    pub(super) fn telnyx_part(&self) -> f64 {
        part(self.telnyx_ms, self.duration_ms)
    }
}

#[expect(clippy::cast_precision_loss, reason = "no step takes 2^52 ms")]
fn part(part_ms: u64, whole_ms: u64) -> f64 {
    part_ms as f64 / whole_ms.max(1) as f64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn waits_are_parts_of_the_requests_time_and_complaints_are_counted() {
        let mut said = Said::default();
        let answered = json!({"message": "request answered", "duration_ms": 200, "postgres_ms": 20, "telnyx_ms": 150});
        said.add(&json!({"level": "INFO", "fields": answered}));
        said.add(&json!({"level": "INFO", "fields": {"message": "request answered", "duration_ms": 200, "postgres_ms": 80}}));
        for _ in 0..2 {
            said.add(&json!({"level": "WARN", "fields": {"message": "no connection", "error": "refused"}}));
        }
        assert!((said.postgres_part() - 0.25).abs() < 1e-9 && (said.telnyx_part() - 0.375).abs() < 1e-9);
        assert_eq!(said.complaints, BTreeMap::from([("no connection: refused".to_owned(), 2)]));
    }
}
