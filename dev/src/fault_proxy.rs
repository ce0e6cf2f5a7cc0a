//! Proxies before Postgres and HTTP servers that record every interaction and inject faults.
//!
//! An interaction is one HTTP exchange, or one request to Postgres up to a Sync. The proxy reads an interaction whole before
//! it forwards it. A fault therefore comes before the interaction takes effect or after it, never in between.
//!
//! - [`FaultProxy`] opens the listeners, holds the faults and the log
//! - `postgres` and `http` forward connections; `protocol` parses the messages of Postgres

mod http;
mod postgres;
mod protocol;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, ensure};
use reqwest::Url;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::postgres::connection::normalise;

/// Proxies that share one log and one list of faults. Dropping the last clone closes every listener and connection.
#[derive(Debug, Clone, Default)]
pub struct FaultProxy {
    listeners: Arc<Listeners>,
}

/// One request to Postgres or to an HTTP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interaction {
    /// Its position in the log.
    pub index: usize,
    /// For HTTP, the method and the path with ids replaced: `GET /v2/number_orders/{id}`. For Postgres, the comment on the
    /// first line of the statement, or its first word: `purchases.begin.insert`, `set`. If a statement is only prepared,
    /// `prepare purchases.begin`.
    pub name: String,
}

/// When a fault comes, relative to its interaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Instead of the interaction, which never takes effect.
    Before,
    /// After the interaction has taken effect. The client gets no answer.
    After,
}

/// The interaction at which a fault comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Point {
    /// The one with this index.
    Index(usize),
    /// The next one of this name.
    Next(String),
}

/// What goes wrong.
pub enum Fault {
    /// The connection is closed, to both sides.
    Cut,
    /// Nothing is forwarded any more. Both connections stay open until [`FaultProxy::reset`].
    Silence,
    /// A future runs, then the connection is closed. See [`Fault::call`].
    Call(Pin<Box<dyn Future<Output = ()> + Send>>),
}

/// Closes every listener and connection when dropped.
#[derive(Debug, Default)]
struct Listeners {
    state: Arc<State>,
    tasks: Mutex<Vec<AbortHandle>>,
}

/// State shared by all connections.
#[derive(Debug)]
struct State {
    log: Mutex<Log>,
    gate: watch::Sender<Gate>,
    /// Sends when [`Fault::Silence`] ends.
    reset: watch::Sender<()>,
}

/// The interactions so far, and the faults that have not come yet.
#[derive(Debug, Default)]
struct Log {
    seen: Vec<Interaction>,
    planned: Vec<(Point, Injection)>,
    injected: usize,
}

#[derive(Debug)]
struct Injection {
    moment: Moment,
    fault: Fault,
}

/// Whether connections are accepted. Every change closes the existing ones.
#[derive(Debug, Clone, Copy)]
struct Gate {
    open: bool,
    cuts: u64,
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

    /// Clears the log: the next interaction has index 0. Planned faults stay planned.
    pub fn clear_log(&self) {
        let mut log = self.log();
        log.seen.clear();
        log.injected = 0;
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

impl Default for State {
    fn default() -> Self {
        Self { log: Mutex::default(), gate: watch::Sender::new(Gate { open: true, cuts: 0 }), reset: watch::Sender::default() }
    }
}

impl State {
    /// Logs an interaction and takes the fault that is planned for it.
    fn record(&self, name: String) -> Option<Injection> {
        let mut log = lock(&self.log);
        let interaction = Interaction { index: log.seen.len(), name };
        let position = log.planned.iter().position(|(point, _)| point.matches(&interaction));
        log.seen.push(interaction);
        position.map(|position| log.planned.remove(position).1)
    }

    /// Executes a fault. Returns when the connection must be closed.
    async fn execute(&self, fault: Fault) {
        let mut reset = self.reset.subscribe();
        let silent = matches!(fault, Fault::Silence);
        if let Fault::Call(work) = fault {
            // Spawned, so that it completes even if the connection is closed meanwhile.
            let _ = tokio::spawn(work).await;
        }
        lock(&self.log).injected += 1;
        if silent {
            // An error means that the proxy is gone, which ends the silence too.
            let _ = reset.changed().await;
        }
    }
}

impl Point {
    fn matches(&self, interaction: &Interaction) -> bool {
        match self {
            Self::Index(index) => *index == interaction.index,
            Self::Next(name) => *name == interaction.name,
        }
    }
}

impl From<usize> for Point {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

impl From<&str> for Point {
    fn from(name: &str) -> Self {
        Self::Next(name.to_owned())
    }
}

impl Fault {
    /// Runs `work`, such as killing a process, then closes the connection.
    pub fn call<T>(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self::Call(Box::pin(async move {
            work.await;
        }))
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Cut => "Cut",
            Self::Silence => "Silence",
            Self::Call(_) => "Call(…)",
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
