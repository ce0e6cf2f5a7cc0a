//! Connections to Postgres: made when first needed, over TLS unless configured otherwise, and replaced when they are lost, with
//! the login that the secret holds then.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, QueueMode, RecyclingMethod, Runtime};
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::login;
use super::timeouts::Timeouts;
use crate::config;
use crate::error::{Error, Source, chain};
use crate::secrets::{Secret, Secrets};
use crate::tls;

/// A purchase of several numbers works on a few at a time; everything else needs one.
const LARGEST_POOL: usize = 4;
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

    pub(in crate::store) async fn get(&self) -> Result<Object, Error> {
        let idle = self.idle_for();
        let client = self.take().await?;
        if idle < self.timeouts.trusted_for() || self.is_alive(&client).await {
            return Ok(client);
        }
        // The other connections are most likely lost too.
        self.discard(client);
        self.take().await
    }

    /// A connection of the pool, or a new one, with a new login if the old one is refused.
    async fn take(&self) -> Result<Object, Error> {
        let opened = self.opened().await?;
        let error = match opened.pool.get().await {
            Ok(client) => return Ok(client),
            Err(error) => error,
        };
        let newer = self.newer_login(&opened.login, &error).await;
        match newer.inspect_err(|_| tracing::warn!(error = chain(&error), "no connection to the database was to be had"))? {
            Some(login) => self.open(login)?.pool.get().await.map_err(unavailable),
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

    async fn is_alive(&self, client: &Object) -> bool {
        matches!(tokio::time::timeout(self.timeouts.proof(), client.simple_query("")).await, Ok(Ok(_)))
    }

    /// Closes a lost connection, and the idle ones with it.
    pub(in crate::store) fn discard(&self, client: Object) {
        drop(Object::take(client));
        self.discard_all();
    }

    /// Closes every idle connection.
    pub(in crate::store) fn discard_all(&self) {
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
        let pool = self.pool(login.expose()).map_err(Error::Unavailable)?;
        Ok(current.insert(Opened { pool, login }).clone())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Opened>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pool(&self, login: &str) -> Result<Pool, Source> {
        let mut config = login::parse(login, &self.config)?;
        config
            .connect_timeout(self.timeouts.connect())
            .tcp_user_timeout(self.timeouts.unacknowledged())
            // Counted in whole seconds; zero is an error.
            .keepalives_idle(self.timeouts.trusted_for().max(Duration::from_secs(1)));
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = if config.get_ssl_mode() == SslMode::Disable {
            Manager::from_config(config, NoTls, recycling)
        } else {
            let tls = MakeRustlsConnect::new(tls::client(&self.config.authorities)?);
            Manager::from_config(config, tls, recycling)
        };
        let session = self.timeouts.session();
        let prepare = Hook::async_fn(move |client: &mut deadpool_postgres::ClientWrapper, _| {
            let session = session.clone();
            Box::pin(async move { client.batch_execute(&session).await.map_err(HookError::Backend) })
        });
        Ok(Pool::builder(manager)
            .max_size(LARGEST_POOL)
            // The connection used last has the statements prepared already; the others are for when it is busy.
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(self.timeouts.whole()))
            .create_timeout(Some(self.timeouts.connect()))
            .post_create(prepare)
            .build()?)
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
    let mut settings = login::parse(login.expose(), config).map_err(Error::Unavailable)?;
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
            ];
            code.code().starts_with("08") || ended.contains(code)
        }
    }
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
