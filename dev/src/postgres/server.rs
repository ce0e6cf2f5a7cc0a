//! Starts and stops a server and creates its databases.

use std::net::TcpListener;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use phone_numbers_migrate::migrations::describe;
use reqwest::Url;
use tokio::process::ChildStdout;
use tokio::time::{Instant, sleep};

use super::binaries::Binaries;
use super::connection::{self, connect};
use super::directory::{Certificate, Cluster};
use super::supervisor::Guard;

/// How long a server may take to answer, recovery after a crash included.
const START_TIMEOUT: Duration = Duration::from_mins(1);
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(20);
/// Between the choice of a free port and Postgres binding it, another process may take it.
const PORT_ATTEMPTS: usize = 3;

/// A running Postgres server.
///
/// If it was started here, it is stopped when the value is dropped, and also when this process ends for any reason.
#[derive(Debug)]
pub struct Server {
    /// Names the database `postgres`, or the one in an external URL.
    admin_url: Url,
    cluster: Mutex<Option<Running>>,
}

/// A server that we started. Its fields drop in this order: the lock on the directory goes last.
#[derive(Debug)]
struct Running {
    server: Guard,
    cluster: Cluster,
}

impl Server {
    /// Uses the server at `url`, which is not stopped.
    ///
    /// # Errors
    /// If `url` is not a `postgres://` URL, or the server does not answer.
    pub async fn external(url: &str) -> Result<Self> {
        let admin_url = connection::normalise(url)?;
        connect(admin_url.as_str()).await?;
        Ok(Self { admin_url, cluster: Mutex::new(None) })
    }

    /// Starts a server with its data in `directory`, which is kept. The first start initialises it.
    ///
    /// As root the data moves below the system's folder for temporary files when the user that Postgres runs as cannot
    /// reach `directory`. A server left behind by a run that was killed is stopped first.
    ///
    /// # Errors
    /// If no binaries are available, when another process holds `directory`, or when Postgres does not start.
    pub async fn start(directory: &Path) -> Result<Self> {
        let binaries = Binaries::find().await?;
        let cluster = Cluster::kept(directory)?;
        cluster.stop_leftover(&binaries).await?;
        cluster.initialise(&binaries).await?;
        Self::run(&binaries, cluster).await
    }

    /// Stops a server that a killed run left in `directory`, and removes the data.
    ///
    /// # Errors
    /// If another process holds `directory`, or it cannot be removed.
    pub async fn forget(directory: &Path) -> Result<()> {
        let cluster = Cluster::kept(directory)?;
        if cluster.is_initialised() {
            cluster.stop_leftover(&Binaries::find().await?).await?;
        }
        cluster.forget()
    }

    /// Starts a server with an empty cluster in a temporary directory, which is removed when the server stops. Not durable.
    ///
    /// # Errors
    /// If no binaries are available, or when Postgres does not start.
    pub async fn temporary() -> Result<Self> {
        let binaries = Binaries::find().await?;
        let cluster = Cluster::temporary()?;
        cluster.initialise(&binaries).await?;
        Self::run(&binaries, cluster).await
    }

    /// Starts a temporary server that offers TLS with a certificate.
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

    /// Kills a server that was started here, without a checkpoint, and starts it again on the same port. Committed data is kept.
    ///
    /// # Errors
    /// If the server was not started here, or does not start again; then it is stopped.
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
            // Meanwhile the port may briefly be the local port of an outgoing connection.
            let may_start = cluster.port_was_taken() && Instant::now() < deadline;
            ensure!(may_start, "Postgres did not start again. The end of its log:\n{}", cluster.log_tail());
            sleep(PAUSE).await;
        }
    }

    /// Makes a server with TLS use SCRAM for connections over TLS. Its passwords are stored so already.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn require_scram(&self) -> Result<()> {
        let client = connect(self.admin_url()).await?;
        let file: String = client.query_one("show hba_file", &[]).await?.get(0);
        let rules = "('hostssl all all 127.0.0.1/32 scram-sha-256'), ('host all all 127.0.0.1/32 password')";
        let write = format!("copy (values {rules}) to '{}'", file.replace('\'', "''"));
        client.batch_execute(&write).await.map_err(|error| describe(&error))?;
        client.batch_execute("select pg_reload_conf()").await.map_err(|error| describe(&error))
    }

    /// The URL of a database on this server. It has `sslmode`, so that every client treats it alike.
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

    /// Creates a database, as a copy of `template` if given. `template` must have no connections.
    ///
    /// # Errors
    /// If the server refuses, for instance because the database exists already.
    pub async fn create_database(&self, name: &str, template: Option<&str>) -> Result<()> {
        let template = template.map(|template| format!(" template {}", quoted(template))).unwrap_or_default();
        let statement = format!("create database {}{template}", quoted(name));
        self.administer(&statement).await.with_context(|| format!("creating database {name}"))
    }

    /// Creates a database unless it exists.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn ensure_database(&self, name: &str) -> Result<()> {
        let client = connect(self.admin_url()).await?;
        let found = client.query_opt("select 1 from pg_database where datname = $1", &[&name]).await;
        if found.map_err(|error| describe(&error))?.is_none() {
            self.create_database(name, None).await?;
        }
        Ok(())
    }

    /// Drops a database and ends its connections. A database that does not exist is not an error.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn drop_database(&self, name: &str) -> Result<()> {
        let statement = format!("drop database if exists {} with (force)", quoted(name));
        self.administer(&statement).await.with_context(|| format!("dropping database {name}"))
    }

    async fn administer(&self, statement: &str) -> Result<()> {
        let client = connect(self.admin_url()).await?;
        client.batch_execute(statement).await.map_err(|error| describe(&error))
    }

    /// Stops the server if it was started here, and waits until it has ended and a temporary directory is removed.
    pub fn stop(&self) {
        drop(self.running().take());
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts a server of `cluster` on `port` and waits until it answers at `url`. `None` if it ends first.
async fn serve(binaries: &Binaries, cluster: &Cluster, url: &Url, port: u16) -> Result<Option<Guard>> {
    let (server, stdout) = cluster.serve(binaries, port)?;
    Ok(answers(url, stdout).await?.then_some(server))
}

/// Waits until the server answers. `false` if it ends first, which closes its standard output.
async fn answers(url: &Url, stdout: std::process::ChildStdout) -> Result<bool> {
    let deadline = Instant::now() + START_TIMEOUT;
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
        ended = closed(stdout) => ended.map(|()| false),
        result = answered => result.map(|()| true),
    }
}

/// Waits until a standard output is closed, as it is when the program has ended.
pub(super) async fn closed(stdout: std::process::ChildStdout) -> Result<()> {
    let mut stdout = ChildStdout::from_std(stdout).context("watching a program")?;
    let mut sink = tokio::io::sink();
    // An error counts as the end.
    let _ = tokio::io::copy(&mut stdout, &mut sink).await;
    Ok(())
}

pub(super) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("looking for a free port")?;
    Ok(listener.local_addr()?.port())
}

/// An identifier, quoted for SQL: database names cannot be parameters.
pub(super) fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}
