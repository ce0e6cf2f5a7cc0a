//! A function that works on a schedule and takes webhooks.

use std::sync::Arc;
use std::time::Duration;

use lambda_http::http::Method;
use lambda_http::http::header::HeaderMap;
use lambda_http::lambda_runtime::Diagnostic;
use lambda_http::{Body, Context, LambdaEvent, Request, RequestExt as _, Response};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::body::body;
use super::call::Answer;
use super::deadline::granted;
use super::event::{self, EventAnswer};
use super::log::{answered, log, request_id, warmed};
use crate::config::{Config, Invalid};
use crate::error::Error;
use crate::secrets::Secrets;

/// The longest time for a webhook: Telnyx gives up after two seconds.
const WEBHOOK_BUDGET: Duration = Duration::from_millis(1_700);

/// A function that works on a schedule and on webhooks.
pub trait Background: Sized + Send + Sync + 'static {
    /// The name in the log: that of the package.
    const NAME: &'static str;

    /// See [`Function::new`](super::Function::new).
    fn new(config: &Config, secrets: Arc<Secrets>) -> Self;

    /// See [`Function::warm`](super::Function::warm).
    fn warm(&self) -> impl Future<Output = ()> + Send;

    /// See [`Function::check`](super::Function::check).
    ///
    /// # Errors
    /// `Unavailable` with what cannot be used.
    fn check(&self) -> impl Future<Output = Result<(), Error>> + Send;

    /// Does work until the deadline at most.
    ///
    /// # Errors
    /// Why nothing or not everything could be done; the next run tries again.
    fn run(&self, deadline: Instant) -> impl Future<Output = Result<(), Error>> + Send;

    /// Processes a webhook.
    ///
    /// # Errors
    /// Why it was not processed; its sender delivers it again.
    fn receive(&self, delivery: Delivery) -> impl Future<Output = Result<Answer, Error>> + Send;
}

/// A webhook as it was received.
pub struct Delivery {
    /// When it must be answered.
    pub deadline: Instant,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Delivery {
    /// The value of a header; empty if it is missing or not text.
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

/// A background function, with a problem document for every failure of a webhook.
pub struct BackgroundService<B> {
    /// Or why there is none: the settings cannot be used.
    ready: Result<Ready<B>, Invalid>,
}

/// What works once the settings are read.
struct Ready<B> {
    function: B,
    run_budget: Duration,
}

impl<B: Background> BackgroundService<B> {
    /// See [`Background::new`]. With settings that cannot be used, every run fails and every webhook is answered
    /// with 503.
    #[must_use]
    pub fn new(settings: Result<Config, Invalid>) -> Self {
        let ready = |config: Config| {
            let secrets = Arc::new(Secrets::new(&config.aws, config.secrets_ttl));
            Ready { function: B::new(&config, secrets), run_budget: config.request_budget }
        };
        Self { ready: settings.map(ready) }
    }

    fn ready(&self) -> Result<&Ready<B>, Error> {
        self.ready.as_ref().map_err(|invalid| Error::Unavailable(Box::new(invalid.clone())))
    }

    /// See [`Background::warm`].
    pub async fn warm(&self) {
        if let Ok(ready) = &self.ready {
            warmed(B::NAME, ready.function.warm()).await;
        }
    }

    /// Checks the settings and the function itself: [`Background::check`].
    ///
    /// # Errors
    /// `Unavailable` with what cannot be used.
    pub async fn check(&self) -> Result<(), Error> {
        self.ready()?.function.check().await
    }

    /// Does the scheduled work.
    ///
    /// # Errors
    /// As [`Background::run`]; the Lambda runtime counts it as an error of the function.
    pub async fn run(&self, context: &Context) -> Result<(), Error> {
        let work = async {
            let Ready { function, run_budget } = self.ready()?;
            function.run(Instant::now() + granted(context).unwrap_or(*run_budget).min(*run_budget)).await
        };
        let outcome = Box::pin(work).await;
        if let Err(error) = &outcome {
            log(error);
        }
        outcome
    }

    /// Answers one webhook. Every failure is an answer.
    pub async fn answer(&self, request: Request) -> Response<Body> {
        let deadline = Instant::now() + WEBHOOK_BUDGET;
        let (request_id, method) = (request_id(request.lambda_context_ref()), request.method().clone());
        let work = async {
            if method != Method::POST {
                return Err(Error::MethodNotAllowed(&["POST"]));
            }
            let delivery = Delivery { deadline, headers: request.headers().clone(), body: body(&request)? };
            let late = |_| Error::Unavailable("the webhook ran out of time".into());
            let answer = tokio::time::timeout_at(deadline, Box::pin(self.ready()?.function.receive(delivery))).await;
            Ok(answer.map_err(late)??.into())
        };
        answered(B::NAME, &request_id, method.as_str(), work).await
    }

    /// Handles an event of Lambda: a webhook through API Gateway, or the schedule, which gets no answer.
    ///
    /// # Errors
    /// As [`BackgroundService::run`].
    pub async fn handle(&self, event: LambdaEvent<Box<RawValue>>) -> Result<Option<EventAnswer>, Diagnostic> {
        let LambdaEvent { payload, context } = event;
        let request_id = request_id(Some(&context));
        let event = event::parse(&payload);
        if event.as_ref().is_ok_and(|event| !event::is_http(event)) {
            self.run(&context)
                .await
                .map_err(|error| Diagnostic { error_type: "RunFailed".to_owned(), error_message: error.to_string() })?;
            return Ok(None);
        }
        let response = match event.and_then(|event| event::request(&event, context)) {
            Ok(request) => self.answer(request).await,
            Err(malformed) => answered(B::NAME, &request_id, "", async { Err(malformed.error) }).await,
        };
        Ok(Some(response.into()))
    }
}
