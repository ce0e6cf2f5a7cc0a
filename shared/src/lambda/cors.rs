//! Cross-origin requests (the Fetch standard, "CORS protocol"). The functions answer them, not API Gateway, so that errors carry
//! the headers as well.

use lambda_http::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, HeaderMap, HeaderName, HeaderValue, ORIGIN, VARY,
};

use crate::model::Origin;

/// The most request headers that one preflight may ask for, and the longest name of one.
const MOST_HEADERS: usize = 64;
const LONGEST_NAME: usize = 64;
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
        response.entry(VARY).or_insert(HeaderValue::from_static("Origin"));
        if let Some(origin) = self.allowed_origin(request) {
            response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            response.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
        }
    }

    /// Adds the headers that only the answer to a preflight carries.
    ///
    /// A page may send every header that it asks for: SDKs, tracing and browsers add headers of their own, and a header that no
    /// function reads changes nothing. Credentials stay disallowed, so a page can only send what it knows.
    pub fn decorate_preflight(&self, request: &HeaderMap, methods: &[&str], response: &mut HeaderMap) {
        response.insert(VARY, HeaderValue::from_static("Origin, Access-Control-Request-Headers"));
        if self.allowed_origin(request).is_none() {
            return;
        }
        if let Ok(methods) = methods.join(", ").parse() {
            response.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
        }
        if let Some(names) = request.get(ACCESS_CONTROL_REQUEST_HEADERS).and_then(requested) {
            response.insert(ACCESS_CONTROL_ALLOW_HEADERS, names);
        }
        response.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    }

    fn allowed_origin(&self, request: &HeaderMap) -> Option<HeaderValue> {
        let origin = request.get(ORIGIN)?;
        let text = origin.to_str().ok()?;
        self.origins.iter().any(|allowed| allowed.matches(text)).then(|| origin.clone())
    }
}

/// The names that a preflight asks for, written anew. None if there are too many, or one is too long or no header's name.
fn requested(value: &HeaderValue) -> Option<HeaderValue> {
    let names = value.to_str().ok()?.split(',').map(str::trim).filter(|name| !name.is_empty());
    let read = |name: &str| HeaderName::from_bytes(name.as_bytes()).ok().filter(|name| name.as_str().len() <= LONGEST_NAME);
    let names: Vec<_> = names.take(MOST_HEADERS + 1).map(read).collect::<Option<_>>()?;
    if names.is_empty() || names.len() > MOST_HEADERS {
        return None;
    }
    names.iter().map(HeaderName::as_str).collect::<Vec<_>>().join(", ").parse().ok()
}
