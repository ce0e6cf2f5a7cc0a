//! Ways to Postgres and to HTTP servers that count what crosses them, and break where they are told to.
//!
//! What a function does to the world is a sequence of interactions: an exchange of HTTP, or what it asks Postgres up to a
//! Sync. Each arrives here whole before it goes on, so that a fault comes either before it takes effect or after, never
//! somewhere between.
//!
//! - [`Wire`] makes the ways and tells them what to do
//! - `postgres` and `http` are what stands on them, `protocol` the messages of Postgres

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

/// Every way made from it, and what has crossed them. They end, and so does every connection, with its last clone.
#[derive(Debug, Clone, Default)]
pub struct Wire {
    ways: Arc<Ways>,
}

/// Something a function asked Postgres or an HTTP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interaction {
    /// Its place among all that crossed the wire since the count began.
    pub index: usize,
    /// Of HTTP the method and the path, ids left out: `GET /v2/number_orders/{id}`. Of Postgres the name that the statement
    /// carries as a comment on its first line, or else its first word: `purchases.begin.insert`, `set`. Where a statement is only
    /// prepared, `prepare purchases.begin`.
    pub name: String,
}

/// When a fault comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The interaction has arrived here, and never takes effect.
    Before,
    /// It has taken effect, and its answer never arrives.
    After,
}

/// Which interaction a fault comes with.
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
    /// Nothing comes any more, as from a machine that is gone. The connection stays, to both sides, until the wire is healed.
    Silence,
    /// Something else happens; when it has, the connection is closed. Made with [`Fault::call`].
    Call(Pin<Box<dyn Future<Output = ()> + Send>>),
}

/// Ends everything when it is dropped.
#[derive(Debug, Default)]
struct Ways {
    state: Arc<State>,
    listening: Mutex<Vec<AbortHandle>>,
}

/// What every connection shares.
#[derive(Debug)]
struct State {
    book: Mutex<Book>,
    gate: watch::Sender<Gate>,
    /// Sends whenever silence ends.
    healed: watch::Sender<()>,
}

/// What crossed, and what is to go wrong.
#[derive(Debug, Default)]
struct Book {
    seen: Vec<Interaction>,
    strikes: Vec<(Point, Strike)>,
    struck: usize,
}

#[derive(Debug)]
struct Strike {
    moment: Moment,
    fault: Fault,
}

/// Whether connections are let in. Every change closes those there are.
#[derive(Debug, Clone, Copy)]
struct Gate {
    open: bool,
    cuts: u64,
}

impl Wire {
    /// One without any way yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A way to the Postgres server at `url`, without TLS: the URL through it.
    ///
    /// # Errors
    /// When `url` is not one, or asks for TLS, or no port is free.
    pub async fn postgres(&self, url: &str) -> Result<String> {
        let url = normalise(url)?;
        ensure!(url.query_pairs().any(|pair| pair == ("sslmode".into(), "disable".into())), "what is encrypted cannot be counted");
        self.way(url, |client, server, state| async move {
            if let Ok(server) = TcpStream::connect(&*server).await {
                // Whatever ends one side has to end the other, and there is nobody to tell.
                let _ = postgres::pass(client, server, &state).await;
            }
        })
        .await
    }

    /// A way to the HTTP server at `url`: the URL through it.
    ///
    /// # Errors
    /// When `url` is not one, or no port is free.
    pub async fn http(&self, url: &str) -> Result<String> {
        self.way(Url::parse(url).context("a way needs a URL to lead to")?, http::pass).await
    }

    /// Listens, and has `pass` serve each connection until the gate closes.
    async fn way<F>(&self, mut url: Url, pass: impl Fn(TcpStream, Arc<[SocketAddr]>, Arc<State>) -> F + Send + 'static) -> Result<String>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        // The port that is Postgres' own; of HTTP the library knows it.
        let server: Arc<[SocketAddr]> = url.socket_addrs(|| Some(5432)).context("a way needs a host to lead to")?.into();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("listening on 127.0.0.1")?;
        let state = Arc::clone(&self.ways.state);
        // Of a URL with a host neither can fail.
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
        lock(&self.ways.listening).push(listening.abort_handle());
        Ok(url.as_str().trim_end_matches('/').to_owned())
    }

    /// Has `fault` come with one interaction, once. Of several for the same one the first comes.
    pub fn strike(&self, point: impl Into<Point>, moment: Moment, fault: Fault) {
        self.book().strikes.push((point.into(), Strike { moment, fault }));
    }

    /// How many faults have come since the count began.
    #[must_use]
    pub fn struck(&self) -> usize {
        self.book().struck
    }

    /// What has crossed since the count began, in its order.
    #[must_use]
    pub fn seen(&self) -> Vec<Interaction> {
        self.book().seen.clone()
    }

    /// Begins the count anew: the next interaction has index 0. Faults that have not come yet still will.
    pub fn restart(&self) {
        let mut book = self.book();
        book.seen.clear();
        book.struck = 0;
    }

    /// Closes every connection there is.
    pub fn cut_all(&self) {
        self.ways.state.gate.send_modify(|gate| gate.cuts += 1);
    }

    /// Closes every connection, and lets nobody in.
    pub fn shut(&self) {
        self.ways.state.gate.send_modify(|gate| gate.open = false);
    }

    /// Lets everybody in again.
    pub fn open(&self) {
        self.ways.state.gate.send_if_modified(|gate| !std::mem::replace(&mut gate.open, true));
    }

    /// Makes all well: no fault comes any more, connections that were silent are closed, and everybody is let in.
    pub fn heal(&self) {
        self.book().strikes.clear();
        self.ways.state.healed.send_replace(());
        self.open();
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.ways.state.book)
    }
}

impl Drop for Ways {
    fn drop(&mut self) {
        lock(&self.listening).iter().for_each(AbortHandle::abort);
        self.state.gate.send_modify(|gate| gate.open = false);
    }
}

impl Default for State {
    fn default() -> Self {
        Self { book: Mutex::default(), gate: watch::Sender::new(Gate { open: true, cuts: 0 }), healed: watch::Sender::default() }
    }
}

impl State {
    /// Counts an interaction that is here whole, and says what is to go wrong with it.
    fn arrive(&self, name: String) -> Option<Strike> {
        let mut book = lock(&self.book);
        let interaction = Interaction { index: book.seen.len(), name };
        let position = book.strikes.iter().position(|(point, _)| point.is(&interaction));
        book.seen.push(interaction);
        position.map(|position| book.strikes.remove(position).1)
    }

    /// Has a fault come, and returns when the connection is to be closed.
    async fn bring(&self, fault: Fault) {
        let mut healed = self.healed.subscribe();
        let silent = matches!(fault, Fault::Silence);
        if let Fault::Call(work) = fault {
            // It goes on when the connection is closed from elsewhere meanwhile.
            let _ = tokio::spawn(work).await;
        }
        lock(&self.book).struck += 1;
        if silent {
            // An error means that the wire is gone, and silence with it.
            let _ = healed.changed().await;
        }
    }
}

impl Point {
    fn is(&self, interaction: &Interaction) -> bool {
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
    /// Does `work`, the end of a process say, and closes the connection when that is done.
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
