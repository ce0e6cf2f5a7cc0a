//! `/phone_numbers/{id}/voice` and `/phone_numbers/{id}/messaging`.

use serde_json::{Map, Value, json};

use super::{clock::zulu_millis, errors::Problem, input, number::OwnedNumber, state::SimulatorState};

pub(super) fn get_voice(state: &SimulatorState, account: &str, id: &str) -> Result<Value, Problem> {
    let number = &state.numbers[state.position(account, id)?];
    let mut voice = number.voice.clone();
    voice["id"] = json!(number.id);
    voice["record_type"] = json!("voice_settings");
    voice["phone_number"] = json!(number.offer.phone_number);
    voice["connection_id"] = json!(number.connection_id);
    voice["customer_reference"] = json!(number.customer_reference);
    voice["emergency"] = json!({ "emergency_enabled": false, "emergency_address_id": null, "emergency_status": "disabled" });
    Ok(json!({ "data": voice }))
}

pub(super) fn update_voice(state: &mut SimulatorState, account: &str, id: &str, body: &Value) -> Result<Value, Problem> {
    let index = state.position(account, id)?;
    let connection_id = input::text(body, "connection_id")?;
    input::check_connection(&state.settings, connection_id.as_deref())?;
    let now = state.now();
    let number = &mut state.numbers[index];
    // Not in Telnyx's specification, but Telnyx's command line sets it here.
    if body.get("connection_id").is_some() {
        number.connection_id = connection_id;
    }
    set_voice(number, body);
    number.updated_at = now;
    get_voice(state, account, id)
}

/// Sets the voice settings that a body names and leaves the others.
pub(super) fn set_voice(number: &mut OwnedNumber, body: &Value) {
    if let (Some(known), Some(changes)) = (number.voice.as_object_mut(), body.as_object()) {
        merge(known, changes);
    }
}

fn merge(known: &mut Map<String, Value>, changes: &Map<String, Value>) {
    for (name, current) in known.iter_mut() {
        match (current, changes.get(name)) {
            (Value::Object(current), Some(Value::Object(changes))) => merge(current, changes),
            (current, Some(change)) if !change.is_null() => *current = change.clone(),
            _ => {}
        }
    }
}

pub(super) fn get_messaging(state: &SimulatorState, account: &str, id: &str) -> Result<Value, Problem> {
    let number = &state.numbers[state.position(account, id)?];
    let capable = |feature| {
        number.offer.has(feature).then(|| json!({ "domestic_two_way": true, "international_inbound": true, "international_outbound": number.offer.has("international_sms") }))
    };
    let toll_free = number.offer.range.phone_number_type == "toll_free";
    Ok(json!({
        "data": {
            "id": number.id,
            "record_type": "messaging_settings",
            "phone_number": number.offer.phone_number,
            "messaging_profile_id": number.messaging_profile_id,
            "messaging_product": number.messaging_product,
            "eligible_messaging_products": ["A2P"],
            "traffic_type": "A2P",
            "country_code": number.offer.range.country,
            "type": if toll_free { "toll-free" } else { "long-code" },
            "features": { "sms": capable("sms"), "mms": capable("mms") },
            "tags": number.tags,
            "created_at": zulu_millis(number.created_at),
            "updated_at": zulu_millis(number.updated_at),
        },
    }))
}

pub(super) fn update_messaging(state: &mut SimulatorState, account: &str, id: &str, body: &Value) -> Result<Value, Problem> {
    let index = state.position(account, id)?;
    let profile = input::text(body, "messaging_profile_id")?;
    input::check_messaging_profile(profile.as_deref())?;
    let product = input::text(body, "messaging_product")?;
    let tags = input::tags(body)?;
    let now = state.now();
    let number = &mut state.numbers[index];
    // Unlike elsewhere, `null` keeps the profile; only "" removes it.
    if body.get("messaging_profile_id").is_some_and(Value::is_string) {
        number.messaging_profile_id = profile;
    }
    if let Some(product) = product {
        number.messaging_product = product;
    }
    if let Some(tags) = tags {
        number.tags = tags;
    }
    number.updated_at = now;
    get_messaging(state, account, id)
}
