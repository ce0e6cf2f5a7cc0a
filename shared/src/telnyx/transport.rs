//! HTTP to Telnyx: one request, one answer, and what it means when there is none.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lambda_http::http::{HeaderMap, Method};
use reqwest::Response;
use reqwest::header::RETRY_AFTER;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use super::failure::Failure;
use super::{Session, failure, wire};
use crate::config::{self, Authorities};
use crate::error::{Source, chain};
use crate::secrets::Secret;
use crate::tls;

/// With less time than this left, a call is not begun.
const SHORTEST: Duration = Duration::from_millis(50);
/// How long to wait where Telnyx says no more than "too many".
const DEFAULT_WAIT: Duration = Duration::from_secs(1);

pub(super) struct Transport {
    http: Result<reqwest::Client, String>,
    url: String,
    timeout: Duration,
}

impl Transport {
    pub(super) fn new(config: &config::Telnyx) -> Self {
        Self { http: client(config).map_err(|error| chain(error.as_ref())), url: config.url.clone(), timeout: config.timeout }
    }

    /// Reads something. A connection that died unnoticed is replaced once: reading twice does no harm.
    pub(super) async fn get<T: DeserializeOwned>(&self, session: &Session<'_>, path: &str, query: &[(&str, String)]) -> Result<T, Failure> {
        let call = Call { method: Method::GET, path, query, body: None };
        match self.exchange(session, &call).await {
            Err(Lost { timed_out: false, .. }) => self.exchange(session, &call).await,
            outcome => outcome,
        }
        .map_err(Failure::from)
        .and_then(Answer::read)
    }

    /// Sends a request that changes something, once.
    pub(super) async fn send_once<T: DeserializeOwned>(
        &self,
        session: &Session<'_>,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, Failure> {
        let call = Call { method, path, query: &[], body };
        self.exchange(session, &call).await.map_err(Failure::from).and_then(Answer::read)
    }

    /// One call and its answer. When the key is refused nothing has happened: with a newer one, if there is one by now, the
    /// call is made once more. All of that takes no longer than one call may, which others rely on.
    async fn exchange(&self, session: &Session<'_>, call: &Call<'_>) -> Result<Answer, Lost> {
        let until = session.deadline.min(Instant::now() + self.timeout);
        let key = session.account.key();
        let answer = self.send(&key, until, call).await?;
        if !failure::refuses_key(answer.status, &answer.codes()) {
            return Ok(answer);
        }
        match tokio::time::timeout_at(until, session.account.newer_key(&key)).await {
            Ok(Ok(Some(newer))) => self.send(&newer, until, call).await,
            Ok(Ok(None)) | Err(_) => Ok(answer),
            Ok(Err(error)) => {
                tracing::warn!(account = session.account.name, error = %error, "a refused key could not be read anew");
                Ok(answer)
            }
        }
    }

    async fn send(&self, key: &Secret, until: Instant, call: &Call<'_>) -> Result<Answer, Lost> {
        let http = self.http.as_ref().map_err(|reason| Lost::unsent(reason.clone()))?;
        let left = until.saturating_duration_since(Instant::now());
        if left < SHORTEST {
            return Err(Lost::unsent("there is no time left for it".to_owned()));
        }
        let url = format!("{}{}", self.url, call.path);
        let mut request = http.request(call.method.clone(), url).bearer_auth(key.expose()).timeout(left).query(call.query);
        if let Some(body) = call.body {
            request = request.json(body);
        }
        let started = Instant::now();
        let outcome = answer(request).await;
        let status = outcome.as_ref().map_or(0, |answer| answer.status);
        let duration_ms = started.elapsed().as_secs_f64() * 1e3;
        tracing::info!(method = call.method.as_str(), path = call.path, status, duration_ms, "telnyx call");
        outcome.map_err(|error| Lost {
            // No connection was made, so that nothing can have been asked.
            sent: !error.is_connect(),
            timed_out: error.is_timeout(),
            // The URL may carry numbers; the path has been logged.
            source: chain(&error.without_url()),
        })
    }
}

/// What is asked of Telnyx.
struct Call<'a> {
    method: Method,
    path: &'a str,
    query: &'a [(&'a str, String)],
    body: Option<&'a Value>,
}

struct Answer {
    status: u16,
    wait: Duration,
    body: Vec<u8>,
}

/// No answer, or none that arrived whole.
struct Lost {
    sent: bool,
    timed_out: bool,
    source: String,
}

impl Lost {
    const fn unsent(source: String) -> Self {
        Self { sent: false, timed_out: true, source }
    }
}

impl From<Lost> for Failure {
    fn from(lost: Lost) -> Self {
        let source: Source = lost.source.into();
        if lost.sent { Self::Unknown(source) } else { Self::NotSent(source) }
    }
}

impl Answer {
    const fn succeeded(&self) -> bool {
        matches!(self.status, 200..300)
    }

    /// Why Telnyx says no. An error without a body we understand still has a status.
    fn codes(&self) -> Vec<String> {
        if self.succeeded() {
            return Vec::new();
        }
        serde_json::from_slice::<wire::Errors>(&self.body).map(wire::Errors::codes).unwrap_or_default()
    }

    fn read<T: DeserializeOwned>(self) -> Result<T, Failure> {
        if !self.succeeded() {
            return Err(failure::refusal(self.status, &self.codes(), self.wait));
        }
        serde_json::from_slice(&self.body).map_err(|error| Failure::Unknown(format!("Telnyx answered {} with {error}", self.status).into()))
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Result<Answer, reqwest::Error> {
    let response: Response = request.send().await?;
    let (status, wait) = (response.status().as_u16(), wait(response.headers()));
    Ok(Answer { status, wait, body: response.bytes().await?.to_vec() })
}

fn client(config: &config::Telnyx) -> Result<reqwest::Client, Source> {
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls::client(&Authorities::Web)?)
        .connect_timeout(config.connect_timeout)
        // A POST must not be sent again by anybody's good intentions: neither redirected nor retried.
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .user_agent(concat!("phone-numbers/", env!("CARGO_PKG_VERSION")))
        .build()?;
    Ok(client)
}

/// `Retry-After` in seconds, or `x-ratelimit-reset`, which Telnyx documents as seconds and shows as a time, too.
fn wait(headers: &HeaderMap) -> Duration {
    let seconds = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let reset = seconds("x-ratelimit-reset").map(|reset| if reset > 1_000_000_000 { reset.saturating_sub(now) } else { reset });
    let wait = seconds(RETRY_AFTER.as_str()).or(reset);
    wait.filter(|seconds| *seconds > 0).map_or(DEFAULT_WAIT, |seconds| Duration::from_secs(seconds.min(3_600)))
}

/// An id as one segment of a path, whatever is in it.
pub(super) fn segment(id: &str) -> String {
    url::form_urlencoded::byte_serialize(id.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_read_from_whatever_header_tells_it() {
        let headers = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, lambda_http::http::HeaderValue::from_static(value));
            headers
        };
        assert_eq!(wait(&headers("retry-after", "7")), Duration::from_secs(7));
        assert_eq!(wait(&headers("x-ratelimit-reset", "3")), Duration::from_secs(3));
        assert_eq!(wait(&headers("x-ratelimit-reset", "1000000001")), DEFAULT_WAIT);
        assert_eq!(wait(&headers("x-ratelimit-limit", "2000, 2000;w=1")), DEFAULT_WAIT);
    }

    #[test]
    fn an_id_cannot_leave_its_place_in_a_path() {
        assert_eq!(segment("../number_orders?x=1"), "..%2Fnumber_orders%3Fx%3D1");
    }
}
