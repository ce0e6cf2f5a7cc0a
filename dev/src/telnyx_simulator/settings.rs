//! The simulator's settings. Most of them stand for behaviour that Telnyx does not document.
//!
//! `control.rs` lists the other paths of `/_control`.

use std::{collections::BTreeMap, num::NonZeroU64};

use hyper::header::HeaderValue;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::clock::ClockMode;

const SECOND_MS: NonZeroU64 = NonZeroU64::new(1000).unwrap();

/// The outcome of an order. Read when the order is due, so a change also applies to pending orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrderOutcome {
    /// The numbers become active.
    #[default]
    Success,
    /// The numbers go back on offer.
    Failure,
    /// The order stays pending.
    Never,
}

/// The API keys of one account: a string, or a list of strings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Keys {
    /// The only key.
    One(String),
    /// All valid keys, in any order. Without keys the account cannot be used.
    Many(Vec<String>),
}

impl Keys {
    pub(super) fn contain(&self, api_key: &str) -> bool {
        match self {
            Self::One(key) => key == api_key,
            Self::Many(keys) => keys.iter().any(|key| key == api_key),
        }
    }
}

/// A search that is refused.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RefusedSearch {
    /// The status of the answer.
    #[serde(default = "RefusedSearch::default_status")]
    pub status: u16,
    /// The code of its error.
    #[serde(default = "RefusedSearch::default_code")]
    pub code: String,
    /// Every other member is a filter by its name inside `filter[…]`, such as `"country_code": "PR"` or
    /// `"phone_number[contains]": "555"`. A search that has all of them is refused, whatever its other filters. One value of
    /// an array is enough. Without filters every search is refused.
    #[serde(flatten)]
    pub filters: BTreeMap<String, String>,
}

impl RefusedSearch {
    fn default_status() -> u16 {
        422
    }

    fn default_code() -> String {
        "10027".to_owned()
    }
}

/// The simulator's settings, with their defaults in `Default`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own, set by name")]
pub struct Settings {
    /// How the clock moves.
    pub clock: ClockMode,
    /// Time from an order to its end.
    pub order_delay_ms: u64,
    /// How many reads of an order by id still see it pending after that.
    pub order_delay_reads: u32,
    /// How orders end.
    pub order_outcome: OrderOutcome,
    /// Time from an order to the number's row in `/phone_numbers`.
    pub number_delay_ms: u64,
    /// How long after the order's success `GET /phone_numbers` does not list the number.
    pub number_lag_ms: u64,
    /// How long after an order `filter[customer_reference]` does not find it.
    pub reference_lag_ms: u64,
    /// Whether numbers get the `customer_reference` of their order. Read when a number is ordered: with `false` only
    /// its order and sub-order have it. Telnyx's runbook says that it is copied; no recorded answer shows it.
    pub references_on_numbers: bool,
    /// How much later than its order a +1 toll-free number that is not `quickship` becomes active.
    pub slow_activation_ms: u64,
    /// Keeps the row of a number whose order failed, as `purchase-failed`.
    pub keep_failed_numbers: bool,
    /// How long a deleted number is held for its account.
    pub hold_ms: u64,
    /// How many further reads (or deletes) see a number after its deletion was answered.
    pub delete_lag_reads: u32,
    /// Time from a bulk job to its end.
    pub job_delay_ms: u64,
    /// Searches that are refused, for example `[{"country_code": "PR"}]`.
    pub refused_searches: Vec<RefusedSearch>,
    /// The `cost_information` of every number on offer instead of its own; `{}` has no costs.
    pub cost_information: Option<Value>,
    /// The maximum size of a page, whatever `page[size]` is.
    pub largest_page: usize,
    /// The last page that a paged list serves: 400/10015 beyond it; `null` is no limit. Within it a page past the end of the
    /// list is empty.
    pub last_page: Option<usize>,
    /// The balance of all accounts together; `null` is no limit.
    pub balance: Option<Decimal>,
    /// Refuses every order with 20100, whatever the balance.
    pub insufficient_funds: bool,
    /// Refuses every order of these accounts with 20100.
    pub accounts_without_funds: Vec<String>,
    /// Refuses every order with 20014.
    pub unverified: bool,
    /// Answers 400/10015 instead of 409/85001 for a number that is not available, as Telnyx once did.
    pub taken_as_bad_request: bool,
    /// Connections that do not exist; any other decimal id does.
    pub refused_connection_ids: Vec<String>,
    /// Countries whose orders wait for documents, until `POST /_control/orders/{id}`.
    pub regulated_countries: Vec<String>,
    /// Time from an order to the `deadline` of its items in `/number_order_phone_numbers`, which is shown in whole seconds. Nothing
    /// happens to an order when it passes.
    pub documents_deadline_ms: u64,
    /// The literal `deadline` of every item instead: `""`, a date without a zone, a number. As it may violate Telnyx's
    /// specification, exchanges with it are marked as faulted.
    pub documents_deadline: Option<Value>,
    /// Answers 429/10011 beyond this many requests of one account in one window of `rate_limit_window_ms`; `null` is no limit.
    pub rate_limit_per_second: Option<u32>,
    /// The length of a window, from the account's first request in it.
    pub rate_limit_window_ms: NonZeroU64,
    /// The `Retry-After` header of every 429, whether the limit's or a fault's; `null` sends none. No recorded answer has one.
    pub retry_after: Option<String>,
    /// Accounts: name → API key, or a list of keys that are all valid. A change replaces the keys of the accounts it names
    /// and leaves the others, so that a key can be added, replaced or revoked; a key in no list is 401/10009. The account
    /// `default` has only the key of the start until it is named here. A reset keeps them.
    pub accounts: BTreeMap<String, Keys>,
    /// The URL for `number_order.complete`.
    pub webhook_url: Option<String>,
    /// How often each event is sent: 0 drops it, 2 sends a duplicate.
    pub webhook_copies: u32,
    /// Time from the end of an order to its event.
    pub webhook_delay_ms: u64,
    /// Holds each event back until a later one has been sent.
    pub webhook_reorder: bool,
}

