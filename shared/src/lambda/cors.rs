//! Cross-origin requests (the Fetch standard, "CORS protocol"). The functions answer them, not API Gateway, so that errors carry
//! the headers as well.

use lambda_http::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_MAX_AGE, HeaderMap, HeaderValue, ORIGIN, VARY,
};

use crate::model::Origin;

/// Request headers that a page may send.
const ALLOWED_HEADERS: HeaderValue =
    HeaderValue::from_static("authorization, apikey, x-client-info, content-type, idempotency-key, if-match");
/// Response headers that a page may read.
const EXPOSED_HEADERS: HeaderValue = HeaderValue::from_static("etag, retry-after, idempotent-replayed, x-request-id, location");
/// How long a browser may cache a preflight, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// The origins that pages may call from.
pub struct Cors {
    origins: Vec<Origin>,
}

impl Cors {
    /// Permits the pages of `origins`.
    #[must_use]
    pub fn new(origins: &[Origin]) -> Self {
        Self { origins: origins.to_vec() }
    }

    /// Adds the headers that every answer to `request` carries.
    pub fn decorate(&self, request: &HeaderMap, response: &mut HeaderMap) {
        response.append(VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = self.allowed_origin(request) {
            response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            response.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
        }
    }

    /// Adds the headers that only the answer to a preflight carries.
    pub fn decorate_preflight(&self, request: &HeaderMap, methods: &[&str], response: &mut HeaderMap) {
        if self.allowed_origin(request).is_none() {
            return;
        }
        if let Ok(methods) = methods.join(", ").parse() {
            response.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
        }
        response.insert(ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS);
        response.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    }

    fn allowed_origin(&self, request: &HeaderMap) -> Option<HeaderValue> {
        let origin = request.get(ORIGIN)?;
        let text = origin.to_str().ok()?;
        self.origins.iter().any(|allowed| allowed.matches(text)).then(|| origin.clone())
    }
}
