//! The walk through an account's inventory: page by page, from run to run, alone or beside others, and while the world goes on.

use dev::books::{SOMEBODY_ELSE, unfinished};
use dev::demo;
use dev::vault::Kept;
use dev::wire::{Fault, Moment};
use futures_util::future::join_all;
use lambda_http::http::Method;
use lambda_http::{Context, LambdaEvent};
use serde_json::{Value, json};

use crate::reconcile::reconcile_inventory::{appear, bought, found, reference_of, vanish};
use crate::support::accounts::{OWN_KEY, keep_own_key, own_account, own_secret, two_accounts};
use crate::support::actions::{assigned, balance, heal, order_of, ordered_by_somebody_else, release_of, telnyx, unsold};
use crate::support::app::{World, eventually};

const NUMBERS: &str = "/v2/phone_numbers";

/// A world whose inventory has two numbers a page.
async fn world() -> World {
    let world = World::new().await;
    world.telnyx_settings(json!({"largest_page": 2})).await;
    world
}

/// How often a page of the inventory was asked for.
fn pages(world: &World, page: usize) -> usize {
    let asked = world.telnyx.exchanges();
    let page = format!("page%5Bnumber%5D={page}");
    asked.iter().filter(|exchange| exchange.path == NUMBERS && exchange.query.contains("sort=") && exchange.query.ends_with(&page)).count()
}

/// The only walk.
async fn walk(world: &World) -> Value {
    let mut walks = world.walks().await;
    assert_eq!(walks.len(), 1, "{walks:#?}");
    walks.remove(0)
}

/// How many rows the walks have seen.
async fn sighted(world: &World) -> i64 {
    world.sql.query_one("select count(*) from phone_number_sightings", &[]).await.unwrap().get(0)
}

/// The next walk stops before its second page, having looked so many numbers up by their ids.
async fn second_page_fails(world: &World, looks: usize) {
    world.fault(json!({"method": "GET", "path_prefix": NUMBERS, "kind": "delay", "times": 1 + looks})).await;
    world.fault(json!({"method": "GET", "path_prefix": NUMBERS, "kind": "status", "status": 500})).await;
}

#[tokio::test]
async fn every_page_is_compared() {
    let world = world().await;
    let rows = bought(&world, 5).await;
    // The youngest are on the last page.
    world.execute(&format!("delete from agency_phone_numbers where id = '{}'", rows[4]["id"].as_str().unwrap())).await;
    world.reconcile().await;
    assert_eq!([1, 2, 3, 4].map(|page| pages(&world, page)), [1, 1, 1, 0]);
    assert_eq!(world.rows().await.len(), 5);
    let walk = walk(&world).await;
    assert_eq!((&walk["next_page"], &walk["is_whole"], world.missed().await), (&json!(1), &json!(true), vec![]));
    assert!(walk["finished_at"].is_string() && walk["lease_token"].is_null());
    balance(&world).await;
}

#[tokio::test]
async fn an_inventory_of_hundreds_is_compared_in_one_run() {
    let world = World::new().await;
    world.telnyx_settings(json!({"slow_activation_ms": 0})).await;
    let row = bought(&world, 1).await.remove(0);
    let key = world.telnyx.api_key();
    let search = "/available_phone_numbers?filter[country_code]=US&filter[limit]=300";
    let offers = telnyx(&world, key, Method::GET, search, None).await;
    let numbers: Vec<_> = offers["data"].as_array().unwrap().iter().map(|offer| json!({"phone_number": offer["phone_number"]})).collect();
    assert!(numbers.len() > 250);
    let body = json!({"phone_numbers": numbers, "customer_reference": SOMEBODY_ELSE});
    telnyx(&world, key, Method::POST, "/number_orders", Some(body)).await;
    for _ in 0..2 {
        world.reconcile().await;
    }
    assert_eq!(pages(&world, 2), 2);
    assert_eq!((world.strangers().await.len(), world.now(&row).await), (numbers.len(), row));
    assert_eq!(found(&world).await, [[json!("not_ours"), json!(null), json!("open")]]);
    assert_eq!(world.findings().await[0]["number_count"], numbers.len());
}

