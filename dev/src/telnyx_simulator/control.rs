//! `/_control`: reads and changes the simulator's state. Telnyx has no such paths.
//!
//! | Request | What it does |
//! |---|---|
//! | `GET state` | Returns the whole state |
//! | `POST reset` | Restores the settings of the start and clears the rest; accounts and their keys are kept |
//! | `GET settings`, `PUT settings` | Returns or changes the settings: `settings.rs` |
//! | `GET faults`, `POST faults`, `DELETE faults` | Returns, adds or clears faults: `faults.rs` |
//! | `POST clock` `{"advance_ms": 5}` | Advances the clock |
//! | `POST orders/{id}` `{"status": "success"}` or `"failure"` | Ends a pending order |
//! | `DELETE orders/{id}` | Removes an order; its numbers stay unchanged: `portal.rs` |
//! | `PATCH numbers/{id}`, `DELETE numbers/{id}` | Changes or removes a number, as in Telnyx's portal: `portal.rs` |
//!
//! Requests that a web page may have sent are 403: those with an `Origin`, or with a `Host` other than the loopback address.
//! Unknown ids and paths are 404, unreadable bodies 400, each with `{"error": "…"}`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    clock::millis,
    faults::Fault,
    journal::Exchange,
    order::Progress,
    portal::{self, Outcome, with_account},
    progress,
    state::SimulatorState,
};

pub(super) fn answer(state: &mut SimulatorState, public_key: &str, method: &str, segments: &[&str], body: &[u8]) -> (u16, Value) {
    progress::settle(state);
    let outcome = route(state, public_key, method, segments, body);
    progress::settle(state);
    outcome.unwrap_or_else(|(status, error)| (status, json!({ "error": error })))
}

fn route(state: &mut SimulatorState, public_key: &str, method: &str, segments: &[&str], body: &[u8]) -> Outcome {
    match (method, segments) {
        ("GET", ["state"]) => Ok((200, snapshot(state, public_key))),
        ("POST", ["reset"]) => {
            state.reset();
            Ok((200, json!(state.settings)))
        }
        ("GET", ["settings"]) => Ok((200, json!(state.settings))),
        ("PUT", ["settings"]) => change_settings(state, &parse(body)?),
        ("GET", ["faults"]) => Ok((200, json!({ "faults": state.faults }))),
        ("POST", ["faults"]) => {
            let fault: Fault = parse(body)?;
            fault.check().map_err(|error| (400, error))?;
            state.faults.add(fault);
            Ok((201, json!({ "faults": state.faults })))
        }
        ("DELETE", ["faults"]) => {
            state.faults.clear();
            Ok((200, json!({ "faults": state.faults })))
        }
        ("POST", ["clock"]) => {
            let Advance { advance_ms } = parse(body)?;
            state.clock.advance(millis(advance_ms));
            Ok((200, json!({ "now": state.now() })))
        }
        ("POST", ["orders", id]) => decide(state, id, &parse(body)?),
        ("DELETE", ["orders", id]) => portal::remove_order(state, id),
        ("PATCH", ["numbers", id]) => portal::change_number(state, id, parse(body)?),
        ("DELETE", ["numbers", id]) => portal::remove_number(state, id),
        _ => Err((404, "there is no such control; see /_control/state".to_owned())),
    }
}

fn parse<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, (u16, String)> {
    serde_json::from_slice(body).map_err(|error| (400, error.to_string()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Decision {
    status: DecidedStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum DecidedStatus {
    Success,
    Failure,
}

fn change_settings(state: &mut SimulatorState, changes: &Value) -> Outcome {
    let settings = state.settings.merged(changes).map_err(|error| (400, error))?;
    if settings.clock != state.settings.clock {
        state.clock.switch(settings.clock);
    }
    state.settings = settings;
    Ok((200, json!(state.settings)))
}

/// Ends a pending order, also one that waits for documents.
fn decide(state: &mut SimulatorState, id: &str, decision: &Decision) -> Outcome {
    let index = state.orders.iter().position(|order| order.id.to_string() == id).ok_or((404, format!("there is no order {id}")))?;
    if state.orders[index].completed_at.is_some() {
        return Err((409, format!("order {id} has ended already")));
    }
    let outcome = match decision.status {
        DecidedStatus::Success => Progress::Success,
        DecidedStatus::Failure => Progress::Failure,
    };
    let now = state.now();
    progress::finish(state, index, outcome, now, |_| true);
    Ok((200, state.orders[index].detailed()))
}

fn snapshot(state: &SimulatorState, public_key: &str) -> Value {
    let orders = state.orders.iter().map(|order| with_account(order.detailed(), &order.account));
    let numbers = state.numbers.iter().map(|number| with_account(number.detailed(), &number.account));
    let request = |exchange: &Exchange| json!({ "method": exchange.method, "path": exchange.path, "query": exchange.query, "status": exchange.status, "faulted": exchange.faulted });
    let held = state
        .holds
        .iter()
        .map(|(phone_number, hold)| json!({ "phone_number": phone_number, "account": hold.account, "until": hold.until }));
    json!({
        "api_key": state.api_key,
        "now": state.now(),
        "settings": state.settings,
        "orders": orders.collect::<Vec<_>>(),
        "numbers": numbers.collect::<Vec<_>>(),
        "held": held.collect::<Vec<_>>(),
        "faults": state.faults,
        "requests": state.journal.requests().map(request).collect::<Vec<_>>(),
        "webhooks": state.outbox.attempts,
        "webhook_public_key": public_key,
    })
}
