//! Releasing numbers: the answers, and what is written before Telnyx is called.

use std::sync::Arc;

use dev::demo;
use dev::fault_proxy::{Fault, FaultProxy, Moment};
use futures_util::future::join_all;
use lambda_http::http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::actions::{
    assigned, balance, decide, order_of, order_of_all, ordered_by_somebody_else, orders_sent, release_of, telnyx, unsold,
};
use crate::support::app::{TestApp, agent, eventually};

const INVENTORY: &str = "/v2/phone_numbers";

/// A number whose order is pending: its row.
async fn pending(app: &mut TestApp) -> Value {
    app.telnyx_settings(json!({"order_outcome": "never"})).await;
    let number = app.offer().await;
    app.pending_purchase(order_of(&number)).await.number().clone()
}

/// The releases in the ledger, oldest first.
async fn releases(app: &TestApp) -> Vec<Value> {
    let sql = "select to_json(r)::text as row from phone_number_releases r order by r.created_at, r.id";
    app.sql.query(sql, &[]).await.unwrap().iter().map(|row| serde_json::from_str(row.get("row")).unwrap()).collect()
}

#[tokio::test]
async fn a_released_number_is_gone_from_telnyx_and_from_its_agent() {
    let app = TestApp::new().await;
    let row = assigned(&app).await;
    let reply = app.release("owner", release_of(&row)).await.expect(200);
    assert_eq!(reply.body["success"], true);
    assert_eq!(reply.body["released"], json!([{"id": row["id"], "phone_number": row["phone_number"]}]));
    assert_eq!(reply.body["failed"], json!([]));
    assert_eq!(reply.body["summary"], json!({"total_requested": 1, "released_count": 1, "failed_count": 0}));
    assert!(reply.body["message"].is_string());
    let released = &app.rows().await[0];
    assert_eq!((&released["status"], &released["is_active"]), (&json!("released"), &json!(false)));
    assert!(released["agent_mapping_id"].is_null() && released["released_at"].is_string());
    let noted = &releases(&app).await[0];
    assert_eq!((&noted["phase"], &noted["telnyx_account"]), (&json!("completed"), &json!("platform")));
    assert!(app.billed().await.is_empty());

    let deletes = app.asked("DELETE", INVENTORY);
    let again = app.release("owner", release_of(&row)).await.expect(200);
    let note = json!([{"id": row["id"], "phone_number": row["phone_number"], "note": "Already released"}]);
    assert_eq!(again.body["released"], note);
    assert_eq!(app.asked("DELETE", INVENTORY), deletes, "Telnyx is not asked again");
    balance(&app).await;
}

#[tokio::test]
async fn what_is_not_the_agencys_fails_alone_and_in_the_same_words() {
    let app = TestApp::new().await;
    let numbers = app.offers("312", 2).await;
    let ours = app.purchase("owner", order_of(&numbers[0])).await.expect(200).number().clone();
    let theirs = app.purchase("other_owner", order_of(&numbers[1])).await.expect(200).number().clone();
    let nobodys = Uuid::new_v4();
    let body = json!({"phone_number_ids": [theirs["id"], ours["id"], nobodys], "confirm": true});
    let reply = app.release("owner", body).await.expect(207);
    assert_eq!(reply.body["success"], false);
    assert_eq!(reply.body["summary"], json!({"total_requested": 3, "released_count": 1, "failed_count": 2}));
    assert_eq!(reply.body["released"][0]["id"], ours["id"]);
    let failed = &reply.body["failed"];
    assert_eq!((&failed[0]["id"], &failed[1]["id"]), (&theirs["id"], &json!(nobodys)));
    for failure in failed.as_array().unwrap() {
        assert_eq!((&failure["problem"]["code"], &failure["problem"]["status"]), (&json!("not_found"), &json!(404)));
        assert_eq!(failure["phone_number"], json!(null));
        assert_eq!(failure["error"], failure["problem"]["detail"]);
    }
    assert_eq!(failed[0]["problem"], failed[1]["problem"]);
    assert_eq!(app.billed().await, [numbers[1].clone()]);
    balance(&app).await;

    let body = json!({"phone_number_ids": [theirs["id"], nobodys], "confirm": true});
    let all_failed = app.release("owner", body).await.expect(207);
    assert_eq!(all_failed.body["summary"], json!({"total_requested": 2, "released_count": 0, "failed_count": 2}));
}

#[tokio::test]
async fn an_id_twice_and_a_release_that_is_not_confirmed_are_refused() {
    let app = TestApp::new().await;
    let row = assigned(&app).await;
    let twice = app.release("owner", json!({"phone_number_ids": [row["id"], row["id"]], "confirm": true})).await;
    assert_eq!(twice.expect_problem(400, "invalid_request").fields(), ["phone_number_ids[1]"]);
    for body in [json!({"phone_number_ids": [row["id"]]}), json!({"phone_number_ids": [row["id"]], "confirm": false})] {
        app.release("owner", body).await.expect_problem(400, "confirmation_required");
    }
    assert_eq!(app.rows().await[0]["status"], "active");
    assert_eq!(app.asked("DELETE", INVENTORY), 0);
}