#[tokio::test]
async fn a_walk_that_stops_half_way_is_gone_on_with() {
    let world = world().await;
    let rows = bought(&world, 3).await;
    world.execute("delete from agency_phone_numbers").await;
    second_page_fails(&world, 2).await;
    world.reconcile().await;
    let stopped = walk(&world).await;
    assert_eq!((&stopped["next_page"], &stopped["finished_at"], &stopped["leased_until"]), (&json!(2), &json!(null), &json!(null)));
    assert_eq!((sighted(&world).await, world.rows().await.len()), (2, 2));
    world.reconcile().await;
    assert_eq!([1, 2].map(|page| pages(&world, page)), [1, 2], "the first page is not read again");
    let finished = walk(&world).await;
    assert_eq!((&finished["started_at"], sighted(&world).await), (&stopped["started_at"], 3));
    assert_eq!(world.rows().await.len(), rows.len());
    balance(&world).await;
}

#[tokio::test]
async fn a_walk_without_time_for_another_page_stops_and_the_next_run_goes_on() {
    let mut world = world().await;
    bought(&world, 3).await;
    // The first page takes so long that less than three seconds are left.
    world.set("REQUEST_BUDGET_MS", "6500");
    world.set("TELNYX_TIMEOUT_MS", "6000");
    world.fault(json!({"method": "GET", "path_prefix": NUMBERS, "kind": "delay", "delay_ms": 3_600})).await;
    world.reconcile().await;
    assert_eq!((&walk(&world).await["next_page"], pages(&world, 2)), (&json!(2), 0));
    world.reconcile().await;
    assert_eq!((&walk(&world).await["next_page"], pages(&world, 1)), (&json!(1), 1));
    assert!(walk(&world).await["finished_at"].is_string());
}

#[tokio::test]
async fn a_walk_whose_process_died_is_gone_on_with_once_its_lease_is_over() {
    let mut world = world().await;
    world.set("LEASE_MS", "150");
    bought(&world, 3).await;
    second_page_fails(&world, 0).await;
    world.reconcile().await;
    world.fault(json!({"method": "GET", "path_prefix": NUMBERS, "kind": "delay", "delay_ms": 30_000})).await;
    let asked = pages(&world, 2);
    tokio::select! {
        biased;
        () = eventually(async || (pages(&world, 2) > asked).then_some(())) => {}
        () = world.reconcile() => panic!("it was to die before it could finish"),
    }
    assert_eq!(walk(&world).await["next_page"], 2);
    eventually(async || {
        world.reconcile().await;
        walk(&world).await["finished_at"].is_string().then_some(())
    })
    .await;
    assert_eq!(pages(&world, 1), 1);
}

#[tokio::test]
async fn while_one_walks_another_passes_by() {
    let world = world().await;
    let row = bought(&world, 1).await.remove(0);
    world.execute("delete from agency_phone_numbers").await;
    world.fault(json!({"method": "GET", "path_prefix": NUMBERS, "kind": "delay", "delay_ms": 700})).await;
    let others = async {
        eventually(async || (pages(&world, 1) == 1).then_some(())).await;
        join_all((0..3).map(|_| world.reconcile())).await;
        assert_eq!((pages(&world, 1), world.rows().await.len()), (1, 0));
    };
    tokio::join!(world.reconcile(), others);
    let rows = world.rows().await;
    assert_eq!((rows.len(), &rows[0]["phone_number"]), (1, &row["phone_number"]));
}

