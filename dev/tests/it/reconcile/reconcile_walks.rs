//! The walk through an account's inventory: page by page, over several runs, with concurrent walks and other work.

use dev::demo;
use dev::fault_proxy::{Fault, Moment};
use dev::invariants::{FOREIGN_REFERENCE, unfinished};
use dev::secrets_manager::SecretResponse;
use futures_util::future::join_all;
use lambda_http::http::Method;
use serde_json::{Value, json};

use crate::reconcile::reconcile_inventory::{appear, bought, found, reference_of, vanish};
use crate::support::accounts::{OWN_KEY, keep_own_key, own_account, own_secret, two_accounts};
use crate::support::actions::{assigned, balance, clear_faults, order_of, ordered_by_somebody_else, release_of, telnyx, unsold};
use crate::support::app::{TestApp, event, eventually};

const NUMBERS: &str = "/v2/phone_numbers";

/// An app with two numbers per page of the inventory.
async fn app() -> TestApp {
    let app = TestApp::new().await;
    app.telnyx_settings(json!({"largest_page": 2})).await;
    app
}

/// How often a page of the inventory was read.
fn pages(app: &TestApp, page: usize) -> usize {
    let asked = app.telnyx.exchanges();
    let page = format!("page%5Bnumber%5D={page}");
    asked.iter().filter(|exchange| exchange.path == NUMBERS && exchange.query.contains("sort=") && exchange.query.ends_with(&page)).count()
}

/// The only walk.
async fn walk(app: &TestApp) -> Value {
    let mut walks = app.walks().await;
    assert_eq!(walks.len(), 1, "{walks:#?}");
    walks.remove(0)
}

/// The number of rows that the walks have seen.
async fn sighted(app: &TestApp) -> i64 {
    app.sql.query_one("select count(*) from phone_number_sightings", &[]).await.unwrap().get(0)
}

/// Makes the next walk stop before its second page, after a number of look-ups by id.
async fn second_page_fails(app: &TestApp, looks: usize) {
    app.fault(json!({"method": "GET", "path_prefix": NUMBERS, "kind": "delay", "times": 1 + looks})).await;
    app.fault(json!({"method": "GET", "path_prefix": NUMBERS, "kind": "status", "status": 500})).await;
}

#[tokio::test]
async fn every_page_is_compared() {
    let app = app().await;
    let rows = bought(&app, 5).await;
    // The youngest are on the last page.
    app.execute(&format!("delete from agency_phone_numbers where id = '{}'", rows[4]["id"].as_str().unwrap())).await;
    app.reconcile().await;
    assert_eq!([1, 2, 3, 4].map(|page| pages(&app, page)), [1, 1, 1, 0]);
    assert_eq!(app.rows().await.len(), 5);
    let walk = walk(&app).await;
    assert_eq!((&walk["next_page"], &walk["is_whole"], app.missed().await), (&json!(1), &json!(true), vec![]));
    assert!(walk["finished_at"].is_string() && walk["lease_token"].is_null());
    balance(&app).await;
}

#[tokio::test]
async fn an_inventory_of_hundreds_is_compared_in_one_run() {
    let app = TestApp::new().await;
    app.telnyx_settings(json!({"slow_activation_ms": 0})).await;
    let row = bought(&app, 1).await.remove(0);
    let key = app.telnyx.api_key();
    let search = "/available_phone_numbers?filter[country_code]=US&filter[limit]=300";
    let offers = telnyx(&app, key, Method::GET, search, None).await;
    let numbers: Vec<_> = offers["data"].as_array().unwrap().iter().map(|offer| json!({"phone_number": offer["phone_number"]})).collect();
    assert!(numbers.len() > 250);
    let body = json!({"phone_numbers": numbers, "customer_reference": FOREIGN_REFERENCE});
    telnyx(&app, key, Method::POST, "/number_orders", Some(body)).await;
    for _ in 0..2 {
        app.reconcile().await;
    }
    assert_eq!(pages(&app, 2), 2);
    assert_eq!((app.strangers().await.len(), app.now(&row).await), (numbers.len(), row));
    assert_eq!(found(&app).await, [[json!("not_ours"), json!(null), json!("open")]]);
    assert_eq!(app.findings().await[0]["number_count"], numbers.len());
}

