//! Makes the connections of a pool, and finds out whether a pooler such as PgBouncer stands before the server.
//!
//! Behind a pooler, a session belongs to several clients in turn, transaction by transaction. What is set for the session would
//! hold for them too. So the limits are set where a connection starts, as options, and a pooler refuses or ignores these: then the
//! limits are those of the role (`sql/V12__poolers.sql`), and statements have no names. A name would be looked up on a connection
//! that may know it from another client, with another statement.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use deadpool_postgres::Connect;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Connection, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

/// A parameter that servers report when a connection starts, with a value that is no default. It shows whether options have
/// reached the server, and has no other effect: no statement returns an interval.
const MARK: &str = "IntervalStyle";
/// PgBouncer from 1.20 keeps this parameter for each client, ignores other options where it is told to, and reports the value as it
/// was sent. The server reports it in small letters.
const MARK_SENT: &str = "ISO_8601";
const MARK_REPORTED: &str = "iso_8601";

/// Whether a pooler stands before the server, as far as is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Pooler(Arc<AtomicBool>);

impl Pooler {
    pub(super) fn is_known(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn note(&self) {
        if !self.0.swap(true, Ordering::Relaxed) {
            tracing::info!("there is a pooler before the database: statements are sent without names");
        }
    }
}

/// Makes connections.
pub(super) struct Connector {
    /// None connects without TLS.
    pub(super) tls: Option<MakeRustlsConnect>,
    /// The options of each connection; None if a pooler is expected.
    pub(super) options: Option<String>,
    pub(super) pooler: Pooler,
}

type Connected = (Client, JoinHandle<()>);

impl Connect for Connector {
    fn connect(&self, config: &Config) -> Pin<Box<dyn Future<Output = Result<Connected, Error>> + Send + '_>> {
        let config = config.clone();
        Box::pin(async move { self.connected(config).await })
    }
}

impl Connector {
    async fn connected(&self, config: Config) -> Result<Connected, Error> {
        let Some(options) = self.options.as_ref().filter(|_| !self.pooler.is_known()) else {
            return self.open(&config).await.map(|(connected, _)| connected);
        };
        let mut with_options = config.clone();
        let own = config.get_options().map(|own| format!("{own} ")).unwrap_or_default();
        with_options.options(format!("{own}{options} -c {MARK}={MARK_SENT}"));
        match self.open(&with_options).await {
            Ok((connected, is_marked)) => {
                if !is_marked {
                    self.pooler.note();
                }
                Ok(connected)
            }
            Err(error) if is_refusal_of_options(&error) => {
                let (connected, _) = self.open(&config).await?;
                self.pooler.note();
                Ok(connected)
            }
            Err(error) => Err(error),
        }
    }

    /// A connection, and whether the server reports the mark.
    async fn open(&self, config: &Config) -> Result<(Connected, bool), Error> {
        match &self.tls {
            None => config.connect(NoTls).await.map(started),
            Some(tls) => config.connect(tls.clone()).await.map(started),
        }
    }
}

fn started<S, T>((client, connection): (Client, Connection<S, T>)) -> (Connected, bool)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let is_marked = connection.parameter(MARK) == Some(MARK_REPORTED);
    let task = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::info!(error = %error, "a database connection has ended");
        }
    });
    ((client, task), is_marked)
}

/// PgBouncer reports a protocol violation, also where it refuses a password: then the second attempt fails too. RDS Proxy says
/// that it does not support the feature.
fn is_refusal_of_options(error: &Error) -> bool {
    matches!(error.code(), Some(&SqlState::PROTOCOL_VIOLATION | &SqlState::FEATURE_NOT_SUPPORTED))
}
