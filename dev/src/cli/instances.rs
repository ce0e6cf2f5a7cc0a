//! `cargo dev instances`: measures many instances at once, and fails if anything was wrong.

use std::time::Duration;

use anyhow::{Result, bail, ensure};

use super::bench;
use super::stop_signals::StopSignals;
use crate::bench::instances;

/// Prints the report as a table, or as JSON on one line.
pub(super) async fn run(time: Duration, json: bool) -> Result<()> {
    if cfg!(debug_assertions) {
        return bench::optimised().await;
    }
    let mut stop = StopSignals::listen()?;
    let report = tokio::select! {
        measured = Box::pin(instances::run(time)) => measured?,
        () = stop.wait() => bail!("stopped before its end"),
    };
    if json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{report}");
    }
    ensure!(report.faults().is_empty(), "there were errors, violations, or more connections than documented");
    Ok(())
}
