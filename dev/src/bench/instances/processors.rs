//! Who used the CPUs during a step.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;
use tokio_postgres::Client;

use super::telnyx::Telnyx;
use crate::bench::machine;
use crate::lambda::functions::Function;
use crate::postgres::describe;

const SERVER_PROCESSES: &str = "select pid from pg_stat_activity where pid <> pg_backend_pid()";

/// How many CPUs each party kept busy on average.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Use {
    /// The instances.
    pub(super) functions: f64,
    /// The server's processes.
    pub(super) postgres: f64,
    /// The simulator.
    pub(super) telnyx: f64,
    /// What sends the events: this process without the simulator.
    pub(super) load: f64,
    /// Everything else on this machine.
    pub(super) others: f64,
}

/// The CPU times at one moment.
pub(super) struct Clocks {
    at: Instant,
    functions: BTreeMap<u32, Duration>,
    postgres: BTreeMap<u32, Duration>,
    telnyx: Duration,
    this: Duration,
    machine: Duration,
}

impl Clocks {
    /// Reads them. None where they cannot be read: other systems than Linux.
    pub(super) async fn read(instances: &[Function], telnyx: &Telnyx, database: &Client) -> Result<Option<Self>> {
        let rows = database.query(SERVER_PROCESSES, &[]).await.map_err(|error| describe(&error))?;
        let server: Vec<i32> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        let functions = instances.iter().flat_map(Function::idle_processes);
        let (Some(telnyx), Ok(this), Ok(machine)) = (telnyx.cpu_time(), machine::cpu_time(std::process::id()), machine::busy_time()) else {
            return Ok(None);
        };
        let (functions, postgres) = (times(functions), times(server.into_iter().map(i32::cast_unsigned)));
        Ok(Some(Self { at: Instant::now(), functions, postgres, telnyx, this, machine }))
    }

    /// What was used since an earlier moment.
    pub(super) fn since(&self, earlier: &Self) -> Use {
        let elapsed = self.at.duration_since(earlier.at).as_secs_f64();
        let cpus = |time: Duration| time.as_secs_f64() / elapsed;
        let (functions, postgres) = (grown(&self.functions, &earlier.functions), grown(&self.postgres, &earlier.postgres));
        let telnyx = self.telnyx.saturating_sub(earlier.telnyx);
        let load = self.this.saturating_sub(earlier.this).saturating_sub(telnyx);
        let others = self.machine.saturating_sub(earlier.machine).saturating_sub(functions + postgres + telnyx + load);
        Use { functions: cpus(functions), postgres: cpus(postgres), telnyx: cpus(telnyx), load: cpus(load), others: cpus(others) }
    }
}

/// The CPU time of each process that still runs.
fn times(processes: impl Iterator<Item = u32>) -> BTreeMap<u32, Duration> {
    processes.filter_map(|process| Some((process, machine::cpu_time(process).ok()?))).collect()
}

/// By how much the times have grown. A process that is new has used all of its time since.
fn grown(now: &BTreeMap<u32, Duration>, before: &BTreeMap<u32, Duration>) -> Duration {
    now.iter().map(|(process, time)| time.saturating_sub(before.get(process).copied().unwrap_or_default())).sum()
}
