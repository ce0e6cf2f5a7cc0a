//! The history of a row: event, actor, old and new values; nobody can change it.

use chrono::{DateTime, Utc};
use dev::demo;
use dev::fault_proxy::{Fault, Moment};
use lambda_http::http::Method;
use serde_json::{Value, json};

use crate::support::actions::{assigned, balance, clear_faults, decide, order_of, release_of, telnyx};
use crate::support::app::{TestApp, agent, eventually};

/// A user's id.
fn user(key: &str) -> Value {
    json!(demo::USERS.iter().find(|user| user.key == key).unwrap().id)
}

/// The history of a row that the agency sees.
async fn history(app: &TestApp, row: &Value) -> Vec<Value> {
    let query = format!("id={}&include_history=true", row["id"].as_str().unwrap());
    let shown = app.assign("member", Method::GET, &query, None).await.expect(200);
    assert_eq!(shown.body["phone_number"]["id"], row["id"]);
    shown.body["history"].as_array().unwrap().clone()
}

/// Event and actor of each entry.
fn events(history: &[Value]) -> Vec<(&str, &Value)> {
    history.iter().map(|entry| (entry["event"].as_str().unwrap(), &entry["actor"])).collect()
}

/// All entries.
async fn all(app: &TestApp) -> Vec<Value> {
    let mut all = app.everything().await["phone_number_history"].as_array().unwrap().clone();
    all.sort_by_key(|entry| entry["id"].as_i64());
    all
}

#[tokio::test]
async fn the_history_covers_a_life_from_purchase_to_release() {
    let app = TestApp::new().await;
    let number = app.offer().await;
    let (first, second) = (agent(&demo::DEMO, 0), agent(&demo::DEMO, 1));
    let item = json!({"phone_number": number, "friendly_name": "Desk", "agent_mapping_id": first});
    let row = app.purchase("admin", json!({"phone_numbers": [item]})).await.expect(200).number().clone();
    let id = &row["id"];
    let to_second = json!({"id": id, "agent_mapping_id": second, "direction": "outbound"});
    app.assign("admin", Method::POST, "", Some(to_second)).await.expect(200);
    app.assign("owner", Method::DELETE, "", Some(json!({"id": id}))).await.expect(200);
    let settings = json!({"id": id, "friendly_name": null, "sms_enabled": false, "status": "inactive"});
    app.assign("owner", Method::PATCH, "", Some(settings)).await.expect(200);
    app.assign("admin", Method::POST, "", Some(json!({"id": id, "agent_mapping_id": first}))).await.expect(200);
    app.release("owner", release_of(&row)).await.expect(200);

    let told = history(&app, &row).await;
    let (owner, admin) = (user("owner"), user("admin"));
    let expected = [
        ("bought", &admin),
        ("assigned", &admin),
        ("unassigned", &owner),
        ("changed", &owner),
        ("assigned", &admin),
        ("unassigned", &owner),
        ("released", &owner),
    ];
    assert_eq!(events(&told), expected);

    let bought = told[0]["changes"].as_object().unwrap();
    let shown = app.list("member", "status=released").await.expect(200).number().clone();
    for (column, value) in [
        ("status", json!("active")),
        ("friendly_name", json!("Desk")),
        ("agent_mapping_id", json!(first)),
        ("phone_number_id", shown["phone_number_id"].clone()),
        ("monthly_cost", json!("1.00")),
        ("purchased_at", shown["purchased_at"].clone()),
        ("is_active", json!(true)),
    ] {
        assert_eq!(bought[column], json!({"from": null, "to": value}), "{column}");
    }
    assert!(
        ["id", "agency_id", "phone_number", "created_at", "updated_at", "released_at"].iter().all(|column| !bought.contains_key(*column))
    );
    let change = |from: Value, to: Value| json!({"from": from, "to": to});
    let expected = [
        json!({"agent_mapping_id": change(json!(first), json!(second)), "direction": change(json!("inbound"), json!("outbound"))}),
        json!({"agent_mapping_id": change(json!(second), json!(null))}),
        json!({
            "friendly_name": change(json!("Desk"), json!(null)),
            "sms_enabled": change(json!(true), json!(false)),
            "status": change(json!("active"), json!("inactive")),
        }),
        json!({"agent_mapping_id": change(json!(null), json!(first))}),
        json!({"agent_mapping_id": change(json!(first), json!(null)), "is_active": change(json!(true), json!(false))}),
        json!({"status": change(json!("inactive"), json!("released")), "released_at": change(json!(null), shown["released_at"].clone())}),
    ];
    for (entry, changes) in told[1..].iter().zip(&expected) {
        assert_eq!(entry["changes"], *changes, "{}", entry["event"]);
        let members: Vec<_> = entry.as_object().unwrap().keys().collect();
        assert_eq!(members, ["actor", "at", "changes", "event"]);
    }
    let times: Vec<DateTime<Utc>> = told.iter().map(|entry| entry["at"].as_str().unwrap().parse().unwrap()).collect();
    assert!(times.is_sorted() && told.iter().all(|entry| entry["at"].as_str().unwrap().ends_with('Z')), "{times:?}");
    balance(&app).await;
}