#[tokio::test]
async fn several_runs_at_once_do_what_one_does() {
    let world = world().await;
    let rows = bought(&world, 5).await;
    ordered_by_somebody_else(&world, &unsold(&world).await).await;
    vanish(&world, &rows[0]["phone_number"]).await;
    world.execute(&format!("delete from agency_phone_numbers where id <> '{}'", rows[0]["id"].as_str().unwrap())).await;
    for _ in 0..3 {
        join_all((0..4).map(|_| world.reconcile())).await;
    }
    assert_eq!(world.now(&rows[0]).await["status"], "inactive");
    let now = world.rows().await;
    assert_eq!((now.len(), world.findings().await.len()), (5, 1));
    for row in &now {
        let reconciled = world.history(row).await.iter().filter(|entry| entry["event"] == "reconciled").count();
        assert_eq!(reconciled, 1, "{row:#}");
    }
}

#[tokio::test]
async fn numbers_that_move_up_while_a_walk_has_stopped_are_missed_and_not_switched_off() {
    let world = world().await;
    let rows = bought(&world, 6).await;
    let listed = telnyx(&world, world.telnyx.api_key(), Method::GET, "/phone_numbers?sort=purchased_at&page[size]=2", None).await;
    let mut first: Vec<_> = listed["data"].as_array().unwrap().iter().map(|number| number["phone_number"].clone()).collect();
    for _ in 0..2 {
        second_page_fails(&world, 0).await;
        world.reconcile().await;
        // One of those on the first page goes, and one of the second takes its place.
        let row = rows.iter().find(|row| row["phone_number"] == first[0]).unwrap();
        world.release("owner", release_of(row)).await.expect(200);
        first.remove(0);
        world.reconcile().await;
        assert_eq!(world.missed().await.len(), 1);
    }
    assert_eq!(world.rows().await.iter().filter(|row| row["status"] == "active").count(), 4);
    assert!(world.findings().await.is_empty());
    world.reconcile().await;
    assert!(world.missed().await.is_empty());
    balance(&world).await;
}

/// Does something while a page of the inventory is on its way, which shows the account as it was before.
async fn while_a_page_is_on_its_way(world: &World, work: impl Future<Output = ()>) {
    // On the heap, since what is done can be much.
    let work = Box::pin(work);
    let asked = pages(world, 1);
    world.fault(json!({"method": "GET", "path_prefix": NUMBERS, "kind": "delay", "delay_ms": 1_200})).await;
    let work = async {
        eventually(async || (pages(world, 1) > asked).then_some(())).await;
        work.await;
    };
    tokio::join!(world.reconcile(), work);
}

#[tokio::test]
async fn a_purchase_during_a_walk_is_not_missed_and_leaves_no_finding() {
    let world = World::new().await;
    bought(&world, 1).await;
    let numbers = [unsold(&world).await];
    while_a_page_is_on_its_way(&world, async {
        world.purchase("owner", order_of(&numbers[0])).await.expect(200);
    })
    .await;
    assert_eq!((world.missed().await, world.findings().await), (Vec::<Value>::new(), Vec::new()));
    world.reconcile().await;
    assert!(world.rows().await.iter().all(|row| row["status"] == "active"));
    assert!(world.findings().await.is_empty());
    balance(&world).await;
}

#[tokio::test]
async fn a_release_during_a_walk_leaves_no_finding() {
    // Even where Telnyx is believed to show at once what has happened.
    for missing_after in ["300", "0"] {
        let mut world = World::new().await;
        world.set("PURCHASE_ORDER_MISSING_AFTER_MS", missing_after);
        let row = assigned(&world).await;
        while_a_page_is_on_its_way(&world, async {
            world.release("owner", release_of(&row)).await.expect(200);
        })
        .await;
        assert_eq!((world.now(&row).await["status"].clone(), world.findings().await), (json!("released"), Vec::new()));
        assert_eq!(world.rows().await.len(), 1);
        balance(&world).await;
    }
}