#[tokio::test]
async fn a_walk_that_stops_half_way_is_gone_on_with() {
    let app = app().await;
    let rows = bought(&app, 3).await;
    app.execute("delete from agency_phone_numbers").await;
    second_page_fails(&app, 2).await;
    app.reconcile().await;
    let stopped = walk(&app).await;
    assert_eq!((&stopped["next_page"], &stopped["finished_at"], &stopped["leased_until"]), (&json!(2), &json!(null), &json!(null)));
    assert_eq!((sighted(&app).await, app.rows().await.len()), (2, 2));
    app.reconcile().await;
    assert_eq!([1, 2].map(|page| pages(&app, page)), [1, 2], "the first page is not read again");
    let finished = walk(&app).await;
    assert_eq!((&finished["started_at"], sighted(&app).await), (&stopped["started_at"], 3));
    assert_eq!(app.rows().await.len(), rows.len());
    balance(&app).await;
}

#[tokio::test]
async fn a_walk_without_time_for_another_page_stops_and_the_next_run_goes_on() {
    let mut app = app().await;
    bought(&app, 3).await;
    // The first page takes so long that less than three seconds are left.
    app.set("REQUEST_BUDGET_MS", "6500");
    app.set("TELNYX_TIMEOUT_MS", "6000");
    app.fault(json!({"method": "GET", "path_prefix": NUMBERS, "kind": "delay", "delay_ms": 3_600})).await;
    app.reconcile().await;
    assert_eq!((&walk(&app).await["next_page"], pages(&app, 2)), (&json!(2), 0));
    app.reconcile().await;
    assert_eq!((&walk(&app).await["next_page"], pages(&app, 1)), (&json!(1), 1));
    assert!(walk(&app).await["finished_at"].is_string());
}

#[tokio::test]
async fn a_walk_whose_process_died_is_gone_on_with_once_its_lease_is_over() {
    let mut app = app().await;
    app.set("LEASE_MS", "150");
    bought(&app, 3).await;
    second_page_fails(&app, 0).await;
    app.reconcile().await;
    app.fault(json!({"method": "GET", "path_prefix": NUMBERS, "kind": "delay", "delay_ms": 30_000})).await;
    let asked = pages(&app, 2);
    tokio::select! {
        biased;
        () = eventually(async || (pages(&app, 2) > asked).then_some(())) => {}
        () = app.reconcile() => panic!("it was to die before it could finish"),
    }
    assert_eq!(walk(&app).await["next_page"], 2);
    eventually(async || {
        app.reconcile().await;
        walk(&app).await["finished_at"].is_string().then_some(())
    })
    .await;
    assert_eq!(pages(&app, 1), 1);
}

#[tokio::test]
async fn while_one_walks_another_passes_by() {
    let app = app().await;
    let row = bought(&app, 1).await.remove(0);
    app.execute("delete from agency_phone_numbers").await;
    app.fault(json!({"method": "GET", "path_prefix": NUMBERS, "kind": "delay", "delay_ms": 700})).await;
    let others = async {
        eventually(async || (pages(&app, 1) == 1).then_some(())).await;
        join_all((0..3).map(|_| app.reconcile())).await;
        assert_eq!((pages(&app, 1), app.rows().await.len()), (1, 0));
    };
    tokio::join!(app.reconcile(), others);
    let rows = app.rows().await;
    assert_eq!((rows.len(), &rows[0]["phone_number"]), (1, &row["phone_number"]));
}

