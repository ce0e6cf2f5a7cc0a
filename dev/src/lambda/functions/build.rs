//! Builds the functions' binaries with cargo.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use tokio::process::Command;

use super::Programs;
use crate::workspace;

/// One line of cargo's output. Only messages that name a program are used.
#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// Builds the packages `names` and returns the path of each program. Cargo's progress goes to standard error.
///
/// # Errors
/// If one does not compile, in which case cargo has printed why, or has no binary of its name.
pub async fn build(names: &[&str], release: bool) -> Result<Programs> {
    let mut command = cargo_build(&workspace::root());
    if release {
        command.arg("--release").args(names.iter().flat_map(|name| ["--package", name]));
    } else {
        // The whole workspace instead of the functions: cargo then selects the same features of every dependency as for
        // `cargo test` and for this program, and builds none of them twice.
        command.arg("--workspace");
    }
    let built = run(command).await?;
    for name in names {
        ensure!(built.contains_key(*name), "the package {name} has no binary of that name");
    }
    Ok(built)
}

/// Builds the programs of the workspace in `folder`, optimised, into a target folder of its own.
///
/// # Errors
/// If one does not compile, in which case cargo has printed why.
pub(crate) async fn build_workspace(folder: &Path, target: &Path) -> Result<Programs> {
    let mut command = cargo_build(folder);
    command.args(["--release", "--locked", "--target-dir"]).arg(target);
    run(command).await
}

fn cargo_build(folder: &Path) -> Command {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(folder).args(["build", "--bins", "--message-format=json-render-diagnostics"]);
    // Some build scripts depend on variables that cargo sets for the programs that it runs, and would run again.
    for (name, _) in env::vars_os().filter(|(name, _)| is_of_the_running_package(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    command
}

async fn run(mut command: Command) -> Result<Programs> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
    // `Command::output` would keep cargo's progress and its errors, too.
    let cargo = command.spawn().context("running cargo")?;
    let output = cargo.wait_with_output().await.context("running cargo")?;
    ensure!(output.status.success(), "the functions do not compile: mend what cargo reports above, and start again");
    Ok(programs(&String::from_utf8_lossy(&output.stdout)))
}

/// Whether a variable describes the package that `cargo run` or `cargo test` is running.
fn is_of_the_running_package(name: &str) -> bool {
    let prefixes = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
    name == "OUT_DIR" || prefixes.iter().any(|prefix| name.starts_with(prefix))
}

fn programs(messages: &str) -> Programs {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok());
    messages
        .filter_map(|message| {
            let target = message.target.filter(|target| target.kind.iter().any(|kind| kind == "bin"))?;
            Some((target.name, message.executable?))
        })
        .collect()
}
