//! The numbers of an account at Telnyx, compared with the rows: which get a row, and which become findings.

use dev::demo;
use dev::invariants::FOREIGN_REFERENCE;
use lambda_http::http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::money::purchase_crashes;
use crate::money::release_failures;
use crate::support::actions::{assigned, balance, clear_faults, decide, order_of, order_of_all, release_of, telnyx, unsold};
use crate::support::app::{TestApp, agent, eventually};

const NUMBERS: &str = "/v2/phone_numbers";

/// Numbers that the demo agency has just bought: their rows.
pub(crate) async fn bought(app: &TestApp, count: usize) -> Vec<Value> {
    let numbers = app.offers("312", count).await;
    let mut rows = Vec::new();
    for numbers in numbers.chunks(10) {
        let bought = app.purchase("owner", order_of_all(numbers)).await.expect(200);
        rows.extend(bought.body["phone_numbers"].as_array().unwrap().iter().cloned());
    }
    for row in &mut rows {
        *row = app.now(row).await;
    }
    rows
}

/// Deletes a number at Telnyx, not through the product.
pub(crate) async fn vanish(app: &TestApp, number: &Value) {
    let path = format!("/phone_numbers/{}", number.as_str().unwrap());
    telnyx(app, app.telnyx.api_key(), Method::DELETE, &path, None).await;
}

/// Orders a number in the account, not through the product, with a reference.
pub(crate) async fn appear(app: &TestApp, number: &Value, reference: &str) {
    let body = json!({"phone_numbers": [{"phone_number": number}], "customer_reference": reference});
    telnyx(app, app.telnyx.api_key(), Method::POST, "/number_orders", Some(body)).await;
    // By now its order is done.
    let path = format!("/phone_numbers/{}", number.as_str().unwrap());
    assert_eq!(telnyx(app, app.telnyx.api_key(), Method::GET, &path, None).await["data"]["status"], "active");
}

/// A missing number is in the account again, unchanged.
pub(crate) async fn come_back(app: &TestApp, number: &Value) {
    appear(app, number, FOREIGN_REFERENCE).await;
    let path = format!("/phone_numbers/{}", number.as_str().unwrap());
    let reference = app.purchase_of(number).await["telnyx_reference"].clone();
    telnyx(app, app.telnyx.api_key(), Method::PATCH, &path, Some(json!({ "customer_reference": reference }))).await;
}

/// A reference that a purchase of the agency would have.
pub(crate) fn reference_of(agency: &demo::Agency) -> String {
    format!("pn:{}:{}:{}", dev::migrations::DEPLOYMENT, agency.id, Uuid::new_v4())
}

/// The kinds and states of the findings, and the numbers they are about.
pub(crate) async fn found(app: &TestApp) -> Vec<[Value; 3]> {
    app.findings().await.iter().map(|finding| ["kind", "phone_number", "state"].map(|name| finding[name].clone())).collect()
}

/// Asserts that Telnyx was only read.
pub(crate) fn nothing_was_touched(app: &TestApp, since: usize) {
    let mut exchanges = app.telnyx.exchanges();
    let touching: Vec<_> = exchanges.split_off(since).into_iter().filter(|exchange| exchange.method != "GET").collect();
    assert!(touching.is_empty(), "{touching:#?}");
}

/// Deletes rows, as if a backup had been restored.
const ROW: &str = "delete from agency_phone_numbers;";
const ROW_AND_LEDGER: &str = "delete from agency_phone_numbers; delete from phone_number_purchases;";