#[tokio::test]
async fn several_runs_at_once_do_what_one_does() {
    let app = app().await;
    let rows = bought(&app, 5).await;
    ordered_by_somebody_else(&app, &unsold(&app).await).await;
    vanish(&app, &rows[0]["phone_number"]).await;
    app.execute(&format!("delete from agency_phone_numbers where id <> '{}'", rows[0]["id"].as_str().unwrap())).await;
    for _ in 0..3 {
        join_all((0..4).map(|_| app.reconcile())).await;
    }
    assert_eq!(app.now(&rows[0]).await["status"], "inactive");
    let now = app.rows().await;
    assert_eq!((now.len(), app.findings().await.len()), (5, 1));
    for row in &now {
        let reconciled = app.history(row).await.iter().filter(|entry| entry["event"] == "reconciled").count();
        assert_eq!(reconciled, 1, "{row:#}");
    }
}

#[tokio::test]
async fn numbers_that_move_up_while_a_walk_has_stopped_are_missed_and_not_switched_off() {
    let app = app().await;
    let rows = bought(&app, 6).await;
    let listed = telnyx(&app, app.telnyx.api_key(), Method::GET, "/phone_numbers?sort=purchased_at&page[size]=2", None).await;
    let mut first: Vec<_> = listed["data"].as_array().unwrap().iter().map(|number| number["phone_number"].clone()).collect();
    for _ in 0..2 {
        second_page_fails(&app, 0).await;
        app.reconcile().await;
        // A number on the first page is removed, and one of the second page moves up.
        let row = rows.iter().find(|row| row["phone_number"] == first[0]).unwrap();
        app.release("owner", release_of(row)).await.expect(200);
        first.remove(0);
        app.reconcile().await;
        assert_eq!(app.missed().await.len(), 1);
    }
    assert_eq!(app.rows().await.iter().filter(|row| row["status"] == "active").count(), 4);
    assert!(app.findings().await.is_empty());
    app.reconcile().await;
    assert!(app.missed().await.is_empty());
    balance(&app).await;
}

/// Runs work while a page of the inventory is delayed. The page shows the account before the work.
async fn while_a_page_is_on_its_way(app: &TestApp, work: impl Future<Output = ()>) {
    // Boxed, as the future can be large.
    let work = Box::pin(work);
    let asked = pages(app, 1);
    app.fault(json!({"method": "GET", "path_prefix": NUMBERS, "kind": "delay", "delay_ms": 1_200})).await;
    let work = async {
        eventually(async || (pages(app, 1) > asked).then_some(())).await;
        work.await;
    };
    tokio::join!(app.reconcile(), work);
}

#[tokio::test]
async fn a_purchase_during_a_walk_is_not_missed_and_leaves_no_finding() {
    let app = TestApp::new().await;
    bought(&app, 1).await;
    let numbers = [unsold(&app).await];
    while_a_page_is_on_its_way(&app, async {
        app.purchase("owner", order_of(&numbers[0])).await.expect(200);
    })
    .await;
    assert_eq!((app.missed().await, app.findings().await), (Vec::<Value>::new(), Vec::new()));
    app.reconcile().await;
    assert!(app.rows().await.iter().all(|row| row["status"] == "active"));
    assert!(app.findings().await.is_empty());
    balance(&app).await;
}

#[tokio::test]
async fn a_release_during_a_walk_leaves_no_finding() {
    // Also if Telnyx is set to show changes at once.
    for missing_after in ["300", "0"] {
        let mut app = TestApp::new().await;
        app.set("PURCHASE_ORDER_MISSING_AFTER_MS", missing_after);
        let row = assigned(&app).await;
        while_a_page_is_on_its_way(&app, async {
            app.release("owner", release_of(&row)).await.expect(200);
        })
        .await;
        assert_eq!((app.now(&row).await["status"].clone(), app.findings().await), (json!("released"), Vec::new()));
        assert_eq!(app.rows().await.len(), 1);
        balance(&app).await;
    }
}

