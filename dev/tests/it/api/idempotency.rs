//! The `Idempotency-Key` header: one key, one answer, also for repeated and concurrent requests.

use dev::demo;
use dev::fault_proxy::{Fault, Moment};
use futures_util::future::join_all;
use lambda_http::Body;
use lambda_http::http::{Method, Request};
use phone_numbers_purchase::Purchase;
use phone_numbers_release::Release;
use serde_json::{Value, json};
use shared::lambda::{Function, Service};

use crate::support::actions::{assigned, balance, clear_faults, decide, order_of, order_of_all, orders_sent, release_of};
use crate::support::app::{Reply, TestApp, agent, eventually, raw};

const ORDERS: &str = "/v2/number_orders";
const SEARCH: &str = "/v2/available_phone_numbers";
const INVENTORY: &str = "/v2/phone_numbers";
pub(crate) const KEY: &str = "8e03978e-40d5-43e8-bc93-6894a57f9324";

/// A number that is not on offer.
pub(crate) const NOT_ON_OFFER: &str = "+13125550123";

/// A request with a key and a literal body.
pub(crate) async fn written<F: Function>(function: &Service<F>, token: &str, key: &str, body: &str) -> Reply {
    let request = Request::builder()
        .method(Method::POST)
        .uri("https://api.example.com/")
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .header("idempotency-key", key);
    raw(function, request.body(Body::from(body.to_owned())).unwrap()).await
}

pub(crate) async fn purchase(app: &TestApp, user: &str, key: &str, body: &Value) -> Reply {
    written(&app.function::<Purchase>(), &app.token(user), key, &body.to_string()).await
}

async fn release(app: &TestApp, user: &str, key: &str, body: &Value) -> Reply {
    written(&app.function::<Release>(), &app.token(user), key, &body.to_string()).await
}

/// Asserts that an answer is a replay of the first one.
#[track_caller]
pub(crate) fn is_replay(again: &Reply, first: &Reply) {
    assert_eq!(again.header("idempotent-replayed"), "true", "{again:#?}");
    assert_eq!((again.status, &again.text), (first.status, &first.text));
    assert_eq!(again.header("content-type"), first.header("content-type"));
}

/// The stored keys.
pub(crate) async fn keys(app: &TestApp) -> Vec<Value> {
    app.everything().await["phone_number_idempotency_keys"].as_array().unwrap().clone()
}

/// The purchases that keys list.
pub(crate) async fn listed(app: &TestApp) -> Vec<Value> {
    app.everything().await["phone_number_idempotency_purchases"].as_array().unwrap().clone()
}

/// Moves all times of keys and purchases into the past.
pub(crate) async fn later(app: &TestApp, interval: &str) {
    let sql = "
set session_replication_role = replica;
update phone_number_idempotency_keys k
set created_at = k.created_at - interval '$1',
    expires_at = k.expires_at - interval '$1',
    leased_until = k.leased_until - interval '$1';
update phone_number_idempotency_purchases i
set listed_at = i.listed_at - interval '$1';
update phone_number_purchases p
set created_at = p.created_at - interval '$1',
    updated_at = p.updated_at - interval '$1',
    completed_at = p.completed_at - interval '$1';
set session_replication_role = origin;";
    app.execute(&sql.replace("$1", interval)).await;
}

#[tokio::test]
async fn a_purchase_that_is_repeated_gets_the_first_answer_to_the_letter() {
    let app = TestApp::new().await;
    let number = app.offer().await;
    let first = purchase(&app, "owner", KEY, &order_of(&number)).await.expect(200);
    assert_eq!(first.header("idempotent-replayed"), "");
    // The number's state meanwhile does not matter.
    app.release("owner", release_of(first.number())).await.expect(200);
    let asked = app.telnyx.exchanges().len();
    for user in ["owner", "admin"] {
        is_replay(&purchase(&app, user, KEY, &order_of(&number)).await, &first);
    }
    assert_eq!(app.telnyx.exchanges().len(), asked, "Telnyx is asked nothing");
    assert!(app.billed().await.is_empty(), "and nothing is bought again");
    let another = purchase(&app, "owner", "another", &order_of(&number)).await.expect(200);
    assert_ne!(another.number()["id"], first.number()["id"]);
    balance(&app).await;
}

