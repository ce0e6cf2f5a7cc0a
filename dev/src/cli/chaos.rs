//! `cargo dev chaos`: breaks everything at random, and counts what that has broken for good.

use anyhow::{Result, ensure};

use crate::chaos::{self, Options};

/// Prints the counts as JSON, on a line of its own.
pub(super) async fn run(options: &Options) -> Result<()> {
    let totals = chaos::run(options).await?;
    println!("{}", serde_json::to_string(&totals)?);
    ensure!(totals.is_clean(), "something was lost, bought twice, somebody else's, stuck or untold");
    Ok(())
}
