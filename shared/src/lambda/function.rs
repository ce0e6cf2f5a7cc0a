//! A function that web apps call, and what all of them share before it: CORS, methods, tokens, deadlines, problem documents.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use lambda_http::http::header::{ALLOW, HeaderMap};
use lambda_http::http::{Method, StatusCode};
use lambda_http::{Body, LambdaEvent, Request, RequestExt as _, Response};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::body::body;
use super::call::{Answer, Call};
use super::cors::Cors;
use super::deadline::{GRACE, time_left};
use super::event::{self, EventAnswer, Malformed};
use super::log::{answered, request_id, warmed};
use crate::auth::Authenticator;
use crate::config::{Config, Invalid};
use crate::error::Error;
use crate::secrets::Secrets;

/// The parameter with which `supabase.functions.invoke` repeats its option `region`. It is for Supabase's own gateway.
pub const REGION: &str = "forceFunctionRegion";

/// A function that web apps call.
pub trait Function: Sized + Send + Sync + 'static {
    /// The name in the log: that of the package.
    const NAME: &'static str;

    /// The methods that it takes, besides `OPTIONS`.
    const METHODS: &'static [&'static str];

    /// Performs no I/O. Never fails: a missing setting or secret is an error of the requests that need it.
    fn new(config: &Config, secrets: Arc<Secrets>) -> Self;

    /// Fetches secrets and connects to what the first request needs. Never fails, and may be cancelled.
    fn warm(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Checks that everything which requests need can be used: the database with the function's rights, and its secrets. Deployments
    /// ask for it before they send calls to a new version.
    ///
    /// # Errors
    /// `Unavailable` with what cannot be used.
    fn check(&self) -> impl Future<Output = Result<(), Error>> + Send;

    /// Answers one request of an authenticated user.
    ///
    /// # Errors
    /// Why it did not succeed; the caller gets it as a problem document.
    fn handle(&self, call: Call) -> impl Future<Output = Result<Answer, Error>> + Send;
}

/// A function with what all functions share: CORS, methods, tokens, the deadline, and a problem document for every failure.
pub struct Service<F> {
    cors: Cors,
    /// Or why there is none: the settings cannot be used.
    ready: Result<Ready<F>, Invalid>,
}

/// What answers requests once the settings are read.
struct Ready<F> {
    function: F,
    authenticator: Authenticator,
    request_budget: Duration,
}

impl<F: Function> Service<F> {
    /// See [`Function::new`]. With settings that cannot be used, every request is answered with 503.
    #[must_use]
    pub fn new(settings: Result<Config, Invalid>) -> Self {
        match settings {
            Ok(config) => Self { cors: Cors::new(&config.allowed_origins), ready: Ok(Ready::new(&config)) },
            Err(invalid) => Self { cors: Cors::new(&invalid.allowed_origins), ready: Err(invalid) },
        }
    }

    /// Fetches and connects to what the first request needs, concurrently and for a short time: Lambda grants the full CPU before
    /// the first request. What fails or takes too long is left to the requests that need it.
    pub async fn warm(&self) {
        if let Ok(ready) = &self.ready {
            // The function first: its database takes longest, and the keys of tokens are fetched while it connects.
            warmed(F::NAME, async { _ = tokio::join!(ready.function.warm(), ready.authenticator.warm()) }).await;
        }
    }

    /// Checks the settings, the keys of tokens, and the function itself: [`Function::check`].
    ///
    /// # Errors
    /// `Unavailable` with what cannot be used.
    pub async fn check(&self) -> Result<(), Error> {
        let ready = self.ready()?;
        tokio::try_join!(ready.authenticator.check(), ready.function.check())?;
        Ok(())
    }

    /// Answers an event of API Gateway or of the function URL, whatever JSON it is.
    ///
    /// # Errors
    /// None: every failure is an answer.
    pub async fn handle(&self, event: LambdaEvent<Box<RawValue>>) -> Result<EventAnswer, Infallible> {
        let LambdaEvent { payload, context } = event;
        let request_id = request_id(Some(&context));
        let response = match event::parse(&payload).and_then(|event| event::request(&event, context)) {
            Ok(request) => self.answer(request).await,
            Err(malformed) => {
                let Malformed { headers, error } = *malformed;
                let mut response = answered(F::NAME, &request_id, "", async { Err(error) }).await;
                self.cors.decorate(&headers, response.headers_mut());
                response
            }
        };
        Ok(response.into())
    }

    /// Answers one request. Every failure is an answer.
    pub async fn answer(&self, request: Request) -> Response<Body> {
        let started = Instant::now();
        let request_id = request_id(request.lambda_context_ref());
        let method = request.method().clone();
        let request_headers = request.headers().clone();
        let work = async {
            if method == Method::OPTIONS {
                Ok(self.preflight(&request_headers))
            } else {
                self.ready()?.call(request, &request_id, started).await
            }
        };
        let mut response = answered(F::NAME, &request_id, method.as_str(), work).await;
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

    fn ready(&self) -> Result<&Ready<F>, Error> {
        self.ready.as_ref().map_err(|invalid| Error::Unavailable(Box::new(invalid.clone())))
    }
}

impl<F: Function> Ready<F> {
    fn new(config: &Config) -> Self {
        let secrets = Arc::new(Secrets::new(&config.aws, config.secrets_ttl));
        Self {
            function: F::new(config, Arc::clone(&secrets)),
            authenticator: Authenticator::new(config.tokens.clone(), secrets),
            request_budget: config.request_budget,
        }
    }

    async fn call(&self, request: Request, request_id: &str, started: Instant) -> Result<Response<Body>, Error> {
        if !F::METHODS.contains(&request.method().as_str()) {
            return Err(Error::MethodNotAllowed(F::METHODS));
        }
        let deadline = started + time_left(&request, self.request_budget);
        let cut_off = deadline + GRACE;
        let late = |_| Error::Unavailable("the request ran out of time".into());
        // On the heap, as below: these futures are large.
        let user = Box::pin(self.authenticator.user(request.headers()));
        let user_id = tokio::time::timeout_at(cut_off, user).await.map_err(late)??;
        let call = Call {
            method: request.method().clone(),
            user_id,
            deadline,
            request_id: request_id.to_owned(),
            headers: request.headers().clone(),
            query: query(&request),
            body: body(&request)?,
        };
        let work = Box::pin(self.function.handle(call));
        let answer = tokio::time::timeout_at(cut_off, work).await.map_err(late)??;
        Ok(answer.into())
    }
}

/// The parameters of a query, decoded, without the one that is not meant for a function.
fn query(request: &Request) -> Vec<(String, String)> {
    let parameters = request.query_string_parameters_ref().into_iter().flat_map(|query| query.iter());
    parameters.filter(|(name, _)| *name != REGION).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
