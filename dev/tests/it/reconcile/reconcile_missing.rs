//! Rows whose numbers are missing at Telnyx: which are deactivated, on what evidence, and which are activated again.

use dev::invariants::FOREIGN_REFERENCE;
use lambda_http::http::Method;
use serde_json::{Value, json};

use crate::reconcile::reconcile_inventory::{appear, bought, come_back, found, nothing_was_touched, vanish};
use crate::support::actions::{balance, clear_faults, release_of, unsold};
use crate::support::app::TestApp;

const NUMBERS: &str = "/v2/phone_numbers";

/// An app in which one walk may deactivate a fifth.
async fn app() -> TestApp {
    let mut app = TestApp::new().await;
    app.set("RECONCILE_MAX_DEACTIVATED_PERCENT", "20");
    app
}

async fn status(app: &TestApp, row: &Value) -> Value {
    app.now(row).await["status"].clone()
}

/// How many rows are active.
async fn active(app: &TestApp) -> usize {
    app.rows().await.iter().filter(|row| row["status"] == "active").count()
}

async fn reconciled(app: &TestApp, runs: usize) {
    for _ in 0..runs {
        app.reconcile().await;
    }
}

/// Injects a fault into reads of a path.
async fn answers(app: &TestApp, path: &str, mut fault: Value) {
    fault["method"] = json!("GET");
    fault["path_prefix"] = json!(path);
    app.fault(fault).await;
}

#[tokio::test]
async fn a_row_is_switched_off_when_two_runs_in_a_row_miss_its_number_and_telnyx_has_no_such_id() {
    let app = app().await;
    let rows = bought(&app, 2).await;
    vanish(&app, &rows[0]["phone_number"]).await;
    let asked = app.telnyx.exchanges().len();
    app.reconcile().await;
    assert_eq!((active(&app).await, app.missed().await), (2, vec![rows[0]["id"].clone()]), "one walk is none");
    app.reconcile().await;
    nothing_was_touched(&app, asked);
    let off = app.now(&rows[0]).await;
    assert_eq!(
        (&off["status"], &off["is_active"], &off["phone_number_id"]),
        (&json!("inactive"), &json!(true), &rows[0]["phone_number_id"])
    );
    assert_eq!(status(&app, &rows[1]).await, "active");
    let last = app.history(&rows[0]).await.pop().unwrap();
    assert_eq!((&last["event"], &last["actor"]), (&json!("reconciled"), &json!("reconcile")));
    assert_eq!(last["changes"], json!({"status": {"from": "active", "to": "inactive"}}));
    let seen = app.history(&rows[0]).await.len();
    reconciled(&app, 2).await;
    assert_eq!((app.history(&rows[0]).await.len(), app.findings().await), (seen, Vec::new()), "and that is that");

    let id = rows[0]["id"].as_str().unwrap();
    let shown = app.assign("owner", Method::GET, &format!("id={id}&include_history=true"), None).await.expect(200);
    assert_eq!(shown.body["history"].as_array().unwrap().last().unwrap()["actor"], "reconcile");
    app.release("owner", release_of(&rows[0])).await.expect(200);
    balance(&app).await;
}

#[tokio::test]
async fn a_row_from_before_its_release_is_switched_off() {
    let app = app().await;
    let row = bought(&app, 1).await.remove(0);
    app.release("owner", release_of(&row)).await.expect(200);
    let restored = "\
update agency_phone_numbers set status = 'active', is_active = true, released_at = null;
delete from phone_number_releases;";
    app.execute(restored).await;
    app.reconcile().await;
    assert_eq!(status(&app, &row).await, "active");
    app.reconcile().await;
    assert_eq!(status(&app, &row).await, "inactive");
    // It is released like any other.
    app.release("owner", release_of(&row)).await.expect(200);
    assert_eq!(status(&app, &row).await, "released");
    balance(&app).await;
}

#[tokio::test]
async fn a_number_that_is_missed_now_and_then_stays() {
    let app = app().await;
    let row = bought(&app, 1).await.remove(0);
    for _ in 0..3 {
        answers(&app, NUMBERS, json!({"kind": "empty"})).await;
        answers(&app, NUMBERS, json!({"kind": "status", "status": 404})).await;
        app.reconcile().await;
        clear_faults(&app).await;
        app.reconcile().await;
    }
    assert_eq!((status(&app, &row).await, app.history(&row).await.len()), (json!("active"), 1));
}

