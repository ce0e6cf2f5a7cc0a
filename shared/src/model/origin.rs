//! Origins of pages, as the Fetch standard has them, and patterns of such origins.

use std::str::FromStr;

/// An origin that browsers may call from, or a family of such origins: `https://app.example.com`, `https://*.example.com`,
/// `http://localhost:*` or `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(Pattern);

#[derive(Clone, Debug, PartialEq, Eq)]
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

#[derive(Clone, Debug, PartialEq, Eq)]
enum Port {
    Any,
    /// As written; empty for the scheme's own.
    Exactly(String),
}

impl Origin {
    /// Whether an `Origin` header names this origin, or one of this family.
    #[must_use]
    pub fn matches(&self, origin: &str) -> bool {
        self.0.matches(origin)
    }
}

impl FromStr for Origin {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Pattern::read(text).map(Self).ok_or(())
    }
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
    use proptest::prelude::*;

    use super::*;

    /// A scheme, a host and a port, which is empty or a number.
    fn origins() -> impl Strategy<Value = (String, String, String)> {
        ("https?", "[a-z][a-z0-9-]{0,8}(\\.[a-z][a-z0-9-]{0,8}){0,3}", "|[1-9][0-9]{0,4}")
    }

    fn written((scheme, host, port): &(String, String, String)) -> String {
        if port.is_empty() { format!("{scheme}://{host}") } else { format!("{scheme}://{host}:{port}") }
    }

    proptest! {
        #[test]
        fn an_origin_allows_itself_alone(origin in origins(), other in origins()) {
            prop_assert!(allows(&written(&origin), &written(&origin)));
            prop_assert_eq!(allows(&written(&origin), &written(&other)), origin == other);
        }

        #[test]
        fn a_star_for_the_port_allows_the_same_scheme_and_host_alone(origin in origins(), other in origins(), port in "|[1-9][0-9]{0,4}") {
            let (scheme, host, _) = &origin;
            let pattern = format!("{scheme}://{host}:*");
            prop_assert!(allows(&pattern, &written(&(scheme.clone(), host.clone(), port))));
            prop_assert_eq!(allows(&pattern, &written(&other)), (&other.0, &other.1) == (scheme, host));
        }

        #[test]
        fn a_star_for_subdomains_allows_whole_labels_alone(origin in origins(), label in "[a-z0-9-]{1,8}") {
            let (scheme, host, port) = &origin;
            let with = |host: String| written(&(scheme.clone(), host, port.clone()));
            let pattern = with(format!("*.{host}"));
            let subdomain = with(format!("{label}.{host}"));
            prop_assert!(allows(&pattern, &subdomain));
            prop_assert!(!allows(&pattern, &written(&origin)));
            for stranger in [with(format!("{label}{host}")), with(format!("{label}.{host}.evil"))] {
                prop_assert!(!allows(&pattern, &stranger), "{}", stranger);
            }
        }

        #[test]
        fn any_text_is_an_origin_or_is_refused(pattern in any::<String>(), origin in any::<String>()) {
            allows(&pattern, &origin);
        }
    }

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
    fn what_is_no_origin_is_refused() {
        for pattern in ["example.com", "https://*", "https://app*.example.com", "https://example.com/path", ""] {
            assert_eq!(Pattern::read(pattern), None, "{pattern}");
        }
    }
}
