//! HTTP: one request to Telnyx and its response, or what it means that there is none.

use std::time::Duration;

use http::Method;
use serde_json::Value;
use tokio::time::Instant;

use super::Session;
use super::failure::{self, Failure, Purpose, Refusal};
use super::ids::Path;
use super::json::{Json, Object, Unread};
use super::rate_limits::{RateLimits, wait};
use crate::config::{self, Authorities};
use crate::error::{Source, chain};
use crate::meter::{self, Dependency};
use crate::secrets::Secret;
use crate::tls;

/// The least time that a request needs. With less time left it is not sent.
const SHORTEST_CALL: Duration = Duration::from_millis(50);
/// The longest body that is read: more than a full page of the largest items that Telnyx documents.
const LONGEST_BODY_BYTES: usize = 8 * 1024 * 1024;

/// The HTTP client for Telnyx.
pub(super) struct Transport {
    /// Or why it could not be built; then no request can be sent.
    http: Result<reqwest::Client, String>,
    url: String,
    timeout: Duration,
    limits: RateLimits,
}

/// A request.
pub(super) struct Request<'a> {
    purpose: Purpose,
    method: Method,
    path: Path,
    query: &'a [(&'a str, String)],
    body: Option<&'a Value>,
}

impl<'a> Request<'a> {
    /// A request that changes nothing.
    pub(super) const fn get(path: Path, query: &'a [(&'a str, String)]) -> Self {
        Self { purpose: Purpose::Other, method: Method::GET, path, query, body: None }
    }

    /// A search for numbers for sale.
    pub(super) const fn search(path: &'static str, query: &'a [(&'a str, String)]) -> Self {
        Self { purpose: Purpose::Search, method: Method::GET, path: Path::to(path), query, body: None }
    }

    /// An order for a number.
    pub(super) const fn order(path: &'static str, body: &'a Value) -> Self {
        Self { purpose: Purpose::Order, method: Method::POST, path: Path::to(path), query: &[], body: Some(body) }
    }

    /// A change or deletion of something that exists.
    pub(super) const fn change(method: Method, path: Path) -> Self {
        Self { purpose: Purpose::Other, method, path, query: &[], body: None }
    }
}

impl Transport {
    pub(super) fn new(config: &config::Telnyx) -> Self {
        Self {
            http: client(config).map_err(|error| chain(error.as_ref())),
            url: config.url.clone(),
            timeout: config.timeout,
            limits: RateLimits::default(),
        }
    }

    /// Sends a request that changes nothing. If the connection breaks, it is sent once more.
    pub(super) async fn read(&self, session: &Session<'_>, request: &Request<'_>) -> Result<Response, Failure> {
        match self.exchange(session, request).await {
            Err(ExchangeError { connection_broke: true, .. }) => self.exchange(session, request).await,
            outcome => outcome,
        }
        .map_err(|error| error.failure)
    }

    /// Sends a request that changes something. It is not repeated if the connection breaks.
    pub(super) async fn send_once(&self, session: &Session<'_>, request: &Request<'_>) -> Result<Response, Failure> {
        self.exchange(session, request).await.map_err(|error| error.failure)
    }

    /// Sends a request and receives its response.
    ///
    /// If Telnyx refuses the key, nothing has happened: the key is read again and, if it has changed, the request is sent once
    /// more. Both together take no longer than the time-out of one call: callers plan with it.
    async fn exchange(&self, session: &Session<'_>, request: &Request<'_>) -> Result<Response, ExchangeError> {
        let until = session.deadline.min(Instant::now() + self.timeout);
        let key = session.account.key();
        let response = self.send(session, &key, until, request).await?;
        if !failure::refuses_key(response.status, &response.codes) {
            return Ok(response);
        }
        match tokio::time::timeout_at(until, session.account.newer_key(&key)).await {
            Ok(Ok(Some(newer))) => self.send(session, &newer, until, request).await,
            Ok(Ok(None)) | Err(_) => Ok(response),
            Ok(Err(error)) => {
                tracing::warn!(account = session.account.name, error = %error, "Telnyx refused the API key, and its secret cannot be read again");
                Ok(response)
            }
        }
    }

    /// Sends a request with a key, unless Telnyx rate-limits the account.
    async fn send(&self, session: &Session<'_>, key: &Secret, until: Instant, request: &Request<'_>) -> Result<Response, ExchangeError> {
        let http = self.http.as_ref().map_err(|reason| ExchangeError::from(Failure::NotSent(reason.clone().into())))?;
        let account = &session.account.name;
        if let Some(left) = self.limits.remaining(account) {
            return Err(Failure::Refused(Refusal::RateLimited(left)).into());
        }
        let left = until.saturating_duration_since(Instant::now());
        if left < SHORTEST_CALL {
            return Err(Failure::NotSent("there is not enough time left to send it".into()).into());
        }
        let url = format!("{}{}", self.url, request.path.encoded());
        let mut http_request = http.request(request.method.clone(), url).bearer_auth(key.expose()).timeout(left).query(request.query);
        if let Some(body) = request.body {
            http_request = http_request.json(body);
        }
        let started = Instant::now();
        let outcome = meter::wait_for(Dependency::Telnyx, Box::pin(receive(http_request, request.purpose))).await;
        let status = outcome.as_ref().map_or(0, |response| response.status);
        let duration_ms = started.elapsed().as_secs_f64() * 1e3;
        let (path, id) = (request.path.template(), request.path.plain_id());
        tracing::info!(method = request.method.as_str(), path, id, status, duration_ms, "telnyx call");
        let mut response = outcome?;
        if matches!(response.refusal(), Some(Failure::Refused(Refusal::RateLimited(_)))) {
            response.wait = self.limits.note(account, response.wait);
        }
        Ok(response)
    }
}

/// A complete response, of any status.
pub(super) struct Response {
    purpose: Purpose,
    status: u16,
    /// How long the account must wait, if this is a rate limit.
    wait: Duration,
    /// Telnyx's error codes; empty if the status is a success.
    codes: Vec<String>,
    body: Vec<u8>,
}

impl Response {
    /// The failure that the status and the codes stand for. Returns `None` if the status is a success.
    fn refusal(&self) -> Option<Failure> {
        let succeeded = matches!(self.status, 200..300);
        (!succeeded).then(|| failure::refusal(self.purpose, self.status, &self.codes, self.wait))
    }

    /// Reads the body with `read`, and logs the names of members that could not be read.
    ///
    /// # Errors
    /// The failure that the status stands for; [`Failure::Unknown`] if the body is not an object, or `read` returns `None`.
    pub(super) fn parse<T>(&self, read: impl FnOnce(&Object<'_>) -> Option<T>) -> Result<T, Failure> {
        if let Some(refusal) = self.refusal() {
            return Err(refusal);
        }
        let (text, unread) = (String::from_utf8_lossy(&self.body), Unread::default());
        let Some(document) = Object::parse(&text, &unread).and_then(|object| read(&object)) else {
            let reason = format!("Telnyx answered {} with a body that cannot be read [{unread}]", self.status);
            return Err(Failure::Unknown(reason.into()));
        };
        if !unread.is_empty() {
            tracing::warn!(members = %unread, "members of a response from Telnyx could not be read");
        }
        Ok(document)
    }

    /// Checks that Telnyx reports the object that a change concerned.
    ///
    /// # Errors
    /// As [`Response::parse`].
    pub(super) fn confirm(&self) -> Result<(), Failure> {
        self.parse(|document| document.get("data", Json::object).map(drop))
    }
}

/// No response, or an incomplete one.
struct ExchangeError {
    failure: Failure,
    /// Whether the connection broke. After other failures a second try is useless.
    connection_broke: bool,
}

impl From<Failure> for ExchangeError {
    fn from(failure: Failure) -> Self {
        Self { failure, connection_broke: false }
    }
}

impl From<reqwest::Error> for ExchangeError {
    fn from(error: reqwest::Error) -> Self {
        let (was_connected, connection_broke) = (!error.is_connect(), !error.is_timeout());
        // The URL can contain phone numbers; the path has been logged.
        let source: Source = chain(&error.without_url()).into();
        // Without a connection nothing was sent.
        Self { failure: if was_connected { Failure::Unknown(source) } else { Failure::NotSent(source) }, connection_broke }
    }
}

async fn receive(request: reqwest::RequestBuilder, purpose: Purpose) -> Result<Response, ExchangeError> {
    let response = request.send().await?;
    let (status, wait) = (response.status().as_u16(), wait(response.headers()));
    let body = match body(response).await {
        // A rate limit is complete with its status and headers.
        Err(_) if status == 429 => Vec::new(),
        outcome => outcome?,
    };
    let codes = if matches!(status, 200..300) { Vec::new() } else { codes(&body) };
    Ok(Response { purpose, status, wait, codes, body })
}

/// Receives a body of at most [`LONGEST_BODY_BYTES`].
async fn body(mut response: reqwest::Response) -> Result<Vec<u8>, ExchangeError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > LONGEST_BODY_BYTES {
            return Err(Failure::Unknown(format!("Telnyx's response is longer than {LONGEST_BODY_BYTES} bytes").into()).into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn codes(body: &[u8]) -> Vec<String> {
    let (text, unread) = (String::from_utf8_lossy(body), Unread::default());
    Object::parse(&text, &unread).map(|object| failure::codes(&object)).unwrap_or_default()
}

fn client(config: &config::Telnyx) -> Result<reqwest::Client, Source> {
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls::client(&Authorities::Web)?)
        .connect_timeout(config.connect_timeout)
        // Never send a POST twice: no redirects, no retries.
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .user_agent(concat!("phone-numbers/", env!("CARGO_PKG_VERSION")))
        .build()?;
    Ok(client)
}
