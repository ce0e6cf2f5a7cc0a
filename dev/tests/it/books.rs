//! The books: what Telnyx has and bills must be what the rows say, whatever went wrong on the way.

use std::collections::HashSet;

use dev::demo;
use lambda_http::http::Method;
use serde_json::{Value, json};

use crate::world::{World, agent};

/// The reference under which somebody else orders from the same account.
const SOMEBODY_ELSE: &str = "somebody else's";

/// The body that buys one number.
pub(crate) fn order_of(number: &str) -> Value {
    json!({"phone_numbers": [{"phone_number": number}]})
}

/// The body that buys several.
pub(crate) fn order_of_all(numbers: &[String]) -> Value {
    let items: Vec<_> = numbers.iter().map(|number| json!({"phone_number": number})).collect();
    json!({ "phone_numbers": items })
}

/// The body that releases one row.
pub(crate) fn release_of(row: &Value) -> Value {
    json!({"phone_number_ids": [row["id"]], "confirm": true})
}

/// Nothing is lost and nothing is bought twice: each live row is a number that Telnyx has, each number that Telnyx has is
/// a live row or one whose order is still being found out, and no purchase has two orders that count.
#[track_caller]
pub(crate) fn balance(world: &World) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let wrong = imbalance(world).await;
        assert!(wrong.is_empty(), "{caller}: the books do not balance: {wrong:#?}");
    }
}

async fn imbalance(world: &World) -> Vec<String> {
    let state = world.telnyx_state().await;
    let (rows, ledger) = (world.rows().await, world.ledger().await);
    let is_ours = |thing: &&Value| thing["customer_reference"] != SOMEBODY_ELSE;
    let numbers: Vec<_> =
        state["numbers"].as_array().unwrap().iter().filter(is_ours).filter(|number| number["status"] != "deleted").collect();
    let orders: Vec<_> = state["orders"].as_array().unwrap().iter().filter(is_ours).filter(|order| order["status"] != "failure").collect();
    let mut wrong = Vec::new();
    let mut seen = HashSet::new();
    for number in &numbers {
        let name = &number["phone_number"];
        if !seen.insert(name.to_string()) {
            wrong.push(format!("{name} is billed twice"));
        }
        let row = rows.iter().find(|row| row["phone_number"] == *name);
        let explained = row.is_some_and(|row| match row["status"].as_str().unwrap() {
            "active" | "inactive" => row["phone_number_id"].is_null() || row["phone_number_id"] == number["id"],
            "pending" => unfinished(&ledger, row),
            _ => false,
        });
        if !explained {
            wrong.push(format!("{name} is billed, and its row is {row:?}"));
        }
    }
    for row in rows.iter().filter(|row| row["status"] == "active" || row["status"] == "inactive") {
        if !numbers.iter().any(|number| number["phone_number"] == row["phone_number"]) {
            wrong.push(format!("Telnyx does not have {row}"));
        }
    }
    for purchase in &ledger {
        let orders = orders.iter().filter(|order| order["customer_reference"] == purchase["id"]).count();
        if orders > 1 {
            wrong.push(format!("{orders} orders count for {purchase}"));
        }
        if orders > 0 && ["failed", "cancelled"].contains(&purchase["phase"].as_str().unwrap()) {
            wrong.push(format!("an order counts for {purchase}"));
        }
    }
    let unknown = |order: &&&Value| !ledger.iter().any(|purchase| purchase["id"] == order["customer_reference"]);
    wrong.extend(orders.iter().filter(unknown).map(|order| format!("the ledger does not know {order}")));
    wrong
}

/// Whether an order for a pending row may exist.
fn unfinished(ledger: &[Value], row: &Value) -> bool {
    let may_exist = |purchase: &&Value| match purchase["phase"].as_str().unwrap() {
        "ordering" | "ordered" => true,
        "intended" => purchase["order_attempts"].as_i64().unwrap() > 0,
        _ => false,
    };
    ledger.iter().filter(|purchase| purchase["agency_phone_number_id"] == row["id"]).any(|purchase| may_exist(&purchase))
}

/// A number on offer that has no row, not even one of a number given back.
pub(crate) async fn unsold(world: &World) -> String {
    let rows = world.rows().await;
    let sold = |number: &String| rows.iter().any(|row| row["phone_number"] == *number);
    world.offers("312", 20).await.into_iter().find(|number| !sold(number)).unwrap()
}

/// A number that the demo agency has and an agent answers: its row.
pub(crate) async fn assigned(world: &World) -> Value {
    let item = json!({"phone_number": unsold(world).await, "agent_mapping_id": agent(&demo::DEMO, 0)});
    world.purchase("owner", json!({"phone_numbers": [item]})).await.expect(200).number().clone()
}

/// How many orders were sent.
pub(crate) fn orders_sent(world: &World) -> usize {
    world.asked("POST", "/v2/number_orders")
}

/// Asks Telnyx past our functions, with a key of its own.
pub(crate) async fn telnyx(world: &World, key: &str, method: Method, path: &str, body: Option<Value>) -> Value {
    let mut request = reqwest::Client::new().request(method, format!("{}{path}", world.telnyx.url())).bearer_auth(key);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    answer.json().await.unwrap()
}

/// Somebody else with the same account at Telnyx orders a number that a search has shown.
pub(crate) async fn ordered_by_somebody_else(world: &World, number: &str) {
    let body = json!({"phone_numbers": [{"phone_number": number}], "customer_reference": SOMEBODY_ELSE});
    telnyx(world, world.telnyx.api_key(), Method::POST, "/number_orders", Some(body)).await;
}

/// Decides the only order that is pending at Telnyx.
pub(crate) async fn decide(world: &World, status: &str) {
    let state = world.telnyx_state().await;
    let pending: Vec<_> = state["orders"].as_array().unwrap().iter().filter(|order| order["status"] == "pending").collect();
    assert_eq!(pending.len(), 1, "{pending:#?}");
    let url = format!("{}/orders/{}", world.telnyx.control_url(), pending[0]["id"].as_str().unwrap());
    let answer = reqwest::Client::new().post(url).json(&json!({ "status": status })).send().await.unwrap();
    assert!(answer.status().is_success());
}

/// Takes back every fault that has not struck yet.
pub(crate) async fn heal(world: &World) {
    let answer = reqwest::Client::new().delete(format!("{}/faults", world.telnyx.control_url())).send().await.unwrap();
    assert!(answer.status().is_success());
}
