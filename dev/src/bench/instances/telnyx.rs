//! A Telnyx simulator on threads of its own: what they use of the CPUs is the simulator's, and does not count as the load's.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::runtime;
use tokio::sync::oneshot;

use crate::bench::machine;
use crate::telnyx_simulator::{Options, Settings, Simulator};

/// The scheduler gives every thread the same share of the CPUs. A simulator with one thread would be slow beside as many busy
/// processes as there are instances, however little it has to do.
const THREADS: usize = 16;

type Threads = Arc<Mutex<Vec<machine::Thread>>>;

/// A running simulator. It stops when the value is dropped.
pub(super) struct Telnyx {
    pub(super) url: String,
    pub(super) api_key: String,
    control_url: String,
    threads: Threads,
    http: reqwest::Client,
    _running: oneshot::Sender<()>,
}

impl Telnyx {
    pub(super) async fn start(settings: Settings) -> Result<Self> {
        let (running, stopped) = oneshot::channel();
        let (started, start) = oneshot::channel();
        let serve = async move {
            let simulator = Simulator::start(Options { settings, ..Options::default() }).await;
            let (simulator, outcome) = match simulator {
                Ok(simulator) => {
                    let told = (simulator.url(), simulator.control_url(), simulator.api_key().to_owned());
                    (Some(simulator), Ok(told))
                }
                Err(error) => (None, Err(error)),
            };
            // An error means that the starter has given up, and then `stopped` resolves.
            let _ = started.send(outcome);
            let _ = stopped.await;
            drop(simulator);
        };
        let threads = Threads::default();
        let known = Arc::clone(&threads);
        let note = move || known.lock().unwrap_or_else(PoisonError::into_inner).extend(machine::this_thread());
        let runtime = runtime::Builder::new_multi_thread().worker_threads(THREADS).on_thread_start(note).enable_all().build()?;
        thread::spawn(move || runtime.block_on(serve));
        let (url, control_url, api_key) = start.await.context("the simulator's thread ended")??;
        Ok(Self { url, api_key, control_url, threads, http: crate::loopback::client()?, _running: running })
    }

    /// What `/_control/state` says.
    pub(super) async fn state(&self) -> Result<Value> {
        Ok(self.http.get(format!("{}/state", self.control_url)).send().await?.error_for_status()?.json().await?)
    }

    /// Every local number of the US that is on offer.
    pub(super) async fn numbers(&self) -> Result<Vec<String>> {
        let query = [("filter[country_code]", "US"), ("filter[phone_number_type]", "local"), ("filter[limit]", "100000")];
        let request = self.http.get(format!("{}/available_phone_numbers", self.url)).query(&query).bearer_auth(&self.api_key);
        let found: Value = request.send().await?.error_for_status()?.json().await?;
        let offers = found["data"].as_array().context("the simulator's search has no data")?;
        Ok(offers.iter().filter_map(|offer| offer["phone_number"].as_str()).map(ToOwned::to_owned).collect())
    }

    /// The CPU time of its threads so far, where it is known.
    pub(super) fn cpu_time(&self) -> Option<Duration> {
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let times: Option<Vec<_>> = threads.iter().map(|thread| thread.cpu_time().ok()).collect();
        times.filter(|times| !times.is_empty()).map(|times| times.iter().sum())
    }
}
