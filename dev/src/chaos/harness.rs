//! The whole product, reached through one proxy, and the runs it is put through.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_postgres::Client;
use uuid::Uuid;

use super::agencies::{self, Role};
use super::checks::Violations;
use super::client::{Call, Row};
use super::plan::{Action, NUMBERS, Plan, RECONCILE, Step};
use super::telnyx_accounts::{self, Accounts};
use crate::fault_proxy::FaultProxy;
use crate::lambda::functions::{Function, Logs, Programs};
use crate::lambda::template::Template;
use crate::migrations;
use crate::postgres::{Server, connect, describe};
use crate::stack::{self, Options, Stack};

/// Once all is well again, this is how long everything may take to come to its end.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// The pause before somebody asks again.
pub(super) const PAUSE: Duration = Duration::from_millis(40);
/// The pause before the operator looks at the findings again.
const OPERATOR_PAUSE: Duration = Duration::from_millis(500);
/// How many processes of one function run at once.
const MAX_PROCESSES: usize = 3;
/// What every database is a copy of.
const TEMPLATE: &str = "chaos_template";

/// Everything that waits, waits for a fraction of the time that it does in production. A call to Telnyx is shorter than a
/// lease here, too.
const ENVIRONMENT: [(&str, &str); 9] = [
    ("PURCHASE_LEASE_MS", "500"),
    ("PURCHASE_ORDER_MISSING_AFTER_MS", "150"),
    ("PURCHASE_POLL_MS", "20"),
    ("TELNYX_TIMEOUT_MS", "400"),
    ("TELNYX_CONNECT_TIMEOUT_MS", "300"),
    ("DATABASE_TIMEOUT_MS", "800"),
    ("REQUEST_BUDGET_MS", "4000"),
    ("RECONCILE_STUCK_AFTER_MS", "2000"),
    ("SECRETS_TTL_MS", "100"),
];

/// A Postgres server, on which every harness has a database of its own.
#[derive(Debug)]
pub struct Fixture {
    server: Server,
    programs: Programs,
    template: Template,
    logs: Logs,
}

impl Fixture {
    /// Starts the server, for functions that write to `logs`.
    ///
    /// # Errors
    /// When it does not start, or a migration fails.
    pub async fn start(template: Template, programs: Programs, logs: Logs) -> Result<Self> {
        let server = Server::temporary().await?;
        server.create_database(TEMPLATE, None).await?;
        let url = server.url(TEMPLATE);
        migrations::platform(&url).await?;
        migrations::run(&url, Some(migrations::DEPLOYMENT)).await?;
        agencies::seed(&url).await?;
        Ok(Self { server, programs, template, logs })
    }
}

/// What has happened so far, in counts.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) requests: AtomicU64,
    pub(super) kills: AtomicU64,
    pub(super) faults: AtomicU64,
    pub(super) decided: AtomicU64,
}

impl Counters {
    pub(super) fn add(counter: &AtomicU64, more: usize) {
        counter.fetch_add(more as u64, Ordering::Relaxed);
    }
}

/// A stack with a database of its own, nothing of which has been bought yet.
#[derive(Debug)]
pub struct Harness {
    pub(super) fixture: Arc<Fixture>,
    pub(super) stack: Stack,
    pub(super) proxy: FaultProxy,
    pub(super) http: reqwest::Client,
    pub(super) counters: Arc<Counters>,
    pub(super) accounts: Accounts,
    /// Those that everybody wants.
    pub(super) numbers: Vec<String>,
    database: String,
}

/// Numbers that came, and numbers that went.
#[derive(Debug, Clone, Copy)]
struct Moved {
    bought: u64,
    released: u64,
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct Outcome {
    pub(super) requests: u64,
    pub(super) kills: u64,
    pub(super) faults: u64,
    pub(super) decided: u64,
    pub(super) bought: u64,
    pub(super) released: u64,
    /// What is wrong after it.
    pub violations: Violations,
}

impl Harness {
    /// Starts one.
    ///
    /// # Errors
    /// When no database or port is to be had, or nothing is on offer.
    pub async fn start(fixture: &Arc<Fixture>) -> Result<Self> {
        let database = format!("chaos_{}", Uuid::new_v4().simple());
        fixture.server.create_database(&database, Some(TEMPLATE)).await?;
        let proxy = FaultProxy::new();
        let mut options = Options::new(fixture.template.clone(), fixture.programs.clone(), fixture.server.url(&database));
        let accounts = Accounts::start(&options.telnyx.api_key).await?;
        options.environment = ENVIRONMENT.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        options.environment.extend(accounts.environment());
        options.max_processes = MAX_PROCESSES;
        options.logs = fixture.logs.clone();
        options.proxy = Some(proxy.clone());
        options.webhooks = true;
        let stack = Stack::start(options).await?;
        let http = stack::client()?;
        let (fixture, counters) = (Arc::clone(fixture), Arc::default());
        let mut harness = Self { fixture, stack, proxy, http, counters, accounts, numbers: Vec::new(), database };
        harness.control(Method::PUT, "settings", &telnyx_accounts::others()).await?;
        harness.reset_faults("success").await?;
        harness.numbers = harness.offers().await?;
        Ok(harness)
    }