#[tokio::test]
async fn a_number_belongs_to_the_first_buyer_whichever_process_finishes_it() {
    let mut app = TestApp::new().await;
    app.telnyx_settings(json!({"order_outcome": "never"})).await;
    let number = app.offer().await;
    let row = app.pending_purchase(order_of(&number)).await.number().clone();
    assert_eq!(history(&app, &row).await, Vec::<Value>::new(), "what is only intended is no part of its life yet");
    decide(&app, "success").await;
    app.purchase("admin", order_of(&number)).await.expect(200);
    assert_eq!(events(&history(&app, &row).await), [("bought", &user("owner"))]);
    // A repeated request is no event.
    app.purchase("admin", order_of(&number)).await.expect(200);
    assert_eq!(history(&app, &row).await.len(), 1);
}

#[tokio::test]
async fn the_history_records_a_release_even_if_it_was_refused() {
    let app = TestApp::new().await;
    let row = assigned(&app).await;
    let lock = json!({"phone_numbers": [row["phone_number_id"]], "deletion_lock_enabled": true});
    app.telnyx_settings(json!({"job_delay_ms": 0})).await;
    telnyx(&app, app.telnyx.api_key(), Method::POST, "/phone_numbers/jobs/update_phone_numbers", Some(lock)).await;
    app.release("owner", release_of(&row)).await.expect(207);
    let told = history(&app, &row).await;
    let owner = user("owner");
    assert_eq!(events(&told), [("bought", &owner), ("unassigned", &owner), ("assigned", &owner)]);
    assert_eq!(told[1]["changes"]["status"], json!({"from": "active", "to": "inactive"}));
    assert_eq!(told[2]["changes"]["status"], json!({"from": "inactive", "to": "active"}));
    assert_eq!(told[2]["changes"]["agent_mapping_id"], json!({"from": null, "to": row["agent_mapping_id"]}));
}

#[tokio::test]
async fn a_purchase_that_is_given_up_is_released_and_one_that_fails_leaves_nothing() {
    let mut app = TestApp::new().await;
    app.telnyx_settings(json!({"insufficient_funds": true})).await;
    app.purchase("owner", order_of(&app.offer().await)).await.expect(402);
    assert_eq!(all(&app).await, Vec::<Value>::new());
    app.telnyx_settings(json!({"insufficient_funds": false, "order_outcome": "never"})).await;
    app.set("REQUEST_BUDGET_MS", "4000");
    let row = app.purchase("admin", order_of(&app.offer().await)).await.expect(202).number().clone();
    app.release("owner", release_of(&row)).await.expect(200);
    let told = history(&app, &row).await;
    assert_eq!(events(&told), [("released", &user("owner"))]);
    assert_eq!(told[0]["changes"]["status"], json!({"from": "pending", "to": "released"}));
}

