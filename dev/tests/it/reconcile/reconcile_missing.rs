//! The rows whose numbers an account at Telnyx does not have: which are switched off, on what evidence, and which come back.

use dev::books::SOMEBODY_ELSE;
use lambda_http::http::Method;
use serde_json::{Value, json};

use crate::reconcile::reconcile_inventory::{appear, bought, come_back, found, nothing_was_touched, vanish};
use crate::support::actions::{balance, heal, release_of, unsold};
use crate::support::app::World;

const NUMBERS: &str = "/v2/phone_numbers";

/// A world in which one walk may switch off a fifth.
async fn world() -> World {
    let mut world = World::new().await;
    world.set("RECONCILE_MAX_DEACTIVATED_PERCENT", "20");
    world
}

async fn status(world: &World, row: &Value) -> Value {
    world.now(row).await["status"].clone()
}

/// How many rows are active.
async fn active(world: &World) -> usize {
    world.rows().await.iter().filter(|row| row["status"] == "active").count()
}

async fn reconciled(world: &World, runs: usize) {
    for _ in 0..runs {
        world.reconcile().await;
    }
}

/// Has Telnyx answer in a certain way for a while.
async fn answers(world: &World, path: &str, mut fault: Value) {
    fault["method"] = json!("GET");
    fault["path_prefix"] = json!(path);
    world.fault(fault).await;
}

#[tokio::test]
async fn a_row_is_switched_off_when_two_runs_in_a_row_miss_its_number_and_telnyx_has_no_such_id() {
    let world = world().await;
    let rows = bought(&world, 2).await;
    vanish(&world, &rows[0]["phone_number"]).await;
    let asked = world.telnyx.exchanges().len();
    world.reconcile().await;
    assert_eq!((active(&world).await, world.missed().await), (2, vec![rows[0]["id"].clone()]), "one walk is none");
    world.reconcile().await;
    nothing_was_touched(&world, asked);
    let off = world.now(&rows[0]).await;
    assert_eq!(
        (&off["status"], &off["is_active"], &off["phone_number_id"]),
        (&json!("inactive"), &json!(true), &rows[0]["phone_number_id"])
    );
    assert_eq!(status(&world, &rows[1]).await, "active");
    let last = world.history(&rows[0]).await.pop().unwrap();
    assert_eq!((&last["event"], &last["actor"]), (&json!("reconciled"), &json!("reconcile")));
    assert_eq!(last["changes"], json!({"status": {"from": "active", "to": "inactive"}}));
    let seen = world.history(&rows[0]).await.len();
    reconciled(&world, 2).await;
    assert_eq!((world.history(&rows[0]).await.len(), world.findings().await), (seen, Vec::new()), "and that is that");

    let id = rows[0]["id"].as_str().unwrap();
    let shown = world.assign("owner", Method::GET, &format!("id={id}&include_history=true"), None).await.expect(200);
    assert_eq!(shown.body["history"].as_array().unwrap().last().unwrap()["actor"], "reconcile");
    world.release("owner", release_of(&rows[0])).await.expect(200);
    balance(&world).await;
}

#[tokio::test]
async fn a_row_from_before_its_release_is_switched_off() {
    let world = world().await;
    let row = bought(&world, 1).await.remove(0);
    world.release("owner", release_of(&row)).await.expect(200);
    let restored = "\
update agency_phone_numbers set status = 'active', is_active = true, released_at = null;
delete from phone_number_releases;";
    world.execute(restored).await;
    world.reconcile().await;
    assert_eq!(status(&world, &row).await, "active");
    world.reconcile().await;
    assert_eq!(status(&world, &row).await, "inactive");
    // It is released like any other.
    world.release("owner", release_of(&row)).await.expect(200);
    assert_eq!(status(&world, &row).await, "released");
    balance(&world).await;
}

#[tokio::test]
async fn a_number_that_is_missed_now_and_then_stays() {
    let world = world().await;
    let row = bought(&world, 1).await.remove(0);
    for _ in 0..3 {
        answers(&world, NUMBERS, json!({"kind": "empty"})).await;
        answers(&world, NUMBERS, json!({"kind": "status", "status": 404})).await;
        world.reconcile().await;
        heal(&world).await;
        world.reconcile().await;
    }
    assert_eq!((status(&world, &row).await, world.history(&row).await.len()), (json!("active"), 1));
}

