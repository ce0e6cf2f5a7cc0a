//! Which account at Telnyx serves an agency: its own, or the platform's.

use std::sync::Arc;

use serde::Deserialize;
use uuid::Uuid;

use crate::config::TelnyxKeys;
use crate::error::Error;
use crate::secrets::{Secret, Secrets};

/// The name of the account whose key is in the environment. No secret can be called so.
const FROM_ENVIRONMENT: &str = "env:TELNYX_API_KEY";

/// An account at Telnyx.
#[derive(Clone, Debug)]
pub struct Account {
    /// The name of the secret that holds its key: what the ledger remembers it by.
    pub name: String,
    /// Its API key.
    pub(super) key: Secret,
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

    /// The account that serves an agency now. The platform's serves only those without a secret of their own, never one
    /// whose secret cannot be read: what an agency buys must not land in another's account by accident.
    ///
    /// # Errors
    /// `TelnyxNotConfigured`; `Unavailable`: a secret cannot be read.
    pub async fn of_agency(&self, agency_id: Uuid) -> Result<Account, Error> {
        if let Some(key) = &self.keys.plain {
            return Ok(Account { name: FROM_ENVIRONMENT.to_owned(), key: Secret::new(key) });
        }
        let own = self.keys.agency_secret.as_ref().map(|name| name.replace("{agency_id}", &agency_id.to_string()));
        for name in own.into_iter().chain(self.keys.platform_secret.clone()) {
            if let Some(secret) = self.secrets.find(&name).await? {
                return account(name, &secret);
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
        let platform = platform.map(|(name, secret)| account(name.clone(), &secret)).transpose()?;
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
            return Ok(self.keys.plain.as_ref().map(|key| Account { name: name.to_owned(), key: Secret::new(key) }));
        }
        self.secrets.find(name).await?.map(|secret| account(name.to_owned(), &secret)).transpose()
    }

    /// The account that the ledger names.
    ///
    /// # Errors
    /// `Unavailable`: its key is gone or cannot be read; no other account will do.
    pub async fn named(&self, name: &str) -> Result<Account, Error> {
        let account = self.find(name).await?;
        account.ok_or_else(|| Error::Unavailable(format!("the ledger names the account {name}, whose key is gone").into()))
    }
}

fn account(name: String, secret: &Secret) -> Result<Account, Error> {
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
    Ok(Account { name, key: Secret::new(&key) })
}
