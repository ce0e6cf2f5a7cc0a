//! One step: a workload with one number of instances.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, ensure};
use futures_util::future::join_all;
use serde::Serialize;

use super::connections::{self, Held, Watch};
use super::fixture::{Fixture, Site};
use super::load::{self, Busy, Done};
use super::log::{self, Said};
use super::processors::{Clocks, Use};
use super::requests::Requests;
use super::workload::Workload;
use crate::bench::row::{milliseconds, percentile};
use crate::invariants;
use crate::lambda::functions::{Function, Launch, Logs};
use crate::lambda::runtime_api::RuntimeApi;

/// Calls of each instance before those that count: its connection is there, and the server has planned its statements.
const WARM_UP_CALLS: usize = 3;

/// The figures of one step.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// What was done.
    pub(super) workload: String,
    /// How many processes did it.
    pub(super) instances: usize,
    /// How many right answers there were.
    pub calls: usize,
    pub(super) calls_per_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    /// Answers other than 200, and how many of each there were; those of the warm-up count too.
    pub(super) errors: BTreeMap<String, usize>,
    /// The database role of the connections.
    pub(super) role: &'static str,
    /// The most connections at one time.
    pub(super) connections: usize,
    /// The most connections of one instance.
    pub(super) connections_of_one: usize,
    /// How many connections of one instance are documented.
    pub(super) connections_allowed: usize,
    /// The connections that were left when all instances were idle.
    pub(super) connections_left: usize,
    /// The part of the calls' time in which they waited for Postgres, as the functions log it.
    pub(super) postgres_part: f64,
    /// The part in which they waited for Telnyx.
    pub(super) telnyx_part: f64,
    /// How many CPUs each party used, where that is known.
    pub(super) cpus: Option<Use>,
    /// What the functions logged as warnings and errors, and how often.
    pub(super) complaints: BTreeMap<String, usize>,
    /// Violations of [`invariants`], and unfinished purchases.
    pub(super) violations: Vec<String>,
}

impl Step {
    /// What must not be: wrong answers, violations, and more connections than documented.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let Self { workload, instances, connections_of_one, connections_allowed, .. } = self;
        let mut faults: Vec<_> = self.errors.iter().map(|(error, count)| format!("{count} × {error}")).collect();
        faults.extend(self.violations.iter().cloned());
        if connections_of_one > connections_allowed {
            faults.push(format!("one instance held {connections_of_one} connections, and {connections_allowed} are documented"));
        }
        faults.into_iter().map(|fault| format!("{workload}, {instances} instances: {fault}")).collect()
    }
}

/// Starts instances, warms them, keeps them busy, and checks what they left.
///
/// # Errors
/// If the servers fail, or there is nothing left to buy.
pub async fn measure(fixture: &Fixture, workload: Workload, count: usize, busy: Busy) -> Result<Step> {
    let site = fixture.open(workload).await?;
    let requests = Arc::new(Requests::of(workload, &site).await?);
    let watch = Watch::start(site.connect().await?, workload.login().name());
    let instances = start(fixture, &site, workload, count).await?;
    let warmed = load::work(&instances, &requests, Busy::Calls(WARM_UP_CALLS)).await?;

    let database = site.connect().await?;
    let (from, before) = (log::length(&site.log), Clocks::read(&instances, site.telnyx(), &database).await?);
    let mut done = load::work(&instances, &requests, busy).await?;
    let after = Clocks::read(&instances, site.telnyx(), &database).await?;
    let said = log::read(&site.log, from)?;
    let left = connections::held(&database, &workload.login().name()).await?;
    let most = watch.end().await?.with(left);
    join_all(instances.iter().map(Function::stop)).await;

    for (error, count) in warmed.errors {
        *done.errors.entry(error).or_default() += count;
    }
    let cpus = before.zip(after).map(|(before, after)| after.since(&before));
    // The numbers that are listed were never bought from this Telnyx.
    let violations = if workload == Workload::List { Vec::new() } else { violations(&site).await? };
    ensure!(most.most >= count || !done.errors.is_empty(), "{count} instances were seen with {} connections", most.most);
    Ok(step(workload, count, done, (most, left), said, cpus, violations))
}

fn step(
    workload: Workload,
    instances: usize,
    done: Done,
    (most, left): (Held, Held),
    said: Said,
    cpus: Option<Use>,
    violations: Vec<String>,
) -> Step {
    Step {
        workload: workload.name(),
        instances,
        calls: done.times.len(),
        calls_per_second: done.calls_per_second,
        p50_ms: milliseconds(percentile(&done.times, 50)),
        p99_ms: milliseconds(percentile(&done.times, 99)),
        errors: done.errors,
        role: workload.login().role(),
        connections: most.most,
        connections_of_one: most.most_of_one,
        connections_allowed: workload.most_connections(),
        connections_left: left.most,
        postgres_part: said.postgres_part(),
        telnyx_part: said.telnyx_part(),
        cpus,
        complaints: said.complaints,
        violations,
    }
}

/// Functions that each have one process. They start with their first event.
async fn start(fixture: &Fixture, site: &Site, workload: Workload, count: usize) -> Result<Vec<Function>> {
    let (function, runtime_api) = (workload.function(), Arc::new(RuntimeApi::start().await?));
    let instances = (0..count).map(|instance| {
        let (program, logs) = (fixture.program(function)?, Logs::File(site.log.clone()));
        let launch = Launch { program, environment: site.environment(workload, instance)?, logs };
        Ok(Function::new(fixture.definition(function)?, launch, 1, Arc::clone(&runtime_api)))
    });
    instances.collect()
}

async fn violations(site: &Site) -> Result<Vec<String>> {
    let (database, telnyx) = (site.connect().await?, site.telnyx().state().await?);
    let mut found = invariants::violations(&database, &telnyx).await?.all();
    found.extend(invariants::unfinished(&database).await?);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn right() -> Step {
        step(Workload::List, 2, Done::default(), (Held { most: 2, most_of_one: 1 }, Held::default()), Said::default(), None, Vec::new())
    }

    #[test]
    fn a_wrong_answer_a_violation_and_a_connection_too_many_are_faults() {
        assert_eq!(right().faults(), Vec::<String>::new());
        let wrong = Step { errors: BTreeMap::from([("503 unavailable".to_owned(), 3)]), ..right() };
        assert_eq!(wrong.faults(), ["list 50 rows, 2 instances: 3 × 503 unavailable"]);
        let lost = Step { violations: vec!["a number is billed twice".to_owned()], ..right() };
        assert_eq!(lost.faults(), ["list 50 rows, 2 instances: a number is billed twice"]);
        let greedy = Step { connections_of_one: 2, ..right() };
        assert_eq!(greedy.faults(), ["list 50 rows, 2 instances: one instance held 2 connections, and 1 are documented"]);
    }
}
