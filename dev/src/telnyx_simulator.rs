//! A Telnyx to talk to on one machine: the number endpoints of its v2 API over HTTP, with a memory, a clock and faults to order.
//!
//! It knows Telnyx from its published API and shares no types with the client it is there to test. Reading order: `routes` is
//! what it answers, `state` what it remembers, `progress` what time does to orders, `control` how tests steer it; the rest is
//! one subject a file. What nobody outside Telnyx knows is a [`Settings`] field.

mod clock;
mod control;
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
mod spoilt;
mod state;
mod stock;
mod sub_orders;
mod webhooks;

use std::{net::Ipv4Addr, sync::Arc};

use anyhow::{Context, anyhow};
use ring::{rand::SystemRandom, signature::Ed25519KeyPair};
use tokio::{net::TcpListener, task::AbortHandle};
use uuid::Uuid;

pub use self::{
    clock::ClockMode,
    journal::Exchange,
    settings::{Keys, OrderOutcome, RefusedSearch, Settings},
};
use self::{service::Service, state::SimulatorState};

/// How a simulator starts.
#[derive(Debug, Clone)]
pub struct Options {
    /// On 127.0.0.1; 0 is any free one.
    pub port: u16,
    /// The key of the default account, unless the setting `accounts` names others.
    pub api_key: String,
    /// Where webhooks go; overrides the setting of that name.
    pub webhook_url: Option<String>,
    /// What a reset returns to.
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
    /// Binds and serves.
    ///
    /// # Errors
    /// If the port is taken, or the machine offers no randomness for the signing key.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))
            .await
            .with_context(|| format!("the Telnyx simulator cannot listen on 127.0.0.1:{}", options.port))?;
        let port = listener.local_addr()?.port();
        let mut settings = options.settings;
        settings.webhook_url = options.webhook_url.or(settings.webhook_url);
        let state = SimulatorState::new(options.api_key.clone(), settings);
        let shared = Arc::new(Service::new(state, signer()?, webhook_client()?));
        let serving = tokio::spawn(server::serve(listener, Arc::clone(&shared)));
        let ticking = tokio::spawn(webhooks::run(Arc::clone(&shared)));
        Ok(Self { port, api_key: options.api_key, shared, tasks: [serving.abort_handle(), ticking.abort_handle()] })
    }

    /// The base URL for a Telnyx client.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v2", self.port)
    }

    /// Where the knobs are.
    #[must_use]
    pub fn control_url(&self) -> String {
        format!("http://127.0.0.1:{}/_control", self.port)
    }

    /// The key of the default account at the start.
    #[must_use]
    pub fn api_key(&self) -> &str {
        &self.api_key
    }

    /// The key that verifies its webhooks, as Telnyx's portal shows it.
    #[must_use]
    pub fn public_key(&self) -> String {
        self.shared.public_key()
    }

    /// From now on, and after a reset, webhooks go to `url`.
    pub fn send_webhooks_to(&self, url: &str) {
        self.shared.state().send_webhooks_to(url);
    }

    /// Everything that has crossed `/v2` since the start or the last reset.
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

/// A new key for each simulator: nothing signed by one is good for another.
fn signer() -> anyhow::Result<Ed25519KeyPair> {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| anyhow!("no randomness for the webhook key"))?;
    Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).map_err(|error| anyhow!("the webhook key is unusable: {error}"))
}

/// Brings its own TLS provider rather than rely on one installed for the process.
fn webhook_client() -> anyhow::Result<reqwest::Client> {
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let client =
        reqwest::Client::builder().tls_backend_preconfigured(tls).timeout(webhooks::PATIENCE).redirect(reqwest::redirect::Policy::none());
    Ok(client.build()?)
}
