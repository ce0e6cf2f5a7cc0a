//! `/_control`: how people and tests look inside and turn the knobs. Nothing of it exists at Telnyx.
//!
//! | Request | What it does |
//! |---|---|
//! | `GET state` | Returns everything the simulator remembers |
//! | `POST reset` | Restores the settings of the start and forgets the rest; accounts and their keys are kept |
//! | `GET settings`, `PUT settings` | Returns or changes the settings: `settings.rs` |
//! | `GET faults`, `POST faults`, `DELETE faults` | Returns, adds or clears faults: `faults.rs` |
//! | `POST clock` `{"advance_ms": 5}` | Advances the clock |
//! | `POST orders/{id}` `{"status": "success"}` or `"failure"` | Ends a pending order |
//! | `DELETE orders/{id}` | Forgets an order; its numbers stay as they are: `by_hand.rs` |
//! | `PATCH numbers/{id}`, `DELETE numbers/{id}` | Changes or removes a number, as in Telnyx's portal: `by_hand.rs` |
//!
//! Unknown ids and paths are 404, unreadable bodies 400, each with `{"error": "…"}`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Exchange, by_hand, clock::millis, faults::Fault, orders::Progress, server::Shared, world::World};

/// A status and a body, or a status and what is wrong.
pub(super) type Outcome = Result<(u16, Value), (u16, String)>;

pub(super) fn answer(shared: &Shared, method: &str, segments: &[&str], body: &[u8]) -> (u16, Value) {
    let mut world = shared.world();
    world.settle();
    let outcome = route(shared, &mut world, method, segments, body);
    world.settle();
    outcome.unwrap_or_else(|(status, error)| (status, json!({ "error": error })))
}

fn route(shared: &Shared, world: &mut World, method: &str, segments: &[&str], body: &[u8]) -> Outcome {
    match (method, segments) {
        ("GET", ["state"]) => Ok((200, state(shared, world))),
        ("POST", ["reset"]) => {
            world.reset();
            Ok((200, json!(world.settings)))
        }
        ("GET", ["settings"]) => Ok((200, json!(world.settings))),
        ("PUT", ["settings"]) => change_settings(world, &parse(body)?),
        ("GET", ["faults"]) => Ok((200, json!({ "faults": world.faults }))),
        ("POST", ["faults"]) => {
            let fault: Fault = parse(body)?;
            fault.check().map_err(|error| (400, error))?;
            world.faults.add(fault);
            Ok((201, json!({ "faults": world.faults })))
        }
        ("DELETE", ["faults"]) => {
            world.faults.clear();
            Ok((200, json!({ "faults": world.faults })))
        }
        ("POST", ["clock"]) => {
            let Advance { advance_ms } = parse(body)?;
            world.clock.advance(millis(advance_ms));
            Ok((200, json!({ "now": world.now() })))
        }
        ("POST", ["orders", id]) => decide(world, id, &parse(body)?),
        ("DELETE", ["orders", id]) => by_hand::forget_order(world, id),
        ("PATCH", ["numbers", id]) => by_hand::change_number(world, id, parse(body)?),
        ("DELETE", ["numbers", id]) => by_hand::remove_number(world, id),
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

fn change_settings(world: &mut World, changes: &Value) -> Outcome {
    let settings = world.settings.merged(changes).map_err(|error| (400, error))?;
    if settings.clock != world.settings.clock {
        world.clock.switch(settings.clock);
    }
    world.settings = settings;
    Ok((200, json!(world.settings)))
}

/// Ends a pending order as told, whatever it was waiting for.
fn decide(world: &mut World, id: &str, decision: &Decision) -> Outcome {
    let index = world.orders.iter().position(|order| order.id.to_string() == id).ok_or((404, format!("there is no order {id}")))?;
    if world.orders[index].completed_at.is_some() {
        return Err((409, format!("order {id} has ended already")));
    }
    let outcome = match decision.status {
        DecidedStatus::Success => Progress::Success,
        DecidedStatus::Failure => Progress::Failure,
    };
    let now = world.now();
    world.finish(index, outcome, now, |_| true);
    Ok((200, world.orders[index].detailed()))
}

/// An order or a number as Telnyx shows it, and the account it belongs to.
pub(super) fn with_account(mut shown: Value, account: &str) -> Value {
    shown["account"] = json!(account);
    shown
}

fn state(shared: &Shared, world: &World) -> Value {
    let orders = world.orders.iter().map(|order| with_account(order.detailed(), &order.account));
    let numbers = world.numbers.iter().map(|number| with_account(number.detailed(), &number.account));
    let request = |exchange: &Exchange| json!({ "method": exchange.method, "path": exchange.path, "query": exchange.query, "status": exchange.status, "faulted": exchange.faulted });
    let held = world
        .holds
        .iter()
        .map(|(phone_number, hold)| json!({ "phone_number": phone_number, "account": hold.account, "until": hold.until }));
    json!({
        "api_key": world.api_key,
        "now": world.now(),
        "settings": world.settings,
        "orders": orders.collect::<Vec<_>>(),
        "numbers": numbers.collect::<Vec<_>>(),
        "held": held.collect::<Vec<_>>(),
        "faults": world.faults,
        "requests": world.journal.requests().map(request).collect::<Vec<_>>(),
        "webhooks": world.outbox.attempts,
        "webhook_public_key": shared.public_key(),
    })
}
