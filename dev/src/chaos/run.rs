//! One run: prepares the numbers, runs the workload under faults, waits until everything has settled, and checks the result.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result, bail};
use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::agencies::{self, Role};
use super::checks::Violations;
use super::client::Call;
use super::harness::{Counters, Fixture, Harness, PATIENCE, PAUSE};
use super::plan::{Action, NUMBERS, Plan, RECONCILE, Step};
use crate::postgres::describe;

/// The pause before the operator reads the findings again.
const OPERATOR_PAUSE: std::time::Duration = std::time::Duration::from_millis(500);

/// Numbers bought and released.
#[derive(Debug, Clone, Copy)]
struct Moved {
    bought: u64,
    released: u64,
}

/// The outcome of a run.
#[derive(Debug, Default)]
pub struct Outcome {
    pub(super) requests: u64,
    pub(super) kills: u64,
    pub(super) faults: u64,
    pub(super) decided: u64,
    pub(super) bought: u64,
    pub(super) released: u64,
    /// The violations after it.
    pub violations: Violations,
}

impl Harness {
    /// Starts a harness and searches the numbers that its runs use.
    ///
    /// # Errors
    /// If no database or port is available, or too few numbers are for sale.
    pub async fn start(fixture: &Arc<Fixture>) -> Result<Self> {
        let mut harness = Self::open(fixture).await?;
        harness.numbers = harness.offers().await?;
        Ok(harness)
    }

    async fn offers(&self) -> Result<Vec<String>> {
        let found = self.call_until_success(&Call::search(0, Role::Owner, NUMBERS)).await?;
        let offers = found["phone_numbers"].as_array().map(Vec::as_slice).unwrap_or_default();
        let numbers: Vec<_> = offers.iter().filter_map(|offer| offer["phone_number"].as_str()).map(str::to_owned).collect();
        if numbers.len() == NUMBERS { Ok(numbers) } else { bail!("too few numbers are on offer: {found}") }
    }

    /// Carries out a plan, ends the faults, waits until everything has settled, and returns the violations.
    ///
    /// # Errors
    /// If the plan could not be carried out. That is not a violation.
    pub async fn run(&self, plan: &Plan) -> Result<Outcome> {
        self.prepare(plan).await.context("preparing")?;
        let (moved, before) = (self.moved().await?, self.counts());
        self.proxy.clear_log();
        let calls = self.run_workload(plan).await?;
        // A deletion also removes the agency's keys and answers.
        let calls: Vec<_> = calls.into_iter().filter(|call| !plan.deletes(call.agency)).collect();
        let mut violations = self.check_replays(plan, &calls).await?;
        violations.merge(self.settle(plan).await?);
        violations.merge(self.check_answers(&calls).await?);
        agencies::seed(self.database_url()).await?;
        let (now, after) = (self.moved().await?, self.counts());
        Ok(Outcome {
            requests: after[0] - before[0],
            kills: after[1] - before[1],
            faults: after[2] - before[2],
            decided: after[3] - before[3],
            bought: now.bought - moved.bought,
            released: now.released - moved.released,
            violations,
        })
    }

    fn counts(&self) -> [u64; 4] {
        let Counters { requests, kills, faults, decided } = &*self.counters;
        [requests, kills, faults, decided].map(|counter| counter.load(Ordering::Relaxed))
    }

    /// Makes every number belong to the agency in the plan.
    async fn prepare(&self, plan: &Plan) -> Result<()> {
        let (mut releases, mut purchases) = (Vec::new(), Vec::new());
        for (number, wanted) in plan.holders.iter().enumerate() {
            let row = self.row(number).await?.filter(|row| row.status != "released");
            let holder = row.as_ref().and_then(|row| (0..agencies::COUNT).find(|index| agencies::agency(*index) == row.agency_id));
            if holder == *wanted {
                continue;
            }
            releases.extend(holder.zip(row).map(|(agency, row)| Call::release(agency, Role::Owner, &[row.id])));
            purchases.extend(wanted.map(|agency| Call::purchase(agency, Role::Owner, &[self.numbers[number].as_str()])));
        }
        for calls in [releases, purchases] {
            for done in join_all(calls.iter().map(|call| self.call_until_success(call))).await {
                done?;
            }
        }
        Ok(())
    }

    /// Runs the workload and returns the answers.
    async fn run_workload(&self, plan: &Plan) -> Result<Vec<Call>> {
        self.arm_faults(plan).await?;
        let began = Instant::now();
        let (done, mut answered) = watch::channel(false);
        let clients = async {
            let calls = join_all(plan.steps.iter().enumerate().map(|(index, step)| self.step(plan, index, step))).await;
            done.send_replace(true);
            calls
        };
        let over = async {
            self.inject_timed_faults(plan).await?;
            let _ = timeout_at(began + plan.duration, answered.wait_for(|answered| *answered)).await;
            self.end_faults(plan).await?;
            while !*answered.borrow() {
                self.decide(plan).await?;
                let _ = timeout(OPERATOR_PAUSE, answered.changed()).await;
            }
            Ok(())
        };
        let (calls, over): (_, Result<()>) = tokio::join!(clients, over);
        over?;
        Ok(calls.into_iter().collect::<Result<Vec<_>>>()?.concat())
    }

    async fn step(&self, plan: &Plan, index: usize, step: &Step) -> Result<Vec<Call>> {
        sleep(step.after).await;
        if step.action == Action::Reconcile {
            // It may fail under faults, and is repeated after them.
            let _ = self.stack.run_scheduled().await;
            return Ok(Vec::new());
        }
        let call = self.call(plan, index, step).await?;
        Ok(join_all((0..step.copies).map(|_| self.call_until_final(call.clone(), step.persistent))).await)
    }

    /// Waits until all work is finished. Returns what is unfinished and what is wrong.
    async fn settle(&self, plan: &Plan) -> Result<Violations> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ran = self.stack.run_scheduled().await;
            self.decide(plan).await?;
            let mut violations = self.check().await?;
            if let Err(failure) = ran {
                violations.stuck.push(format!("{RECONCILE} fails: {failure:?}"));
            }
            if violations.is_empty() || Instant::now() > deadline {
                return Ok(violations);
            }
            sleep(PAUSE).await;
        }
    }

    async fn moved(&self) -> Result<Moved> {
        let query = "\
            select count(*) filter (where changes -> 'status' ->> 'to' = 'active' and changes -> 'status' ->> 'from' is null),
                   count(*) filter (where changes -> 'status' ->> 'to' = 'released')
            from phone_number_history";
        let row = self.sql().await?.query_one(query, &[]).await.map_err(|error| describe(&error))?;
        Ok(Moved { bought: row.get::<_, i64>(0).unsigned_abs(), released: row.get::<_, i64>(1).unsigned_abs() })
    }
}
