//! What most tests of money do: buy, release, and see that the books balance.

use dev::demo;
use dev::invariants::{FOREIGN_REFERENCE, unfinished, violations};
use lambda_http::http::Method;
use serde_json::{Value, json};

use crate::support::app::{TestApp, agent};

/// The body that buys one number.
pub(crate) fn order_of(number: &str) -> Value {
    json!({"phone_numbers": [{"phone_number": number}]})
}

/// The body that buys several.
pub(crate) fn order_of_all(numbers: &[String]) -> Value {
    let items: Vec<_> = numbers.iter().map(|number| json!({"phone_number": number})).collect();
    json!({ "phone_numbers": items })
}

/// The body that releases one row.
pub(crate) fn release_of(row: &Value) -> Value {
    json!({"phone_number_ids": [row["id"]], "confirm": true})
}

/// Insists that the books balance.
#[track_caller]
pub(crate) fn balance(app: &TestApp) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let wrong = violations(&app.sql, &app.telnyx_state().await).await.unwrap().all();
        assert!(wrong.is_empty(), "{caller}: the books do not balance: {wrong:#?}");
    }
}

/// A number on offer that has no row, not even one of a number given back.
pub(crate) async fn unsold(app: &TestApp) -> String {
    let rows = app.rows().await;
    let sold = |number: &String| rows.iter().any(|row| row["phone_number"] == *number);
    app.offers("312", 20).await.into_iter().find(|number| !sold(number)).unwrap()
}

/// A number that the demo agency has and an agent answers: its row.
pub(crate) async fn assigned(app: &TestApp) -> Value {
    let item = json!({"phone_number": unsold(app).await, "agent_mapping_id": agent(&demo::DEMO, 0)});
    app.purchase("owner", json!({"phone_numbers": [item]})).await.expect(200).number().clone()
}

/// How many orders were sent.
pub(crate) fn orders_sent(app: &TestApp) -> usize {
    app.asked("POST", "/v2/number_orders")
}

/// Asks Telnyx past our functions, with a key of its own.
pub(crate) async fn telnyx(app: &TestApp, key: &str, method: Method, path: &str, body: Option<Value>) -> Value {
    let mut request = app.http.request(method, format!("{}{path}", app.telnyx.url())).bearer_auth(key);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    answer.json().await.unwrap()
}

/// Somebody else with the same account at Telnyx orders a number that a search has shown.
pub(crate) async fn ordered_by_somebody_else(app: &TestApp, number: &str) {
    let body = json!({"phone_numbers": [{"phone_number": number}], "customer_reference": FOREIGN_REFERENCE});
    telnyx(app, app.telnyx.api_key(), Method::POST, "/number_orders", Some(body)).await;
}

/// Decides the only order that is pending at Telnyx.
pub(crate) async fn decide(app: &TestApp, status: &str) {
    let state = app.telnyx_state().await;
    let pending: Vec<_> = state["orders"].as_array().unwrap().iter().filter(|order| order["status"] == "pending").collect();
    assert_eq!(pending.len(), 1, "{pending:#?}");
    let path = format!("/orders/{}", pending[0]["id"].as_str().unwrap());
    app.control(Method::POST, &path, Some(json!({ "status": status }))).await;
}

/// Changes a number at Telnyx by hand, as its portal and its support do.
pub(crate) async fn by_hand(app: &TestApp, number: &Value, change: Value) {
    let path = format!("/numbers/{}", number.as_str().unwrap().replace('+', "%2B"));
    app.control(Method::PATCH, &path, Some(change)).await;
}

/// Removes something at Telnyx by hand: `numbers/{number}` or `orders/{id}`.
pub(crate) async fn removed_by_hand(app: &TestApp, what: &str) {
    app.control(Method::DELETE, &format!("/{}", what.replace('+', "%2B")), None).await;
}

/// The one open finding: its kind, account and number.
pub(crate) async fn only_finding(app: &TestApp) -> (String, String, Value) {
    let mut open: Vec<_> = app.findings().await.into_iter().filter(|finding| finding["state"] == "open").collect();
    assert_eq!(open.len(), 1, "{open:#?}");
    let finding = open.remove(0);
    let text = |name: &str| finding[name].as_str().unwrap().to_owned();
    (text("kind"), text("telnyx_account"), finding["phone_number"].clone())
}

/// Takes back every fault that has not struck yet.
pub(crate) async fn clear_faults(app: &TestApp) {
    app.control(Method::DELETE, "/faults", None).await;
}

#[tokio::test]
async fn every_violation_of_the_invariants_is_reported() {
    let app = TestApp::new().await;
    assigned(&app).await;
    balance(&app).await;
    let state = app.telnyx_state().await;
    let changes = [
        ("delete from agency_phone_numbers", "is billed, and its row is null"),
        ("update agency_phone_numbers set status = 'released'", "is billed, and its row is {"),
        ("update agency_phone_numbers set status = 'pending'", "is billed, and its row is {"),
        ("update agency_phone_numbers set phone_number_id = 'another'", "is billed, and its row is {"),
        ("update phone_number_purchases set phase = 'failed', failure_code = 'upstream_error'", "1 orders count for"),
        ("delete from phone_number_purchases", "the ledger does not know"),
    ];
    for (change, words) in changes {
        app.sql.batch_execute(&format!("begin; {change}")).await.unwrap();
        tells(&app, &state, words).await;
        app.sql.batch_execute("rollback").await.unwrap();
    }
    let doubled = |what: &str| {
        let mut state = state.clone();
        let again = state[what][0].clone();
        state[what].as_array_mut().unwrap().push(again);
        state
    };
    tells(&app, &doubled("numbers"), "is billed twice").await;
    tells(&app, &doubled("orders"), "2 orders count for").await;
    let mut gone = state.clone();
    gone["numbers"][0]["status"] = json!("deleted");
    tells(&app, &gone, "Telnyx does not have").await;
}

/// Insists that one thing is wrong with the books, and is told in these words.
async fn tells(app: &TestApp, state: &Value, words: &str) {
    let wrong = violations(&app.sql, state).await.unwrap().all();
    assert!(wrong.len() == 1 && wrong[0].contains(words), "{words}: {wrong:#?}");
}

#[tokio::test]
async fn what_is_on_its_way_is_told() {
    let app = TestApp::new().await;
    let row = assigned(&app).await;
    app.release("owner", release_of(&row)).await.expect(200);
    assert_eq!(unfinished(&app.sql).await.unwrap(), Vec::<String>::new());
    let changes = [
        "update agency_phone_numbers set status = 'pending'",
        "update phone_number_purchases set phase = 'ordered'",
        "update phone_number_releases set phase = 'requested'",
    ];
    for (done, change) in changes.into_iter().enumerate() {
        app.sql.batch_execute(change).await.unwrap();
        assert_eq!(unfinished(&app.sql).await.unwrap().len(), done + 1, "{change}");
    }
}
