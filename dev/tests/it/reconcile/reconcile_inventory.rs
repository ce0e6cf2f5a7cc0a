//! The numbers that an account at Telnyx has, held against the rows: which get a row, and which are left to a person.

use dev::books::SOMEBODY_ELSE;
use dev::demo;
use lambda_http::http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::money::purchase_crashes;
use crate::money::release_failures;
use crate::support::actions::{assigned, balance, decide, heal, order_of, order_of_all, release_of, telnyx, unsold};
use crate::support::app::{World, agent, eventually};

const NUMBERS: &str = "/v2/phone_numbers";

/// Numbers that the demo agency has just bought: their rows.
pub(crate) async fn bought(world: &World, count: usize) -> Vec<Value> {
    let numbers = world.offers("312", count).await;
    let mut rows = Vec::new();
    for numbers in numbers.chunks(10) {
        let bought = world.purchase("owner", order_of_all(numbers)).await.expect(200);
        rows.extend(bought.body["phone_numbers"].as_array().unwrap().iter().cloned());
    }
    for row in &mut rows {
        *row = world.now(row).await;
    }
    rows
}

/// Telnyx lets go of a number past us.
pub(crate) async fn vanish(world: &World, number: &Value) {
    let path = format!("/phone_numbers/{}", number.as_str().unwrap());
    telnyx(world, world.telnyx.api_key(), Method::DELETE, &path, None).await;
}

/// A number comes into the account past us, under a reference.
pub(crate) async fn appear(world: &World, number: &Value, reference: &str) {
    let body = json!({"phone_numbers": [{"phone_number": number}], "customer_reference": reference});
    telnyx(world, world.telnyx.api_key(), Method::POST, "/number_orders", Some(body)).await;
    // By now its order is done.
    let path = format!("/phone_numbers/{}", number.as_str().unwrap());
    assert_eq!(telnyx(world, world.telnyx.api_key(), Method::GET, &path, None).await["data"]["status"], "active");
}

/// A number that had vanished is in the account again, as what it was: how it came back is none of our business.
pub(crate) async fn come_back(world: &World, number: &Value) {
    appear(world, number, SOMEBODY_ELSE).await;
    let path = format!("/phone_numbers/{}", number.as_str().unwrap());
    let reference = world.purchase_of(number).await["telnyx_reference"].clone();
    telnyx(world, world.telnyx.api_key(), Method::PATCH, &path, Some(json!({ "customer_reference": reference }))).await;
}

/// A reference that a purchase of the agency would have.
pub(crate) fn reference_of(agency: &demo::Agency) -> String {
    format!("pn:{}:{}:{}", dev::migrations::DEPLOYMENT, agency.id, Uuid::new_v4())
}

/// The kinds and states of the findings, and the numbers they are about.
pub(crate) async fn found(world: &World) -> Vec<[Value; 3]> {
    world.findings().await.iter().map(|finding| ["kind", "phone_number", "state"].map(|name| finding[name].clone())).collect()
}

/// Nothing was asked of Telnyx but to tell.
pub(crate) fn nothing_was_touched(world: &World, since: usize) {
    let mut exchanges = world.telnyx.exchanges();
    let touching: Vec<_> = exchanges.split_off(since).into_iter().filter(|exchange| exchange.method != "GET").collect();
    assert!(touching.is_empty(), "{touching:#?}");
}

/// What the database has forgotten.
const ROW: &str = "delete from agency_phone_numbers;";
const ROW_AND_LEDGER: &str = "delete from agency_phone_numbers; delete from phone_number_purchases;";

