//! Which requests the console takes, and the headers that restrict what a browser does with its answers.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::browsers;

/// What the checks depend on.
#[derive(Debug)]
pub(super) struct Guard {
    /// The console's own port.
    pub(super) port: u16,
    /// The origin of the functions, which the page may call.
    pub(super) functions: String,
}

/// Why a request is refused.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    Host,
    OtherPage,
    ContentType,
}

/// Refuses requests of other pages, and adds the headers to every answer.
pub(super) async fn guarded(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let mut response = match guard.refusal(&request) {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    };
    response.headers_mut().extend(guard.headers());
    response
}

impl Guard {
    fn refusal(&self, request: &Request) -> Option<Refusal> {
        let headers = request.headers();
        if !browsers::names_this_machine(headers, self.port) {
            return Some(Refusal::Host);
        }
        if !is_own_origin(headers) || (request.uri().path().starts_with("/api/") && is_of_another_page(headers)) {
            return Some(Refusal::OtherPage);
        }
        // A form, or a script without a preflight, cannot send JSON to another origin.
        let is_read = [Method::GET, Method::HEAD].contains(request.method());
        (!is_read && !is_json(headers)).then_some(Refusal::ContentType)
    }

    fn headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let policy = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' {}; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
            self.functions
        );
        let fixed = [
            (CACHE_CONTROL, "no-store"),
            (REFERRER_POLICY, "no-referrer"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
            (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        ];
        let policy = HeaderValue::try_from(policy).ok().map(|policy| (CONTENT_SECURITY_POLICY, policy));
        fixed.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).chain(policy)
    }
}

/// Whether `Origin` is absent, as in a navigation, or that of the address in `Host`.
fn is_own_origin(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).map(|host| [b"http://", host.as_bytes()].concat());
    headers.get_all(ORIGIN).iter().all(|origin| host.as_deref() == Some(origin.as_bytes()))
}

/// Whether the browser says that another page sent the request. It sends no `Origin` with a script or an image.
fn is_of_another_page(headers: &HeaderMap) -> bool {
    headers.get_all("sec-fetch-site").iter().any(|site| site != "same-origin" && site != "none")
}

fn is_json(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|content_type| content_type == "application/json")
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, error) = match self {
            Self::Host => (StatusCode::FORBIDDEN, "the console answers at 127.0.0.1 and localhost only"),
            Self::OtherPage => (StatusCode::FORBIDDEN, "only the console's own page may send this"),
            Self::ContentType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "the content type must be application/json"),
        };
        (status, Json(json!({"error": error}))).into_response()
    }
}
