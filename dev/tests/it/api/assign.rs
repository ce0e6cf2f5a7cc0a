//! Assigning and unassigning numbers, and their settings.

use std::collections::BTreeSet;

use dev::demo;
use lambda_http::http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::app::{Reply, TestApp, agent};

const NOBODYS: &str = "00000000-0000-4000-8000-000000000000";

fn id(row: &Value) -> &str {
    row["id"].as_str().unwrap()
}

async fn post(app: &TestApp, body: Value) -> Reply {
    app.assign("admin", Method::POST, "", Some(body)).await
}

async fn patch(app: &TestApp, body: Value) -> Reply {
    app.assign("admin", Method::PATCH, "", Some(body)).await
}

async fn delete(app: &TestApp, query: &str) -> Reply {
    app.assign("admin", Method::DELETE, query, None).await
}

async fn get(app: &TestApp, query: &str) -> Reply {
    app.assign("member", Method::GET, query, None).await
}

/// The current row in the function's answer.
async fn shown(app: &TestApp, row: &Value) -> Value {
    get(app, &format!("id={}", id(row))).await.expect(200).body["phone_number"].clone()
}

/// Every write, about one row.
async fn writes(app: &TestApp, id: &str) -> Vec<Reply> {
    vec![
        post(app, json!({"phone_number_id": id, "agent_mapping_id": agent(&demo::DEMO, 0)})).await,
        patch(app, json!({"phone_number_id": id, "friendly_name": "Front desk"})).await,
        patch(app, json!({"phone_number_id": id, "status": "inactive"})).await,
        delete(app, &format!("phone_number_id={id}")).await,
        app.assign("owner", Method::DELETE, "", Some(json!({"phone_number_id": id}))).await,
    ]
}

/// The body without the members that differ between answers.
fn words(reply: Reply) -> Value {
    let mut body = reply.body;
    body.as_object_mut().unwrap().remove("request_id").expect("an id");
    body
}

#[tokio::test]
async fn one_number_is_shown_with_its_agent() {
    let app = TestApp::new().await;
    let row = app.insert(json!({"agent_mapping_id": agent(&demo::DEMO, 1)})).await;
    app.insert(json!({})).await;
    let one = get(&app, &format!("id={}", id(&row))).await.expect(200);
    assert_eq!(one.body.as_object().unwrap().keys().collect::<Vec<_>>(), ["phone_number"]);
    assert_eq!(one.body["phone_number"]["agent_mappings"]["ultravox_agent_name"], "Ventas");
    let listed = app.list("member", "assigned=true").await.expect(200);
    assert_eq!(one.body["phone_number"], *listed.number());
}

#[tokio::test]
async fn all_numbers_are_shown_with_the_agents_they_could_have() {
    let app = TestApp::new().await;
    let assigned = app.insert(json!({"agent_mapping_id": agent(&demo::DEMO, 0)})).await;
    let unassigned = app.insert(json!({"status": "inactive"})).await;
    let released = app.insert(json!({"status": "released"})).await;
    app.insert(json!({"agency_id": demo::OTHER.id})).await;
    for (query, rows) in [
        ("", vec![&assigned, &unassigned]),
        ("assigned=true", vec![&assigned]),
        ("unassigned=true", vec![&unassigned]),
        ("assigned=false&unassigned=false", vec![&assigned, &unassigned]),
        ("status=active", vec![&assigned]),
        ("status=inactive", vec![&unassigned]),
        ("status=released", vec![&released]),
        ("status=pending", vec![]),
        ("status=inactive&assigned=true", vec![]),
        ("status=inactive&unassigned=true", vec![&unassigned]),
    ] {
        let all = get(&app, query).await.expect(200);
        let shown: BTreeSet<_> = all.body["phone_numbers"].as_array().unwrap().iter().map(id).collect();
        assert_eq!(shown, rows.into_iter().map(id).collect(), "{query}");
        let agents: Vec<_> =
            all.body["available_agents"].as_array().unwrap().iter().map(|agent| agent["ultravox_agent_name"].clone()).collect();
        assert_eq!(agents, ["Reception", "Ventas"]);
    }
    let both = get(&app, "assigned=true&unassigned=true").await.expect_problem(400, "invalid_request");
    assert_eq!(both.fields(), ["unassigned"]);
}

