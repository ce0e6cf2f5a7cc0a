//! HTTP to Telnyx: one request, one answer, and what it means when there is none.

use std::time::Duration;

use lambda_http::http::Method;
use serde_json::Value;
use tokio::time::Instant;

use super::failure::{self, Failure, Purpose, Refusal};
use super::ids::Path;
use super::json::{Object, Unread};
use super::rate_limits::{RateLimits, wait};
use super::{Session, documents};
use crate::config::{self, Authorities};
use crate::error::{Source, chain};
use crate::secrets::Secret;
use crate::tls;

/// With less time than this left, a call is not begun.
const SHORTEST: Duration = Duration::from_millis(50);
/// The longest body that is read: more than a full page of the largest items that Telnyx documents.
const LONGEST_BODY_BYTES: usize = 8 * 1024 * 1024;

pub(super) struct Transport {
    http: Result<reqwest::Client, String>,
    url: String,
    timeout: Duration,
    limits: RateLimits,
}

/// A request.
pub(super) struct Call<'a> {
    purpose: Purpose,
    method: Method,
    path: Path,
    query: &'a [(&'a str, String)],
    body: Option<&'a Value>,
}

impl<'a> Call<'a> {
    /// A look-up.
    pub(super) const fn get(path: Path, query: &'a [(&'a str, String)]) -> Self {
        Self { purpose: Purpose::Other, method: Method::GET, path, query, body: None }
    }

    /// A look for numbers on offer.
    pub(super) const fn search(path: Path, query: &'a [(&'a str, String)]) -> Self {
        Self { purpose: Purpose::Search, method: Method::GET, path, query, body: None }
    }

    /// An order for a number.
    pub(super) const fn order(path: Path, body: &'a Value) -> Self {
        Self { purpose: Purpose::Order, method: Method::POST, path, query: &[], body: Some(body) }
    }

    /// A change of what is there.
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

    /// Makes a call that changes nothing. A connection that broke is replaced once: reading twice does no harm.
    pub(super) async fn read(&self, session: &Session<'_>, call: &Call<'_>) -> Result<Answer, Failure> {
        match self.exchange(session, call).await {
            Err(Lost { broken: true, .. }) => self.exchange(session, call).await,
            outcome => outcome,
        }
        .map_err(|lost| lost.failure)
    }

    /// Makes a call that changes something, once.
    pub(super) async fn send_once(&self, session: &Session<'_>, call: &Call<'_>) -> Result<Answer, Failure> {
        self.exchange(session, call).await.map_err(|lost| lost.failure)
    }

    /// One call and its answer. When the key is refused nothing has happened: with a newer one, if there is one by now, the
    /// call is made once more. All of that takes no longer than one call may, which others rely on.
    async fn exchange(&self, session: &Session<'_>, call: &Call<'_>) -> Result<Answer, Lost> {
        let until = session.deadline.min(Instant::now() + self.timeout);
        let key = session.account.key();
        let answer = self.send(session, &key, until, call).await?;
        if !failure::refuses_key(answer.status, &answer.codes) {
            return Ok(answer);
        }
        match tokio::time::timeout_at(until, session.account.newer_key(&key)).await {
            Ok(Ok(Some(newer))) => self.send(session, &newer, until, call).await,
            Ok(Ok(None)) | Err(_) => Ok(answer),
            Ok(Err(error)) => {
                tracing::warn!(account = session.account.name, error = %error, "a refused key could not be read anew");
                Ok(answer)
            }
        }
    }

    /// Sends a request unless Telnyx limits the account.
    async fn send(&self, session: &Session<'_>, key: &Secret, until: Instant, call: &Call<'_>) -> Result<Answer, Lost> {
        let http = self.http.as_ref().map_err(|reason| Lost::from(Failure::NotSent(reason.clone().into())))?;
        let account = &session.account.name;
        if let Some(left) = self.limits.remaining(account) {
            return Err(Failure::Refused(Refusal::RateLimited(left)).into());
        }
        let left = until.saturating_duration_since(Instant::now());
        if left < SHORTEST {
            return Err(Failure::NotSent("there is no time left for it".into()).into());
        }
        let url = format!("{}{}", self.url, call.path.encoded());
        let mut request = http.request(call.method.clone(), url).bearer_auth(key.expose()).timeout(left).query(call.query);
        if let Some(body) = call.body {
            request = request.json(body);
        }
        let started = Instant::now();
        let outcome = answer(request, call.purpose).await;
        let status = outcome.as_ref().map_or(0, |answer| answer.status);
        let duration_ms = started.elapsed().as_secs_f64() * 1e3;
        let (path, id) = (call.path.template(), call.path.plain_id());
        tracing::info!(method = call.method.as_str(), path, id, status, duration_ms, "telnyx call");
        let mut answer = outcome?;
        if matches!(answer.refusal(), Some(Failure::Refused(Refusal::RateLimited(_)))) {
            answer.wait = self.limits.note(account, answer.wait);
        }
        Ok(answer)
    }
}

