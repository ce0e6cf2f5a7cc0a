//! The events that the instances are invoked with.

use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use axum::body::Bytes;
use serde_json::{Value, json};

use super::fixture::{AGENCIES, Site, owner};
use super::workload::Workload;
use crate::bench::events;

/// The events of one step.
pub(super) struct Requests {
    /// One for each agency.
    events: Vec<Value>,
    /// None for a workload that buys nothing.
    stock: Option<Stock>,
}

/// What can still be bought.
struct Stock {
    numbers: Mutex<Vec<String>>,
    numbers_of_a_call: usize,
}

impl Stock {
    /// The body of the next purchase. No two are of the same number.
    fn next(&self) -> Result<Value> {
        let mut left = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = left.len().checked_sub(self.numbers_of_a_call);
        let rest = rest.context("the simulator has no more numbers to sell: measure for fewer seconds")?;
        let numbers = left.split_off(rest).into_iter().map(|number| json!({"phone_number": number}));
        Ok(json!({"phone_numbers": numbers.collect::<Value>()}))
    }
}

impl Requests {
    pub(super) async fn of(workload: Workload, site: &Site) -> Result<Self> {
        let (mut event, stock) = match workload {
            Workload::List => (events::read("list")?, None),
            Workload::Purchase { numbers: numbers_of_a_call, .. } => {
                let numbers = Mutex::new(site.telnyx().numbers().await?);
                (events::read("purchase")?, Some(Stock { numbers, numbers_of_a_call }))
            }
        };
        if workload == Workload::List {
            event["rawQueryString"] = json!("limit=50");
            event["queryStringParameters"] = json!({"limit": "50"});
        }
        let of_agency = |agency| {
            event["headers"]["authorization"] = json!(format!("Bearer {}", site.token(owner(agency))));
            event.clone()
        };
        Ok(Self { events: (0..AGENCIES).map(of_agency).collect(), stock })
    }

    /// The next event of an instance.
    ///
    /// # Errors
    /// If all numbers are bought.
    pub(super) fn next(&self, instance: usize) -> Result<Bytes> {
        let event = &self.events[instance % self.events.len()];
        let Some(stock) = &self.stock else { return Ok(event.to_string().into()) };
        let mut event = event.clone();
        event["body"] = stock.next()?.to_string().into();
        Ok(event.to_string().into())
    }
}

/// What is wrong with an answer in the format of API Gateway, if its status is not 200: the status and the problem's code.
pub(super) fn problem(answer: &[u8]) -> Result<String> {
    let answer: Value = serde_json::from_slice(answer)?;
    let status = answer["statusCode"].as_u64().context("the answer has no status")?;
    ensure!(status != 200, "the answer is right");
    let body: Value = answer["body"].as_str().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default();
    let what = body["code"].as_str().map_or_else(|| body.to_string(), ToOwned::to_owned);
    Ok(format!("{status} {what}"))
}
