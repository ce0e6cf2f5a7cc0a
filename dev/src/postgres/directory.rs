//! The folder of a cluster: its place, its owner, and its initialisation.

use std::env;
use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use reqwest::Url;
use tokio::time::{Instant, sleep};

use super::binaries::Binaries;
use super::supervisor::Guard;
use super::user::{User, own, reachable, unprivileged_user};

/// The superuser of our clusters.
const SUPERUSER: &str = "postgres";
/// How long a server whose owner was just killed may take to stop by itself.
const LEFTOVER_GRACE: Duration = Duration::from_secs(5);

/// A server's TLS certificate and key, in PEM.
#[derive(Debug)]
pub struct Certificate {
    /// Its certificate, then the intermediate ones.
    pub chain: String,
    /// Its private key.
    pub key: String,
}

/// The folder of one cluster: `data/`, `password` and `postgres.log`.
#[derive(Debug)]
pub(super) struct Cluster {
    root: PathBuf,
    user: Option<User>,
    /// Removes the folder of a temporary cluster.
    removal: Option<Guard>,
    /// Only one process at a time may use a kept folder.
    _lock: Option<File>,
}

impl Cluster {
    /// A cluster in a new folder. The folder is removed when the value, or the server that owns it, is dropped.
    pub(super) fn temporary() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("dev-postgres-").tempdir_in(temporary_parent());
        let folder = folder.context("making a temporary folder")?;
        let user = unprivileged_user()?;
        own(folder.path(), user)?;
        let root = folder.path().to_owned();
        let mut cluster = Self { root, user, removal: None, _lock: None };
        cluster.removal = Some(Guard::of_folder(cluster.command("/bin/sh"), &cluster.root)?);
        // From here on the guard removes it.
        let _ = folder.keep();
        Ok(cluster)
    }

    /// The cluster kept in `directory`.
    pub(super) fn kept(directory: &Path) -> Result<Self> {
        let mut user = unprivileged_user()?;
        let root = reachable(directory, user)?;
        let lock = lock(&root)?;
        match fs::metadata(root.join("data")) {
            // An earlier run, perhaps of another user, created it. It keeps its owner.
            Ok(data) if user.is_some() && data.uid() != 0 => {
                user = Some(User { uid: data.uid(), gid: data.gid() });
            }
            _ => own(&root, user)?,
        }
        Ok(Self { root, user, removal: None, _lock: Some(lock) })
    }

    fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    fn is_temporary(&self) -> bool {
        self.removal.is_some()
    }

    pub(super) fn is_initialised(&self) -> bool {
        self.data().join("PG_VERSION").exists()
    }

    /// A command that runs as the cluster's user, in its folder, without our environment.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C").current_dir(&self.root);
        if let Some(User { uid, gid }) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Initialises the cluster unless it exists.
    pub(super) async fn initialise(&self, binaries: &Binaries) -> Result<()> {
        if self.is_initialised() {
            return binaries.check_version(&fs::read_to_string(self.data().join("PG_VERSION"))?);
        }
        self.write_password()?;
        // Not every system has this locale, which sorts by code points in UTF-8.
        if self.initdb(binaries, "C.UTF-8").await.is_err() {
            self.initdb(binaries, "C").await?;
        }
        // Renamed last, so that an interrupted attempt does not count.
        fs::rename(self.new_data(), self.data()).context("naming the new cluster")
    }

    fn new_data(&self) -> PathBuf {
        self.root.join("new-data")
    }

    async fn initdb(&self, binaries: &Binaries, locale: &str) -> Result<()> {
        let _ = fs::remove_dir_all(self.new_data());
        let mut command = self.command(binaries.program("initdb"));
        command.arg("--pgdata").arg(self.new_data()).arg("--pwfile").arg(self.root.join("password"));
        command.args(["--username", SUPERUSER, "--encoding", "UTF8", "--locale", locale]);
        // Over loopback a password in plain text is safe, and avoids the costly SCRAM handshake of every connection.
        command.args(["--auth", "password"]);
        // A new cluster has no data to lose.
        command.arg("--no-sync");
        run(command).await.context("initdb failed")
    }

    fn write_password(&self) -> Result<()> {
        let path = self.root.join("password");
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        file.write_all(uuid::Uuid::new_v4().simple().to_string().as_bytes())?;
        own(&path, self.user)
    }

    /// The server offers TLS from its next start on.
    pub(super) fn certify(&self, certificate: &Certificate) -> Result<()> {
        // The default paths of Postgres.
        for (name, text) in [("server.crt", &certificate.chain), ("server.key", &certificate.key)] {
            let path = self.data().join(name);
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
            own(&path, self.user)?;
        }
        let settings = File::options().append(true).open(self.data().join("postgresql.conf"));
        settings.and_then(|mut file| file.write_all(b"ssl = on\n")).context("switching TLS on")
    }

    /// The URL of the database `postgres` while a server of this cluster listens on `port`.
    pub(super) fn url(&self, port: u16) -> Result<Url> {
        let password = fs::read_to_string(self.root.join("password")).context("reading the cluster's password")?;
        let url = format!("postgres://{SUPERUSER}:{password}@127.0.0.1:{port}/postgres?sslmode=disable");
        Url::parse(&url).context("the cluster's password is damaged: start with --fresh")
    }

    /// Stops a server that outlived its owner. We hold the lock, so no other process uses it.
    pub(super) async fn stop_leftover(&self, binaries: &Binaries) -> Result<()> {
        let deadline = Instant::now() + LEFTOVER_GRACE;
        while self.is_running(binaries).await {
            if Instant::now() > deadline {
                let mut stop = self.command(binaries.program("pg_ctl"));
                stop.args(["stop", "--mode", "fast", "--pgdata"]).arg(self.data());
                return run(stop).await.context("stopping the Postgres that an earlier run left behind");
            }
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    async fn is_running(&self, binaries: &Binaries) -> bool {
        if !self.data().join("postmaster.pid").exists() {
            return false;
        }
        let mut status = self.command(binaries.program("pg_ctl"));
        status.args(["status", "--pgdata"]).arg(self.data());
        run(status).await.is_ok()
    }

    /// Removes the data; the folder and its lock stay.
    pub(super) fn forget(&self) -> Result<()> {
        match fs::remove_dir_all(self.data()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("removing {}", self.data().display()))
            }
            _ => Ok(()),
        }
    }

    /// Starts a server on `port`. Its standard output ends when it does.
    pub(super) fn serve(&self, binaries: &Binaries, port: u16) -> Result<(Guard, ChildStdout)> {
        let mut shell = self.command("/bin/sh");
        shell.stderr(File::create(self.root.join("postgres.log")).context("opening the log of Postgres")?);
        Guard::of_server(shell, &binaries.program("postgres"), &self.data(), self.is_temporary(), port)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.root.join("postgres.log")).unwrap_or_default()
    }

    pub(super) fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }

    pub(super) fn port_was_taken(&self) -> bool {
        self.log().contains("Address already in use")
    }
}

