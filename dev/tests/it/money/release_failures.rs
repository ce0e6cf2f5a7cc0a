//! Failures of Telnyx, the database or a process during a release.

use dev::demo;
use dev::fault_proxy::{Fault, Moment};
use lambda_http::http::Method;
use phone_numbers_release::Release;
use serde_json::{Value, json};

use crate::reconcile::reconcile_inventory::{appear, reference_of};
use crate::support::actions::{assigned, balance, clear_faults, release_of, telnyx, unsold};
use crate::support::app::{TestApp, eventually, send};

const INVENTORY: &str = "/v2/phone_numbers";

/// The current row.
async fn now(app: &TestApp, row: &Value) -> Value {
    app.rows().await.into_iter().find(|now| now["id"] == row["id"]).unwrap()
}

/// Releases and asserts success.
async fn released(app: &TestApp, row: &Value) {
    app.release("owner", release_of(row)).await.expect(200);
    assert_eq!(now(app, row).await["status"], "released");
    assert!(!app.billed().await.contains(&row["phone_number"].as_str().unwrap().to_owned()));
    balance(app).await;
}

/// Releases and asserts failure: the problem of the number.
async fn not_released(app: &TestApp, row: &Value) -> Value {
    let reply = app.release("owner", release_of(row)).await.expect(207);
    assert_eq!(reply.body["summary"], json!({"total_requested": 1, "released_count": 0, "failed_count": 1}));
    let failed = &reply.body["failed"][0];
    assert_eq!((&failed["id"], &failed["phone_number"]), (&row["id"], &row["phone_number"]));
    failed["problem"].clone()
}

/// The same where Telnyx is asked in vain until the time is up, which is shorter than other requests have.
async fn not_released_in_time(app: &mut TestApp, row: &Value) -> Value {
    app.set("REQUEST_BUDGET_MS", "3000");
    let problem = not_released(app, row).await;
    app.set("REQUEST_BUDGET_MS", "8000");
    problem
}

#[tokio::test]
async fn a_deletion_whose_answer_is_lost_is_found_out_within_the_call() {
    let app = TestApp::new().await;
    let kinds = [
        json!({"kind": "drop_before"}),
        json!({"kind": "drop_after"}),
        json!({"kind": "malformed"}),
        json!({"kind": "delay", "delay_ms": 30_000}),
        json!({"kind": "status", "status": 500}),
        json!({"kind": "status", "status": 429}),
    ];
    for mut kind in kinds {
        let row = assigned(&app).await;
        kind["method"] = json!("DELETE");
        kind["path_prefix"] = json!(INVENTORY);
        app.fault(kind).await;
        released(&app, &row).await;
    }
}

#[tokio::test]
async fn a_release_that_telnyx_does_not_answer_is_resumed_until_it_is_done() {
    let mut app = TestApp::new().await;
    for (status, code, retryable) in [(500, "upstream_error", true), (503, "upstream_error", true), (429, "rate_limited", true)] {
        let row = assigned(&app).await;
        let fault = json!({"method": "DELETE", "path_prefix": INVENTORY, "kind": "status", "status": status, "times": 1_000});
        app.fault(fault).await;
        let problem = not_released_in_time(&mut app, &row).await;
        assert_eq!((&problem["code"], &problem["retryable"]), (&json!(code), &json!(retryable)));
        let under_way = now(&app, &row).await;
        assert_eq!((&under_way["status"], &under_way["agent_mapping_id"]), (&json!("inactive"), &json!(null)));
        balance(&app).await;
        clear_faults(&app).await;
        released(&app, &row).await;
    }
}

#[tokio::test]
async fn a_refused_release_leaves_the_row_as_it_was() {
    let app = TestApp::new().await;
    let refusals = [
        (401, "10009", "upstream_error"),
        (403, "10010", "upstream_error"),
        (422, "10035", "number_locked"),
        (422, "10027", "upstream_rejected"),
    ];
    for (status, telnyx_code, code) in refusals {
        let row = assigned(&app).await;
        let before = now(&app, &row).await;
        let fault = json!({"method": "DELETE", "path_prefix": INVENTORY, "kind": "status", "status": status, "code": telnyx_code});
        app.fault(fault).await;
        assert_eq!(not_released(&app, &row).await["code"], code);
        let mut after = now(&app, &row).await;
        after["updated_at"] = before["updated_at"].clone();
        assert_eq!(after, before, "{status} {telnyx_code}");
        balance(&app).await;
        released(&app, &row).await;
    }
}

