//! `POST /number_orders`: all checks, then a pending order.

use std::collections::HashSet;

use rust_decimal::Decimal;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    clock::millis,
    errors::Problem,
    input,
    number::OwnedNumber,
    order::{Item, Order, Progress, Requirement, SubOrder},
    state::{Availability, SimulatorState},
    stock::{self, Offer},
};

/// One entry of `phone_numbers`.
struct Entry {
    offer: &'static Offer,
    bundle_id: Option<String>,
}

pub(super) fn create(state: &mut SimulatorState, account: &str, body: &Value) -> Result<Value, Problem> {
    if state.settings.unverified {
        return Err(Problem::new(403, "20014", "Your account must be verified before it can order numbers."));
    }
    let text = |name: &str| input::text(body, name);
    let connection_id = text("connection_id")?;
    input::check_connection(&state.settings, connection_id.as_deref())?;
    let messaging_profile_id = text("messaging_profile_id")?;
    input::check_messaging_profile(messaging_profile_id.as_deref())?;
    let (billing_group_id, customer_reference) = (text("billing_group_id")?, text("customer_reference")?);
    let entries = entries(state, account, body)?;
    pay(state, account, &entries)?;

    let now = state.now();
    let mut order = Order {
        id: Uuid::new_v4(),
        account: account.to_owned(),
        items: Vec::new(),
        sub_orders: Vec::new(),
        connection_id,
        messaging_profile_id,
        billing_group_id,
        customer_reference,
        created_at: now,
        updated_at: now,
        completed_at: None,
        reads: 0,
    };
    for entry in entries {
        let item = item(state, &mut order, entry);
        state.holds.remove(item.offer.phone_number.as_str());
        state.reservations.iter_mut().for_each(|reservation| reservation.use_up(&item.offer.phone_number));
        let id = state.issue_number_id();
        let appears_at = now + millis(state.settings.number_delay_ms);
        let reference = order.customer_reference.clone().filter(|_| state.settings.references_on_numbers);
        state.numbers.push(OwnedNumber { customer_reference: reference, ..OwnedNumber::ordered(id, &order, &item, appears_at) });
        order.items.push(item);
    }
    let answer = json!({ "data": order.detailed() });
    state.orders.push(order);
    Ok(answer)
}

fn entries(state: &SimulatorState, account: &str, body: &Value) -> Result<Vec<Entry>, Problem> {
    let listed = body["phone_numbers"].as_array().filter(|listed| !listed.is_empty());
    let listed = listed.ok_or_else(|| Problem::new(422, "10004", "phone_numbers can't be blank").at("/phone_numbers"))?;
    let mut seen = HashSet::new();
    let mut entries = Vec::new();
    for (index, entry) in listed.iter().enumerate() {
        let pointer = format!("/phone_numbers/{index}");
        let phone_number = entry["phone_number"].as_str().filter(|number| input::is_e164(number));
        let phone_number = phone_number.ok_or_else(|| {
            Problem::new(422, "10016", "The phone number must be in +E.164 format.").at(format!("{pointer}/phone_number"))
        })?;
        if !seen.insert(phone_number) {
            return Err(Problem::bad_request(format!("The phone number {phone_number} is listed more than once.")).at(pointer));
        }
        let offer = orderable(state, account, phone_number).map_err(|problem| problem.at(pointer))?;
        entries.push(Entry { offer, bundle_id: input::text(entry, "bundle_id")? });
    }
    Ok(entries)
}

/// A number that a search has shown to this account and that is still available.
pub(super) fn orderable(state: &SimulatorState, account: &str, phone_number: &str) -> Result<&'static Offer, Problem> {
    let never_searched =
        || Problem::new(422, "85000", format!("The phone number {phone_number} has to be found by a search before it can be ordered."));
    let offer = stock::find(phone_number).ok_or_else(never_searched)?;
    // Telnyx answers the same for a number that the caller already owns.
    if state.availability(account, offer) == Availability::Taken {
        return Err(taken(state, phone_number));
    }
    if !state.searched.contains(&(account.to_owned(), offer.phone_number.as_str())) {
        return Err(never_searched());
    }
    Ok(offer)
}

fn taken(state: &SimulatorState, phone_number: &str) -> Problem {
    let detail = format!("The phone number {phone_number} is not available for purchase.");
    if state.settings.taken_as_bad_request { Problem::bad_request(detail) } else { Problem::new(409, "85001", detail) }
}

fn pay(state: &mut SimulatorState, account: &str, entries: &[Entry]) -> Result<(), Problem> {
    let cost: Decimal = entries.iter().map(|entry| entry.offer.cost()).sum();
    let settings = &state.settings;
    let insufficient = settings.balance.is_some_and(|balance| balance < cost);
    if insufficient || settings.insufficient_funds || settings.accounts_without_funds.iter().any(|poor| poor == account) {
        return Err(Problem::new(403, "20100", "Your account balance does not cover this order."));
    }
    if let Some(balance) = &mut state.settings.balance {
        *balance -= cost;
    }
    Ok(())
}

fn item(state: &SimulatorState, order: &mut Order, entry: Entry) -> Item {
    let Entry { offer, bundle_id } = entry;
    let regulated = state.settings.regulated_countries.iter().any(|country| country == offer.range.country);
    Item {
        id: Uuid::new_v4(),
        offer,
        sub_order_id: sub_order_of(order, offer),
        progress: Progress::Pending,
        requirement: regulated.then(|| Requirement { id: Uuid::new_v4(), value: None }),
        requirements_status: if regulated { "requirement-info-pending" } else { "approved" },
        bundle_id,
    }
}

fn sub_order_of(order: &mut Order, offer: &Offer) -> Uuid {
    let (country, phone_number_type) = (offer.range.country, offer.range.phone_number_type);
    let known = order.sub_orders.iter().find(|sub_order| sub_order.country == country && sub_order.phone_number_type == phone_number_type);
    if let Some(sub_order) = known {
        return sub_order.id;
    }
    let id = Uuid::new_v4();
    order.sub_orders.push(SubOrder { id, country, phone_number_type });
    id
}
