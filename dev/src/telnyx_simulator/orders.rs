//! `/number_orders` and `/number_order_phone_numbers`: reading and changing orders and their items.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{clock::millis, errors::Problem, pagination::Page, query::Query, state::SimulatorState};

pub(super) fn list(state: &SimulatorState, account: &str, query: &Query) -> Result<Value, Problem> {
    let page = Page::from(query, &state.settings)?.at_most(state.settings.largest_page);
    let created_after = time(query, "gt")?;
    let created_before = time(query, "lt")?;
    let now = state.now();
    let reference_lag = millis(state.settings.reference_lag_ms);
    let found: Vec<_> = state
        .orders
        .iter()
        .rev()
        .filter(|order| order.account == account)
        .filter(|order| query.filter("status").is_none_or(|status| status == order.progress().name()))
        .filter(|order| {
            created_after.is_none_or(|time| order.created_at > time) && created_before.is_none_or(|time| order.created_at < time)
        })
        .filter(|order| query.filter("phone_numbers_count").is_none_or(|count| count == order.items.len().to_string()))
        .filter(|order| query.flag("requirements_met").is_none_or(|met| met == order.requirements_met()))
        .filter(|order| {
            let indexed = now >= order.created_at + reference_lag;
            query.filter("customer_reference").is_none_or(|wanted| indexed && order.customer_reference.as_deref() == Some(wanted))
        })
        .collect();
    Ok(page.answer(&found, |order| order.listed()))
}

fn time(query: &Query, bound: &str) -> Result<Option<DateTime<Utc>>, Problem> {
    let Some(text) = query.one(&["filter", "created_at", bound]) else {
        return Ok(None);
    };
    // An offset's plus sign may have arrived as a space.
    let parsed = DateTime::parse_from_rfc3339(&text.replace(' ', "+"));
    let bad = |_| Problem::bad_request("created_at must be an ISO 8601 datetime.").in_parameter(&format!("filter[created_at][{bound}]"));
    parsed.map(|time| Some(time.to_utc())).map_err(bad)
}

pub(super) fn get(state: &mut SimulatorState, account: &str, id: &str) -> Result<Value, Problem> {
    let order = state.orders.iter_mut().find(|order| order.account == account && order.id.to_string() == id);
    let order = order.ok_or_else(Problem::not_found)?;
    order.reads += 1;
    Ok(json!({ "data": order.detailed() }))
}

pub(super) fn update(state: &mut SimulatorState, account: &str, id: &str, body: &Value) -> Result<Value, Problem> {
    let now = state.now();
    let order =
        state.orders.iter_mut().find(|order| order.account == account && order.id.to_string() == id).ok_or_else(Problem::not_found)?;
    if let Some(reference) = body.get("customer_reference") {
        order.customer_reference = reference.as_str().map(str::to_owned);
    }
    for item in &mut order.items {
        item.answer_all(body);
    }
    order.updated_at = now;
    Ok(json!({ "data": order.detailed() }))
}

pub(super) fn list_items(state: &SimulatorState, account: &str, query: &Query) -> Value {
    let country = query.filter("country_code");
    let orders = state.orders.iter().rev().filter(|order| order.account == account);
    let items: Vec<_> = orders
        .flat_map(|order| order.items.iter().map(move |item| (order, item)))
        .filter(|(_, item)| country.is_none_or(|country| country == item.offer.range.country))
        .collect();
    Page::whole(&items, |(order, item)| item.detailed(order, &state.settings))
}

pub(super) fn get_item(state: &SimulatorState, account: &str, id: &str) -> Result<Value, Problem> {
    let orders = state.orders.iter().filter(|order| order.account == account);
    let found = orders.flat_map(|order| order.items.iter().map(move |item| (order, item))).find(|(_, item)| item.id.to_string() == id);
    let (order, item) = found.ok_or_else(Problem::not_found)?;
    Ok(json!({ "data": item.detailed(order, &state.settings) }))
}

pub(super) fn update_item(state: &mut SimulatorState, account: &str, id: &str, body: &Value) -> Result<Value, Problem> {
    let orders = state.orders.iter_mut().filter(|order| order.account == account);
    let item = orders.flat_map(|order| order.items.iter_mut()).find(|item| item.id.to_string() == id);
    item.ok_or_else(Problem::not_found)?.answer_all(body);
    get_item(state, account, id)
}
