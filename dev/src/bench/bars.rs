//! The limits that the figures must keep. Those of times are ratios to the references of the same run.

use anyhow::{Context, Result};
use serde::Serialize;

use super::programs::{BARE, LIST, NAIVE, NODE};
use super::report::Row;

/// The goal for every artifact. What each may have until then is in `.ci/budgets.json`.
const LARGEST_BINARY_MB: f64 = 8.5;
const LARGEST_ZIP_MB: f64 = 4.0;
const LARGEST_PEAK_MB: f64 = 12.0;

const ASSIGN: &str = "phone-numbers-assign";
const PURCHASE: &str = "phone-numbers-purchase";
/// The largest number of round trips to Postgres of a call as `events` has it.
const ROUND_TRIPS: [(&str, u32); 5] = [(LIST, 1), (ASSIGN, 2), ("phone-numbers-search", 1), (PURCHASE, 1), ("phone-numbers-release", 1)];

/// A limit, and what was measured.
#[derive(Debug, Serialize)]
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) value: f64,
    pub(super) limit: f64,
    pub(super) ok: bool,
}

impl Bar {
    fn new(name: impl Into<String>, value: f64, limit: f64) -> Self {
        Self { name: name.into(), value, limit, ok: value <= limit }
    }
}

/// The bars of a run. Those about a program that was not measured are left out.
pub(super) fn of(rows: &[Row]) -> Result<Vec<Bar>> {
    let find = |name: &str| rows.iter().find(|row| row.name == name);
    let (list, bare) = (find(LIST).context("list was not measured")?, find(BARE).context("the bare client was not measured")?);
    let mut found = vec![Bar::new("list: cold start / bare client's", list.cold_ms_p50 / bare.cold_ms_p50, 1.3)];
    let others = [(NAIVE, "naive build's", 0.33), (NODE, "Node's", 0.2)];
    found.extend(others.iter().filter_map(|(name, whose, limit)| {
        Some(Bar::new(format!("list: cold start / {whose}"), list.cold_ms_p50 / find(name)?.cold_ms_p50, *limit))
    }));
    found.push(Bar::new("list: cold CPU / bare client's", list.cold_cpu_ms / bare.cold_cpu_ms, 1.5));
    found.push(Bar::new("list: warm p50 / bare client's", list.warm_us_p50 / bare.warm_us_p50, 1.15));
    let functions = || rows.iter().filter(|row| row.name.starts_with("phone-numbers-"));
    for row in functions().filter(|row| row.name != LIST) {
        found.push(Bar::new(format!("{}: cold start / bare client's", short(row)), row.cold_ms_p50 / bare.cold_ms_p50, 1.4));
    }
    for row in functions() {
        let sizes = [("size in MB", row.size_mb, LARGEST_BINARY_MB), ("zip in MB", row.zip_mb, LARGEST_ZIP_MB)];
        found.extend(sizes.iter().filter_map(|(what, size, limit)| Some(Bar::new(format!("{}: {what}", short(row)), (*size)?, *limit))));
        found.push(Bar::new(format!("{}: peak memory in MB", short(row)), row.peak_rss_mb, LARGEST_PEAK_MB));
    }
    if let Some(purchase) = find(PURCHASE).and_then(|row| row.size_mb) {
        let smaller = [LIST, ASSIGN].into_iter().filter_map(find).filter_map(|row| Some((row, row.size_mb?)));
        found.extend(smaller.map(|(row, size)| Bar::new(format!("{}: size / purchase's", short(row)), size / purchase, 1.0)));
    }
    for (name, limit) in ROUND_TRIPS {
        found.extend(find(name).map(|row| Bar::new(format!("{}: round trips", short(row)), count(row.round_trips), f64::from(limit))));
    }
    Ok(found)
}

/// A function's name without what all have in common.
fn short(row: &Row) -> &str {
    row.name.strip_prefix("phone-numbers-").unwrap_or(&row.name)
}

fn count(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}
