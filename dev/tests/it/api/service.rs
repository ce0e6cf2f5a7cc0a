//! What all functions share: panics, timeouts and invalid settings become answers.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dev::demo;
use dev::token::Issuer;
use lambda_http::http::Request;
use lambda_http::{Body, Context, RequestExt as _};
use serde_json::{Value, json};
use shared::config::Config;
use shared::error::Error;
use shared::lambda::{Answer, Call, Function, Service};
use shared::secrets::Secrets;

use crate::support::app::{ORIGIN, Reply, raw};

/// A function that panics.
struct Panics;

impl Function for Panics {
    const NAME: &'static str = "panics";
    const METHODS: &'static [&'static str] = &["GET"];

    fn new(_: &Config, _: Arc<Secrets>) -> Self {
        Self
    }

    async fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn handle(&self, _: Call) -> Result<Answer, Error> {
        panic!("the secret is 12345");
    }
}

/// A function that never answers.
struct Hangs;

impl Function for Hangs {
    const NAME: &'static str = "hangs";
    const METHODS: &'static [&'static str] = &["GET"];

    fn new(_: &Config, _: Arc<Secrets>) -> Self {
        Self
    }

    async fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn handle(&self, _: Call) -> Result<Answer, Error> {
        std::future::pending().await
    }
}

/// A function that answers with its remaining time, in milliseconds.
struct TellsTime;

impl Function for TellsTime {
    const NAME: &'static str = "tells-time";
    const METHODS: &'static [&'static str] = &["GET"];

    fn new(_: &Config, _: Arc<Secrets>) -> Self {
        Self
    }

    async fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn handle(&self, call: Call) -> Result<Answer, Error> {
        let left = call.deadline.saturating_duration_since(tokio::time::Instant::now());
        Answer::ok(&json!({"left_ms": u64::try_from(left.as_millis()).unwrap()}))
    }
}

/// A request of the demo's owner with Lambda's context.
async fn ask<F: Function>(context: Option<Context>) -> Reply {
    ask_with::<F>(context, &[]).await
}

/// The same with more settings.
async fn ask_with<F: Function>(context: Option<Context>, more: &[(&'static str, &str)]) -> Reply {
    let issuer = Issuer::default();
    let settings = [("JWT_SECRET", issuer.secret.as_str()), ("JWT_ISSUER", &issuer.issuer), ("ALLOWED_ORIGINS", ORIGIN)];
    let settings: Vec<_> = settings.into_iter().chain(more.iter().copied()).collect();
    let config = Config::read(|name| settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
        .and_then(Config::consistent);
    let token = issuer.token(demo::USERS[0].id, demo::USERS[0].email);
    let request =
        Request::builder().uri("https://api.example.com/").header("origin", ORIGIN).header("authorization", format!("Bearer {token}"));
    let request = request.body(Body::Empty).unwrap();
    let request = match context {
        Some(context) => request.with_lambda_context(context),
        None => request,
    };
    raw(&Service::<F>::new(config), request).await
}

fn granted(time: Duration) -> Context {
    let mut context = Context::default();
    let deadline = SystemTime::now() + time;
    context.deadline = u64::try_from(deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()).unwrap();
    context
}

fn left_ms(reply: &Reply) -> u64 {
    reply.body["left_ms"].as_u64().unwrap_or_else(|| panic!("{reply:?}"))
}

#[tokio::test]
async fn a_panic_is_a_problem_that_a_page_can_read_without_details() {
    let reply = ask::<Panics>(None).await.expect_problem(500, "internal");
    assert_eq!(reply.header("access-control-allow-origin"), ORIGIN);
    assert!(!reply.body.to_string().contains("12345"));
}

#[tokio::test]
async fn with_settings_that_cannot_be_used_every_request_is_answered_with_503_which_a_page_can_read() {
    for wrong in [("LEASE_MS", "0"), ("REQUEST_BUDGET_MS", "a minute"), ("TELNYX_TIMEOUT_MS", "10000"), ("MAX_PHONE_NUMBERS", "many")] {
        let reply = ask_with::<TellsTime>(None, &[wrong]).await.expect_problem(503, "unavailable");
        assert_eq!(reply.header("access-control-allow-origin"), ORIGIN);
        assert!(!reply.body.to_string().contains(wrong.0), "{}", reply.body);
    }
    ask_with::<TellsTime>(None, &[("LEASE_MS", "9000"), ("TELNYX_TIMEOUT_MS", "")]).await.expect(200);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_is_cut_off() {
    let began = tokio::time::Instant::now();
    let reply = ask::<Hangs>(None).await.expect_problem(503, "unavailable");
    assert_eq!(reply.body["retryable"], Value::Bool(true));
    assert!(began.elapsed() < Duration::from_secs(29));
}

#[tokio::test]
async fn a_request_has_no_more_time_than_lambda_grants_and_callers_wait() {
    assert!(left_ms(&ask::<TellsTime>(Some(granted(Duration::from_secs(10)))).await) <= 7_000);
    assert_eq!(left_ms(&ask::<TellsTime>(Some(granted(Duration::from_secs(1)))).await), 0);
    let mut passed = granted(Duration::ZERO);
    passed.deadline -= 60_000;
    assert_eq!(left_ms(&ask::<TellsTime>(Some(passed)).await), 0);
    let most = left_ms(&ask::<TellsTime>(Some(granted(Duration::from_mins(15)))).await);
    assert!((20_000..=25_000).contains(&most), "{most}");
}