#[tokio::test]
async fn a_number_with_our_reference_and_no_row_gets_the_row_back() {
    for forget in [ROW, ROW_AND_LEDGER] {
        let world = World::new().await;
        let before = bought(&world, 1).await.remove(0);
        let purchase = world.purchase_of(&before["phone_number"]).await;
        world.execute(forget).await;
        let asked = world.telnyx.exchanges().len();
        world.reconcile().await;
        nothing_was_touched(&world, asked);
        let rows = world.rows().await;
        let row = &rows[0];
        assert_ne!(row["id"], before["id"], "another life");
        for name in ["agency_id", "phone_number", "phone_number_id", "number_type", "country_code", "status", "is_active"] {
            assert_eq!(row[name], before[name], "{name}");
        }
        if forget == ROW {
            for name in ["voice_enabled", "sms_enabled", "mms_enabled", "monthly_cost", "setup_cost", "currency"] {
                assert_eq!(row[name], before[name], "{name}: the ledger knows");
            }
        }
        assert!(row["purchased_at"].is_string());
        let adopted = world.purchase_of(&row["phone_number"]).await;
        assert_eq!((&adopted["phase"], &adopted["origin"]), (&json!("completed"), &json!("adopted")));
        for name in ["id", "agency_id", "telnyx_account", "telnyx_reference", "telnyx_order_id", "telnyx_phone_number_id"] {
            assert_eq!(adopted[name], purchase[name], "{name}");
        }
        assert_eq!(adopted["agency_phone_number_id"], row["id"]);
        let history = world.history(row).await;
        assert_eq!((history.len(), &history[0]["event"], &history[0]["actor"]), (1, &json!("reconciled"), &json!("reconcile")));
        assert_eq!(history[0]["changes"]["status"]["to"], "active");
        balance(&world).await;

        // It is a number like any other.
        world.reconcile().await;
        assert_eq!((world.rows().await, world.findings().await), (rows.clone(), Vec::new()));
        let again = world.purchase("owner", order_of(row["phone_number"].as_str().unwrap())).await.expect(200);
        assert_eq!((again.header("idempotent-replayed"), &again.number()["id"]), ("true", &row["id"]));
        let item = json!({"phone_number_id": row["id"], "agent_mapping_id": agent(&demo::DEMO, 0)});
        world.assign("owner", Method::POST, "", Some(item)).await.expect(200);
        world.release("owner", release_of(row)).await.expect(200);
        world.reconcile().await;
        assert_eq!((world.billed().await, world.findings().await), (Vec::<String>::new(), Vec::new()));
        balance(&world).await;
    }
}

#[tokio::test]
async fn what_the_database_objects_to_does_not_keep_the_others_waiting() {
    let world = World::new().await;
    let rows = bought(&world, 3).await;
    world.execute(ROW_AND_LEDGER).await;
    // Whatever the reason: a row that must not be.
    let odd = rows[1]["phone_number"].as_str().unwrap();
    world.execute(&format!("alter table agency_phone_numbers add constraint odd check (phone_number <> '{odd}')")).await;
    // And one from before the ledger that must not be changed.
    let refuse = "\
create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
create trigger refuse before update on agency_phone_numbers for each row execute function refuse();";
    world.insert(json!({"status": "pending", "created_at": "2025-12-24T12:00:00Z"})).await;
    world.execute(refuse).await;
    for _ in 0..2 {
        world.reconcile().await;
        let adopted: Vec<_> =
            world.rows().await.iter().filter(|row| row["status"] == "active").map(|row| row["phone_number"].clone()).collect();
        assert!(adopted.len() == 2 && !adopted.contains(&rows[1]["phone_number"]), "{adopted:?}");
        assert!(world.walks().await[0]["finished_at"].is_string(), "the rest of the account is compared");
    }
    world.execute("alter table agency_phone_numbers drop constraint odd; drop trigger refuse on agency_phone_numbers").await;
    world.reconcile().await;
    assert_eq!(world.rows().await.iter().filter(|row| row["status"] == "active").count(), 3);
    balance(&world).await;
}

#[tokio::test]
async fn each_number_goes_to_the_agency_that_it_was_bought_for() {
    let world = World::new().await;
    let numbers = world.offers("312", 4).await;
    for (index, number) in numbers.iter().enumerate() {
        world.purchase(["owner", "other_owner"][index % 2], order_of(number)).await.expect(200);
    }
    let owners = async || {
        let mut owners: Vec<_> = world.rows().await.iter().map(|row| (row["phone_number"].clone(), row["agency_id"].clone())).collect();
        owners.sort_by_key(|(number, _)| number.to_string());
        owners
    };
    let before = owners().await;
    world.execute(ROW_AND_LEDGER).await;
    world.reconcile().await;
    assert_eq!(owners().await, before);
    balance(&world).await;
}

