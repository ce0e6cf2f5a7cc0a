//! The check before traffic: a deployment invokes each new version directly and moves calls to it only if it can do its work.
//!
//! The event is `{"check": "dependencies"}`. Only a direct invocation can send it, which IAM guards: API Gateway and function URLs
//! wrap what they are sent in an event of their own.

use lambda_http::LambdaEvent;
use lambda_http::lambda_runtime::Diagnostic;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::{Error, chain};

/// An event that asks for the check.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    #[serde(rename = "check")]
    _subject: Subject,
}

/// What is checked.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Subject {
    /// That the database is reachable with the rights that the function needs, and that its secrets can be read.
    Dependencies,
}

/// The answer to a check that found nothing: `{"checked": "dependencies"}`.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Checked {
    checked: Subject,
}

/// What an invocation is answered with.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Outcome<A> {
    Answer(A),
    Checked(Checked),
}

/// Whether an event asks for the check.
pub(super) fn is_asked(event: &LambdaEvent<Box<RawValue>>) -> bool {
    serde_json::from_str::<Event>(event.payload.get()).is_ok()
}

/// Runs a check. The invocation fails with the message of the first failure, which no caller of the web app can see.
pub(super) async fn run(name: &str, check: impl Future<Output = Result<(), Error>>) -> Result<Checked, Diagnostic> {
    // On the heap: it is rarely needed, and would enlarge the future of every invocation.
    match Box::pin(check).await {
        Ok(()) => {
            tracing::info!(function = name, "check passed");
            Ok(Checked { checked: Subject::Dependencies })
        }
        Err(error) => {
            let reason = chain(&error);
            tracing::error!(function = name, code = error.code(), error = reason, "check failed");
            Err(Diagnostic { error_type: "CheckFailed".to_owned(), error_message: reason })
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use lambda_http::Context;
    use serde_json::value::to_raw_value;
    use serde_json::{Value, json};

    use super::*;

    fn asks(event: &Value) -> bool {
        is_asked(&LambdaEvent::new(to_raw_value(event).unwrap(), Context::default()))
    }

    #[test]
    fn an_http_request_or_the_schedule_never_asks_for_the_check() {
        assert!(asks(&json!({"check": "dependencies"})));
        let others = [
            json!({"check": "dependencies", "requestContext": {"http": {"method": "GET"}}}),
            json!({"requestContext": {"http": {"method": "POST"}}, "body": "{\"check\":\"dependencies\"}"}),
            json!({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {"check": "dependencies"}}),
            json!({"check": "something else"}),
            json!({"check": null}),
            json!({}),
            json!("check"),
        ];
        for event in others {
            assert!(!asks(&event), "{event}");
        }
    }
}