#[tokio::test]
async fn a_number_that_telnyx_has_by_its_id_stays_whatever_the_inventory_shows() {
    let world = world().await;
    let row = bought(&world, 1).await.remove(0);
    for evidence in [
        json!(null),
        json!({"kind": "status", "status": 401}),
        json!({"kind": "status", "status": 403}),
        json!({"kind": "status", "status": 429}),
        json!({"kind": "status", "status": 500}),
        json!({"kind": "malformed"}),
    ] {
        for _ in 0..2 {
            answers(&world, NUMBERS, json!({"kind": "empty"})).await;
            if evidence.is_object() {
                answers(&world, NUMBERS, evidence.clone()).await;
            }
            world.reconcile().await;
            heal(&world).await;
        }
        assert_eq!(status(&world, &row).await, "active", "{evidence}");
        assert_eq!(world.missed().await, [row["id"].clone()], "{evidence}: it was looked into");
    }
    assert!(world.findings().await.is_empty());
}

#[tokio::test]
async fn a_number_of_an_account_whose_key_is_not_known_to_be_the_right_one_is_left_to_an_operator() {
    let world = world().await;
    let row = bought(&world, 1).await.remove(0);
    // Bought before the ledger kept its key.
    world.execute("update phone_number_purchases set key_sha256 = null").await;
    vanish(&world, &row["phone_number"]).await;
    answers(&world, "/v2/number_orders/", json!({"kind": "status", "status": 404, "times": 1_000})).await;
    reconciled(&world, 3).await;
    assert_eq!(status(&world, &row).await, "active");
    let finding = world.findings().await.remove(0);
    assert_eq!((&finding["kind"], &finding["agency_phone_number_ids"]), (&json!("inventory_drift"), &json!([row["id"]])));
    heal(&world).await;
    world.reconcile().await;
    assert_eq!(status(&world, &row).await, "inactive");
    assert_eq!(found(&world).await, [[json!("inventory_drift"), json!(null), json!("gone")]]);
}

#[tokio::test]
async fn a_number_whose_order_nobody_remembers_is_left_to_a_person() {
    let mut world = world().await;
    let number = json!(unsold(&world).await);
    appear(&world, &number, SOMEBODY_ELSE).await;
    // A row from before the ledger.
    let row = world.insert(json!({"phone_number": number})).await;
    world.reconcile().await;
    world.telnyx_settings(json!({"accounts": {"another": "KEYANOTHER"}})).await;
    world.set("TELNYX_API_KEY", "KEYANOTHER");
    reconciled(&world, 3).await;
    assert_eq!(status(&world, &row).await, "active", "the key is another account's");
    assert_eq!(world.findings().await[0]["agency_phone_number_ids"], json!([row["id"]]));
}

#[tokio::test]
async fn more_than_a_small_share_is_left_to_a_person() {
    let world = world().await;
    let rows = bought(&world, 10).await;
    for row in &rows[..3] {
        vanish(&world, &row["phone_number"]).await;
    }
    reconciled(&world, 3).await;
    assert_eq!(active(&world).await, 10);
    let findings = world.findings().await;
    assert_eq!((findings.len(), &findings[0]["kind"], &findings[0]["state"]), (1, &json!("inventory_drift"), &json!("open")));
    assert!(findings[0]["detail"].as_str().unwrap().starts_with("3 of the 10 numbers"), "{findings:#?}");
    let mut concerned: Vec<_> = findings[0]["agency_phone_number_ids"].as_array().unwrap().clone();
    let mut vanished: Vec<_> = rows[..3].iter().map(|row| row["id"].clone()).collect();
    for ids in [&mut concerned, &mut vanished] {
        ids.sort_by_key(Value::to_string);
    }
    assert_eq!(concerned, vanished);

    // One is back: two of ten are a fifth.
    come_back(&world, &rows[0]["phone_number"]).await;
    world.reconcile().await;
    assert_eq!((active(&world).await, status(&world, &rows[0]).await), (8, json!("active")));
    assert_eq!(found(&world).await, [[json!("inventory_drift"), json!(null), json!("gone")]]);
    balance_but_for(&world, &rows[1..3]).await;
}

/// The books balance once nobody counts on rows whose numbers are gone.
async fn balance_but_for(world: &World, rows: &[Value]) {
    for row in rows {
        world.release("owner", release_of(row)).await.expect(200);
    }
    balance(world).await;
}

#[tokio::test]
async fn the_key_of_another_account_switches_nobody_off() {
    for count in [1, 3] {
        let mut world = world().await;
        bought(&world, count).await;
        world.telnyx_settings(json!({"accounts": {"another": "KEYANOTHER"}})).await;
        let right = world.telnyx.api_key().to_owned();
        world.set("TELNYX_API_KEY", "KEYANOTHER");
        reconciled(&world, 3).await;
        assert_eq!(active(&world).await, count);
        assert_eq!(found(&world).await, [[json!("inventory_drift"), json!(null), json!("open")]]);
        world.set("TELNYX_API_KEY", &right);
        world.reconcile().await;
        assert_eq!((active(&world).await, found(&world).await[0][2].clone()), (count, json!("gone")));
    }
}

