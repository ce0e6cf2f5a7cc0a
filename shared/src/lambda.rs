//! One request in, one answer out: the only module that knows the Lambda runtime.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use lambda_http::http::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use lambda_http::http::{Method, StatusCode};
use lambda_http::request::LambdaRequest;
use lambda_http::{
    Adapter, Body, Context, LambdaEvent, Request, RequestExt as _, Response, Service as _, lambda_runtime, service_fn,
    tracing as runtime_tracing,
};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use crate::auth::Authenticator;
use crate::config::Config;
use crate::cors::Cors;
use crate::error::Error;
use crate::input::Input;
use crate::problem;
use crate::secrets::Secrets;

/// The largest body we read, in bytes: fifty ids or ten numbers with names need a tenth of it.
const LARGEST_BODY: usize = 64 * 1024;
/// Kept back from the time Lambda gives, to get the answer out.
const RESERVE: Duration = Duration::from_secs(1);
/// How far a handler may overrun its deadline before it is cut off: those that spend money stop by themselves before.
const GRACE: Duration = Duration::from_secs(2);
/// The longest that warming up may take. Lambda grants 10 s before the first request, which waits for it.
const WARM_UP: Duration = Duration::from_secs(3);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A function: what it needs, and what it answers.
pub trait Function: Sized + Send + Sync + 'static {
    /// Its name in logs, which is its package's.
    const NAME: &'static str;

    /// The methods it takes, besides OPTIONS.
    const METHODS: &'static [&'static str];

    /// Makes ready. It never fails: what cannot be had yet is asked for again by the requests that need it.
    fn new(config: &Config, secrets: Arc<Secrets>) -> Self;

    /// Fetches and connects to what the first request will need. It never fails either, and may be given up.
    fn warm(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Answers one request of a known user.
    ///
    /// # Errors
    /// Whatever kept it from succeeding.
    fn handle(&self, call: Call) -> impl Future<Output = Result<Answer, Error>> + Send;
}

/// One request of a known user.
pub struct Call {
    /// The method, one of [`Function::METHODS`].
    pub method: Method,
    /// The user: the token's `sub`.
    pub user_id: Uuid,
    /// When work must have stopped.
    pub deadline: Instant,
    /// The request's id, which the answer carries.
    pub request_id: String,
    headers: HeaderMap,
    query: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Call {
    /// A header's value; None where it is missing, empty where it is no text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap_or_default())
    }

    /// The body as it came.
    #[must_use]
    pub fn raw_body(&self) -> &[u8] {
        &self.body
    }

    /// The query string.
    #[must_use]
    pub fn query(&self) -> Input {
        Input::query(&self.query)
    }

    /// The JSON body of a request that takes no query.
    ///
    /// # Errors
    /// Not a JSON object, or a query came with it.
    pub fn body(&self) -> Result<Input, Error> {
        Input::query(&self.query).finish()?;
        Input::body(&self.body)
    }

    /// The query string or the JSON body, whichever there is.
    ///
    /// # Errors
    /// A body that is no JSON object, or a query beside a body: what one says the other could contradict.
    pub fn query_or_body(&self) -> Result<Input, Error> {
        if self.body.is_empty() { Ok(self.query()) } else { self.body() }
    }
}

/// What a request is answered with: a success, or a failure that was worked out before.
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
    is_final: bool,
}

impl Answer {
    /// 200 with `body` as JSON.
    ///
    /// # Errors
    /// `Internal`: the body cannot be written, which is a defect.
    pub fn ok(body: &impl Serialize) -> Result<Self, Error> {
        let body = serde_json::to_string(body).map_err(|error| Error::Internal(Box::new(error)))?;
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        Ok(Self { status: StatusCode::OK, headers, body, is_final: true })
    }

    /// An answer that was given before.
    #[must_use]
    pub fn again(status: StatusCode, content_type: HeaderValue, body: String) -> Self {
        Self { status, headers: HeaderMap::from_iter([(CONTENT_TYPE, content_type)]), body, is_final: true }
    }

