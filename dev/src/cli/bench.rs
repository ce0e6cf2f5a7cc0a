//! `cargo dev bench`: measures the functions, and fails if a bar is missed.

use std::env;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;
use tokio::runtime;

use crate::bench::{self, Options};
use crate::workspace;

/// Prints the report as tables, or as JSON on one line.
pub(super) async fn run(options: Options, json: bool) -> Result<()> {
    if cfg!(debug_assertions) {
        return optimised().await;
    }
    // On one thread, as the servers run in this process.
    let measured =
        tokio::task::spawn_blocking(move || runtime::Builder::new_current_thread().enable_all().build()?.block_on(bench::run(&options)));
    let report = measured.await??;
    if json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{report}");
    }
    ensure!(report.is_ok(), "a bar was missed");
    Ok(())
}

/// Runs the same command optimised: the servers must not be slower than what they serve.
pub(super) async fn optimised() -> Result<()> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(workspace::root()).args(["run", "--quiet", "--profile", "measure", "--package", "dev", "--"]);
    command.args(env::args_os().skip(1)).stdin(Stdio::null()).kill_on_drop(true);
    let status = command.status().await.context("running cargo")?;
    ensure!(status.success(), "the measurement failed, or what it found is not as it must be");
    Ok(())
}
