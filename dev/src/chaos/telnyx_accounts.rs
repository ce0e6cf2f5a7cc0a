//! The accounts at Telnyx, and the secrets that hold their keys.

use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use serde_json::{Value, json};
use shared::model::KeyDigest;
use uuid::Uuid;

use super::agencies;
use crate::secrets_manager::{self, SecretsManager};

/// What the simulator calls the platform's account.
pub(super) const PLATFORM: &str = "default";
/// What it calls the account of the agency that has its own.
pub(super) const INDEPENDENT: &str = "independent";
/// What it calls an account that nobody should be using. It can pay for nothing.
pub(super) const FOREIGN: &str = "foreign";

const PLATFORM_SECRET: &str = "telnyx/platform";
const INDEPENDENT_KEY: &str = "KEYINDEPENDENT";
const FOREIGN_KEY: &str = "KEYFOREIGN";

/// A Secrets Manager with the keys.
#[derive(Debug)]
pub(super) struct Accounts {
    secrets_manager: SecretsManager,
    /// The platform's key as it should be.
    platform: Mutex<String>,
}

impl Accounts {
    /// Starts it, with all keys as they should be.
    pub(super) async fn start(platform: &str) -> Result<Self> {
        let accounts = Self { secrets_manager: SecretsManager::start().await?, platform: Mutex::new(platform.to_owned()) };
        accounts.secrets_manager.set_text(&format!("telnyx/{}", agencies::agency(agencies::INDEPENDENT)), INDEPENDENT_KEY);
        accounts.restore_key();
        Ok(accounts)
    }

    /// What a function needs to find the keys.
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        let url = self.secrets_manager.url();
        let ours =
            [("TELNYX_API_KEY", ""), ("TELNYX_AGENCY_SECRET_ID", "telnyx/{agency_id}"), ("TELNYX_PLATFORM_SECRET_ID", PLATFORM_SECRET)];
        ours.into_iter().chain(secrets_manager::environment(&url)).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// The platform's secret comes to hold the key of another account.
    pub(super) fn store_foreign_key(&self) {
        self.secrets_manager.set_text(PLATFORM_SECRET, FOREIGN_KEY);
    }

    /// The platform gets another key. What the simulator is to be told of it: the old one is good for nothing from then on.
    pub(super) fn replace_key(&self) -> Value {
        let key = format!("KEY{}", Uuid::new_v4().simple());
        key.clone_into(&mut self.platform());
        self.restore_key();
        json!({ "accounts": { PLATFORM: key } })
    }

    /// The platform's secret holds the platform's key.
    pub(super) fn restore_key(&self) {
        self.secrets_manager.set_text(PLATFORM_SECRET, &self.platform());
    }

    /// Whether a digest is that of the platform's key as it should be.
    pub(super) fn is_platforms(&self, digest: Option<KeyDigest>) -> bool {
        digest == Some(KeyDigest::of(&self.platform()))
    }

    fn platform(&self) -> MutexGuard<'_, String> {
        self.platform.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the simulator is told of the accounts that it does not start with.
pub(super) fn others() -> Value {
    json!({
        "accounts": { INDEPENDENT: INDEPENDENT_KEY, FOREIGN: FOREIGN_KEY },
        "accounts_without_funds": [FOREIGN],
        // A released number is not held for its account, because the next agency may buy it in another one.
        "hold_ms": 0,
    })
}
