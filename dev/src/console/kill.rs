//! Kills the purchase function in the middle of a purchase: Telnyx has the order, and nobody has its answer.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::http::Method;
use serde_json::{Value, json};
use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::controls::Controls;
use crate::lambda::functions::Function;

/// How long the simulator holds the answer back. It must be longer than the kill takes.
const ANSWER_DELAY_MS: u64 = 60_000;
/// The pause between two looks at whether the order has arrived.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Where orders are placed.
const ORDERS: &str = "/v2/number_orders";

/// Kills the function at its next order, once armed.
#[derive(Debug)]
pub(super) struct Kill {
    controls: Controls,
    function: Function,
    watch: Mutex<Option<AbortHandle>>,
}

impl Kill {
    pub(super) fn new(controls: Controls, function: Function) -> Self {
        Self { controls, function, watch: Mutex::default() }
    }

    /// Whether the next order kills the function.
    pub(super) fn is_armed(&self) -> bool {
        self.watch().as_ref().is_some_and(|watch| !watch.is_finished())
    }

    /// Holds the answer to the next order back, and kills the function when the order has arrived.
    pub(super) async fn arm(&self) -> Result<()> {
        self.disarm().await?;
        let before = orders_with_faults(&self.controls).await?;
        self.controls.json(Method::POST, "faults", &fault()).await?;
        let (controls, function) = (self.controls.clone(), self.function.clone());
        let watching = tokio::spawn(async move {
            // It fails only if the simulator is gone, and the function's purchases with it.
            if has_arrived(&controls, before).await.unwrap_or(false) {
                function.kill().await;
            }
        });
        *self.watch() = Some(watching.abort_handle());
        Ok(())
    }

    /// Takes that back. Other faults stay.
    pub(super) async fn disarm(&self) -> Result<()> {
        if let Some(watch) = self.watch().take() {
            watch.abort();
        }
        let faults = waiting(&self.controls).await?;
        if faults.iter().any(is_ours) {
            self.controls.json(Method::DELETE, "faults", &Value::Null).await?;
            for fault in faults.iter().filter(|fault| !is_ours(fault)) {
                self.controls.json(Method::POST, "faults", fault).await?;
            }
        }
        Ok(())
    }

    fn watch(&self) -> MutexGuard<'_, Option<AbortHandle>> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Kill {
    fn drop(&mut self) {
        if let Some(watch) = self.watch().take() {
            watch.abort();
        }
    }
}

fn fault() -> Value {
    json!({"method": "POST", "path_prefix": ORDERS, "kind": "delay", "delay_ms": ANSWER_DELAY_MS})
}

fn is_ours(fault: &Value) -> bool {
    fault["kind"] == "delay" && fault["delay_ms"] == ANSWER_DELAY_MS && fault["path_prefix"] == ORDERS
}

/// Waits until our fault is gone. Returns whether an order used it up; otherwise it was cleared.
async fn has_arrived(controls: &Controls, before: usize) -> Result<bool> {
    while waiting(controls).await?.iter().any(is_ours) {
        sleep(LOOK_EVERY).await;
    }
    Ok(orders_with_faults(controls).await? > before)
}

/// The faults that have not come yet.
async fn waiting(controls: &Controls) -> Result<Vec<Value>> {
    let faults = controls.json(Method::GET, "faults", &Value::Null).await?;
    Ok(faults["faults"].as_array().context("the simulator lists no faults")?.clone())
}

async fn orders_with_faults(controls: &Controls) -> Result<usize> {
    let state = controls.json(Method::GET, "state", &Value::Null).await?;
    let requests = state["requests"].as_array().context("the simulator lists no requests")?;
    Ok(requests.iter().filter(|request| request["method"] == "POST" && request["path"] == ORDERS && request["faulted"] == true).count())
}