#[tokio::test]
async fn the_number_is_taken_from_its_agent_before_telnyx_is_called_and_takes_no_more_changes() {
    let app = TestApp::new().await;
    let row = assigned(&app).await;
    app.fault(json!({"method": "DELETE", "path_prefix": INVENTORY, "kind": "delay", "delay_ms": 1_000})).await;
    let meanwhile = async {
        eventually(async || (app.asked("DELETE", INVENTORY) > 0).then_some(())).await;
        let marked = &app.rows().await[0];
        assert_eq!((&marked["status"], &marked["is_active"]), (&json!("inactive"), &json!(false)));
        assert!(marked["agent_mapping_id"].is_null());
        let noted = &releases(&app).await[0];
        assert_eq!((&noted["phase"], &noted["previous_status"]), (&json!("requested"), &json!("active")));
        assert_eq!(noted["previous_agent_mapping_id"], row["agent_mapping_id"]);
        let sql = "select count(*) from pg_stat_activity where datname = current_database()
                   and application_name = 'phone-numbers' and (xact_start is not null or state <> 'idle')";
        assert_eq!(app.sql.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 0, "no transaction waits for Telnyx");
        let id = &row["id"];
        let writes = [
            (Method::POST, json!({"phone_number_id": id, "agent_mapping_id": agent(&demo::DEMO, 1)})),
            (Method::PATCH, json!({"phone_number_id": id, "status": "active"})),
            (Method::PATCH, json!({"phone_number_id": id, "friendly_name": "Still here"})),
            (Method::DELETE, json!({"phone_number_id": id})),
        ];
        for (method, body) in writes {
            app.assign("owner", method, "", Some(body)).await.expect_problem(409, "phone_number_released");
        }
    };
    let (reply, ()) = tokio::join!(app.release("owner", release_of(&row)), meanwhile);
    reply.expect(200);
    balance(&app).await;
}

#[tokio::test]
async fn eight_releases_of_one_number_are_one_release() {
    let app = TestApp::new().await;
    for kind in ["delay", "drop_after", "drop_before"] {
        let row = assigned(&app).await;
        app.fault(json!({"method": "DELETE", "path_prefix": INVENTORY, "kind": kind, "delay_ms": 200})).await;
        let replies = join_all((0..8).map(|_| app.release("owner", release_of(&row)))).await;
        for reply in replies {
            assert_eq!(reply.expect(200).body["released"][0]["id"], row["id"]);
        }
        assert_eq!(releases(&app).await.iter().filter(|noted| noted["agency_phone_number_id"] == row["id"]).count(), 1);
    }
    assert!(app.billed().await.is_empty());
    balance(&app).await;
}

/// `releases.begin.insert` locks the row, then looks for a release. The statement that ends a release has to lock in the same order.
#[tokio::test]
async fn a_release_that_ends_while_another_request_begins_it_does_not_deadlock() {
    const WAITING: &str = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    let mut app = TestApp::new().await;
    let other = Arc::new(app.database.connect().await.unwrap());
    let proxy = FaultProxy::new();
    let url = proxy.http(&app.telnyx.url()).await.unwrap();
    app.set("TELNYX_API_URL", &url);
    for (refusal, status) in [(None, 200), (Some(403), 207)] {
        let row = assigned(&app).await;
        let id = row["id"].as_str().unwrap();
        if let Some(refusal) = refusal {
            app.fault(json!({"method": "DELETE", "path_prefix": INVENTORY, "kind": "status", "status": refusal})).await;
        }
        let begin = format!("begin; select from agency_phone_numbers where id = '{id}' for update");
        let client = Arc::clone(&other);
        let work = Fault::call(async move { client.batch_execute(&begin).await.unwrap() });
        proxy.inject("DELETE /v2/phone_numbers/{id}", Moment::Before, work);
        let begins = async {
            eventually(async || app.sql.query_opt(WAITING, &[]).await.unwrap()).await;
            let insert = format!(
                "insert into phone_number_releases
                   (id, agency_id, agency_phone_number_id, phone_number, telnyx_account, caller_id, previous_status, deployment)
                 select gen_random_uuid(), agency_id, agency_phone_number_id, phone_number, telnyx_account, caller_id, previous_status,
                        deployment
                 from phone_number_releases
                 where agency_phone_number_id = '{id}'
                 on conflict (agency_phone_number_id) where phase = 'requested' do nothing"
            );
            other.batch_execute(&format!("{insert}; commit")).await.unwrap();
        };
        let (reply, ()) = tokio::join!(app.release("owner", release_of(&row)), begins);
        reply.expect(status);
    }
    balance(&app).await;
}