#[tokio::test]
async fn a_failure_is_an_answer_like_any_other() {
    let app = TestApp::new().await;
    let numbers = app.offers("312", 3).await;
    let stranger = json!({"phone_numbers": [{"phone_number": numbers[0], "agent_mapping_id": agent(&demo::OTHER, 0)}]});
    let mut too_dear = order_of(&numbers[0]);
    too_dear["max_monthly_cost"] = json!("0.01");
    let mixed = order_of_all(&[numbers[1].clone(), NOT_ON_OFFER.to_owned()]);
    let refused =
        |status: u16, code: &str| Some(json!({"method": "POST", "path_prefix": ORDERS, "kind": "status", "status": status, "code": code}));
    let cases = [
        ("no-funds", order_of(&numbers[0]), refused(403, "20100"), 402, "insufficient_funds"),
        ("sold", order_of(&numbers[0]), refused(409, "85001"), 409, "number_unavailable"),
        ("rejected", order_of(&numbers[0]), refused(422, "10027"), 422, "upstream_rejected"),
        ("not-on-offer", order_of(NOT_ON_OFFER), None, 409, "number_unavailable"),
        ("too-dear", too_dear, None, 409, "price_exceeded"),
        ("stranger", stranger, None, 404, "not_found"),
        ("mixed", mixed, None, 207, ""),
    ];
    for (key, body, fault, status, code) in cases {
        if let Some(fault) = fault {
            app.fault(fault).await;
        }
        let first = purchase(&app, "owner", key, &body).await;
        assert_eq!((first.status, first.code()), (status, code), "{key}: {first:#?}");
        assert_eq!(first.header("idempotent-replayed"), "", "{key}");
        let asked = app.telnyx.exchanges().len();
        is_replay(&purchase(&app, "owner", key, &body).await, &first);
        assert_eq!(app.telnyx.exchanges().len(), asked, "{key}: what was refused once is not asked for again");
    }
    // With another key it is another request.
    purchase(&app, "owner", "once-more", &order_of(&numbers[0])).await.expect(200);
    balance(&app).await;
}

#[tokio::test]
async fn a_release_that_is_repeated_gets_the_first_answer_to_the_letter() {
    let app = TestApp::new().await;
    let row = assigned(&app).await;
    let first = release(&app, "owner", KEY, &release_of(&row)).await.expect(200);
    assert_eq!(first.header("idempotent-replayed"), "");
    let again = release(&app, "owner", KEY, &release_of(&row)).await;
    is_replay(&again, &first);
    assert!(again.body["released"][0].get("note").is_none(), "the first answer did not know of any release before it");

    let row = assigned(&app).await;
    let with_a_stranger = json!({"phone_number_ids": [row["id"], demo::OTHER.id], "confirm": true});
    let first = release(&app, "owner", "mixed", &with_a_stranger).await.expect(207);
    is_replay(&release(&app, "owner", "mixed", &with_a_stranger).await, &first);
    assert_eq!(app.asked("DELETE", INVENTORY), 2);
    balance(&app).await;
}

#[tokio::test]
async fn a_key_in_quotes_and_a_bare_one_are_the_same_key() {
    let app = TestApp::new().await;
    let number = app.offer().await;
    let first = purchase(&app, "owner", &format!("\"{KEY}\""), &order_of(&number)).await.expect(200);
    for header in [KEY.to_owned(), format!("  {KEY} "), format!("\"{KEY}\"")] {
        is_replay(&purchase(&app, "owner", &header, &order_of(&number)).await, &first);
    }
    let reused = purchase(&app, "owner", KEY, &order_of(NOT_ON_OFFER)).await;
    reused.expect_problem(422, "idempotency_key_reused");
    assert_eq!(keys(&app).await.len(), 1);
}

