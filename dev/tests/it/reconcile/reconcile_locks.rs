//! A row that somebody has locked, and a statement that takes too long: they concern that row, not the run.

use dev::demo;
use lambda_http::Context;
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::money::release_failures;
use crate::reconcile::leases_run_out;
use crate::reconcile::reconcile_inventory::{bought, found, vanish};
use crate::support::accounts::{keep_own_key, own_account, two_accounts};
use crate::support::actions::{assigned, balance, ordered_by_somebody_else};
use crate::support::app::World;

const NUMBERS: &str = "/v2/phone_numbers";

/// A world in which a lock is waited for no longer than half a second.
async fn world() -> World {
    let mut world = World::new().await;
    world.set("DATABASE_TIMEOUT_MS", "800");
    world.set("LEASE_MS", "150");
    world
}

/// Locks the rows of a query until the client is dropped.
async fn lock(world: &World, query: &str) -> Client {
    let elsewhere = world.database.connect().await.unwrap();
    elsewhere.batch_execute(&format!("begin; {query} for update")).await.unwrap();
    elsewhere
}

/// Gives locked rows back, as soon as the server has noticed.
async fn unlock(client: Client) {
    client.batch_execute("rollback").await.unwrap();
}

/// When the last whole walk ended.
async fn compared(world: &World) -> Value {
    world.walks().await.first().map(|walk| walk["finished_at"].clone()).unwrap_or_default()
}

#[tokio::test]
async fn a_locked_row_is_left_out_and_the_others_of_its_account_are_compared() {
    let world = world().await;
    let rows = bought(&world, 3).await;
    world.execute("update agency_phone_numbers set phone_number_id = '7'").await;
    let locked = lock(&world, &format!("select from agency_phone_numbers where id = '{}'", rows[1]["id"].as_str().unwrap())).await;
    world.reconcile().await;
    let right = async || {
        let rows = world.rows().await;
        rows.iter().filter(|row| row["phone_number_id"] != "7").count()
    };
    assert_eq!(right().await, 2);
    assert!(compared(&world).await.is_string());
    unlock(locked).await;
    world.reconcile().await;
    assert_eq!(right().await, 3);
    balance(&world).await;
}

#[tokio::test]
async fn a_locked_purchase_is_left_out_and_the_others_are_finished() {
    let world = world().await;
    let rows = bought(&world, 3).await;
    let forget = "\
update phone_number_purchases set phase = 'ordered', completed_at = null, telnyx_phone_number_id = null;
update agency_phone_numbers set status = 'pending', phone_number_id = null, purchased_at = null;";
    world.execute(forget).await;
    let of_row = format!("select from phone_number_purchases where agency_phone_number_id = '{}'", rows[0]["id"].as_str().unwrap());
    let locked = lock(&world, &of_row).await;
    world.reconcile().await;
    let active = async || world.rows().await.iter().filter(|row| row["status"] == "active").count();
    assert_eq!(active().await, 2);
    assert!(compared(&world).await.is_string(), "and the accounts are compared");
    unlock(locked).await;
    world.reconcile().await;
    assert_eq!(active().await, 3);
    balance(&world).await;
}

#[tokio::test]
async fn a_locked_release_is_left_out_and_the_others_are_finished() {
    let world = world().await;
    let rows = [assigned(&world).await, assigned(&world).await];
    for row in &rows {
        world.fault(json!({"method": "DELETE", "path_prefix": NUMBERS, "kind": "delay", "delay_ms": 30_000})).await;
        let deletions = world.asked("DELETE", NUMBERS);
        release_failures::dies(&world, row, async || world.asked("DELETE", NUMBERS) > deletions).await;
    }
    leases_run_out(&world).await;
    let of_row = format!("select from phone_number_releases where agency_phone_number_id = '{}'", rows[0]["id"].as_str().unwrap());
    let locked = lock(&world, &of_row).await;
    world.reconcile().await;
    assert_eq!((&world.now(&rows[0]).await["status"], &world.now(&rows[1]).await["status"]), (&json!("inactive"), &json!("released")));
    assert!(compared(&world).await.is_string());
    unlock(locked).await;
    world.reconcile().await;
    assert_eq!(world.now(&rows[0]).await["status"], "released");
    balance(&world).await;
}

#[tokio::test]
async fn a_locked_walk_is_left_out_and_the_other_accounts_are_compared() {
    let (mut world, vault) = two_accounts().await;
    world.set("DATABASE_TIMEOUT_MS", "800");
    bought(&world, 1).await;
    keep_own_key(&vault);
    let own = own_account();
    bought(&world, 1).await;
    world.reconcile().await;
    let before = world.walks().await;
    assert_eq!(before.len(), 2);
    let locked = lock(&world, &format!("select from phone_number_inventory_walks where telnyx_account = '{own}'")).await;
    world.reconcile().await;
    let after = world.walks().await;
    let ended =
        |walks: &[Value], account: &str| walks.iter().find(|walk| walk["telnyx_account"] == account).unwrap()["finished_at"].clone();
    assert_eq!(ended(&after, &own), ended(&before, &own));
    assert_ne!(ended(&after, "platform"), ended(&before, "platform"));
    unlock(locked).await;
    world.reconcile().await;
    assert_ne!(ended(&world.walks().await, &own), ended(&before, &own));
}

