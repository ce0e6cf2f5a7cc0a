//! `cargo dev`: runs the product on one machine.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match dev::cli::run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
