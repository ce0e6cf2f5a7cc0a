//! Cross-origin requests (the Fetch standard, "CORS protocol"), answered by the functions themselves so that there is
//! one implementation and errors carry the headers too.

use lambda_http::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_MAX_AGE, HeaderMap, HeaderValue, ORIGIN, VARY,
};

/// Request headers a page may send.
const ALLOWED_HEADERS: HeaderValue =
    HeaderValue::from_static("authorization, apikey, x-client-info, content-type, idempotency-key, if-match");
/// Response headers a page may read.
const EXPOSED_HEADERS: HeaderValue = HeaderValue::from_static("etag, retry-after, idempotent-replayed, x-request-id, location");
/// How long a browser may remember a preflight, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// The origins pages may call from.
pub struct Cors {
    patterns: Vec<Pattern>,
}

impl Cors {
    /// Reads patterns such as `https://app.example.com`, `https://*.example.com`, `http://localhost:*` and `*`.
    /// One that cannot be read allows nothing and is logged.
    #[must_use]
    pub fn new(patterns: &[String]) -> Self {
        let read = |text: &String| {
            let pattern = Pattern::read(text);
            if pattern.is_none() {
                tracing::error!(pattern = %text, "an allowed origin cannot be read and allows nothing");
            }
            pattern
        };
        Self { patterns: patterns.iter().filter_map(read).collect() }
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
        self.patterns.iter().any(|pattern| pattern.matches(text)).then(|| origin.clone())
    }
}

/// One allowed origin or family of origins.
#[derive(Debug, PartialEq)]
enum Pattern {
    /// `*`
    Any,
    Origin {
        scheme: String,
        /// With `*.` before it, every subdomain.
        host: String,
        port: Port,
    },
}

#[derive(Debug, PartialEq)]
enum Port {
    Any,
    /// As written; empty for the scheme's own.
    Exactly(String),
}

impl Pattern {
    fn read(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        let (scheme, host, port) = split(text)?;
        let port = if port == "*" { Port::Any } else { Port::Exactly(port.to_owned()) };
        let labels = host.strip_prefix("*.").unwrap_or(host);
        let readable = !labels.is_empty() && !labels.contains('*') && !scheme.contains('*');
        readable.then(|| Self::Origin { scheme: scheme.to_owned(), host: host.to_ascii_lowercase(), port })
    }

    fn matches(&self, origin: &str) -> bool {
        let Self::Origin { scheme, host, port } = self else { return true };
        let Some((given_scheme, given_host, given_port)) = split(origin) else { return false };
        let same_host = match host.strip_prefix('*') {
            // The suffix keeps its dot, so that evilexample.com is no subdomain of example.com.
            Some(suffix) => given_host.len() > suffix.len() && given_host.ends_with(suffix),
            None => given_host == host,
        };
        let same_port = match port {
            Port::Any => given_port.bytes().all(|byte| byte.is_ascii_digit()),
            Port::Exactly(port) => given_port == port,
        };
        given_scheme == scheme && same_host && same_port
    }
}

/// `https://host:port` in its parts; no origin has a path, a user or a query.
fn split(origin: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = origin.split_once("://")?;
    if rest.contains(['/', '@', '?', '#']) {
        return None;
    }
    // The colons of an IPv6 address stand within brackets.
    match rest.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
        Some((host, port)) => Some((scheme, host, port)),
        None => Some((scheme, rest, "")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(pattern: &str, origin: &str) -> bool {
        Pattern::read(pattern).is_some_and(|pattern| pattern.matches(origin))
    }

    #[test]
    fn an_origin_is_allowed_as_written() {
        assert!(allows("https://app.example.com", "https://app.example.com"));
        assert!(!allows("https://app.example.com", "http://app.example.com"));
        assert!(!allows("https://app.example.com", "https://app.example.com:8443"));
        assert!(!allows("https://app.example.com", "https://app.example.com.evil.org"));
        assert!(!allows("https://app.example.com", "null"));
    }

    #[test]
    fn a_star_stands_for_any_port_or_none() {
        for origin in ["http://localhost", "http://localhost:3000", "http://localhost:65535"] {
            assert!(allows("http://localhost:*", origin), "{origin}");
        }
        for origin in ["https://localhost:3000", "http://localhost.evil.org", "http://localhost:80@evil.org", "http://localhost:x"] {
            assert!(!allows("http://localhost:*", origin), "{origin}");
        }
        assert!(allows("http://[::1]:*", "http://[::1]:5173"));
    }

    #[test]
    fn a_star_stands_for_subdomains_and_nothing_else() {
        assert!(allows("https://*.example.com", "https://app.example.com"));
        assert!(allows("https://*.example.com", "https://pr-7.app.example.com"));
        assert!(!allows("https://*.example.com", "https://example.com"));
        assert!(!allows("https://*.example.com", "https://evilexample.com"));
    }

    #[test]
    fn what_cannot_be_read_allows_nothing() {
        for pattern in ["example.com", "https://*", "https://app*.example.com", "https://example.com/path", ""] {
            assert_eq!(Pattern::read(pattern), None, "{pattern}");
        }
    }
}
