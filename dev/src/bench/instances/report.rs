//! The figures of a run, as a table and as JSON.

use std::fmt;
use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use serde::Serialize;

use super::step::Step;

/// The result of a run.
#[derive(Debug, Serialize)]
pub struct Report {
    machine: String,
    at: String,
    /// How long each step took.
    seconds: u64,
    postgres: Postgres,
    steps: Vec<Step>,
}

/// The server that all instances share.
#[derive(Debug, Serialize)]
struct Postgres {
    connections: &'static str,
    max_connections: u32,
}

impl Report {
    pub(super) fn new(machine: String, time: Duration, max_connections: u32, steps: Vec<Step>) -> Self {
        let at = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
        let postgres = Postgres { connections: "TLS with SCRAM", max_connections };
        Self { machine, at, seconds: time.as_secs(), postgres, steps }
    }

    /// What must not be, in any step.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        self.steps.iter().flat_map(Step::faults).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { machine, at, seconds, postgres: Postgres { connections, max_connections }, .. } = self;
        writeln!(out, "{at}, {machine}, {seconds} s each, Postgres over {connections}, max_connections {max_connections}\n")?;
        writeln!(
            out,
            "| workload | instances | calls a second | p50 ms | p99 ms | errors | connections | of one | left idle | waits for Postgres % \
             | for Telnyx % | CPUs: functions | Postgres | Telnyx | load | others |"
        )?;
        writeln!(out, "|---|{}", "---:|".repeat(15))?;
        for step in &self.steps {
            write_row(out, step)?;
        }
        for (step, (complaint, count)) in self.steps.iter().flat_map(|step| step.complaints.iter().map(move |said| (step, said))) {
            writeln!(out, "\n{}, {} instances, logged {count} ×: {complaint}", step.workload, step.instances)?;
        }
        for fault in self.faults() {
            writeln!(out, "\n{fault}")?;
        }
        Ok(())
    }
}

fn write_row(out: &mut fmt::Formatter<'_>, step: &Step) -> fmt::Result {
    write!(
        out,
        "| {} | {} | {:.1} | {:.1} | {:.1} | {} | {} | {} | {} | {:.0} | {:.0} |",
        step.workload,
        step.instances,
        step.calls_per_second,
        step.p50_ms,
        step.p99_ms,
        step.errors.values().sum::<usize>(),
        step.connections,
        step.connections_of_one,
        step.connections_left,
        step.postgres_part * 100.0,
        step.telnyx_part * 100.0,
    )?;
    match step.cpus {
        Some(cpus) => {
            let parties = [cpus.functions, cpus.postgres, cpus.telnyx, cpus.load, cpus.others];
            writeln!(out, "{}", parties.map(|cpus| format!(" {cpus:.2} |")).concat())
        }
        None => writeln!(out, "{}", " – |".repeat(5)),
    }
}
