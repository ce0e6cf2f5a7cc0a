//! `/_control`: how people and tests look inside and turn the knobs. Nothing of it exists at Telnyx.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Exchange, clock::millis, faults::Fault, orders::Progress, server::Shared, world::World};

/// A status and a body.
type Outcome = Result<(u16, Value), (u16, String)>;

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
            if fault.status.is_some_and(|status| !(100..600).contains(&status)) {
                return Err((400, "status must be an HTTP status".to_owned()));
            }
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

fn state(shared: &Shared, world: &World) -> Value {
    let mut orders: Vec<_> = world.orders.iter().map(|order| (order.account.as_str(), order.detailed())).collect();
    let mut numbers: Vec<_> = world.numbers.iter().map(|number| (number.account.as_str(), number.detailed())).collect();
    for (account, shown) in orders.iter_mut().chain(&mut numbers) {
        shown["account"] = json!(account);
    }
    let only_shown = |all: Vec<(&str, Value)>| all.into_iter().map(|(_, shown)| shown).collect::<Vec<_>>();
    let request = |exchange: &Exchange| json!({ "method": exchange.method, "path": exchange.path, "query": exchange.query, "status": exchange.status, "faulted": exchange.faulted });
    let held = world
        .holds
        .iter()
        .map(|(phone_number, hold)| json!({ "phone_number": phone_number, "account": hold.account, "until": hold.until }));
    json!({
        "api_key": world.api_key,
        "now": world.now(),
        "settings": world.settings,
        "orders": only_shown(orders),
        "numbers": only_shown(numbers),
        "held": held.collect::<Vec<_>>(),
        "faults": world.faults,
        "requests": world.journal.requests().map(request).collect::<Vec<_>>(),
        "webhooks": world.outbox.attempts,
        "webhook_public_key": shared.public_key(),
    })
}
