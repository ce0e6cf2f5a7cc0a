//! "There is no such number" counts only from a key that the ledger connects with the account that has it.

use lambda_http::http::Method;
use serde_json::{Value, json};

use crate::boundary::secrets::PLATFORM;
use crate::money::purchase_crashes;
use crate::support::accounts::{OWN, keep_own_key, moved_to_own, own_account, two_accounts};
use crate::support::actions::{
    assigned, balance, by_hand, heal, only_finding, order_of, orders_sent, release_of, removed_by_hand, telnyx, unsold,
};
use crate::support::app::World;

const NUMBERS: &str = "/v2/phone_numbers";
const ORDERS: &str = "/v2/number_orders";

/// From here on, the functions use the key of an account that has none of our numbers.
async fn use_another_accounts_key(world: &mut World) {
    world.telnyx_settings(json!({"accounts": {"another": "KEYANOTHER"}})).await;
    world.set("TELNYX_API_KEY", "KEYANOTHER");
}

fn use_the_right_key(world: &mut World) {
    let key = world.telnyx.api_key().to_owned();
    world.set("TELNYX_API_KEY", &key);
}

/// Asks for a release that stays open: the problem of the number.
async fn stays_open(world: &World, row: &Value) -> Value {
    let reply = world.release("owner", release_of(row)).await.expect(207);
    let problem = reply.body["failed"][0]["problem"].clone();
    assert_eq!((&problem["code"], &problem["retryable"]), (&json!("unavailable"), &json!(true)), "{problem}");
    problem
}

#[tokio::test]
async fn a_release_with_another_accounts_key_stays_open_until_the_right_one_is_back() {
    let mut world = World::new().await;
    let row = assigned(&world).await;
    use_another_accounts_key(&mut world).await;
    for _ in 0..2 {
        stays_open(&world, &row).await;
        world.reconcile().await;
    }
    assert_eq!(world.now(&row).await["status"], "inactive", "its release is under way");
    assert_eq!(only_finding(&world).await, ("key_unproven".to_owned(), "platform".to_owned(), row["phone_number"].clone()));
    assert_eq!(world.billed().await.len(), 1);
    use_the_right_key(&mut world);
    world.reconcile().await;
    assert_eq!(world.now(&row).await["status"], "released");
    assert!(world.billed().await.is_empty());
    balance(&world).await;
}

#[tokio::test]
async fn what_a_key_has_bought_itself_proves_nothing_of_what_another_key_bought() {
    let mut world = World::new().await;
    let old = assigned(&world).await;
    use_another_accounts_key(&mut world).await;
    let new = assigned(&world).await;
    stays_open(&world, &old).await;
    assert_eq!(world.billed().await.len(), 2);
    world.release("owner", release_of(&new)).await.expect(200);
    use_the_right_key(&mut world);
    world.release("owner", release_of(&old)).await.expect(200);
    assert!(world.billed().await.is_empty());
}

#[tokio::test]
async fn a_later_key_of_the_same_account_proves_itself_by_any_order_of_the_earlier_one() {
    for knows_the_order in [true, false] {
        let mut world = World::new().await;
        let (row, other) = (assigned(&world).await, assigned(&world).await);
        let purchase = world.purchase_of(&row["phone_number"]).await;
        removed_by_hand(&world, &format!("numbers/{}", row["phone_number"].as_str().unwrap())).await;
        if !knows_the_order {
            removed_by_hand(&world, &format!("orders/{}", purchase["telnyx_order_id"].as_str().unwrap())).await;
        }
        let first = world.telnyx.api_key().to_owned();
        world.telnyx_settings(json!({"accounts": {"default": [first, "KEYLATER"]}})).await;
        world.set("TELNYX_API_KEY", "KEYLATER");
        world.release("owner", release_of(&row)).await.expect(200);
        assert_eq!(world.now(&row).await["status"], "released");
        assert_eq!(world.now(&other).await["status"], "active");
        assert!(world.findings().await.is_empty());
    }
}

