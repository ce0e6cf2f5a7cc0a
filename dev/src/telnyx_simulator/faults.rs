//! Failures to order: the next matching requests go wrong in a chosen way.

use std::collections::BTreeMap;

use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::settings::is_status;

/// How a request goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FaultKind {
    /// Answered with `status` and `code`; nothing happened.
    Status,
    /// It happened; the answer comes `delay_ms` later, by the wall clock.
    Delay,
    /// The connection is cut; nothing happened.
    DropBefore,
    /// It happened; the connection is cut instead of an answer.
    DropAfter,
    /// It happened; the body of the answer is cut short, in valid HTTP.
    Malformed,
    /// It happened; the list in the answer is empty.
    Empty,
    /// It happened; the number that the answer tells of, or the first one, reads as none that there could be.
    Odd,
    /// It happened; the body of the answer is changed by `patch`, then by `removed`.
    Patched,
    /// It happened; the body of the answer is as long as `bytes`, if it was shorter, and still valid JSON: it gets a long
    /// last member `padding`.
    Oversized,
    /// It happened, or with a `status` nothing happened and the answer is as for `status`; `headers` are added.
    Headers,
}

/// The largest `bytes` of `oversized`: 64 MiB.
const MOST_BYTES: usize = 64 << 20;

/// The body of `POST /_control/faults`. Exchanges that a fault took part in count as faulted.
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
    /// The usual one of `status` when absent.
    #[serde(default)]
    pub(super) code: Option<String>,
    /// Delays the answer of any kind.
    #[serde(default)]
    pub(super) delay_ms: u64,
    /// Of `patched`: JSON pointer (RFC 6901) → value. What a pointer names is replaced, or added where its parent exists,
    /// `-` being the end of an array; otherwise nothing changes. `""` is the whole body.
    #[serde(default)]
    pub(super) patch: Map<String, Value>,
    /// Of `patched`: JSON pointers to members and elements that are removed one after the other.
    #[serde(default)]
    pub(super) removed: Vec<String>,
    /// Of `oversized`.
    #[serde(default)]
    pub(super) bytes: Option<usize>,
    /// Of `headers`: name → value. Each replaces the header of that name.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
}

fn once() -> u32 {
    1
}

impl Fault {
    /// Says what is wrong with a fault, if it cannot be carried out or has members that its kind does not use.
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

    /// Whether the answer is `status` and nothing happens.
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

/// A header, unless it is none or the HTTP server itself must write it.
fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let name = HeaderName::try_from(name).ok().filter(|name| ![CONTENT_LENGTH, TRANSFER_ENCODING].contains(name))?;
    Some((name, HeaderValue::try_from(value).ok()?))
}

/// The failures still to come, oldest first.
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
