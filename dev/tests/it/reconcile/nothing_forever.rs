//! Nothing is pending for ever: an intent that nobody ordered, an order that is gone, a number that is gone, documents that never
//! came, an agency that was deleted.

use dev::demo;
use serde_json::{Value, json};

use crate::support::actions::{assigned, balance, heal, only_finding, order_of, orders_sent, release_of, removed_by_hand, unsold};
use crate::support::app::World;

const ORDERS: &str = "/v2/number_orders";
const CANCELLATIONS: &str = "/v2/sub_number_orders";

/// A world in which a purchase does not wait for long.
async fn world() -> World {
    let mut world = World::new().await;
    world.set("REQUEST_BUDGET_MS", "3000");
    world
}

/// A number whose order Telnyx has not decided: its row.
async fn ordered(world: &World) -> Value {
    world.telnyx_settings(json!({"order_outcome": "never"})).await;
    let number = unsold(world).await;
    world.purchase("owner", order_of(&number)).await.expect(202).number().clone()
}

/// The id of the only order of the ledger.
async fn order_id(world: &World) -> String {
    world.ledger().await[0]["telnyx_order_id"].as_str().unwrap().to_owned()
}

/// The clock of the database, moved by hand: what began is that much older.
async fn pass(world: &World, time: &str) {
    let back = format!(
        "update phone_number_purchases
         set created_at = created_at - interval '{time}',
             order_missed_at = order_missed_at - interval '{time}',
             number_missed_at = number_missed_at - interval '{time}',
             requirements_deadline = requirements_deadline - interval '{time}'"
    );
    world.execute(&back).await;
}

/// An intent that was parked before anything was ordered.
async fn parked(world: &mut World) -> Value {
    let (number, sent) = (unsold(world).await, orders_sent(world));
    // With too little time left for an order.
    world.set("REQUEST_BUDGET_MS", "1900");
    let row = world.purchase("owner", order_of(&number)).await.expect(202).number().clone();
    world.set("REQUEST_BUDGET_MS", "3000");
    assert_eq!(orders_sent(world), sent);
    row
}

#[tokio::test]
async fn an_intent_that_was_never_ordered_expires_without_a_key_and_is_kept_in_the_history() {
    let mut world = world().await;
    let row = parked(&mut world).await;
    pass(&world, "11 minutes").await;
    let key = world.telnyx.api_key().to_owned();
    world.set("TELNYX_API_KEY", "");
    world.reconcile().await;
    assert!(world.rows().await.is_empty());
    assert_eq!((orders_sent(&world), world.ledger().await[0]["failure_code"].clone()), (0, json!("purchase_expired")));
    assert_eq!(world.history(&row).await[0]["event"], "expired");
    world.set("TELNYX_API_KEY", &key);
    // Asked for again, it is bought like any other.
    world.purchase("owner", order_of(row["phone_number"].as_str().unwrap())).await.expect(200);
    balance(&world).await;
}

#[tokio::test]
async fn whoever_asks_for_an_expired_intent_is_told_so_and_asks_again() {
    let mut world = world().await;
    let row = parked(&mut world).await;
    pass(&world, "11 minutes").await;
    let order = order_of(row["phone_number"].as_str().unwrap());
    world.purchase("owner", order.clone()).await.expect_problem(409, "purchase_expired");
    assert_eq!(orders_sent(&world), 0);
    world.purchase("owner", order).await.expect(200);
}

#[tokio::test]
async fn an_intent_within_its_time_is_bought_by_the_schedule() {
    let mut world = world().await;
    let row = parked(&mut world).await;
    pass(&world, "9 minutes").await;
    world.reconcile().await;
    world.reconcile().await;
    assert_eq!(world.now(&row).await["status"], "active");
    world.set("PURCHASE_EXPIRES_AFTER_MS", "1000");
    let row = parked(&mut world).await;
    pass(&world, "1 second").await;
    world.reconcile().await;
    assert!(!world.rows().await.iter().any(|now| now["id"] == row["id"]), "the time is a setting");
}