#[tokio::test]
async fn a_walk_that_is_locked_half_way_is_continued_where_it_was() {
    let world = world().await;
    world.telnyx_settings(json!({"largest_page": 2})).await;
    bought(&world, 3).await;
    world.fault(json!({"method": "GET", "path_prefix": NUMBERS, "kind": "delay", "times": 1})).await;
    world.fault(json!({"method": "GET", "path_prefix": NUMBERS, "kind": "status", "status": 500})).await;
    world.reconcile().await;
    let begun = world.walks().await.remove(0);
    assert_eq!(begun["next_page"], 2);
    let locked = lock(&world, "select from phone_number_inventory_walks").await;
    world.reconcile().await;
    assert_eq!(world.walks().await[0]["next_page"], 2);
    unlock(locked).await;
    world.reconcile().await;
    let ended = world.walks().await.remove(0);
    assert_eq!((&ended["started_at"], ended["finished_at"].is_string()), (&begun["started_at"], true));
}

#[tokio::test]
async fn a_locked_finding_is_left_out_and_the_others_are_seen_again_and_closed() {
    let world = world().await;
    let rows = bought(&world, 3).await;
    ordered_by_somebody_else(&world, &world.offers("415", 1).await[0]).await;
    world.execute(&format!("delete from agencies where id = '{}'", demo::DEMO.id)).await;
    world.reconcile().await;
    let before = world.findings().await;
    assert_eq!(before.len(), 4);
    let number = &rows[0]["phone_number"];
    let of_number = format!("select from phone_number_findings where phone_number = '{}'", number.as_str().unwrap());
    let locked = lock(&world, &of_number).await;
    world.reconcile().await;
    for (before, after) in before.iter().zip(&world.findings().await) {
        assert_eq!(before["last_seen_at"] == after["last_seen_at"], before["phone_number"] == *number, "{after:#}");
    }
    // Nor does it keep others from being closed.
    for row in &rows[..2] {
        vanish(&world, &row["phone_number"]).await;
    }
    for _ in 0..2 {
        world.reconcile().await;
    }
    let state = async |number: &Value| found(&world).await.into_iter().find(|[_, found, _]| found == number).unwrap()[2].clone();
    assert_eq!((state(number).await, state(&rows[1]["phone_number"]).await), (json!("open"), json!("gone")));
    unlock(locked).await;
    world.reconcile().await;
    assert_eq!(state(number).await, "gone");
}

#[tokio::test]
async fn a_row_that_predates_the_ledger_and_is_locked_is_left_out() {
    let world = world().await;
    bought(&world, 1).await;
    let old = async || world.insert(json!({"status": "pending", "created_at": "2025-12-24T12:00:00Z"})).await;
    let rows = [old().await, old().await];
    let locked = lock(&world, &format!("select from agency_phone_numbers where id = '{}'", rows[0]["id"].as_str().unwrap())).await;
    world.reconcile().await;
    assert_eq!((&world.now(&rows[0]).await["status"], &world.now(&rows[1]).await["status"]), (&json!("pending"), &json!("released")));
    unlock(locked).await;
    world.reconcile().await;
    assert_eq!(world.now(&rows[0]).await["status"], "released");
}

#[tokio::test]
async fn a_statement_that_takes_too_long_concerns_its_row() {
    let world = world().await;
    let rows = bought(&world, 2).await;
    world.execute("update agency_phone_numbers set phone_number_id = '7'").await;
    let slow = format!(
        "create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(30); return new; end $$;
         create trigger slow before update on agency_phone_numbers for each row when (new.id = '{}') execute function slow();",
        rows[0]["id"].as_str().unwrap()
    );
    world.execute(&slow).await;
    world.reconcile().await;
    assert_eq!(world.now(&rows[0]).await["phone_number_id"], "7");
    assert_eq!(world.now(&rows[1]).await["phone_number_id"], rows[1]["phone_number_id"]);
    assert!(compared(&world).await.is_string());
}

#[tokio::test]
async fn a_table_that_is_locked_as_a_whole_ends_no_run_and_a_database_that_is_gone_does() {
    let mut world = world().await;
    let row = bought(&world, 1).await.remove(0);
    let elsewhere = world.database.connect().await.unwrap();
    elsewhere.batch_execute("begin; lock table phone_number_findings in access exclusive mode").await.unwrap();
    world.execute("delete from agency_phone_numbers").await;
    world.reconcile().await;
    let again = world.rows().await.remove(0);
    assert_eq!((&again["phone_number"], &again["status"]), (&row["phone_number"], &json!("active")), "what can be done is done");
    unlock(elsewhere).await;
    let wire = world.wired().await;
    let reconciler = world.reconciler();
    wire.shut();
    assert!(reconciler.run(&Context::default()).await.is_err());
    wire.open();
    reconciler.run(&Context::default()).await.unwrap();
}
