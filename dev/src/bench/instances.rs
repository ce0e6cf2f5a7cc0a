//! `cargo dev instances`: many processes of a function at once against one Postgres. docs/performance.md has the results.
//!
//! - `workload`: what the instances do, and how many connections each may hold
//! - `fixture`: the server, and for each step a database with agencies
//! - `telnyx`: a simulator whose CPU time is known
//! - `requests`: the events
//! - `load`: keeps the instances busy
//! - `connections`: what they hold at Postgres
//! - `processors`: who used the CPUs
//! - `log`: what the functions say about their requests
//! - `step`, `report`: the figures of one step, and all of a run

mod connections;
mod fixture;
mod load;
mod log;
mod processors;
mod report;
mod requests;
mod step;
mod telnyx;
mod workload;

use std::time::Duration;

use anyhow::Result;

pub use self::fixture::Fixture;
pub use self::load::Busy;
pub use self::report::Report;
pub use self::step::{Step, measure};
pub use self::workload::Workload;
use super::{machine, programs};
use crate::lambda::functions::Programs;

/// How many instances there are in each step.
const COUNTS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];

/// Measures every workload with each number of instances, for a time each, with the artifacts that are deployed.
///
/// # Errors
/// If a program cannot be built, a server does not start, or an instance does not answer at all.
pub async fn run(time: Duration) -> Result<Report> {
    let mut built = Programs::new();
    for function in Workload::MEASURED.map(Workload::function) {
        if !built.contains_key(function) {
            built.insert(function.to_owned(), programs::artifact(function).await?);
        }
    }
    let fixture = Fixture::start(built).await?;
    let mut steps = Vec::new();
    for workload in Workload::MEASURED {
        for count in COUNTS {
            steps.push(measure(&fixture, workload, count, Busy::For(time)).await?);
        }
    }
    Ok(Report::new(machine::shape()?, time, fixture.max_connections().await?, steps))
}