#[tokio::test]
async fn a_number_that_changes_hands_during_a_walk_leaves_no_finding() {
    let mut app = TestApp::new().await;
    app.set("PURCHASE_ORDER_MISSING_AFTER_MS", "0");
    let row = assigned(&app).await;
    let number = row["phone_number"].as_str().unwrap();
    while_a_page_is_on_its_way(&app, async {
        app.release("owner", release_of(&row)).await.expect(200);
        app.search("other_owner", "country_code=US&area_code=312&limit=100").await.expect(200);
        app.purchase("other_owner", order_of(number)).await.expect(200);
    })
    .await;
    let rows = app.rows().await;
    assert_eq!((rows.len(), &rows[0]["agency_id"], &rows[0]["status"]), (1, &json!(demo::OTHER.id), &json!("active")));
    assert!(app.findings().await.is_empty());
    app.reconcile().await;
    assert_eq!((app.rows().await, app.findings().await), (rows, Vec::new()));
    balance(&app).await;
}

#[tokio::test]
async fn a_purchase_that_comes_first_keeps_an_adoption_off() {
    let mut app = TestApp::new().await;
    let number = json!(unsold(&app).await);
    appear(&app, &number, &reference_of(&demo::DEMO)).await;
    let elsewhere = app.database.connect().await.unwrap();
    let insert = format!(
        "insert into agency_phone_numbers (agency_id, phone_number, status) values ('{}', {}, 'pending')",
        demo::OTHER.id,
        number.to_string().replace('"', "'"),
    );
    let proxy = app.with_fault_proxy().await;
    proxy.inject("reconcile.adopt.insert", Moment::Before, Fault::call(async move { elsewhere.batch_execute(&insert).await.unwrap() }));
    app.reconcile().await;
    let rows = app.rows().await;
    assert_eq!((proxy.injected(), rows.len(), &rows[0]["agency_id"]), (1, 1, &json!(demo::OTHER.id)));
    assert!(app.ledger().await.is_empty());
    // That purchase fails, as the number is taken.
    app.execute("delete from agency_phone_numbers").await;
    app.reconcile().await;
    assert_eq!(app.rows().await[0]["agency_id"], json!(demo::DEMO.id));
}

#[tokio::test]
async fn runs_beside_purchases_and_releases_of_two_agencies_find_nothing_to_do() {
    let mut app = app().await;
    app.set("RECONCILE_MAX_DEACTIVATED_PERCENT", "100");
    app.telnyx_settings(json!({"order_delay_ms": 30, "number_delay_ms": 10, "number_lag_ms": 40})).await;
    let numbers = app.offers("312", 8).await;
    app.search("other_owner", "country_code=US&area_code=312&limit=100").await.expect(200);
    let life = async |user: &'static str, numbers: &[String]| {
        for number in numbers {
            let bought = app.purchase(user, order_of(number)).await.expect(200).number().clone();
            app.release(user, release_of(&bought)).await.expect(200);
            app.purchase(user, order_of(number)).await.expect(200);
        }
    };
    let lives = async { tokio::join!(life("owner", &numbers[..4]), life("other_owner", &numbers[4..])) };
    let mut lives = std::pin::pin!(lives);
    loop {
        tokio::select! {
            biased;
            _ = &mut lives => break,
            () = app.reconcile() => {}
        }
    }
    for _ in 0..2 {
        app.reconcile().await;
    }
    assert!(app.findings().await.is_empty() && unfinished(&app.sql).await.unwrap().is_empty());
    assert_eq!(app.rows().await.iter().filter(|row| row["status"] == "active").count(), 8);
    let reconciled = "select count(*) from phone_number_history where event = 'reconciled'";
    assert_eq!(app.sql.query_one(reconciled, &[]).await.unwrap().get::<_, i64>(0), 0);
    balance(&app).await;
}