/// An answer that arrived whole, whatever it says.
pub(super) struct Answer {
    purpose: Purpose,
    status: u16,
    wait: Duration,
    /// Telnyx's codes, where it refuses.
    codes: Vec<String>,
    body: Vec<u8>,
}

impl Answer {
    /// What the answer refuses, if it is no success.
    fn refusal(&self) -> Option<Failure> {
        let succeeded = matches!(self.status, 200..300);
        (!succeeded).then(|| failure::refusal(self.purpose, self.status, &self.codes, self.wait))
    }

    /// Reads the object that a successful answer is, and logs once which members of it could not be read.
    ///
    /// # Errors
    /// The refusal; [`Failure::Unknown`] if the answer cannot be read, or `read` returns `None`.
    pub(super) fn parse<T>(&self, read: impl FnOnce(&Object<'_>) -> Option<T>) -> Result<T, Failure> {
        if let Some(refusal) = self.refusal() {
            return Err(refusal);
        }
        let (text, unread) = (String::from_utf8_lossy(&self.body), Unread::default());
        let Some(document) = Object::parse(&text, &unread).and_then(|object| read(&object)) else {
            let reason = format!("Telnyx answered {} with what cannot be read [{unread}]", self.status);
            return Err(Failure::Unknown(reason.into()));
        };
        if !unread.is_empty() {
            tracing::warn!(members = %unread, "parts of an answer from Telnyx could not be read");
        }
        Ok(document)
    }
}

/// No answer, or none that could be read.
struct Lost {
    failure: Failure,
    /// The connection broke; otherwise there is no use in trying again.
    broken: bool,
}

impl From<Failure> for Lost {
    fn from(failure: Failure) -> Self {
        Self { failure, broken: false }
    }
}

impl From<reqwest::Error> for Lost {
    fn from(error: reqwest::Error) -> Self {
        let (connected, broken) = (!error.is_connect(), !error.is_timeout());
        // The URL may carry numbers; the path has been logged.
        let source: Source = chain(&error.without_url()).into();
        // Without a connection nothing can have been asked.
        Self { failure: if connected { Failure::Unknown(source) } else { Failure::NotSent(source) }, broken }
    }
}

async fn answer(request: reqwest::RequestBuilder, purpose: Purpose) -> Result<Answer, Lost> {
    let response = request.send().await?;
    let (status, wait) = (response.status().as_u16(), wait(response.headers()));
    let body = match body(response).await {
        // The status and the headers say all there is to a limit.
        Err(_) if status == 429 => Vec::new(),
        outcome => outcome?,
    };
    let codes = if matches!(status, 200..300) { Vec::new() } else { codes(&body) };
    Ok(Answer { purpose, status, wait, codes, body })
}

/// The body of an answer, read piece by piece up to a bound.
async fn body(mut response: reqwest::Response) -> Result<Vec<u8>, Lost> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > LONGEST_BODY_BYTES {
            return Err(Failure::Unknown(format!("Telnyx's answer is longer than {LONGEST_BODY_BYTES} bytes").into()).into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn codes(body: &[u8]) -> Vec<String> {
    let (text, unread) = (String::from_utf8_lossy(body), Unread::default());
    Object::parse(&text, &unread).map(|object| documents::codes(&object)).unwrap_or_default()
}

fn client(config: &config::Telnyx) -> Result<reqwest::Client, Source> {
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls::client(&Authorities::Web)?)
        .connect_timeout(config.connect_timeout)
        // A POST is never sent again by the client itself: neither redirected nor retried.
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .user_agent(concat!("phone-numbers/", env!("CARGO_PKG_VERSION")))
        .build()?;
    Ok(client)
}
