//! Shell processes that outlive this process briefly, to stop its server and to remove its folder.

use std::io::Write as _;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};

/// Starts the server, then blocks on its standard input, a pipe that only we hold. The pipe closes when this process ends, even
/// by SIGKILL: then the shell stops the server, with the signal that was last written into the pipe, if any.
///
/// A shell starts background processes with these signals ignored, and a server that has just started has not changed that
/// yet. The signal is therefore repeated until the process has ended.
///
/// The server inherits standard output and the script closes it, so that it closes when the server ends.
const SERVE: &str = r#"
trap '' HUP INT TERM
signal=$1
shift
"$@" </dev/null &
server=$!
exec >/dev/null
while read -r line; do signal=$line; done
while kill -s "$signal" "$server" 2>/dev/null; do sleep 0.05; done
"#;

/// Blocks in the same way, then removes a folder. It retries, as a process in the folder may still be ending.
const REMOVE: &str = r#"
trap '' HUP INT TERM
while read -r line; do :; done
tries=0
while [ -e "$1" ] && [ $tries -lt 100 ]; do
    tries=$((tries + 1))
    rm -rf "$1" || sleep 0.05
done 2>/dev/null
"#;

/// A shell that does its work when this value is dropped, or when this process ends. Dropping waits for it.
#[derive(Debug)]
pub(super) struct Guard {
    shell: Child,
}

impl Guard {
    /// Starts a server on `port` for the data in `data`, and stops it when dropped. `shell` is a command that runs a shell as the
    /// user of Postgres. The standard output ends when the server does.
    pub(super) fn of_server(mut shell: Command, program: &Path, data: &Path, is_temporary: bool, port: u16) -> Result<(Self, ChildStdout)> {
        // A temporary cluster needs no checkpoint; a kept one should not need recovery next time.
        let signal = if is_temporary { "QUIT" } else { "INT" };
        shell.args(["-c", SERVE, "sh", signal]).arg(program).arg("-D").arg(data);
        for setting in settings(is_temporary, port) {
            shell.args(["-c", &setting]);
        }
        shell.stdout(Stdio::piped());
        let mut guard = Self::start(shell).context("starting Postgres")?;
        let stdout = guard.shell.stdout.take().context("Postgres has no standard output")?;
        Ok((guard, stdout))
    }

    /// Starts PgBouncer, and ends it when dropped. `shell` is a command that runs a shell as the user of Postgres. The standard output
    /// ends when PgBouncer does.
    pub(super) fn of_pooler(mut shell: Command, program: &Path, configuration: &Path) -> Result<(Self, ChildStdout)> {
        // It has nothing to finish, and what it does at other signals depends on its version.
        shell.args(["-c", SERVE, "sh", "KILL"]).arg(program).arg(configuration).stdout(Stdio::piped());
        let mut guard = Self::start(shell).context("starting PgBouncer")?;
        let stdout = guard.shell.stdout.take().context("PgBouncer has no standard output")?;
        Ok((guard, stdout))
    }

    /// Removes the folder `root` when dropped. `shell` is a command that runs a shell as the user of Postgres.
    pub(super) fn of_folder(mut shell: Command, root: &Path) -> Result<Self> {
        shell.args(["-c", REMOVE, "sh"]).arg(root).current_dir("/").stdout(Stdio::null()).stderr(Stdio::null());
        Self::start(shell).context("starting a shell")
    }

    /// Ends the server immediately, without a checkpoint, and waits until it has ended.
    ///
    /// With SIGQUIT: after SIGKILL its child processes would run for a moment and keep another server from starting.
    pub(super) fn crash(mut self) {
        if let Some(pipe) = &mut self.shell.stdin {
            // It fails only if the shell, and with it the server, has ended.
            let _ = pipe.write_all(b"QUIT\n");
        }
    }

    fn start(mut command: Command) -> Result<Self> {
        // A process group of its own: Ctrl-C reaches the terminal's whole group, and the server must stop last.
        command.stdin(Stdio::piped()).process_group(0);
        Ok(Self { shell: command.spawn()? })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // An error cannot be reported in `drop`.
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
        // A crash of the server must lose nothing. Commits therefore write, but need not be flushed to disk.
        let careless =
            ["fsync=off", "full_page_writes=off", "autovacuum=off", "wal_level=minimal", "max_wal_senders=0", "max_wal_size=256MB"];
        settings.extend(careless.map(ToOwned::to_owned));
    }
    settings
}
