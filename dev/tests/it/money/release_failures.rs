//! Every way in which Telnyx, the database or a process can fail a release.

use dev::demo;
use dev::wire::{Fault, Moment};
use lambda_http::http::Method;
use phone_numbers_release::Release;
use serde_json::{Value, json};

use crate::reconcile::reconcile_inventory::{appear, reference_of};
use crate::support::actions::{assigned, balance, heal, release_of, telnyx, unsold};
use crate::support::app::{World, eventually, send};

const INVENTORY: &str = "/v2/phone_numbers";

/// A number that is bought with patience, in a world that has little from then on.
async fn assigned_before_patience_ends(world: &mut World) -> Value {
    world.set("REQUEST_BUDGET_MS", "8000");
    let row = assigned(world).await;
    world.set("REQUEST_BUDGET_MS", "1500");
    row
}

/// The row as it is now.
async fn now(world: &World, row: &Value) -> Value {
    world.rows().await.into_iter().find(|now| now["id"] == row["id"]).unwrap()
}

/// Releases, and insists that it worked.
async fn released(world: &World, row: &Value) {
    world.release("owner", release_of(row)).await.expect(200);
    assert_eq!(now(world, row).await["status"], "released");
    assert!(!world.billed().await.contains(&row["phone_number"].as_str().unwrap().to_owned()));
    balance(world).await;
}

/// Releases in vain: the problem of the number.
async fn not_released(world: &World, row: &Value) -> Value {
    let reply = world.release("owner", release_of(row)).await.expect(207);
    assert_eq!(reply.body["summary"], json!({"total_requested": 1, "released_count": 0, "failed_count": 1}));
    let failed = &reply.body["failed"][0];
    assert_eq!((&failed["id"], &failed["phone_number"]), (&row["id"], &row["phone_number"]));
    failed["problem"].clone()
}

#[tokio::test]
async fn a_deletion_whose_answer_is_lost_is_found_out_within_the_call() {
    let mut world = World::new().await;
    world.set("TELNYX_TIMEOUT_MS", "500");
    let kinds = [
        json!({"kind": "drop_before"}),
        json!({"kind": "drop_after"}),
        json!({"kind": "malformed"}),
        json!({"kind": "delay", "delay_ms": 900}),
        json!({"kind": "status", "status": 500}),
        json!({"kind": "status", "status": 429}),
    ];
    for mut kind in kinds {
        let row = assigned(&world).await;
        kind["method"] = json!("DELETE");
        kind["path_prefix"] = json!(INVENTORY);
        world.fault(kind).await;
        released(&world, &row).await;
    }
}

#[tokio::test]
async fn a_release_that_telnyx_does_not_answer_is_resumed_until_it_is_done() {
    let mut world = World::new().await;
    for (status, code, retryable) in [(500, "upstream_error", true), (503, "upstream_error", true), (429, "rate_limited", true)] {
        let row = assigned_before_patience_ends(&mut world).await;
        let fault = json!({"method": "DELETE", "path_prefix": INVENTORY, "kind": "status", "status": status, "times": 1_000});
        world.fault(fault).await;
        let problem = not_released(&world, &row).await;
        assert_eq!((&problem["code"], &problem["retryable"]), (&json!(code), &json!(retryable)));
        let under_way = now(&world, &row).await;
        assert_eq!((&under_way["status"], &under_way["agent_mapping_id"]), (&json!("inactive"), &json!(null)));
        balance(&world).await;
        heal(&world).await;
        released(&world, &row).await;
    }
}

#[tokio::test]
async fn a_refused_release_leaves_the_row_as_it_was() {
    let world = World::new().await;
    let refusals = [
        (401, "10009", "upstream_error"),
        (403, "10010", "upstream_error"),
        (422, "10035", "number_locked"),
        (422, "10027", "upstream_rejected"),
    ];
    for (status, telnyx_code, code) in refusals {
        let row = assigned(&world).await;
        let before = now(&world, &row).await;
        let fault = json!({"method": "DELETE", "path_prefix": INVENTORY, "kind": "status", "status": status, "code": telnyx_code});
        world.fault(fault).await;
        assert_eq!(not_released(&world, &row).await["code"], code);
        let mut after = now(&world, &row).await;
        after["updated_at"] = before["updated_at"].clone();
        assert_eq!(after, before, "{status} {telnyx_code}");
        balance(&world).await;
        released(&world, &row).await;
    }
}

