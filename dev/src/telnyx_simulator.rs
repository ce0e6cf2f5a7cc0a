//! A simulator of Telnyx: the number endpoints of its v2 API over HTTP, with state, a clock and injectable faults.
//!
//! It follows Telnyx's published API and shares no types with the client that it tests. Behaviour that Telnyx does not document
//! is a field of [`Settings`].
//!
//! - `server` reads requests, `routes` finds the endpoint, `control` is `/_control`
//! - `state` holds all data; its types are in `order`, `number`, `reservation`, `job`, `outbox` (singular), and import none of
//!   the modules that answer requests
//! - `orders`, `numbers`, `reservations`, `jobs` (plural) and the other modules named after paths answer requests
//! - `progress` ends orders and activates numbers as time passes, `webhooks` sends the events

mod clock;
mod control;
mod distortion;
mod errors;
mod faults;
mod input;
mod job;
mod jobs;
mod journal;
mod number;
mod number_list;
mod number_orders;
mod number_settings;
mod numbers;
mod order;
mod orders;
mod outbox;
mod pagination;
mod portal;
mod progress;
mod query;
mod ranges;
mod rate_limit;
mod reservation;
mod reservations;
mod routes;
mod search;
mod server;
mod service;
mod settings;
mod state;
mod stock;
mod sub_orders;
mod webhooks;

use std::{net::Ipv4Addr, sync::Arc};

use anyhow::{Context, anyhow};
use ring::{rand::SystemRandom, signature::Ed25519KeyPair};
use tokio::{net::TcpListener, task::AbortHandle};
use uuid::Uuid;

use crate::loopback;

pub use self::{
    clock::ClockMode,
    journal::Exchange,
    settings::{Keys, OrderOutcome, RefusedSearch, Settings},
};
use self::{service::Service, state::SimulatorState};

/// How a simulator starts.
#[derive(Debug, Clone)]
pub struct Options {
    /// The port on 127.0.0.1; 0 means any free one.
    pub port: u16,
    /// The key of the default account, unless the setting `accounts` names that account.
    pub api_key: String,
    /// The URL for webhooks. It overrides the setting of that name.
    pub webhook_url: Option<String>,
    /// The settings at the start and after a reset.
    pub settings: Settings,
}

impl Default for Options {
    fn default() -> Self {
        Self { port: 0, api_key: format!("KEY{}", Uuid::new_v4().simple()), webhook_url: None, settings: Settings::default() }
    }
}

/// A running simulator; it stops when dropped.
#[derive(Debug)]
pub struct Simulator {
    port: u16,
    api_key: String,
    shared: Arc<Service>,
    tasks: [AbortHandle; 2],
}

impl Simulator {
    /// Starts a simulator.
    ///
    /// # Errors
    /// If the port is taken, or no random bytes for the signing key are available.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))
            .await
            .with_context(|| format!("the Telnyx simulator cannot listen on 127.0.0.1:{}", options.port))?;
        let port = listener.local_addr()?.port();
        let mut settings = options.settings;
        settings.webhook_url = options.webhook_url.or(settings.webhook_url);
        let state = SimulatorState::new(options.api_key.clone(), settings);
        let shared = Arc::new(Service::new(state, signer()?, webhook_client()?));
        let serving = tokio::spawn(server::serve(listener, port, Arc::clone(&shared)));
        let ticking = tokio::spawn(webhooks::run(Arc::clone(&shared)));
        Ok(Self { port, api_key: options.api_key, shared, tasks: [serving.abort_handle(), ticking.abort_handle()] })
    }

    /// The base URL for a Telnyx client.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v2", self.port)
    }

    /// The base URL of the controls.
    #[must_use]
    pub fn control_url(&self) -> String {
        format!("http://127.0.0.1:{}/_control", self.port)
    }

    /// The API key of the default account at the start.
    #[must_use]
    pub fn api_key(&self) -> &str {
        &self.api_key
    }

    /// The public key that verifies its webhooks, in the form of Telnyx's portal.
    #[must_use]
    pub fn public_key(&self) -> String {
        self.shared.public_key()
    }

    /// Sends webhooks to `url`, also after a reset.
    pub fn send_webhooks_to(&self, url: &str) {
        self.shared.state().send_webhooks_to(url);
    }

    /// The exchanges on `/v2` since the start or the last reset.
    #[must_use]
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.shared.state().journal.exchanges()
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// A new key for each simulator, so that none accepts another's signatures.
fn signer() -> anyhow::Result<Ed25519KeyPair> {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| anyhow!("no random bytes for the webhook key"))?;
    Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).map_err(|error| anyhow!("the webhook key is unusable: {error}"))
}

fn webhook_client() -> anyhow::Result<reqwest::Client> {
    let client = loopback::client_builder()?.timeout(webhooks::RECEIVER_TIMEOUT).redirect(reqwest::redirect::Policy::none());
    Ok(client.build()?)
}
