//! The Telnyx accounts that agencies buy in, and where their API keys are.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ring::digest::{SHA256, digest};
use serde::Deserialize;
use uuid::Uuid;

use crate::config::TelnyxKeys;
use crate::error::Error;
use crate::model::AccountName;
use crate::secrets::{Secret, Secrets};

/// The name that the ledger once had for the account whose key is in the environment.
const FROM_ENVIRONMENT: &str = "env:TELNYX_API_KEY";

/// The SHA-256 of an API key: what the ledger remembers a key by.
pub type KeyDigest = [u8; 32];

/// A Telnyx account, with the API key that opens it.
#[derive(Clone)]
pub struct Account {
    /// What the ledger calls it; see [`AccountName`].
    pub name: String,
    held: Arc<Mutex<Held>>,
    /// The name of its secret and where secrets are read; None if the key is from the environment.
    source: Option<(String, Arc<Secrets>)>,
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
        let held = Held { secret: key.clone(), key };
        Self { name: AccountName::Platform.to_string(), held: Arc::new(Mutex::new(held)), source: None }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The API key, as last read.
    pub(super) fn key(&self) -> Secret {
        self.held().key.clone()
    }

    /// The digest of the API key that the last call was made with.
    #[must_use]
    pub fn key_digest(&self) -> KeyDigest {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, self.key().expose().as_bytes()).as_ref());
        bytes
    }

    /// The API key if it differs by now from `refused`, which Telnyx does not accept.
    ///
    /// # Errors
    /// `Unavailable`: the secret cannot be read.
    pub(super) async fn newer_key(&self, refused: &Secret) -> Result<Option<Secret>, Error> {
        let Some((secret_id, secrets)) = &self.source else { return Ok(None) };
        let held = self.held().clone();
        if held.key != *refused {
            return Ok(Some(held.key));
        }
        let Some(secret) = secrets.find_newer(secret_id, &held.secret).await? else { return Ok(None) };
        let key = api_key(secret_id, &secret)?;
        *self.held() = Held { secret, key: key.clone() };
        Ok(Some(key).filter(|key| key != refused))
    }
}

/// Which accounts there are.
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
    /// Performs no I/O.
    #[must_use]
    pub const fn new(keys: TelnyxKeys, secrets: Arc<Secrets>) -> Self {
        Self { keys, secrets }
    }

    /// Reads the platform's key, which most agencies share. If that fails, the first request that needs it reads it again.
    pub async fn warm(&self) {
        if let Err(error) = self.find(&AccountName::Platform).await {
            tracing::warn!(error = %error, "the platform's key cannot be read yet");
        }
    }

    /// The account that an agency buys in now. The platform's is used only by agencies without a secret of their own, never by
    /// one whose secret cannot be read: what an agency buys must not end up in the wrong account.
    ///
    /// # Errors
    /// `TelnyxNotConfigured`; `Unavailable`: a secret cannot be read.
    pub async fn of_agency(&self, agency_id: Uuid) -> Result<Account, Error> {
        if self.keys.plain.is_none()
            && let Some(own) = self.find(&AccountName::Agency(agency_id)).await?
        {
            return Ok(own);
        }
        self.find(&AccountName::Platform).await?.ok_or(Error::TelnyxNotConfigured)
    }

    /// Every account that an agency may buy in, or may have bought in earlier: its own and the platform's, its present one first.
    ///
    /// # Errors
    /// `TelnyxNotConfigured`; `Unavailable`: a secret cannot be read.
    pub async fn all_of_agency(&self, agency_id: Uuid) -> Result<Vec<Account>, Error> {
        let present = self.of_agency(agency_id).await?;
        let mut accounts = vec![present];
        for name in [AccountName::Platform, AccountName::Agency(agency_id)] {
            if name.to_string() != accounts[0].name {
                accounts.extend(self.find(&name).await?);
            }
        }
        Ok(accounts)
    }

    /// The names of the accounts that these agencies may buy in, whether or not each has one of its own.
    #[must_use]
    pub fn names(&self, agencies: &[Uuid]) -> Vec<AccountName> {
        let own = agencies.iter().filter(|_| self.keys.agency_secret.is_some()).map(|id| AccountName::Agency(*id));
        std::iter::once(AccountName::Platform).chain(own).collect()
    }

    /// What the settings call the account that the ledger has under this name, which may be that of a secret.
    #[must_use]
    pub fn resolve(&self, name: &str) -> AccountName {
        match AccountName::from(name) {
            AccountName::Secret(secret_id) if secret_id == FROM_ENVIRONMENT || self.keys.platform_secret.as_ref() == Some(&secret_id) => {
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

    /// An account; None where the settings name no key for it or its secret does not exist.
    ///
    /// # Errors
    /// `Unavailable`: its key cannot be read.
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
        Ok(Some(Account { name: name.to_string(), held: Arc::new(Mutex::new(Held { secret, key })), source }))
    }

    /// The account that the ledger names.
    ///
    /// # Errors
    /// `Unavailable`: its key is gone or cannot be read; no other account will do.
    pub async fn named(&self, name: &str) -> Result<Account, Error> {
        let account = self.find(&self.resolve(name)).await?;
        account.ok_or_else(|| Error::Unavailable(format!("the ledger names the account {name}, whose key is gone").into()))
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
    // It is sent as a header: what cannot be one is no key.
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::Unavailable(format!("the secret {name} holds no API key").into()));
    }
    Ok(Secret::new(&key))
}
