//! Injects the faults of a plan, and ends them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result};
use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::harness::{Counters, Harness, PATIENCE, PAUSE};
use super::plan::{Disruption, Effect, Plan};
use super::{agencies, telnyx_accounts};
use crate::fault_proxy::Fault;
use crate::postgres::describe;

impl Harness {
    /// Arms the faults that are bound to an interaction.
    pub(super) async fn arm_faults(&self, plan: &Plan) -> Result<()> {
        self.control(Method::PUT, "settings", &plan.telnyx).await?;
        for disruption in &plan.disruptions {
            match disruption {
                Disruption::AtInteraction { point, moment, effect } => self.proxy.inject(point.clone(), *moment, self.fault(*effect)?),
                Disruption::Telnyx(fault) => {
                    self.control(Method::POST, "faults", fault).await?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn fault(&self, effect: Effect) -> Result<Fault> {
        let Effect::Kill(function) = effect else {
            return Ok(if effect == Effect::Silence { Fault::Silence } else { Fault::Cut });
        };
        let (function, counters) = (self.function(function)?, Arc::clone(&self.counters));
        Ok(Fault::call(async move { Counters::add(&counters.kills, function.kill().await) }))
    }

    /// Executes the timed disruptions. Returns after the last one.
    pub(super) async fn inject_timed_faults(&self, plan: &Plan) -> Result<()> {
        join_all(plan.disruptions.iter().map(|disruption| self.inject_timed_fault(disruption))).await.into_iter().collect()
    }

    async fn inject_timed_fault(&self, disruption: &Disruption) -> Result<()> {
        let Some(after) = disruption.after() else { return Ok(()) };
        sleep(after).await;
        let happened = match disruption {
            Disruption::ProcessesKilled { function, .. } => {
                let killed = self.function(function)?.kill().await;
                Counters::add(&self.counters.kills, killed);
                killed > 0
            }
            Disruption::ConnectionsCut { .. } => {
                self.proxy.cut_all();
                true
            }
            Disruption::PostgresCrash { .. } => {
                self.crash_postgres().await?;
                true
            }
            Disruption::KeySwapped { .. } => {
                self.accounts.store_foreign_key();
                true
            }
            Disruption::KeyReplaced { .. } => {
                self.control(Method::PUT, "settings", &self.accounts.replace_key()).await?;
                true
            }
            Disruption::NumberMoved { number, .. } => self.move_between_accounts(*number).await?,
            Disruption::NumberLocked { number, .. } => self.change(*number, &json!({"deletion_lock_enabled": true})).await?,
            Disruption::AgencyDeleted { agency, .. } => {
                self.delete_agency(*agency).await?;
                true
            }
            Disruption::AtInteraction { .. } | Disruption::Telnyx(_) => false,
        };
        Counters::add(&self.counters.faults, usize::from(happened));
        Ok(())
    }

    /// Moves a number to another account. Returns whether there was one: Telnyx's support does not move a number that is being
    /// ordered.
    async fn move_between_accounts(&self, number: usize) -> Result<bool> {
        let owner = agencies::agency(agencies::INDEPENDENT);
        let is_theirs = self.row(number).await?.is_some_and(|row| row.status == "active" && row.agency_id == owner);
        let state = self.telnyx().await?;
        let numbers = state["numbers"].as_array().into_iter().flatten();
        let account = numbers.filter(|shown| shown["phone_number"] == self.numbers[number].as_str()).map(|shown| &shown["account"]).last();
        let to = if account.is_some_and(|account| account == telnyx_accounts::PLATFORM) {
            telnyx_accounts::INDEPENDENT
        } else {
            telnyx_accounts::PLATFORM
        };
        Ok(is_theirs && self.change(number, &json!({ "account": to })).await?)
    }

    /// Changes a number as in Telnyx's portal. Returns whether there was one.
    async fn change(&self, number: usize, change: &Value) -> Result<bool> {
        let url = format!("{}/numbers/{}", self.stack.telnyx().control_url(), self.numbers[number]);
        let changed = self.http.patch(url).json(change).send().await?;
        Ok(changed.status() != StatusCode::NOT_FOUND && changed.error_for_status().context("changing a number").map(|_| true)?)
    }

    /// Deletes an agency, as soon as Postgres is up and its rows are not locked.
    async fn delete_agency(&self, agency: usize) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let delete = format!("delete from agencies where id = '{}'", agencies::agency(agency));
        loop {
            let deleted = match self.sql().await {
                Ok(sql) => sql.batch_execute(&delete).await.map_err(|error| describe(&error)),
                Err(error) => Err(error),
            };
            match deleted {
                Err(_) if Instant::now() < deadline => sleep(PAUSE).await,
                deleted => return deleted,
            }
        }
    }

    /// Ends all faults, including those that have not come yet, and ends every pending order.
    pub(super) async fn end_faults(&self, plan: &Plan) -> Result<()> {
        let ordered: u64 =
            plan.disruptions.iter().map(|disruption| if let Disruption::Telnyx(fault) = disruption { times(fault) } else { 0 }).sum();
        let left = self.control(Method::GET, "faults", &Value::Null).await?;
        let left: u64 = left["faults"].as_array().into_iter().flatten().map(times).sum();
        self.counters.faults.fetch_add(ordered.saturating_sub(left) + self.proxy.injected() as u64, Ordering::Relaxed);
        self.control(Method::DELETE, "faults", &Value::Null).await?;
        self.proxy.reset();
        self.accounts.restore_key();
        for number in 0..self.numbers.len() {
            self.change(number, &json!({"deletion_lock_enabled": false})).await?;
        }
        self.reset_faults(plan.orders_end).await
    }
}

fn times(fault: &Value) -> u64 {
    fault["times"].as_u64().unwrap_or_default()
}
