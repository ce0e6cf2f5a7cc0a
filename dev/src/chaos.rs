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

/// After this many runs everything begins anew: what has been bought and released is read after every run.
const RUNS_PER_HARNESS: u64 = 25;

/// Which runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// What plans are drawn from.
    pub seed: u64,
    /// The number of the first run.
    pub first: u64,
    /// How many there are.
    pub runs: u64,
    /// Whether the functions are built as they are deployed.
    pub release: bool,
    /// Where what functions write goes.
    pub logs: Logs,
}

/// What all runs together came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// How many runs there were.
    pub runs: u64,
    /// Requests that were sent.
    pub requests: u64,
    /// Processes that were killed.
    pub kills: u64,
    /// What else went wrong, and what killed them.
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
    /// Whether nothing was found wrong.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.orphans + self.double_buys + self.wrong_owner + self.stuck + self.history_gaps == 0
    }

    /// Counts a run.
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

/// Goes through all runs, and tells what is wrong after each on standard error.
///
/// # Errors
/// When a plan could not be carried out, which says nothing about the product.
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
        // What is wrong once is told once.
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
    let verdict = if violations.is_empty() { "all is well" } else { "SOMETHING IS WRONG" };
    format!("{requests} requests, {kills} kills, {faults} faults, {bought} bought, {released} released, {decided} decided: {verdict}")
}
