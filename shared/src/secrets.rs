//! AWS Secrets Manager. A secret that was read is cached for a time to live, or until its content is refused.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::timeout::TimeoutConfig;
use aws_sdk_secretsmanager::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use tokio::time::Instant;

use crate::config::{Aws, SecretSource};
use crate::error::{Error, Source, chain};
use crate::meter::{self, Dependency};
use crate::tls;

/// The longest that one read may take, retries included: a caller waits for it.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The shortest pause between two reads that look for a newer value and find none, so that neither a wrong credential nor
/// forged tokens cause many reads.
const REREAD_PAUSE: Duration = Duration::from_secs(3);
/// How long other requests wait for the first one.
const HEAD_START: Duration = Duration::from_millis(200);
/// More characters than an error code of AWS has.
const LONGEST_CODE: usize = 64;

/// A value that must not be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps a value.
    #[must_use]
    pub fn new(value: &str) -> Self {
        Self(value.into())
    }

    /// The value itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// The secrets that this function may read, with a cache of their values.
pub struct Secrets {
    aws: Aws,
    /// Built by the first read: a function without secrets does not need it.
    client: OnceLock<Result<Client, String>>,
    /// Whether the first request has been sent. Locked while that one is under way.
    has_connected: tokio::sync::Mutex<bool>,
    ttl: Duration,
    /// One lock for each secret: concurrent reads of one secret become one read, and delay reads of others by no more than
    /// [`HEAD_START`].
    slots: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Slot>>>>,
}

/// The cached value of one secret.
#[derive(Default)]
struct Slot {
    read: Option<Read>,
    /// When a newer value was last looked for and not found.
    missed_at: Option<Instant>,
}

struct Read {
    at: Instant,
    /// None if the secret does not exist.
    secret: Option<Secret>,
}

impl Slot {
    fn newer_than(&self, refused: &Secret) -> Option<Secret> {
        self.read.as_ref()?.secret.clone().filter(|secret| secret != refused)
    }
}

impl Secrets {
    /// Performs no I/O.
    #[must_use]
    pub fn new(aws: &Aws, ttl: Duration) -> Self {
        Self { aws: aws.clone(), client: OnceLock::new(), has_connected: tokio::sync::Mutex::default(), ttl, slots: Mutex::default() }
    }

    /// The text of a secret; None if it does not exist (`ResourceNotFoundException`, and nothing else).
    ///
    /// # Errors
    /// `Unavailable` if Secrets Manager cannot be reached or refuses to answer.
    pub async fn find(&self, id: &str) -> Result<Option<Secret>, Error> {
        let slot = self.slot(id);
        let mut slot = slot.lock().await;
        if let Some(read) = slot.read.as_ref().filter(|read| read.at.elapsed() < self.ttl) {
            return Ok(read.secret.clone());
        }
        self.read(id, &mut slot).await?;
        Ok(slot.read.as_ref().and_then(|read| read.secret.clone()))
    }

    /// The text of a secret if it differs from `refused`, a value that was rejected where it was used. Reads the secret again,
    /// whatever its age in the cache, unless another task has just done so.
    ///
    /// # Errors
    /// As [`Secrets::find`].
    pub async fn find_newer(&self, id: &str, refused: &Secret) -> Result<Option<Secret>, Error> {
        let slot = self.slot(id);
        let mut slot = slot.lock().await;
        if let Some(newer) = slot.newer_than(refused) {
            return Ok(Some(newer));
        }
        if slot.missed_at.is_some_and(|at| at.elapsed() < REREAD_PAUSE) {
            return Ok(None);
        }
        // A read that fails, or is cancelled, counts as one that found nothing newer.
        slot.missed_at = Some(Instant::now());
        self.read(id, &mut slot).await?;
        let newer = slot.newer_than(refused);
        if newer.is_some() {
            slot.missed_at = None;
        }
        tracing::info!(secret = id, newer = newer.is_some(), "a secret was refused and read again");
        Ok(newer)
    }

    /// The value of a setting that is secret. `name` is its name in the log.
    ///
    /// # Errors
    /// `Unavailable` if the setting or the secret is missing, or cannot be read.
    pub async fn resolve(&self, name: &'static str, source: Option<&SecretSource>) -> Result<Secret, Error> {
        match source {
            None => Err(Error::Unavailable(format!("{name} is not configured").into())),
            Some(SecretSource::Plain(value)) => Ok(Secret::new(value)),
            Some(SecretSource::SecretsManager(id)) => {
                let missing = || Error::Unavailable(format!("the secret {id} of {name} does not exist").into());
                self.find(id).await?.ok_or_else(missing)
            }
        }
    }

