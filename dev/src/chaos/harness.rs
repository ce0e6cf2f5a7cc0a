//! The whole product behind one fault proxy.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tokio_postgres::Client;
use uuid::Uuid;

use super::agencies;
use super::telnyx_accounts::{self, Accounts};
use crate::fault_proxy::FaultProxy;
use crate::lambda::functions::{Function, Logs, Programs};
use crate::lambda::template::Template;
use crate::loopback;
use crate::migrations;
use crate::postgres::{Server, connect, describe};
use crate::stack::{Options, Stack};

/// Time limit for unfinished work after the faults have ended.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// The pause before a request is repeated.
pub(super) const PAUSE: Duration = Duration::from_millis(40);
/// The maximum number of processes of one function.
const MAX_PROCESSES: usize = 3;
/// The database of which every harness gets a copy.
const TEMPLATE: &str = "chaos_template";

/// Timeouts that are a fraction of those in production. As there, a call to Telnyx is shorter than a lease.
const ENVIRONMENT: [(&str, &str); 9] = [
    ("LEASE_MS", "500"),
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
    /// Starts the server. The functions log to `logs`.
    ///
    /// # Errors
    /// If it does not start, or a migration fails.
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

/// Counts of what has happened so far.
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

/// A stack with a database of its own and no purchases yet.
#[derive(Debug)]
pub struct Harness {
    pub(super) fixture: Arc<Fixture>,
    pub(super) stack: Stack,
    pub(super) proxy: FaultProxy,
    pub(super) http: reqwest::Client,
    pub(super) counters: Arc<Counters>,
    pub(super) accounts: Accounts,
    /// The numbers that all agencies compete for.
    pub(super) numbers: Vec<String>,
    database: String,
}

/// A row of a number.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) id: Uuid,
    pub(super) agency_id: Uuid,
    pub(super) status: String,
}

impl Harness {
    /// Starts a harness without numbers.
    pub(super) async fn open(fixture: &Arc<Fixture>) -> Result<Self> {
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
        let http = loopback::client()?;
        let (fixture, counters) = (Arc::clone(fixture), Arc::default());
        let harness = Self { fixture, stack, proxy, http, counters, accounts, numbers: Vec::new(), database };
        harness.control(Method::PUT, "settings", &telnyx_accounts::others()).await?;
        harness.reset_faults("success").await?;
        Ok(harness)
    }

    /// Stops the harness and drops its database.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn stop(self) -> Result<()> {
        self.stack.stop().await;
        self.fixture.server.drop_database(&self.database).await
    }

    /// The database's URL without the proxy.
    #[must_use]
    pub fn database_url(&self) -> &str {
        self.stack.database_url()
    }

    pub(super) fn function(&self, name: &str) -> Result<Function> {
        let found = self.stack.functions().iter().find(|function| function.definition().name == name);
        found.cloned().with_context(|| format!("there is no {name}"))
    }

    pub(super) async fn crash_postgres(&self) -> Result<()> {
        self.fixture.server.crash_and_restart().await
    }

    /// A connection without the proxy.
    pub(super) async fn sql(&self) -> Result<Client> {
        connect(self.database_url()).await
    }

    /// The row of a number. Retries while Postgres restarts.
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

    /// The simulator's state.
    pub(super) async fn telnyx(&self) -> Result<Value> {
        let state = self.http.get(format!("{}/state", self.stack.telnyx().control_url()));
        Ok(state.send().await?.error_for_status()?.json().await?)
    }

    /// Resets the simulator's settings and ends pending orders with `outcome`.
    pub(super) async fn reset_faults(&self, orders_end: &str) -> Result<()> {
        let settings = json!({
            "order_delay_ms": 0,
            "order_delay_reads": 0,
            "order_outcome": orders_end,
            "number_delay_ms": 0,
            "number_lag_ms": 0,
            "reference_lag_ms": 0,
            "references_on_numbers": true,
            "delete_lag_reads": 0,
            "insufficient_funds": false,
            "taken_as_bad_request": false,
            "webhook_copies": 1,
            "webhook_delay_ms": 0,
            "webhook_reorder": false,
        });
        self.control(Method::PUT, "settings", &settings).await?;
        // Pending orders have ended with that outcome; later ones succeed.
        self.control(Method::PUT, "settings", &json!({"order_outcome": "success"})).await?;
        Ok(())
    }

    pub(super) async fn control(&self, method: Method, what: &str, body: &Value) -> Result<Value> {
        let request = self.http.request(method, format!("{}/{what}", self.stack.telnyx().control_url())).json(body);
        let response = request.send().await.with_context(|| format!("controlling {what}"))?;
        Ok(response.error_for_status().with_context(|| format!("{what}: {body}"))?.json().await?)
    }
}
