//! `cargo dev`: runs the product on one machine.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    dev::cli::run().await
}