#[tokio::test]
async fn a_refused_or_empty_change_is_not_in_the_history() {
    let app = TestApp::new().await;
    let row = assigned(&app).await;
    let before = all(&app).await;
    let id = &row["id"];
    let same = json!({"id": id, "agent_mapping_id": row["agent_mapping_id"]});
    app.assign("owner", Method::POST, "", Some(same)).await.expect(200);
    app.assign("owner", Method::PATCH, "", Some(json!({"id": id, "status": "active"}))).await.expect(200);
    let strangers = json!({"id": id, "agent_mapping_id": agent(&demo::OTHER, 0)});
    app.assign("owner", Method::POST, "", Some(strangers)).await.expect(404);
    app.assign("other_owner", Method::PATCH, "", Some(json!({"id": id, "friendly_name": "Ours now"}))).await.expect(404);
    app.assign("member", Method::DELETE, "", Some(json!({"id": id}))).await.expect(403);
    assert_eq!(all(&app).await, before);
}

#[tokio::test]
async fn change_and_entry_stand_and_fall_together() {
    let app = TestApp::new().await;
    let row = assigned(&app).await;
    let (before, rows) = (all(&app).await, app.rows().await);
    let rename = || json!({"id": row["id"], "friendly_name": "New"});
    // The entry cannot be written, so the change is not written either.
    let refuse = "alter table phone_number_history add constraint nothing_more check (event <> 'changed') not valid";
    app.sql.batch_execute(refuse).await.unwrap();
    app.assign("owner", Method::PATCH, "", Some(rename())).await.expect_problem(500, "internal");
    assert_eq!((all(&app).await, app.rows().await), (before.clone(), rows.clone()));
    app.sql.batch_execute("alter table phone_number_history drop constraint nothing_more").await.unwrap();
    // The change cannot be written, after its entry.
    let refuse = "\
create function refuse_late() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
create constraint trigger refuse_late after update on agency_phone_numbers deferrable initially deferred
for each row execute function refuse_late();";
    app.sql.batch_execute(refuse).await.unwrap();
    app.assign("owner", Method::PATCH, "", Some(rename())).await.expect_problem(500, "internal");
    assert_eq!((all(&app).await, app.rows().await), (before.clone(), rows));
    app.sql.batch_execute("drop trigger refuse_late on agency_phone_numbers").await.unwrap();
    app.assign("owner", Method::PATCH, "", Some(rename())).await.expect(200);
    assert_eq!(all(&app).await.len(), before.len() + 1);
}

#[tokio::test]
async fn what_the_platform_does_is_told_too_by_whatever_path_it_comes() {
    let app = TestApp::new().await;
    let row = assigned(&app).await;
    let platform = json!("platform");
    app.sql.batch_execute("update agency_phone_numbers set friendly_name = 'By hand'").await.unwrap();
    app.sql.execute("delete from agent_mappings where id = $1", &[&agent(&demo::DEMO, 0)]).await.unwrap();
    let told = history(&app, &row).await;
    assert_eq!(events(&told), [("bought", &user("owner")), ("changed", &platform), ("unassigned", &platform)]);
    assert_eq!(told[1]["changes"], json!({"friendly_name": {"from": null, "to": "By hand"}}));
    assert_eq!(told[2]["changes"], json!({"agent_mapping_id": {"from": agent(&demo::DEMO, 0), "to": null}}));

    let inserted = app.insert(json!({"friendly_name": "Imported"})).await;
    app.insert(json!({"status": "pending"})).await;
    app.insert(json!({"status": "released"})).await;
    app.sql.execute("update agency_phone_numbers set status = 'released' where friendly_name = 'Imported'", &[]).await.unwrap();
    assert_eq!(events(&history(&app, &inserted).await), [("bought", &platform), ("released", &platform)]);

    let before = all(&app).await.len();
    app.sql.execute("delete from agencies where id = $1", &[&demo::DEMO.id]).await.unwrap();
    let told = all(&app).await.split_off(before);
    assert_eq!(events(&told), [("deleted", &platform)], "only a row that was bought has an entry: {told:#?}");
    assert_eq!((&told[0]["agency_phone_number_id"], &told[0]["agency_id"]), (&row["id"], &json!(demo::DEMO.id)));
    assert_eq!(told[0]["phone_number"], row["phone_number"]);
    assert_eq!(told[0]["changes"]["phone_number_id"], json!({"from": row["phone_number_id"], "to": null}));
}

