//! The whole product on this machine: the Telnyx simulator, the functions, and the gateway and the schedule before them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use chrono::{SecondsFormat, Utc};
use serde_json::json;
use tokio::task::AbortHandle;
use uuid::Uuid;

use crate::fault_proxy::FaultProxy;
use crate::lambda::functions::{Failure, Function, Launch, Logs, MAX_PROCESSES, Programs};
use crate::lambda::gateway;
use crate::lambda::runtime_api::RuntimeApi;
use crate::lambda::template::{Definition, Template};
use crate::listener::Listener;
use crate::postgres::logins::{self, Login};
use crate::telnyx_simulator::{self, Simulator};
use crate::{loopback, migrations, postgres, token};

/// The parts of a stack.
#[derive(Debug, Clone)]
pub struct Options {
    /// The gateway's port on 127.0.0.1; 0 means any free one.
    pub port: u16,
    /// The functions.
    pub template: Template,
    /// The program of each function; [`crate::lambda::functions::build`] builds them.
    pub programs: Programs,
    /// A migrated database.
    pub database_url: String,
    /// The simulator.
    pub telnyx: telnyx_simulator::Options,
    /// The issuer whose tokens the functions accept.
    pub issuer: token::Issuer,
    /// The maximum number of processes of one function.
    pub max_processes: usize,
    /// Variables for every function. They override those that a stack sets.
    pub environment: BTreeMap<String, String>,
    /// Destination of the functions' logs.
    pub logs: Logs,
    /// The proxy through which the functions reach the database and Telnyx. `None` means directly.
    pub proxy: Option<FaultProxy>,
    /// The pause between two runs of the functions that the template schedules. `None` means that nothing runs on a schedule.
    pub schedule: Option<Duration>,
    /// Whether Telnyx sends webhooks.
    pub webhooks: bool,
}

impl Options {
    /// A stack on free ports.
    #[must_use]
    pub fn new(template: Template, programs: Programs, database_url: impl Into<String>) -> Self {
        Self {
            port: 0,
            template,
            programs,
            database_url: database_url.into(),
            telnyx: telnyx_simulator::Options::default(),
            issuer: token::Issuer::default(),
            max_processes: MAX_PROCESSES,
            environment: BTreeMap::new(),
            logs: Logs::default(),
            proxy: None,
            schedule: None,
            webhooks: false,
        }
    }
}

/// A running stack. Everything ends when it is dropped; [`Stack::stop`] waits for that.
#[derive(Debug)]
pub struct Stack {
    gateway: Listener,
    urls: Vec<(String, Listener)>,
    functions: Vec<Function>,
    environment: BTreeMap<String, String>,
    telnyx: Simulator,
    issuer: token::Issuer,
    database_url: String,
    schedules: Vec<AbortHandle>,
    /// Kept so that its listeners stay open while the functions run.
    _proxy: Option<FaultProxy>,
}

impl Stack {
    /// Starts everything; processes of functions start with the first request.
    ///
    /// # Errors
    /// If a port is taken or a function has no program.
    pub async fn start(options: Options) -> Result<Self> {
        let telnyx = Simulator::start(options.telnyx).await.context("starting the Telnyx simulator")?;
        let database_url: String = postgres::connection::normalise(&options.database_url)?.into();
        logins::ensure(&database_url).await?;
        let mut environment = environment(&database_url, &options.issuer, &telnyx);
        if let Some(proxy) = &options.proxy {
            environment.insert("DATABASE_URL".to_owned(), proxy.postgres(&database_url).await?);
            environment.insert("TELNYX_API_URL".to_owned(), proxy.http(&telnyx.url()).await?);
        }
        environment.extend(options.environment);
        let runtime_api = Arc::new(RuntimeApi::start().await?);
        let functions = options.template.functions.into_iter().map(|definition| {
            let program = options.programs.get(&definition.name).cloned();
            let program = program.with_context(|| format!("{} has no program", definition.name))?;
            let launch = Launch { program, environment: environment_of(&definition.name, &environment)?, logs: options.logs.clone() };
            Ok(Function::new(definition, launch, options.max_processes, Arc::clone(&runtime_api)))
        });
        let functions: Vec<Function> = functions.collect::<Result<_>>()?;
        let gateway = gateway::serve_api(options.port, &functions).await?;
        let mut urls = Vec::new();
        // The others have no callers.
        for function in functions.iter().filter(|function| function.definition().routes.iter().any(|route| route.method == "ANY")) {
            urls.push((function.definition().name.clone(), gateway::serve_url(function).await?));
        }
        if options.webhooks {
            let scheduled = functions.iter().map(Function::definition).find(|definition| definition.is_scheduled);
            let route = scheduled.and_then(|definition| definition.routes.first()).context("no function takes webhooks")?;
            telnyx.send_webhooks_to(&format!("{}{}", gateway.url(), route.path));
        }
        let schedules = options.schedule.map(|pause| scheduled(&functions).map(|function| keep_running(function, pause)).collect());
        let schedules = schedules.unwrap_or_default();
        let issuer = options.issuer;
        Ok(Self { gateway, urls, functions, environment, telnyx, issuer, database_url, schedules, _proxy: options.proxy })
    }