#[tokio::test]
async fn a_number_that_is_locked_stays_as_it_was_even_if_it_was_inactive() {
    let app = TestApp::new().await;
    let row = assigned(&app).await;
    let lock = json!({"phone_numbers": [row["phone_number_id"]], "deletion_lock_enabled": true});
    app.telnyx_settings(json!({"job_delay_ms": 0})).await;
    telnyx(&app, app.telnyx.api_key(), Method::POST, "/phone_numbers/jobs/update_phone_numbers", Some(lock)).await;
    app.assign("owner", Method::PATCH, "", Some(json!({"phone_number_id": row["id"], "status": "inactive"}))).await.expect(200);
    assert_eq!(not_released(&app, &row).await["code"], "number_locked");
    let after = now(&app, &row).await;
    assert_eq!((&after["status"], &after["agent_mapping_id"]), (&json!("inactive"), &row["agent_mapping_id"]));
    assert_eq!(after["is_active"], true);
    balance(&app).await;
}

#[tokio::test]
async fn a_refusal_after_a_deletion_that_may_have_worked_does_not_bring_the_number_back() {
    let mut app = TestApp::new().await;
    for refusal in [json!({"kind": "status", "status": 401}), json!({"kind": "status", "status": 400})] {
        let row = assigned(&app).await;
        // Telnyx has deleted it, and the answer is lost; then our key is refused for every call.
        app.fault(json!({"method": "DELETE", "path_prefix": INVENTORY, "kind": "drop_after"})).await;
        let mut refused = refusal.clone();
        refused["path_prefix"] = json!(INVENTORY);
        refused["times"] = json!(1_000);
        app.fault(refused).await;
        not_released_in_time(&mut app, &row).await;
        assert!(app.billed().await.is_empty());
        assert_ne!(now(&app, &row).await["status"], "active", "{refusal}: Telnyx does not have it any more");
        clear_faults(&app).await;
        released(&app, &row).await;
    }
}

#[tokio::test]
async fn a_refused_look_into_the_inventory_does_not_bring_a_deleted_number_back() {
    let mut app = TestApp::new().await;
    let row = assigned(&app).await;
    let path = format!("/phone_numbers/{}", row["phone_number_id"].as_str().unwrap());
    telnyx(&app, app.telnyx.api_key(), Method::DELETE, &path, None).await;
    app.fault(json!({"method": "GET", "path_prefix": INVENTORY, "kind": "status", "status": 401, "times": 1_000})).await;
    not_released_in_time(&mut app, &row).await;
    assert_ne!(now(&app, &row).await["status"], "active", "Telnyx has answered 404");
    clear_faults(&app).await;
    released(&app, &row).await;
}

#[tokio::test]
async fn a_refusal_during_a_resumed_release_does_not_bring_the_number_back() {
    let mut app = TestApp::new().await;
    let row = assigned(&app).await;
    app.fault(json!({"method": "DELETE", "path_prefix": INVENTORY, "kind": "delay", "delay_ms": 30_000, "times": 1_000})).await;
    assert_eq!(not_released_in_time(&mut app, &row).await["code"], "upstream_error");
    assert!(app.billed().await.is_empty(), "it was deleted, and the answer was lost");
    clear_faults(&app).await;
    app.fault(json!({"path_prefix": INVENTORY, "kind": "status", "status": 401, "times": 1_000})).await;
    not_released_in_time(&mut app, &row).await;
    assert_ne!(now(&app, &row).await["status"], "active");
    clear_faults(&app).await;
    released(&app, &row).await;
}

#[tokio::test]
async fn a_number_that_telnyx_does_not_know_is_released_once_its_inventory_agrees() {
    let app = TestApp::new().await;
    let row = assigned(&app).await;
    let path = format!("/phone_numbers/{}", row["phone_number_id"].as_str().unwrap());
    telnyx(&app, app.telnyx.api_key(), Method::DELETE, &path, None).await;
    let looks = app.asked("GET", INVENTORY);
    released(&app, &row).await;
    assert!(app.asked("GET", INVENTORY) > looks, "the inventory was asked");

    let row = assigned(&app).await;
    // 404, but the inventory shows it, so it is retried.
    app.fault(json!({"method": "DELETE", "path_prefix": INVENTORY, "kind": "status", "status": 404, "times": 2})).await;
    let deletes = app.asked("DELETE", INVENTORY);
    released(&app, &row).await;
    assert_eq!(app.asked("DELETE", INVENTORY) - deletes, 3);
}

