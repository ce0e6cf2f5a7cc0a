//! Which account at Telnyx serves an agency: its own, or the platform's.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use uuid::Uuid;

use crate::config::TelnyxKeys;
use crate::error::Error;
use crate::secrets::{Secret, Secrets};

/// The name of the account whose key is in the environment. No secret can be called so.
const FROM_ENVIRONMENT: &str = "env:TELNYX_API_KEY";

/// An account at Telnyx.
#[derive(Clone)]
pub struct Account {
    /// The name of the secret that holds its key: what the ledger remembers it by.
    pub name: String,
    held: Arc<Mutex<Held>>,
    /// Where its secret is, unless its key is from the environment.
    secrets: Option<Arc<Secrets>>,
}

/// A secret, and the API key in it.
#[derive(Clone)]
struct Held {
    secret: Secret,
    key: Secret,
}

impl Account {
    fn from_environment(key: &str) -> Self {
        let key = Secret::new(key);
        Self { name: FROM_ENVIRONMENT.to_owned(), held: Arc::new(Mutex::new(Held { secret: key.clone(), key })), secrets: None }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its API key, as far as we know.
    pub(super) fn key(&self) -> Secret {
        self.held().key.clone()
    }

    /// Its API key if that is another by now than `refused`, which Telnyx does not take.
    ///
    /// # Errors
    /// `Unavailable`: its secret cannot be read.
    pub(super) async fn newer_key(&self, refused: &Secret) -> Result<Option<Secret>, Error> {
        let Some(secrets) = &self.secrets else { return Ok(None) };
        let held = self.held().clone();
        if held.key != *refused {
            return Ok(Some(held.key));
        }
        let Some(secret) = secrets.find_newer(&self.name, &held.secret).await? else { return Ok(None) };
        let key = api_key(&self.name, &secret)?;
        *self.held() = Held { secret, key: key.clone() };
        Ok(Some(key).filter(|key| key != refused))
    }
}

/// The accounts there are.
pub struct Accounts {
    keys: TelnyxKeys,
    secrets: Arc<Secrets>,
}

/// A secret may be the key itself, or an object with it, as Secrets Manager's console makes them.
#[derive(Deserialize)]
struct KeyObject {
    api_key: String,
}

impl Accounts {
    /// Talks to nobody yet.
    #[must_use]
    pub const fn new(keys: TelnyxKeys, secrets: Arc<Secrets>) -> Self {
        Self { keys, secrets }
    }

    /// Reads the platform's key, which most agencies share. What cannot be had is read by the first request that needs it.
    pub async fn warm(&self) {
        let Some(name) = self.keys.platform_secret.as_ref().filter(|_| self.keys.plain.is_none()) else { return };
        if let Err(error) = self.secrets.find(name).await {
            tracing::warn!(error = %error, "the platform's key cannot be read yet");
        }
    }

    /// The account that serves an agency now. The platform's serves only those without a secret of their own, never one
    /// whose secret cannot be read: what an agency buys must not land in another's account by accident.
    ///
    /// # Errors
    /// `TelnyxNotConfigured`; `Unavailable`: a secret cannot be read.
    pub async fn of_agency(&self, agency_id: Uuid) -> Result<Account, Error> {
        if let Some(key) = &self.keys.plain {
            return Ok(Account::from_environment(key));
        }
        let own = self.keys.agency_secret.as_ref().map(|name| name.replace("{agency_id}", &agency_id.to_string()));
        for name in own.into_iter().chain(self.keys.platform_secret.clone()) {
            if let Some(secret) = self.secrets.find(&name).await? {
                return self.account(name, secret);
            }
        }
        Err(Error::TelnyxNotConfigured)
    }

    /// Every account that may hold what an agency bought before there was a ledger: its own, and the platform's.
    ///
    /// # Errors
    /// `TelnyxNotConfigured`; `Unavailable`: a secret cannot be read.
    pub async fn all_of_agency(&self, agency_id: Uuid) -> Result<Vec<Account>, Error> {
        let first = self.of_agency(agency_id).await?;
        let platform = match &self.keys.platform_secret {
            Some(name) if self.keys.plain.is_none() && *name != first.name => self.secrets.find(name).await?.map(|secret| (name, secret)),
            _ => None,
        };
        let platform = platform.map(|(name, secret)| self.account(name.clone(), secret)).transpose()?;
        Ok(std::iter::once(first).chain(platform).collect())
    }

    /// The names of the accounts that serve these agencies, whether or not each has one of its own.
    #[must_use]
    pub fn names(&self, agencies: &[Uuid]) -> Vec<String> {
        if self.keys.plain.is_some() {
            return vec![FROM_ENVIRONMENT.to_owned()];
        }
        let own = |agency_id: &Uuid| self.keys.agency_secret.as_ref().map(|name| name.replace("{agency_id}", &agency_id.to_string()));
        self.keys.platform_secret.iter().cloned().chain(agencies.iter().filter_map(own)).collect()
    }

    /// The account of that name; None where there is no such secret.
    ///
    /// # Errors
    /// `Unavailable`: its key cannot be read.
    pub async fn find(&self, name: &str) -> Result<Option<Account>, Error> {
        if name == FROM_ENVIRONMENT {
            return Ok(self.keys.plain.as_ref().map(|key| Account::from_environment(key)));
        }
        self.secrets.find(name).await?.map(|secret| self.account(name.to_owned(), secret)).transpose()
    }

    /// The account that the ledger names.
    ///
    /// # Errors
    /// `Unavailable`: its key is gone or cannot be read; no other account will do.
    pub async fn named(&self, name: &str) -> Result<Account, Error> {
        let account = self.find(name).await?;
        account.ok_or_else(|| Error::Unavailable(format!("the ledger names the account {name}, whose key is gone").into()))
    }

    fn account(&self, name: String, secret: Secret) -> Result<Account, Error> {
        let key = api_key(&name, &secret)?;
        Ok(Account { name, held: Arc::new(Mutex::new(Held { secret, key })), secrets: Some(Arc::clone(&self.secrets)) })
    }
}

fn api_key(name: &str, secret: &Secret) -> Result<Secret, Error> {
    let text = secret.expose().trim();
    let key = if text.starts_with('{') {
        let object: KeyObject =
            serde_json::from_str(text).map_err(|_| Error::Unavailable(format!("the secret {name} is an object without api_key").into()))?;
        object.api_key
    } else {
        text.to_owned()
    };
    // It becomes a header: what cannot be one is no key.
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::Unavailable(format!("the secret {name} holds no API key").into()));
    }
    Ok(Secret::new(&key))
}
