//! PgBouncer in transaction mode before a server of Postgres.

use std::env;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::Url;
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::connection::normalise;
use super::directory::Certificate;
use super::logins::Login;
use super::server::{closed, free_port};
use super::supervisor::Guard;
use super::user::{User, own, unprivileged_user};

const START_TIMEOUT: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(20);
const CONFIGURATION: &str = "pgbouncer.ini";
const PROCESS_ID: &str = "pgbouncer.pid";
const CHAIN: &str = "server.crt";
const KEY: &str = "server.key";
/// As in our clusters: over loopback a password in plain text is safe, and avoids the costly SCRAM handshake of every connection.
const PLAIN: &str = "auth_type = plain\n";
const INSTALL: &str = "there is no pgbouncer, which the tests about poolers need: install it (Debian and Ubuntu: \
    `apt-get install pgbouncer`; macOS: `brew install pgbouncer`)";

/// A running PgBouncer. It is stopped when the value is dropped, and also when this process ends for any reason.
#[derive(Debug)]
pub struct Pooler {
    port: u16,
    /// Holds the configuration and the log.
    folder: PathBuf,
    /// Dropped before the folder that it uses.
    _process: Guard,
    _removal: Guard,
}

impl Pooler {
    /// Starts PgBouncer before the server of `database_url`, with a pool of `pool_size` connections for each user and database. It
    /// takes the URL's user and the logins of the functions. `settings` are further lines of its configuration, and
    /// `database_settings` further settings of each database.
    ///
    /// # Errors
    /// If PgBouncer is not installed, with one line that says what to install, or does not start.
    pub async fn start(database_url: &str, pool_size: u32, settings: &str, database_settings: &str) -> Result<Self> {
        Self::run(database_url, pool_size, settings, database_settings, None).await
    }

    /// Starts PgBouncer as [`Pooler::start`] does, with TLS and SCRAM on both sides.
    ///
    /// # Errors
    /// As [`Pooler::start`].
    pub async fn start_over_tls(database_url: &str, pool_size: u32, certificate: &Certificate) -> Result<Self> {
        Self::run(database_url, pool_size, "", "", Some(certificate)).await
    }

    async fn run(
        database_url: &str,
        pool_size: u32,
        settings: &str,
        database_settings: &str,
        certificate: Option<&Certificate>,
    ) -> Result<Self> {
        let program = find().context(INSTALL)?;
        let (url, user) = (normalise(database_url)?, unprivileged_user()?);
        let folder = tempfile::Builder::new().prefix("dev-pgbouncer-").tempdir().context("making a temporary folder")?;
        own(folder.path(), user)?;
        let removal = Guard::of_folder(shell(user), folder.path())?;
        // From here on the guard removes it.
        let folder = folder.keep();
        let (log, port) = (folder.join("pgbouncer.log"), free_port()?);
        let mut configuration = configuration(&url, port, &folder, pool_size, settings, database_settings);
        let mut files = vec![("users.txt", users(&url)?)];
        if let Some(Certificate { chain, key }) = certificate {
            configuration += &tls(&folder);
            files.extend([(CHAIN, chain.clone()), (KEY, key.clone())]);
        } else {
            configuration += PLAIN;
        }
        files.push((CONFIGURATION, configuration));
        for (name, text) in files {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
            own(&path, user)?;
        }
        let mut shell = shell(user);
        shell.stderr(File::create(&log).context("opening the log of PgBouncer")?);
        let (process, stdout) = Guard::of_pooler(shell, &program, &folder.join(CONFIGURATION))?;
        answers(port, stdout, &log).await?;
        Ok(Self { port, folder, _process: process, _removal: removal })
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The id of its process.
    ///
    /// # Errors
    /// If it has ended.
    pub fn process_id(&self) -> Result<u32> {
        let id = fs::read_to_string(self.folder.join(PROCESS_ID)).context("PgBouncer has ended")?;
        Ok(id.trim().parse()?)
    }

    /// The URL of a database through the pooler.
    ///
    /// # Errors
    /// If `database_url` is malformed.
    pub fn url(&self, database_url: &str) -> Result<String> {
        let mut url = normalise(database_url)?;
        // Neither fails for a URL with a host.
        let _ = (url.set_host(Some("127.0.0.1")), url.set_port(Some(self.port)));
        Ok(url.into())
    }
}

/// A command that runs a shell as `user`, without our environment: PgBouncer refuses to run as root.
fn shell(user: Option<User>) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.env_clear().env("PATH", "/usr/bin:/bin").current_dir("/");
    if let Some(User { uid, gid }) = user {
        shell.uid(uid).gid(gid);
    }
    shell
}

/// Waits until PgBouncer accepts connections.
async fn answers(port: u16, stdout: ChildStdout, log: &Path) -> Result<()> {
    let accepts = async {
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            sleep(PAUSE).await;
        }
    };
    tokio::select! {
        () = accepts => return Ok(()),
        _ = closed(stdout) => {}
        () = sleep(START_TIMEOUT) => {}
    }
    bail!("PgBouncer did not start. Its log:\n{}", fs::read_to_string(log).unwrap_or_default())
}

fn find() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    // Debian's place is not in every user's path.
    let folders = env::split_paths(&path).chain(["/usr/sbin", "/opt/homebrew/bin", "/usr/local/bin"].map(PathBuf::from));
    folders.map(|folder| folder.join("pgbouncer")).find(|program| program.is_file())
}

fn configuration(url: &Url, port: u16, folder: &Path, pool_size: u32, settings: &str, database_settings: &str) -> String {
    let (host, server_port) = (url.host_str().unwrap_or_default(), url.port().unwrap_or(5432));
    format!(
        "[databases]\n\
         * = host={host} port={server_port} {database_settings}\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir =\n\
         auth_file = {}\n\
         pidfile = {}\n\
         pool_mode = transaction\n\
         default_pool_size = {pool_size}\n\
         max_client_conn = 300\n\
         {settings}\n",
        folder.join("users.txt").display(),
        folder.join(PROCESS_ID).display()
    )
}

/// The settings with which it takes clients over TLS with SCRAM, and connects to the server so.
fn tls(folder: &Path) -> String {
    format!(
        "auth_type = scram-sha-256\n\
         client_tls_sslmode = require\n\
         client_tls_cert_file = {}\n\
         client_tls_key_file = {}\n\
         server_tls_sslmode = require\n",
        folder.join(CHAIN).display(),
        folder.join(KEY).display()
    )
}

/// The users and their passwords: PgBouncer checks those of clients, and uses them for the server.
fn users(url: &Url) -> Result<String> {
    let password = percent_encoding::percent_decode_str(url.password().unwrap_or_default()).decode_utf8()?;
    let names = Login::ALL.map(Login::name).into_iter().chain([url.username().to_owned()]);
    Ok(names.fold(String::new(), |mut users, name| {
        // Writing to a string cannot fail.
        let _ = writeln!(users, "{} {}", quoted(&name), quoted(&password));
        users
    }))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}