#[tokio::test]
async fn fifty_numbers_go_in_one_request() {
    let app = TestApp::new().await;
    let numbers = app.offers("312", 20).await;
    let mut ids = Vec::new();
    for ten in numbers.chunks(10) {
        let bought = app.purchase("owner", order_of_all(ten)).await.expect(200);
        ids.extend(bought.body["phone_numbers"].as_array().unwrap().iter().map(|row| row["id"].clone()));
    }
    ids.extend((0..30).map(|_| json!(Uuid::new_v4())));
    let reply = app.release("owner", json!({"phone_number_ids": ids, "confirm": true})).await.expect(207);
    assert_eq!(reply.body["summary"], json!({"total_requested": 50, "released_count": 20, "failed_count": 30}));
    assert!(app.billed().await.is_empty());
    balance(&app).await;
}

#[tokio::test]
async fn assigning_a_number_while_it_is_released_leaves_no_agent_on_it() {
    let app = TestApp::new().await;
    for _ in 0..4 {
        let row = assigned(&app).await;
        let to_another = json!({"phone_number_id": row["id"], "agent_mapping_id": agent(&demo::DEMO, 1)});
        let assigning = join_all((0..6).map(|_| app.assign("owner", Method::POST, "", Some(to_another.clone()))));
        let (released, assigned) = tokio::join!(app.release("owner", release_of(&row)), assigning);
        released.expect(200);
        for reply in assigned {
            assert!(reply.status == 200 || reply.code() == "phone_number_released", "{reply:#?}");
        }
        let row = app.rows().await.into_iter().find(|after| after["id"] == row["id"]).unwrap();
        assert_eq!((&row["status"], &row["agent_mapping_id"]), (&json!("released"), &json!(null)));
    }
    balance(&app).await;
}

#[tokio::test]
async fn a_purchase_that_never_ordered_is_cancelled_without_telnyx() {
    let mut app = TestApp::new().await;
    let number = app.offer().await;
    // Too little time is left for an order when the search is answered.
    app.set("TELNYX_TIMEOUT_MS", "4000");
    app.fault(json!({"method": "GET", "path_prefix": "/v2/available_phone_numbers", "kind": "delay", "delay_ms": 2_200})).await;
    let searches = app.asked("GET", "/v2/available_phone_numbers");
    let row = app.pending_purchase(order_of(&number)).await.number().clone();
    assert_eq!(app.asked("GET", "/v2/available_phone_numbers") - searches, 1, "what there is no time for is not begun");
    assert_eq!((orders_sent(&app), &app.ledger().await[0]["phase"]), (0, &json!("intended")));
    app.release("owner", release_of(&row)).await.expect(200);
    assert_eq!(app.rows().await[0]["status"], "released");
    assert_eq!(app.ledger().await[0]["phase"], "cancelled");
    assert_eq!(orders_sent(&app), 0);
    balance(&app).await;
}

#[tokio::test]
async fn a_pending_order_is_cancelled_at_telnyx() {
    let mut app = TestApp::new().await;
    let row = pending(&mut app).await;
    let reply = app.release("owner", release_of(&row)).await.expect(200);
    assert_eq!(reply.body["released"][0]["id"], row["id"]);
    let after = &app.rows().await[0];
    assert_eq!((&after["status"], &after["is_active"]), (&json!("released"), &json!(false)));
    assert!(after["released_at"].is_string() && after["agent_mapping_id"].is_null());
    assert_eq!(app.telnyx_state().await["orders"][0]["status"], "failure");
    assert!(app.billed().await.is_empty());
    balance(&app).await;
}

#[tokio::test]
async fn a_cancellation_that_is_lost_on_its_way_is_found_out() {
    let lost = async |(kind, status): (&str, u16)| {
        let mut app = TestApp::new().await;
        let row = pending(&mut app).await;
        app.fault(json!({"method": "PATCH", "path_prefix": "/v2/sub_number_orders", "kind": kind})).await;
        let reply = app.release("owner", release_of(&row)).await.expect(status);
        if status == 207 {
            assert_eq!(reply.body["failed"][0]["problem"]["code"], "purchase_in_progress");
            assert_eq!(app.rows().await[0]["status"], "pending");
            app.release("owner", release_of(&row)).await.expect(200);
        }
        assert_eq!(app.rows().await[0]["status"], "released", "{kind}");
        assert!(app.billed().await.is_empty());
        balance(&app).await;
    };
    join_all([("drop_after", 200), ("malformed", 200), ("drop_before", 207)].map(lost)).await;
}

