//! Postgres for one machine: an external server, or one of our own that ends with us.
//!
//! - [`binaries`] finds the programs, or fetches them; `user` is the user that they run as
//! - `directory` holds a cluster; `supervisor` stops its server when this process ends, however it ends
//! - [`connection`] opens connections
//! - [`logins`] makes the logins that the functions connect with
//! - [`testing`] hands every test a database of its own

pub mod binaries;
pub mod connection;
mod directory;
pub mod logins;
mod supervisor;
pub mod testing;
mod user;

use std::net::TcpListener;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use reqwest::Url;
use tokio::process::ChildStdout;
use tokio::time::{Instant, sleep};

use self::binaries::Binaries;
pub use self::connection::connect;
use self::directory::Cluster;
use self::supervisor::Guard;
pub use self::testing::TestDatabase;
pub use phone_numbers_migrate::migrations::describe;

/// How long a server may take to answer, recovery after a crash included.
const START_TIMEOUT: Duration = Duration::from_mins(1);
/// The pause before it is asked again.
const PAUSE: Duration = Duration::from_millis(20);
/// Between the choice of a free port and Postgres binding it, another process may take it.
const PORT_ATTEMPTS: usize = 3;

/// A Postgres server that answers, on which databases can be made.
///
/// One that was started here is stopped when the value is dropped, and also when this process dies in any way at all.
#[derive(Debug)]
pub struct Server {
    /// Names the database `postgres`, or whichever an external URL named.
    admin_url: Url,
    cluster: Mutex<Option<Running>>,
}

/// What a server proves its identity with, in PEM.
#[derive(Debug)]
pub struct Certificate {
    /// Its certificate, then those that lead to the authority.
    pub chain: String,
    /// Its private key.
    pub key: String,
}

/// A server that we started. Its fields drop in this order: the lock on the directory goes last.
#[derive(Debug)]
struct Running {
    server: Guard,
    cluster: Cluster,
}

impl Server {
    /// Uses the server behind `url`, which stays up after us.
    ///
    /// # Errors
    /// When `url` is not a `postgres://` URL, or the server does not answer.
    pub async fn external(url: &str) -> Result<Self> {
        let admin_url = connection::normalise(url)?;
        connect(admin_url.as_str()).await?;
        Ok(Self { admin_url, cluster: Mutex::new(None) })
    }

    /// Starts a server whose data lives in `directory` and is kept; a first start initialises it.
    ///
    /// As root the data moves below the system's folder for temporary files when the user that Postgres runs as cannot
    /// reach `directory`. A server left behind by a run that was killed is stopped first.
    ///
    /// # Errors
    /// When no binaries are to be had, when another process holds `directory`, or when Postgres does not start.
    pub async fn start(directory: &Path) -> Result<Self> {
        let binaries = Binaries::find().await?;
        let cluster = Cluster::kept(directory)?;
        cluster.stop_leftover(&binaries).await?;
        cluster.initialise(&binaries).await?;
        Self::run(&binaries, cluster).await
    }

    /// Stops whatever a killed run left in `directory`, and forgets its data.
    ///
    /// # Errors
    /// When another process holds `directory`, or it cannot be removed.
    pub async fn forget(directory: &Path) -> Result<()> {
        let cluster = Cluster::kept(directory)?;
        if cluster.is_initialised() {
            cluster.stop_leftover(&Binaries::find().await?).await?;
        }
        cluster.forget()
    }

    /// Starts a server with an empty cluster in a directory of its own, which goes when the server does. Not durable.
    ///
    /// # Errors
    /// When no binaries are to be had, or when Postgres does not start.
    pub async fn temporary() -> Result<Self> {
        let binaries = Binaries::find().await?;
        let cluster = Cluster::temporary()?;
        cluster.initialise(&binaries).await?;
        Self::run(&binaries, cluster).await
    }

    /// Starts such a server that speaks TLS as well, and shows a certificate.
    ///
    /// # Errors
    /// As [`Server::temporary`].
    pub async fn temporary_over_tls(certificate: &Certificate) -> Result<Self> {
        let binaries = Binaries::find().await?;
        let cluster = Cluster::temporary()?;
        cluster.initialise(&binaries).await?;
        cluster.certify(certificate)?;
        Self::run(&binaries, cluster).await
    }

    async fn run(binaries: &Binaries, cluster: Cluster) -> Result<Self> {
        for _ in 0..PORT_ATTEMPTS {
            let port = free_port()?;
            let admin_url = cluster.url(port)?;
            if let Some(server) = serve(binaries, &cluster, &admin_url, port).await? {
                return Ok(Self { admin_url, cluster: Mutex::new(Some(Running { server, cluster })) });
            }
            if !cluster.port_was_taken() {
                break;
            }
        }
        bail!("Postgres did not start. The end of its log:\n{}", cluster.log_tail())
    }