#[tokio::test]
async fn a_purchase_whose_order_another_accounts_key_does_not_find_is_neither_failed_nor_ordered_again() {
    let mut world = World::new().await;
    world.set("REQUEST_BUDGET_MS", "3000");
    let number = unsold(&world).await;
    // The order is placed, and nobody hears of it.
    world.fault(json!({"method": "POST", "path_prefix": ORDERS, "kind": "drop_after"})).await;
    world.fault(json!({"method": "GET", "path_prefix": ORDERS, "kind": "status", "status": 500, "times": 1_000})).await;
    world.purchase("owner", order_of(&number)).await.expect(202);
    heal(&world).await;
    use_another_accounts_key(&mut world).await;
    for _ in 0..3 {
        world.purchase("owner", order_of(&number)).await.expect_problem(503, "unavailable");
        world.reconcile().await;
        // However long it has been missing.
        world.execute("update phone_number_purchases set order_missed_at = now() - interval '1 hour'").await;
    }
    assert_eq!((orders_sent(&world), world.ledger().await[0]["phase"].clone()), (1, json!("ordering")));
    assert_eq!(only_finding(&world).await.0, "key_unproven");
    use_the_right_key(&mut world);
    world.reconcile().await;
    assert_eq!(world.rows().await[0]["status"], "active");
    balance(&world).await;
}

#[tokio::test]
async fn an_order_that_is_known_is_not_forgotten_because_another_account_does_not_know_it() {
    let mut world = World::new().await;
    world.set("REQUEST_BUDGET_MS", "3000");
    world.telnyx_settings(json!({"order_outcome": "never"})).await;
    let number = unsold(&world).await;
    let row = world.purchase("owner", order_of(&number)).await.expect(202).number().clone();
    use_another_accounts_key(&mut world).await;
    world.execute("update phone_number_purchases set order_missed_at = now() - interval '1 hour'").await;
    world.reconcile().await;
    stays_open(&world, &row).await;
    assert_eq!(world.ledger().await[0]["phase"], "ordered");
    world.telnyx_settings(json!({"order_outcome": "success"})).await;
    use_the_right_key(&mut world);
    world.reconcile().await;
    assert_eq!(world.now(&row).await["status"], "active");
    balance(&world).await;
}

#[tokio::test]
async fn a_process_that_dies_with_its_order_sent_leaves_the_key_that_it_was_sent_with() {
    let mut world = World::new().await;
    world.set("LEASE_MS", "150");
    let number = unsold(&world).await;
    world.telnyx_settings(json!({"reference_lag_ms": 60_000})).await;
    world.fault(json!({"method": "POST", "path_prefix": ORDERS, "kind": "delay", "delay_ms": 30_000})).await;
    purchase_crashes::dies(&world, &number, async || orders_sent(&world) == 1).await;
    use_another_accounts_key(&mut world).await;
    world.execute("update phone_number_purchases set leased_until = now()").await;
    world.reconcile().await;
    assert_eq!((orders_sent(&world), world.ledger().await[0]["phase"].clone()), (1, json!("ordering")));
    world.telnyx_settings(json!({"reference_lag_ms": 0})).await;
    use_the_right_key(&mut world);
    world.reconcile().await;
    assert_eq!(world.rows().await[0]["status"], "active");
    balance(&world).await;
}

#[tokio::test]
async fn a_row_from_before_the_ledger_gets_its_witness_before_its_number_is_deleted() {
    let world = World::new().await;
    let number = unsold(&world).await;
    crate::support::actions::ordered_by_somebody_else(&world, &number).await;
    let path = format!("/phone_numbers/{number}");
    let id = telnyx(&world, world.telnyx.api_key(), Method::GET, &path, None).await["data"]["id"].clone();
    let row = world.insert(json!({"phone_number": number, "phone_number_id": id})).await;
    // Telnyx lets go, and nobody hears of it: the next attempt is answered 404.
    world.fault(json!({"method": "DELETE", "path_prefix": NUMBERS, "kind": "drop_after"})).await;
    world.release("owner", release_of(&row)).await.expect(200);
    assert_eq!((world.asked("DELETE", NUMBERS), world.billed().await.len()), (2, 0));
    assert_eq!(world.now(&row).await["status"], "released");
}

#[tokio::test]
async fn the_release_of_a_number_that_was_moved_goes_on_in_the_account_that_has_it() {
    let (world, vault) = two_accounts().await;
    let row = assigned(&world).await;
    keep_own_key(&vault);
    moved_to_own(&world, &row["phone_number"]).await;
    world.release("owner", release_of(&row)).await.expect(200);
    assert_eq!(world.now(&row).await["status"], "released");
    assert!(world.billed().await.is_empty());
    let purchase = world.purchase_of(&row["phone_number"]).await;
    assert_eq!(purchase["telnyx_account"], json!(own_account()));
    balance(&world).await;
}

