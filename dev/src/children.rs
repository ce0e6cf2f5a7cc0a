//! Starts child processes that cannot outlive this one.

use std::io;
use std::process::Stdio;
use std::sync::{Mutex, OnceLock, PoisonError, mpsc};
use std::thread;

use anyhow::{Context, Result, ensure};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

struct Job {
    command: Command,
    runtime: Handle,
    started: oneshot::Sender<io::Result<Child>>,
}

/// Starts a child in a process group of its own, so that a terminal's Ctrl-C leaves its end to us. It is killed when the
/// value is dropped, and on Linux the kernel kills it when this process ends in any way.
///
/// # Errors
/// When the program cannot be started.
pub(crate) async fn spawn(mut command: Command) -> Result<Child> {
    static SPAWNER: OnceLock<Mutex<mpsc::Sender<Job>>> = OnceLock::new();
    command.kill_on_drop(true).process_group(0);
    end_with_parent(&mut command);
    let (started, result) = oneshot::channel();
    let job = Job { command, runtime: Handle::current(), started };
    let spawner = SPAWNER.get_or_init(|| Mutex::new(start_spawner()));
    spawner.lock().unwrap_or_else(PoisonError::into_inner).send(job).context("the spawning thread is gone")?;
    Ok(result.await.context("the spawning thread is gone")??)
}

/// Runs a command and returns what it printed, trimmed.
///
/// # Errors
/// When it cannot be started, and what it complained of when it failed.
pub(crate) async fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The kernel's signal comes when the *thread* that spawned the child ends, so one that never does has to spawn them.
fn start_spawner() -> mpsc::Sender<Job> {
    let (sender, jobs) = mpsc::channel::<Job>();
    thread::spawn(move || {
        for Job { mut command, runtime, started } in jobs {
            let _entered = runtime.enter();
            // Whoever asked may have gone; then the child goes too.
            let _ = started.send(command.spawn());
        }
    });
    sender
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "asking the kernel to end a child with its parent takes a call between fork and exec")]
fn end_with_parent(command: &mut Command) {
    let parent = std::process::id().cast_signed();
    // SAFETY: between fork and exec only async-signal-safe functions may run: prctl and getppid are, and nothing
    // allocates.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(io::Error::last_os_error());
            }
            // The parent may have ended just before.
            if libc::getppid() != parent {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
            Ok(())
        });
    }
}

/// Elsewhere a function ends when it finds its Runtime API gone.
#[cfg(not(target_os = "linux"))]
fn end_with_parent(_: &mut Command) {}