#[tokio::test]
async fn an_intent_that_was_attempted_expires_only_on_proof_that_no_order_exists() {
    let mut world = world().await;
    let number = unsold(&world).await;
    world.fault(json!({"method": "POST", "path_prefix": ORDERS, "kind": "drop_before", "times": 1_000})).await;
    world.purchase("owner", order_of(&number)).await.expect(202);
    assert!(orders_sent(&world) >= 1);
    world.execute("update phone_number_purchases set phase = 'intended'").await;
    pass(&world, "11 minutes").await;
    heal(&world).await;
    let sent = orders_sent(&world);
    world.telnyx_settings(json!({"accounts": {"another": "KEYANOTHER"}})).await;
    let key = world.telnyx.api_key().to_owned();
    world.set("TELNYX_API_KEY", "KEYANOTHER");
    world.reconcile().await;
    assert_eq!(world.ledger().await[0]["phase"], "intended", "another account proves nothing");
    world.set("TELNYX_API_KEY", &key);
    world.reconcile().await;
    assert_eq!((orders_sent(&world), world.ledger().await[0]["failure_code"].clone()), (sent, json!("purchase_expired")));
    balance(&world).await;
}

#[tokio::test]
async fn an_intent_that_was_attempted_and_ordered_is_bought_however_old_it_is() {
    let world = world().await;
    let number = unsold(&world).await;
    world.fault(json!({"method": "POST", "path_prefix": ORDERS, "kind": "drop_after"})).await;
    world.fault(json!({"method": "GET", "path_prefix": ORDERS, "kind": "status", "status": 500, "times": 1_000})).await;
    world.purchase("owner", order_of(&number)).await.expect(202);
    heal(&world).await;
    world.execute("update phone_number_purchases set phase = 'intended'").await;
    pass(&world, "30 days").await;
    world.reconcile().await;
    assert_eq!((orders_sent(&world), world.rows().await[0]["status"].clone()), (1, json!("active")));
    balance(&world).await;
}

#[tokio::test]
async fn an_order_that_nobody_knows_any_more_is_a_finding_that_the_agency_can_settle() {
    let world = world().await;
    let row = ordered(&world).await;
    removed_by_hand(&world, &format!("orders/{}", order_id(&world).await)).await;
    removed_by_hand(&world, &format!("numbers/{}", row["phone_number"].as_str().unwrap())).await;
    world.reconcile().await;
    assert!(world.findings().await.is_empty(), "one look is not enough");
    world.release("owner", release_of(&row)).await.expect(207);
    pass(&world, "1 minute").await;
    world.reconcile().await;
    assert_eq!(only_finding(&world).await, ("order_missing".to_owned(), "platform".to_owned(), row["phone_number"].clone()));
    world.release("owner", release_of(&row)).await.expect(200);
    assert_eq!(
        (world.now(&row).await["status"].clone(), world.ledger().await[0]["phase"].clone()),
        (json!("released"), json!("cancelled"))
    );
    // The number is free again.
    world.telnyx_settings(json!({"order_outcome": "success"})).await;
    world.purchase("owner", order_of(row["phone_number"].as_str().unwrap())).await.expect(200);
    balance(&world).await;
}

#[tokio::test]
async fn a_success_whose_number_was_deleted_is_a_finding_that_the_agency_can_settle() {
    let world = world().await;
    let row = ordered(&world).await;
    removed_by_hand(&world, &format!("numbers/{}", row["phone_number"].as_str().unwrap())).await;
    world.telnyx_settings(json!({"order_outcome": "success"})).await;
    world.reconcile().await;
    assert!(world.findings().await.is_empty(), "a number may be a little later than its order");
    world.release("owner", release_of(&row)).await.expect(207);
    pass(&world, "30 seconds").await;
    world.reconcile().await;
    assert_eq!(only_finding(&world).await.0, "number_missing");
    world.release("owner", release_of(&row)).await.expect(200);
    assert_eq!(world.ledger().await[0]["phase"], "cancelled");
    world.purchase("owner", order_of(row["phone_number"].as_str().unwrap())).await.expect(200);
    balance(&world).await;
}

/// A German number whose order waits for documents: its row.
async fn regulated(world: &World) -> Value {
    let found = world.search("owner", "country_code=DE&limit=1").await.expect(200);
    let number = found.number()["phone_number"].as_str().unwrap().to_owned();
    world.purchase("owner", order_of(&number)).await.expect(202).number().clone()
}

#[tokio::test]
async fn an_order_whose_documents_are_overdue_is_cancelled_at_telnyx() {
    let world = world().await;
    let row = regulated(&world).await;
    pass(&world, "9 days").await;
    world.reconcile().await;
    assert_eq!(world.now(&row).await["status"], "pending", "there is a day left");
    pass(&world, "2 days").await;
    world.reconcile().await;
    assert!(world.rows().await.is_empty());
    assert_eq!(world.ledger().await[0]["failure_code"], "number_unavailable");
    assert_eq!((world.asked("PATCH", CANCELLATIONS), world.billed().await.len()), (1, 0));
    balance(&world).await;
}