#[tokio::test]
async fn a_number_is_assigned_and_assigning_it_again_changes_nothing() {
    let app = TestApp::new().await;
    let row = app.insert(json!({})).await;
    let order = json!({"phone_number_id": row["id"], "agent_mapping_id": agent(&demo::DEMO, 0)});
    let first = post(&app, order.clone()).await.expect(200);
    assert_eq!((&first.body["success"], first.body["message"].is_string()), (&json!(true), true));
    let number = &first.body["phone_number"];
    assert_eq!(number["agent_mapping_id"], json!(agent(&demo::DEMO, 0)));
    assert_eq!(number["agent_mappings"]["ultravox_agent_name"], "Reception");
    assert_eq!(number["direction"], "inbound");
    assert_eq!(*number, shown(&app, &row).await);

    let mut again = post(&app, order).await.expect(200).body["phone_number"].take();
    again["updated_at"] = number["updated_at"].clone();
    assert_eq!(again, *number);
}

#[tokio::test]
async fn a_direction_comes_with_an_assignment_or_stays_as_it_was() {
    let app = TestApp::new().await;
    let row = app.insert(json!({"direction": "outbound"})).await;
    for (direction, expected) in [(json!(null), "outbound"), (json!("inbound"), "inbound"), (json!("outbound"), "outbound")] {
        let order = json!({"phone_number_id": row["id"], "agent_mapping_id": agent(&demo::DEMO, 0), "direction": direction});
        assert_eq!(post(&app, order).await.expect(200).body["phone_number"]["direction"], expected);
    }
}

#[tokio::test]
async fn each_setting_is_changed_alone() {
    let app = TestApp::new().await;
    let row = app.insert(json!({"friendly_name": "Old", "agent_mapping_id": agent(&demo::DEMO, 1), "monthly_cost": 1})).await;
    for (setting, value) in [
        ("friendly_name", json!("Front desk")),
        ("direction", json!("outbound")),
        ("voice_enabled", json!(false)),
        ("sms_enabled", json!(true)),
        ("mms_enabled", json!(true)),
        ("status", json!("inactive")),
        ("status", json!("active")),
        ("voice_enabled", json!(true)),
        ("friendly_name", json!(null)),
    ] {
        let mut expected = shown(&app, &row).await;
        assert_ne!(expected[setting], value, "{setting} is so already");
        expected[setting] = value.clone();
        let mut body = json!({"phone_number_id": row["id"]});
        body[setting] = value;
        let mut changed = patch(&app, body).await.expect(200).body["phone_number"].take();
        assert_eq!(changed, shown(&app, &row).await);
        assert_ne!(changed["updated_at"].take(), expected["updated_at"].take(), "{setting}");
        assert_eq!(changed, expected);
    }
}

#[tokio::test]
async fn all_settings_are_changed_at_once_and_again_to_no_effect() {
    let app = TestApp::new().await;
    let row = app.insert(json!({})).await;
    let settings = json!({
        "phone_number_id": row["id"], "friendly_name": "  Büro ☎  ", "direction": "outbound", "voice_enabled": false, "sms_enabled": true,
        "mms_enabled": true, "status": "inactive",
    });
    let first = patch(&app, settings.clone()).await.expect(200).body["phone_number"].take();
    assert_eq!(first["friendly_name"], "Büro ☎");
    for setting in ["direction", "voice_enabled", "sms_enabled", "mms_enabled", "status"] {
        assert_eq!(first[setting], settings[setting], "{setting}");
    }
    let mut again = patch(&app, settings).await.expect(200).body["phone_number"].take();
    again["updated_at"] = first["updated_at"].clone();
    assert_eq!(again, first);
}

#[tokio::test]
async fn a_change_of_nothing_is_refused() {
    let app = TestApp::new().await;
    let row = app.insert(json!({"friendly_name": "Old"})).await;
    let before = app.rows().await;
    let reply = patch(&app, json!({"phone_number_id": row["id"]})).await.expect_problem(400, "invalid_request");
    assert_eq!(reply.fields(), ["friendly_name"]);
    for status in [json!("pending"), json!("released"), json!("gone"), json!(""), json!(true)] {
        let reply = patch(&app, json!({"phone_number_id": row["id"], "status": status})).await.expect_problem(400, "invalid_request");
        assert_eq!(reply.fields(), ["status"]);
    }
    assert_eq!(app.rows().await, before);
}