#[tokio::test]
async fn a_number_with_our_reference_and_no_row_gets_the_row_back() {
    for forget in [ROW, ROW_AND_LEDGER] {
        let app = TestApp::new().await;
        let before = bought(&app, 1).await.remove(0);
        let purchase = app.purchase_of(&before["phone_number"]).await;
        app.execute(forget).await;
        let asked = app.telnyx.exchanges().len();
        app.reconcile().await;
        nothing_was_touched(&app, asked);
        let rows = app.rows().await;
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
        let adopted = app.purchase_of(&row["phone_number"]).await;
        assert_eq!((&adopted["phase"], &adopted["origin"]), (&json!("completed"), &json!("adopted")));
        for name in ["id", "agency_id", "telnyx_account", "telnyx_reference", "telnyx_order_id", "telnyx_phone_number_id"] {
            assert_eq!(adopted[name], purchase[name], "{name}");
        }
        assert_eq!(adopted["agency_phone_number_id"], row["id"]);
        let history = app.history(row).await;
        assert_eq!((history.len(), &history[0]["event"], &history[0]["actor"]), (1, &json!("reconciled"), &json!("reconcile")));
        assert_eq!(history[0]["changes"]["status"]["to"], "active");
        balance(&app).await;

        // It is a number like any other.
        app.reconcile().await;
        assert_eq!((app.rows().await, app.findings().await), (rows.clone(), Vec::new()));
        let again = app.purchase("owner", order_of(row["phone_number"].as_str().unwrap())).await.expect(200);
        assert_eq!((again.header("idempotent-replayed"), &again.number()["id"]), ("true", &row["id"]));
        let item = json!({"phone_number_id": row["id"], "agent_mapping_id": agent(&demo::DEMO, 0)});
        app.assign("owner", Method::POST, "", Some(item)).await.expect(200);
        app.release("owner", release_of(row)).await.expect(200);
        app.reconcile().await;
        assert_eq!((app.billed().await, app.findings().await), (Vec::<String>::new(), Vec::new()));
        balance(&app).await;
    }
}

#[tokio::test]
async fn a_row_that_the_database_refuses_does_not_delay_the_others() {
    let app = TestApp::new().await;
    let rows = bought(&app, 3).await;
    app.execute(ROW_AND_LEDGER).await;
    // A row that the database refuses, for any reason.
    let odd = rows[1]["phone_number"].as_str().unwrap();
    app.execute(&format!("alter table agency_phone_numbers add constraint odd check (phone_number <> '{odd}')")).await;
    // A row that predates the ledger and must not be changed.
    let refuse = "\
create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
create trigger refuse before update on agency_phone_numbers for each row execute function refuse();";
    app.insert(json!({"status": "pending", "created_at": "2025-12-24T12:00:00Z"})).await;
    app.execute(refuse).await;
    for _ in 0..2 {
        app.reconcile().await;
        let adopted: Vec<_> =
            app.rows().await.iter().filter(|row| row["status"] == "active").map(|row| row["phone_number"].clone()).collect();
        assert!(adopted.len() == 2 && !adopted.contains(&rows[1]["phone_number"]), "{adopted:?}");
        assert!(app.walks().await[0]["finished_at"].is_string(), "the rest of the account is compared");
    }
    app.execute("alter table agency_phone_numbers drop constraint odd; drop trigger refuse on agency_phone_numbers").await;
    app.reconcile().await;
    assert_eq!(app.rows().await.iter().filter(|row| row["status"] == "active").count(), 3);
    balance(&app).await;
}

#[tokio::test]
async fn each_number_goes_to_the_agency_that_it_was_bought_for() {
    let app = TestApp::new().await;
    let numbers = app.offers("312", 4).await;
    for (index, number) in numbers.iter().enumerate() {
        app.purchase(["owner", "other_owner"][index % 2], order_of(number)).await.expect(200);
    }
    let owners = async || {
        let mut owners: Vec<_> = app.rows().await.iter().map(|row| (row["phone_number"].clone(), row["agency_id"].clone())).collect();
        owners.sort_by_key(|(number, _)| number.to_string());
        owners
    };
    let before = owners().await;
    app.execute(ROW_AND_LEDGER).await;
    app.reconcile().await;
    assert_eq!(owners().await, before);
    balance(&app).await;
}

