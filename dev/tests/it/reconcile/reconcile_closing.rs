//! How findings end: by proof, not because one look did not show them.

use dev::demo;
use dev::vault::Vault;
use lambda_http::http::Method;
use serde_json::{Value, json};

use crate::boundary::secrets::{PLATFORM, vault};
use crate::reconcile::reconcile_inventory::{bought, found, vanish};
use crate::support::actions::{assigned, heal, ordered_by_somebody_else, release_of, telnyx};
use crate::support::app::World;

const NUMBERS: &str = "/v2/phone_numbers";

/// Findings of three kinds about three numbers: without a row, since their agency is gone, and strangers.
async fn findings(world: &World) -> Vec<Value> {
    let rows = bought(world, 2).await;
    ordered_by_somebody_else(world, &world.offers("415", 1).await[0]).await;
    world.execute(&format!("delete from agencies where id = '{}'", demo::DEMO.id)).await;
    world.reconcile().await;
    assert_eq!(world.store().open_findings().await.unwrap().len(), 3);
    rows
}

/// The ids and states of all findings, and since when they are known.
async fn states(world: &World) -> Vec<[Value; 3]> {
    world.findings().await.iter().map(|finding| ["id", "state", "first_seen_at"].map(|name| finding[name].clone())).collect()
}

async fn open(world: &World) -> usize {
    world.store().open_findings().await.unwrap().len()
}

/// The next looks at the inventory show nothing.
async fn empty_pages(world: &World, count: usize) {
    world.fault(json!({"method": "GET", "path_prefix": NUMBERS, "kind": "empty", "times": count})).await;
}

#[tokio::test]
async fn empty_pages_close_no_finding_and_make_none_new() {
    let world = World::new().await;
    findings(&world).await;
    let before = states(&world).await;
    for empty in [1, 0, 3] {
        for _ in 0..empty {
            empty_pages(&world, 1).await;
            world.reconcile().await;
            // Asked for by their ids, they are there.
            assert_eq!(states(&world).await, before);
        }
        world.reconcile().await;
        assert_eq!(states(&world).await, before);
    }
    assert_eq!(world.strangers().await.len(), 1);
}

#[tokio::test]
async fn a_number_that_is_gone_ends_its_finding_after_two_walks_and_a_look_by_its_id() {
    let world = World::new().await;
    let rows = findings(&world).await;
    vanish(&world, &rows[0]["phone_number"]).await;
    world.reconcile().await;
    assert_eq!(open(&world).await, 3, "one walk is none");
    let asked = world.telnyx.exchanges().len();
    world.reconcile().await;
    assert_eq!(open(&world).await, 2);
    let id = rows[0]["phone_number_id"].as_str().unwrap();
    let looks = world.telnyx.exchanges().split_off(asked).into_iter().filter(|exchange| exchange.path.ends_with(id)).count();
    assert_eq!(looks, 1);
    let closed = world.findings().await.into_iter().find(|finding| finding["state"] == "gone").unwrap();
    assert_eq!((&closed["phone_number"], &closed["resolved_by"]), (&rows[0]["phone_number"], &json!("reconcile")));
    // Found again, it is another finding.
    telnyx(&world, world.telnyx.api_key(), Method::GET, "/available_phone_numbers?filter[national_destination_code]=312", None).await;
    let reference = world.purchase_of(&rows[0]["phone_number"]).await["telnyx_reference"].clone();
    let body = json!({"phone_numbers": [{"phone_number": rows[0]["phone_number"]}], "customer_reference": reference});
    telnyx(&world, world.telnyx.api_key(), Method::POST, "/number_orders", Some(body)).await;
    world.reconcile().await;
    assert_eq!((open(&world).await, world.findings().await.len()), (3, 4));
}

#[tokio::test]
async fn what_cannot_be_asked_for_ends_nothing() {
    let world = World::new().await;
    let rows = findings(&world).await;
    for row in &rows {
        vanish(&world, &row["phone_number"]).await;
    }
    world.reconcile().await;
    for status in [401, 429, 500] {
        let path = format!("{NUMBERS}/");
        world.fault(json!({"method": "GET", "path_prefix": path, "kind": "status", "status": status, "times": 1_000})).await;
        for _ in 0..2 {
            world.reconcile().await;
        }
        heal(&world).await;
        assert_eq!(open(&world).await, 3, "{status}");
    }
    world.reconcile().await;
    assert_eq!(open(&world).await, 1);
}

/// A world whose keys come out of a vault.
async fn keys_in_a_vault() -> (World, Vault) {
    let mut world = World::new().await;
    world.telnyx_settings(json!({"accounts": {"another": "KEYANOTHER"}})).await;
    let vault = vault(&mut world).await;
    vault.keep_text(PLATFORM, world.telnyx.api_key());
    (world, vault)
}

