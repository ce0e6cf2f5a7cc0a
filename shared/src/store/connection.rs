//! Connections to Postgres: made when first needed, over TLS unless told otherwise, and replaced when they have died.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime};
use tokio::sync::OnceCell;
use tokio_postgres::NoTls;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::limits::Limits;
use super::login;
use crate::config;
use crate::error::{Error, Source};
use crate::secrets::Secrets;
use crate::tls;

/// A purchase of several numbers works on a few at a time; everything else needs one.
const LARGEST_POOL: usize = 4;

pub(super) struct Connections {
    config: config::Database,
    pub(super) limits: Limits,
    secrets: Arc<Secrets>,
    pool: OnceCell<Pool>,
    /// When one was last handed out, in milliseconds since 1970. The wall clock goes on while a function is frozen.
    last_used: AtomicU64,
}

impl Connections {
    pub(super) fn new(config: &config::Database, secrets: Arc<Secrets>) -> Self {
        Self { config: config.clone(), limits: Limits::of(config.timeout), secrets, pool: OnceCell::new(), last_used: AtomicU64::new(0) }
    }

    pub(super) async fn get(&self) -> Result<Object, Error> {
        let pool = self.pool.get_or_try_init(|| self.connect()).await?;
        let idle = self.idle_for();
        let client = pool.get().await.map_err(unavailable)?;
        if idle < self.limits.trusted_for() || self.is_alive(&client).await {
            return Ok(client);
        }
        // What killed one has most likely killed them all.
        self.discard(client);
        pool.get().await.map_err(unavailable)
    }

    /// How long none has been in use. Now one is.
    fn idle_for(&self) -> Duration {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(now.saturating_sub(self.last_used.swap(now, Ordering::Relaxed)))
    }

    async fn is_alive(&self, client: &Object) -> bool {
        matches!(tokio::time::timeout(self.limits.proof(), client.simple_query("")).await, Ok(Ok(_)))
    }

    /// Throws away a connection that has died, and with it those that wait unused.
    pub(super) fn discard(&self, client: Object) {
        drop(Object::take(client));
        if let Some(pool) = self.pool.get() {
            pool.retain(|_, _| false);
        }
    }

    async fn connect(&self) -> Result<Pool, Error> {
        let login = self.secrets.resolve("DATABASE_URL", self.config.login.as_ref()).await?;
        self.pool(login.expose()).map_err(Error::Unavailable)
    }

    fn pool(&self, login: &str) -> Result<Pool, Source> {
        let mut config = login::parse(login, &self.config)?;
        config
            .connect_timeout(self.limits.connect())
            .tcp_user_timeout(self.limits.unacknowledged())
            // Counted in whole seconds, and none at all is an error.
            .keepalives_idle(self.limits.trusted_for().max(Duration::from_secs(1)));
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = if config.get_ssl_mode() == SslMode::Disable {
            Manager::from_config(config, NoTls, recycling)
        } else {
            let tls = MakeRustlsConnect::new(tls::client(&self.config.authorities)?);
            Manager::from_config(config, tls, recycling)
        };
        let session = self.limits.session();
        let prepare = Hook::async_fn(move |client: &mut deadpool_postgres::ClientWrapper, _| {
            let session = session.clone();
            Box::pin(async move { client.batch_execute(&session).await.map_err(HookError::Backend) })
        });
        Ok(Pool::builder(manager)
            .max_size(LARGEST_POOL)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(self.limits.whole()))
            .create_timeout(Some(self.limits.connect()))
            .post_create(prepare)
            .build()?)
    }
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