#[tokio::test]
async fn a_number_that_telnyx_has_by_its_id_stays_whatever_the_inventory_shows() {
    let app = app().await;
    let row = bought(&app, 1).await.remove(0);
    for evidence in [
        json!(null),
        json!({"kind": "status", "status": 401}),
        json!({"kind": "status", "status": 403}),
        json!({"kind": "status", "status": 429}),
        json!({"kind": "status", "status": 500}),
        json!({"kind": "malformed"}),
    ] {
        for _ in 0..2 {
            answers(&app, NUMBERS, json!({"kind": "empty"})).await;
            if evidence.is_object() {
                answers(&app, NUMBERS, evidence.clone()).await;
            }
            app.reconcile().await;
            clear_faults(&app).await;
        }
        assert_eq!(status(&app, &row).await, "active", "{evidence}");
        assert_eq!(app.missed().await, [row["id"].clone()], "{evidence}: it was looked into");
    }
    assert!(app.findings().await.is_empty());
}

#[tokio::test]
async fn a_number_of_an_account_whose_key_is_not_known_to_be_the_right_one_is_left_to_an_operator() {
    let app = app().await;
    let row = bought(&app, 1).await.remove(0);
    // Bought before the ledger kept its key.
    app.execute("update phone_number_purchases set key_sha256 = null").await;
    vanish(&app, &row["phone_number"]).await;
    answers(&app, "/v2/number_orders/", json!({"kind": "status", "status": 404, "times": 1_000})).await;
    reconciled(&app, 3).await;
    assert_eq!(status(&app, &row).await, "active");
    let finding = app.findings().await.remove(0);
    assert_eq!((&finding["kind"], &finding["agency_phone_number_ids"]), (&json!("inventory_drift"), &json!([row["id"]])));
    clear_faults(&app).await;
    app.reconcile().await;
    assert_eq!(status(&app, &row).await, "inactive");
    assert_eq!(found(&app).await, [[json!("inventory_drift"), json!(null), json!("gone")]]);
}

#[tokio::test]
async fn a_number_without_a_known_order_is_left_to_an_operator() {
    let mut app = app().await;
    let number = json!(unsold(&app).await);
    appear(&app, &number, FOREIGN_REFERENCE).await;
    // A row that predates the ledger.
    let row = app.insert(json!({"phone_number": number})).await;
    app.reconcile().await;
    app.telnyx_settings(json!({"accounts": {"another": "KEYANOTHER"}})).await;
    app.set("TELNYX_API_KEY", "KEYANOTHER");
    reconciled(&app, 3).await;
    assert_eq!(status(&app, &row).await, "active", "the key is another account's");
    assert_eq!(app.findings().await[0]["agency_phone_number_ids"], json!([row["id"]]));
}

#[tokio::test]
async fn more_than_a_small_share_is_left_to_a_person() {
    let app = app().await;
    let rows = bought(&app, 10).await;
    for row in &rows[..3] {
        vanish(&app, &row["phone_number"]).await;
    }
    reconciled(&app, 3).await;
    assert_eq!(active(&app).await, 10);
    let findings = app.findings().await;
    assert_eq!((findings.len(), &findings[0]["kind"], &findings[0]["state"]), (1, &json!("inventory_drift"), &json!("open")));
    assert!(findings[0]["detail"].as_str().unwrap().starts_with("3 of the 10 numbers"), "{findings:#?}");
    let mut concerned: Vec<_> = findings[0]["agency_phone_number_ids"].as_array().unwrap().clone();
    let mut vanished: Vec<_> = rows[..3].iter().map(|row| row["id"].clone()).collect();
    for ids in [&mut concerned, &mut vanished] {
        ids.sort_by_key(Value::to_string);
    }
    assert_eq!(concerned, vanished);

    // One is back: two of ten are a fifth.
    come_back(&app, &rows[0]["phone_number"]).await;
    app.reconcile().await;
    assert_eq!((active(&app).await, status(&app, &rows[0]).await), (8, json!("active")));
    assert_eq!(found(&app).await, [[json!("inventory_drift"), json!(null), json!("gone")]]);
    balance_but_for(&app, &rows[1..3]).await;
}

/// The invariants hold once the rows of missing numbers are inactive.
async fn balance_but_for(app: &TestApp, rows: &[Value]) {
    for row in rows {
        app.release("owner", release_of(row)).await.expect(200);
    }
    balance(app).await;
}

#[tokio::test]
async fn the_key_of_another_account_switches_no_row_off() {
    for count in [1, 3] {
        let mut app = app().await;
        bought(&app, count).await;
        app.telnyx_settings(json!({"accounts": {"another": "KEYANOTHER"}})).await;
        let right = app.telnyx.api_key().to_owned();
        app.set("TELNYX_API_KEY", "KEYANOTHER");
        reconciled(&app, 3).await;
        assert_eq!(active(&app).await, count);
        assert_eq!(found(&app).await, [[json!("inventory_drift"), json!(null), json!("open")]]);
        app.set("TELNYX_API_KEY", &right);
        app.reconcile().await;
        assert_eq!((active(&app).await, found(&app).await[0][2].clone()), (count, json!("gone")));
    }
}