#[tokio::test]
async fn an_agency_that_gets_a_key_of_its_own_is_compared_with_both_accounts() {
    let (app, secrets_manager) = two_accounts().await;
    let first = assigned(&app).await;
    keep_own_key(&secrets_manager);
    let second = assigned(&app).await;
    for _ in 0..3 {
        app.reconcile().await;
    }
    let accounts: Vec<_> = app.walks().await.iter().map(|walk| walk["telnyx_account"].clone()).collect();
    assert_eq!(accounts, [json!(own_account()), json!("platform")]);
    assert!(app.missed().await.is_empty() && app.walks().await.iter().all(|walk| walk["finished_at"].is_string()));
    assert!(app.rows().await.iter().all(|row| row["status"] == "active") && app.findings().await.is_empty());

    // Each is missed in the account that had it, and in no other.
    telnyx(&app, OWN_KEY, Method::DELETE, &format!("/phone_numbers/{}", second["phone_number"].as_str().unwrap()), None).await;
    for _ in 0..2 {
        app.reconcile().await;
    }
    assert_eq!((&app.now(&first).await["status"], &app.now(&second).await["status"]), (&json!("active"), &json!("inactive")));
    app.release("owner", release_of(&second)).await.expect(200);

    // The same if the database has lost everything.
    app.execute("delete from agency_phone_numbers; delete from phone_number_purchases; delete from phone_number_inventory_walks").await;
    app.reconcile().await;
    assert_eq!(app.purchase_of(&first["phone_number"]).await["telnyx_account"], "platform");
    assert_eq!(app.rows().await.len(), 1);
}

#[tokio::test]
async fn an_account_that_the_ledger_does_not_name_is_compared_too() {
    let (app, secrets_manager) = two_accounts().await;
    keep_own_key(&secrets_manager);
    let row = assigned(&app).await;
    app.execute("delete from agency_phone_numbers; delete from phone_number_purchases").await;
    app.reconcile().await;
    let adopted = app.purchase_of(&row["phone_number"]).await;
    assert_eq!((&adopted["telnyx_account"], &adopted["origin"]), (&json!(own_account()), &json!("adopted")));
    balance(&app).await;
}

#[tokio::test]
async fn an_account_whose_key_cannot_be_read_keeps_no_other_from_being_compared() {
    let (app, secrets_manager) = two_accounts().await;
    let first = assigned(&app).await;
    keep_own_key(&secrets_manager);
    let second = assigned(&app).await;
    app.execute("delete from agency_phone_numbers").await;
    for kept in [SecretResponse::Error(400, "AccessDeniedException"), SecretResponse::Text("no key\nat all".to_owned())] {
        secrets_manager.set(&own_secret(), kept);
        app.reconcile().await;
        let rows = app.rows().await;
        assert_eq!((rows.len(), &rows[0]["phone_number"]), (1, &first["phone_number"]));
    }
    keep_own_key(&secrets_manager);
    app.reconcile().await;
    assert_eq!((app.rows().await.len(), app.purchase_of(&second["phone_number"]).await["origin"].clone()), (2, json!("adopted")));
    balance(&app).await;
}

#[tokio::test]
async fn an_account_whose_key_is_gone_is_left_to_a_person_as_long_as_it_has_numbers() {
    let (app, secrets_manager) = two_accounts().await;
    keep_own_key(&secrets_manager);
    let row = assigned(&app).await;
    app.reconcile().await;
    assert_eq!(app.findings().await, Vec::<Value>::new());

    secrets_manager.remove(&own_secret());
    for _ in 0..3 {
        app.reconcile().await;
    }
    let found = app.findings().await;
    assert_eq!(found.len(), 1);
    assert_eq!(
        (&found[0]["kind"], &found[0]["telnyx_account"], &found[0]["agency_phone_number_ids"]),
        (&json!("inventory_drift"), &json!(own_account()), &json!([row["id"]]))
    );
    let number = row["phone_number"].as_str().unwrap();
    assert!(found[0]["detail"].as_str().unwrap().contains(number), "{}", found[0]);
    assert_eq!(app.now(&row).await["status"], "active");

    keep_own_key(&secrets_manager);
    app.reconcile().await;
    assert_eq!(app.findings().await[0]["state"], "gone");
    app.release("owner", release_of(&row)).await.expect(200);
    secrets_manager.remove(&own_secret());
    app.reconcile().await;
    assert_eq!(app.findings().await.len(), 1);
}

