//! The issuer's public keys: fetched when first needed, cached, and fetched again when a token names a key that is not among
//! them. Fetches have a shortest pause, so that forged tokens cannot cause many of them.

use std::time::Duration;

use jsonwebtoken::jwk::{Jwk, KeyAlgorithm};
use jsonwebtoken::{Algorithm, DecodingKey, Header};
use serde::Deserialize;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::config::Authorities;
use crate::error::{Error, Source};
use crate::tls;

/// Time to live of fetched keys.
const FRESH_FOR: Duration = Duration::from_mins(10);
/// The shortest pause between two fetches.
const FETCH_PAUSE: Duration = Duration::from_secs(30);
/// How long keys are used if they cannot be fetched again.
const STALE_FOR: Duration = Duration::from_hours(24);
const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct Jwks {
    url: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    keys: Vec<Jwk>,
    fetched_at: Option<Instant>,
    tried_at: Option<Instant>,
}

/// The published document. Its keys are read one by one, so that a key of an unknown kind does not hide the others.
#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

impl Jwks {
    pub(super) fn new(url: String) -> Self {
        Self { url, state: Mutex::default() }
    }

    /// The key that a token's header names; None if the issuer does not publish it.
    pub(super) async fn key(&self, header: &Header) -> Result<Option<DecodingKey>, Error> {
        let state = self.state(|state| state.find(header).is_some()).await?;
        Ok(state.find(header).and_then(|jwk| DecodingKey::from_jwk(jwk).ok()))
    }

    /// Fetches the keys. A failure is logged, and the first request that needs them tries again.
    pub(super) async fn warm(&self) {
        drop(self.state(|_| true).await);
    }

    /// The keys, fetched again if they are old or not what is wanted.
    async fn state(&self, wanted: impl Fn(&State) -> bool) -> Result<MutexGuard<'_, State>, Error> {
        // Held while fetching, so that concurrent requests become one fetch.
        let mut state = self.state.lock().await;
        let fresh = state.fetched_at.is_some_and(|at| at.elapsed() < FRESH_FOR);
        if (!fresh || !wanted(&state)) && state.may_fetch() {
            state.tried_at = Some(Instant::now());
            match fetch(&self.url).await {
                Ok(keys) => *state = State { keys, fetched_at: Some(Instant::now()), tried_at: state.tried_at },
                Err(error) => tracing::warn!(error = %error, "the issuer's keys cannot be fetched"),
            }
        }
        if state.fetched_at.is_none_or(|at| at.elapsed() > STALE_FOR) {
            return Err(Error::Unavailable("the issuer's keys cannot be fetched".into()));
        }
        Ok(state)
    }
}

impl State {
    /// Whether the pause since the last fetch is over. There is no pause before keys have been fetched once.
    fn may_fetch(&self) -> bool {
        self.fetched_at.is_none() || self.tried_at.is_none_or(|at| at.elapsed() >= FETCH_PAUSE)
    }

    fn find(&self, header: &Header) -> Option<&Jwk> {
        let algorithm = match header.alg {
            Algorithm::RS256 => KeyAlgorithm::RS256,
            Algorithm::ES256 => KeyAlgorithm::ES256,
            _ => return None,
        };
        let mut usable = self.keys.iter().filter(|jwk| jwk.common.key_algorithm.is_none_or(|named| named == algorithm));
        match &header.kid {
            Some(kid) => usable.find(|jwk| jwk.common.key_id.as_deref() == Some(kid)),
            // A token that names no key is unambiguous only if there is a single key.
            None => usable.next().filter(|_| self.keys.len() == 1),
        }
    }
}

async fn fetch(url: &str) -> Result<Vec<Jwk>, Source> {
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls::client(&Authorities::Web)?).timeout(TIMEOUT).build()?;
    let document: Document = client.get(url).send().await?.error_for_status()?.json().await?;
    Ok(document.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect())
}