#[tokio::test]
async fn an_inventory_that_cannot_be_read_switches_no_row_off() {
    let app = app().await;
    let row = bought(&app, 1).await.remove(0);
    app.reconcile().await;
    let before = app.walks().await;
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
        answers(&app, NUMBERS, lasting).await;
        reconciled(&app, 3).await;
        clear_faults(&app).await;
        assert_eq!(app.walks().await[0]["finished_at"], before[0]["finished_at"], "{fault}");
    }
    assert_eq!((status(&app, &row).await, app.findings().await), (json!("active"), Vec::new()));
    app.reconcile().await;
    assert_ne!(app.walks().await[0]["finished_at"], before[0]["finished_at"]);
}

#[tokio::test]
async fn an_unreadable_number_hides_no_other_and_is_not_switched_off() {
    let app = app().await;
    let rows = bought(&app, 3).await;
    app.reconcile().await;
    for _ in 0..2 {
        answers(&app, NUMBERS, json!({"kind": "odd"})).await;
        // The answer by id is as odd.
        answers(&app, &format!("{NUMBERS}/"), json!({"kind": "odd"})).await;
        app.reconcile().await;
        assert_eq!(app.missed().await.len(), 1);
    }
    assert_eq!((active(&app).await, app.findings().await), (rows.len(), Vec::new()));
}

#[tokio::test]
async fn a_number_that_is_back_is_switched_on_again() {
    let app = app().await;
    let rows = bought(&app, 2).await;
    for row in &rows {
        vanish(&app, &row["phone_number"]).await;
        reconciled(&app, 2).await;
    }
    assert_eq!(active(&app).await, 0);
    // A user's change meanwhile does not deactivate it.
    let named = json!({"phone_number_id": rows[1]["id"], "friendly_name": "Front desk"});
    app.assign("owner", Method::PATCH, "", Some(named)).await.expect(200);
    for row in &rows {
        come_back(&app, &row["phone_number"]).await;
    }
    app.reconcile().await;
    assert_eq!(active(&app).await, 2);
    for row in &rows {
        let last = app.history(row).await.pop().unwrap();
        assert_eq!((&last["event"], &last["changes"]["status"]["to"]), (&json!("reconciled"), &json!("active")));
    }
    assert_eq!(app.now(&rows[1]).await["friendly_name"], "Front desk");
    balance(&app).await;
}

#[tokio::test]
async fn what_a_user_has_switched_off_stays_off() {
    let app = app().await;
    let rows = bought(&app, 2).await;
    let patch = async |row: &Value, status: &str| {
        let body = json!({"phone_number_id": row["id"], "status": status});
        app.assign("owner", Method::PATCH, "", Some(body)).await.expect(200);
    };
    patch(&rows[0], "inactive").await;
    // The other was deactivated as missing, then activated, then deactivated by its owner.
    vanish(&app, &rows[1]["phone_number"]).await;
    reconciled(&app, 2).await;
    assert_eq!(active(&app).await, 0);
    patch(&rows[1], "active").await;
    patch(&rows[1], "inactive").await;
    come_back(&app, &rows[1]["phone_number"]).await;
    reconciled(&app, 2).await;
    assert_eq!(active(&app).await, 0);
    assert_eq!(app.history(&rows[0]).await.len(), 2, "there are no other changes");
    balance(&app).await;
}

#[tokio::test]
async fn a_number_on_its_way_back_is_not_missed() {
    let app = app().await;
    let row = bought(&app, 1).await.remove(0);
    // Another process works on its release, or will.
    app.fault(json!({"method": "DELETE", "path_prefix": NUMBERS, "kind": "drop_after"})).await;
    crate::money::release_failures::dies(&app, &row, async || app.asked("DELETE", NUMBERS) == 1).await;
    assert!(app.billed().await.is_empty());
    reconciled(&app, 2).await;
    assert!(app.missed().await.is_empty());
    assert_eq!(app.now(&row).await["is_active"], false);
    let events: Vec<_> = app.history(&row).await.into_iter().map(|entry| entry["actor"].clone()).collect();
    assert!(!events.contains(&json!("reconcile")), "{events:?}");
    app.execute("update phone_number_releases set leased_until = now()").await;
    app.reconcile().await;
    assert_eq!(status(&app, &row).await, "released");
    balance(&app).await;
}
