//! Permissions: every role with every method of every function, read from the platform's `users` each time. The expected
//! permissions are those of `docs/api.md`.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use dev::demo;
use lambda_http::Body;
use serde_json::{Value, json};
use shared::model::PERMISSIONS;
use uuid::Uuid;

use crate::documents::table;
use crate::support::app::{TestApp, agent};
use crate::support::functions::{Call, FUNCTIONS, Functions, calls, page};

const ROLES: [&str; 6] = ["agency_owner", "agency_admin", "agency_member", "client_admin", "client_viewer", "admin"];

/// The table in `docs/api.md`: for each request, the permitted roles.
fn permitted() -> Vec<(String, Vec<String>)> {
    let api = std::fs::read_to_string(dev::workspace::root().join("docs/api.md")).unwrap();
    let rows = table(&api, &["request", "permitted roles"]).into_iter();
    rows.map(|row| (row[0].clone(), row[1].split(", ").map(|role| role.trim_matches('`').to_owned()).collect())).collect()
}

fn may(role: &str, call: &Call) -> bool {
    static PERMITTED: LazyLock<Vec<(String, Vec<String>)>> = LazyLock::new(permitted);
    let request = format!("`{} /{}`", call.method, call.function);
    let (_, roles) = PERMITTED.iter().find(|(known, _)| *known == request).unwrap_or_else(|| panic!("{request} is not in docs/api.md"));
    roles.iter().any(|permitted| permitted == role)
}

/// The answer to a permitted role: the number of the purchase is not on offer, the row of the release does not exist.
fn success(call: &Call) -> u16 {
    match call.function {
        "phone-numbers-purchase" => 409,
        "phone-numbers-release" => 207,
        _ => 200,
    }
}

/// A valid call of each method. The row of the release does not exist, so that all roles can make the same calls.
fn calls_about(row: &Value) -> Vec<Call> {
    let mut calls = calls(row["id"].as_str().unwrap(), &agent(&demo::DEMO, 0).to_string());
    let release = calls.iter_mut().find(|call| call.function == "phone-numbers-release").unwrap();
    release.body = Some(json!({"phone_number_ids": [Uuid::new_v4()], "confirm": true}));
    calls
}

async fn user(app: &TestApp, role: &str, agency: Option<Uuid>) -> Uuid {
    let id = Uuid::new_v4();
    let insert = "insert into users (id, agency_id, role, email) values ($1, $2, $3::text::user_role, 'somebody@example.com')";
    app.sql.execute(insert, &[&id, &agency, &role]).await.unwrap();
    id
}

#[test]
fn the_permissions_and_the_contract_list_every_method_of_every_function() {
    let name = |function: &str, method: &str| format!("`{method} /{function}`");
    let methods = FUNCTIONS.iter().flat_map(|(function, methods)| methods.iter().map(move |method| name(function, method)));
    let methods: BTreeSet<_> = methods.collect();
    let permissions = PERMISSIONS.iter().map(|(function, method, _)| name(function, method));
    assert_eq!((PERMISSIONS.len(), permissions.collect()), (methods.len(), methods.clone()));
    assert_eq!(permitted().into_iter().map(|(request, _)| request).collect::<BTreeSet<_>>(), methods);
}

