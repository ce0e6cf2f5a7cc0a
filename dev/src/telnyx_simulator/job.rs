//! A job on many numbers, and how Telnyx shows it.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{clock::zulu_millis, errors::Problem};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JobKind {
    Delete,
    Update,
}

#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: Uuid,
    pub(super) account: String,
    pub(super) kind: JobKind,
    /// The body of the request, with the values that an update sets.
    pub(super) body: Value,
    /// Id and E.164 of each number.
    pub(super) numbers: Vec<(String, String)>,
    /// The result for each number; empty while pending.
    pub(super) results: Vec<Result<(), Problem>>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
}

impl Job {
    pub(super) fn is_pending(&self) -> bool {
        self.results.is_empty()
    }

    pub(super) fn shown(&self) -> Value {
        let named = |(id, phone_number): &(String, String)| json!({ "id": id, "phone_number": phone_number });
        let all: Vec<_> = self.numbers.iter().map(named).collect();
        let with_results = || all.iter().cloned().zip(&self.results);
        let successful: Vec<_> = with_results().filter(|(_, result)| result.is_ok()).map(|(number, _)| number).collect();
        let failed: Vec<_> = with_results()
            .filter_map(|(mut number, result)| {
                number["errors"] = json!([result.as_ref().err()?.error()]);
                Some(number)
            })
            .collect();
        json!({
            "id": self.id,
            "record_type": "phone_numbers_job",
            "type": match self.kind {
                JobKind::Delete => "delete_phone_numbers",
                JobKind::Update => "update_phone_numbers",
            },
            "status": match (self.is_pending(), successful.is_empty()) {
                (true, _) => "pending",
                (false, false) => "completed",
                (false, true) => "failed",
            },
            "phone_numbers": all,
            "pending_operations": if self.is_pending() { all.clone() } else { Vec::new() },
            "successful_operations": successful,
            "failed_operations": failed,
            "created_at": zulu_millis(self.created_at),
            "updated_at": zulu_millis(self.updated_at),
        })
    }
}
