//! The figures of a run, as a table and as JSON.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result};
use chrono::{SecondsFormat, Utc};
use serde::Serialize;

use super::bars::{self, Bar};
use super::process::Sample;
use super::programs::Program;
use super::relay::RoundTrips;
use super::row::Row;

/// The result of a run.
#[derive(Debug, Serialize)]
pub struct Report {
    machine: Machine,
    rows: Vec<Row>,
    bars: Vec<Bar>,
}

/// Where and when it was measured.
#[derive(Debug, Serialize)]
struct Machine {
    shape: String,
    at: String,
    /// How often each program was started.
    rounds: usize,
}

/// The report about the programs with their samples.
pub(super) fn of(
    shape: String,
    programs: &[Program],
    samples: &[Vec<Sample>],
    round_trips: &BTreeMap<String, RoundTrips>,
) -> Result<Report> {
    let rows = programs.iter().zip(samples).map(|(program, samples)| {
        let round_trips = round_trips.get(&program.name).context("round trips were not counted")?;
        Ok(Row::of(program, samples, *round_trips))
    });
    let rows: Vec<Row> = rows.collect::<Result<_>>()?;
    let machine = Machine { shape, at: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true), rounds: samples.first().map_or(0, Vec::len) };
    Ok(Report { machine, bars: bars::of(&rows)?, rows })
}

impl Report {
    /// Whether every bar is met.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.bars.iter().all(|bar| bar.ok)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { shape, at, rounds } = &self.machine;
        writeln!(out, "{at}, {shape}, {rounds} starts of each program\n")?;
        writeln!(
            out,
            "| program | cold ms p50 | p90 | cold CPU ms | warm µs p50 | p99 | CPU µs | Postgres CPU µs | pooler CPU µs | peak MB | size MB \
             | zip MB | round trips warm | cold | GB-s per million | $ per million |"
        )?;
        writeln!(out, "|---|{}", "---:|".repeat(15))?;
        for row in &self.rows {
            writeln!(out, "{row}")?;
        }
        writeln!(out, "\n| bar | value | limit | |\n|---|---:|---:|---|")?;
        for Bar { name, value, limit, ok } in &self.bars {
            writeln!(out, "| {name} | {value:.2} | {limit:.2} | {} |", if *ok { "met" } else { "**missed**" })?;
        }
        Ok(())
    }
}
