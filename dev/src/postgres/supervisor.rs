//! Small shells that outlive this process by a moment, to end and to remove what it leaves.

use std::io::Write as _;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};

/// Starts the server, then blocks on its standard input, a pipe that only we hold. However we end, even by SIGKILL,
/// the pipe ends with us: then it stops the server, by the signal that was last written into the pipe, if any was.
///
/// A shell starts what runs in the background with these signals ignored, and a server that has only just started has not
/// changed that yet: so the signal is repeated until there is nobody to receive it.
///
/// The server inherits standard output and the script lets go of it, so that its end tells us of the server's.
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

/// Blocks in the same way, then removes a folder, in which something may still be ending.
const REMOVE: &str = r#"
trap '' HUP INT TERM
while read -r line; do :; done
tries=0
while [ -e "$1" ] && [ $tries -lt 100 ]; do
    tries=$((tries + 1))
    rm -rf "$1" || sleep 0.05
done 2>/dev/null
"#;

/// A shell that does its work when this value is dropped, which waits for that, or when this process ends.
#[derive(Debug)]
pub(super) struct Guard {
    shell: Child,
}

impl Guard {
    /// Starts a server on `port` for the data in `data`, and stops it when dropped. `shell` is a command that runs a shell as the
    /// user of Postgres. The standard output ends when the server does.
    pub(super) fn of_server(mut shell: Command, program: &Path, data: &Path, is_temporary: bool, port: u16) -> Result<(Self, ChildStdout)> {
        // A lost cluster need not write a checkpoint; a kept one should not need recovery next time.
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

    /// Removes the folder `root` when dropped. `shell` is a command that runs a shell as the user of Postgres.
    pub(super) fn of_folder(mut shell: Command, root: &Path) -> Result<Self> {
        shell.args(["-c", REMOVE, "sh"]).arg(root).current_dir("/").stdout(Stdio::null()).stderr(Stdio::null());
        Self::start(shell).context("starting a shell")
    }

    /// Ends the server on the spot, without a checkpoint or a word to its clients, and waits until it is gone.
    ///
    /// By SIGQUIT: after SIGKILL its processes would live on for a moment, and keep another server from starting.
    pub(super) fn crash(mut self) {
        if let Some(pipe) = &mut self.shell.stdin {
            // It fails only when the shell is gone, and the server with it.
            let _ = pipe.write_all(b"QUIT\n");
        }
    }

    fn start(mut command: Command) -> Result<Self> {
        // A group of its own: Ctrl-C reaches everything in a terminal's group at once, and we want to stop in order.
        command.stdin(Stdio::piped()).process_group(0);
        Ok(Self { shell: command.spawn()? })
    }
}

impl Drop for Guard {
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
        // A crash of the server alone has to lose nothing: what it has written, the system has. So commits do write.
        let careless = ["fsync=off", "full_page_writes=off", "autovacuum=off"];
        settings.extend(careless.map(ToOwned::to_owned));
    }
    settings
}