#[tokio::test]
async fn the_history_shows_amounts_and_times_as_the_row_does() {
    let app = TestApp::new().await;
    let row = app.insert(json!({"monthly_cost": 1.5})).await;
    let update = "\
set timezone = 'Asia/Tokyo';
update agency_phone_numbers
set monthly_cost = 0.0035, setup_cost = 1200, purchased_at = '2026-01-02T03:04:05.678901Z', friendly_name = '2026-01-02T03:04:05+09:00';
reset timezone";
    app.sql.batch_execute(update).await.unwrap();
    let told = history(&app, &row).await;
    let expected = json!({
        "monthly_cost": {"from": "1.50", "to": "0.0035"},
        "setup_cost": {"from": null, "to": "1200.00"},
        "purchased_at": {"from": null, "to": "2026-01-02T03:04:05.678901Z"},
        "friendly_name": {"from": null, "to": "2026-01-02T03:04:05+09:00"},
    });
    assert_eq!(told[1]["changes"], expected);
}

#[tokio::test]
async fn the_actor_is_reset_with_the_transaction() {
    let app = TestApp::new().await;
    let row = app.insert(json!({})).await;
    let work = "\
begin;
select set_config('phone_numbers.actor', 'operator', true), set_config('phone_numbers.event', 'reconciled', true);
update agency_phone_numbers set status = 'inactive';
commit;
update agency_phone_numbers set status = 'active'";
    app.sql.batch_execute(work).await.unwrap();
    let told = history(&app, &row).await;
    let (operator, platform) = (json!("operator"), json!("platform"));
    assert_eq!(events(&told), [("bought", &platform), ("reconciled", &operator), ("changed", &platform)]);
}

#[tokio::test]
async fn nobody_rewrites_history() {
    let app = TestApp::new().await;
    assigned(&app).await;
    let before = all(&app).await;
    assert_eq!(before.len(), 1);
    for statement in [
        "update phone_number_history set actor = 'nobody'",
        "update phone_number_history set actor = actor where false",
        "delete from phone_number_history",
        "delete from phone_number_history where false",
        "truncate phone_number_history",
        "truncate agency_phone_numbers, phone_number_history cascade",
        "insert into phone_number_history (id, event, actor) overriding system value
         select h.id, 'changed', 'nobody' from phone_number_history h
         on conflict (id) do update set actor = 'nobody'",
    ] {
        let error = app.sql.batch_execute(statement).await.expect_err(statement);
        let error = error.as_db_error().unwrap();
        assert_eq!((error.code().code(), error.message()), ("55000", "phone_number_history is append-only"), "{statement}");
    }
    assert_eq!(all(&app).await, before);
}

#[tokio::test]
async fn an_entry_needs_a_known_event() {
    let app = TestApp::new().await;
    let insert = "insert into phone_number_history (event, actor) values ('forgotten', 'nobody')";
    let error = app.sql.batch_execute(insert).await.unwrap_err();
    assert_eq!(error.as_db_error().unwrap().constraint(), Some("phone_number_history_event_known"));
}

#[tokio::test]
async fn history_is_shown_on_request_to_the_agency_that_has_the_number() {
    let app = TestApp::new().await;
    let row = assigned(&app).await;
    let id = row["id"].as_str().unwrap();
    let show = async |user: &str, query: &str| app.assign(user, Method::GET, query, None).await;
    for query in [format!("id={id}"), format!("id={id}&include_history=false")] {
        assert_eq!(show("member", &query).await.expect(200).body.get("history"), None, "{query}");
    }
    let told = history(&app, &row).await;
    assert_eq!(show("owner", &format!("phone_number_id={id}&include_history=true")).await.expect(200).body["history"], json!(told));
    for query in ["include_history=true", "include_history=false", "include_history=true&status=active"] {
        assert_eq!(show("owner", query).await.expect_problem(400, "invalid_request").fields(), ["include_history"], "{query}");
    }
    for neither in ["", "yes", "1"] {
        let refused = show("owner", &format!("id={id}&include_history={neither}")).await.expect(400);
        assert_eq!(refused.fields(), ["include_history"], "{neither}");
    }
    let query = format!("id={id}&include_history=true");
    let theirs = show("other_owner", &query).await.expect_problem(404, "not_found");
    let nobodys = show("other_owner", "id=00000000-0000-4000-8000-000000000000&include_history=true").await.expect(404);
    assert_eq!((&theirs.body["detail"], &theirs.body["errors"]), (&nobodys.body["detail"], &nobodys.body["errors"]));
    show("client_viewer", &query).await.expect_problem(403, "forbidden");
}