#[tokio::test]
async fn a_number_that_is_locked_stays_as_it_was_even_if_it_was_inactive() {
    let world = World::new().await;
    let row = assigned(&world).await;
    let lock = json!({"phone_numbers": [row["phone_number_id"]], "deletion_lock_enabled": true});
    world.telnyx_settings(json!({"job_delay_ms": 0})).await;
    telnyx(&world, world.telnyx.api_key(), Method::POST, "/phone_numbers/jobs/update_phone_numbers", Some(lock)).await;
    world.assign("owner", Method::PATCH, "", Some(json!({"phone_number_id": row["id"], "status": "inactive"}))).await.expect(200);
    assert_eq!(not_released(&world, &row).await["code"], "number_locked");
    let after = now(&world, &row).await;
    assert_eq!((&after["status"], &after["agent_mapping_id"]), (&json!("inactive"), &row["agent_mapping_id"]));
    assert_eq!(after["is_active"], true);
    balance(&world).await;
}

#[tokio::test]
async fn a_refusal_after_a_deletion_that_may_have_worked_does_not_bring_the_number_back() {
    let mut world = World::new().await;
    for refusal in [json!({"kind": "status", "status": 401}), json!({"kind": "status", "status": 400})] {
        let row = assigned_before_patience_ends(&mut world).await;
        // Telnyx has let go, and we have not heard of it; then our key is refused, whatever it is used for.
        world.fault(json!({"method": "DELETE", "path_prefix": INVENTORY, "kind": "drop_after"})).await;
        let mut refused = refusal.clone();
        refused["path_prefix"] = json!(INVENTORY);
        refused["times"] = json!(1_000);
        world.fault(refused).await;
        not_released(&world, &row).await;
        assert!(world.billed().await.is_empty());
        assert_ne!(now(&world, &row).await["status"], "active", "{refusal}: Telnyx does not have it any more");
        heal(&world).await;
        released(&world, &row).await;
    }
}

#[tokio::test]
async fn a_refused_look_into_the_inventory_does_not_bring_a_deleted_number_back() {
    let mut world = World::new().await;
    let row = assigned_before_patience_ends(&mut world).await;
    let path = format!("/phone_numbers/{}", row["phone_number_id"].as_str().unwrap());
    telnyx(&world, world.telnyx.api_key(), Method::DELETE, &path, None).await;
    world.fault(json!({"method": "GET", "path_prefix": INVENTORY, "kind": "status", "status": 401, "times": 1_000})).await;
    not_released(&world, &row).await;
    assert_ne!(now(&world, &row).await["status"], "active", "Telnyx has said that there is no such number");
    heal(&world).await;
    released(&world, &row).await;
}

#[tokio::test]
async fn a_refusal_to_whoever_resumes_a_release_does_not_bring_the_number_back() {
    let mut world = World::new().await;
    let row = assigned_before_patience_ends(&mut world).await;
    world.set("REQUEST_BUDGET_MS", "600");
    world.fault(json!({"method": "DELETE", "path_prefix": INVENTORY, "kind": "delay", "delay_ms": 900})).await;
    assert_eq!(not_released(&world, &row).await["code"], "upstream_error");
    assert!(world.billed().await.is_empty(), "it was deleted, and nobody knows");
    world.fault(json!({"path_prefix": INVENTORY, "kind": "status", "status": 401, "times": 1_000})).await;
    not_released(&world, &row).await;
    assert_ne!(now(&world, &row).await["status"], "active");
    heal(&world).await;
    released(&world, &row).await;
}

#[tokio::test]
async fn a_number_that_telnyx_does_not_know_is_released_once_its_inventory_agrees() {
    let world = World::new().await;
    let row = assigned(&world).await;
    let path = format!("/phone_numbers/{}", row["phone_number_id"].as_str().unwrap());
    telnyx(&world, world.telnyx.api_key(), Method::DELETE, &path, None).await;
    let looks = world.asked("GET", INVENTORY);
    released(&world, &row).await;
    assert!(world.asked("GET", INVENTORY) > looks, "the inventory was asked");

    let row = assigned(&world).await;
    // 404, but the inventory shows it: so it is tried again.
    world.fault(json!({"method": "DELETE", "path_prefix": INVENTORY, "kind": "status", "status": 404, "times": 2})).await;
    let deletes = world.asked("DELETE", INVENTORY);
    released(&world, &row).await;
    assert_eq!(world.asked("DELETE", INVENTORY) - deletes, 3);
}

