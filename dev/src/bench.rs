//! `cargo dev bench`: what the functions cost, beside programs that do less, or the same with less care. docs/performance.md has
//! the results and the method.
//!
//! - `programs`: what is measured, and builds it
//! - `fixture`: the servers that the programs use, and their data
//! - `events`: what the programs are invoked with
//! - `process`: one process, from its start to its last answer
//! - `relay`, `recording`: round trips to Postgres, and the statements of list
//! - `machine`: what is particular to Linux
//! - `row`, `bars`, `report`: the figures of a program, the limits that they must keep, and all of a run
//! - [`instances`]: many processes of one function at once

mod bars;
mod events;
mod fixture;
pub mod instances;
mod machine;
mod process;
mod programs;
mod recording;
mod relay;
mod report;
mod row;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;

use self::events::Event;
use self::fixture::Fixture;
use self::process::{Process, Sample};
use self::programs::Program;
use self::relay::{Relay, RoundTrips};
pub use self::report::Report;

/// How thoroughly to measure, and what.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether to end after two minutes, not counting builds.
    pub quick: bool,
    /// The functions to measure, by name; all of them if empty. The references are always measured.
    pub functions: Vec<String>,
    /// Whether to measure list also without prepared statements, and behind PgBouncer.
    pub pooler: bool,
}

/// How much is measured.
struct Plan {
    /// How often each program is started.
    rounds: usize,
    /// How many calls each process answers after its first.
    warm_calls: usize,
    /// No round begins after this time.
    time: Duration,
}

impl Plan {
    const FULL: Self = Self { rounds: 100, warm_calls: 500, time: Duration::from_mins(20) };
    const QUICK: Self = Self { rounds: 25, warm_calls: 100, time: Duration::from_secs(100) };
}

/// Measures. The programs take turns, so that whatever else the machine does meets them alike.
///
/// Call it on a runtime with a single thread: the servers run in this process.
///
/// # Errors
/// If this is not Linux, a program cannot be built, a server does not start, or a program gives another answer than expected.
pub async fn run(options: &Options) -> Result<Report> {
    let programs = programs::all(&options.functions, options.pooler).await?;
    let shape = machine::shape()?;
    machine::pin_to_one_cpu()?;
    let fixture = Fixture::start(options.pooler).await?;
    record_statements(&programs, &fixture).await?;
    let plan = if options.quick { Plan::QUICK } else { Plan::FULL };
    let mut round_trips = BTreeMap::new();
    for program in &programs {
        round_trips.insert(program.name.clone(), count_round_trips(program, &fixture).await?);
    }
    let samples = measure(&programs, &fixture, &plan).await?;
    report::of(shape, &programs, &samples, &round_trips)
}

/// The samples of each program, in the order of `programs`.
async fn measure(programs: &[Program], fixture: &Fixture, plan: &Plan) -> Result<Vec<Vec<Sample>>> {
    let mut samples: Vec<Vec<Sample>> = programs.iter().map(|_| Vec::new()).collect();
    let began = Instant::now();
    for _ in 0..plan.rounds {
        if began.elapsed() > plan.time {
            break;
        }
        for (program, samples) in programs.iter().zip(&mut samples) {
            samples.push(process::sample(program, fixture, plan.warm_calls).await?);
        }
    }
    Ok(samples)
}

/// Writes what list sends to Postgres in one call to the file from which the references read it.
async fn record_statements(programs: &[Program], fixture: &Fixture) -> Result<()> {
    let Some(list) = programs.iter().find(|program| program.name == programs::LIST) else { return Ok(()) };
    let relay = Relay::start(fixture.postgres_port()).await?;
    let event = Event::of(programs::LIST, fixture)?;
    let mut process = Process::start(list, fixture, fixture.plain_environment(programs::LIST, relay.port())?).await?;
    process.answer(&event).await?;
    let before = relay.sent().len();
    process.answer(&event).await?;
    let statements = recording::statements(&relay.sent(), before)?;
    process.end().await;
    fixture.write_statements(&statements)
}

async fn count_round_trips(program: &Program, fixture: &Fixture) -> Result<RoundTrips> {
    let relay = Relay::start(fixture.port_of(program)?).await?;
    let event = Event::of(&program.name, fixture)?;
    let mut process = Process::start(program, fixture, fixture.environment(program, relay.port())?).await?;
    process.answer(&event).await?;
    let cold = relay.round_trips();
    // Some programs prepare a statement at its second use.
    process.answer(&event).await?;
    let before = relay.round_trips();
    process.answer(&event).await?;
    let warm = relay.round_trips() - before;
    process.end().await;
    Ok(RoundTrips { cold, warm })
}