    /// Another status than 200.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Says that the same request may be answered otherwise later on.
    #[must_use]
    pub fn not_final(mut self) -> Self {
        self.is_final = false;
        self
    }

    /// Whether the same request is answered alike from now on.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.is_final && self.status != StatusCode::ACCEPTED
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The body, which is JSON.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }

    /// One more header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

impl From<Answer> for Response<Body> {
    fn from(answer: Answer) -> Self {
        let mut response = Self::new(Body::from(answer.body));
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        response
    }
}

/// A function with what all of them share before it: CORS, methods, tokens, time, and a problem document for every failure.
pub struct Service<F> {
    function: F,
    cors: Cors,
    authenticator: Authenticator,
    request_budget: Duration,
}

impl<F: Function> Service<F> {
    /// Makes ready; see [`Function::new`].
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let secrets = Arc::new(Secrets::new(&config.aws, config.secrets_ttl));
        Self {
            function: F::new(config, Arc::clone(&secrets)),
            cors: Cors::new(&config.allowed_origins),
            authenticator: Authenticator::new(config.tokens.clone(), secrets),
            request_budget: config.request_budget,
        }
    }

    /// Fetches and connects to what the first request will need, all at once, as far as that is quickly done: initialising has
    /// the full CPU, and whatever fails or takes too long is left to the requests that need it.
    pub async fn warm(&self) {
        warmed(F::NAME, async { _ = tokio::join!(self.authenticator.warm(), self.function.warm()) }).await;
    }

    /// Answers one request. Every failure is an answer; none is an error of the runtime's.
    pub async fn answer(&self, request: Request) -> Response<Body> {
        let started = Instant::now();
        let request_id = request_id(&request);
        let method = request.method().clone();
        let request_headers = request.headers().clone();
        let work = async {
            if method == Method::OPTIONS { Ok(self.preflight(&request_headers)) } else { self.call(request, &request_id, started).await }
        };
        let mut response = answered(F::NAME, &request_id, &method, work).await;
        self.cors.decorate(&request_headers, response.headers_mut());
        response
    }

    fn preflight(&self, request: &HeaderMap) -> Response<Body> {
        let mut response = Response::new(Body::Empty);
        *response.status_mut() = StatusCode::NO_CONTENT;
        let methods: Vec<_> = F::METHODS.iter().copied().chain(["OPTIONS"]).collect();
        if let Ok(allow) = methods.join(", ").parse() {
            response.headers_mut().insert(ALLOW, allow);
        }
        self.cors.decorate_preflight(request, F::METHODS, response.headers_mut());
        response
    }

    async fn call(&self, request: Request, request_id: &str, started: Instant) -> Result<Response<Body>, Error> {
        if !F::METHODS.contains(&request.method().as_str()) {
            return Err(Error::MethodNotAllowed(F::METHODS));
        }
        let deadline = started + time_left(&request, self.request_budget);
        let cut_off = deadline + GRACE;
        let late = |_| Error::Unavailable("the request ran out of time".into());
        let user = self.authenticator.user(request.headers());
        let user_id = tokio::time::timeout_at(cut_off, user).await.map_err(late)??;
        let call = Call {
            method: request.method().clone(),
            user_id,
            deadline,
            request_id: request_id.to_owned(),
            headers: request.headers().clone(),
            query: request.query_string_parameters_ref().into_iter().flat_map(|query| query.iter()).map(pair).collect(),
            body: body(&request)?,
        };
        // On the heap, since some handlers' futures are large.
        let work = Box::pin(self.function.handle(call));
        let answer = tokio::time::timeout_at(cut_off, work).await.map_err(late)??;
        Ok(answer.into())
    }
}

