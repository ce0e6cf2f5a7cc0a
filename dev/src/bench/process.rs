//! One process behind the Runtime API, from its start to its last answer.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use axum::body::Bytes;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::events::Event;
use super::fixture::Fixture;
use super::machine;
use super::programs::Program;
use crate::children;
use crate::lambda::runtime_api::{Answer, Endpoint};

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// What Postgres does when a client has gone must not be counted for the next program.
const PAUSE: Duration = Duration::from_millis(20);

/// What one process needed.
#[derive(Debug)]
pub(super) struct Sample {
    /// From its start to its first answer.
    pub(super) cold: Duration,
    /// The CPU time of the process until then.
    pub(super) cold_cpu: Duration,
    /// From each later event to its answer.
    pub(super) warm: Vec<Duration>,
    /// The mean CPU time of a later call.
    pub(super) warm_cpu: Duration,
    /// The mean CPU time of Postgres for a later call.
    pub(super) postgres_cpu: Duration,
    /// The same of the pooler, if there is one before Postgres.
    pub(super) pooler_cpu: Option<Duration>,
    /// The peak of its memory.
    pub(super) peak_memory_kib: u64,
}

/// Starts a program, lets it answer, and ends it.
pub(super) async fn sample(program: &Program, fixture: &Fixture, warm_calls: usize) -> Result<Sample> {
    let environment = fixture.environment(program, fixture.port_of(program)?)?;
    let first = Event::of(&program.name, fixture)?;
    let started = Instant::now();
    let mut process = Process::start(program, fixture, environment).await?;
    process.answer(&first).await?;
    let (cold, cold_cpu) = (started.elapsed(), process.cpu_time()?);
    let (postgres, pooler) = (fixture.postgres_cpu().await?, fixture.pooler_cpu(program)?);
    let event = Event::of(&program.name, fixture)?;
    let mut warm = Vec::with_capacity(warm_calls);
    for _ in 0..warm_calls {
        warm.push(process.answer(&event).await?);
    }
    let calls = u32::try_from(warm_calls)?.max(1);
    let warm_cpu = process.cpu_time()?.saturating_sub(cold_cpu) / calls;
    let postgres_cpu = fixture.postgres_cpu().await?.saturating_sub(postgres) / calls;
    let pooler_cpu = fixture.pooler_cpu(program)?.zip(pooler).map(|(after, before)| after.saturating_sub(before) / calls);
    let peak_memory_kib = machine::peak_memory_kib(process.id()?)?;
    process.end().await;
    sleep(PAUSE).await;
    Ok(Sample { cold, cold_cpu, warm, warm_cpu, postgres_cpu, pooler_cpu, peak_memory_kib })
}

/// A running process. It is killed when the value is dropped.
pub(super) struct Process {
    name: String,
    child: Child,
    endpoint: Endpoint,
}

impl Process {
    pub(super) async fn start(program: &Program, fixture: &Fixture, environment: BTreeMap<String, String>) -> Result<Self> {
        let endpoint = fixture.endpoint();
        let mut command = Command::new(&program.path);
        command.args(&program.arguments).env_clear().envs(environment).env("AWS_LAMBDA_RUNTIME_API", endpoint.url());
        // Lambda reads a function's log from a pipe; what it costs to write it is part of the measurement.
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = children::spawn(command).await.with_context(|| format!("starting {}", program.path.display()))?;
        Ok(Self { name: program.name.clone(), child, endpoint })
    }

    fn id(&self) -> Result<u32> {
        self.child.id().with_context(|| format!("{} has ended", self.name))
    }

    fn cpu_time(&self) -> Result<Duration> {
        machine::cpu_time(self.id()?)
    }

    /// Sends an event and returns the time until the answer, which must have the status that is expected.
    pub(super) async fn answer(&mut self, event: &Event) -> Result<Duration> {
        let Self { name, child, endpoint } = self;
        let sent = Instant::now();
        let pending = endpoint.invoke("arn:aws:lambda:us-east-1:000000000000:function:bench", "bench", event.body.clone(), TIMEOUT).await;
        let answer = tokio::select! {
            answer = timeout(TIMEOUT, pending.answer) => answer.with_context(|| format!("{name} does not answer"))??,
            status = child.wait() => bail!("{name} ended: {}", status?),
        };
        let duration = sent.elapsed();
        match answer {
            Answer::Response(body) => ensure!(has_status(&body, event.status), "{name} answered {}", String::from_utf8_lossy(&body)),
            Answer::Error(body) => bail!("{name} failed: {}", String::from_utf8_lossy(&body)),
        }
        Ok(duration)
    }

    pub(super) async fn end(mut self) {
        // It fails only if the process has ended already.
        let _ = self.child.kill().await;
    }
}

/// Whether an answer in the format of API Gateway has a status. Reading all of it would take longer than some functions do.
pub(super) fn has_status(body: &Bytes, status: u16) -> bool {
    let member = format!("\"statusCode\":{status}");
    body.windows(member.len()).any(|part| part == member.as_bytes())
}