/// Whether an answer can have this status.
pub(super) fn is_status(status: u16) -> bool {
    (100..600).contains(&status)
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            clock: ClockMode::Auto,
            order_delay_ms: 1400,
            order_delay_reads: 0,
            order_outcome: OrderOutcome::Success,
            number_delay_ms: 300,
            number_lag_ms: 0,
            reference_lag_ms: 0,
            references_on_numbers: true,
            slow_activation_ms: 10_000,
            keep_failed_numbers: false,
            hold_ms: 15 * 24 * 60 * 60 * 1000,
            delete_lag_reads: 0,
            job_delay_ms: 500,
            refused_searches: Vec::new(),
            cost_information: None,
            largest_page: 250,
            last_page: None,
            balance: None,
            insufficient_funds: false,
            accounts_without_funds: Vec::new(),
            unverified: false,
            taken_as_bad_request: false,
            refused_connection_ids: Vec::new(),
            regulated_countries: vec!["DE".to_owned()],
            documents_deadline_ms: 10 * 24 * 60 * 60 * 1000,
            documents_deadline: None,
            rate_limit_per_second: None,
            rate_limit_window_ms: SECOND_MS,
            retry_after: None,
            accounts: BTreeMap::new(),
            webhook_url: None,
            webhook_copies: 1,
            webhook_delay_ms: 0,
            webhook_reorder: false,
        }
    }
}

impl Settings {
    /// These settings with some replaced, or for `accounts` added. The error names the faulty setting.
    pub(super) fn merged(&self, changes: &Value) -> Result<Self, String> {
        let changes = changes.as_object().ok_or("settings must be a JSON object")?;
        let mut merged = serde_json::to_value(self).map_err(|error| error.to_string())?;
        for (name, value) in changes {
            let setting = merged.get_mut(name).ok_or_else(|| format!("unknown setting '{name}'"))?;
            match (setting.as_object_mut(), value.as_object()) {
                (Some(accounts), Some(added)) if name == "accounts" => accounts.extend(added.clone()),
                _ => *setting = value.clone(),
            }
            // One at a time, so that the message names the faulty setting.
            Self::deserialize(&merged).map_err(|error| format!("setting '{name}': {error}"))?;
        }
        let merged = Self::deserialize(&merged).map_err(|error| error.to_string())?;
        merged.check()?;
        Ok(merged)
    }

    /// Returns an error message if an answer could not have a setting's value.
    fn check(&self) -> Result<(), String> {
        if self.retry_after.as_deref().is_some_and(|text| HeaderValue::from_str(text).is_err()) {
            return Err("setting 'retry_after': not the value of a header".to_owned());
        }
        if !self.refused_searches.iter().all(|refused| is_status(refused.status)) {
            return Err("setting 'refused_searches': status must be an HTTP status".to_owned());
        }
        Ok(())
    }
}