#[tokio::test]
async fn a_body_is_the_same_however_it_is_written() {
    let app = TestApp::new().await;
    let number = app.offer().await;
    let (function, token) = (app.function::<Purchase>(), app.token("owner"));
    let one = format!(r#"{{"customer_reference":"x","phone_numbers":[{{"phone_number":"{number}","friendly_name":"Bü"}}]}}"#);
    let other = format!(
        "{{ \"phone_numbers\" : [ {{ \"friendly_name\": \"B\\u00fc\",\n\t\"phone_number\":\"{number}\" }} ],\r\n \"customer_reference\":\"\\u0078\" }}\n"
    );
    let first = written(&function, &token, KEY, &one).await.expect(200);
    is_replay(&written(&function, &token, KEY, &other).await, &first);
}

#[tokio::test]
async fn a_key_is_good_for_one_body_only() {
    let app = TestApp::new().await;
    let numbers = app.offers("312", 3).await;
    let first = purchase(&app, "owner", KEY, &order_of_all(&numbers[..2])).await.expect(200);
    let mut named = order_of_all(&numbers[..2]);
    named["phone_numbers"][0]["friendly_name"] = json!("Front desk");
    let mut limited = order_of_all(&numbers[..2]);
    limited["max_monthly_cost"] = json!("5.00");
    let backwards = [numbers[1].clone(), numbers[0].clone()];
    for other in [order_of(&numbers[2]), order_of(&numbers[0]), order_of_all(&backwards), named, limited] {
        let refused = purchase(&app, "owner", KEY, &other).await.expect_problem(422, "idempotency_key_reused");
        assert_eq!(refused.body["retryable"], false);
    }
    assert_eq!(orders_sent(&app), 2);
    is_replay(&purchase(&app, "owner", KEY, &order_of_all(&numbers[..2])).await, &first);

    let row = &first.body["phone_numbers"][0];
    release(&app, "owner", KEY, &release_of(row)).await.expect(200);
    let other = json!({"phone_number_ids": [first.body["phone_numbers"][1]["id"]], "confirm": true});
    release(&app, "owner", KEY, &other).await.expect_problem(422, "idempotency_key_reused");
    assert_eq!(app.billed().await.len(), 1);
    balance(&app).await;
}

#[tokio::test]
async fn while_a_request_is_worked_on_its_key_is_busy() {
    let app = TestApp::new().await;
    let numbers = app.offers("312", 2).await;
    app.fault(json!({"method": "POST", "path_prefix": ORDERS, "kind": "delay", "delay_ms": 1_000})).await;
    let meanwhile = async {
        eventually(async || (orders_sent(&app) == 1).then_some(())).await;
        let busy = purchase(&app, "owner", KEY, &order_of(&numbers[0])).await.expect_problem(409, "request_in_progress");
        assert_eq!(busy.body["retryable"], true);
        let seconds: u64 = busy.header("retry-after").parse().unwrap();
        assert!((1..=10).contains(&seconds), "{seconds}: no longer than a lease");
        let other = purchase(&app, "owner", KEY, &order_of(&numbers[1])).await;
        other.expect_problem(422, "idempotency_key_reused");
    };
    let body = order_of(&numbers[0]);
    let (first, ()) = tokio::join!(purchase(&app, "owner", KEY, &body), meanwhile);
    let first = first.expect(200);
    assert_eq!(first.header("idempotent-replayed"), "");
    is_replay(&purchase(&app, "owner", KEY, &order_of(&numbers[0])).await, &first);
    assert_eq!(orders_sent(&app), 1);

    app.fault(json!({"method": "DELETE", "path_prefix": INVENTORY, "kind": "delay", "delay_ms": 1_000})).await;
    let body = release_of(first.number());
    let meanwhile = async {
        eventually(async || (app.asked("DELETE", INVENTORY) == 1).then_some(())).await;
        release(&app, "owner", KEY, &body).await.expect_problem(409, "request_in_progress");
    };
    let (first, ()) = tokio::join!(release(&app, "owner", KEY, &body), meanwhile);
    is_replay(&release(&app, "owner", KEY, &body).await, &first.expect(200));
    balance(&app).await;
}

#[tokio::test]
async fn a_request_that_takes_longer_than_a_lease_keeps_its_key() {
    let mut app = TestApp::new().await;
    app.set("LEASE_MS", "900");
    app.telnyx_settings(json!({"order_outcome": "never"})).await;
    let number = app.offer().await;
    let body = order_of(&number);
    let meanwhile = async {
        let sql = "select k.lease_token::text from phone_number_idempotency_keys k where k.created_at < now() - $1::text::interval";
        let older_than = async |age: &'static str| {
            eventually(async || app.sql.query_opt(sql, &[&age]).await.unwrap().map(|row| row.get::<_, Option<String>>(0))).await
        };
        let holder = older_than("0").await;
        assert_eq!(older_than("2 seconds").await, holder, "no other process has taken it");
        purchase(&app, "owner", KEY, &body).await.expect_problem(409, "request_in_progress");
        eventually(async || (orders_sent(&app) == 1).then_some(())).await;
        decide(&app, "success").await;
    };
    let (first, ()) = tokio::join!(purchase(&app, "owner", KEY, &body), meanwhile);
    let first = first.expect(200);
    assert_eq!(first.header("idempotent-replayed"), "");
    is_replay(&purchase(&app, "owner", KEY, &body).await, &first);
    balance(&app).await;
}