#[tokio::test]
async fn an_order_that_cannot_be_cancelled_is_not_given_up() {
    let world = world().await;
    let row = regulated(&world).await;
    pass(&world, "11 days").await;
    world.fault(json!({"method": "PATCH", "path_prefix": CANCELLATIONS, "kind": "status", "status": 422, "times": 1_000})).await;
    world.reconcile().await;
    assert_eq!((world.now(&row).await["status"].clone(), world.ledger().await[0]["phase"].clone()), (json!("pending"), json!("ordered")));
    heal(&world).await;
    world.reconcile().await;
    assert!(world.rows().await.is_empty());
}

#[tokio::test]
async fn a_purchase_is_cancelled_only_when_each_of_its_orders_is() {
    let world = world().await;
    let row = ordered(&world).await;
    // An earlier order with the same reference, thought missing once, is still pending.
    let purchase = world.purchase_of(&row["phone_number"]).await;
    let other = unsold(&world).await;
    let state = world.telnyx_state().await;
    assert_eq!(state["orders"].as_array().unwrap().len(), 1);
    let earlier = json!({"phone_numbers": [{"phone_number": other}], "customer_reference": purchase["telnyx_reference"]});
    crate::support::actions::telnyx(&world, world.telnyx.api_key(), lambda_http::http::Method::POST, "/number_orders", Some(earlier)).await;
    // Every list shows that order as one for the same number.
    let patch = json!({"/data/0/phone_numbers/0/phone_number": row["phone_number"]});
    world.fault(json!({"method": "GET", "path_prefix": ORDERS, "kind": "patched", "patch": patch, "times": 1_000})).await;
    world.release("owner", release_of(&row)).await.expect(200);
    let orders = world.telnyx_state().await["orders"].clone();
    assert!(orders.as_array().unwrap().iter().all(|order| order["status"] == "failure"), "{orders:#}");
    heal(&world).await;
}

#[tokio::test]
async fn an_order_of_an_agency_that_was_deleted_is_cancelled_while_that_is_free() {
    let world = world().await;
    regulated(&world).await;
    world.execute(&format!("delete from agencies where id = '{}'", demo::DEMO.id)).await;
    world.reconcile().await;
    assert_eq!((world.asked("PATCH", CANCELLATIONS), world.billed().await.len()), (1, 0));
    assert_eq!(world.ledger().await[0]["phase"], "failed");
    assert!(world.findings().await.is_empty());
}

#[tokio::test]
async fn a_number_of_an_agency_that_was_deleted_is_told_at_once_when_it_is_not_free() {
    let world = world().await;
    let row = regulated(&world).await;
    world.execute(&format!("delete from agencies where id = '{}'", demo::DEMO.id)).await;
    crate::support::actions::decide(&world, "success").await;
    world.reconcile().await;
    assert_eq!(world.ledger().await[0]["phase"], "completed");
    assert_eq!(only_finding(&world).await, ("agency_gone".to_owned(), "platform".to_owned(), row["phone_number"].clone()));
}

#[tokio::test]
async fn a_success_that_names_another_number_is_not_ours() {
    let world = world().await;
    let row = ordered(&world).await;
    world.telnyx_settings(json!({"order_outcome": "success"})).await;
    let patch = json!({"/data/phone_numbers/0/phone_number": "+13125550100"});
    let list = json!({"/data/0/phone_numbers/0/phone_number": "+13125550100"});
    world.fault(json!({"method": "GET", "path_prefix": format!("{ORDERS}/"), "kind": "patched", "patch": patch, "times": 1})).await;
    world.fault(json!({"method": "GET", "path_prefix": ORDERS, "kind": "patched", "patch": list, "times": 1})).await;
    world.reconcile().await;
    assert_eq!(world.now(&row).await["status"], "pending");
    heal(&world).await;
    world.reconcile().await;
    assert_eq!(world.now(&row).await["status"], "active");
    balance(&world).await;
}

#[tokio::test]
async fn everything_holds_where_telnyx_copies_no_reference_onto_numbers() {
    let world = world().await;
    world.telnyx_settings(json!({"references_on_numbers": false})).await;
    let row = assigned(&world).await;
    let owned = world.telnyx_state().await["numbers"][0].clone();
    assert!(owned["customer_reference"].is_null());
    world.reconcile().await;
    assert!(world.findings().await.is_empty());
    // A lost answer is found by the order's own reference.
    world.fault(json!({"method": "POST", "path_prefix": ORDERS, "kind": "drop_after"})).await;
    let other = assigned(&world).await;
    assert_eq!(orders_sent(&world), 2);
    for row in [row, other] {
        world.release("owner", release_of(&row)).await.expect(200);
    }
    assert!(world.billed().await.is_empty());
    balance(&world).await;
}