    /// The value of a setting if it differs from `refused`; see [`Secrets::find_newer`].
    ///
    /// # Errors
    /// As [`Secrets::find`].
    pub async fn resolve_newer(&self, source: Option<&SecretSource>, refused: &Secret) -> Result<Option<Secret>, Error> {
        match source {
            None | Some(SecretSource::Plain(_)) => Ok(None),
            Some(SecretSource::SecretsManager(id)) => self.find_newer(id, refused).await,
        }
    }

    fn slot(&self, id: &str) -> Arc<tokio::sync::Mutex<Slot>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(id.to_owned()).or_default())
    }

    async fn read(&self, id: &str, slot: &mut Slot) -> Result<(), Error> {
        // The SDK's future is large and rarely needed; on the heap it does not enlarge the future of every request.
        let secret = meter::wait_for(Dependency::Secrets, Box::pin(self.fetch(id))).await?;
        slot.read = Some(Read { at: Instant::now(), secret });
        Ok(())
    }

    async fn fetch(&self, id: &str) -> Result<Option<Secret>, Error> {
        let client = self.client.get_or_init(|| client(&self.aws)).as_ref().map_err(|reason| Error::Unavailable(reason.clone().into()))?;
        let request = client.get_secret_value().secret_id(id).send();
        match self.over_one_connection(request).await {
            Ok(answer) => match answer.secret_string() {
                Some(text) => Ok(Some(Secret::new(text))),
                None => Err(Error::Unavailable(format!("the secret {id} is binary, not text").into())),
            },
            Err(error) if error.as_service_error().is_some_and(GetSecretValueError::is_resource_not_found_exception) => Ok(None),
            Err(error) => Err(Error::Unavailable(described(id, &error))),
        }
    }

    /// Lets others wait for the first request for a while, and then use its connection: one of their own would need a name
    /// look-up and a handshake, at every cold start.
    async fn over_one_connection<T>(&self, request: impl Future<Output = T>) -> T {
        match tokio::time::timeout(HEAD_START, self.has_connected.lock()).await {
            Ok(mut has_connected) if !*has_connected => {
                *has_connected = true;
                request.await
            }
            first => {
                drop(first);
                request.await
            }
        }
    }
}

/// Why a secret cannot be read, without the text of the answer: AWS explains a signature that does not match with the request,
/// session token included.
fn described(id: &str, error: &SdkError<GetSecretValueError>) -> Source {
    let is_code = |code: &&str| code.len() <= LONGEST_CODE && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let reason = match error {
        SdkError::ServiceError(refused) => {
            format!("Secrets Manager answered {}", refused.err().code().filter(is_code).unwrap_or("with an error"))
        }
        SdkError::ResponseError(_) => "the answer of Secrets Manager cannot be read".to_owned(),
        other => chain(other),
    };
    format!("the secret {id} cannot be read: {reason}").into()
}

/// A client with the credentials that Lambda puts into the environment. The SDK's chain of other sources would cost size and
/// start-up time without use.
fn client(aws: &Aws) -> Result<Client, String> {
    let region = aws.region.clone().ok_or("AWS_REGION is not set")?;
    let (Some(id), Some(key)) = (&aws.access_key_id, &aws.secret_access_key) else {
        return Err("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set".to_owned());
    };
    let authorities = tls::amazon_or(aws.authorities_file.as_deref()).map_err(|error| format!("AWS_CA_BUNDLE: {error}"))?;
    let trust = TlsContext::builder().with_trust_store(TrustStore::empty().with_pem_certificate(authorities)).build();
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(trust.map_err(|error| chain(&error))?)
        .build_https();
    let mut config = aws_sdk_secretsmanager::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .credentials_provider(Credentials::new(id, key, aws.session_token.clone(), None, "environment"))
        .timeout_config(TimeoutConfig::builder().operation_timeout(TIMEOUT).build())
        .http_client(http);
    if let Some(url) = &aws.secrets_manager_url {
        config = config.endpoint_url(url);
    }
    Ok(Client::from_conf(config.build()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(…)");
    }
}