#[tokio::test]
async fn a_number_that_changes_hands_during_a_walk_leaves_no_finding() {
    let mut world = World::new().await;
    world.set("PURCHASE_ORDER_MISSING_AFTER_MS", "0");
    let row = assigned(&world).await;
    let number = row["phone_number"].as_str().unwrap();
    while_a_page_is_on_its_way(&world, async {
        world.release("owner", release_of(&row)).await.expect(200);
        world.search("other_owner", "country_code=US&area_code=312&limit=100").await.expect(200);
        world.purchase("other_owner", order_of(number)).await.expect(200);
    })
    .await;
    let rows = world.rows().await;
    assert_eq!((rows.len(), &rows[0]["agency_id"], &rows[0]["status"]), (1, &json!(demo::OTHER.id), &json!("active")));
    assert!(world.findings().await.is_empty());
    world.reconcile().await;
    assert_eq!((world.rows().await, world.findings().await), (rows, Vec::new()));
    balance(&world).await;
}

#[tokio::test]
async fn a_purchase_that_comes_first_keeps_an_adoption_off() {
    let mut world = World::new().await;
    let number = json!(unsold(&world).await);
    appear(&world, &number, &reference_of(&demo::DEMO)).await;
    let elsewhere = world.database.connect().await.unwrap();
    let insert = format!(
        "insert into agency_phone_numbers (agency_id, phone_number, status) values ('{}', {}, 'pending')",
        demo::OTHER.id,
        number.to_string().replace('"', "'"),
    );
    let wire = world.wired().await;
    wire.strike("reconcile.adopt.insert", Moment::Before, Fault::call(async move { elsewhere.batch_execute(&insert).await.unwrap() }));
    world.reconcile().await;
    let rows = world.rows().await;
    assert_eq!((wire.struck(), rows.len(), &rows[0]["agency_id"]), (1, 1, &json!(demo::OTHER.id)));
    assert!(world.ledger().await.is_empty());
    // That purchase finds out that it cannot have it.
    world.execute("delete from agency_phone_numbers").await;
    world.reconcile().await;
    assert_eq!(world.rows().await[0]["agency_id"], json!(demo::DEMO.id));
}

#[tokio::test]
async fn runs_beside_purchases_and_releases_of_two_agencies_find_nothing_to_do() {
    let mut world = world().await;
    world.set("RECONCILE_MAX_DEACTIVATED_PERCENT", "100");
    world.telnyx_settings(json!({"order_delay_ms": 30, "number_delay_ms": 10, "number_lag_ms": 40})).await;
    let numbers = world.offers("312", 8).await;
    world.search("other_owner", "country_code=US&area_code=312&limit=100").await.expect(200);
    let life = async |user: &'static str, numbers: &[String]| {
        for number in numbers {
            let bought = world.purchase(user, order_of(number)).await.expect(200).number().clone();
            world.release(user, release_of(&bought)).await.expect(200);
            world.purchase(user, order_of(number)).await.expect(200);
        }
    };
    let lives = async { tokio::join!(life("owner", &numbers[..4]), life("other_owner", &numbers[4..])) };
    let mut lives = std::pin::pin!(lives);
    loop {
        tokio::select! {
            biased;
            _ = &mut lives => break,
            () = world.reconcile() => {}
        }
    }
    for _ in 0..2 {
        world.reconcile().await;
    }
    assert!(world.findings().await.is_empty() && unfinished(&world.sql).await.unwrap().is_empty());
    assert_eq!(world.rows().await.iter().filter(|row| row["status"] == "active").count(), 8);
    let reconciled = "select count(*) from phone_number_history where event = 'reconciled'";
    assert_eq!(world.sql.query_one(reconciled, &[]).await.unwrap().get::<_, i64>(0), 0);
    balance(&world).await;
}

