//! Proxies before Postgres and HTTP servers that record every interaction and inject faults.
//!
//! An interaction is one HTTP exchange, or one request to Postgres up to a Sync. The proxy reads an interaction whole before
//! it forwards it. A fault therefore comes before the interaction takes effect or after it, never in between.
//!
//! - [`FaultProxy`] opens the listeners; `state` holds the faults and the log
//! - `postgres` and `http` forward connections; `protocol` parses the messages of Postgres

mod http;
mod postgres;
mod protocol;
mod state;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use anyhow::{Context, Result, ensure};
use reqwest::Url;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

pub use self::state::{Fault, Interaction, Moment, Point};
use self::state::{Injection, Log, State, lock};
use crate::postgres::connection::normalise;

/// Proxies that share one log and one list of faults. Dropping the last clone closes every listener and connection.
#[derive(Debug, Clone, Default)]
pub struct FaultProxy {
    listeners: Arc<Listeners>,
}

/// Closes every listener and connection when dropped.
#[derive(Debug, Default)]
struct Listeners {
    state: Arc<State>,
    tasks: Mutex<Vec<AbortHandle>>,
}

impl FaultProxy {
    /// Creates a proxy without listeners.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Listens before the Postgres server at `url`. Returns the URL through the proxy.
    ///
    /// # Errors
    /// If `url` is invalid or asks for TLS, or no port is free.
    pub async fn postgres(&self, url: &str) -> Result<String> {
        let url = normalise(url)?;
        ensure!(url.query_pairs().any(|pair| pair == ("sslmode".into(), "disable".into())), "the proxy cannot read a connection with TLS");
        self.listen(url, |client, server, state| async move {
            if let Ok(server) = TcpStream::connect(&*server).await {
                // Both sides close when this returns, whatever the result.
                let _ = postgres::pass(client, server, &state).await;
            }
        })
        .await
    }

    /// Listens before the HTTP server at `url`. Returns the URL through the proxy.
    ///
    /// # Errors
    /// If `url` is invalid or no port is free.
    pub async fn http(&self, url: &str) -> Result<String> {
        self.listen(Url::parse(url).context("not the URL of a server")?, http::pass).await
    }

    /// Listens, and serves each connection with `pass` until the gate changes.
    async fn listen<F>(&self, mut url: Url, pass: impl Fn(TcpStream, Arc<[SocketAddr]>, Arc<State>) -> F + Send + 'static) -> Result<String>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        // 5432 is the default of Postgres; `Url` knows the default of HTTP.
        let server: Arc<[SocketAddr]> = url.socket_addrs(|| Some(5432)).context("the URL has no host")?.into();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("listening on 127.0.0.1")?;
        let state = Arc::clone(&self.listeners.state);
        // Neither fails for a URL with a host.
        let _ = (url.set_host(Some("127.0.0.1")), url.set_port(Some(listener.local_addr()?.port())));
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut gate = state.gate.subscribe();
                if gate.borrow_and_update().open {
                    let passing = pass(client, Arc::clone(&server), Arc::clone(&state));
                    tokio::spawn(async move {
                        tokio::select! {
                            _ = gate.changed() => {}
                            () = passing => {}
                        }
                    });
                }
            }
        });
        lock(&self.listeners.tasks).push(listening.abort_handle());
        Ok(url.as_str().trim_end_matches('/').to_owned())
    }

    /// Injects `fault` once, at one interaction. If several faults match an interaction, the first one comes.
    pub fn inject(&self, point: impl Into<Point>, moment: Moment, fault: Fault) {
        self.log().planned.push((point.into(), Injection { moment, fault }));
    }

    /// The number of faults injected since the log was last cleared.
    #[must_use]
    pub fn injected(&self) -> usize {
        self.log().injected
    }

    /// The interactions since the log was last cleared, in order.
    #[must_use]
    pub fn seen(&self) -> Vec<Interaction> {
        self.log().seen.clone()
    }

    /// The round trips since the log was last cleared: interactions that a client of Postgres sent together, without waiting for an
    /// answer in between, are one.
    #[must_use]
    pub fn round_trips(&self) -> usize {
        self.log().round_trips
    }

    /// Clears the log: the next interaction has index 0. Planned faults stay planned.
    pub fn clear_log(&self) {
        let mut log = self.log();
        log.seen.clear();
        log.injected = 0;
        log.round_trips = 0;
    }

    /// Closes every connection.
    pub fn cut_all(&self) {
        self.listeners.state.gate.send_modify(|gate| gate.cuts += 1);
    }

    /// Closes every connection and refuses new ones.
    pub fn refuse_connections(&self) {
        self.listeners.state.gate.send_modify(|gate| gate.open = false);
    }

    /// Accepts connections again.
    pub fn accept_connections(&self) {
        self.listeners.state.gate.send_if_modified(|gate| !std::mem::replace(&mut gate.open, true));
    }

    /// Ends all faults: clears the planned ones, closes silent connections and accepts new ones.
    pub fn reset(&self) {
        self.log().planned.clear();
        self.listeners.state.reset.send_replace(());
        self.accept_connections();
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        lock(&self.listeners.state.log)
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        lock(&self.tasks).iter().for_each(AbortHandle::abort);
        self.state.gate.send_modify(|gate| gate.open = false);
    }
}