#[tokio::test]
async fn another_account_is_not_believed_to_lack_a_moved_number_with_a_key_that_answers_for_nothing_there() {
    let (world, vault) = two_accounts().await;
    world.telnyx_settings(json!({"accounts": {"another": "KEYANOTHER"}})).await;
    let stays = assigned(&world).await;
    keep_own_key(&vault);
    let row = assigned(&world).await;
    by_hand(&world, &row["phone_number"], json!({"account": "default"})).await;
    vault.keep_text(PLATFORM, "KEYANOTHER");
    stays_open(&world, &row).await;
    world.reconcile().await;
    assert_eq!(only_finding(&world).await, ("key_unproven".to_owned(), "platform".to_owned(), row["phone_number"].clone()));
    assert_eq!(world.billed().await.len(), 2);
    vault.keep_text(PLATFORM, world.telnyx.api_key());
    world.reconcile().await;
    assert_eq!((world.now(&row).await["status"].clone(), world.now(&stays).await["status"].clone()), (json!("released"), json!("active")));
    assert_eq!(world.billed().await.len(), 1);
    world.reconcile().await;
    balance(&world).await;
}

#[tokio::test]
async fn a_number_that_another_account_has_and_nobody_names_is_left_to_an_operator() {
    let (world, vault) = two_accounts().await;
    let row = assigned(&world).await;
    keep_own_key(&vault);
    by_hand(&world, &row["phone_number"], json!({"account": OWN, "customer_reference": null})).await;
    stays_open(&world, &row).await;
    assert_eq!(only_finding(&world).await.0, "number_moved");
    assert_eq!(world.billed().await.len(), 1);
    by_hand(&world, &row["phone_number"], json!({"account": "default"})).await;
    removed_by_hand(&world, &format!("numbers/{}", row["phone_number"].as_str().unwrap())).await;
    world.release("owner", release_of(&row)).await.expect(200);
    balance(&world).await;
}

#[tokio::test]
async fn the_same_number_id_is_ours_whatever_its_reference() {
    let world = World::new().await;
    for refusal in [json!({"kind": "status", "status": 422, "code": "10027"}), json!({"kind": "status", "status": 429})] {
        let row = assigned(&world).await;
        by_hand(&world, &row["phone_number"], json!({"customer_reference": "edited in the portal"})).await;
        // The outcome of the first is unknown, and then Telnyx refuses.
        let on_delete = |mut fault: Value, times: u32| {
            fault["method"] = json!("DELETE");
            fault["path_prefix"] = json!(NUMBERS);
            fault["times"] = json!(times);
            world.fault(fault)
        };
        on_delete(json!({"kind": "status", "status": 500}), 1).await;
        on_delete(refusal, 1_000).await;
        world.release("owner", release_of(&row)).await.expect(207);
        assert_ne!(world.now(&row).await["status"], "released");
        assert!(world.billed().await.contains(&row["phone_number"].as_str().unwrap().to_owned()));
        heal(&world).await;
        world.release("owner", release_of(&row)).await.expect(200);
        balance(&world).await;
    }
}

#[tokio::test]
async fn a_locked_number_is_409_and_a_finding_says_what_to_do() {
    let world = World::new().await;
    let row = assigned(&world).await;
    by_hand(&world, &row["phone_number"], json!({"deletion_lock_enabled": true})).await;
    let before = world.now(&row).await;
    let failed = world.release("owner", release_of(&row)).await.expect(207).body["failed"][0].clone();
    assert_eq!((&failed["problem"]["code"], &failed["problem"]["status"]), (&json!("number_locked"), &json!(409)));
    assert!(failed["error"].as_str().unwrap().contains("deletion lock"));
    let after = world.now(&row).await;
    for name in ["status", "is_active", "agent_mapping_id"] {
        assert_eq!(after[name], before[name], "{name}");
    }
    assert_eq!(only_finding(&world).await.0, "release_refused");
    by_hand(&world, &row["phone_number"], json!({"deletion_lock_enabled": false})).await;
    world.release("owner", release_of(&row)).await.expect(200);
    balance(&world).await;
}
