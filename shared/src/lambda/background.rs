//! A function that works on a schedule and takes webhooks.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use lambda_http::http::Method;
use lambda_http::http::header::HeaderMap;
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, Body, Context, LambdaEvent, Request, Response, Service as _, service_fn};
use serde_json::Value;
use tokio::time::Instant;

use super::body::body;
use super::call::Answer;
use super::deadline::granted;
use super::log::{answered, log, request_id, warmed};
use crate::config::Config;
use crate::error::Error;
use crate::secrets::Secrets;

/// A webhook's sender gives up after two seconds.
const WEBHOOK_BUDGET: Duration = Duration::from_millis(1_700);

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

    /// Fetches and connects to what the first run will need; see [`Background::warm`].
    pub async fn warm(&self) {
        warmed(B::NAME, self.function.warm()).await;
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