#[tokio::test]
async fn a_number_whose_order_is_not_decided_waits_for_it() {
    let world = World::new().await;
    let number = json!(unsold(&world).await);
    world.telnyx_settings(json!({"order_outcome": "never"})).await;
    let body = json!({"phone_numbers": [{"phone_number": number}], "customer_reference": reference_of(&demo::DEMO)});
    telnyx(&world, world.telnyx.api_key(), Method::POST, "/number_orders", Some(body)).await;
    for _ in 0..2 {
        world.reconcile().await;
        assert_eq!((world.rows().await.len(), world.findings().await.len()), (0, 0));
    }
    decide(&world, "success").await;
    world.reconcile().await;
    assert_eq!(world.rows().await[0]["status"], "active");
    balance(&world).await;
}

#[tokio::test]
async fn an_order_that_succeeds_after_it_was_given_up_is_not_lost() {
    let given_up = [
        "update phone_number_purchases set phase = 'failed', failure_code = 'number_unavailable';
         delete from agency_phone_numbers;",
        "update phone_number_purchases set phase = 'cancelled';
         update agency_phone_numbers set status = 'released', is_active = false, released_at = now();",
    ];
    for give_up in given_up {
        let mut world = World::new().await;
        world.set("LEASE_MS", "150");
        let number = unsold(&world).await;
        world.telnyx_settings(json!({"order_outcome": "never"})).await;
        purchase_crashes::dies(&world, &number, async || world.ledger().await.iter().any(|purchase| purchase["phase"] == "ordered")).await;
        world.execute(give_up).await;
        world.reconcile().await;
        assert_eq!((world.findings().await, world.ledger().await[0]["origin"].clone()), (Vec::new(), json!("requested")));
        decide(&world, "success").await;
        world.reconcile().await;
        let rows = world.rows().await;
        assert_eq!((rows.len(), &rows[0]["status"]), (1, &json!("active")));
        let purchase = world.purchase_of(&json!(number)).await;
        assert_eq!(
            (&purchase["phase"], &purchase["origin"], &purchase["failure_code"]),
            (&json!("completed"), &json!("adopted"), &json!(null))
        );
        balance(&world).await;
    }
}

#[tokio::test]
async fn a_released_row_makes_room_and_its_agency_goes_on_seeing_it() {
    let world = World::new().await;
    let first = assigned(&world).await;
    world.release("owner", release_of(&first)).await.expect(200);
    let first = world.now(&first).await;
    // Bought by another agency, in a life that the database has forgotten.
    appear(&world, &first["phone_number"], &reference_of(&demo::OTHER)).await;
    world.reconcile().await;
    let rows = world.rows().await;
    assert_eq!((rows.len(), &rows[0]["agency_id"], &rows[0]["status"]), (1, &json!(demo::OTHER.id), &json!("active")));
    let ours = world.list("owner", "include_released=true").await.expect(200);
    assert_eq!((&ours.number()["id"], &ours.number()["status"]), (&first["id"], &json!("released")));
    assert_eq!(world.list("other_owner", "include_released=true").await.expect(200).number()["id"], rows[0]["id"]);
    balance(&world).await;
}

#[tokio::test]
async fn a_number_of_an_agency_that_is_gone_is_left_to_a_person() {
    let world = World::new().await;
    let row = bought(&world, 1).await.remove(0);
    world.execute(&format!("delete from agencies where id = '{}'", demo::DEMO.id)).await;
    assert!(world.rows().await.is_empty());
    let asked = world.telnyx.exchanges().len();
    for _ in 0..3 {
        world.reconcile().await;
    }
    nothing_was_touched(&world, asked);
    assert_eq!(found(&world).await, [[json!("agency_gone"), row["phone_number"].clone(), json!("open")]]);
    let finding = &world.findings().await[0];
    assert_eq!((&finding["telnyx_phone_number_id"], &finding["agency_id"]), (&row["phone_number_id"], &json!(null)));
    assert_eq!(world.billed().await.len(), 1);
    vanish(&world, &row["phone_number"]).await;
    world.reconcile().await;
    assert_eq!(found(&world).await, [[json!("agency_gone"), row["phone_number"].clone(), json!("open")]], "one walk is none");
    world.reconcile().await;
    assert_eq!(found(&world).await, [[json!("agency_gone"), row["phone_number"].clone(), json!("gone")]]);
}