#[tokio::test]
async fn a_whole_event_of_the_schedule_compares_too() {
    let app = TestApp::new().await;
    bought(&app, 1).await;
    app.execute("delete from agency_phone_numbers").await;
    assert!(app.reconciler().handle(event(&json!({"source": "aws.scheduler"}))).await.unwrap().is_none());
    assert_eq!(app.rows().await.len(), 1);
}

#[tokio::test]
async fn a_row_is_not_switched_on_by_a_page_from_before_its_number_was_gone() {
    let app = TestApp::new().await;
    let row = bought(&app, 1).await.remove(0);
    let switch_off = "\
select set_config('phone_numbers.event', 'reconciled', false);
update agency_phone_numbers set status = 'inactive';
select set_config('phone_numbers.event', '', false);";
    while_a_page_is_on_its_way(&app, async {
        vanish(&app, &row["phone_number"]).await;
        app.execute(switch_off).await;
    })
    .await;
    assert_eq!(app.now(&row).await["status"], "inactive");
}

#[tokio::test]
async fn the_release_of_a_row_from_before_the_ledger_leaves_no_finding_either() {
    let app = TestApp::new().await;
    let number = json!(unsold(&app).await);
    appear(&app, &number, FOREIGN_REFERENCE).await;
    let row = app.insert(json!({"phone_number": number})).await;
    app.reconcile().await;
    while_a_page_is_on_its_way(&app, async {
        app.release("owner", release_of(&row)).await.expect(200);
    })
    .await;
    assert_eq!((app.now(&row).await["status"].clone(), app.findings().await), (json!("released"), Vec::new()));
}

#[tokio::test]
async fn an_account_that_hangs_does_not_keep_the_others_waiting_for_ever() {
    let (mut app, secrets_manager) = two_accounts().await;
    keep_own_key(&secrets_manager);
    assigned(&app).await;
    secrets_manager.remove(&own_secret());
    let row = assigned(&app).await;
    keep_own_key(&secrets_manager);
    app.execute(&format!("delete from agency_phone_numbers where id = '{}'", row["id"].as_str().unwrap())).await;
    app.set("TELNYX_TIMEOUT_MS", "2500");
    app.set("REQUEST_BUDGET_MS", "5000");
    // The first one takes all the time.
    for _ in 0..5 {
        if app.walks().await.len() == 2 {
            break;
        }
        app.fault(json!({"method": "GET", "path_prefix": NUMBERS, "kind": "delay", "delay_ms": 30_000})).await;
        app.reconcile().await;
        clear_faults(&app).await;
    }
    assert_eq!(app.walks().await.len(), 2, "each had its turn");
}

#[tokio::test]
async fn a_number_that_has_moved_to_another_account_is_known_there_from_then_on() {
    let (app, secrets_manager) = two_accounts().await;
    let row = assigned(&app).await;
    let reference = app.purchase_of(&row["phone_number"]).await["telnyx_reference"].clone();
    app.execute("delete from agency_phone_numbers").await;
    app.telnyx_settings(json!({"hold_ms": 0})).await;
    vanish(&app, &row["phone_number"]).await;
    keep_own_key(&secrets_manager);
    let key = OWN_KEY;
    telnyx(&app, key, Method::GET, "/available_phone_numbers?filter[national_destination_code]=312", None).await;
    let body = json!({"phone_numbers": [{"phone_number": row["phone_number"]}], "customer_reference": reference});
    telnyx(&app, key, Method::POST, "/number_orders", Some(body)).await;
    app.reconcile().await;
    app.reconcile().await;
    assert_eq!(app.purchase_of(&row["phone_number"]).await["telnyx_account"], json!(own_account()));
    app.release("owner", release_of(&app.rows().await[0])).await.expect(200);
    assert!(app.billed().await.is_empty());
}