/// The file system in memory that Linux provides.
const MEMORY: &str = "/dev/shm";
/// The free space that a temporary cluster needs there: ten databases and the write-ahead log, with a margin.
const MEMORY_NEEDED_BYTES: u64 = 2 << 30;

/// The folder in which temporary clusters are made: in memory if there is room and `TMPDIR` names no other.
///
/// Each database has some 300 files. On ext4, creating and deleting them for every test took a third of the CPU time of the tests.
fn temporary_parent() -> PathBuf {
    let free_bytes = rustix::fs::statvfs(MEMORY).map_or(0, |stat| stat.f_bavail.saturating_mul(stat.f_frsize));
    if env::var_os("TMPDIR").is_none() && free_bytes >= MEMORY_NEEDED_BYTES { MEMORY.into() } else { env::temp_dir() }
}

/// Attempts to take the lock, and the pause between them. A child that another thread is starting inherits our files until
/// `exec`, and with them a lock that we have just released.
const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

fn lock(root: &Path) -> Result<File> {
    let lock = File::options().write(true).create(true).truncate(false).open(root.join("lock"))?;
    for _ in 0..LOCK_TRIES {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(error).context("locking the data folder"),
        }
    }
    bail!("another process is using the data in {}: stop it, or give another folder with --data", root.display())
}

/// Runs a command to its end; its error output is the error.
async fn run(command: Command) -> Result<()> {
    let mut command = tokio::process::Command::from(command);
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
