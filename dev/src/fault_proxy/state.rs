//! Interactions, faults, and the state that all connections share.

use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

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
    /// Nothing is forwarded any more. Both connections stay open until [`FaultProxy::reset`](super::FaultProxy::reset).
    Silence,
    /// A future runs, then the connection is closed. See [`Fault::call`].
    Call(Pin<Box<dyn Future<Output = ()> + Send>>),
}

/// State shared by all connections.
#[derive(Debug)]
pub(super) struct State {
    pub(super) log: Mutex<Log>,
    pub(super) gate: watch::Sender<Gate>,
    /// Sends when [`Fault::Silence`] ends.
    pub(super) reset: watch::Sender<()>,
}

/// The interactions so far, and the faults that have not come yet.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) seen: Vec<Interaction>,
    pub(super) planned: Vec<(Point, Injection)>,
    pub(super) injected: usize,
    pub(super) round_trips: usize,
}

#[derive(Debug)]
pub(super) struct Injection {
    pub(super) moment: Moment,
    pub(super) fault: Fault,
}

/// Whether connections are accepted. Every change closes the existing ones.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gate {
    pub(super) open: bool,
    pub(super) cuts: u64,
}

impl Default for State {
    fn default() -> Self {
        Self { log: Mutex::default(), gate: watch::Sender::new(Gate { open: true, cuts: 0 }), reset: watch::Sender::default() }
    }
}

impl State {
    /// Logs an interaction and takes the fault that is planned for it.
    pub(super) fn record(&self, name: String, is_round_trip: bool) -> Option<Injection> {
        let mut log = lock(&self.log);
        log.round_trips += usize::from(is_round_trip);
        let interaction = Interaction { index: log.seen.len(), name };
        let position = log.planned.iter().position(|(point, _)| point.matches(&interaction));
        log.seen.push(interaction);
        position.map(|position| log.planned.remove(position).1)
    }

    /// Executes a fault. Returns when the connection must be closed.
    pub(super) async fn execute(&self, fault: Fault) {
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

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