#[tokio::test]
async fn a_number_that_is_not_bought_yet_has_no_status_to_choose() {
    let app = TestApp::new().await;
    let row = app.insert(json!({"status": "pending"})).await;
    for status in ["active", "inactive"] {
        let body = json!({"phone_number_id": row["id"], "status": status, "friendly_name": "New"});
        let reply = patch(&app, body).await.expect_problem(409, "purchase_in_progress");
        assert_eq!(reply.body["retryable"], true);
    }
    assert_eq!(shown(&app, &row).await["friendly_name"], json!(null));
    let named = patch(&app, json!({"phone_number_id": row["id"], "friendly_name": "New"})).await.expect(200);
    assert_eq!((&named.body["phone_number"]["status"], &named.body["phone_number"]["friendly_name"]), (&json!("pending"), &json!("New")));
    let assigned = post(&app, json!({"phone_number_id": row["id"], "agent_mapping_id": agent(&demo::DEMO, 0)})).await.expect(200);
    assert_eq!(assigned.body["phone_number"]["status"], "pending");
}

#[tokio::test]
async fn a_number_is_unassigned_by_query_or_by_body_and_again_to_no_effect() {
    let app = TestApp::new().await;
    let row = app.insert(json!({})).await;
    let (id, body) = (id(&row), |name: &str| Some(json!({name: row["id"]})));
    for (query, body) in [
        (format!("phone_number_id={id}"), None),
        (format!("id={id}"), None),
        (String::new(), body("phone_number_id")),
        (String::new(), body("id")),
    ] {
        post(&app, json!({"phone_number_id": id, "agent_mapping_id": agent(&demo::DEMO, 0)})).await.expect(200);
        for _ in 0..2 {
            let freed = app.assign("admin", Method::DELETE, &query, body.clone()).await.expect(200);
            assert_eq!(freed.body["success"], true);
            assert_eq!(
                (&freed.body["phone_number"]["agent_mapping_id"], &freed.body["phone_number"]["agent_mappings"]),
                (&Value::Null, &Value::Null)
            );
        }
        assert_eq!(shown(&app, &row).await["agent_mapping_id"], Value::Null);
    }
}

#[tokio::test]
async fn a_row_goes_by_either_name_and_by_both_if_they_agree() {
    let app = TestApp::new().await;
    let (row, other) = (app.insert(json!({})).await, app.insert(json!({})).await);
    let (row, other) = (&row["id"], &other["id"]);
    let agent = agent(&demo::DEMO, 0);
    post(&app, json!({"id": row, "agent_mapping_id": agent})).await.expect(200);
    patch(&app, json!({"id": row, "phone_number_id": row, "friendly_name": "Front desk"})).await.expect(200);
    let text = |id: &Value| id.as_str().unwrap().to_owned();
    get(&app, &format!("phone_number_id={}", text(row))).await.expect(200);
    for reply in [
        post(&app, json!({"id": row, "phone_number_id": other, "agent_mapping_id": agent})).await,
        patch(&app, json!({"id": row, "phone_number_id": other, "friendly_name": "Back office"})).await,
        delete(&app, &format!("id={}&phone_number_id={}", text(row), text(other))).await,
        get(&app, &format!("id={}&phone_number_id={}", text(row), text(other))).await,
    ] {
        assert_eq!(reply.expect_problem(400, "invalid_request").fields(), ["phone_number_id"]);
    }
    let names: Vec<_> = app.rows().await.into_iter().map(|mut row| row["friendly_name"].take()).collect();
    assert_eq!(names, [json!("Front desk"), Value::Null]);
}

#[tokio::test]
async fn without_a_row_there_is_nothing_to_write() {
    let app = TestApp::new().await;
    for reply in [
        post(&app, json!({"agent_mapping_id": agent(&demo::DEMO, 0)})).await,
        patch(&app, json!({"friendly_name": "Front desk"})).await,
        delete(&app, "").await,
        app.assign("admin", Method::DELETE, "", Some(json!({}))).await,
    ] {
        assert_eq!(reply.expect_problem(400, "invalid_request").fields(), ["phone_number_id"]);
    }
    let row = app.insert(json!({})).await;
    let reply = post(&app, json!({"phone_number_id": row["id"]})).await.expect_problem(400, "invalid_request");
    assert_eq!(reply.fields(), ["agent_mapping_id"]);
}

