//! The answer to a release.

use lambda_http::http::StatusCode;
use serde::Serialize;
use shared::error::Error;
use shared::lambda::Answer;
use shared::model::E164;
use shared::problem::Problem;
use shared::saga::Released;
use uuid::Uuid;

/// The outcome for one id of the request.
pub(crate) struct Outcome {
    /// The id of the row.
    pub(crate) id: Uuid,
    /// The number; None if the agency has no such row.
    pub(crate) number: Option<E164>,
    pub(crate) result: Result<Released, Error>,
}

#[derive(Serialize)]
#[cfg_attr(
    feature = "schema",
    derive(shared::document::JsonSchema),
    schemars(crate = "shared::document::schemars", rename = "ReleaseResult")
)]
pub(crate) struct Body {
    /// Whether every number is released.
    success: bool,
    /// The numbers that are released.
    released: Vec<ReleasedItem>,
    /// The numbers that are not.
    failed: Vec<FailedItem>,
    /// Counts of both.
    summary: Summary,
    /// The counts in words.
    message: String,
}

#[derive(Serialize)]
#[cfg_attr(
    feature = "schema",
    derive(shared::document::JsonSchema),
    schemars(crate = "shared::document::schemars", rename = "ReleasedNumber")
)]
struct ReleasedItem {
    /// The id of the row.
    id: Uuid,
    /// The number in E.164.
    phone_number: Option<E164>,
    /// `Already released` if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
}

#[derive(Serialize)]
#[cfg_attr(
    feature = "schema",
    derive(shared::document::JsonSchema),
    schemars(crate = "shared::document::schemars", rename = "UnreleasedNumber")
)]
struct FailedItem {
    /// The id that the request named.
    id: Uuid,
    /// The number in E.164; null if the agency has no such row.
    phone_number: Option<E164>,
    /// What happened, as one sentence.
    error: String,
    /// The problem that the number would have been answered with alone.
    problem: Problem,
}

#[derive(Serialize)]
#[cfg_attr(
    feature = "schema",
    derive(shared::document::JsonSchema),
    schemars(crate = "shared::document::schemars", rename = "ReleaseSummary")
)]
#[allow(clippy::struct_field_names, reason = "the members callers know")]
struct Summary {
    /// How many numbers the request names.
    total_requested: usize,
    /// How many of them are released.
    released_count: usize,
    /// How many of them are not.
    failed_count: usize,
}

/// 200 when every number is released, 207 when one is not.
pub(crate) fn released(outcomes: Vec<Outcome>) -> Result<Answer, Error> {
    let is_final = !outcomes.iter().any(|outcome| outcome.result.as_ref().is_err_and(Error::retryable));
    let (mut released, mut failed) = (Vec::new(), Vec::new());
    for Outcome { id, number, result } in outcomes {
        match result {
            Ok(when) => released.push(ReleasedItem {
                id,
                phone_number: number,
                note: matches!(when, Released::Before).then_some("Already released"),
            }),
            Err(error) => {
                let problem = Problem::from(&error);
                failed.push(FailedItem { id, phone_number: number, error: problem.error.clone(), problem });
            }
        }
    }
    let summary = Summary { total_requested: released.len() + failed.len(), released_count: released.len(), failed_count: failed.len() };
    let message = format!("{} of {} phone numbers released.", summary.released_count, summary.total_requested);
    let status = if failed.is_empty() { StatusCode::OK } else { StatusCode::MULTI_STATUS };
    let body = Body { success: failed.is_empty(), released, failed, summary, message };
    let answer = Answer::ok(&body)?.with_status(status);
    Ok(if is_final { answer } else { answer.not_final() })
}
