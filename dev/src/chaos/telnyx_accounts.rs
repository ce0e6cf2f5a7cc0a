//! The accounts at Telnyx, and the secrets that hold their keys.

use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use serde_json::{Value, json};
use shared::model::KeyDigest;
use uuid::Uuid;

use super::agencies;
use crate::secrets_manager::{self, SecretsManager};

/// The simulator's name of the platform's account.
pub(super) const PLATFORM: &str = "default";
/// The simulator's name of the account of the agency that has its own.
pub(super) const INDEPENDENT: &str = "independent";
/// The simulator's name of an account that must not be used. It cannot pay for anything.
pub(super) const FOREIGN: &str = "foreign";

const PLATFORM_SECRET: &str = "telnyx/platform";
const INDEPENDENT_KEY: &str = "KEYINDEPENDENT";
const FOREIGN_KEY: &str = "KEYFOREIGN";

/// A Secrets Manager with the keys.
#[derive(Debug)]
pub(super) struct Accounts {
    secrets_manager: SecretsManager,
    /// The platform's valid key.
    platform: Mutex<String>,
}

impl Accounts {
    /// Starts the Secrets Manager with valid keys.
    pub(super) async fn start(platform: &str) -> Result<Self> {
        let accounts = Self { secrets_manager: SecretsManager::start().await?, platform: Mutex::new(platform.to_owned()) };
        accounts.secrets_manager.set_text(&format!("telnyx/{}", agencies::agency(agencies::INDEPENDENT)), INDEPENDENT_KEY);
        accounts.restore_key();
        Ok(accounts)
    }

    /// The environment with which a function reads the keys.
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        let url = self.secrets_manager.url();
        let ours =
            [("TELNYX_API_KEY", ""), ("TELNYX_AGENCY_SECRET_ID", "telnyx/{agency_id}"), ("TELNYX_PLATFORM_SECRET_ID", PLATFORM_SECRET)];
        ours.into_iter().chain(secrets_manager::environment(&url)).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Sets the platform's secret to the key of another account.
    pub(super) fn store_foreign_key(&self) {
        self.secrets_manager.set_text(PLATFORM_SECRET, FOREIGN_KEY);
    }

    /// Replaces the platform's key. Returns the simulator's settings that make the old one invalid.
    pub(super) fn replace_key(&self) -> Value {
        let key = format!("KEY{}", Uuid::new_v4().simple());
        key.clone_into(&mut self.platform());
        self.restore_key();
        json!({ "accounts": { PLATFORM: key } })
    }

    /// Sets the platform's secret to the platform's key.
    pub(super) fn restore_key(&self) {
        self.secrets_manager.set_text(PLATFORM_SECRET, &self.platform());
    }

    /// Whether a digest is that of the platform's valid key.
    pub(super) fn is_platforms(&self, digest: Option<KeyDigest>) -> bool {
        digest == Some(KeyDigest::of(&self.platform()))
    }

    fn platform(&self) -> MutexGuard<'_, String> {
        self.platform.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The simulator's settings for the additional accounts.
pub(super) fn others() -> Value {
    json!({
        "accounts": { INDEPENDENT: INDEPENDENT_KEY, FOREIGN: FOREIGN_KEY },
        "accounts_without_funds": [FOREIGN],
        // A released number is not held for its account, because the next agency may buy it in another one.
        "hold_ms": 0,
    })
}
