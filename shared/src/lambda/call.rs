//! One request of an authenticated user, and its answer.

use lambda_http::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use lambda_http::http::{Method, StatusCode};
use lambda_http::{Body, Response};
use serde::Serialize;
use tokio::time::Instant;
use uuid::Uuid;

use super::input::Input;
use crate::error::Error;

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
    pub(super) headers: HeaderMap,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
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