/// A function that nobody calls: it works when its schedule says so, and when a webhook comes.
pub trait Background: Sized + Send + Sync + 'static {
    /// Its name in logs, which is its package's.
    const NAME: &'static str;

    /// Makes ready; see [`Function::new`].
    fn new(config: &Config, secrets: Arc<Secrets>) -> Self;

    /// Fetches and connects to what the first run will need; see [`Function::warm`].
    fn warm(&self) -> impl Future<Output = ()> + Send;

    /// Does a bounded piece of work, which ends by the deadline.
    ///
    /// # Errors
    /// It could not be done at all; the next run tries again.
    fn run(&self, deadline: Instant) -> impl Future<Output = Result<(), Error>> + Send;

    /// Takes a webhook.
    ///
    /// # Errors
    /// Whatever kept it from being taken: it will be delivered again.
    fn receive(&self, delivery: Delivery) -> impl Future<Output = Result<Answer, Error>> + Send;
}

/// A webhook, as it came.
pub struct Delivery {
    /// When it must be answered.
    pub deadline: Instant,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Delivery {
    /// A header's value; empty where it is missing or no text.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body, byte for byte.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

/// A background function with what it shares with the others: a problem document for every failure of a webhook.
pub struct BackgroundService<B> {
    function: B,
    run_budget: Duration,
}

impl<B: Background> BackgroundService<B> {
    /// Makes ready; see [`Function::new`].
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let secrets = Arc::new(Secrets::new(&config.aws, config.secrets_ttl));
        Self { function: B::new(config, secrets), run_budget: config.request_budget }
    }

    /// Does what the schedule is for.
    ///
    /// # Errors
    /// It could not be done at all, which the runtime counts as an error of the function.
    pub async fn run(&self, context: &Context) -> Result<(), Error> {
        let deadline = Instant::now() + granted(context).unwrap_or(self.run_budget).min(self.run_budget);
        let outcome = Box::pin(self.function.run(deadline)).await;
        if let Err(error) = &outcome {
            log(error, &context.request_id);
        }
        outcome
    }

    /// Answers one webhook. Every failure is an answer.
    pub async fn answer(&self, request: Request) -> Response<Body> {
        let deadline = Instant::now() + WEBHOOK_BUDGET;
        let (request_id, method) = (request_id(&request), request.method().clone());
        let work = async {
            if method != Method::POST {
                return Err(Error::MethodNotAllowed(&["POST"]));
            }
            let delivery = Delivery { deadline, headers: request.headers().clone(), body: body(&request)? };
            let late = |_| Error::Unavailable("the webhook ran out of time".into());
            let answer = tokio::time::timeout_at(deadline, Box::pin(self.function.receive(delivery))).await;
            Ok(answer.map_err(late)??.into())
        };
        answered(B::NAME, &request_id, &method, work).await
    }

    /// Answers whatever Lambda was invoked with: a webhook through API Gateway, or the schedule.
    ///
    /// # Errors
    /// The event is neither, or [`BackgroundService::run`]'s.
    pub async fn handle(&self, event: LambdaEvent<Value>) -> Result<Value, lambda_http::Error> {
        let LambdaEvent { payload, context } = event;
        if payload.get("requestContext").is_none() {
            self.run(&context).await.map_err(|error| error.to_string())?;
            return Ok(Value::Null);
        }
        let request: LambdaRequest = serde_json::from_value(payload)?;
        let answer = service_fn(async |request: Request| Ok::<_, Infallible>(self.answer(request).await));
        let response = Adapter::from(answer).call(LambdaEvent::new(request, context)).await;
        Ok(serde_json::to_value(response.map_err(|never| match never {})?)?)
    }
}

async fn warmed(name: &str, work: impl Future<Output = ()>) {
    let started = Instant::now();
    let outcome = tokio::time::timeout(WARM_UP, AssertUnwindSafe(work).catch_unwind()).await;
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    match outcome {
        Ok(Ok(())) => tracing::info!(function = name, duration_ms, "warmed up"),
        Ok(Err(panic)) => tracing::error!(function = name, error = panic_message(panic.as_ref()), "warming up failed"),
        Err(_) => tracing::warn!(function = name, duration_ms, "warming up was given up"),
    }
}

/// A webhook's sender gives up after two seconds.
const WEBHOOK_BUDGET: Duration = Duration::from_millis(1_700);

/// What every request has in common: it is answered whatever happens, and logged.
async fn answered(
    name: &str,
    request_id: &str,
    method: &Method,
    work: impl Future<Output = Result<Response<Body>, Error>>,
) -> Response<Body> {
    let started = Instant::now();
    let outcome = AssertUnwindSafe(work).catch_unwind().await;
    let outcome = outcome.unwrap_or_else(|panic| Err(Error::Internal(panic_message(panic.as_ref()).into())));
    let mut response = outcome.unwrap_or_else(|error| {
        log(&error, request_id);
        problem::response(&error, request_id)
    });
    if let Ok(id) = request_id.parse() {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    tracing::info!(
        function = name,
        request_id,
        method = method.as_str(),
        status = response.status().as_u16(),
        duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "request answered"
    );
    response
}

/// Our own limit, or what Lambda still grants if that is less.
fn time_left(request: &Request, budget: Duration) -> Duration {
    request.lambda_context_ref().and_then(granted).map_or(budget, |granted| granted.min(budget))
}

/// What Lambda still grants, less what it takes to stop. Without Lambda around it, a context has no deadline; one that has
/// passed leaves nothing.
fn granted(context: &Context) -> Option<Duration> {
    let left = || context.deadline().duration_since(std::time::SystemTime::now()).unwrap_or_default();
    (context.deadline > 0).then(|| left().saturating_sub(RESERVE + GRACE))
}

/// Runs a background function until Lambda ends it: what its binary's `main` calls.
///
/// # Errors
/// The runtime API cannot be reached.
pub async fn run_background<B: Background>() -> Result<(), lambda_http::Error> {
    runtime_tracing::init_default_subscriber();
    let service = BackgroundService::<B>::new(&Config::from_env());
    warmed(B::NAME, service.function.warm()).await;
    let service = &service;
    lambda_runtime::run(service_fn(move |event| service.handle(event))).await
}

/// Runs a function until Lambda ends it: what each binary's `main` calls.
///
/// # Errors
/// The runtime API cannot be reached.
pub async fn run<F: Function>() -> Result<(), lambda_http::Error> {
    runtime_tracing::init_default_subscriber();
    let service = Service::<F>::new(&Config::from_env());
    service.warm().await;
    let service = &service;
    lambda_http::run(service_fn(move |request: Request| async move { Ok::<_, Infallible>(service.answer(request).await) })).await
}

fn request_id(request: &Request) -> String {
    match request.lambda_context_ref() {
        Some(context) if !context.request_id.is_empty() => context.request_id.clone(),
        _ => Uuid::new_v4().to_string(),
    }
}

fn pair((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// The body, if it is JSON by its own account and not larger than any of ours needs to be.
fn body(request: &Request) -> Result<Vec<u8>, Error> {
    let bytes: &[u8] = request.body().as_ref();
    if request.method() == Method::GET || bytes.is_empty() {
        return Ok(Vec::new());
    }
    if bytes.len() > LARGEST_BODY {
        return Err(Error::PayloadTooLarge);
    }
    let declared = request.headers().get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    match declared {
        Some(declared) if !is_json(declared) => Err(Error::UnsupportedMediaType),
        _ => Ok(bytes.to_vec()),
    }
}

fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// Our own failures are errors, Telnyx's are warnings, the caller's are neither.
fn log(error: &Error, request_id: &str) {
    match error {
        Error::Internal(_) | Error::Unavailable(_) => tracing::error!(request_id, code = error.code(), error = %error, "request failed"),
        Error::Upstream(_) | Error::UpstreamRejected(_) | Error::RateLimited(_) | Error::InsufficientFunds | Error::TelnyxNotConfigured => {
            tracing::warn!(request_id, code = error.code(), error = %error, "request failed");
        }
        _ => tracing::info!(request_id, code = error.code(), "request refused"),
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("panicked: {}", text.unwrap_or_default())
}
