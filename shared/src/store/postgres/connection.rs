//! Connections to Postgres: made when first needed, over TLS unless configured otherwise, and replaced when they are lost, with
//! the login that the secret holds then.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use deadpool_postgres::{Manager, ManagerConfig, Pool, PoolError, QueueMode, RecyclingMethod, Runtime};
use futures_util::future::{Either, select};
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::connector::{Connector, Pooler};
use super::login::{self, Login};
use super::session::{Outcomes, Session, Statements};
use super::timeouts::Timeouts;
use crate::config;
use crate::error::{Error, Source, chain};
use crate::secrets::{Secret, Secrets};
use crate::store::{Query, Undone};
use crate::tls;

/// One for the work, and one so that a lease is renewed while the work waits for a lock. A purchase of several numbers shares them:
/// most of its time it waits for Telnyx. Search, list and assign never need the second, which is made when the first is busy.
const LARGEST_POOL: usize = 2;
/// How long a second connection stays after its last use.
const SPARE: Duration = Duration::from_mins(1);
/// The name of the setting in the log.
const LOGIN: &str = "DATABASE_URL";

pub(in crate::store) struct Connections {
    config: config::Database,
    pub(in crate::store) timeouts: Timeouts,
    secrets: Arc<Secrets>,
    opened: Mutex<Option<Opened>>,
    /// When a connection was last used, in milliseconds since 1970. The wall clock also runs while a function is frozen.
    last_used: AtomicU64,
}

/// A pool, and the login with which it makes its connections.
#[derive(Clone)]
struct Opened {
    pool: Pool,
    login: Secret,
    /// How the login says that statements are sent, if it does.
    statements: Option<Statements>,
    pooler: Pooler,
}

impl Opened {
    async fn session(&self) -> Result<Session, PoolError> {
        self.close_spare();
        let client = self.pool.get().await?;
        // A pooler is known once a connection is made.
        let statements = self.statements.unwrap_or(if self.pooler.is_known() { Statements::Unnamed } else { Statements::Prepared });
        Ok(Session::new(client, statements))
    }

    /// Closes the idle connections that have not been used for long, but the one that was used last.
    fn close_spare(&self) {
        let mut idle = self.pool.status().available;
        self.pool.retain(|_, metrics| {
            let is_spare = idle > 1 && metrics.last_used() > SPARE;
            idle -= usize::from(is_spare);
            !is_spare
        });
    }
}

impl Connections {
    pub(in crate::store) fn new(config: &config::Database, secrets: Arc<Secrets>) -> Self {
        Self {
            config: config.clone(),
            timeouts: Timeouts::of(config.timeout),
            secrets,
            opened: Mutex::default(),
            last_used: AtomicU64::new(0),
        }
    }

