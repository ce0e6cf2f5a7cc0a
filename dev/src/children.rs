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

/// Starts a child in a process group of its own, so that a terminal's Ctrl-C does not reach it. It is killed when the value
/// is dropped, and on Linux the kernel kills it when this process ends for any reason.
///
/// # Errors
/// If the program cannot be started.
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
/// If it cannot be started or fails. The message contains its error output.
pub(crate) async fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The kernel sends the signal when the *thread* that spawned the child ends, so a thread that never ends spawns them.
fn start_spawner() -> mpsc::Sender<Job> {
    let (sender, jobs) = mpsc::channel::<Job>();
    thread::spawn(move || {
        for Job { mut command, runtime, started } in jobs {
            let _entered = runtime.enter();
            // If the receiver is gone, the child is dropped and thereby killed.
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
            // The parent may have ended before `prctl`.
            if libc::getppid() != parent {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
            Ok(())
        });
    }
}

/// On other systems a function ends when its Runtime API no longer answers.
#[cfg(not(target_os = "linux"))]
fn end_with_parent(_: &mut Command) {}
