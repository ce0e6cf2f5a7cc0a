//! `/v2`: authenticates a request and calls its endpoint.

use serde_json::Value;

use super::{
    errors::Problem, job::JobKind, jobs, number_list, number_orders, number_settings, numbers, orders, query::Query, rate_limit::Rate,
    reservations, search, state::SimulatorState, sub_orders,
};

/// A complete request to `/v2`.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    /// The path after `/v2/`, decoded.
    pub(super) segments: Vec<String>,
    pub(super) query: Query,
    pub(super) authorization: Option<String>,
    /// `Null` if there is none, an error if it is not JSON.
    pub(super) body: Result<Value, Problem>,
}

/// A status, a body, and the state of the rate limit for the headers.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
    pub(super) rate: Rate,
}

pub(super) fn answer(state: &mut SimulatorState, request: Request) -> Answer {
    let account = authenticate(state, request.authorization.as_deref());
    let now = state.now();
    let admitted = state.traffic.admit(account.as_deref().unwrap_or_default(), now, &state.settings);
    let result = match (account, admitted) {
        (_, Err(_)) => Err(Problem::too_many_requests()),
        (Err(problem), _) => Err(problem),
        (Ok(account), Ok(_)) => request.body.and_then(|body| {
            let segments: Vec<_> = request.segments.iter().map(String::as_str).collect();
            route(state, &account, &request.method, &segments, &request.query, &body)
        }),
    };
    let (status, body) = match result {
        Ok((status, body)) => (status, body),
        Err(problem) => (problem.status, problem.body()),
    };
    let (Ok(rate) | Err(rate)) = admitted;
    Answer { status, body, rate }
}

fn authenticate(state: &SimulatorState, authorization: Option<&str>) -> Result<String, Problem> {
    let header = authorization.ok_or_else(Problem::no_credentials)?;
    let key = header.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, key)| key.trim());
    key.and_then(|key| state.account(key)).ok_or_else(Problem::bad_credentials)
}

fn route(
    state: &mut SimulatorState,
    account: &str,
    method: &str,
    segments: &[&str],
    query: &Query,
    body: &Value,
) -> Result<(u16, Value), Problem> {
    let answer = match (method, segments) {
        ("GET", ["available_phone_numbers"]) => search::search(state, account, query),

        ("POST", ["number_orders"]) => number_orders::create(state, account, body),
        ("GET", ["number_orders"]) => orders::list(state, account, query),
        ("GET", ["number_orders", id]) => orders::get(state, account, id),
        ("PATCH", ["number_orders", id]) => orders::update(state, account, id, body),
        ("GET", ["number_order_phone_numbers"]) => Ok(orders::list_items(state, account, query)),
        ("GET", ["number_order_phone_numbers", id]) => orders::get_item(state, account, id),
        ("PATCH", ["number_order_phone_numbers", id]) => orders::update_item(state, account, id, body),
        ("GET", ["sub_number_orders"]) => Ok(sub_orders::list(state, account, query)),
        ("GET", ["sub_number_orders", id]) => sub_orders::get(state, account, id, query),
        ("PATCH", ["sub_number_orders", id]) => sub_orders::update(state, account, id, body),
        ("PATCH", ["sub_number_orders", id, "cancel"]) => sub_orders::cancel(state, account, id),

        ("GET", ["phone_numbers"]) => number_list::list(state, account, query),
        ("GET", ["phone_numbers", "slim"]) => number_list::list_slim(state, account, query),
        ("GET", ["phone_numbers", "jobs"]) => jobs::list(state, account, query),
        ("GET", ["phone_numbers", "jobs", id]) => jobs::get(state, account, id),
        ("POST", ["phone_numbers", "jobs", "delete_phone_numbers"]) => {
            return Ok((202, jobs::create(state, account, JobKind::Delete, body)?));
        }
        ("POST", ["phone_numbers", "jobs", "update_phone_numbers"]) => {
            return Ok((202, jobs::create(state, account, JobKind::Update, body)?));
        }
        ("GET", ["phone_numbers", id]) => numbers::get(state, account, id),
        ("PATCH", ["phone_numbers", id]) => numbers::update(state, account, id, body),
        ("DELETE", ["phone_numbers", id]) => numbers::delete(state, account, id),
        ("GET", ["phone_numbers", id, "voice"]) => number_settings::get_voice(state, account, id),
        ("PATCH", ["phone_numbers", id, "voice"]) => number_settings::update_voice(state, account, id, body),
        ("GET", ["phone_numbers", id, "messaging"]) => number_settings::get_messaging(state, account, id),
        ("PATCH", ["phone_numbers", id, "messaging"]) => number_settings::update_messaging(state, account, id, body),

        ("GET", ["number_reservations"]) => reservations::list(state, account, query),
        ("POST", ["number_reservations"]) => reservations::create(state, account, body),
        ("GET", ["number_reservations", id]) => reservations::get(state, account, id),
        ("POST", ["number_reservations", id, "actions", "extend"]) => reservations::extend(state, account, id),

        _ => Err(Problem::not_found()),
    };
    answer.map(|body| (200, body))
}
