//! The client, and sessions: an account and a deadline for calls.

use tokio::time::Instant;

use super::Account;
use super::transport::Transport;
use crate::config;

/// The client. A function needs one.
///
/// It remembers which accounts Telnyx rate-limits. Until the limit of an account is over, every call for it returns
/// [`Refusal::RateLimited`](super::Refusal::RateLimited) with the time that is left, and is not sent.
pub struct Client {
    transport: Transport,
}

/// Calls with the key of one account that end by a deadline.
#[derive(Clone, Copy)]
pub struct Session<'a> {
    pub(super) transport: &'a Transport,
    pub(super) account: &'a Account,
    pub(super) deadline: Instant,
}

impl Client {
    /// Performs no I/O.
    #[must_use]
    pub fn new(config: &config::Telnyx) -> Self {
        Self { transport: Transport::new(config) }
    }

    /// Calls with the key of `account` that end by `deadline`.
    #[must_use]
    pub const fn session<'a>(&'a self, account: &'a Account, deadline: Instant) -> Session<'a> {
        Session { transport: &self.transport, account, deadline }
    }
}

impl Session<'_> {
    /// The account whose key the calls use.
    #[must_use]
    pub const fn account(&self) -> &Account {
        self.account
    }

    /// The time by which every call ends.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }
}
