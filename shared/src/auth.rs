//! A bearer token's user: JSON Web Tokens (RFC 7519) as Supabase issues them.
//!
//! The algorithm decides which key is used, so that a public key can never serve as a shared secret: HS256 is verified only with
//! the configured secret, RS256 and ES256 only with the published keys (RFC 7517).

mod jwks;
mod ring_provider;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use lambda_http::http::HeaderMap;
use lambda_http::http::header::AUTHORIZATION;
use serde::Deserialize;
use uuid::Uuid;

use crate::config;
use crate::error::Error;
use crate::secrets::{Secret, Secrets};
use jwks::Jwks;

/// The largest difference permitted between the issuer's clock and ours, in seconds.
const LEEWAY_SECONDS: u64 = 5;
/// The shortest key of HS256 (RFC 7518, 3.2), in bytes. A shorter one can be found by trying.
const SHORTEST_SECRET: usize = 32;

const MISSING: Error = Error::Unauthorized("An Authorization header with a bearer token is required.");
const REFUSED: Error = Error::Unauthorized("The bearer token is malformed, expired or not meant for this service.");

/// Verifies bearer tokens.
pub struct Authenticator {
    tokens: config::Tokens,
    secrets: Arc<Secrets>,
    jwks: Option<Jwks>,
}

/// The claims that are read; [`Validation`] checks the others.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    /// One issuer (RFC 7519, 4.1.1). [`Validation`] alone would take a list that contains ours.
    #[serde(rename = "iss")]
    _iss: String,
    /// When the token was issued, in seconds since 1970, possibly with a fraction.
    iat: Option<f64>,
}

impl Claims {
    fn is_from_the_future(&self) -> bool {
        let latest = SystemTime::now() + Duration::from_secs(LEEWAY_SECONDS);
        let latest = latest.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        self.iat.is_some_and(|iat| iat > latest)
    }
}

/// The key of a signature.
enum Key {
    Shared(Secret),
    Published(DecodingKey),
}

impl Key {
    /// # Errors
    /// `Unavailable` if the secret is too short, which is a mistake in the configuration.
    fn shared(secret: Secret) -> Result<Self, Error> {
        if secret.expose().len() < SHORTEST_SECRET {
            return Err(Error::Unavailable(format!("JWT_SECRET has fewer than {SHORTEST_SECRET} bytes").into()));
        }
        Ok(Self::Shared(secret))
    }

    fn decoding(&self) -> DecodingKey {
        match self {
            Self::Shared(secret) => DecodingKey::from_secret(secret.expose().as_bytes()),
            Self::Published(key) => key.clone(),
        }
    }
}

impl Authenticator {
    /// Performs no I/O.
    #[must_use]
    pub fn new(tokens: config::Tokens, secrets: Arc<Secrets>) -> Self {
        ring_provider::install();
        let jwks = tokens.jwks_url.clone().map(Jwks::new);
        Self { tokens, secrets, jwks }
    }

    /// Fetches the keys. A key that cannot be fetched is fetched by the first request that needs it.
    pub async fn warm(&self) {
        let secret = async {
            if let Some(source) = &self.tokens.secret
                && let Err(error) = self.secrets.resolve("JWT_SECRET", Some(source)).await
            {
                tracing::warn!(error = %error, "the secret of tokens cannot be read yet");
            }
        };
        let jwks = async {
            if let Some(jwks) = &self.jwks {
                jwks.warm().await;
            }
        };
        tokio::join!(secret, jwks);
    }

    /// Checks that the settings and the keys of tokens can be used.
    ///
    /// # Errors
    /// `Unavailable` if a setting is missing, a key cannot be had, or the secret is too short to be a key.
    pub async fn check(&self) -> Result<(), Error> {
        self.issuer()?;
        if self.tokens.secret.is_none() && self.jwks.is_none() {
            return Err(not_configured());
        }
        if let Some(source) = &self.tokens.secret {
            Key::shared(self.secrets.resolve("JWT_SECRET", Some(source)).await?)?;
        }
        if let Some(jwks) = &self.jwks {
            jwks.check().await?;
        }
        Ok(())
    }

    fn issuer(&self) -> Result<&str, Error> {
        self.tokens.issuer.as_deref().ok_or_else(|| Error::Unavailable("JWT_ISSUER is not configured".into()))
    }

    /// The user whose token a request carries: its `sub`.
    ///
    /// # Errors
    /// `Unauthorized` if the token is missing or does not verify. `Unavailable` if the keys cannot be had, or the secret is too
    /// short to be a key.
    pub async fn user(&self, headers: &HeaderMap) -> Result<Uuid, Error> {
        let token = bearer(headers).ok_or(MISSING)?;
        let header = decode_header(token).map_err(|_| REFUSED)?;
        // RFC 7515, 4.1.11: it names extensions that the token is not valid without, and we implement none.
        if header.crit.is_some() {
            return Err(REFUSED);
        }
        let issuer = self.issuer()?;
        let key = self.key(&header).await?;
        let mut validation = Validation::new(header.alg);
        validation.leeway = LEEWAY_SECONDS;
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[&self.tokens.audience]);
        let mut outcome = decode::<Claims>(token, &key.decoding(), &validation);
        if let (Key::Shared(secret), Err(error)) = (&key, &outcome)
            && *error.kind() == ErrorKind::InvalidSignature
            && let Some(newer) = self.newer_secret(secret).await
        {
            outcome = decode(token, &Key::shared(newer)?.decoding(), &validation);
        }
        let claims = outcome.map_err(|_| REFUSED)?.claims;
        if claims.is_from_the_future() {
            return Err(REFUSED);
        }
        Uuid::try_parse(&claims.sub).map_err(|_| REFUSED)
    }

    async fn key(&self, header: &Header) -> Result<Key, Error> {
        match header.alg {
            Algorithm::HS256 if self.tokens.secret.is_some() => {
                Key::shared(self.secrets.resolve("JWT_SECRET", self.tokens.secret.as_ref()).await?)
            }
            Algorithm::RS256 | Algorithm::ES256 => match &self.jwks {
                Some(jwks) => jwks.key(header).await?.map(Key::Published).ok_or(REFUSED),
                None if self.tokens.secret.is_some() => Err(REFUSED),
                None => Err(not_configured()),
            },
            _ if self.tokens.secret.is_none() && self.jwks.is_none() => Err(not_configured()),
            _ => Err(REFUSED),
        }
    }

    /// The shared secret, if it differs from the one that a signature does not match. If the secret cannot be read again, the
    /// token counts as forged.
    async fn newer_secret(&self, refuted: &Secret) -> Option<Secret> {
        let newer = self.secrets.resolve_newer(self.tokens.secret.as_ref(), refuted).await;
        newer.unwrap_or_else(|error| {
            tracing::warn!(error = %error, "the secret of tokens could not be read again");
            None
        })
    }
}

fn not_configured() -> Error {
    Error::Unavailable("neither JWT_SECRET nor JWKS_URL is configured".into())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