#[tokio::test]
async fn an_inventory_that_cannot_be_read_switches_nobody_off() {
    let world = world().await;
    let row = bought(&world, 1).await.remove(0);
    world.reconcile().await;
    let before = world.walks().await;
    for fault in [
        json!({"kind": "status", "status": 401}),
        json!({"kind": "status", "status": 403, "code": "10010"}),
        json!({"kind": "status", "status": 404}),
        json!({"kind": "status", "status": 429}),
        json!({"kind": "status", "status": 500}),
        json!({"kind": "malformed"}),
        json!({"kind": "drop_before"}),
    ] {
        let mut lasting = fault.clone();
        lasting["times"] = json!(1_000);
        answers(&world, NUMBERS, lasting).await;
        reconciled(&world, 3).await;
        heal(&world).await;
        assert_eq!(world.walks().await[0]["finished_at"], before[0]["finished_at"], "{fault}");
    }
    assert_eq!((status(&world, &row).await, world.findings().await), (json!("active"), Vec::new()));
    world.reconcile().await;
    assert_ne!(world.walks().await[0]["finished_at"], before[0]["finished_at"]);
}

#[tokio::test]
async fn a_number_in_words_that_nobody_understands_hides_no_other_and_is_not_switched_off() {
    let world = world().await;
    let rows = bought(&world, 3).await;
    world.reconcile().await;
    for _ in 0..2 {
        answers(&world, NUMBERS, json!({"kind": "odd"})).await;
        // Asked for by its id it is as odd.
        answers(&world, &format!("{NUMBERS}/"), json!({"kind": "odd"})).await;
        world.reconcile().await;
        assert_eq!(world.missed().await.len(), 1);
    }
    assert_eq!((active(&world).await, world.findings().await), (rows.len(), Vec::new()));
}

#[tokio::test]
async fn a_number_that_is_back_is_switched_on_again() {
    let world = world().await;
    let rows = bought(&world, 2).await;
    for row in &rows {
        vanish(&world, &row["phone_number"]).await;
        reconciled(&world, 2).await;
    }
    assert_eq!(active(&world).await, 0);
    // What a user says of it meanwhile does not switch it off.
    let named = json!({"phone_number_id": rows[1]["id"], "friendly_name": "Front desk"});
    world.assign("owner", Method::PATCH, "", Some(named)).await.expect(200);
    for row in &rows {
        come_back(&world, &row["phone_number"]).await;
    }
    world.reconcile().await;
    assert_eq!(active(&world).await, 2);
    for row in &rows {
        let last = world.history(row).await.pop().unwrap();
        assert_eq!((&last["event"], &last["changes"]["status"]["to"]), (&json!("reconciled"), &json!("active")));
    }
    assert_eq!(world.now(&rows[1]).await["friendly_name"], "Front desk");
    balance(&world).await;
}

#[tokio::test]
async fn what_a_user_has_switched_off_stays_off() {
    let world = world().await;
    let rows = bought(&world, 2).await;
    let patch = async |row: &Value, status: &str| {
        let body = json!({"phone_number_id": row["id"], "status": status});
        world.assign("owner", Method::PATCH, "", Some(body)).await.expect(200);
    };
    patch(&rows[0], "inactive").await;
    // The other was off for want of its number, then on, then off again as its owner wants it.
    vanish(&world, &rows[1]["phone_number"]).await;
    reconciled(&world, 2).await;
    assert_eq!(active(&world).await, 0);
    patch(&rows[1], "active").await;
    patch(&rows[1], "inactive").await;
    come_back(&world, &rows[1]["phone_number"]).await;
    reconciled(&world, 2).await;
    assert_eq!(active(&world).await, 0);
    assert_eq!(world.history(&rows[0]).await.len(), 2, "nobody else had a hand in it");
    balance(&world).await;
}

#[tokio::test]
async fn a_number_on_its_way_back_is_not_missed() {
    let world = world().await;
    let row = bought(&world, 1).await.remove(0);
    // Its release goes on elsewhere, or will.
    world.fault(json!({"method": "DELETE", "path_prefix": NUMBERS, "kind": "drop_after"})).await;
    crate::money::release_failures::dies(&world, &row, async || world.asked("DELETE", NUMBERS) == 1).await;
    assert!(world.billed().await.is_empty());
    reconciled(&world, 2).await;
    assert!(world.missed().await.is_empty());
    assert_eq!(world.now(&row).await["is_active"], false);
    let events: Vec<_> = world.history(&row).await.into_iter().map(|entry| entry["actor"].clone()).collect();
    assert!(!events.contains(&json!("reconcile")), "{events:?}");
    world.execute("update phone_number_releases set leased_until = now()").await;
    world.reconcile().await;
    assert_eq!(status(&world, &row).await, "released");
    balance(&world).await;
}