#[tokio::test]
async fn one_key_from_sixteen_sides_at_once_is_one_order() {
    let app = TestApp::new().await;
    let number = app.offer().await;
    app.fault(json!({"method": "POST", "path_prefix": ORDERS, "kind": "delay", "delay_ms": 300})).await;
    let body = order_of(&number);
    let answers = join_all((0..16).map(|_| purchase(&app, "owner", KEY, &body))).await;
    let done: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    let first: Vec<_> = done.iter().filter(|answer| answer.header("idempotent-replayed").is_empty()).collect();
    assert_eq!(first.len(), 1, "{answers:#?}");
    assert!(done.iter().all(|answer| answer.text == first[0].text));
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!((answer.status, answer.code()), (409, "request_in_progress"), "{answer:#?}");
    }
    assert_eq!((orders_sent(&app), app.ledger().await.len()), (1, 1));

    let body = release_of(done[0].number());
    app.fault(json!({"method": "DELETE", "path_prefix": INVENTORY, "kind": "delay", "delay_ms": 300})).await;
    let answers = join_all((0..16).map(|_| release(&app, "owner", KEY, &body))).await;
    assert!(answers.iter().any(|answer| answer.status == 200), "{answers:#?}");
    assert!(answers.iter().all(|answer| answer.status == 200 || answer.code() == "request_in_progress"), "{answers:#?}");
    assert_eq!(app.asked("DELETE", INVENTORY), 1);
    balance(&app).await;
}

#[tokio::test]
async fn a_number_that_is_still_pending_is_no_final_answer() {
    let mut app = TestApp::new().await;
    app.telnyx_settings(json!({"order_outcome": "never"})).await;
    app.set("REQUEST_BUDGET_MS", "2500");
    let number = app.offer().await;
    purchase(&app, "owner", KEY, &order_of(&number)).await.expect(202);
    purchase(&app, "owner", KEY, &order_of(NOT_ON_OFFER)).await.expect_problem(422, "idempotency_key_reused");
    let key = &keys(&app).await[0];
    assert!(key["status"].is_null() && key["leased_until"].is_null(), "the next request need not wait: {key}");
    decide(&app, "success").await;
    let done = purchase(&app, "owner", KEY, &order_of(&number)).await.expect(200);
    assert_eq!(done.number()["status"], "active");
    is_replay(&purchase(&app, "owner", KEY, &order_of(&number)).await, &done);
    assert_eq!(orders_sent(&app), 1);
    balance(&app).await;
}

#[tokio::test]
async fn what_is_pending_beside_what_has_failed_for_good_is_no_final_answer() {
    let mut app = TestApp::new().await;
    app.telnyx_settings(json!({"order_outcome": "never"})).await;
    app.set("REQUEST_BUDGET_MS", "2500");
    let body = order_of_all(&[app.offer().await, NOT_ON_OFFER.to_owned()]);
    let pending = purchase(&app, "owner", KEY, &body).await.expect(207);
    decide(&app, "success").await;
    let done = purchase(&app, "owner", KEY, &body).await.expect(207);
    let outcome = |answer: &Reply| answer.body["phone_numbers"][0]["outcome"].clone();
    assert_eq!((outcome(&pending), outcome(&done)), (json!("pending"), json!("purchased")));
    is_replay(&purchase(&app, "owner", KEY, &body).await, &done);
    balance(&app).await;
}

