//! `/phone_numbers/{id}`: reading, changing and deleting one number.

use serde_json::{Value, json};

use super::{errors::Problem, input, state::SimulatorState};

pub(super) fn get(state: &mut SimulatorState, account: &str, id: &str) -> Result<Value, Problem> {
    let index = state.position(account, id)?;
    let answer = json!({ "data": state.numbers[index].detailed() });
    state.note_read(&[state.numbers[index].id.clone()]);
    Ok(answer)
}

pub(super) fn delete(state: &mut SimulatorState, account: &str, id: &str) -> Result<Value, Problem> {
    let index = state.position(account, id)?;
    Ok(json!({ "data": delete_at(state, index)? }))
}

/// Deletes one number. It is held for its account for a while.
pub(super) fn delete_at(state: &mut SimulatorState, index: usize) -> Result<Value, Problem> {
    let lag = state.settings.delete_lag_reads;
    let number = &mut state.numbers[index];
    if number.deletion_lock_enabled {
        return Err(Problem::new(422, "10035", "The phone number is locked against deletion."));
    }
    let mut deleted = number.detailed();
    deleted["status"] = json!("deleted");
    if number.reads_left.is_some() {
        let id = number.id.clone();
        state.note_read(&[id]);
        return Ok(deleted);
    }
    let (account, offer) = (number.account.clone(), number.offer);
    if lag == 0 {
        state.numbers.remove(index);
    } else {
        number.reads_left = Some(lag);
    }
    state.hold(&account, offer);
    Ok(deleted)
}

pub(super) fn update(state: &mut SimulatorState, account: &str, id: &str, body: &Value) -> Result<Value, Problem> {
    let index = state.position(account, id)?;
    // Set through /messaging.
    if body.get("messaging_profile_id").is_some() {
        return Err(Problem::invalid("The field messaging_profile_id is not reachable here").at("/messaging_profile_id"));
    }
    apply(state, index, body)?;
    Ok(json!({ "data": state.numbers[index].detailed() }))
}

/// Sets the members that both `PATCH /phone_numbers/{id}` and a bulk update can set, all or none.
pub(super) fn apply(state: &mut SimulatorState, index: usize, body: &Value) -> Result<(), Problem> {
    let connection_id = input::text(body, "connection_id")?;
    input::check_connection(&state.settings, connection_id.as_deref())?;
    let customer_reference = input::text(body, "customer_reference")?;
    let external_pin = input::text(body, "external_pin")?;
    let billing_group_id = input::text(body, "billing_group_id")?;
    let tags = input::tags(body)?;
    let now = state.now();
    let number = &mut state.numbers[index];
    let given = |name: &str| body.get(name).is_some();
    let set = |target: &mut Option<String>, name: &str, value| {
        if given(name) {
            *target = value;
        }
    };
    set(&mut number.connection_id, "connection_id", connection_id);
    set(&mut number.customer_reference, "customer_reference", customer_reference);
    set(&mut number.external_pin, "external_pin", external_pin);
    set(&mut number.billing_group_id, "billing_group_id", billing_group_id);
    number.tags = tags.unwrap_or(std::mem::take(&mut number.tags));
    number.hd_voice_enabled = body["hd_voice_enabled"].as_bool().unwrap_or(number.hd_voice_enabled);
    number.updated_at = now;
    Ok(())
}