#[tokio::test]
async fn a_number_whose_order_is_not_decided_waits_for_it() {
    let app = TestApp::new().await;
    let number = json!(unsold(&app).await);
    app.telnyx_settings(json!({"order_outcome": "never"})).await;
    let body = json!({"phone_numbers": [{"phone_number": number}], "customer_reference": reference_of(&demo::DEMO)});
    telnyx(&app, app.telnyx.api_key(), Method::POST, "/number_orders", Some(body)).await;
    for _ in 0..2 {
        app.reconcile().await;
        assert_eq!((app.rows().await.len(), app.findings().await.len()), (0, 0));
    }
    decide(&app, "success").await;
    app.reconcile().await;
    assert_eq!(app.rows().await[0]["status"], "active");
    balance(&app).await;
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
        let mut app = TestApp::new().await;
        app.set("LEASE_MS", "150");
        let number = unsold(&app).await;
        app.telnyx_settings(json!({"order_outcome": "never"})).await;
        purchase_crashes::dies(&app, &number, async || app.ledger().await.iter().any(|purchase| purchase["phase"] == "ordered")).await;
        app.execute(give_up).await;
        app.reconcile().await;
        assert_eq!((app.findings().await, app.ledger().await[0]["origin"].clone()), (Vec::new(), json!("requested")));
        decide(&app, "success").await;
        app.reconcile().await;
        let rows = app.rows().await;
        assert_eq!((rows.len(), &rows[0]["status"]), (1, &json!("active")));
        let purchase = app.purchase_of(&json!(number)).await;
        assert_eq!(
            (&purchase["phase"], &purchase["origin"], &purchase["failure_code"]),
            (&json!("completed"), &json!("adopted"), &json!(null))
        );
        balance(&app).await;
    }
}

#[tokio::test]
async fn a_released_row_makes_room_and_its_agency_goes_on_seeing_it() {
    let app = TestApp::new().await;
    let first = assigned(&app).await;
    app.release("owner", release_of(&first)).await.expect(200);
    let first = app.now(&first).await;
    // Bought by another agency, in a life without a row.
    appear(&app, &first["phone_number"], &reference_of(&demo::OTHER)).await;
    app.reconcile().await;
    let rows = app.rows().await;
    assert_eq!((rows.len(), &rows[0]["agency_id"], &rows[0]["status"]), (1, &json!(demo::OTHER.id), &json!("active")));
    let ours = app.list("owner", "include_released=true").await.expect(200);
    assert_eq!((&ours.number()["id"], &ours.number()["status"]), (&first["id"], &json!("released")));
    assert_eq!(app.list("other_owner", "include_released=true").await.expect(200).number()["id"], rows[0]["id"]);
    balance(&app).await;
}

#[tokio::test]
async fn a_number_of_an_agency_that_is_gone_is_left_to_a_person() {
    let app = TestApp::new().await;
    let row = bought(&app, 1).await.remove(0);
    app.execute(&format!("delete from agencies where id = '{}'", demo::DEMO.id)).await;
    assert!(app.rows().await.is_empty());
    let asked = app.telnyx.exchanges().len();
    for _ in 0..3 {
        app.reconcile().await;
    }
    nothing_was_touched(&app, asked);
    assert_eq!(found(&app).await, [[json!("agency_gone"), row["phone_number"].clone(), json!("open")]]);
    let finding = &app.findings().await[0];
    assert_eq!((&finding["telnyx_phone_number_id"], &finding["agency_id"]), (&row["phone_number_id"], &json!(null)));
    assert_eq!(app.billed().await.len(), 1);
    vanish(&app, &row["phone_number"]).await;
    app.reconcile().await;
    assert_eq!(found(&app).await, [[json!("agency_gone"), row["phone_number"].clone(), json!("open")]], "one walk is none");
    app.reconcile().await;
    assert_eq!(found(&app).await, [[json!("agency_gone"), row["phone_number"].clone(), json!("gone")]]);
}

