//! A Telnyx simulator on a thread of its own: what that thread uses of the CPU is the simulator's, and it cannot hide among what the
//! load takes.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::runtime;
use tokio::sync::oneshot;

use crate::bench::machine;
use crate::telnyx_simulator::{Options, Settings, Simulator};

/// A running simulator. It stops when the value is dropped.
pub(super) struct Telnyx {
    pub(super) url: String,
    pub(super) api_key: String,
    control_url: String,
    thread: Option<machine::Thread>,
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
                    let said = (simulator.url(), simulator.control_url(), simulator.api_key().to_owned(), machine::this_thread());
                    (Some(simulator), Ok(said))
                }
                Err(error) => (None, Err(error)),
            };
            // An error means that the starter has given up, and then `stopped` resolves.
            let _ = started.send(outcome);
            let _ = stopped.await;
            drop(simulator);
        };
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        thread::spawn(move || runtime.block_on(serve));
        let (url, control_url, api_key, thread) = start.await.context("the simulator's thread ended")??;
        Ok(Self { url, api_key, control_url, thread, http: crate::loopback::client()?, _running: running })
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

    /// The CPU time of its thread so far, where it is known.
    pub(super) fn cpu_time(&self) -> Option<Duration> {
        self.thread.as_ref()?.cpu_time().ok()
    }
}