#[tokio::test]
async fn an_order_that_has_succeeded_or_is_unknown_cannot_be_cancelled() {
    let mut app = TestApp::new().await;
    let row = pending(&mut app).await;
    decide(&app, "success").await;
    let in_progress = async |row: &Value| {
        let reply = app.release("owner", release_of(row)).await.expect(207);
        let failed = &reply.body["failed"][0];
        assert_eq!((&failed["problem"]["code"], &failed["problem"]["status"]), (&json!("purchase_in_progress"), &json!(409)));
        assert_eq!(failed["phone_number"], row["phone_number"]);
        balance(&app).await;
    };
    in_progress(&row).await;
    app.purchase("owner", order_of(row["phone_number"].as_str().unwrap())).await.expect(200);
    app.release("owner", release_of(&row)).await.expect(200);

    let number = unsold(&app).await;
    app.fault(json!({"method": "POST", "path_prefix": "/v2/number_orders", "kind": "drop_after"})).await;
    app.telnyx_settings(json!({"reference_lag_ms": 600_000, "number_lag_ms": 600_000})).await;
    app.fault(json!({"method": "GET", "path_prefix": "/v2/number_orders", "kind": "status", "status": 500, "times": 1_000})).await;
    let row = app.purchase("owner", order_of(&number)).await.expect(202).number().clone();
    crate::support::actions::clear_faults(&app).await;
    in_progress(&row).await;
    assert_eq!(app.billed().await, [number], "an order that is not found may exist");
}

#[tokio::test]
async fn an_order_that_never_arrived_can_be_given_up_once_it_has_been_missing_for_long() {
    let mut app = TestApp::new().await;
    // So long that it passes only where this test says so.
    app.set("PURCHASE_ORDER_MISSING_AFTER_MS", "600000");
    let number = app.offer().await;
    app.fault(json!({"method": "POST", "path_prefix": "/v2/number_orders", "kind": "drop_before"})).await;
    app.fault(json!({"method": "GET", "path_prefix": "/v2/number_orders", "kind": "status", "status": 500, "times": 1_000})).await;
    let row = app.pending_purchase(order_of(&number)).await.number().clone();
    crate::support::actions::clear_faults(&app).await;
    let first = app.release("owner", release_of(&row)).await.expect(207);
    assert_eq!(first.body["failed"][0]["problem"]["code"], "purchase_in_progress", "one look-up proves nothing");
    app.release("owner", release_of(&row)).await.expect(207);
    app.execute("update phone_number_purchases set order_missed_at = order_missed_at - interval '1 day'").await;
    // Other requests make no look-ups in between, however many there are.
    eventually(async || (app.release("owner", release_of(&row)).await.status == 200).then_some(())).await;
    assert_eq!((&app.rows().await[0]["status"], orders_sent(&app)), (&json!("released"), 1));
    balance(&app).await;
}

#[tokio::test]
async fn a_row_from_before_the_ledger_is_found_by_its_very_number() {
    let app = TestApp::new().await;
    let number = app.offer().await;
    ordered_by_somebody_else(&app, &number).await;
    // A number that contains ours must not be taken for ours: Telnyx's filter matches both.
    let sql = "insert into agency_phone_numbers (agency_id, phone_number, status) values ($1, $2, 'active') returning id";
    let part = &number[..number.len() - 1];
    let mut ids = Vec::new();
    for number in [part, &number] {
        ids.push(app.sql.query_one(sql, &[&demo::DEMO.id, &number]).await.unwrap().get::<_, Uuid>(0));
    }
    let unproven = app.release("owner", json!({"phone_number_ids": [ids[0]], "confirm": true})).await.expect(207);
    assert_eq!(unproven.body["failed"][0]["problem"]["code"], "unavailable", "nothing shows yet that the key is the account's");
    let witness = assigned(&app).await;
    app.release("owner", json!({"phone_number_ids": [ids[0]], "confirm": true})).await.expect(200);
    let known = witness["phone_number"].as_str().unwrap().to_owned();
    assert_eq!(app.billed().await, [number, known.clone()], "only a part of this number was released");
    app.release("owner", json!({"phone_number_ids": [ids[1]], "confirm": true})).await.expect(200);
    assert_eq!(app.billed().await, [known]);
}

#[tokio::test]
async fn a_number_that_was_bought_anew_by_somebody_else_is_not_deleted() {
    let app = TestApp::new().await;
    let row = assigned(&app).await;
    let number = row["phone_number"].as_str().unwrap();
    let path = format!("/phone_numbers/{}", row["phone_number_id"].as_str().unwrap());
    telnyx(&app, app.telnyx.api_key(), Method::DELETE, &path, None).await;
    ordered_by_somebody_else(&app, number).await;
    app.release("owner", release_of(&row)).await;
    assert_eq!(app.billed().await, [number.to_owned()], "it is not ours any more");
    assert_eq!(app.asked("DELETE", INVENTORY), 2, "the one before and the one by our own id");
}