    /// Ends a server that was started here as a power cut would, in the middle of whatever it is doing, and starts it again
    /// on the same port, with everything that was committed and nothing that was not.
    ///
    /// # Errors
    /// When the server was not started here, or does not start again; then it is stopped.
    pub async fn crash_and_restart(&self) -> Result<()> {
        let running = self.running().take().context("only a server that was started here can be crashed")?;
        let Running { server, cluster } = running;
        tokio::task::spawn_blocking(|| server.crash()).await?;
        let binaries = Binaries::find().await?;
        let port = self.admin_url.port().context("a server that was started here has a port")?;
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if let Some(server) = serve(&binaries, &cluster, &self.admin_url, port).await? {
                self.running().replace(Running { server, cluster });
                return Ok(());
            }
            // Meanwhile the port may be somebody's own end of a connection, for a moment.
            let may_start = cluster.port_was_taken() && Instant::now() < deadline;
            ensure!(may_start, "Postgres did not start again. The end of its log:\n{}", cluster.log_tail());
            sleep(PAUSE).await;
        }
    }

    /// The URL of a database on this server. It says `sslmode`, so that it means the same to every client.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let mut url = self.admin_url.clone();
        url.set_path(database);
        url.into()
    }

    /// The URL of the database that always exists: `postgres`, or the one that an external URL named.
    #[must_use]
    pub fn admin_url(&self) -> &str {
        self.admin_url.as_str()
    }

    /// Creates a database, as a copy of `template` when one is given. Nobody may be connected to `template`.
    ///
    /// # Errors
    /// The server's, for instance when the database exists already.
    pub async fn create_database(&self, name: &str, template: Option<&str>) -> Result<()> {
        let template = template.map(|template| format!(" template {}", quoted(template))).unwrap_or_default();
        let statement = format!("create database {}{template}", quoted(name));
        self.administer(&statement).await.with_context(|| format!("creating database {name}"))
    }

    /// Creates a database unless there is one of that name.
    ///
    /// # Errors
    /// The server's.
    pub async fn ensure_database(&self, name: &str) -> Result<()> {
        let client = connect(self.admin_url()).await?;
        let found = client.query_opt("select 1 from pg_database where datname = $1", &[&name]).await;
        if found.map_err(|error| describe(&error))?.is_none() {
            self.create_database(name, None).await?;
        }
        Ok(())
    }

    /// Drops a database and whoever is connected to it. One that does not exist is no error.
    ///
    /// # Errors
    /// The server's.
    pub async fn drop_database(&self, name: &str) -> Result<()> {
        let statement = format!("drop database if exists {} with (force)", quoted(name));
        self.administer(&statement).await.with_context(|| format!("dropping database {name}"))
    }

    async fn administer(&self, statement: &str) -> Result<()> {
        let client = connect(self.admin_url()).await?;
        client.batch_execute(statement).await.map_err(|error| describe(&error))
    }

    /// Stops the server if it was started here, and waits until it is gone, with its directory if that was temporary.
    pub fn stop(&self) {
        drop(self.running().take());
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts a server of `cluster` on `port` and waits until it answers at `url`; none if it ends first.
async fn serve(binaries: &Binaries, cluster: &Cluster, url: &Url, port: u16) -> Result<Option<Guard>> {
    let (server, stdout) = cluster.serve(binaries, port)?;
    Ok(answers(url, stdout).await?.then_some(server))
}

/// Waits until the server answers: `false` if it ends first, which its standard output tells by ending too.
async fn answers(url: &Url, stdout: std::process::ChildStdout) -> Result<bool> {
    let mut stdout = ChildStdout::from_std(stdout).context("watching Postgres")?;
    let deadline = Instant::now() + START_TIMEOUT;
    let ended = async {
        let mut sink = tokio::io::sink();
        // An error means as much as the end.
        let _ = tokio::io::copy(&mut stdout, &mut sink).await;
    };
    let answered = async {
        loop {
            match connect(url.as_str()).await {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => {
                    return Err(error.context("Postgres does not answer"));
                }
                Err(_) => sleep(PAUSE).await,
            }
        }
    };
    tokio::select! {
        () = ended => Ok(false),
        result = answered => result.map(|()| true),
    }
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("looking for a free port")?;
    Ok(listener.local_addr()?.port())
}

/// An identifier, quoted for SQL: database names cannot be parameters.
fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}
