//! `/sub_number_orders`: the part of an order in one country and of one type, which can be cancelled while it is pending.

use serde_json::{Value, json};

use super::{
    clock::micros,
    errors::Problem,
    order::{Item, Order, Progress, SubOrder},
    pagination::Page,
    progress,
    query::Query,
    state::SimulatorState,
};

fn detailed(order: &Order, sub_order: &SubOrder) -> Value {
    let items = order.items_of(sub_order);
    json!({
        "id": sub_order.id,
        "record_type": "sub_number_order",
        "order_request_id": order.id,
        "country_code": sub_order.country,
        "phone_number_type": sub_order.phone_number_type,
        "phone_numbers_count": items.clone().count(),
        "status": order.sub_order_progress(sub_order).name(),
        "requirements_met": items.clone().all(Item::requirements_met),
        "regulatory_requirements": items.flat_map(Item::requirements).collect::<Vec<_>>(),
        "is_block_sub_number_order": false,
        "customer_reference": order.customer_reference,
        "created_at": micros(order.created_at),
        "updated_at": micros(order.updated_at),
    })
}

pub(super) fn list(state: &SimulatorState, account: &str, query: &Query) -> Value {
    let is = |filter: &str, actual: &str| query.filter(filter).is_none_or(|wanted| wanted == actual);
    let orders = state.orders.iter().rev().filter(|order| order.account == account);
    let found: Vec<_> = orders
        .flat_map(|order| order.sub_orders.iter().map(move |sub_order| (order, sub_order)))
        .filter(|(order, sub_order)| {
            is("status", order.sub_order_progress(sub_order).name())
                && is("order_request_id", &order.id.to_string())
                && is("country_code", sub_order.country)
                && is("phone_number_type", sub_order.phone_number_type)
                && is("phone_numbers_count", &order.items_of(sub_order).count().to_string())
        })
        .collect();
    Page::whole(&found, |(order, sub_order)| detailed(order, sub_order))
}

/// The index of a sub-order's order, and its index in it.
fn position(state: &SimulatorState, account: &str, id: &str) -> Result<(usize, usize), Problem> {
    let mut orders = state.orders.iter().enumerate().filter(|(_, order)| order.account == account);
    let within = |order: &Order| order.sub_orders.iter().position(|sub_order| sub_order.id.to_string() == id);
    orders.find_map(|(index, order)| Some((index, within(order)?))).ok_or_else(Problem::not_found)
}

pub(super) fn get(state: &SimulatorState, account: &str, id: &str, query: &Query) -> Result<Value, Problem> {
    /// The maximum number of phone numbers included.
    const MOST_NUMBERS: usize = 50;
    let (order, sub_order) = position(state, account, id)?;
    let order = &state.orders[order];
    let sub_order = &order.sub_orders[sub_order];
    let mut shown = detailed(order, sub_order);
    if query.flag("include_phone_numbers") == Some(true) {
        shown["phone_numbers"] = order.items_of(sub_order).take(MOST_NUMBERS).map(Item::shown).collect();
    }
    Ok(json!({ "data": shown }))
}

pub(super) fn update(state: &mut SimulatorState, account: &str, id: &str, body: &Value) -> Result<Value, Problem> {
    let (order, sub_order) = position(state, account, id)?;
    let now = state.now();
    let order = &mut state.orders[order];
    let id = order.sub_orders[sub_order].id;
    for item in order.items.iter_mut().filter(|item| item.sub_order_id == id) {
        item.answer_all(body);
    }
    order.updated_at = now;
    Ok(json!({ "data": detailed(order, &order.sub_orders[sub_order]) }))
}

/// Cancels a pending sub-order: its numbers fail and are on offer again. Telnyx has no status for cancelled; it is `failure`.
pub(super) fn cancel(state: &mut SimulatorState, account: &str, id: &str) -> Result<Value, Problem> {
    let (index, sub_order) = position(state, account, id)?;
    let order = &mut state.orders[index];
    if order.sub_order_progress(&order.sub_orders[sub_order]) != Progress::Pending {
        return Err(Problem::new(422, "85002", "Only a pending order can be cancelled."));
    }
    let id = order.sub_orders[sub_order].id;
    for item in order.items.iter_mut().filter(|item| item.sub_order_id == id && item.progress == Progress::Pending) {
        item.requirements_status = "cancelled";
    }
    let now = state.now();
    progress::finish(state, index, Progress::Failure, now, |item| item.sub_order_id == id);
    let order = &state.orders[index];
    Ok(json!({ "data": detailed(order, &order.sub_orders[sub_order]) }))
}