#[tokio::test]
async fn each_life_of_a_number_has_its_own_history_and_nobody_elses_entries() {
    let app = TestApp::new().await;
    let first = assigned(&app).await;
    let number = first["phone_number"].as_str().unwrap();
    app.release("owner", release_of(&first)).await.expect(200);
    let second = app.purchase("admin", order_of(number)).await.expect(200).number().clone();
    let (owner, admin) = (user("owner"), user("admin"));
    let of_first = history(&app, &first).await;
    assert_eq!(events(&of_first), [("bought", &owner), ("unassigned", &owner), ("released", &owner)]);
    assert_eq!(events(&history(&app, &second).await), [("bought", &admin)]);

    // Decisions about the number in general, and entries of another agency.
    let insert = "insert into phone_number_history (agency_id, agency_phone_number_id, phone_number, event, actor)
                  select n.agency_id, n.row_id, n.phone_number, 'reconciled', 'operator'
                  from jsonb_to_recordset($1) as n (agency_id uuid, row_id uuid, phone_number text)";
    let entries = json!([
        {"agency_id": null, "row_id": null, "phone_number": number},
        {"agency_id": demo::DEMO.id, "row_id": null, "phone_number": number},
        {"agency_id": null, "row_id": second["id"], "phone_number": number},
        {"agency_id": demo::OTHER.id, "row_id": second["id"], "phone_number": number},
    ]);
    assert_eq!(app.sql.execute(insert, &[&tokio_postgres::types::Json(entries)]).await.unwrap(), 4);
    assert_eq!(history(&app, &first).await, of_first);
    assert_eq!(events(&history(&app, &second).await), [("bought", &admin)]);
}

#[tokio::test]
async fn what_is_sent_twice_over_a_broken_connection_is_told_once() {
    let mut app = TestApp::new().await;
    let proxy = app.with_fault_proxy().await;
    let number = app.offer().await;
    proxy.inject("purchases.finish.complete", Moment::After, Fault::Cut);
    let row = app.purchase("owner", order_of(&number)).await.expect(200).number().clone();
    let to_agent = json!({"id": row["id"], "agent_mapping_id": agent(&demo::DEMO, 0)});
    proxy.inject("numbers.change.update", Moment::After, Fault::Cut);
    app.assign("owner", Method::POST, "", Some(to_agent)).await.expect(200);
    proxy.inject("releases.begin.insert", Moment::After, Fault::Cut);
    proxy.inject("releases.finish.complete", Moment::After, Fault::Cut);
    app.release("owner", release_of(&row)).await.expect(200);
    assert_eq!(proxy.injected(), 4);
    let owner = user("owner");
    let expected = [("bought", &owner), ("assigned", &owner), ("unassigned", &owner), ("released", &owner)];
    assert_eq!(events(&history(&app, &row).await), expected);
}

#[tokio::test]
async fn a_release_is_recorded_for_its_first_user_whichever_process_finishes_it() {
    let mut app = TestApp::new().await;
    let row = assigned(&app).await;
    app.set("LEASE_MS", "150");
    app.fault(json!({"method": "DELETE", "path_prefix": "/v2/phone_numbers", "kind": "delay", "delay_ms": 30_000})).await;
    tokio::select! {
        biased;
        () = eventually(async || (app.asked("DELETE", "/v2/phone_numbers") == 1).then_some(())) => {}
        reply = app.release("owner", release_of(&row)) => panic!("{reply:#?}"),
    }
    clear_faults(&app).await;
    app.sql.execute("update users set role = 'agency_owner' where email = 'admin@demo.example'", &[]).await.unwrap();
    app.release("admin", release_of(&row)).await.expect(200);
    let owner = user("owner");
    assert_eq!(events(&history(&app, &row).await), [("bought", &owner), ("unassigned", &owner), ("released", &owner)]);
    balance(&app).await;
}
