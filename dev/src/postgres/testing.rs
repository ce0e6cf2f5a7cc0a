//! A database for every test: a copy of a migrated template, dropped with the value.

use std::env;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, anyhow, bail};
use tokio::runtime;
use tokio::sync::OnceCell;
use tokio_postgres::Client;
use uuid::Uuid;

use super::connection::connect;
use super::logins;
use super::pooler::Pooler;
use super::server::Server;
use crate::migrations;

/// The variable that puts a pooler between the functions and the databases.
const POOLER: &str = "DATABASE_POOLER";
/// The connections of a login to a database behind the pooler: so few that clients share them, and enough for one that waits for
/// another's lock and one that renews a lease meanwhile.
const POOL_SIZE: u32 = 3;

/// One server for all tests of this process.
static SHARED: OnceCell<Shared> = OnceCell::const_new();

#[derive(Debug)]
struct Shared {
    server: Server,
    template: String,
    /// `None` if the functions connect to the server, and once the process exits.
    pooler: Mutex<Option<Pooler>>,
}

impl Shared {
    fn pooler(&self) -> MutexGuard<'_, Option<Pooler>> {
        self.pooler.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A database of one test, on a server that all tests of the process share: a temporary one that ends with the
/// process, or the one that `DATABASE_URL` names. It is dropped with the value.
#[derive(Debug)]
pub struct TestDatabase {
    server: &'static Server,
    name: String,
    url: String,
    url_of_functions: String,
}

impl TestDatabase {
    /// A database with the platform's tables and every migration applied. Takes some 50 ms after the first.
    ///
    /// # Errors
    /// If no server can be started, a migration fails, or the server refuses.
    pub async fn migrated() -> Result<Self> {
        let shared = shared().await?;
        Self::create(shared, Some(&shared.template)).await
    }

    /// An empty database.
    ///
    /// # Errors
    /// As [`TestDatabase::migrated`].
    pub async fn empty() -> Result<Self> {
        Self::create(shared().await?, None).await
    }

    async fn create(shared: &'static Shared, template: Option<&str>) -> Result<Self> {
        let server = &shared.server;
        let name = format!("test_{}", Uuid::new_v4().simple());
        server.create_database(&name, template).await?;
        let url = server.url(&name);
        let url_of_functions = shared.pooler().as_ref().map_or_else(|| Ok(url.clone()), |pooler| pooler.url(&url))?;
        Ok(Self { server, name, url, url_of_functions })
    }

    /// The database's URL, with `sslmode`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL with which functions connect: through PgBouncer if `DATABASE_POOLER=pgbouncer`, else as [`TestDatabase::url`].
    #[must_use]
    pub fn url_of_functions(&self) -> &str {
        &self.url_of_functions
    }

    /// A new connection to the database.
    ///
    /// # Errors
    /// If the server refuses it.
    pub async fn connect(&self) -> Result<Client> {
        connect(&self.url).await
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if let Err(error) = wait_for(self.server.drop_database(&self.name)) {
            eprintln!("{error:#}");
        }
    }
}

/// The server that the tests of this process share, started on first use.
///
/// # Errors
/// If it cannot be started, or a migration fails.
pub async fn server() -> Result<&'static Server> {
    Ok(&shared().await?.server)
}

async fn shared() -> Result<&'static Shared> {
    SHARED.get_or_try_init(start).await
}

async fn start() -> Result<Shared> {
    let server = match env::var("DATABASE_URL") {
        Ok(url) => Server::external(&url).await.context("DATABASE_URL")?,
        Err(_) => Server::temporary().await?,
    };
    let template = format!("test_template_{}", Uuid::new_v4().simple());
    server.create_database(&template, None).await?;
    // From here on there is a server to stop.
    at_exit();
    let url = server.url(&template);
    migrations::platform(&url).await?;
    migrations::run(&url, Some(migrations::DEPLOYMENT)).await?;
    logins::ensure(&url).await?;
    let pooler = Mutex::new(pooler(&server).await?);
    Ok(Shared { server, template, pooler })
}

async fn pooler(server: &Server) -> Result<Option<Pooler>> {
    match env::var(POOLER).as_deref() {
        Err(_) => Ok(None),
        Ok("pgbouncer") => Pooler::start(server.admin_url(), POOL_SIZE, "", "").await.map(Some),
        Ok(other) => bail!("{POOLER} can be `pgbouncer`, and is `{other}`"),
    }
}

/// Values in statics are not dropped. The supervisor would stop the server only after this process has ended, and a test run
/// must leave nothing behind when it returns.
#[expect(unsafe_code, reason = "there is no safe way to run something when the process exits")]
fn at_exit() {
    extern "C" fn clean_up() {
        let Some(shared @ Shared { server, template, .. }) = SHARED.get() else {
            return;
        };
        drop(shared.pooler().take());
        if env::var_os("DATABASE_URL").is_some() {
            let _ = wait_for(server.drop_database(template));
        }
        server.stop();
    }
    // SAFETY: `clean_up` is a plain function that does not unwind, and lives as long as the program.
    unsafe {
        libc::atexit(clean_up);
    }
}

/// Runs a future to completion on a new thread, so that it works inside a runtime and after the last one has ended.
fn wait_for(future: impl Future<Output = Result<()>> + Send) -> Result<()> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| runtime::Builder::new_current_thread().enable_all().build()?.block_on(future));
        thread.join().map_err(|_| anyhow!("cleaning up a test database panicked"))?
    })
}
