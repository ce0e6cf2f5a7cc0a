//! What is logged of a request, and the guard that turns every failure into an answer.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use lambda_http::http::header::{CACHE_CONTROL, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use lambda_http::{Body, Context, Response};
use tokio::time::Instant;
use uuid::Uuid;

use crate::error::{Blame, Error};
use crate::problem;

/// The longest that warming up may take. Lambda grants 10 s before the first request, which waits for it.
const WARM_UP: Duration = Duration::from_secs(3);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub(super) async fn warmed(name: &str, work: impl Future<Output = ()>) {
    let started = Instant::now();
    let outcome = tokio::time::timeout(WARM_UP, AssertUnwindSafe(work).catch_unwind()).await;
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    match outcome {
        Ok(Ok(())) => tracing::info!(function = name, duration_ms, "warmed up"),
        Ok(Err(panic)) => tracing::error!(function = name, error = panic_message(panic.as_ref()), "warming up failed"),
        Err(_) => tracing::warn!(function = name, duration_ms, "warming up was cancelled"),
    }
}

/// Turns the outcome of a request, a panic included, into an answer, and logs it.
pub(super) async fn answered(
    name: &str,
    request_id: &str,
    method: &str,
    work: impl Future<Output = Result<Response<Body>, Error>>,
) -> Response<Body> {
    let started = Instant::now();
    let outcome = AssertUnwindSafe(work).catch_unwind().await;
    let outcome = outcome.unwrap_or_else(|panic| Err(Error::Internal(panic_message(panic.as_ref()).into())));
    let mut response = outcome.unwrap_or_else(|error| {
        log(&error, request_id);
        problem::response(&error, request_id)
    });
    let headers = response.headers_mut();
    if let Ok(id) = request_id.parse() {
        headers.insert(REQUEST_ID, id);
    }
    // An answer is one user's and true at one moment, and is what its content type says, whatever it looks like.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    tracing::info!(
        function = name,
        request_id,
        method,
        status = response.status().as_u16(),
        duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "request answered"
    );
    response
}

/// The id that Lambda gave to an invocation; outside Lambda, one of our own.
pub(super) fn request_id(context: Option<&Context>) -> String {
    match context {
        Some(context) if !context.request_id.is_empty() => context.request_id.clone(),
        _ => Uuid::new_v4().to_string(),
    }
}

/// Logs an error: our own failures as errors, Telnyx's as warnings, refusals as information.
pub(super) fn log(error: &Error, request_id: &str) {
    match error.kind().blame {
        Blame::Ours => tracing::error!(request_id, code = error.code(), error = %error, "request failed"),
        Blame::Telnyx => {
            tracing::warn!(request_id, code = error.code(), error = %error, "request failed");
        }
        Blame::Caller => tracing::info!(request_id, code = error.code(), "request refused"),
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("panicked: {}", text.unwrap_or_default())
}
