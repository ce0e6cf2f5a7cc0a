//! The figures of one program.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::process::Sample;
use super::programs::{Program, Size};
use super::relay::RoundTrips;

/// Lambda's list price on x86-64 in us-east-1, in dollars: <https://aws.amazon.com/lambda/pricing/>.
const PRICE_OF_A_GB_SECOND: f64 = 0.000_016_666_7;
const PRICE_OF_A_MILLION_REQUESTS: f64 = 0.20;
/// A function has one whole CPU at this memory: <https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>.
const MB_OF_ONE_CPU: f64 = 1_769.0;

/// The figures of one program.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    /// From the start of the process to its first answer.
    pub(super) cold_ms_p50: f64,
    pub(super) cold_ms_p90: f64,
    /// The CPU time of the process until its first answer.
    pub(super) cold_cpu_ms: f64,
    /// From a later event to its answer.
    pub(super) warm_us_p50: f64,
    pub(super) warm_us_p99: f64,
    /// The CPU time of a later call.
    pub(super) cpu_us: f64,
    /// The CPU time of Postgres for a later call.
    postgres_cpu_us: f64,
    /// The same of the pooler, if there is one before Postgres.
    pooler_cpu_us: Option<f64>,
    pub(super) peak_rss_mb: f64,
    pub(super) size_mb: Option<f64>,
    pub(super) zip_mb: Option<f64>,
    /// Round trips to Postgres of a later call.
    pub(super) round_trips: usize,
    /// The same from the start of the process to its first answer.
    pub(super) cold_round_trips: usize,
    /// GB-seconds that Lambda charges for a million later calls.
    gb_seconds_per_million: f64,
    dollars_per_million: f64,
}

impl Row {
    pub(super) fn of(program: &Program, samples: &[Sample], round_trips: RoundTrips) -> Self {
        let of = |figure: fn(&Sample) -> Duration| sorted(samples.iter().map(figure));
        let (cold, warm) = (of(|sample| sample.cold), sorted(samples.iter().flat_map(|sample| sample.warm.iter().copied())));
        let (cold_cpu, cpu) = (of(|sample| sample.cold_cpu), of(|sample| sample.warm_cpu));
        let postgres_cpu = of(|sample| sample.postgres_cpu);
        let pooler_cpu = sorted(samples.iter().filter_map(|sample| sample.pooler_cpu));
        let (warm_us_p50, cpu_us) = (us(percentile(&warm, 50)), us(percentile(&cpu, 50)));
        let peak_kib = samples.iter().map(|sample| sample.peak_memory_kib).max().unwrap_or_default();
        let gb_seconds_per_million = gb_seconds_per_million(warm_us_p50, cpu_us, megabytes(program.memory_mb));
        Self {
            name: program.name.clone(),
            cold_ms_p50: us(percentile(&cold, 50)) / 1e3,
            cold_ms_p90: us(percentile(&cold, 90)) / 1e3,
            cold_cpu_ms: us(percentile(&cold_cpu, 50)) / 1e3,
            warm_us_p50,
            warm_us_p99: us(percentile(&warm, 99)),
            cpu_us,
            postgres_cpu_us: us(percentile(&postgres_cpu, 50)),
            pooler_cpu_us: (!pooler_cpu.is_empty()).then(|| us(percentile(&pooler_cpu, 50))),
            peak_rss_mb: megabytes(peak_kib) * 1024.0 / 1e6,
            size_mb: program.size.map(|Size { binary, .. }| megabytes(binary) / 1e6),
            zip_mb: program.size.map(|Size { zip, .. }| megabytes(zip) / 1e6),
            round_trips: round_trips.warm,
            cold_round_trips: round_trips.cold,
            gb_seconds_per_million,
            dollars_per_million: gb_seconds_per_million * PRICE_OF_A_GB_SECOND + PRICE_OF_A_MILLION_REQUESTS,
        }
    }
}

/// What Lambda charges for: the time to wait as it was measured, and the CPU time at the share of a CPU that the memory gives,
/// rounded up to whole milliseconds.
fn gb_seconds_per_million(warm_us: f64, cpu_us: f64, memory_mb: f64) -> f64 {
    let share = (memory_mb / MB_OF_ONE_CPU).min(1.0);
    let milliseconds = (((warm_us - cpu_us).max(0.0) + cpu_us / share) / 1e3).ceil();
    memory_mb / 1024.0 * milliseconds / 1e3 * 1e6
}

fn sorted(figures: impl Iterator<Item = Duration>) -> Vec<Duration> {
    let mut figures: Vec<_> = figures.collect();
    figures.sort_unstable();
    figures
}

/// The nearest-rank percentile of sorted figures.
pub(super) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

pub(super) fn milliseconds(duration: Duration) -> f64 {
    us(duration) / 1e3
}

fn us(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
fn megabytes(count: u64) -> f64 {
    count as f64
}

impl fmt::Display for Row {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pooler_cpu = self.pooler_cpu_us.map_or_else(|| "–".to_owned(), |cpu| format!("{cpu:.0}"));
        let size = |size: Option<f64>| size.map_or_else(|| "–".to_owned(), |size| format!("{size:.2}"));
        write!(
            out,
            "| {} | {:.1} | {:.1} | {:.1} | {:.0} | {:.0} | {:.0} | {:.0} | {pooler_cpu} | {:.1} | {} | {} | {} | {} | {:.0} | {:.2} |",
            self.name,
            self.cold_ms_p50,
            self.cold_ms_p90,
            self.cold_cpu_ms,
            self.warm_us_p50,
            self.warm_us_p99,
            self.cpu_us,
            self.postgres_cpu_us,
            self.peak_rss_mb,
            size(self.size_mb),
            size(self.zip_mb),
            self.round_trips,
            self.cold_round_trips,
            self.gb_seconds_per_million,
            self.dollars_per_million,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_figures_that_were_measured() {
        let figures: Vec<_> = (1..=10).map(Duration::from_millis).collect();
        let found = [50, 90, 99].map(|percent| percentile(&figures, percent).as_millis());
        assert_eq!(found, [5, 9, 10]);
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }

    #[test]
    fn a_call_is_charged_in_whole_milliseconds_at_the_cpus_share() {
        // Half a CPU: 400 µs of work take 800 µs, and 100 µs of waiting stay as they are.
        assert!((gb_seconds_per_million(500.0, 400.0, MB_OF_ONE_CPU / 2.0) - MB_OF_ONE_CPU / 2.0 / 1024.0 * 1e3).abs() < 1e-6);
    }
}
