//! The requests of agencies, and how long they are repeated.

use anyhow::{Result, bail};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::agencies::{self, Role};
use super::harness::{Counters, Harness, PATIENCE, PAUSE};
use super::plan::{ASSIGN, Action, LIST, PURCHASE, Plan, RELEASE, SEARCH, Step};

/// A request and its last answer.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) function: &'static str,
    pub(super) method: Method,
    pub(super) agency: usize,
    role: Role,
    query: Vec<(&'static str, String)>,
    pub(super) body: Value,
    pub(super) key: Option<String>,
    /// The last answer.
    pub(super) answer: Option<Answer>,
    /// It was repeated until the time was up without a final answer.
    pub(super) gave_up: bool,
}

/// The answer of a function or of the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Answer {
    /// Whether the request need not be repeated.
    pub(super) fn is_final(&self) -> bool {
        let retryable = |problem: &Value| problem["retryable"] == true;
        match self.status {
            207 => {
                let items = ["phone_numbers", "failed"].iter().filter_map(|name| self.body[*name].as_array()).flatten();
                !items.clone().any(|item| item["outcome"] == "pending" || retryable(&item["problem"]))
            }
            202 | 429 | 500.. => false,
            _ => !retryable(&self.body),
        }
    }
}

impl Call {
    fn new(function: &'static str, method: Method, agency: usize, role: Role) -> Self {
        Self { function, method, agency, role, query: Vec::new(), body: Value::Null, key: None, answer: None, gave_up: false }
    }

    pub(super) fn search(agency: usize, role: Role, limit: usize) -> Self {
        let query = [("country_code", "US".to_owned()), ("area_code", "312".to_owned()), ("limit", limit.to_string())];
        Self { query: query.into(), ..Self::new(SEARCH, Method::GET, agency, role) }
    }

    fn list(agency: usize, role: Role) -> Self {
        let query = [("include_released", "true".to_owned()), ("limit", "200".to_owned())];
        Self { query: query.into(), ..Self::new(LIST, Method::GET, agency, role) }
    }

    pub(super) fn purchase(agency: usize, role: Role, numbers: &[&str]) -> Self {
        let items: Vec<_> = numbers.iter().map(|number| json!({ "phone_number": number })).collect();
        Self { body: json!({ "phone_numbers": items }), ..Self::new(PURCHASE, Method::POST, agency, role) }
    }

    pub(super) fn release(agency: usize, role: Role, rows: &[Uuid]) -> Self {
        let body = json!({"phone_number_ids": rows, "confirm": true});
        Self { body, ..Self::new(RELEASE, Method::POST, agency, role) }
    }

    fn change(method: Method, agency: usize, role: Role, body: Value) -> Self {
        Self { body, ..Self::new(ASSIGN, method, agency, role) }
    }

    /// The final answer, if there is one.
    pub(super) fn end(&self) -> Option<&Answer> {
        self.answer.as_ref().filter(|answer| answer.is_final())
    }
}

impl Harness {
    /// The request of a step.
    pub(super) async fn call(&self, plan: &Plan, index: usize, step: &Step) -> Result<Call> {
        let (agency, role) = (step.agency, step.role);
        let call = match &step.action {
            Action::Search | Action::Reconcile => Call::search(agency, role, 20),
            Action::List => Call::list(agency, role),
            Action::Purchase { numbers, agent, limit, validate_only } => {
                let numbers: Vec<_> = numbers.iter().map(|number| self.numbers[*number].as_str()).collect();
                let mut call = Call::purchase(agency, role, &numbers);
                if let Some(agent) = agent {
                    call.body["phone_numbers"][0]["agent_mapping_id"] = json!(agencies::agent(agency, *agent));
                }
                if let Some(limit) = limit {
                    call.body["max_monthly_cost"] = json!(limit);
                }
                if *validate_only {
                    call.body["validate_only"] = json!(true);
                }
                call
            }
            Action::Assign { number, agent } => {
                let body = json!({"phone_number_id": self.id(*number).await?, "agent_mapping_id": agencies::agent(agency, *agent)});
                Call::change(Method::POST, agency, role, body)
            }
            Action::Rename { number } => {
                let name = format!("Run {} #{index}", plan.run);
                let body = json!({"phone_number_id": self.id(*number).await?, "friendly_name": name});
                Call::change(Method::PATCH, agency, role, body)
            }
            Action::Unassign { number } => Call::change(Method::DELETE, agency, role, json!({"phone_number_id": self.id(*number).await?})),
            Action::Release { numbers } => {
                let mut rows = Vec::new();
                for number in numbers {
                    rows.push(self.id(*number).await?);
                }
                Call::release(agency, role, &rows)
            }
        };
        Ok(Call { key: step.keyed.then(|| format!("run-{}-{index}", plan.run)), ..call })
    }

    /// The id of a number's row, of any agency; an id without a row if there is none.
    async fn id(&self, number: usize) -> Result<Uuid> {
        Ok(self.row(number).await?.map_or_else(|| Uuid::from_u128(number as u128), |row| row.id))
    }

    /// Sends the request once, or until there is a final answer.
    pub(super) async fn call_until_final(&self, mut call: Call, persistent: bool) -> Call {
        let deadline = Instant::now() + PATIENCE;
        loop {
            call.answer = self.ask(&call).await;
            if call.end().is_some() || !persistent {
                return call;
            }
            if Instant::now() > deadline {
                call.gave_up = true;
                return call;
            }
            sleep(PAUSE).await;
        }
    }

    /// Sends the request until it succeeds.
    pub(super) async fn call_until_success(&self, call: &Call) -> Result<Value> {
        let call = self.call_until_final(call.clone(), true).await;
        match call.end() {
            Some(Answer { status: 200, body }) => Ok(body.clone()),
            _ => bail!("no success without faults: {call:?}"),
        }
    }

    /// `None` if there was no answer.
    async fn ask(&self, call: &Call) -> Option<Answer> {
        Counters::add(&self.counters.requests, 1);
        let url = self.stack.routes().remove(call.function)?;
        let token = self.stack.issuer().token(agencies::user(call.agency, call.role), "somebody@chaos.example");
        let mut request = self.http.request(call.method.clone(), url).bearer_auth(token).query(&call.query);
        if !call.body.is_null() {
            request = request.json(&call.body);
        }
        if let Some(key) = &call.key {
            request = request.header("idempotency-key", key);
        }
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        Some(Answer { status, body: response.json().await.ok()? })
    }
}