#[tokio::test]
async fn each_role_may_do_what_the_contract_says_and_no_more() {
    let app = TestApp::new().await;
    let functions = Functions::start(&app);
    let row = app.insert(json!({})).await;
    for role in ROLES {
        let token = app.issuer.token(user(&app, role, Some(demo::DEMO.id)).await, "");
        for call in calls_about(&row) {
            let before = app.rows().await;
            let reply = functions.call(&token, &call).await;
            if may(role, &call) {
                assert_eq!(reply.status, success(&call), "{role} at {call:?}: {:#}", reply.body);
            } else {
                assert_eq!(reply.status, 403, "{role} at {call:?}: {:#}", reply.body);
                reply.expect_problem(403, "forbidden");
                assert_eq!(app.rows().await, before, "{role} changed something with {call:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_refused_role_learns_nothing_about_rows() {
    let app = TestApp::new().await;
    let functions = Functions::start(&app);
    let there = app.insert(json!({})).await;
    let foreign = app.insert(json!({"agency_id": demo::OTHER.id})).await;
    for role in ["agency_member", "client_admin", "client_viewer"] {
        let token = app.issuer.token(user(&app, role, Some(demo::DEMO.id)).await, "");
        for id in [there["id"].as_str().unwrap(), foreign["id"].as_str().unwrap(), "00000000-0000-4000-8000-000000000000"] {
            for call in calls(id, &agent(&demo::DEMO, 0).to_string()).iter().filter(|call| !may(role, call)) {
                functions.call(&token, call).await.expect_problem(403, "forbidden");
            }
        }
    }
    assert_eq!(app.rows().await.len(), 2);
    assert_eq!(app.asked("GET", "/v2") + app.asked("POST", "/v2"), 0);
}

#[tokio::test]
async fn no_role_does_anything_without_an_agency() {
    let app = TestApp::new().await;
    let functions = Functions::start(&app);
    let row = app.insert(json!({})).await;
    for role in ROLES {
        let token = app.issuer.token(user(&app, role, None).await, "");
        for call in calls_about(&row) {
            functions.call(&token, &call).await.expect_problem(403, "forbidden");
        }
    }
}

#[tokio::test]
async fn a_user_the_platform_does_not_know_does_nothing() {
    let app = TestApp::new().await;
    let functions = Functions::start(&app);
    let row = app.insert(json!({})).await;
    let token = app.issuer.token(Uuid::new_v4(), "stranger@example.com");
    for call in calls_about(&row) {
        functions.call(&token, &call).await.expect_problem(403, "forbidden");
    }
}

#[tokio::test]
async fn a_user_who_is_revoked_is_out_at_the_next_call() {
    let app = TestApp::new().await;
    let functions = Functions::start(&app);
    let row = app.insert(json!({})).await;
    let revocations = [
        "delete from users where id = $1",
        "update users set agency_id = null where id = $1",
        "update users set role = 'client_viewer' where id = $1",
    ];
    for revocation in revocations {
        let id = user(&app, "agency_owner", Some(demo::DEMO.id)).await;
        let token = app.issuer.token(id, "");
        for call in calls_about(&row) {
            functions.call(&token, &call).await.expect(success(&call));
        }
        app.sql.execute(revocation, &[&id]).await.unwrap();
        for call in calls_about(&row) {
            functions.call(&token, &call).await.expect_problem(403, "forbidden");
        }
    }
}

#[tokio::test]
async fn a_user_who_changes_sides_sees_the_other_side_alone() {
    let app = TestApp::new().await;
    let functions = Functions::start(&app);
    let ours = app.insert(json!({})).await;
    let theirs = app.insert(json!({"agency_id": demo::OTHER.id})).await;
    let id = user(&app, "agency_owner", Some(demo::DEMO.id)).await;
    let token = app.issuer.token(id, "");
    let list = &calls_about(&ours)[2];
    assert_eq!(functions.call(&token, list).await.expect(200).number()["id"], ours["id"]);
    app.sql.execute("update users set agency_id = $2 where id = $1", &[&id, &demo::OTHER.id]).await.unwrap();
    assert_eq!(functions.call(&token, list).await.expect(200).number()["id"], theirs["id"]);
}

#[tokio::test]
async fn an_agency_named_by_the_caller_is_never_honoured() {
    let app = TestApp::new().await;
    let functions = Functions::start(&app);
    let ours = app.insert(json!({})).await;
    let theirs = app.insert(json!({"agency_id": demo::OTHER.id})).await;
    let other = demo::OTHER.id.to_string();
    for mut call in calls_about(&theirs) {
        match &mut call.body {
            Some(body) => body["agency_id"] = json!(other),
            None => call.query = format!("{}&agency_id={other}", call.query),
        }
        let reply = functions.call(&app.token("owner"), &call).await.expect_problem(400, "invalid_request");
        assert_eq!(reply.fields(), ["agency_id"], "{call:?}");
    }
    // Unknown headers and claims change nothing.
    let owner = demo::USERS[0];
    let mut claims = app.issuer.claims(owner.id, owner.email);
    claims["agency_id"] = json!(other);
    claims["app_metadata"] = json!({"agency_id": other, "role": "admin"});
    let request = page("GET", "")
        .header("authorization", format!("Bearer {}", app.issuer.sign(&claims)))
        .header("x-agency-id", &other)
        .header("agency_id", &other)
        .body(Body::Empty)
        .unwrap();
    let listed = functions.answer("phone-numbers-list", request).await.expect(200);
    assert_eq!(listed.number()["id"], ours["id"]);
}
