//! Injected faults: the next matching requests fail in a chosen way.

use std::collections::BTreeMap;

use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::settings::is_status;

/// The kind of a fault. "Executed" means that the request takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FaultKind {
    /// Not executed. Answered with `status` and `code`.
    Status,
    /// Executed. The answer comes `delay_ms` later, by the wall clock.
    Delay,
    /// Not executed. The connection is cut.
    DropBefore,
    /// Executed. The connection is cut instead of an answer.
    DropAfter,
    /// Executed. The body of the answer is cut short, in valid HTTP.
    Malformed,
    /// Executed. The list in the answer is empty.
    Empty,
    /// Executed. The phone number in the answer, or the first one, is not a valid number.
    Odd,
    /// Executed. The body of the answer is changed by `patch`, then by `removed`.
    Patched,
    /// Executed. The body of the answer is extended to `bytes` by a last member `padding`, and is still valid JSON.
    Oversized,
    /// `headers` are added to the answer. Executed, unless `status` is given: then as the kind `status`.
    Headers,
}

/// The largest `bytes` of `oversized`: 64 MiB.
const MOST_BYTES: usize = 64 << 20;

/// The body of `POST /_control/faults`. Exchanges with a fault are marked as faulted.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fault {
    /// Any method when absent.
    #[serde(default)]
    pub(super) method: Option<String>,
    /// Includes `/v2`.
    pub(super) path_prefix: String,
    #[serde(default = "once")]
    pub(super) times: u32,
    pub(super) kind: FaultKind,
    /// 500 when absent.
    #[serde(default)]
    pub(super) status: Option<u16>,
    /// The usual code of `status` when absent.
    #[serde(default)]
    pub(super) code: Option<String>,
    /// Delays the answer of any kind.
    #[serde(default)]
    pub(super) delay_ms: u64,
    /// For `patched`: JSON pointer (RFC 6901) → value. The value is replaced, or added if its parent exists; `-` is the end of
    /// an array. Otherwise nothing changes. `""` is the whole body.
    #[serde(default)]
    pub(super) patch: Map<String, Value>,
    /// For `patched`: JSON pointers to members and elements that are removed in order.
    #[serde(default)]
    pub(super) removed: Vec<String>,
    /// For `oversized`.
    #[serde(default)]
    pub(super) bytes: Option<usize>,
    /// For `headers`: name → value. Each replaces the header of that name.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
}

fn once() -> u32 {
    1
}

impl Fault {
    /// Returns an error message if the fault cannot be carried out or has members that its kind does not use.
    pub(super) fn check(&self) -> Result<(), String> {
        let wrong = |what: &str| Err(what.to_owned());
        if self.status.is_some_and(|status| !is_status(status)) {
            return wrong("status must be an HTTP status");
        }
        for (kind, given, members) in [
            (FaultKind::Patched, !self.patch.is_empty() || !self.removed.is_empty(), "patch or removed"),
            (FaultKind::Oversized, self.bytes.is_some(), "bytes"),
            (FaultKind::Headers, !self.headers.is_empty(), "headers"),
        ] {
            if given != (self.kind == kind) {
                return Err(format!("{members} must be given with the kind that uses it, and only then"));
            }
        }
        if !self.patch.keys().all(|pointer| pointer.is_empty() || pointer.starts_with('/')) {
            return wrong("patch must map JSON pointers to values");
        }
        if !self.removed.iter().all(|pointer| pointer.starts_with('/')) {
            return wrong("removed must be JSON pointers to parts of the body");
        }
        if self.bytes.is_some_and(|bytes| bytes > MOST_BYTES) {
            return Err(format!("bytes must be at most {MOST_BYTES}"));
        }
        if self.headers.iter().any(|(name, value)| header(name, value).is_none()) {
            return wrong("headers must be names and values of headers, other than the length and the encoding of the body");
        }
        Ok(())
    }

    /// Whether the request is answered with `status` and not executed.
    pub(super) fn replaces_answer(&self) -> bool {
        self.kind == FaultKind::Status || (self.kind == FaultKind::Headers && self.status.is_some())
    }

    /// The headers that it adds to the answer.
    pub(super) fn added_headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        self.headers.iter().filter_map(|(name, value)| header(name, value))
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        self.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method)) && path.starts_with(&self.path_prefix)
    }
}

/// A header, unless it is invalid or must be written by the HTTP server.
fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let name = HeaderName::try_from(name).ok().filter(|name| ![CONTENT_LENGTH, TRANSFER_ENCODING].contains(name))?;
    Some((name, HeaderValue::try_from(value).ok()?))
}

/// The faults that have not occurred yet, oldest first.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Uses up one occurrence of the oldest fault that matches.
    pub(super) fn take(&mut self, method: &str, path: &str) -> Option<Fault> {
        let index = self.0.iter().position(|fault| fault.times > 0 && fault.matches(method, path))?;
        self.0[index].times -= 1;
        let fault = self.0[index].clone();
        self.0.retain(|fault| fault.times > 0);
        Some(fault)
    }
}
