//! `events/*.json` for `sam local invoke -e`: each is handled by the real handler and answered as its name
//! says.

use std::collections::BTreeMap;
use std::fs;

use dev::workspace;
use lambda_http::{Context, LambdaEvent};
use phone_numbers_migrate::Migrate;
use phone_numbers_reconcile::Reconcile;
use serde_json::{Value, json};
use shared::lambda::BackgroundService;
use uuid::Uuid;

use crate::support::app::{self, Reply, TestApp};
use crate::support::functions::Functions;

/// The expected status of each event.
const ANSWERS: [(&str, u16, &str); 15] = [
    ("search", 200, ""),
    ("search-without-country", 400, "country_code"),
    ("purchase", 200, ""),
    ("purchase-invalid-number", 400, "phone_numbers[0].phone_number"),
    ("list", 200, ""),
    ("list-unknown-filter", 400, "statuss"),
    ("assign", 200, ""),
    ("assign-get", 200, ""),
    ("assign-unauthorized", 401, ""),
    ("release", 200, ""),
    ("release-unconfirmed", 400, ""),
    ("preflight", 204, ""),
    ("reconcile", 200, ""),
    ("reconcile-forged-webhook", 401, ""),
    ("migrate", 200, ""),
];

/// The rows in the events.
const ROWS: [&str; 2] = ["7d0f1b52-6c1e-4b8a-9f0e-2f4a5c9d3e10", "f3a1c0de-58b7-4d2c-8a49-90c6b1e7d254"];

/// Every event by its name.
fn events() -> BTreeMap<String, String> {
    let files = fs::read_dir(workspace::root().join("events")).unwrap().map(|file| file.unwrap().path());
    let events = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    events.map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())).collect()
}

/// Buys the two numbers whose rows the events name.
async fn buy_the_rows(app: &TestApp) {
    let numbers: Vec<_> = app.offers("415", 2).await.into_iter().map(|number| json!({"phone_number": number})).collect();
    let bought = app.purchase("owner", json!({"phone_numbers": numbers})).await.expect(200);
    for (row, id) in bought.body["phone_numbers"].as_array().unwrap().iter().zip(ROWS) {
        let (bought, id): (Uuid, Uuid) = (row["id"].as_str().unwrap().parse().unwrap(), id.parse().unwrap());
        app.sql.execute("update agency_phone_numbers set id = $2 where id = $1", &[&bought, &id]).await.unwrap();
        let ledger = "update phone_number_purchases set agency_phone_number_id = $2 where agency_phone_number_id = $1";
        app.sql.execute(ledger, &[&bought, &id]).await.unwrap();
    }
}

#[test]
fn every_event_has_an_answer_and_every_answer_an_event() {
    let mut promised: Vec<_> = ANSWERS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    promised.sort_unstable();
    assert_eq!(events().into_keys().collect::<Vec<_>>(), promised);
}

#[tokio::test]
async fn every_event_is_answered_as_its_name_promises() {
    let events = events();
    for (name, status, field) in ANSWERS {
        let app = TestApp::new().await;
        buy_the_rows(&app).await;
        let functions = Functions::start(&app);
        let event = events[name].replace("REPLACED-BY-CARGO-DEV", &app.token("owner"));
        let shape: Value = serde_json::from_str(&event).unwrap();
        if shape.get("rawPath").is_none() || name.starts_with("reconcile") {
            assert_eq!(without_a_caller(&app, name, shape).await, status, "{name}");
            continue;
        }
        let function = shape["rawPath"].as_str().unwrap().trim_start_matches('/');
        let reply = functions.handle(function, &shape).await;
        assert_eq!(reply.status, status, "{name}: {:#}", reply.body);
        if status == 400 || status == 401 {
            let code = match name {
                "assign-unauthorized" => "unauthorized",
                "release-unconfirmed" => "confirmation_required",
                _ => "invalid_request",
            };
            let reply = reply.expect_problem(status, code);
            assert_eq!(reply.fields(), field.split_terminator(',').collect::<Vec<_>>(), "{name}");
        }
    }
}

/// The status of a function without HTTP answers: no answer means success.
async fn without_a_caller(app: &TestApp, name: &str, event: Value) -> u16 {
    if name == "migrate" {
        let answer = Migrate::new(app.settings()).handle(LambdaEvent::new(event, Context::default())).await;
        let answer = answer.unwrap_or_else(|diagnostic| panic!("{diagnostic:?}"));
        assert_eq!(json!(answer), json!({"applied": []}), "the database is migrated");
        return 200;
    }
    let mut config = app.config();
    config.reconcile.public_keys = vec![app.telnyx.public_key()];
    let reconcile = BackgroundService::<Reconcile>::new(Ok(config));
    let answer = reconcile.handle(app::event(&event)).await.unwrap();
    answer.map_or(200, |answer| Reply::to_event(&answer).status)
}
