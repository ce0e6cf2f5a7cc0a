//! Failures to order: the next matching requests go wrong in a chosen way.

use serde::{Deserialize, Serialize};

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
}

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
    #[serde(default)]
    pub(super) status: Option<u16>,
    #[serde(default)]
    pub(super) code: Option<String>,
    #[serde(default)]
    pub(super) delay_ms: u64,
}

fn once() -> u32 {
    1
}

impl Fault {
    fn matches(&self, method: &str, path: &str) -> bool {
        self.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method)) && path.starts_with(&self.path_prefix)
    }
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
