//! The Telnyx accounts that agencies buy in, and their API keys.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use uuid::Uuid;

use crate::config::TelnyxKeys;
use crate::error::Error;
use crate::model::{AccountName, KeyDigest};
use crate::secrets::{Secret, Secrets};

/// The ledger's former name of the account whose key is in the environment.
const LEGACY_ENVIRONMENT_NAME: &str = "env:TELNYX_API_KEY";

/// A Telnyx account and its API key.
#[derive(Clone)]
pub struct Account {
    /// Its name in the ledger: an [`AccountName`] as text.
    pub name: String,
    /// Clones share the key, so that all of them use a newer one.
    current: Arc<Mutex<SecretKey>>,
    /// The name of its secret and the reader of secrets; `None` if the key is from the environment.
    source: Option<(String, Arc<Secrets>)>,
}

/// A secret and the API key in it.
#[derive(Clone)]
struct SecretKey {
    secret: Secret,
    key: Secret,
}

impl Account {
    fn from_environment(key: &str) -> Self {
        let key = Secret::new(key);
        let current = SecretKey { secret: key.clone(), key };
        Self { name: AccountName::Platform.to_string(), current: Arc::new(Mutex::new(current)), source: None }
    }

    fn current(&self) -> MutexGuard<'_, SecretKey> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The API key, as last read.
    pub(super) fn key(&self) -> Secret {
        self.current().key.clone()
    }

    /// The digest of the API key that the last call was made with.
    #[must_use]
    pub fn key_digest(&self) -> KeyDigest {
        KeyDigest::of(self.key().expose())
    }

    /// Reads the API key again. Returns `None` if it is still `refused`, the key that Telnyx rejected.
    ///
    /// # Errors
    /// `Unavailable` if the secret cannot be read.
    pub(super) async fn newer_key(&self, refused: &Secret) -> Result<Option<Secret>, Error> {
        let Some((secret_id, secrets)) = &self.source else { return Ok(None) };
        let current = self.current().clone();
        if current.key != *refused {
            return Ok(Some(current.key));
        }
        let Some(secret) = secrets.find_newer(secret_id, &current.secret).await? else { return Ok(None) };
        let key = api_key(secret_id, &secret)?;
        *self.current() = SecretKey { secret, key: key.clone() };
        Ok(Some(key).filter(|key| key != refused))
    }
}

/// Finds accounts by agency or by name.
pub struct Accounts {
    keys: TelnyxKeys,
    secrets: Arc<Secrets>,
}

/// A secret is either the key itself or this object, which the console of Secrets Manager creates.
#[derive(Deserialize)]
struct KeyObject {
    api_key: String,
}

impl Accounts {
    /// Performs no I/O.
    #[must_use]
    pub const fn new(keys: TelnyxKeys, secrets: Arc<Secrets>) -> Self {
        Self { keys, secrets }
    }

    /// Reads the platform's key, which most agencies share. If that fails, the first request that needs the key reads it again.
    pub async fn warm(&self) {
        if let Err(error) = self.find(&AccountName::Platform).await {
            tracing::warn!(error = %error, "the platform's key cannot be read yet");
        }
    }

    /// Checks that the platform's key can be read. It may be missing, if each agency has its own.
    ///
    /// # Errors
    /// `Unavailable` if the secret cannot be read, or holds no key.
    pub async fn check(&self) -> Result<(), Error> {
        self.find(&AccountName::Platform).await.map(drop)
    }

    /// The account that an agency buys in now: its own if it has a secret, else the platform's.
    ///
    /// An agency whose secret cannot be read does not buy in the platform's account: the number would belong to the wrong one.
    ///
    /// # Errors
    /// `TelnyxNotConfigured` if there is no key for it; `Unavailable` if a secret cannot be read.
    pub async fn of_agency(&self, agency_id: Uuid) -> Result<Account, Error> {
        if self.keys.plain.is_none()
            && let Some(own) = self.find(&AccountName::Agency(agency_id)).await?
        {
            return Ok(own);
        }
        self.find(&AccountName::Platform).await?.ok_or(Error::TelnyxNotConfigured)
    }

    /// Every account that an agency buys in or may have bought in: its own and the platform's, the one it buys in now first.
    ///
    /// # Errors
    /// As [`Accounts::of_agency`].
    pub async fn all_of_agency(&self, agency_id: Uuid) -> Result<Vec<Account>, Error> {
        let mut accounts = vec![self.of_agency(agency_id).await?];
        for name in [AccountName::Platform, AccountName::Agency(agency_id)] {
            if name.to_string() != accounts[0].name {
                accounts.extend(self.find(&name).await?);
            }
        }
        Ok(accounts)
    }

    /// The names of the accounts that these agencies may buy in. Not every agency that is named has an account.
    #[must_use]
    pub fn names(&self, agencies: &[Uuid]) -> Vec<AccountName> {
        let own = agencies.iter().filter(|_| self.keys.agency_secret.is_some()).map(|id| AccountName::Agency(*id));
        std::iter::once(AccountName::Platform).chain(own).collect()
    }

    /// The present name of an account that the ledger may have under its former name, that of its secret.
    #[must_use]
    pub fn resolve(&self, name: &str) -> AccountName {
        match AccountName::from(name) {
            AccountName::Secret(secret_id)
                if secret_id == LEGACY_ENVIRONMENT_NAME || self.keys.platform_secret.as_ref() == Some(&secret_id) =>
            {
                AccountName::Platform
            }
            AccountName::Secret(secret_id) => self.own_account(&secret_id).unwrap_or(AccountName::Secret(secret_id)),
            name => name,
        }
    }

    /// The agency whose own secret has this name.
    fn own_account(&self, secret_id: &str) -> Option<AccountName> {
        let (prefix, suffix) = self.keys.agency_secret.as_ref()?.split_once("{agency_id}")?;
        let agency_id = secret_id.strip_prefix(prefix)?.strip_suffix(suffix)?;
        Uuid::try_parse(agency_id).ok().map(AccountName::Agency)
    }

    /// An account by its name. Returns `None` if the settings have no key for it or its secret does not exist.
    ///
    /// # Errors
    /// `Unavailable` if its key cannot be read.
    pub async fn find(&self, name: &AccountName) -> Result<Option<Account>, Error> {
        let secret_id = match name {
            AccountName::Platform => match &self.keys.plain {
                Some(key) => return Ok(Some(Account::from_environment(key))),
                None => self.keys.platform_secret.clone(),
            },
            AccountName::Agency(id) => self.keys.agency_secret.as_ref().map(|template| template.replace("{agency_id}", &id.to_string())),
            AccountName::Secret(secret_id) => Some(secret_id.clone()),
        };
        let Some(secret_id) = secret_id else { return Ok(None) };
        let Some(secret) = self.secrets.find(&secret_id).await? else { return Ok(None) };
        let key = api_key(&secret_id, &secret)?;
        let source = Some((secret_id, Arc::clone(&self.secrets)));
        Ok(Some(Account { name: name.to_string(), current: Arc::new(Mutex::new(SecretKey { secret, key })), source }))
    }

    /// The account that a row of the ledger names.
    ///
    /// # Errors
    /// `Unavailable` if its key does not exist or cannot be read: no other account may be used instead.
    pub async fn named(&self, name: &str) -> Result<Account, Error> {
        let account = self.find(&self.resolve(name)).await?;
        account.ok_or_else(|| Error::Unavailable(format!("the ledger names the account {name}, which has no API key").into()))
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
    // It is sent in a header, which can hold no other characters.
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::Unavailable(format!("the secret {name} holds no API key").into()));
    }
    Ok(Secret::new(&key))
}