    /// Invokes each scheduled function once.
    ///
    /// # Errors
    /// If an invocation fails: the first failure.
    pub async fn run_scheduled(&self) -> Result<(), Failure> {
        for function in scheduled(&self.functions) {
            run_now(&function).await?;
        }
        Ok(())
    }

    /// The gateway's URL, without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> String {
        self.gateway.url()
    }

    /// The gateway's URL of each function that has a route, by name.
    #[must_use]
    pub fn routes(&self) -> BTreeMap<String, String> {
        let routed = self.definitions().filter_map(|definition| {
            let route = definition.routes.first()?;
            Some((definition.name.clone(), format!("{}{}", self.base_url(), route.path)))
        });
        routed.collect()
    }

    /// The function URL of each function that has a route, by name, with a slash at the end.
    #[must_use]
    pub fn function_urls(&self) -> BTreeMap<String, String> {
        self.urls.iter().map(|(name, listener)| (name.clone(), format!("{}/", listener.url()))).collect()
    }

    /// The functions' definitions in the template.
    pub fn definitions(&self) -> impl Iterator<Item = &Definition> {
        self.functions.iter().map(Function::definition)
    }

    /// The functions.
    #[must_use]
    pub fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// The environment of a function, without the variables that Lambda sets.
    ///
    /// # Errors
    /// If there is no such function.
    pub fn environment_of(&self, function: &str) -> Result<BTreeMap<String, String>> {
        environment_of(function, &self.environment)
    }

    /// The simulator.
    #[must_use]
    pub fn telnyx(&self) -> &Simulator {
        &self.telnyx
    }

    /// Issues tokens that the functions accept.
    #[must_use]
    pub fn issuer(&self) -> &token::Issuer {
        &self.issuer
    }

    /// The database. The URL says `sslmode`.
    #[must_use]
    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    /// Checks that every function answers, on its route and on its own URL.
    ///
    /// # Errors
    /// If one does not.
    pub async fn check(&self) -> Result<()> {
        let client = loopback::client()?;
        for urls in [self.routes(), self.function_urls()] {
            gateway::check(&client, urls.iter().map(|(name, url)| (name.as_str(), url.as_str()))).await?;
        }
        Ok(())
    }

    /// Ends every process and waits until all are gone.
    pub async fn stop(self) {
        self.schedules.iter().for_each(AbortHandle::abort);
        for function in &self.functions {
            function.stop().await;
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.schedules.iter().for_each(AbortHandle::abort);
        // An open connection keeps its function alive.
        for function in &self.functions {
            function.begin_stop();
        }
    }
}

fn scheduled(functions: &[Function]) -> impl Iterator<Item = Function> {
    functions.iter().filter(|function| function.definition().is_scheduled).cloned()
}

/// Invokes the scheduled functions again and again until aborted. A failure is in the function's log.
fn keep_running(function: Function, pause: Duration) -> AbortHandle {
    let running = tokio::spawn(async move {
        loop {
            tokio::time::sleep(pause).await;
            let _ = run_now(&function).await;
        }
    });
    running.abort_handle()
}

/// Invokes a function with the event of an `EventBridge` schedule.
async fn run_now(function: &Function) -> Result<(), Failure> {
    let id = Uuid::new_v4().to_string();
    let event = json!({
        "version": "0",
        "id": id,
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "000000000000",
        "time": Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
        "region": "us-east-1",
        "resources": [format!("arn:aws:events:us-east-1:000000000000:rule/{}", function.definition().name)],
        "detail": {},
    });
    function.invoke(id, event.to_string().into()).await.map(|_| ())
}

/// The environment of all functions with the database login of one.
fn environment_of(function: &str, environment: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
    let mut environment = environment.clone();
    if let (Some(login), Some(url)) = (Login::of(function)?, environment.get_mut("DATABASE_URL").filter(|url| !url.is_empty())) {
        *url = login.url(url)?;
    }
    Ok(environment)
}

fn environment(database_url: &str, issuer: &token::Issuer, telnyx: &Simulator) -> BTreeMap<String, String> {
    let public_key = telnyx.public_key();
    let variables = [
        ("DEPLOYMENT", migrations::DEPLOYMENT),
        ("DATABASE_URL", database_url),
        ("JWT_SECRET", &issuer.secret),
        ("JWT_ISSUER", &issuer.issuer),
        ("JWT_AUDIENCE", token::AUDIENCE),
        ("ALLOWED_ORIGINS", "http://localhost:*,http://127.0.0.1:*"),
        ("TELNYX_API_URL", &telnyx.url()),
        ("TELNYX_API_KEY", telnyx.api_key()),
        ("TELNYX_PUBLIC_KEY", &public_key),
    ];
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}
