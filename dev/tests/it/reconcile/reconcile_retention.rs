//! Which data is deleted after a while, and which is kept.

use lambda_http::Context;
use serde_json::{Value, json};

use crate::reconcile::reconcile_inventory::bought;
use crate::support::app::TestApp;

/// Findings in a state, closed and last seen some days ago.
async fn findings(app: &TestApp, state: &str, count: usize, closed: u32, seen: u32) {
    let insert = format!(
        "insert into phone_number_findings
           (kind, telnyx_account, phone_number, telnyx_phone_number_id, detail, state, first_seen_at, last_seen_at, resolved_at, resolved_by)
         select 'agency_gone', 'another account', '+1{closed}{seen}' || (1000000 + i) || '{}', '1', '', '{state}', now() - interval '1 year',
                now() - interval '{seen} days', now() - interval '{closed} days', 'operator'
         from generate_series(1, {count}) i",
        state.len()
    );
    app.execute(&insert).await;
}

async fn count(app: &TestApp) -> usize {
    app.findings().await.len()
}

#[tokio::test]
async fn closed_findings_are_deleted_after_their_time_and_open_ones_never() {
    let mut app = TestApp::new().await;
    for state in ["gone", "adopted", "dismissed"] {
        findings(&app, state, 1, 91, 91).await;
        findings(&app, state, 1, 89, 89).await;
    }
    // Dismissed long ago, and still present at Telnyx.
    findings(&app, "dismissed", 1, 300, 1).await;
    let open = "insert into phone_number_findings (kind, telnyx_account, detail, first_seen_at, last_seen_at)
                values ('inventory_drift', 'another account', '', now() - interval '1 year', now() - interval '1 year')";
    app.execute(open).await;
    app.reconcile().await;
    assert_eq!(count(&app).await, 5);
    app.set("RECONCILE_RETENTION_DAYS", "30");
    app.reconcile().await;
    let left: Vec<_> = app.findings().await.iter().map(|finding| finding["state"].clone()).collect();
    assert_eq!(left.len(), 2);
    assert!(left.contains(&json!("open")) && left.contains(&json!("dismissed")));
}

#[tokio::test]
async fn a_run_deletes_a_bounded_part() {
    let app = TestApp::new().await;
    findings(&app, "gone", 1_500, 100, 100).await;
    for left in [500, 0] {
        app.reconcile().await;
        assert_eq!(count(&app).await, left);
    }
}

#[tokio::test]
async fn the_free_text_of_a_failure_is_dropped_and_everything_else_is_kept() {
    let app = TestApp::new().await;
    bought(&app, 2).await;
    let fail = "\
alter table phone_number_purchases disable trigger user;
alter table phone_number_releases disable trigger user;
update phone_number_purchases
set phase = 'failed', failure_code = 'upstream_error', failure_detail = 'somebody''s words', updated_at = now() - interval '100 days';
insert into phone_number_releases
  (agency_id, agency_phone_number_id, phone_number, telnyx_account, telnyx_phone_number_id, caller_id, previous_status, phase, failure_code,
   failure_detail, updated_at)
select p.agency_id, p.agency_phone_number_id, p.phone_number, p.telnyx_account, p.telnyx_phone_number_id, p.caller_id, 'active', 'refused',
       'upstream_rejected', 'somebody''s words', p.updated_at
from phone_number_purchases p;
update phone_number_purchases set updated_at = now() where id = (select min(id::text)::uuid from phone_number_purchases);
alter table phone_number_purchases enable trigger user;
alter table phone_number_releases enable trigger user;";
    app.execute(fail).await;
    let without = |rows: Vec<Value>| -> Vec<Value> {
        let without = |mut row: Value| {
            let members = row.as_object_mut().unwrap();
            members.remove("failure_detail");
            members.remove("updated_at");
            row
        };
        rows.into_iter().map(without).collect()
    };
    let everything = app.everything().await;
    let releases = without(everything["phone_number_releases"].as_array().unwrap().clone());
    let purchases = without(app.ledger().await);
    app.reconcile().await;
    let kept = app.ledger().await.iter().filter(|purchase| purchase["failure_detail"].is_string()).count();
    assert_eq!((kept, without(app.ledger().await)), (1, purchases));
    let after = app.everything().await["phone_number_releases"].as_array().unwrap().clone();
    assert!(after.iter().all(|release| release["failure_detail"].is_null()));
    let sorted = |mut rows: Vec<Value>| {
        rows.sort_by_key(|row| row["id"].to_string());
        rows
    };
    assert_eq!(sorted(without(after)), sorted(releases));
}

#[tokio::test]
async fn a_retention_that_cannot_be_read_deletes_nothing_and_fails_the_run() {
    let mut app = TestApp::new().await;
    findings(&app, "gone", 1, 1_000, 1_000).await;
    for unreadable in ["ninety", "0", "-1", "3.5"] {
        app.set("RECONCILE_RETENTION_DAYS", unreadable);
        let failure = app.reconciler().run(&Context::default()).await.unwrap_err().to_string();
        assert!(failure.contains("RECONCILE_RETENTION_DAYS must be a whole number from 1 to 36500"), "{failure}");
        assert_eq!(count(&app).await, 1, "{unreadable}");
    }
    app.set("RECONCILE_RETENTION_DAYS", "");
    app.reconcile().await;
    assert_eq!(count(&app).await, 0);
}

/// The statement for an own retention policy in `docs/operations.md`.
#[tokio::test]
async fn history_and_archive_can_be_pruned_by_whoever_owns_them_as_the_docs_say() {
    let app = TestApp::new().await;
    bought(&app, 2).await;
    let operations = std::fs::read_to_string(dev::workspace::root().join("docs/operations.md")).unwrap();
    let (_, rest) = operations.split_once("```sql\n").unwrap();
    let (prune, _) = rest.split_once("```").unwrap();
    assert!(prune.contains("phone_number_history") && prune.contains("agency_phone_numbers_archive"));
    app.execute(prune).await;
    let history = async || app.everything().await["phone_number_history"].as_array().unwrap().len();
    assert_eq!(history().await, 2, "it is younger");
    app.execute("delete from agency_phone_numbers where id = (select min(id::text)::uuid from agency_phone_numbers)").await;
    assert_eq!(history().await, 3);
    app.execute(&prune.replace("7 years", "0 seconds")).await;
    assert_eq!(history().await, 1, "what a live number was and did is kept");
    let error = app.sql.batch_execute("delete from phone_number_history").await.unwrap_err();
    assert!(error.as_db_error().unwrap().message().contains("append-only"), "and no other role can");
}
