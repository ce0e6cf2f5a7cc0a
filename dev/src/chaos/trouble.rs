//! How things go wrong, and are put right again.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::laboratory::{Laboratory, Tally};
use super::plan::{Harm, Plan, Trouble};
use crate::wire::Fault;

impl Laboratory {
    /// Makes ready what waits for its interaction.
    pub(super) async fn provoke(&self, plan: &Plan) -> Result<()> {
        self.control(Method::PUT, "settings", &plan.telnyx).await?;
        for trouble in &plan.troubles {
            match trouble {
                Trouble::Struck { point, moment, harm } => self.wire.strike(point.clone(), *moment, self.fault(*harm)?),
                Trouble::Telnyx(fault) => {
                    self.control(Method::POST, "faults", fault).await?;
                }
                Trouble::Killed { .. } | Trouble::CutOff { .. } | Trouble::Crashed { .. } => {}
            }
        }
        Ok(())
    }

    fn fault(&self, harm: Harm) -> Result<Fault> {
        let Harm::Kill(function) = harm else {
            return Ok(if harm == Harm::Silence { Fault::Silence } else { Fault::Cut });
        };
        let (function, tally) = (self.function(function)?, Arc::clone(&self.tally));
        Ok(Fault::call(async move { Tally::add(&tally.kills, function.kill().await) }))
    }

    /// Brings what comes in its own time, and returns when all of it has come.
    pub(super) async fn disturb(&self, plan: &Plan) -> Result<()> {
        join_all(plan.troubles.iter().map(|trouble| self.bring(trouble))).await.into_iter().collect()
    }

    async fn bring(&self, trouble: &Trouble) -> Result<()> {
        let struck = match trouble {
            Trouble::Struck { .. } | Trouble::Telnyx(_) => 0,
            Trouble::Killed { after, function } => {
                sleep(*after).await;
                let killed = self.function(function)?.kill().await;
                Tally::add(&self.tally.kills, killed);
                usize::from(killed > 0)
            }
            Trouble::CutOff { after } => {
                sleep(*after).await;
                self.wire.cut_all();
                1
            }
            Trouble::Crashed { after } => {
                sleep(*after).await;
                self.crash_postgres().await?;
                1
            }
        };
        Tally::add(&self.tally.faults, struck);
        Ok(())
    }

    /// Puts everything right: what has not gone wrong by now will not, and every order ends.
    pub(super) async fn heal(&self, plan: &Plan) -> Result<()> {
        let ordered: u64 = plan.troubles.iter().map(|trouble| if let Trouble::Telnyx(fault) = trouble { times(fault) } else { 0 }).sum();
        let left = self.control(Method::GET, "faults", &Value::Null).await?;
        let left: u64 = left["faults"].as_array().into_iter().flatten().map(times).sum();
        self.tally.faults.fetch_add(ordered.saturating_sub(left) + self.wire.struck() as u64, Ordering::Relaxed);
        self.control(Method::DELETE, "faults", &Value::Null).await?;
        self.wire.heal();
        self.calm(plan.orders_end).await
    }

    /// Has the simulator behave, and pending orders end as told.
    pub(super) async fn calm(&self, orders_end: &str) -> Result<()> {
        let calm = json!({
            "order_delay_ms": 0,
            "order_delay_reads": 0,
            "order_outcome": orders_end,
            "number_delay_ms": 0,
            "number_lag_ms": 0,
            "reference_lag_ms": 0,
            "delete_lag_reads": 0,
            "insufficient_funds": false,
            "taken_as_bad_request": false,
            "webhook_copies": 1,
            "webhook_delay_ms": 0,
            "webhook_reorder": false,
        });
        self.control(Method::PUT, "settings", &calm).await?;
        // Those of before have ended with that; the ones to come succeed.
        self.control(Method::PUT, "settings", &json!({"order_outcome": "success"})).await?;
        Ok(())
    }

    async fn control(&self, method: Method, what: &str, body: &Value) -> Result<Value> {
        let request = self.http.request(method, format!("{}/{what}", self.stack.telnyx().control_url())).json(body);
        let response = request.send().await.with_context(|| format!("controlling {what}"))?;
        Ok(response.error_for_status().with_context(|| format!("{what}: {body}"))?.json().await?)
    }
}

fn times(fault: &Value) -> u64 {
    fault["times"].as_u64().unwrap_or_default()
}
