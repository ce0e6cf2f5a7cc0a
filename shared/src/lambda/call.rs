//! One request of an authenticated user, and its answer.

use lambda_http::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use lambda_http::http::{Method, StatusCode};
use lambda_http::{Body, Response};
use serde::Serialize;
use tokio::time::Instant;
use uuid::Uuid;

use super::input::{Input, Rule};
use crate::error::Error;

/// What can be in a query or in a body is in one of them.
pub const QUERY_OR_BODY: Rule = Rule { name: "query_or_body", field: "*", message: "cannot be given beside a body" };

/// One request of an authenticated user.
pub struct Call {
    /// The method, one of [`Function::METHODS`](super::Function::METHODS).
    pub method: Method,
    /// The user: the token's `sub`.
    pub user_id: Uuid,
    /// When the work must have ended.
    pub deadline: Instant,
    /// The id of the request, which its answer carries.
    pub request_id: String,
    pub(super) headers: HeaderMap,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Call {
    /// The value of a header; None if it is missing, empty if it is not text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap_or_default())
    }

    /// The body as it was received.
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
    /// `InvalidRequest` if the body is not a JSON object or there is a query.
    pub fn body(&self) -> Result<Input, Error> {
        Input::query(&self.query).finish(Some(()))?;
        Input::body(&self.body)
    }

    /// The JSON body or, if there is none, the query string.
    ///
    /// # Errors
    /// `InvalidRequest` if the body is not a JSON object, or there is a query beside it, which could contradict it.
    pub fn query_or_body(&self) -> Result<Input, Error> {
        if self.body.is_empty() {
            return Ok(self.query());
        }
        self.query().empty(QUERY_OR_BODY.message)?;
        self.body()
    }
}

/// The answer to a request: a success, or an earlier answer of either kind.
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
    /// `Internal` if the body cannot be serialised, which is a defect.
    pub fn ok(body: &impl Serialize) -> Result<Self, Error> {
        let body = serde_json::to_string(body).map_err(|error| Error::Internal(Box::new(error)))?;
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        Ok(Self { status: StatusCode::OK, headers, body, is_final: true })
    }

    /// An earlier answer, given again.
    #[must_use]
    pub fn again(status: StatusCode, content_type: HeaderValue, body: String) -> Self {
        Self { status, headers: HeaderMap::from_iter([(CONTENT_TYPE, content_type)]), body, is_final: true }
    }

    /// Sets a status other than 200.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Marks the answer as one that may differ when the request is repeated.
    #[must_use]
    pub fn not_final(mut self) -> Self {
        self.is_final = false;
        self
    }

    /// Whether a repeated request gets the same answer.
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

    /// Adds a header.
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