#[tokio::test]
async fn a_row_of_another_agency_is_answered_like_one_that_never_was() {
    let app = TestApp::new().await;
    for status in ["active", "pending", "released"] {
        let theirs = app.insert(json!({"agency_id": demo::OTHER.id, "status": status})).await;
        let before = app.rows().await;
        for (foreign, never) in writes(&app, id(&theirs)).await.into_iter().zip(writes(&app, NOBODYS).await) {
            let (foreign, never) = (foreign.expect_problem(404, "not_found"), never.expect_problem(404, "not_found"));
            assert_eq!(foreign.fields(), ["phone_number_id"]);
            assert_eq!(words(foreign), words(never));
        }
        let foreign = get(&app, &format!("id={}", id(&theirs))).await.expect_problem(404, "not_found");
        assert_eq!(words(foreign), words(get(&app, &format!("id={NOBODYS}")).await));
        assert_eq!(app.rows().await, before);
    }
}

#[tokio::test]
async fn an_agent_of_another_agency_is_answered_like_one_that_never_was() {
    let app = TestApp::new().await;
    let row = app.insert(json!({})).await;
    let order = |agent: &str| json!({"phone_number_id": row["id"], "agent_mapping_id": agent});
    let foreign = post(&app, order(&agent(&demo::OTHER, 0).to_string())).await.expect_problem(404, "not_found");
    assert_eq!(foreign.fields(), ["agent_mapping_id"]);
    assert_eq!(words(foreign), words(post(&app, order(NOBODYS)).await.expect_problem(404, "not_found")));
    assert_eq!(shown(&app, &row).await["agent_mapping_id"], Value::Null);
}

#[tokio::test]
async fn the_database_itself_refuses_an_agent_of_another_agency() {
    let app = TestApp::new().await;
    let row = app.insert(json!({})).await;
    let id: Uuid = id(&row).parse().unwrap();
    let assign = "update agency_phone_numbers set agent_mapping_id = $2 where id = $1";
    let refused = app.sql.execute(assign, &[&id, &agent(&demo::OTHER, 0)]).await.unwrap_err();
    assert_eq!(refused.as_db_error().unwrap().constraint(), Some("agency_phone_numbers_agent_same_agency"));
    app.sql.execute(assign, &[&id, &agent(&demo::DEMO, 0)]).await.unwrap();
    let hand_over = "update agency_phone_numbers set agency_id = $2 where id = $1";
    assert!(app.sql.execute(hand_over, &[&id, &demo::OTHER.id]).await.is_err());
    let insert = "insert into agency_phone_numbers (agency_id, phone_number, agent_mapping_id) values ($1, '+13125550199', $2)";
    assert!(app.sql.execute(insert, &[&demo::DEMO.id, &agent(&demo::OTHER, 0)]).await.is_err());
    assert_eq!(shown(&app, &row).await["agent_mapping_id"], json!(agent(&demo::DEMO, 0)));
}

#[tokio::test]
async fn a_released_number_takes_no_more_changes() {
    let app = TestApp::new().await;
    let row = app.insert(json!({"status": "released", "is_active": false})).await;
    let before = app.rows().await;
    for reply in writes(&app, id(&row)).await {
        let reply = reply.expect_problem(409, "phone_number_released");
        assert_eq!(reply.body["retryable"], false);
    }
    assert_eq!(app.rows().await, before);
    assert_eq!(shown(&app, &row).await["status"], "released");
}

#[tokio::test]
async fn a_number_whose_release_has_begun_takes_no_more_changes() {
    let app = TestApp::new().await;
    let row = app.insert(json!({})).await;
    app.sql.batch_execute("update agency_phone_numbers set is_active = false").await.unwrap();
    for reply in writes(&app, id(&row)).await {
        reply.expect_problem(409, "phone_number_released");
    }
    app.sql.batch_execute("update agency_phone_numbers set is_active = true").await.unwrap();
    for reply in writes(&app, id(&row)).await {
        reply.expect(200);
    }
}

