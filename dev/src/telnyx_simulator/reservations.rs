//! `/number_reservations`: reserves numbers for 30 minutes, and extends that once.

use chrono::TimeDelta;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    errors::Problem,
    input, number_orders,
    pagination::Page,
    query::Query,
    reservation::{Reservation, Reserved},
    state::{Availability, SimulatorState},
};

/// The duration of a reservation and of its one extension.
const DURATION: TimeDelta = TimeDelta::milliseconds(30 * 60 * 1000);

pub(super) fn create(state: &mut SimulatorState, account: &str, body: &Value) -> Result<Value, Problem> {
    let listed = body["phone_numbers"].as_array().filter(|listed| !listed.is_empty());
    let listed = listed.ok_or_else(|| Problem::new(422, "10004", "phone_numbers can't be blank").at("/phone_numbers"))?;
    let reserve = |(index, entry): (usize, &Value)| {
        let phone_number = entry["phone_number"].as_str().unwrap_or_default();
        let reservable = reservable(state, account, phone_number).map_err(|problem| problem.at(format!("/phone_numbers/{index}")))?;
        Ok(Reserved { id: Uuid::new_v4(), phone_number: reservable, used: false })
    };
    let numbers = listed.iter().enumerate().map(reserve).collect::<Result<_, Problem>>()?;
    let now = state.now();
    let reservation = Reservation {
        id: Uuid::new_v4(),
        account: account.to_owned(),
        numbers,
        customer_reference: input::text(body, "customer_reference")?,
        created_at: now,
        updated_at: now,
        expires_at: now + DURATION,
        extended: false,
    };
    let answer = json!({ "data": reservation.shown() });
    state.reservations.push(reservation);
    Ok(answer)
}

fn reservable(state: &SimulatorState, account: &str, phone_number: &str) -> Result<&'static str, Problem> {
    let offer = number_orders::orderable(state, account, phone_number)?;
    if !offer.reservable {
        return Err(Problem::invalid(format!("The phone number {phone_number} cannot be reserved.")));
    }
    // A number that is held after its deletion can be reserved, a reserved one cannot.
    let reserved = state.reservations.iter().any(|reservation| reservation.reserves(phone_number, state.now()));
    if reserved && state.availability(account, offer) == Availability::Reserved {
        return Err(Problem::new(422, "85006", format!("The phone number {phone_number} is already reserved.")));
    }
    Ok(&offer.phone_number)
}

pub(super) fn list(state: &SimulatorState, account: &str, query: &Query) -> Result<Value, Problem> {
    let page = Page::from(query, &state.settings)?;
    let found: Vec<_> = state
        .reservations
        .iter()
        .rev()
        .filter(|reservation| reservation.account == account)
        .filter(|_| query.filter("status").is_none_or(|status| status == "success"))
        .filter(|reservation| {
            query.filter("customer_reference").is_none_or(|wanted| reservation.customer_reference.as_deref() == Some(wanted))
        })
        .filter(|reservation| {
            let wanted = query.filter("phone_numbers.phone_number");
            wanted.is_none_or(|wanted| reservation.numbers.iter().any(|reserved| reserved.phone_number == wanted))
        })
        .collect();
    Ok(page.answer(&found, |reservation| reservation.shown()))
}

pub(super) fn get(state: &SimulatorState, account: &str, id: &str) -> Result<Value, Problem> {
    let found = state.reservations.iter().find(|reservation| reservation.account == account && reservation.id.to_string() == id);
    Ok(json!({ "data": found.ok_or_else(Problem::not_found)?.shown() }))
}

pub(super) fn extend(state: &mut SimulatorState, account: &str, id: &str) -> Result<Value, Problem> {
    let now = state.now();
    let found = state.reservations.iter_mut().find(|reservation| reservation.account == account && reservation.id.to_string() == id);
    let reservation = found.ok_or_else(Problem::not_found)?;
    if reservation.extended || reservation.expires_at <= now {
        return Err(Problem::new(422, "85008", "The reservation can be extended once, before it expires."));
    }
    reservation.extended = true;
    reservation.expires_at += DURATION;
    reservation.updated_at = now;
    Ok(json!({ "data": reservation.shown() }))
}