#[tokio::test]
async fn the_archive_gives_back_what_it_took_though_the_table_has_grown_since() {
    let world = world().await;
    let old = crate::money::bought_again::given_back(&world, "owner").await;
    world.telnyx_settings(json!({"order_outcome": "never"})).await;
    let number = old["phone_number"].as_str().unwrap();
    world.purchase("owner", order_of(number)).await.expect(202);
    assert_eq!(world.archive().await.len(), 1);
    world.execute("alter table agency_phone_numbers add column label text default 'none' not null").await;
    crate::support::actions::decide(&world, "failure").await;
    world.purchase("owner", order_of(number)).await.expect_problem(409, "number_unavailable");
    let back = world.rows().await.remove(0);
    assert_eq!((&back["id"], &back["status"], &back["label"]), (&old["id"], &json!("released"), &json!("none")));
    assert!(world.archive().await.is_empty());
}

/// A number that a comparison has switched off, since Telnyx does not have it any more: its row.
async fn switched_off(world: &World) -> Value {
    let row = assigned(world).await;
    removed_by_hand(world, &format!("numbers/{}", row["phone_number"].as_str().unwrap())).await;
    for _ in 0..2 {
        world.reconcile().await;
    }
    assert_eq!(world.now(&row).await["status"], "inactive");
    row
}

#[tokio::test]
async fn a_number_that_was_switched_off_and_is_gone_is_bought_anew() {
    let world = World::new().await;
    let old = switched_off(&world).await;
    let bought = world.purchase("owner", order_of(old["phone_number"].as_str().unwrap())).await.expect(200);
    assert_ne!(bought.number()["id"], old["id"]);
    assert_eq!((bought.header("idempotent-replayed"), orders_sent(&world)), ("", 2));
    let query = format!("id={}&include_history=true", old["id"].as_str().unwrap());
    let shown = world.assign("owner", lambda_http::http::Method::GET, &query, None).await.expect(200);
    assert_eq!(shown.body["phone_number"]["status"], "released");
    let reasons: Vec<_> = shown.body["history"].as_array().unwrap().iter().filter(|entry| entry["actor"] == "reconcile").collect();
    assert!(
        reasons.iter().any(|entry| entry["changes"]["number_at_telnyx"]["to"].is_null() && !entry["changes"]["number_at_telnyx"].is_null())
    );
    balance(&world).await;
}

#[tokio::test]
async fn a_number_that_was_switched_off_and_is_not_on_offer_is_refused_in_truth() {
    let world = World::new().await;
    let old = switched_off(&world).await;
    // Another customer of Telnyx has it by now.
    world.telnyx_settings(json!({"accounts": {"another": "KEYANOTHER"}, "hold_ms": 0})).await;
    removed_hold(&world, &old["phone_number"]).await;
    world.purchase("owner", order_of(old["phone_number"].as_str().unwrap())).await.expect_problem(409, "number_unavailable");
    assert_eq!(world.now(&old).await["status"], "released");
}

/// A number comes into another account: searched for and ordered there.
async fn removed_hold(world: &World, number: &Value) {
    let number = number.as_str().unwrap();
    world.telnyx_settings(json!({"clock": "manual"})).await;
    let advance =
        reqwest::Client::new().post(format!("{}/clock", world.telnyx.control_url())).json(&json!({"advance_ms": 2_000_000_000_u64}));
    assert!(advance.send().await.unwrap().status().is_success());
    world.telnyx_settings(json!({"clock": "auto"})).await;
    let search = format!("/available_phone_numbers?filter[country_code]=US&filter[phone_number][starts_with]={}", &number[2..]);
    crate::support::actions::telnyx(world, "KEYANOTHER", lambda_http::http::Method::GET, &search, None).await;
    let order = json!({"phone_numbers": [{"phone_number": number}], "customer_reference": dev::books::SOMEBODY_ELSE});
    crate::support::actions::telnyx(world, "KEYANOTHER", lambda_http::http::Method::POST, "/number_orders", Some(order)).await;
}

#[tokio::test]
async fn a_number_that_was_switched_off_and_is_back_is_the_agencys_without_an_order() {
    let world = World::new().await;
    let old = switched_off(&world).await;
    crate::reconcile::reconcile_inventory::come_back(&world, &old["phone_number"]).await;
    let again = world.purchase("owner", order_of(old["phone_number"].as_str().unwrap())).await.expect(200);
    assert_eq!((&again.number()["id"], &again.number()["status"]), (&old["id"], &json!("active")));
    balance(&world).await;
}