#[tokio::test]
async fn an_agency_that_gets_a_key_of_its_own_is_compared_with_both_accounts() {
    let (world, vault) = two_accounts().await;
    let first = assigned(&world).await;
    keep_own_key(&vault);
    let second = assigned(&world).await;
    for _ in 0..3 {
        world.reconcile().await;
    }
    let accounts: Vec<_> = world.walks().await.iter().map(|walk| walk["telnyx_account"].clone()).collect();
    assert_eq!(accounts, [json!(own_account()), json!("platform")]);
    assert!(world.missed().await.is_empty() && world.walks().await.iter().all(|walk| walk["finished_at"].is_string()));
    assert!(world.rows().await.iter().all(|row| row["status"] == "active") && world.findings().await.is_empty());

    // Each is missed in the account that had it, and in no other.
    telnyx(&world, OWN_KEY, Method::DELETE, &format!("/phone_numbers/{}", second["phone_number"].as_str().unwrap()), None).await;
    for _ in 0..2 {
        world.reconcile().await;
    }
    assert_eq!((&world.now(&first).await["status"], &world.now(&second).await["status"]), (&json!("active"), &json!("inactive")));
    world.release("owner", release_of(&second)).await.expect(200);

    // So it is when the database has forgotten everything.
    world.execute("delete from agency_phone_numbers; delete from phone_number_purchases; delete from phone_number_inventory_walks").await;
    world.reconcile().await;
    assert_eq!(world.purchase_of(&first["phone_number"]).await["telnyx_account"], "platform");
    assert_eq!(world.rows().await.len(), 1);
}

#[tokio::test]
async fn an_account_that_the_ledger_has_forgotten_is_compared_all_the_same() {
    let (world, vault) = two_accounts().await;
    keep_own_key(&vault);
    let row = assigned(&world).await;
    world.execute("delete from agency_phone_numbers; delete from phone_number_purchases").await;
    world.reconcile().await;
    let adopted = world.purchase_of(&row["phone_number"]).await;
    assert_eq!((&adopted["telnyx_account"], &adopted["origin"]), (&json!(own_account()), &json!("adopted")));
    balance(&world).await;
}

#[tokio::test]
async fn an_account_whose_key_cannot_be_read_keeps_no_other_from_being_compared() {
    let (world, vault) = two_accounts().await;
    let first = assigned(&world).await;
    keep_own_key(&vault);
    let second = assigned(&world).await;
    world.execute("delete from agency_phone_numbers").await;
    for kept in [Kept::Error(400, "AccessDeniedException"), Kept::Text("no key\nat all".to_owned())] {
        vault.keep(&own_secret(), kept);
        world.reconcile().await;
        let rows = world.rows().await;
        assert_eq!((rows.len(), &rows[0]["phone_number"]), (1, &first["phone_number"]));
    }
    keep_own_key(&vault);
    world.reconcile().await;
    assert_eq!((world.rows().await.len(), world.purchase_of(&second["phone_number"]).await["origin"].clone()), (2, json!("adopted")));
    balance(&world).await;
}

#[tokio::test]
async fn an_account_whose_key_is_gone_is_left_to_a_person_as_long_as_it_has_numbers() {
    let (world, vault) = two_accounts().await;
    keep_own_key(&vault);
    let row = assigned(&world).await;
    world.reconcile().await;
    assert_eq!(world.findings().await, Vec::<Value>::new());

    vault.lose(&own_secret());
    for _ in 0..3 {
        world.reconcile().await;
    }
    let found = world.findings().await;
    assert_eq!(found.len(), 1);
    assert_eq!(
        (&found[0]["kind"], &found[0]["telnyx_account"], &found[0]["agency_phone_number_ids"]),
        (&json!("inventory_drift"), &json!(own_account()), &json!([row["id"]]))
    );
    let number = row["phone_number"].as_str().unwrap();
    assert!(found[0]["detail"].as_str().unwrap().contains(number), "{}", found[0]);
    assert_eq!(world.now(&row).await["status"], "active");

    keep_own_key(&vault);
    world.reconcile().await;
    assert_eq!(world.findings().await[0]["state"], "gone");
    world.release("owner", release_of(&row)).await.expect(200);
    vault.lose(&own_secret());
    world.reconcile().await;
    assert_eq!(world.findings().await.len(), 1);
}

