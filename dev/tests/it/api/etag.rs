//! Conditional writes: `ETag` and `If-Match`.

use dev::demo;
use futures_util::future::join_all;
use lambda_http::Body;
use lambda_http::http::{Method, Request};
use phone_numbers_assign::Assign;
use serde_json::{Value, json};

use crate::support::app::{Reply, TestApp, agent, raw};

const NOBODYS: &str = "00000000-0000-4000-8000-000000000000";

/// A write with these tags in `If-Match`.
async fn write(app: &TestApp, method: Method, body: Value, tags: &str) -> Reply {
    let request = Request::builder()
        .method(method)
        .uri("https://api.example.com/")
        .header("authorization", format!("Bearer {}", app.token("admin")))
        .header("content-type", "application/json")
        .header("if-match", tags);
    raw(&app.function::<Assign>(), request.body(Body::from(body.to_string())).unwrap()).await
}

/// Every write.
fn writes(row: &Value) -> [(Method, Value); 3] {
    [
        (Method::POST, json!({"id": row["id"], "agent_mapping_id": agent(&demo::DEMO, 0)})),
        (Method::PATCH, json!({"id": row["id"], "friendly_name": "Night line"})),
        (Method::DELETE, json!({"id": row["id"]})),
    ]
}

async fn tag(app: &TestApp, row: &Value) -> String {
    let shown = app.assign("member", Method::GET, &format!("id={}", row["id"].as_str().unwrap()), None).await;
    shown.expect(200).header("etag").to_owned()
}

#[tokio::test]
async fn a_row_has_a_tag_that_lasts_until_it_changes() {
    let app = TestApp::new().await;
    let row = app.insert(json!({})).await;
    let first = tag(&app, &row).await;
    assert!(first.len() > 2 && first.starts_with('"') && first.ends_with('"'), "{first}");
    let id = row["id"].as_str().unwrap();
    let with_history = app.assign("member", Method::GET, &format!("id={id}&include_history=true"), None).await.expect(200);
    assert_eq!(with_history.header("etag"), first);

    let body = json!({"phone_number_id": id, "friendly_name": "Night line"});
    let changed = app.assign("admin", Method::PATCH, "", Some(body)).await.expect(200);
    assert_ne!(changed.header("etag"), first);
    assert_eq!(changed.header("etag"), tag(&app, &row).await);

    app.execute("update agency_phone_numbers set sms_enabled = not sms_enabled").await;
    assert_ne!(changed.header("etag"), tag(&app, &row).await);
}

#[tokio::test]
async fn a_write_goes_through_with_the_tag_that_was_read_and_with_no_older_one() {
    let app = TestApp::new().await;
    let row = app.insert(json!({})).await;
    let mut current = tag(&app, &row).await;
    for (method, body) in writes(&row) {
        let written = write(&app, method.clone(), body.clone(), &current).await.expect(200);
        let before = app.everything().await;
        write(&app, method.clone(), body.clone(), &current).await.expect_problem(412, "precondition_failed");
        assert_eq!(app.everything().await, before, "{method}");
        current = written.header("etag").to_owned();
    }
}

#[tokio::test]
async fn of_many_who_have_read_the_same_one_writes() {
    let app = TestApp::new().await;
    let row = app.insert(json!({})).await;
    let read = tag(&app, &row).await;
    let names = (0..8).map(|name| json!({"id": row["id"], "friendly_name": format!("Line {name}")}));
    let replies = join_all(names.map(|body| write(&app, Method::PATCH, body, &read))).await;
    let mut statuses: Vec<_> = replies.iter().map(|reply| reply.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![200], vec![412; 7]].concat());
    let written = replies.iter().find(|reply| reply.status == 200).unwrap();
    assert_eq!(app.now(&row).await["friendly_name"], written.body["phone_number"]["friendly_name"]);
}

#[tokio::test]
async fn one_tag_of_several_will_do_and_a_star_means_any() {
    let app = TestApp::new().await;
    let row = app.insert(json!({})).await;
    let body = json!({"id": row["id"], "friendly_name": "Night line"});
    for tags in [format!("\"1\", {}", tag(&app, &row).await), "*".to_owned()] {
        write(&app, Method::PATCH, body.clone(), &tags).await.expect(200);
    }
    // A weak tag means equivalent, which is not enough for a write.
    for tags in [format!("W/{}", tag(&app, &row).await), "\"1\"".to_owned(), "\"another's\"".to_owned()] {
        write(&app, Method::PATCH, body.clone(), &tags).await.expect_problem(412, "precondition_failed");
    }
}

#[tokio::test]
async fn a_tag_of_a_time_that_no_row_can_have_matches_none() {
    let app = TestApp::new().await;
    let row = app.insert(json!({})).await;
    for (method, body) in writes(&row) {
        for micros in [i64::MIN, -210_866_803_200_000_001, -210_866_803_200_000_000, 8_210_266_876_799_999_999, i64::MAX] {
            write(&app, method.clone(), body.clone(), &format!("\"{micros}\"")).await.expect_problem(412, "precondition_failed");
        }
    }
}

#[tokio::test]
async fn what_is_no_tag_is_refused_by_name() {
    let app = TestApp::new().await;
    let row = app.insert(json!({})).await;
    for (method, body) in writes(&row) {
        for tags in ["", "1", "\"1", "W/1"] {
            let refused = write(&app, method.clone(), body.clone(), tags).await.expect_problem(400, "invalid_request");
            assert_eq!(refused.fields(), ["If-Match"], "{method} {tags:?}");
        }
    }
}

#[tokio::test]
async fn what_could_not_be_written_anyway_is_told_first() {
    let app = TestApp::new().await;
    let row = app.insert(json!({})).await;
    let released = app.insert(json!({"status": "released"})).await;
    let pending = app.insert(json!({"status": "pending"})).await;
    let theirs = app.insert(json!({"agency_id": demo::OTHER.id})).await;
    for (body, status, code) in [
        (json!({"id": NOBODYS, "friendly_name": "x"}), 404, "not_found"),
        (json!({"id": theirs["id"], "friendly_name": "x"}), 404, "not_found"),
        (json!({"id": released["id"], "friendly_name": "x"}), 409, "phone_number_released"),
        (json!({"id": pending["id"], "status": "inactive"}), 409, "purchase_in_progress"),
        (json!({"id": pending["id"], "friendly_name": "x"}), 412, "precondition_failed"),
    ] {
        write(&app, Method::PATCH, body, "\"1\"").await.expect_problem(status, code);
    }
    let nobody = json!({"id": row["id"], "agent_mapping_id": NOBODYS});
    write(&app, Method::POST, nobody, "\"1\"").await.expect_problem(404, "not_found");
}