#[tokio::test]
async fn what_may_come_out_otherwise_next_time_is_done_again() {
    let mut app = TestApp::new().await;
    let numbers = app.offers("312", 4).await;
    let limited = json!({"method": "POST", "path_prefix": ORDERS, "kind": "status", "status": 429});
    let failed = json!({"method": "GET", "path_prefix": SEARCH, "kind": "status", "status": 500, "times": 2});
    // A limit would count for the other number, too.
    let not_permitted = json!({"method": "POST", "path_prefix": ORDERS, "kind": "status", "status": 403, "code": "10010"});
    let both = order_of_all(&[numbers[2].clone(), NOT_ON_OFFER.to_owned()]);
    let cases = [
        ("limited", order_of(&numbers[0]), limited, 429, 200),
        ("failed", order_of(&numbers[1]), failed, 502, 200),
        ("mixed", both, not_permitted, 207, 207),
    ];
    for (key, body, fault, status, then) in cases {
        app.fault(fault).await;
        let first = purchase(&app, "owner", key, &body).await.expect(status);
        clear_faults(&app).await;
        let again = purchase(&app, "owner", key, &body).await.expect(then);
        assert_eq!(again.header("idempotent-replayed"), "", "{key}: it is done now for the first time");
        assert_ne!(again.text, first.text);
        is_replay(&purchase(&app, "owner", key, &body).await, &again);
    }
    assert_eq!(app.billed().await.len(), 3);

    let proxy = app.with_fault_proxy().await;
    for _ in 0..2 {
        proxy.inject("purchases.begin.insert", Moment::Before, Fault::Cut);
    }
    purchase(&app, "owner", "lost", &order_of(&numbers[3])).await.expect_problem(503, "unavailable");
    purchase(&app, "owner", "lost", &order_of(&numbers[3])).await.expect(200);
    balance(&app).await;
}

#[tokio::test]
async fn a_release_that_could_not_be_finished_is_gone_on_with() {
    let mut app = TestApp::new().await;
    let row = assigned(&app).await;
    app.set("REQUEST_BUDGET_MS", "1500");
    app.fault(json!({"method": "DELETE", "path_prefix": INVENTORY, "kind": "status", "status": 503, "times": 1_000})).await;
    let failed = release(&app, "owner", KEY, &release_of(&row)).await.expect(207);
    assert_eq!(failed.body["failed"][0]["problem"]["retryable"], true);
    clear_faults(&app).await;
    let done = release(&app, "owner", KEY, &release_of(&row)).await.expect(200);
    is_replay(&release(&app, "owner", KEY, &release_of(&row)).await, &done);

    app.telnyx_settings(json!({"order_outcome": "never"})).await;
    let number = app.offer().await;
    let pending = app.pending_purchase(order_of(&number)).await.number().clone();
    decide(&app, "success").await;
    let failed = release(&app, "owner", "too-late", &release_of(&pending)).await.expect(207);
    assert_eq!(failed.body["failed"][0]["problem"]["code"], "purchase_in_progress");
    app.purchase("owner", order_of(&number)).await.expect(200);
    release(&app, "owner", "too-late", &release_of(&pending)).await.expect(200);
    balance(&app).await;
}

#[tokio::test]
async fn a_key_belongs_to_one_agency_and_one_function() {
    let app = TestApp::new().await;
    let numbers = app.offers("312", 2).await;
    let ours = purchase(&app, "owner", KEY, &order_of(&numbers[0])).await.expect(200);
    let theirs = purchase(&app, "other_owner", KEY, &order_of(&numbers[1])).await.expect(200);
    assert_eq!((ours.header("idempotent-replayed"), theirs.header("idempotent-replayed")), ("", ""));
    // The same body, too: an answer to another agency must not be replayed.
    let taken = purchase(&app, "other_owner", "same", &order_of(&numbers[0])).await;
    taken.expect_problem(409, "number_unavailable");
    purchase(&app, "owner", "same", &order_of(&numbers[0])).await.expect(200);

    release(&app, "owner", KEY, &release_of(ours.number())).await.expect(200);
    release(&app, "other_owner", KEY, &release_of(theirs.number())).await.expect(200);
    is_replay(&purchase(&app, "owner", KEY, &order_of(&numbers[0])).await, &ours);
    is_replay(&purchase(&app, "other_owner", KEY, &order_of(&numbers[1])).await, &theirs);
    balance(&app).await;
}

