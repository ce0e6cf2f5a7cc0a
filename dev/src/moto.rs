//! A Secrets Manager that is not ours: moto's, which pip fetches.

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
/// What it says before the address it listens at.
const RUNNING: &str = "Running on ";

/// A server, empty at first, until it is dropped.
#[derive(Debug)]
pub struct Moto {
    url: String,
    _server: Child,
}

impl Moto {
    /// Starts one on a free port; fetches it into the target folder, unless an earlier run did.
    ///
    /// # Errors
    /// One line saying what to install; what the server said when it did not start.
    pub async fn start() -> Result<Self> {
        static PROGRAM: OnceCell<PathBuf> = OnceCell::const_new();
        let mut command = Command::new(PROGRAM.get_or_try_init(program).await?);
        command.args(["--host", "127.0.0.1", "--port", "0"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut server = children::spawn(command).await?;
        let mut lines = BufReader::new(server.stderr.take().context("the server says nothing")?).lines();
        let mut said = String::new();
        let url = loop {
            let Some(line) = lines.next_line().await? else { bail!("moto did not start: {said}") };
            if let Some((_, url)) = line.split_once(RUNNING) {
                break url.trim().to_owned();
            }
            said.push_str(&line);
        };
        // It tells of every request, and would wait for somebody to listen.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { url, _server: server })
    }

    /// Where it answers.
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
