//! Keeps web pages of other sites away from listeners that control the stack.
//!
//! Any page that the developer's browser shows can send requests to this machine's loopback address. Two headers tell them apart,
//! and a page can set neither: `Host` names the address that the page used, and `Origin` the site of the page.

use axum::http::HeaderMap;
use axum::http::header::HOST;

/// The names under which a browser reaches the loopback address without asking a name server.
const NAMES: [&str; 2] = ["127.0.0.1", "localhost"];

/// Returns whether `Host` is the loopback address with `port`. It is another name if a site lets its own name resolve to the
/// loopback address (DNS rebinding), by which its pages have the same origin as the listener.
#[must_use]
pub fn names_this_machine(headers: &HeaderMap, port: u16) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    NAMES.iter().any(|name| host.as_bytes() == format!("{name}:{port}").as_bytes())
}