    /// Sends statements together, in one round trip, and returns the outcome of each. If the connection turns out to be lost, all of
    /// them are sent again over a new one.
    pub(in crate::store) async fn run(&self, queries: &[Query<'_>]) -> Result<Outcomes, Undone> {
        let idle = self.idle_for();
        let session = self.take().await?;
        let outcome = if self.is_doubtful(&session, idle) { self.ask(&session, queries).await } else { session.outcomes(queries).await };
        match outcome {
            Err(undone) if undone.is_loss() => {
                // A function that is frozen between two requests does not notice that its connections end.
                session.close();
                self.replace(undone);
                self.take().await?.outcomes(queries).await
            }
            outcome => outcome,
        }
    }

    /// A connection that is alive.
    pub(in crate::store) async fn get(&self) -> Result<Session, Error> {
        let idle = self.idle_for();
        let session = self.take().await?;
        if !self.is_doubtful(&session, idle) {
            return Ok(session);
        }
        match self.ask(&session, &[]).await {
            Ok(_) => Ok(session),
            Err(undone) => {
                session.close();
                self.replace(undone);
                self.take().await
            }
        }
    }

    /// Sends statements over a connection that may be dead. One that is alive answers the echo, which is sent in the same round
    /// trip, at once.
    async fn ask(&self, session: &Session, queries: &[Query<'_>]) -> Result<Outcomes, Undone> {
        let echo = pin!(timeout(self.timeouts.proof(), session.echo()));
        let outcomes = pin!(session.outcomes(queries));
        // The first is sent first.
        match select(echo, outcomes).await {
            Either::Left((Ok(Ok(())), outcomes)) => outcomes.await,
            Either::Left((Ok(Err(undone)), _)) => Err(undone),
            Either::Left((Err(_), _)) => Err(Undone::Silence),
            Either::Right((outcomes, echo)) => {
                if outcomes.is_ok() {
                    // There is nothing to be sent, or the answers have arrived together.
                    return match echo.await {
                        Ok(answer) => answer.and(outcomes),
                        Err(_) => Err(Undone::Silence),
                    };
                }
                outcomes
            }
        }
    }

    /// Whether a connection may have died unnoticed.
    fn is_doubtful(&self, session: &Session, idle: Duration) -> bool {
        idle >= self.timeouts.trusted_for() && !session.is_new()
    }

    /// A connection of the pool, or a new one, with a new login if the old one is refused.
    async fn take(&self) -> Result<Session, Error> {
        let opened = self.opened().await?;
        let error = match opened.session().await {
            Ok(session) => return Ok(session),
            Err(error) => error,
        };
        let newer = self.newer_login(&opened.login, &error).await;
        match newer.inspect_err(|_| tracing::warn!(error = chain(&error), "no connection to the database was to be had"))? {
            Some(login) => self.open(login)?.session().await.map_err(unavailable),
            None => Err(unavailable(error)),
        }
    }

    /// The login that replaces one with which no connection could be made. A refused one is read again; where else
    /// the database may have moved becomes known when the secret's time is over.
    async fn newer_login(&self, login: &Secret, error: &PoolError) -> Result<Option<Secret>, Error> {
        let source = self.config.login.as_ref();
        if is_refusal(error) {
            return self.secrets.resolve_newer(source, login).await;
        }
        let current = self.secrets.resolve(LOGIN, source).await?;
        Ok(Some(current).filter(|current| current != login))
    }

    /// How long no connection has been used. Marks one as used now.
    fn idle_for(&self) -> Duration {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(now.saturating_sub(self.last_used.swap(now, Ordering::Relaxed)))
    }

    /// Has lost connections replaced: the idle ones are most likely lost too.
    pub(in crate::store) fn replace(&self, lost: Undone) {
        if lost.is_name_clash()
            && let Some(opened) = self.lock().as_ref()
        {
            opened.pooler.note();
        }
        tracing::info!(error = %Error::from(lost), "a database connection was lost and is replaced");
        self.close_idle();
    }

    /// Closes every idle connection.
    pub(in crate::store) fn close_idle(&self) {
        if let Some(opened) = self.lock().as_ref() {
            opened.pool.retain(|_, _| false);
        }
    }

    async fn opened(&self) -> Result<Opened, Error> {
        if let Some(opened) = self.lock().clone() {
            return Ok(opened);
        }
        let login = self.secrets.resolve(LOGIN, self.config.login.as_ref()).await?;
        self.open(login)
    }

    /// The pool of a login, which takes the place of any other. Connections of the other that are in use end when they are
    /// given back.
    fn open(&self, login: Secret) -> Result<Opened, Error> {
        let mut current = self.lock();
        if let Some(opened) = current.as_ref().filter(|opened| opened.login == login) {
            return Ok(opened.clone());
        }
        let opened = self.pool(login).map_err(Error::Unavailable)?;
        Ok(current.insert(opened).clone())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Opened>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pool(&self, secret: Secret) -> Result<Opened, Source> {
        let Login { mut config, statements } = login::parse(secret.expose(), &self.config)?;
        config
            .connect_timeout(self.timeouts.connect())
            .tcp_user_timeout(self.timeouts.unacknowledged())
            // Counted in whole seconds; zero is an error.
            .keepalives_idle(self.timeouts.trusted_for().max(Duration::from_secs(1)));
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            _ => Some(MakeRustlsConnect::new(tls::client(&self.config.authorities)?)),
        };
        let pooler = Pooler::default();
        // Behind a pooler, the limits are those of the role.
        let options = (statements != Some(Statements::Unnamed)).then(|| self.timeouts.options());
        let connector = Connector { tls, options, pooler: pooler.clone() };
        let manager = Manager::from_connect(config, connector, ManagerConfig { recycling_method: RecyclingMethod::Fast });
        let pool = Pool::builder(manager)
            .max_size(LARGEST_POOL)
            // The connection used last has the statements prepared already; the others are for when it is busy.
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(self.timeouts.whole()))
            .create_timeout(Some(self.timeouts.connect()))
            .build()?;
        Ok(Opened { pool, login: secret, statements, pooler })
    }
}

/// A single connection outside the pool, without the time limits that requests set for their statements. It closes when
/// the client is dropped.
///
/// # Errors
/// `Unavailable` if the setting is missing, the secret cannot be read, or the database cannot be reached.
pub async fn connect(config: &config::Database, secrets: &Secrets) -> Result<Client, Error> {
    let unavailable = |error| Error::Unavailable(Box::new(error));
    let login = secrets.resolve(LOGIN, config.login.as_ref()).await?;
    let mut settings = login::parse(login.expose(), config).map_err(Error::Unavailable)?.config;
    settings.connect_timeout(Timeouts::of(config.timeout).connect());
    if settings.get_ssl_mode() == SslMode::Disable {
        let (client, connection) = settings.connect(NoTls).await.map_err(unavailable)?;
        tokio::spawn(connection);
        return Ok(client);
    }
    let tls = tls::client(&config.authorities).map_err(Error::Unavailable)?;
    let (client, connection) = settings.connect(MakeRustlsConnect::new(tls)).await.map_err(unavailable)?;
    tokio::spawn(connection);
    Ok(client)
}

/// Whether the connection is lost, rather than the statement refused.
pub(in crate::store) fn is_lost(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        None => true,
        Some(code) => {
            // After a failover, the former primary is read-only.
            let ended = [
                SqlState::ADMIN_SHUTDOWN,
                SqlState::CRASH_SHUTDOWN,
                SqlState::CANNOT_CONNECT_NOW,
                SqlState::READ_ONLY_SQL_TRANSACTION,
                SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
                SqlState::IDLE_SESSION_TIMEOUT,
            ];
            code.code().starts_with("08") || ended.contains(code)
        }
    }
}

/// Whether a statement's name means another statement to the server, or none: there is a pooler that does not follow them. Nothing
/// was executed.
pub(in crate::store) fn is_name_clash(error: &tokio_postgres::Error) -> bool {
    matches!(error.code(), Some(&SqlState::DUPLICATE_PSTATEMENT | &SqlState::INVALID_SQL_STATEMENT_NAME))
}

/// Whether the server refuses the login. Poolers report that, among other errors, as a protocol violation: reading the secret
/// once more does no harm.
fn is_refusal(error: &PoolError) -> bool {
    let PoolError::Backend(error) = error else { return false };
    let refusals = [SqlState::INVALID_PASSWORD, SqlState::INVALID_AUTHORIZATION_SPECIFICATION, SqlState::PROTOCOL_VIOLATION];
    error.code().is_some_and(|code| refusals.contains(code))
}

fn unavailable(error: PoolError) -> Error {
    Error::Unavailable(Box::new(error))
}