#[tokio::test]
async fn an_inventory_that_does_not_answer_is_asked_again() {
    let world = World::new().await;
    for kind in [json!({"kind": "status", "status": 500}), json!({"kind": "malformed"}), json!({"kind": "status", "status": 429})] {
        let row = assigned(&world).await;
        world.fault(json!({"method": "DELETE", "path_prefix": INVENTORY, "kind": "drop_after"})).await;
        let mut fault = kind;
        fault["method"] = json!("GET");
        fault["path_prefix"] = json!(INVENTORY);
        world.fault(fault).await;
        released(&world, &row).await;
    }
}

#[tokio::test]
async fn a_deletion_that_takes_its_time_is_a_deletion() {
    let world = World::new().await;
    world.telnyx_settings(json!({"delete_lag_reads": 2})).await;
    let row = assigned(&world).await;
    world.fault(json!({"method": "DELETE", "path_prefix": INVENTORY, "kind": "drop_after"})).await;
    world.release("owner", release_of(&row)).await.expect(200);
    assert_eq!(now(&world, &row).await["status"], "released");
    assert_eq!(world.asked("DELETE", INVENTORY), 2);
}

#[tokio::test]
async fn a_process_may_die_at_any_point_of_a_release() {
    let statements = [("releases.begin", Moment::Before), ("releases.begin", Moment::After), ("releases.complete", Moment::Before)];
    for (statement, moment) in statements.into_iter().chain([("releases.complete", Moment::After)]) {
        let mut world = World::new().await;
        world.set("LEASE_MS", "150");
        let row = assigned(&world).await;
        let wire = world.wired().await;
        wire.strike(statement, moment, Fault::Silence);
        dies(&world, &row, async || wire.struck() == 1).await;
        released(&world, &row).await;
        assert!(world.asked("DELETE", INVENTORY) <= 2);
    }
    let mut world = World::new().await;
    world.set("LEASE_MS", "150");
    let row = assigned(&world).await;
    world.fault(json!({"method": "DELETE", "path_prefix": INVENTORY, "kind": "delay", "delay_ms": 30_000})).await;
    dies(&world, &row, async || world.asked("DELETE", INVENTORY) == 1).await;
    released(&world, &row).await;
}

#[tokio::test]
async fn the_number_of_another_agency_is_not_deleted_for_a_row_from_before_the_ledger() {
    let world = World::new().await;
    // What shows that the key is the account's.
    assigned(&world).await;
    let number = json!(unsold(&world).await);
    appear(&world, &number, &reference_of(&demo::OTHER)).await;
    let billed = world.billed().await;
    for id in [json!(null), json!("7")] {
        let row = world.insert(json!({"phone_number": number, "phone_number_id": id})).await;
        world.release("owner", release_of(&row)).await.expect(200);
        assert_eq!((&world.now(&row).await["status"], &world.billed().await), (&json!("released"), &billed));
        world.execute(&format!("delete from agency_phone_numbers where phone_number = '{}'", number.as_str().unwrap())).await;
    }
    world.reconcile().await;
    let adopted = world.rows().await.into_iter().find(|row| row["phone_number"] == number).unwrap();
    assert_eq!(adopted["agency_id"], json!(demo::OTHER.id));
    balance(&world).await;
}

/// Begins a release and ends its process once `there` says so.
pub(crate) async fn dies(world: &World, row: &Value, there: impl AsyncFn() -> bool) {
    let (function, token) = (world.function::<Release>(), world.token("owner"));
    let reply = tokio::select! {
        biased;
        () = eventually(async || there().await.then_some(())) => None,
        reply = send(&function, &token, Method::POST, "", Some(release_of(row))) => Some(reply),
    };
    assert!(reply.is_none(), "it was to die before it could answer: {reply:#?}");
}

#[tokio::test]
async fn a_connection_lost_at_any_statement_of_a_release_is_replaced() {
    for statement in ["callers.authorize", "releases.targets", "releases.begin", "releases.complete"] {
        for moment in [Moment::Before, Moment::After] {
            let mut world = World::new().await;
            let row = assigned(&world).await;
            let wire = world.wired().await;
            wire.strike(statement, moment, Fault::Cut);
            released(&world, &row).await;
            assert_eq!(wire.struck(), 1, "{statement} {moment:?}");
        }
    }
}