#[tokio::test]
async fn the_key_of_another_account_ends_no_finding() {
    let (world, vault) = keys_in_a_vault().await;
    assigned(&world).await;
    ordered_by_somebody_else(&world, &world.offers("415", 1).await[0]).await;
    world.execute(&format!("delete from agencies where id = '{}'", demo::DEMO.id)).await;
    world.reconcile().await;
    assert_eq!(open(&world).await, 2);
    let before = states(&world).await;
    vault.keep_text(PLATFORM, "KEYANOTHER");
    for _ in 0..3 {
        world.reconcile().await;
        assert_eq!(states(&world).await, before);
    }
    vault.keep_text(PLATFORM, world.telnyx.api_key());
    world.reconcile().await;
    assert_eq!(states(&world).await, before);
}

#[tokio::test]
async fn a_finding_ends_at_once_when_its_number_is_seen_in_its_row_or_as_something_else() {
    let world = World::new().await;
    let rows = bought(&world, 2).await;
    world.execute(&format!("delete from agencies where id = '{}'", demo::DEMO.id)).await;
    world.reconcile().await;
    assert_eq!(open(&world).await, 2);
    // Of one number nobody knows any more whose it was; the other gets its row back.
    let number = rows[0]["phone_number"].as_str().unwrap();
    let body = json!({"customer_reference": "something else"});
    telnyx(&world, world.telnyx.api_key(), Method::PATCH, &format!("/phone_numbers/{number}"), Some(body)).await;
    world.execute(&format!("delete from phone_number_purchases where phone_number = '{number}'")).await;
    world.execute(&format!("insert into agencies (id, name, slug) values ('{}', 'Again', 'again')", demo::DEMO.id)).await;
    world.reconcile().await;
    let mut found = found(&world).await;
    found.sort_by_key(|finding| json!(finding).to_string());
    let mut expected: Vec<_> = rows.iter().map(|row| [json!("agency_gone"), row["phone_number"].clone(), json!("gone")]).collect();
    expected.push([json!("not_ours"), json!(null), json!("open")]);
    expected.sort_by_key(|finding| json!(finding).to_string());
    assert_eq!(found, expected);
    let now = world.rows().await;
    assert_eq!((now.len(), &now[0]["phone_number"], &now[0]["status"]), (1, &rows[1]["phone_number"], &json!("active")));
}

#[tokio::test]
async fn a_drift_ends_when_its_rows_are_seen_again_or_live_no_more() {
    let world = World::new().await;
    let rows = bought(&world, 4).await;
    for row in &rows[..2] {
        vanish(&world, &row["phone_number"]).await;
    }
    for _ in 0..2 {
        world.reconcile().await;
    }
    assert_eq!(found(&world).await, [[json!("inventory_drift"), json!(null), json!("open")]]);
    // An empty page does not end it, nor does the release of one of the two.
    world.release("owner", release_of(&rows[0])).await.expect(200);
    world.execute("update phone_number_findings set last_seen_at = last_seen_at - interval '1 hour'").await;
    empty_pages(&world, 1).await;
    world.fault(json!({"method": "GET", "path_prefix": format!("{NUMBERS}/"), "kind": "status", "status": 500, "times": 10})).await;
    world.reconcile().await;
    heal(&world).await;
    assert_eq!(open(&world).await, 1);
    world.release("owner", release_of(&rows[1])).await.expect(200);
    world.reconcile().await;
    assert_eq!(found(&world).await, [[json!("inventory_drift"), json!(null), json!("gone")]]);
}

#[tokio::test]
async fn of_many_findings_whose_numbers_are_gone_a_run_asks_for_some_and_the_next_for_others() {
    let world = World::new().await;
    bought(&world, 1).await;
    world.reconcile().await;
    // As many that are not there as were ever found.
    let insert = "\
insert into phone_number_findings (kind, telnyx_account, phone_number, telnyx_phone_number_id, detail, first_seen_at, last_seen_at)
select 'agency_gone', 'env:TELNYX_API_KEY', '+1217' || (3000000 + i), (900000 + i)::text, '', now() - interval '1 day', now() - interval '1 day'
from generate_series(1, 120) i";
    world.execute(insert).await;
    for left in [70, 20, 0] {
        let asked = world.asked("GET", &format!("{NUMBERS}/"));
        world.reconcile().await;
        assert_eq!(open(&world).await, left);
        assert!(world.asked("GET", &format!("{NUMBERS}/")) - asked <= 50);
    }
}
