//! The log: what may be written to it, the line about each request, and the guard that turns every failure into an answer.

use std::any::Any;
use std::panic::{AssertUnwindSafe, PanicHookInfo};
use std::sync::OnceLock;
use std::time::Duration;

use futures_util::FutureExt as _;
use lambda_http::http::header::{CACHE_CONTROL, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use lambda_http::tracing::level_filters::LevelFilter;
use lambda_http::tracing::subscriber::filter::Targets;
use lambda_http::tracing::subscriber::layer::SubscriberExt as _;
use lambda_http::tracing::subscriber::util::SubscriberInitExt as _;
use lambda_http::tracing::subscriber::{Layer as _, fmt, registry};
use lambda_http::{Body, Context, Response};
use serde::Deserialize;
use tokio::time::Instant;
use uuid::Uuid;

use crate::config::Logging;
use crate::error::{Blame, Error};
use crate::meter::{self, Dependency, Reading};
use crate::problem;

/// The longest that warming up may take. Lambda grants 10 s before the first request, which waits for it.
const WARM_UP: Duration = Duration::from_secs(3);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The published version that runs, for alarms about a version that is being deployed.
static VERSION: OnceLock<String> = OnceLock::new();

/// Our own crates, by how the targets of their lines begin.
const OURS: [&str; 2] = ["shared", "phone_numbers"];

/// Writes the log of this process to standard output, as `logging` says.
///
/// Lines of other crates are left out at every level: some contain requests with their tokens, or what a server has sent. The
/// Lambda runtime is an exception, but for its lines below `INFO`, which contain the event.
pub fn init(logging: &Logging) {
    // Lambda has a level that `tracing` has not.
    let level = if logging.level == "FATAL" { LevelFilter::ERROR } else { logging.level.parse().unwrap_or(LevelFilter::INFO) };
    let targets = Targets::new().with_target("lambda_runtime", level.min(LevelFilter::WARN)).with_targets(OURS.map(|ours| (ours, level)));
    let lines = fmt::layer().with_target(false).without_time();
    if logging.is_json {
        registry().with(lines.json().with_span_list(false).with_filter(targets)).init();
    } else {
        registry().with(lines.with_filter(targets)).init();
    }
    if let Some(version) = &logging.version {
        // It is the same for the whole life of the process.
        let _ = VERSION.set(version.clone());
    }
    std::panic::set_hook(Box::new(panicked));
}

/// Logs where a panic is, instead of the standard library, which would write its message.
fn panicked(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(tracing::field::display);
    tracing::error!(location, panic = literal(panic.payload()), "panicked");
}

/// The message of a panic, if it is the same for every request. Others are made of data.
fn literal(panic: &(dyn Any + Send)) -> &'static str {
    panic.downcast_ref::<&'static str>().copied().unwrap_or("a message that may contain data")
}

pub(super) async fn warmed(name: &str, work: impl Future<Output = ()>) {
    let started = Instant::now();
    let outcome = tokio::time::timeout(WARM_UP, AssertUnwindSafe(work).catch_unwind()).await;
    let duration_ms = milliseconds_since(started);
    match outcome {
        Ok(Ok(())) => tracing::info!(function = name, duration_ms, "warmed up"),
        Ok(Err(panic)) => tracing::error!(function = name, panic = literal(panic.as_ref()), "warming up failed"),
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
    // On the heap: it is large, and each wrapper around it would have a copy of it on the stack.
    let work = AssertUnwindSafe(Box::pin(work)).catch_unwind();
    let (outcome, reading) = meter::measure(work).await;
    let outcome = outcome.unwrap_or_else(|panic| Err(Error::Internal(format!("panicked: {}", literal(panic.as_ref())).into())));
    let mut response = outcome.unwrap_or_else(|error| {
        log(&error);
        problem::response(&error, request_id)
    });
    let headers = response.headers_mut();
    if let Ok(id) = request_id.parse() {
        headers.insert(REQUEST_ID, id);
    }
    // An answer is one user's and true at one moment, and is what its content type says, whatever it looks like.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    log_answer(name, method, started, &reading, &response);
    response
}

/// The one line about a request.
fn log_answer(name: &str, method: &str, started: Instant, reading: &Reading, response: &Response<Body>) {
    tracing::info!(
        function = name,
        version = VERSION.get().map(String::as_str),
        method,
        agency_id = reading.agency_id.map(tracing::field::display),
        status = response.status().as_u16(),
        code = code(response),
        duration_ms = milliseconds_since(started),
        postgres_ms = reading.waited_ms(Dependency::Postgres),
        telnyx_ms = reading.waited_ms(Dependency::Telnyx),
        secrets_ms = reading.waited_ms(Dependency::Secrets),
        jwks_ms = reading.waited_ms(Dependency::Jwks),
        "request answered"
    );
}

/// The code of a problem, also of one that an earlier request was answered with.
fn code(response: &Response<Body>) -> Option<String> {
    #[derive(Deserialize)]
    struct Problem {
        code: String,
    }
    let failed = response.status().is_client_error() || response.status().is_server_error();
    failed.then(|| serde_json::from_slice(response.body()).ok().map(|Problem { code }| code)).flatten()
}

fn milliseconds_since(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// The id that Lambda gave to an invocation; outside Lambda, one of our own.
pub(super) fn request_id(context: Option<&Context>) -> String {
    match context {
        Some(context) if !context.request_id.is_empty() => context.request_id.clone(),
        _ => Uuid::new_v4().to_string(),
    }
}

/// The span of an invocation: every line that is logged within it has the ids of the request and of its trace. Its level is the
/// highest, so that no log level leaves the ids out.
pub(super) fn invocation(context: &Context) -> tracing::Span {
    tracing::error_span!("invocation", request_id = context.request_id, trace_id = context.xray_trace_id)
}

/// Logs an error: our own failures as errors, Telnyx's as warnings, refusals as information.
pub(super) fn log(error: &Error) {
    match error.kind().blame {
        Blame::Ours => tracing::error!(code = error.code(), error = %error, "request failed"),
        Blame::Telnyx => {
            tracing::warn!(code = error.code(), error = %error, "request failed");
        }
        Blame::Caller => tracing::info!(code = error.code(), "request refused"),
    }
}

#[cfg(test)]
#[allow(clippy::panic, clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_a_panic_is_logged_only_if_it_is_a_literal() {
        let message = |panics: fn()| literal(std::panic::catch_unwind(panics).unwrap_err().as_ref());
        assert_eq!(message(|| panic!("a literal")), "a literal");
        assert_eq!(message(|| panic!("made of {}", std::hint::black_box("hunter2"))), "a message that may contain data");
    }
}
