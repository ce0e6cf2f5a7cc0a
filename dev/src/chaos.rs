//! Random workloads under random faults. After every run, no number may be lost, bought twice, owned by another agency, stuck,
//! or missing from the history.
//!
//! - `plan` draws a run from the seed; `agencies` are its callers, `telnyx_accounts` their accounts and keys
//! - `harness` is the product behind one fault proxy
//! - `client` sends requests, `disruptions` injects and ends faults, `operator` decides findings, `checks` finds violations
//! - `run` puts these together

mod agencies;
mod checks;
mod client;
mod disruptions;
mod harness;
mod operator;
mod plan;
mod run;
mod telnyx_accounts;

use std::sync::Arc;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::lambda::functions::{Logs, build};
use crate::lambda::template::Template;
use crate::workspace;

pub use checks::Violations;
pub use harness::{Fixture, Harness};
pub use plan::Plan;
pub use run::Outcome;

/// Number of runs after which a new harness starts. Every check reads all that was bought and released before, so a harness
/// becomes slower with each run.
const RUNS_PER_HARNESS: u64 = 25;

/// The runs to make.
#[derive(Debug, Clone)]
pub struct Options {
    /// The seed from which plans are drawn.
    pub seed: u64,
    /// The number of the first run.
    pub first: u64,
    /// The number of runs.
    pub runs: u64,
    /// Whether the functions are built as they are deployed.
    pub release: bool,
    /// Destination of the functions' logs.
    pub logs: Logs,
}

/// The counts of all runs together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// The number of runs.
    pub runs: u64,
    /// Requests that were sent.
    pub requests: u64,
    /// Processes that were killed.
    pub kills: u64,
    /// Other injected faults, and those that killed the processes.
    pub faults: u64,
    /// Findings that an operator decided.
    pub decided: u64,
    /// Numbers that were bought.
    pub bought: u64,
    /// Numbers that were released.
    pub released: u64,
    /// See [`Violations`].
    pub orphans: u64,
    /// See [`Violations`].
    pub double_buys: u64,
    /// See [`Violations`].
    pub wrong_owner: u64,
    /// See [`Violations`].
    pub stuck: u64,
    /// See [`Violations`].
    pub history_gaps: u64,
}

impl Totals {
    /// Whether there are no violations.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.orphans + self.double_buys + self.wrong_owner + self.stuck + self.history_gaps == 0
    }

    /// Adds the counts of a run.
    pub fn add(&mut self, outcome: &Outcome) {
        let Outcome { requests, kills, faults, decided, bought, released, violations } = outcome;
        self.runs += 1;
        self.requests += requests;
        self.kills += kills;
        self.faults += faults;
        self.decided += decided;
        self.bought += bought;
        self.released += released;
        self.orphans += violations.orphans.len() as u64;
        self.double_buys += violations.double_buys.len() as u64;
        self.wrong_owner += violations.wrong_owner.len() as u64;
        self.stuck += violations.stuck.len() as u64;
        self.history_gaps += violations.history_gaps.len() as u64;
    }
}

/// Makes all runs. Prints the violations after each to standard error.
///
/// # Errors
/// If a plan could not be carried out. That is not a violation.
pub async fn run(options: &Options) -> Result<Totals> {
    let template = Template::read(&workspace::root().join("template.yaml"))?;
    let names: Vec<&str> = template.functions.iter().map(|function| function.name.as_str()).collect();
    let programs = build::build(&names, options.release).await?;
    let fixture = Arc::new(Fixture::start(template, programs, options.logs.clone()).await?);
    let mut totals = Totals::default();
    let mut harness = None;
    for run in options.first..options.first + options.runs {
        let plan = Plan::draw(options.seed, run);
        let current = match harness.take() {
            Some(harness) => harness,
            None => Harness::start(&fixture).await?,
        };
        let outcome = current.run(&plan).await.with_context(|| plan.to_string())?;
        totals.add(&outcome);
        eprintln!("run {run} of seed {}: {}", options.seed, summary(&outcome));
        if !outcome.violations.is_empty() {
            eprintln!("{plan}{:#?}", outcome.violations);
        }
        // Each violation is reported once.
        if outcome.violations.is_empty() && (run + 1) % RUNS_PER_HARNESS != 0 {
            harness = Some(current);
        } else {
            current.stop().await?;
        }
    }
    if let Some(harness) = harness {
        harness.stop().await?;
    }
    Ok(totals)
}

fn summary(outcome: &Outcome) -> String {
    let Outcome { requests, kills, faults, decided, bought, released, violations } = outcome;
    let verdict = if violations.is_empty() { "no violations" } else { "VIOLATIONS" };
    format!("{requests} requests, {kills} kills, {faults} faults, {bought} bought, {released} released, {decided} decided: {verdict}")
}