#[tokio::test]
async fn a_number_on_its_way_back_when_its_agency_goes_is_given_back_and_no_finding() {
    let mut app = TestApp::new().await;
    app.set("LEASE_MS", "150");
    let row = bought(&app, 1).await.remove(0);
    app.fault(json!({"method": "DELETE", "path_prefix": NUMBERS, "kind": "status", "status": 500, "times": 1_000})).await;
    release_failures::dies(&app, &row, async || app.asked("DELETE", NUMBERS) > 0).await;
    app.execute(&format!("delete from agencies where id = '{}'", demo::DEMO.id)).await;
    app.reconcile().await;
    assert_eq!((app.billed().await.len(), app.findings().await), (1, Vec::new()));
    clear_faults(&app).await;
    eventually(async || {
        app.reconcile().await;
        app.billed().await.is_empty().then_some(())
    })
    .await;
    app.reconcile().await;
    assert!(app.findings().await.is_empty());
}

#[tokio::test]
async fn a_row_that_knows_its_number_by_another_id_is_corrected() {
    let app = TestApp::new().await;
    let row = bought(&app, 1).await.remove(0);
    app.execute("update agency_phone_numbers set phone_number_id = '7'").await;
    app.reconcile().await;
    let corrected = app.now(&row).await;
    assert_eq!((&corrected["phone_number_id"], &corrected["status"]), (&row["phone_number_id"], &json!("active")));
    let last = app.history(&row).await.pop().unwrap();
    assert_eq!((&last["event"], &last["actor"]), (&json!("reconciled"), &json!("reconcile")));
    assert_eq!(last["changes"], json!({"phone_number_id": {"from": "7", "to": row["phone_number_id"]}}));
    balance(&app).await;
}

#[tokio::test]
async fn a_number_of_ours_in_the_row_of_another_is_left_to_a_person() {
    let app = TestApp::new().await;
    let row = bought(&app, 1).await.remove(0);
    // Restored from a backup before the number was released and sold to the other agency.
    vanish(&app, &row["phone_number"]).await;
    appear(&app, &row["phone_number"], &reference_of(&demo::OTHER)).await;
    let asked = app.telnyx.exchanges().len();
    app.reconcile().await;
    nothing_was_touched(&app, asked);
    assert_eq!(found(&app).await, [[json!("held_by_another"), row["phone_number"].clone(), json!("open")]]);
    let finding = app.findings().await.remove(0);
    assert_eq!((&finding["agency_id"], &finding["agency_phone_number_ids"]), (&json!(demo::OTHER.id), &json!([row["id"]])));
    assert_eq!(app.now(&row).await, row);
}

#[tokio::test]
async fn a_number_that_was_given_back_and_is_billed_is_left_to_a_person_once_telnyx_had_its_time() {
    let mut app = TestApp::new().await;
    app.set("PURCHASE_ORDER_MISSING_AFTER_MS", "60000");
    let row = bought(&app, 1).await.remove(0);
    app.telnyx_settings(json!({"delete_lag_reads": 1_000})).await;
    app.fault(json!({"method": "DELETE", "path_prefix": NUMBERS, "kind": "status", "status": 404})).await;
    app.fault(json!({"method": "GET", "path_prefix": NUMBERS, "kind": "empty"})).await;
    app.release("owner", release_of(&row)).await.expect(200);
    app.reconcile().await;
    assert!(app.findings().await.is_empty(), "it takes a while to be gone everywhere");
    app.execute("update phone_number_releases set completed_at = completed_at - interval '1 day'").await;
    app.reconcile().await;
    assert_eq!(found(&app).await, [[json!("released_but_billed"), row["phone_number"].clone(), json!("open")]]);
    assert_eq!(app.findings().await[0]["agency_id"], json!(demo::DEMO.id));
    assert_eq!(app.now(&row).await["status"], "released");
}
