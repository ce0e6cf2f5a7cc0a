//! The issuer's public keys: fetched when first needed, cached, and fetched again when a token names a key that is not among
//! them. There is a shortest pause between two fetches, also failed ones, so that forged tokens cannot cause many of them.

use std::time::Duration;

use jsonwebtoken::jwk::{Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header};
use serde::Deserialize;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::config::Authorities;
use crate::error::{Error, Source, chain};
use crate::meter::{self, Dependency};
use crate::tls;

/// Time to live of fetched keys.
const FRESH_FOR: Duration = Duration::from_mins(10);
/// The shortest pause between two fetches.
const FETCH_PAUSE: Duration = Duration::from_secs(30);
/// The shortest pause after a failed fetch as long as there are no keys, and so every token is answered with 503.
const RETRY_PAUSE: Duration = Duration::from_secs(5);
/// How long keys are used if they cannot be fetched again.
const STALE_FOR: Duration = Duration::from_hours(24);
const TIMEOUT: Duration = Duration::from_secs(5);
/// The largest document that is read, in bytes. Issuers publish a few keys of less than 2 KiB each.
const LARGEST_DOCUMENT: usize = 256 * 1024;

pub(super) struct Jwks {
    url: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    keys: Vec<Jwk>,
    fetched_at: Option<Instant>,
    /// When the last fetch ended, successful or not.
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

    /// Checks that the issuer publishes keys that can be used.
    ///
    /// # Errors
    /// `Unavailable` if they cannot be fetched or there are none.
    pub(super) async fn check(&self) -> Result<(), Error> {
        if self.state(|_| true).await?.keys.is_empty() {
            return Err(Error::Unavailable("the issuer publishes no key that can be used".into()));
        }
        Ok(())
    }

    /// The keys, fetched again if they are old or not what is wanted.
    async fn state(&self, wanted: impl Fn(&State) -> bool) -> Result<MutexGuard<'_, State>, Error> {
        // Held while fetching, so that concurrent requests become one fetch.
        let mut state = self.state.lock().await;
        let fresh = state.fetched_at.is_some_and(|at| at.elapsed() < FRESH_FOR);
        if (!fresh || !wanted(&state)) && state.may_fetch() {
            let fetched = meter::wait_for(Dependency::Jwks, fetch(&self.url)).await;
            // Not before: a fetch that is cancelled, as that of warming up may be, says nothing about the next one.
            state.tried_at = Some(Instant::now());
            match fetched {
                Ok(keys) => *state = State { keys, fetched_at: state.tried_at, tried_at: state.tried_at },
                Err(error) => tracing::warn!(error = chain(error.as_ref()), "the issuer's keys cannot be fetched"),
            }
        }
        if state.fetched_at.is_none_or(|at| at.elapsed() > STALE_FOR) {
            return Err(Error::Unavailable("the issuer's keys cannot be fetched".into()));
        }
        Ok(state)
    }
}

impl State {
    /// Whether the pause since the last fetch is over.
    fn may_fetch(&self) -> bool {
        let pause = if self.fetched_at.is_some() { FETCH_PAUSE } else { RETRY_PAUSE };
        self.tried_at.is_none_or(|at| at.elapsed() >= pause)
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

/// Whether a key is published for verifying signatures (RFC 7517, 4.2 and 4.3): one for anything else verifies none.
fn verifies(jwk: &Jwk) -> bool {
    let common = &jwk.common;
    common.public_key_use.as_ref().is_none_or(|for_use| *for_use == PublicKeyUse::Signature)
        && common.key_operations.as_ref().is_none_or(|operations| operations.contains(&KeyOperations::Verify))
}

/// Fetches the keys from this URL and no other: a redirect is a failure.
async fn fetch(url: &str) -> Result<Vec<Jwk>, Source> {
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls::client(&Authorities::Web)?)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIMEOUT)
        .build()?;
    let mut response = client.get(url).send().await.map_err(reqwest::Error::without_url)?;
    if !response.status().is_success() {
        return Err(format!("the JWKS URL answered {}", response.status().as_u16()).into());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)? {
        if body.len() + chunk.len() > LARGEST_DOCUMENT {
            return Err(format!("the JWKS URL answered with more than {LARGEST_DOCUMENT} bytes").into());
        }
        body.extend_from_slice(&chunk);
    }
    let document: Document = serde_json::from_slice(&body)?;
    Ok(document.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).filter(verifies).collect())
}