#[tokio::test]
async fn a_whole_event_of_the_schedule_compares_too() {
    let world = World::new().await;
    bought(&world, 1).await;
    world.execute("delete from agency_phone_numbers").await;
    let event = LambdaEvent::new(json!({"source": "aws.scheduler"}), Context::default());
    assert_eq!(world.reconciler().handle(event).await.unwrap(), Value::Null);
    assert_eq!(world.rows().await.len(), 1);
}

#[tokio::test]
async fn a_row_is_not_switched_on_by_a_page_from_before_its_number_was_gone() {
    let world = World::new().await;
    let row = bought(&world, 1).await.remove(0);
    let switch_off = "\
select set_config('phone_numbers.event', 'reconciled', false);
update agency_phone_numbers set status = 'inactive';
select set_config('phone_numbers.event', '', false);";
    while_a_page_is_on_its_way(&world, async {
        vanish(&world, &row["phone_number"]).await;
        world.execute(switch_off).await;
    })
    .await;
    assert_eq!(world.now(&row).await["status"], "inactive");
}

#[tokio::test]
async fn the_release_of_a_row_from_before_the_ledger_leaves_no_finding_either() {
    let world = World::new().await;
    let number = json!(unsold(&world).await);
    appear(&world, &number, SOMEBODY_ELSE).await;
    let row = world.insert(json!({"phone_number": number})).await;
    world.reconcile().await;
    while_a_page_is_on_its_way(&world, async {
        world.release("owner", release_of(&row)).await.expect(200);
    })
    .await;
    assert_eq!((world.now(&row).await["status"].clone(), world.findings().await), (json!("released"), Vec::new()));
}

#[tokio::test]
async fn an_account_that_hangs_does_not_keep_the_others_waiting_for_ever() {
    let (mut world, vault) = two_accounts().await;
    keep_own_key(&vault);
    assigned(&world).await;
    vault.lose(&own_secret());
    let row = assigned(&world).await;
    keep_own_key(&vault);
    world.execute(&format!("delete from agency_phone_numbers where id = '{}'", row["id"].as_str().unwrap())).await;
    world.set("TELNYX_TIMEOUT_MS", "2500");
    world.set("REQUEST_BUDGET_MS", "5000");
    // Whichever comes first takes all the time there is.
    for _ in 0..5 {
        if world.walks().await.len() == 2 {
            break;
        }
        world.fault(json!({"method": "GET", "path_prefix": NUMBERS, "kind": "delay", "delay_ms": 30_000})).await;
        world.reconcile().await;
        heal(&world).await;
    }
    assert_eq!(world.walks().await.len(), 2, "each had its turn");
}

#[tokio::test]
async fn a_number_that_has_moved_to_another_account_is_known_there_from_then_on() {
    let (world, vault) = two_accounts().await;
    let row = assigned(&world).await;
    let reference = world.purchase_of(&row["phone_number"]).await["telnyx_reference"].clone();
    world.execute("delete from agency_phone_numbers").await;
    world.telnyx_settings(json!({"hold_ms": 0})).await;
    vanish(&world, &row["phone_number"]).await;
    keep_own_key(&vault);
    let key = OWN_KEY;
    telnyx(&world, key, Method::GET, "/available_phone_numbers?filter[national_destination_code]=312", None).await;
    let body = json!({"phone_numbers": [{"phone_number": row["phone_number"]}], "customer_reference": reference});
    telnyx(&world, key, Method::POST, "/number_orders", Some(body)).await;
    world.reconcile().await;
    world.reconcile().await;
    assert_eq!(world.purchase_of(&row["phone_number"]).await["telnyx_account"], json!(own_account()));
    world.release("owner", release_of(&world.rows().await[0])).await.expect(200);
    assert!(world.billed().await.is_empty());
}
