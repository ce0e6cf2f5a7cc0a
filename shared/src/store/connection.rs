//! Connections to Postgres: made when first needed, over TLS unless told otherwise, and replaced when they have died.

use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime};
use tokio::sync::OnceCell;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;
use url::Url;

use crate::config;
use crate::error::{Error, Source};
use crate::secrets::Secrets;
use crate::tls;

/// A purchase of several numbers works on a few at a time; everything else needs one.
const LARGEST_POOL: usize = 4;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// After this long unused, a connection proves that it is alive before it is used: a function that was frozen does not
/// hear of a connection that a firewall or a failover dropped without a word.
const TRUSTED_FOR: Duration = Duration::from_secs(10);
/// How long that proof may take.
const PROOF_TIMEOUT: Duration = Duration::from_secs(1);
/// Unacknowledged data ends a connection after this long (RFC 5482).
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(6);
/// What the server gives up after on its own, so that a client that vanished leaves no lock behind.
const SESSION: &str = "set statement_timeout = '7s'; set lock_timeout = '5s'; set idle_in_transaction_session_timeout = '5s'";

pub(super) struct Connections {
    config: config::Database,
    secrets: Arc<Secrets>,
    pool: OnceCell<Pool>,
    /// When one was last handed out, in seconds since 1970. The wall clock goes on while a function is frozen.
    last_used: AtomicU64,
}

impl Connections {
    pub(super) fn new(config: &config::Database, secrets: Arc<Secrets>) -> Self {
        Self { config: config.clone(), secrets, pool: OnceCell::new(), last_used: AtomicU64::new(0) }
    }

    pub(super) async fn get(&self) -> Result<Object, Error> {
        let pool = self.pool.get_or_try_init(|| self.connect()).await?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let idle = now.saturating_sub(self.last_used.swap(now, Ordering::Relaxed));
        let client = pool.get().await.map_err(unavailable)?;
        if idle < TRUSTED_FOR.as_secs() || is_alive(&client).await {
            return Ok(client);
        }
        // What killed one has most likely killed them all.
        self.discard(client);
        pool.get().await.map_err(unavailable)
    }

    /// Throws away a connection that has died, and with it those that wait unused.
    pub(super) fn discard(&self, client: Object) {
        drop(Object::take(client));
        if let Some(pool) = self.pool.get() {
            pool.retain(|_, _| false);
        }
    }

    async fn connect(&self) -> Result<Pool, Error> {
        let url = self.secrets.resolve("DATABASE_URL", self.config.url.as_ref()).await?;
        self.pool(url.expose()).map_err(Error::Unavailable)
    }

    fn pool(&self, url: &str) -> Result<Pool, Source> {
        let config = parse(url)?;
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = if config.get_ssl_mode() == SslMode::Disable {
            Manager::from_config(config, NoTls, recycling)
        } else {
            let tls = MakeRustlsConnect::new(tls::client(self.config.ca_file.as_deref())?);
            Manager::from_config(config, tls, recycling)
        };
        let prepare = Hook::async_fn(|client: &mut deadpool_postgres::ClientWrapper, _| {
            Box::pin(async move { client.batch_execute(SESSION).await.map_err(HookError::Backend) })
        });
        Ok(Pool::builder(manager)
            .max_size(LARGEST_POOL)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(super::TIMEOUT))
            .create_timeout(Some(CONNECT_TIMEOUT))
            .post_create(prepare)
            .build()?)
    }
}

/// One connection of its own: without the pool, and without the limits that a request sets to its statements. It closes when
/// the client is dropped.
///
/// # Errors
/// `Unavailable`: the setting, the secret or the database cannot be had.
pub async fn connect(config: &config::Database, secrets: &Secrets) -> Result<Client, Error> {
    let url = secrets.resolve("DATABASE_URL", config.url.as_ref()).await?;
    let settings = parse(url.expose()).map_err(Error::Unavailable)?;
    let unavailable = |error| Error::Unavailable(Box::new(error));
    if settings.get_ssl_mode() == SslMode::Disable {
        let (client, connection) = settings.connect(NoTls).await.map_err(unavailable)?;
        tokio::spawn(connection);
        return Ok(client);
    }
    let tls = tls::client(config.ca_file.as_deref()).map_err(Error::Unavailable)?;
    let (client, connection) = settings.connect(MakeRustlsConnect::new(tls)).await.map_err(unavailable)?;
    tokio::spawn(connection);
    Ok(client)
}

/// Reads a URL and takes the safe side where it says nothing. Every mode but `disable` verifies certificate and host
/// name: there is no half TLS here, and libpq's name for that, `verify-full`, is understood too.
fn parse(url: &str) -> Result<Config, Source> {
    // The parser's own message could repeat the password.
    let mut url = Url::parse(url).map_err(|_| "DATABASE_URL is not a URL")?;
    let mode = url.query_pairs().find(|(name, _)| name == "sslmode").map(|(_, value)| value.into_owned());
    let rest: Vec<_> =
        url.query_pairs().filter(|(name, _)| name != "sslmode").map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    url.set_query(None);
    if !rest.is_empty() {
        url.query_pairs_mut().extend_pairs(rest);
    }
    let mut config = Config::from_str(url.as_str()).map_err(|_| "DATABASE_URL is not a URL of Postgres")?;
    config
        .ssl_mode(if mode.as_deref() == Some("disable") { SslMode::Disable } else { SslMode::Require })
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_user_timeout(TCP_USER_TIMEOUT)
        .keepalives_idle(TRUSTED_FOR);
    if config.get_application_name().is_none() {
        config.application_name("phone-numbers");
    }
    Ok(config)
}

async fn is_alive(client: &Object) -> bool {
    matches!(tokio::time::timeout(PROOF_TIMEOUT, client.simple_query("")).await, Ok(Ok(_)))
}

/// Whether the connection is gone, rather than the statement refused.
pub(super) fn is_lost(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        None => true,
        Some(code) => {
            // Read-only is what a primary has become after a failover.
            let ended =
                [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW, SqlState::READ_ONLY_SQL_TRANSACTION];
            code.code().starts_with("08") || ended.contains(code)
        }
    }
}

fn unavailable(error: PoolError) -> Error {
    Error::Unavailable(Box::new(error))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_on_unless_it_is_said_otherwise() {
        for url in [
            "postgres://u:p@db.example.com/app",
            "postgres://u:p@db.example.com/app?sslmode=prefer",
            "postgres://u@db/app?sslmode=verify-full",
        ] {
            assert_eq!(parse(url).unwrap().get_ssl_mode(), SslMode::Require, "{url}");
        }
        assert_eq!(parse("postgres://u@127.0.0.1/app?sslmode=disable").unwrap().get_ssl_mode(), SslMode::Disable);
    }

    #[test]
    fn a_url_that_cannot_be_read_is_not_repeated() {
        for url in ["postgres//u:hunter2@db", "mysql://u:hunter2@db/app", "postgres://u:hunter2@db:port/app"] {
            let message = parse(url).unwrap_err().to_string();
            assert!(!message.contains("hunter2"), "{message}");
        }
    }
}