#[tokio::test]
async fn a_process_that_dies_over_a_key_blocks_it_no_longer_than_a_lease() {
    let deaths =
        [("idempotency_keys.claim", Moment::After), ("purchases.begin.insert", Moment::After), ("idempotency_keys.answer", Moment::Before)];
    for (statement, moment) in deaths.into_iter().chain([("idempotency_keys.answer", Moment::After)]) {
        let mut app = TestApp::new().await;
        app.set("LEASE_MS", "250");
        let number = app.offer().await;
        let body = order_of(&number);
        let proxy = app.with_fault_proxy().await;
        proxy.inject(statement, moment, Fault::Silence);
        let died = tokio::select! {
            biased;
            () = eventually(async || (proxy.injected() == 1).then_some(())) => None,
            answer = purchase(&app, "owner", KEY, &body) => Some(answer),
        };
        assert!(died.is_none(), "it was to die before it could answer: {died:#?}");
        let sql = "select count(*) from phone_number_idempotency_keys where leased_until > now() + interval '250 milliseconds'";
        assert_eq!(app.sql.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 0, "{statement} {moment:?}");
        let done = eventually(async || {
            let answer = purchase(&app, "owner", KEY, &body).await;
            assert!(answer.status == 200 || answer.code() == "request_in_progress", "{statement} {moment:?}: {answer:#?}");
            Some(answer).filter(|answer| answer.status == 200)
        })
        .await;
        is_replay(&purchase(&app, "owner", KEY, &body).await, &done);
        assert_eq!(orders_sent(&app), 1, "{statement} {moment:?}");
        balance(&app).await;
    }
}

