//! Findings about purchases and releases that cannot go on: what an operator decides, and when they end by themselves.

use serde_json::{Value, json};
use shared::store::{Adoption, Finding};

use crate::support::actions::{assigned, balance, by_hand, order_of, release_of, removed_by_hand, unsold};
use crate::support::app::World;

/// The only open finding.
async fn only(world: &World, kind: &str) -> Finding {
    let mut open = world.store().open_findings().await.unwrap();
    assert_eq!(open.iter().map(|finding| finding.observation.kind.as_str()).collect::<Vec<_>>(), [kind]);
    open.remove(0)
}

async fn adopt(world: &World, finding: &Finding) -> Adoption {
    world.store().adopt_finding(finding.id, None, None).await.unwrap()
}

/// From here on, the account has other keys, and nothing of what it knows shows that it is the same.
async fn another_key(world: &mut World) {
    world.telnyx_settings(json!({"accounts": {"default": ["KEYREPLACED"]}})).await;
    world.set("TELNYX_API_KEY", "KEYREPLACED");
}

/// A number whose order Telnyx has not decided: its row.
async fn ordered(world: &World) -> Value {
    world.telnyx_settings(json!({"order_outcome": "never"})).await;
    world.purchase("owner", order_of(&unsold(world).await)).await.expect(202).number().clone()
}

#[tokio::test]
async fn an_operator_vouches_for_a_key_and_the_release_goes_on() {
    let mut world = World::new().await;
    let row = assigned(&world).await;
    let order = world.purchase_of(&row["phone_number"]).await["telnyx_order_id"].as_str().unwrap().to_owned();
    removed_by_hand(&world, &format!("numbers/{}", row["phone_number"].as_str().unwrap())).await;
    removed_by_hand(&world, &format!("orders/{order}")).await;
    another_key(&mut world).await;
    world.release("owner", release_of(&row)).await.expect(207);
    world.reconcile().await;
    let finding = only(&world, "key_unproven").await;
    assert_eq!(world.now(&row).await["status"], "inactive");
    assert!(matches!(adopt(&world, &finding).await, Adoption::Vouched(_)));
    world.reconcile().await;
    assert_eq!(world.now(&row).await["status"], "released");
    assert!(world.store().open_findings().await.unwrap().is_empty());
    balance(&world).await;
}

#[tokio::test]
async fn an_operator_vouches_for_a_key_and_the_purchase_goes_on() {
    let mut world = World::new().await;
    world.set("PURCHASE_ORDER_MISSING_AFTER_MS", "0");
    world.set("REQUEST_BUDGET_MS", "3000");
    let row = ordered(&world).await;
    let order = world.purchase_of(&row["phone_number"]).await["telnyx_order_id"].as_str().unwrap().to_owned();
    removed_by_hand(&world, &format!("orders/{order}")).await;
    another_key(&mut world).await;
    world.reconcile().await;
    let finding = only(&world, "key_unproven").await;
    assert_eq!(adopt(&world, &finding).await, Adoption::Vouched(1));
    for _ in 0..2 {
        world.reconcile().await;
    }
    let finding = only(&world, "order_missing").await;
    assert_eq!(adopt(&world, &finding).await, Adoption::GivenUp(1));
    let now = world.now(&row).await;
    assert_eq!((&now["status"], &now["is_active"]), (&json!("released"), &json!(false)));
    assert_eq!(world.history(&row).await.last().unwrap()["actor"], "operator");
    assert_eq!(world.purchase_of(&row["phone_number"]).await["phase"], "cancelled");
    world.reconcile().await;
    assert!(world.store().open_findings().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_operator_releases_a_row_from_before_the_ledger_that_nobody_can_prove_anything_about() {
    let world = World::new().await;
    let row = world.insert(json!({"status": "pending", "created_at": "2025-12-24T12:00:00Z"})).await;
    world.reconcile().await;
    let finding = only(&world, "key_unproven").await;
    assert_eq!(adopt(&world, &finding).await, Adoption::GivenUp(1));
    assert_eq!(world.now(&row).await["status"], "released");
    assert_eq!(world.history(&row).await.last().unwrap()["actor"], "operator");
    world.reconcile().await;
    assert!(world.store().open_findings().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_operator_gives_up_a_purchase_whose_number_is_missing() {
    let mut world = World::new().await;
    world.set("REQUEST_BUDGET_MS", "3000");
    let row = ordered(&world).await;
    // Its order succeeds, and its number is deleted before its id was found.
    crate::support::actions::decide(&world, "success").await;
    removed_by_hand(&world, &format!("numbers/{}", row["phone_number"].as_str().unwrap())).await;
    world.reconcile().await;
    world.execute("update phone_number_purchases set number_missed_at = now() - interval '1 hour'").await;
    world.reconcile().await;
    let finding = only(&world, "number_missing").await;
    assert_eq!(adopt(&world, &finding).await, Adoption::GivenUp(1));
    assert_eq!(adopt(&world, &finding).await, Adoption::NoSuchFinding);
    assert_eq!(world.now(&row).await["status"], "released");
    balance(&world).await;
}

#[tokio::test]
async fn a_missing_order_that_is_found_again_is_no_finding_any_more() {
    let mut world = World::new().await;
    world.set("PURCHASE_ORDER_MISSING_AFTER_MS", "0");
    world.set("REQUEST_BUDGET_MS", "3000");
    ordered(&world).await;
    world.fault(json!({"method": "GET", "path_prefix": "/v2/number_orders/", "kind": "status", "status": 404, "times": 1_000})).await;
    world.fault(json!({"method": "GET", "path_prefix": "/v2/number_orders", "kind": "empty", "times": 1_000})).await;
    for _ in 0..2 {
        world.reconcile().await;
    }
    only(&world, "order_missing").await;
    crate::support::actions::heal(&world).await;
    world.reconcile().await;
    assert!(world.store().open_findings().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_refused_release_is_a_finding_until_the_number_is_released() {
    let world = World::new().await;
    let row = assigned(&world).await;
    by_hand(&world, &row["phone_number"], json!({"deletion_lock_enabled": true})).await;
    world.release("owner", release_of(&row)).await.expect(207);
    world.reconcile().await;
    let finding = only(&world, "release_refused").await;
    assert_eq!(adopt(&world, &finding).await, Adoption::NothingToDo);
    by_hand(&world, &row["phone_number"], json!({"deletion_lock_enabled": false})).await;
    world.release("owner", release_of(&row)).await.expect(200);
    world.reconcile().await;
    assert!(world.store().open_findings().await.unwrap().is_empty());
    balance(&world).await;
}
