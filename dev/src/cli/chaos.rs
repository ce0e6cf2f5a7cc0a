//! `cargo dev chaos`: injects random faults and counts the violations.

use anyhow::{Result, ensure};

use crate::chaos::{self, Options};

/// Prints the counts as JSON, on a line of its own.
pub(super) async fn run(options: &Options) -> Result<()> {
    let totals = chaos::run(options).await?;
    println!("{}", serde_json::to_string(&totals)?);
    ensure!(totals.is_clean(), "a number was lost, bought twice, with another owner, stuck, or missing from the history");
    Ok(())
}
