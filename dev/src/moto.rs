//! moto's AWS Secrets Manager, installed with pip. It checks our client against an independent implementation.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;

use crate::{children, workspace};

/// As in `.ci/requirements/moto.txt`, which has the hash of everything that is installed.
const VERSION: &str = "5.2.5";
const INSTALL: &str = "no Secrets Manager: install Python 3 with its module venv (Debian and Ubuntu: `apt-get install python3-venv`)";
/// The text before the address in its output.
const RUNNING: &str = "Running on ";

/// A server without secrets. It is stopped when dropped.
#[derive(Debug)]
pub struct Moto {
    url: String,
    _server: Child,
}

impl Moto {
    /// Starts a server on a free port. Installs moto into the target folder unless an earlier run did.
    ///
    /// # Errors
    /// If moto cannot be installed, with one line that says what to install; or if the server does not start, with its output.
    pub async fn start() -> Result<Self> {
        static PROGRAM: OnceCell<PathBuf> = OnceCell::const_new();
        let mut command = Command::new(PROGRAM.get_or_try_init(program).await?);
        command.args(["--host", "127.0.0.1", "--port", "0"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut server = children::spawn(command).await?;
        let mut lines = BufReader::new(server.stderr.take().context("the server has no standard error")?).lines();
        let mut said = String::new();
        let url = loop {
            let Some(line) = lines.next_line().await? else { bail!("moto did not start: {said}") };
            if let Some((_, url)) = line.split_once(RUNNING) {
                break url.trim().to_owned();
            }
            said.push_str(&line);
        };
        // It logs every request and would block on a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { url, _server: server })
    }

    /// The base URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

async fn program() -> Result<PathBuf> {
    let environment = workspace::target().join(format!("moto-{VERSION}"));
    let program = environment.join("bin/moto_server");
    if !program.is_file() {
        eprintln!("fetching moto {VERSION} with pip");
        children::output(Command::new("python3").args(["-m", "venv"]).arg(&environment)).await.context(INSTALL)?;
        let mut install = Command::new(environment.join("bin/pip"));
        install.args(["install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--requirement"]);
        install.arg(workspace::root().join(".ci/requirements/moto.txt"));
        children::output(&mut install).await.context("pip could not fetch moto")?;
    }
    Ok(program)
}