    async fn offers(&self) -> Result<Vec<String>> {
        let found = self.call_until_success(&Call::search(0, Role::Owner, NUMBERS)).await?;
        let offers = found["phone_numbers"].as_array().map(Vec::as_slice).unwrap_or_default();
        let numbers: Vec<_> = offers.iter().filter_map(|offer| offer["phone_number"].as_str()).map(str::to_owned).collect();
        if numbers.len() == NUMBERS { Ok(numbers) } else { bail!("too few numbers are on offer: {found}") }
    }

    /// Ends it, and forgets its database.
    ///
    /// # Errors
    /// The server's.
    pub async fn stop(self) -> Result<()> {
        self.stack.stop().await;
        self.fixture.server.drop_database(&self.database).await
    }

    /// The database, past the proxy.
    #[must_use]
    pub fn database_url(&self) -> &str {
        self.stack.database_url()
    }

    /// Makes a plan come true, puts all in order again, and tells what is wrong even so.
    ///
    /// # Errors
    /// When the plan could not be carried out, which says nothing about the product.
    pub async fn run(&self, plan: &Plan) -> Result<Outcome> {
        self.prepare(plan).await.context("preparing")?;
        let (moved, before) = (self.moved().await?, self.counts());
        self.proxy.clear_log();
        let calls = self.run_workload(plan).await?;
        // Who is deleted takes promises and keys along.
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

    /// Sees to it that every number is whose it is to be.
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

    /// What everybody has been answered once the plan has come true.
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
            // It fails when it has to, and is tried again when all is well.
            let _ = self.stack.run_scheduled().await;
            return Ok(Vec::new());
        }
        let call = self.call(plan, index, step).await?;
        Ok(join_all((0..step.copies).map(|_| self.call_until_final(call.clone(), step.persistent))).await)
    }

    /// Has everything come to its end, and tells what has not, or not as it should have.
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

    pub(super) fn function(&self, name: &str) -> Result<Function> {
        let found = self.stack.functions().iter().find(|function| function.definition().name == name);
        found.cloned().with_context(|| format!("there is no {name}"))
    }

    pub(super) async fn crash_postgres(&self) -> Result<()> {
        self.fixture.server.crash_and_restart().await
    }

    /// A connection past the proxy.
    pub(super) async fn sql(&self) -> Result<Client> {
        connect(self.database_url()).await
    }

    /// The row of a number, while Postgres may be on its way back.
    pub(super) async fn row(&self, number: usize) -> Result<Option<Row>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.read_row(number).await {
                Err(_) if Instant::now() < deadline => sleep(PAUSE).await,
                read => return read,
            }
        }
    }

    async fn read_row(&self, number: usize) -> Result<Option<Row>> {
        let query = "select id, agency_id, status::text from agency_phone_numbers where phone_number = $1";
        let row = self.sql().await?.query_opt(query, &[&self.numbers[number]]).await.map_err(|error| describe(&error))?;
        Ok(row.map(|row| Row { id: row.get(0), agency_id: row.get(1), status: row.get(2) }))
    }

    async fn moved(&self) -> Result<Moved> {
        let query = "\
            select count(*) filter (where changes -> 'status' ->> 'to' = 'active' and changes -> 'status' ->> 'from' is null),
                   count(*) filter (where changes -> 'status' ->> 'to' = 'released')
            from phone_number_history";
        let row = self.sql().await?.query_one(query, &[]).await.map_err(|error| describe(&error))?;
        Ok(Moved { bought: row.get::<_, i64>(0).unsigned_abs(), released: row.get::<_, i64>(1).unsigned_abs() })
    }

    /// What Telnyx knows.
    pub(super) async fn telnyx(&self) -> Result<Value> {
        let state = self.http.get(format!("{}/state", self.stack.telnyx().control_url()));
        Ok(state.send().await?.error_for_status()?.json().await?)
    }
}
