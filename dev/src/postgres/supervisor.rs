//! Runs a Postgres server so that it cannot outlive this process.

use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};

use super::binaries::Binaries;
use super::directory::Cluster;

/// Starts the server, then blocks on its standard input, a pipe that only we hold. However we end, even by SIGKILL,
/// the pipe ends with us: then it stops the server, and removes the directory if one is named.
///
/// The server inherits standard output and the script lets go of it, so that its end tells us of the server's.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
signal=$1 remove=$2
shift 2
"$@" </dev/null &
server=$!
exec >/dev/null
while read -r line; do :; done
kill -s "$signal" "$server"
wait "$server"
cd /
[ -z "$remove" ] || rm -rf "$remove"
"#;

/// The process that watches over one server. Dropping it stops the server and waits.
#[derive(Debug)]
pub(super) struct Supervisor {
    shell: Child,
}

impl Supervisor {
    /// Starts a server on `port`. The output ends when the server does.
    pub(super) fn start(
        binaries: &Binaries,
        cluster: &mut Cluster,
        port: u16,
    ) -> Result<(Self, ChildStdout)> {
        let log = cluster.open_log()?;
        // A lost cluster need not write a checkpoint; a kept one should not need recovery next time.
        let (signal, remove) = if cluster.is_temporary() {
            ("QUIT", cluster.root().as_os_str())
        } else {
            ("INT", std::ffi::OsStr::new(""))
        };
        let mut command = cluster.command("/bin/sh");
        command
            .args(["-c", SCRIPT, "sh", signal])
            .arg(remove)
            .arg(binaries.program("postgres"));
        command.arg("-D").arg(cluster.data());
        for setting in settings(cluster.is_temporary(), port) {
            command.args(["-c", &setting]);
        }
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log);
        // A group of its own: Ctrl-C reaches everything in a terminal's group at once, and we want to stop in order.
        command.process_group(0);
        let mut shell = Command::spawn(&mut command).context("starting Postgres")?;
        // From here on the script removes the directory.
        cluster.hand_over();
        let stdout = shell
            .stdout
            .take()
            .context("Postgres has no standard output")?;
        Ok((Self { shell }, stdout))
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // There is nobody to tell.
        let _ = self.shell.wait();
    }
}

fn settings(temporary: bool, port: u16) -> Vec<String> {
    let mut settings = vec![
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        "unix_socket_directories=".to_owned(),
        "max_connections=300".to_owned(),
        "timezone=UTC".to_owned(),
        "log_timezone=UTC".to_owned(),
        "logging_collector=off".to_owned(),
        "jit=off".to_owned(),
    ];
    if temporary {
        let careless = [
            "fsync=off",
            "synchronous_commit=off",
            "full_page_writes=off",
            "autovacuum=off",
        ];
        settings.extend(careless.map(ToOwned::to_owned));
    }
    settings
}
