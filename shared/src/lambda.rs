//! One request in, one answer out: the only module that knows the Lambda runtime.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use lambda_http::http::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use lambda_http::http::{Method, StatusCode};
use lambda_http::{Body, Request, RequestExt as _, Response, service_fn, tracing as runtime_tracing};
use serde::Serialize;
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
    query: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Call {
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

/// A success.
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    /// 200 with `body` as JSON.
    ///
    /// # Errors
    /// `Internal`: the body cannot be written, which is a defect.
    pub fn ok(body: &impl Serialize) -> Result<Self, Error> {
        let body = serde_json::to_string(body).map_err(|error| Error::Internal(Box::new(error)))?;
        Ok(Self { status: StatusCode::OK, headers: HeaderMap::new(), body })
    }

    /// Another status than 200.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
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
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
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
        let started = Instant::now();
        let work = async { tokio::join!(self.authenticator.warm(), self.function.warm()) };
        let outcome = tokio::time::timeout(WARM_UP, AssertUnwindSafe(work).catch_unwind()).await;
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        match outcome {
            Ok(Ok(_)) => tracing::info!(function = F::NAME, duration_ms, "warmed up"),
            Ok(Err(panic)) => tracing::error!(function = F::NAME, error = panic_message(panic.as_ref()), "warming up failed"),
            Err(_) => tracing::warn!(function = F::NAME, duration_ms, "warming up was given up"),
        }
    }

    /// Answers one request. Every failure is an answer; none is an error of the runtime's.
    pub async fn answer(&self, request: Request) -> Response<Body> {
        let started = Instant::now();
        let request_id = request_id(&request);
        let method = request.method().clone();
        let request_headers = request.headers().clone();
        let work =
            async { if method == Method::OPTIONS { Ok(self.preflight(&request_headers)) } else { self.call(request, started).await } };
        let outcome = AssertUnwindSafe(work).catch_unwind().await;
        let outcome = outcome.unwrap_or_else(|panic| Err(Error::Internal(panic_message(panic.as_ref()).into())));
        let mut response = outcome.unwrap_or_else(|error| {
            log(&error, &request_id);
            problem::response(&error, &request_id)
        });
        if let Ok(id) = request_id.parse() {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        self.cors.decorate(&request_headers, response.headers_mut());
        tracing::info!(
            function = F::NAME,
            request_id,
            method = method.as_str(),
            status = response.status().as_u16(),
            duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "request answered"
        );
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

    async fn call(&self, request: Request, started: Instant) -> Result<Response<Body>, Error> {
        if !F::METHODS.contains(&request.method().as_str()) {
            return Err(Error::MethodNotAllowed(F::METHODS));
        }
        let deadline = started + self.time_left(&request);
        let cut_off = deadline + GRACE;
        let late = |_| Error::Unavailable("the request ran out of time".into());
        let user = self.authenticator.user(request.headers());
        let user_id = tokio::time::timeout_at(cut_off, user).await.map_err(late)??;
        let call = Call {
            method: request.method().clone(),
            user_id,
            deadline,
            query: request.query_string_parameters_ref().into_iter().flat_map(|query| query.iter()).map(pair).collect(),
            body: body(&request)?,
        };
        // On the heap, since some handlers' futures are large.
        let work = Box::pin(self.function.handle(call));
        let answer = tokio::time::timeout_at(cut_off, work).await.map_err(late)??;
        Ok(answer.into())
    }

    /// Our own limit, or what Lambda still grants if that is less.
    fn time_left(&self, request: &Request) -> Duration {
        // Without Lambda around it, a context has no deadline. One that has passed leaves nothing.
        let context = request.lambda_context_ref().filter(|context| context.deadline > 0);
        let granted = context.map(|context| context.deadline().duration_since(std::time::SystemTime::now()).unwrap_or_default());
        granted.map_or(self.request_budget, |granted| granted.saturating_sub(RESERVE + GRACE).min(self.request_budget))
    }
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
    lambda_http::run(service_fn(move |request: Request| async move { Ok::<_, std::convert::Infallible>(service.answer(request).await) }))
        .await
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
