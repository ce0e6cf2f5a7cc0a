//! One process of a function.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::body::Bytes;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::timeout;

use super::failure::Failure;
use super::logs::Logs;
use crate::children;
use crate::lambda::runtime_api::{Answer, Endpoint, Pending};
use crate::lambda::template::Definition;

/// Lambda's limit until a process asks for its first event.
const INIT_TIMEOUT: Duration = Duration::from_secs(10);

const LOG_LEVEL: &str = "AWS_LAMBDA_LOG_LEVEL";

/// How the processes of a function are started.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The function's binary.
    pub program: PathBuf,
    /// The function's variables. The process does not inherit ours.
    pub environment: BTreeMap<String, String>,
    /// Destination of its output.
    pub logs: Logs,
}

/// The outcome of an invocation.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The process answered, and can take the next one.
    Answered(Answer),
    /// The process ended before it fetched the event.
    NeverFetched,
    /// The process must be ended.
    Failed(Failure),
}

/// A running process. It is killed when the value is dropped.
#[derive(Debug)]
pub(super) struct Instance {
    child: Child,
    endpoint: Endpoint,
    /// Held until the process has ended; see `Processes`.
    alive: watch::Receiver<()>,
}

impl Instance {
    pub(super) async fn start(definition: &Definition, launch: &Launch, endpoint: Endpoint, alive: watch::Receiver<()>) -> Result<Self> {
        let mut command = Command::new(&launch.program);
        command.env_clear().envs(lambda_environment(definition, launch, &endpoint));
        let [stdout, stderr] = launch.logs.open(&definition.name)?;
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        let child = children::spawn(command).await;
        let child = child.with_context(|| format!("starting {}", launch.program.display()))?;
        Ok(Self { child, endpoint, alive })
    }

    /// The id of the process, while it runs.
    pub(super) fn process_id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Whether the process has been told to end.
    pub(super) fn is_killed(&self) -> bool {
        self.alive.has_changed().unwrap_or(true)
    }

    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends `event` to the process and waits for the answer, unless it is told to end.
    pub(super) async fn invoke(&mut self, definition: &Definition, request_id: &str, event: Bytes) -> Outcome {
        let Self { child, endpoint, alive } = self;
        tokio::select! {
            outcome = serve(child, endpoint, definition, request_id, event) => outcome,
            _ = alive.changed() => Outcome::Failed(Failure::Died),
        }
    }

    /// Kills the process and waits until it has ended.
    pub(super) async fn end(mut self) {
        // It fails only if the process has ended already.
        let _ = self.child.kill().await;
    }
}

/// Offers `event` to a process and waits for the outcome.
async fn serve(child: &mut Child, endpoint: &Endpoint, definition: &Definition, request_id: &str, event: Bytes) -> Outcome {
    let arn = format!("arn:aws:lambda:us-east-1:000000000000:function:{}", definition.name);
    let Pending { fetched, answer } = endpoint.invoke(&arn, request_id, event, definition.timeout).await;
    tokio::select! {
        biased;
        fetched = timeout(INIT_TIMEOUT, fetched) => if fetched.is_err() {
            return Outcome::Failed(Failure::TimedOut);
        },
        _ = child.wait() => return Outcome::NeverFetched,
    }
    tokio::select! {
        // A process may answer and end at once: its answer counts.
        biased;
        answer = timeout(definition.timeout, answer) => match answer {
            Ok(Ok(answer)) => Outcome::Answered(answer),
            Ok(Err(_)) => Outcome::Failed(Failure::Died),
            Err(_) => Outcome::Failed(Failure::TimedOut),
        },
        _ = child.wait() => Outcome::Failed(Failure::Died),
    }
}

/// The function's own variables and those that Lambda sets.
fn lambda_environment(definition: &Definition, launch: &Launch, endpoint: &Endpoint) -> BTreeMap<String, String> {
    let mut environment = launch.environment.clone();
    // A function's `LoggingConfig` sets it.
    let log_level = environment.remove(LOG_LEVEL).or_else(|| std::env::var("RUST_LOG").ok());
    let lambdas = [
        ("AWS_LAMBDA_RUNTIME_API", endpoint.url().to_owned()),
        ("AWS_LAMBDA_FUNCTION_NAME", definition.name.clone()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", definition.memory_mb.to_string()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("AWS_LAMBDA_LOG_FORMAT", "JSON".to_owned()),
        (LOG_LEVEL, log_level.unwrap_or_else(|| "INFO".to_owned())),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
        ("PATH", "/usr/local/bin:/usr/bin:/bin".to_owned()),
        ("TZ", ":UTC".to_owned()),
    ];
    environment.extend(lambdas.map(|(name, value)| (name.to_owned(), value)));
    environment
}