#[tokio::test]
async fn an_inventory_that_does_not_answer_is_asked_again() {
    let app = TestApp::new().await;
    for kind in [json!({"kind": "status", "status": 500}), json!({"kind": "malformed"}), json!({"kind": "status", "status": 429})] {
        let row = assigned(&app).await;
        app.fault(json!({"method": "DELETE", "path_prefix": INVENTORY, "kind": "drop_after"})).await;
        let mut fault = kind;
        fault["method"] = json!("GET");
        fault["path_prefix"] = json!(INVENTORY);
        app.fault(fault).await;
        released(&app, &row).await;
    }
}

#[tokio::test]
async fn a_deletion_that_takes_its_time_is_a_deletion() {
    let app = TestApp::new().await;
    app.telnyx_settings(json!({"delete_lag_reads": 2})).await;
    let row = assigned(&app).await;
    app.fault(json!({"method": "DELETE", "path_prefix": INVENTORY, "kind": "drop_after"})).await;
    app.release("owner", release_of(&row)).await.expect(200);
    assert_eq!(now(&app, &row).await["status"], "released");
    assert_eq!(app.asked("DELETE", INVENTORY), 2);
}

#[tokio::test]
async fn a_process_may_die_at_any_point_of_a_release() {
    let statements =
        [("releases.begin.insert", Moment::Before), ("releases.begin.insert", Moment::After), ("releases.finish.complete", Moment::Before)];
    for (statement, moment) in statements.into_iter().chain([("releases.finish.complete", Moment::After)]) {
        let mut app = TestApp::new().await;
        app.set("LEASE_MS", "150");
        let row = assigned(&app).await;
        let proxy = app.with_fault_proxy().await;
        proxy.inject(statement, moment, Fault::Silence);
        dies(&app, &row, async || proxy.injected() == 1).await;
        released(&app, &row).await;
        assert!(app.asked("DELETE", INVENTORY) <= 2);
    }
    let mut app = TestApp::new().await;
    app.set("LEASE_MS", "150");
    let row = assigned(&app).await;
    app.fault(json!({"method": "DELETE", "path_prefix": INVENTORY, "kind": "delay", "delay_ms": 30_000})).await;
    dies(&app, &row, async || app.asked("DELETE", INVENTORY) == 1).await;
    released(&app, &row).await;
}

#[tokio::test]
async fn the_number_of_another_agency_is_not_deleted_for_a_row_from_before_the_ledger() {
    let app = TestApp::new().await;
    // The witness that the key is the account's.
    assigned(&app).await;
    let number = json!(unsold(&app).await);
    appear(&app, &number, &reference_of(&demo::OTHER)).await;
    let billed = app.billed().await;
    for id in [json!(null), json!("7")] {
        let row = app.insert(json!({"phone_number": number, "phone_number_id": id})).await;
        app.release("owner", release_of(&row)).await.expect(200);
        assert_eq!((&app.now(&row).await["status"], &app.billed().await), (&json!("released"), &billed));
        app.execute(&format!("delete from agency_phone_numbers where phone_number = '{}'", number.as_str().unwrap())).await;
    }
    app.reconcile().await;
    let adopted = app.rows().await.into_iter().find(|row| row["phone_number"] == number).unwrap();
    assert_eq!(adopted["agency_id"], json!(demo::OTHER.id));
    balance(&app).await;
}

/// Begins a release and aborts it once `there` returns true.
pub(crate) async fn dies(app: &TestApp, row: &Value, there: impl AsyncFn() -> bool) {
    let (function, token) = (app.function::<Release>(), app.token("owner"));
    let reply = tokio::select! {
        biased;
        () = eventually(async || there().await.then_some(())) => None,
        reply = send(&function, &token, Method::POST, "", Some(release_of(row))) => Some(reply),
    };
    assert!(reply.is_none(), "it was to die before it could answer: {reply:#?}");
}

#[tokio::test]
async fn a_connection_lost_at_any_statement_of_a_release_is_replaced() {
    for statement in ["callers.authorize", "releases.begin.targets", "releases.begin.insert", "releases.finish.complete"] {
        for moment in [Moment::Before, Moment::After] {
            let mut app = TestApp::new().await;
            let row = assigned(&app).await;
            let proxy = app.with_fault_proxy().await;
            proxy.inject(statement, moment, Fault::Cut);
            released(&app, &row).await;
            assert_eq!(proxy.injected(), 1, "{statement} {moment:?}");
        }
    }
}
