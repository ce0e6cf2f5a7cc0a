//! What the connections and the sender of webhooks use together: the state, the signing key and an HTTP client.

use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::signature::{Ed25519KeyPair, KeyPair};

use super::state::SimulatorState;

#[derive(Debug)]
pub(super) struct Service {
    state: Mutex<SimulatorState>,
    pub(super) signer: Ed25519KeyPair,
    pub(super) http: reqwest::Client,
}

impl Service {
    pub(super) fn new(state: SimulatorState, signer: Ed25519KeyPair, http: reqwest::Client) -> Self {
        Self { state: Mutex::new(state), signer, http }
    }

    /// Locks the state. Requests are executed one at a time, so that a number is sold once.
    pub(super) fn state(&self) -> MutexGuard<'_, SimulatorState> {
        // A request that panicked must not make the others fail.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn public_key(&self) -> String {
        BASE64_STANDARD.encode(self.signer.public_key())
    }
}