#[tokio::test]
async fn a_connection_lost_at_any_statement_about_a_key_is_replaced() {
    for moment in [Moment::Before, Moment::After] {
        let mut app = TestApp::new().await;
        let numbers = app.offers("312", 2).await;
        let proxy = app.with_fault_proxy().await;
        proxy.inject("idempotency_keys.claim", moment, Fault::Cut);
        proxy.inject("idempotency_keys.answer", moment, Fault::Cut);
        let first = purchase(&app, "owner", KEY, &order_of(&numbers[0])).await.expect(200);
        proxy.inject("idempotency_keys.get", moment, Fault::Cut);
        is_replay(&purchase(&app, "owner", KEY, &order_of(&numbers[0])).await, &first);
        app.fault(json!({"method": "POST", "path_prefix": ORDERS, "kind": "status", "status": 429})).await;
        proxy.inject("idempotency_keys.yield", moment, Fault::Cut);
        purchase(&app, "owner", "limited", &order_of(&numbers[1])).await.expect(429);
        purchase(&app, "owner", "limited", &order_of(&numbers[1])).await.expect(200);
        assert_eq!(proxy.injected(), 4, "{moment:?}");
        balance(&app).await;
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_kept_is_not_given() {
    let mut app = TestApp::new().await;
    app.set("LEASE_MS", "250");
    let offered = app.offer().await;
    let proxy = app.with_fault_proxy().await;
    for (number, status) in [(NOT_ON_OFFER, 409), (offered.as_str(), 200)] {
        let key = format!("\"of {number}\"");
        // The statement and its repetition.
        for _ in 0..2 {
            proxy.inject("idempotency_keys.answer", Moment::Before, Fault::Cut);
        }
        purchase(&app, "owner", &key, &order_of(number)).await.expect_problem(503, "unavailable");
        // There was no final answer yet, so the next one is the first.
        let first = eventually(async || {
            let answer = purchase(&app, "owner", &key, &order_of(number)).await;
            Some(answer).filter(|answer| answer.code() != "request_in_progress")
        })
        .await;
        assert_eq!(first.status, status, "{first:#?}");
        is_replay(&purchase(&app, "owner", &key, &order_of(number)).await, &first);
    }
    assert_eq!((proxy.injected(), orders_sent(&app)), (4, 1));
    balance(&app).await;
}

#[tokio::test]
async fn without_a_database_for_the_key_nothing_is_bought() {
    let mut app = TestApp::new().await;
    let number = app.offer().await;
    let proxy = app.with_fault_proxy().await;
    for _ in 0..2 {
        proxy.inject("idempotency_keys.claim", Moment::Before, Fault::Cut);
    }
    let asked = app.telnyx.exchanges().len();
    purchase(&app, "owner", KEY, &order_of(&number)).await.expect_problem(503, "unavailable");
    assert_eq!(app.telnyx.exchanges().len(), asked);
    assert!(app.rows().await.is_empty() && keys(&app).await.is_empty());
}

#[tokio::test]
async fn a_key_is_kept_for_a_day_and_then_deleted() {
    let app = TestApp::new().await;
    let numbers = app.offers("312", 2).await;
    app.fault(json!({"method": "POST", "path_prefix": ORDERS, "kind": "status", "status": 403, "code": "20100"})).await;
    let refused = purchase(&app, "owner", KEY, &order_of(&numbers[0])).await.expect(402);
    let sql = "select (k.expires_at - k.created_at)::text from phone_number_idempotency_keys k";
    assert_eq!(app.sql.query_one(sql, &[]).await.unwrap().get::<_, &str>(0), "1 day");
    is_replay(&purchase(&app, "owner", KEY, &order_of(&numbers[0])).await, &refused);

    later(&app, "1 day").await;
    let bought = purchase(&app, "owner", KEY, &order_of(&numbers[0])).await.expect(200);
    assert_eq!(bought.header("idempotent-replayed"), "");
    is_replay(&purchase(&app, "owner", KEY, &order_of(&numbers[0])).await, &bought);
    assert_eq!(app.sql.query_one(sql, &[]).await.unwrap().get::<_, &str>(0), "1 day", "its time began anew");

    later(&app, "1 day").await;
    purchase(&app, "owner", KEY, &order_of(&numbers[1])).await.expect(200);
    balance(&app).await;
}

#[tokio::test]
async fn a_request_under_way_keeps_its_key_beyond_its_day() {
    let app = TestApp::new().await;
    let numbers = app.offers("312", 2).await;
    app.fault(json!({"method": "POST", "path_prefix": ORDERS, "kind": "delay", "delay_ms": 800})).await;
    let body = order_of(&numbers[0]);
    let meanwhile = async {
        eventually(async || (orders_sent(&app) == 1).then_some(())).await;
        let expire = "update phone_number_idempotency_keys set expires_at = now() - interval '1 millisecond'";
        app.sql.batch_execute(expire).await.unwrap();
        purchase(&app, "owner", KEY, &body).await.expect_problem(409, "request_in_progress");
        let other = purchase(&app, "owner", KEY, &order_of(&numbers[1])).await;
        other.expect_problem(422, "idempotency_key_reused");
    };
    let (first, ()) = tokio::join!(purchase(&app, "owner", KEY, &body), meanwhile);
    first.expect(200);
    assert_eq!(orders_sent(&app), 1);
}

#[tokio::test]
async fn what_is_no_key_is_refused_by_the_headers_name() {
    let app = TestApp::new().await;
    let row = assigned(&app).await;
    let number = app.offers("415", 1).await.remove(0);
    let before = app.everything().await;
    let long = "k".repeat(256);
    for key in ["", "\"\"", "\"open", "two words", "a,b", "\"a\";b", "\"a\"b\"", "\"a\\n\"", "ü", &long] {
        for refused in [purchase(&app, "owner", key, &order_of(&number)).await, release(&app, "owner", key, &release_of(&row)).await] {
            assert_eq!(refused.expect_problem(400, "invalid_request").fields(), ["Idempotency-Key"], "{key}");
        }
    }
    assert_eq!(app.everything().await, before);
    assert_eq!((orders_sent(&app), app.asked("DELETE", INVENTORY)), (1, 0));
    let mut asking = order_of(&number);
    asking["validate_only"] = json!(true);
    assert_eq!(purchase(&app, "owner", "a,b", &asking).await.expect_problem(400, "invalid_request").fields(), ["Idempotency-Key"]);
    purchase(&app, "owner", &long[1..], &order_of(&number)).await.expect(200);
}

#[tokio::test]
async fn a_request_that_is_refused_for_what_it_is_uses_up_no_key() {
    let app = TestApp::new().await;
    let number = app.offer().await;
    purchase(&app, "owner", KEY, &json!({"phone_numbers": []})).await.expect(400);
    purchase(&app, "member", KEY, &order_of(&number)).await.expect(403);
    release(&app, "admin", KEY, &json!({"phone_number_ids": [demo::DEMO.id], "confirm": true})).await.expect(403);
    assert!(keys(&app).await.is_empty());
    purchase(&app, "owner", KEY, &order_of(&number)).await.expect(200);
}

#[tokio::test]
async fn a_request_that_only_asks_whether_it_could_uses_up_no_key() {
    let app = TestApp::new().await;
    let number = app.offer().await;
    let mut asking = order_of(&number);
    asking["validate_only"] = json!(true);
    for _ in 0..2 {
        assert_eq!(purchase(&app, "owner", KEY, &asking).await.expect(200).header("idempotent-replayed"), "");
    }
    assert!(keys(&app).await.is_empty());
    purchase(&app, "owner", KEY, &order_of(&number)).await.expect(200);
    assert_eq!(orders_sent(&app), 1);
}