#[tokio::test]
async fn every_write_moves_updated_at_and_nothing_else_of_time() {
    let app = TestApp::new().await;
    let row = app.insert(json!({"created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"})).await;
    let mut last = "2026-01-01T00:00:00Z".to_owned();
    for reply in writes(&app, id(&row)).await {
        let number = &reply.expect(200).body["phone_number"];
        let updated = number["updated_at"].as_str().unwrap().to_owned();
        assert!(updated > last, "{updated} after {last}");
        assert_eq!(number["created_at"], "2026-01-01T00:00:00Z");
        assert_eq!((&number["purchased_at"], &number["released_at"]), (&Value::Null, &Value::Null));
        last = updated;
    }
}

#[tokio::test]
async fn an_agent_that_is_deleted_leaves_its_numbers_unassigned() {
    let app = TestApp::new().await;
    let row = app.insert(json!({"agent_mapping_id": agent(&demo::DEMO, 0)})).await;
    app.sql.execute("delete from agent_mappings where id = $1", &[&agent(&demo::DEMO, 0)]).await.unwrap();
    let number = shown(&app, &row).await;
    assert_eq!((&number["agent_mapping_id"], &number["agent_mappings"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn assignments_at_once_end_in_one_of_them_whole() {
    let app = TestApp::new().await;
    let row = app.insert(json!({})).await;
    let order = |at: usize| {
        let direction = ["inbound", "outbound"][at];
        json!({"phone_number_id": row["id"], "agent_mapping_id": agent(&demo::DEMO, at), "direction": direction})
    };
    for _ in 0..5 {
        let replies = tokio::join!(
            post(&app, order(0)),
            post(&app, order(1)),
            post(&app, order(0)),
            post(&app, order(1)),
            patch(&app, json!({"phone_number_id": row["id"], "friendly_name": "Front desk"})),
        );
        for (at, reply) in [replies.0, replies.1, replies.2, replies.3].into_iter().enumerate() {
            let number = &reply.expect(200).body["phone_number"];
            assert_eq!(number["agent_mapping_id"], json!(agent(&demo::DEMO, at % 2)));
            assert_eq!(number["direction"], ["inbound", "outbound"][at % 2]);
        }
        replies.4.expect(200);
        let end = shown(&app, &row).await;
        let whole =
            (0..2).any(|at| end["agent_mapping_id"] == json!(agent(&demo::DEMO, at)) && end["direction"] == ["inbound", "outbound"][at]);
        assert!(whole && end["friendly_name"] == "Front desk", "{end:#}");
    }
}

#[tokio::test]
async fn an_id_in_the_query_and_a_body_beside_it_are_refused() {
    let app = TestApp::new().await;
    let row = app.insert(json!({"agent_mapping_id": agent(&demo::DEMO, 0)})).await;
    let query = format!("id={}", row["id"].as_str().unwrap());
    let reply = app.assign("admin", Method::DELETE, &query, Some(json!({"id": row["id"]}))).await;
    assert_eq!(reply.expect_problem(400, "invalid_request").fields(), ["id"]);
    assert_eq!(shown(&app, &row).await["agent_mapping_id"], json!(agent(&demo::DEMO, 0)));
}

#[tokio::test]
async fn only_a_name_can_be_null() {
    let app = TestApp::new().await;
    let row = app.insert(json!({})).await;
    for setting in ["direction", "voice_enabled", "sms_enabled", "mms_enabled", "status"] {
        let reply = patch(&app, json!({"phone_number_id": row["id"], setting: null})).await;
        assert_eq!(reply.expect_problem(400, "invalid_request").fields(), [setting]);
    }
}

#[tokio::test]
async fn an_agent_that_the_platform_moved_to_another_agency_is_not_shown() {
    let app = TestApp::new().await;
    let row = app.insert(json!({"agent_mapping_id": agent(&demo::DEMO, 0)})).await;
    let (agency, moved) = (demo::OTHER.id, agent(&demo::DEMO, 0));
    assert_eq!(app.sql.execute("update agent_mappings set agency_id = $1 where id = $2", &[&agency, &moved]).await.unwrap(), 1);
    assert_eq!(shown(&app, &row).await["agent_mappings"], Value::Null);
    assert_eq!(app.list("owner", "").await.expect(200).number()["agent_mappings"], Value::Null);
}