#[tokio::test]
async fn a_number_on_its_way_back_when_its_agency_goes_is_given_back_and_no_finding() {
    let mut world = World::new().await;
    world.set("LEASE_MS", "150");
    let row = bought(&world, 1).await.remove(0);
    world.fault(json!({"method": "DELETE", "path_prefix": NUMBERS, "kind": "status", "status": 500, "times": 1_000})).await;
    release_failures::dies(&world, &row, async || world.asked("DELETE", NUMBERS) > 0).await;
    world.execute(&format!("delete from agencies where id = '{}'", demo::DEMO.id)).await;
    world.reconcile().await;
    assert_eq!((world.billed().await.len(), world.findings().await), (1, Vec::new()));
    heal(&world).await;
    eventually(async || {
        world.reconcile().await;
        world.billed().await.is_empty().then_some(())
    })
    .await;
    world.reconcile().await;
    assert!(world.findings().await.is_empty());
}

#[tokio::test]
async fn a_row_that_knows_its_number_by_another_id_is_corrected() {
    let world = World::new().await;
    let row = bought(&world, 1).await.remove(0);
    world.execute("update agency_phone_numbers set phone_number_id = '7'").await;
    world.reconcile().await;
    let corrected = world.now(&row).await;
    assert_eq!((&corrected["phone_number_id"], &corrected["status"]), (&row["phone_number_id"], &json!("active")));
    let last = world.history(&row).await.pop().unwrap();
    assert_eq!((&last["event"], &last["actor"]), (&json!("reconciled"), &json!("reconcile")));
    assert_eq!(last["changes"], json!({"phone_number_id": {"from": "7", "to": row["phone_number_id"]}}));
    balance(&world).await;
}

#[tokio::test]
async fn a_number_of_ours_in_the_row_of_another_is_left_to_a_person() {
    let world = World::new().await;
    let row = bought(&world, 1).await.remove(0);
    // Restored from before the number was given back and sold to the other agency.
    vanish(&world, &row["phone_number"]).await;
    appear(&world, &row["phone_number"], &reference_of(&demo::OTHER)).await;
    let asked = world.telnyx.exchanges().len();
    world.reconcile().await;
    nothing_was_touched(&world, asked);
    assert_eq!(found(&world).await, [[json!("held_by_another"), row["phone_number"].clone(), json!("open")]]);
    let finding = world.findings().await.remove(0);
    assert_eq!((&finding["agency_id"], &finding["agency_phone_number_ids"]), (&json!(demo::OTHER.id), &json!([row["id"]])));
    assert_eq!(world.now(&row).await, row);
}

#[tokio::test]
async fn a_number_that_was_given_back_and_is_billed_is_left_to_a_person_once_telnyx_had_its_time() {
    let mut world = World::new().await;
    world.set("PURCHASE_ORDER_MISSING_AFTER_MS", "60000");
    let row = bought(&world, 1).await.remove(0);
    world.telnyx_settings(json!({"delete_lag_reads": 1_000})).await;
    world.fault(json!({"method": "DELETE", "path_prefix": NUMBERS, "kind": "status", "status": 404})).await;
    world.fault(json!({"method": "GET", "path_prefix": NUMBERS, "kind": "empty"})).await;
    world.release("owner", release_of(&row)).await.expect(200);
    world.reconcile().await;
    assert!(world.findings().await.is_empty(), "it takes a while to be gone everywhere");
    world.execute("update phone_number_releases set completed_at = completed_at - interval '1 day'").await;
    world.reconcile().await;
    assert_eq!(found(&world).await, [[json!("released_but_billed"), row["phone_number"].clone(), json!("open")]]);
    assert_eq!(world.findings().await[0]["agency_id"], json!(demo::DEMO.id));
    assert_eq!(world.now(&row).await["status"], "released");
}
