//! Released numbers that are bought again: a new row takes the number, and the old row stays visible in the archive.

use std::collections::BTreeSet;

use dev::demo;
use dev::fault_proxy::{Fault, Moment};
use futures_util::future::join_all;
use lambda_http::http::Method;
use phone_numbers_purchase::Purchase;
use serde_json::{Value, json};

use crate::support::actions::{
    balance, clear_faults, decide, order_of, order_of_all, ordered_by_somebody_else, orders_sent, release_of, unsold,
};
use crate::support::app::{Reply, TestApp, agent, eventually, send};

const ORDERS: &str = "/v2/number_orders";
const SEARCH: &str = "/v2/available_phone_numbers";

/// Buys a number, sets its name and agent, and releases it: the row as stored.
pub(crate) async fn given_back(app: &TestApp, user: &str) -> Value {
    let number = app.offer().await;
    given_back_again(app, user, &number).await
}

/// The same for a number that may have been bought before.
pub(crate) async fn given_back_again(app: &TestApp, user: &str, number: &str) -> Value {
    let agency = if user == "other_owner" { &demo::OTHER } else { &demo::DEMO };
    let item = json!({"phone_number": number, "friendly_name": "Front desk", "agent_mapping_id": agent(agency, 0)});
    let row = app.purchase(user, json!({"phone_numbers": [item]})).await.expect(200).number().clone();
    app.release(user, release_of(&row)).await.expect(200);
    stored(app, number).await
}

/// The only row of a number, with all columns.
pub(crate) async fn stored(app: &TestApp, number: &str) -> Value {
    let rows: Vec<_> = app.rows().await.into_iter().filter(|row| row["phone_number"] == number).collect();
    assert_eq!(rows.len(), 1, "{rows:#?}");
    rows[0].clone()
}

pub(crate) fn number_of(row: &Value) -> &str {
    row["phone_number"].as_str().unwrap()
}

/// Asserts that a row is in the archive unchanged, and that another row has its number.
pub(crate) async fn archived(app: &TestApp, old: &Value, new: &Value) {
    let archive = app.archive().await;
    let kept: Vec<_> = archive.iter().filter(|kept| kept["id"] == old["id"]).collect();
    assert_eq!(kept.len(), 1, "{archive:#?}");
    assert_eq!(kept[0]["record"], *old);
    assert_eq!((&kept[0]["agency_id"], &kept[0]["phone_number"]), (&old["agency_id"], &old["phone_number"]));
    assert_eq!(kept[0]["replaced_by"], new["id"]);
    assert_ne!(new["id"], old["id"]);
}

pub(crate) fn ids(reply: &Reply) -> BTreeSet<String> {
    reply.body["phone_numbers"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

pub(crate) fn set<'a>(rows: impl IntoIterator<Item = &'a Value>) -> BTreeSet<String> {
    rows.into_iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_released_number_can_be_bought_again_by_whom_it_was_and_by_others() {
    let app = TestApp::new().await;
    for (before, now) in [("owner", "owner"), ("owner", "other_owner"), ("other_owner", "owner")] {
        let number = unsold(&app).await;
        let old = given_back_again(&app, before, &number).await;
        let sent = orders_sent(&app);
        let reply = app.purchase(now, order_of(&number)).await.expect(200);
        assert_eq!(reply.header("idempotent-replayed"), "", "it is a new purchase");
        assert_eq!(orders_sent(&app) - sent, 1);
        let new = stored(&app, &number).await;
        assert_eq!((&new["id"], &new["status"], &new["is_active"]), (&reply.number()["id"], &json!("active"), &json!(true)));
        // The new row has nothing of the old one.
        assert!(new["friendly_name"].is_null() && new["agent_mapping_id"].is_null() && new["released_at"].is_null());
        assert_ne!(new["phone_number_id"], old["phone_number_id"]);
        assert!(new["created_at"].as_str() > old["released_at"].as_str());
        archived(&app, &old, &new).await;
        balance(&app).await;
    }
}

#[tokio::test]
async fn what_the_archive_keeps_is_whole_whatever_columns_the_platform_adds() {
    let app = TestApp::new().await;
    let columns = "\
alter table agency_phone_numbers
  add column sort_order integer default 7 not null,
  add column tags text[],
  add column \"Odd name\" jsonb,
  add column price_limit numeric(12, 6),
  add column seen_at timestamptz,
  add column photo bytea,
  add column gone text,
  add column digits text generated always as (substr(phone_number::text, 2)) stored,
  add column serial_number bigint generated always as identity";
    app.sql.batch_execute(columns).await.unwrap();
    app.sql.batch_execute("alter table agency_phone_numbers drop column gone").await.unwrap();
    let old = given_back(&app, "owner").await;
    let values = "\
update agency_phone_numbers
set sort_order = 42,
    tags = array['a b', '\"quoted\"', null],
    \"Odd name\" = '{\"b\": [1, null], \"a\": 1.50}',
    price_limit = 1.500000,
    seen_at = '2026-01-02 03:04:05.678901+00',
    photo = '\\xdeadbeef',
    monthly_cost = 0.0035";
    app.sql.batch_execute(values).await.unwrap();
    let number = number_of(&old);
    let before = stored(&app, number).await;
    assert_eq!((&before["sort_order"], &before["photo"]), (&json!(42), &json!("\\xdeadbeef")));

    app.telnyx_settings(json!({"insufficient_funds": true})).await;
    app.purchase("other_owner", order_of(number)).await.expect_problem(402, "insufficient_funds");
    assert_eq!(stored(&app, number).await, before, "put back as it was");
    app.telnyx_settings(json!({"insufficient_funds": false})).await;
    app.purchase("other_owner", order_of(number)).await.expect(200);
    let new = stored(&app, number).await;
    assert_eq!((&new["sort_order"], &new["tags"]), (&json!(7), &json!(null)), "a new row has its own");
    archived(&app, &before, &new).await;
    assert_eq!(app.list("owner", "status=released").await.expect(200).number()["monthly_cost"], "0.0035");
}

#[tokio::test]
async fn a_column_that_the_platform_adds_or_drops_meanwhile_is_no_obstacle() {
    let mut app = TestApp::new().await;
    app.telnyx_settings(json!({"order_outcome": "never"})).await;
    app.set("REQUEST_BUDGET_MS", "4000");
    app.sql.batch_execute("alter table agency_phone_numbers add column before text default 'x'").await.unwrap();
    let sql = "insert into agency_phone_numbers (agency_id, phone_number, status, is_active) values ($1, $2, 'released', false)";
    let number = app.offer().await;
    app.sql.execute(sql, &[&demo::OTHER.id, &number]).await.unwrap();
    let old = stored(&app, &number).await;
    let (function, token) = (app.function::<Purchase>(), app.token("owner"));
    let ask = || send(&function, &token, Method::POST, "", Some(order_of(&number)));
    ask().await.expect(202);
    let changes = "alter table agency_phone_numbers drop column before; alter table agency_phone_numbers add column later integer";
    app.sql.batch_execute(changes).await.unwrap();
    decide(&app, "failure").await;
    // Its statements were prepared for a table with other columns.
    ask().await.expect_problem(409, "number_unavailable");
    let mut back = stored(&app, &number).await;
    assert_eq!(back.as_object_mut().unwrap().remove("later"), Some(json!(null)));
    let mut expected = old;
    expected.as_object_mut().unwrap().remove("before");
    assert_eq!(back, expected);
}

#[tokio::test]
async fn an_attempt_that_fails_puts_the_released_row_back_as_it_was() {
    let app = TestApp::new().await;
    let old = given_back(&app, "owner").await;
    let number = number_of(&old).to_owned();
    let fault = |method: &str, path: &str, status: u16, code: &str| json!({"method": method, "path_prefix": path, "kind": "status", "status": status, "code": code, "times": 2});
    let limited = |limit: &str| {
        let mut body = order_of(&number);
        body["max_monthly_cost"] = json!(limit);
        body
    };
    let cases = [
        ("the search fails", Some(fault("GET", SEARCH, 500, "10007")), json!({}), order_of(&number), "upstream_error"),
        ("the search is limited", Some(fault("GET", SEARCH, 429, "10011")), json!({}), order_of(&number), "rate_limited"),
        ("it is too dear", None, json!({}), limited("0.50"), "price_exceeded"),
        ("its price is unknown", None, json!({"cost_information": {}}), limited("9.00"), "price_exceeded"),
        ("the order is refused", Some(fault("POST", ORDERS, 403, "20100")), json!({}), order_of(&number), "insufficient_funds"),
        ("it is sold", Some(fault("POST", ORDERS, 409, "85001")), json!({}), order_of(&number), "number_unavailable"),
        ("the order is limited", Some(fault("POST", ORDERS, 429, "10011")), json!({}), order_of(&number), "rate_limited"),
        ("the order fails", None, json!({"order_outcome": "failure"}), order_of(&number), "number_unavailable"),
        (
            "the order fails later",
            None,
            json!({"order_outcome": "failure", "order_delay_ms": 150}),
            order_of(&number),
            "number_unavailable",
        ),
    ];
    for (what, fault, settings, body, code) in cases {
        for user in ["owner", "other_owner"] {
            if let Some(fault) = &fault {
                app.fault(fault.clone()).await;
            }
            app.telnyx_settings(settings.clone()).await;
            let failed = app.purchase(user, body.clone()).await;
            assert_eq!(failed.code(), code, "{what}: {failed:#?}");
            assert_eq!(stored(&app, &number).await, old, "{what}");
            assert!(app.archive().await.is_empty(), "{what}");
            clear_faults(&app).await;
            app.telnyx_settings(json!({"order_outcome": "success", "order_delay_ms": 0, "cost_information": null})).await;
            balance(&app).await;
        }
    }
    app.purchase("other_owner", order_of(&number)).await.expect(200);
    archived(&app, &old, &stored(&app, &number).await).await;
}

#[tokio::test]
async fn a_number_that_somebody_else_has_bought_meanwhile_stays_released() {
    let app = TestApp::new().await;
    let old = given_back(&app, "owner").await;
    ordered_by_somebody_else(&app, number_of(&old)).await;
    for user in ["owner", "other_owner"] {
        app.purchase(user, order_of(number_of(&old))).await.expect_problem(409, "number_unavailable");
        assert_eq!(stored(&app, number_of(&old)).await, old);
    }
    assert!(app.archive().await.is_empty());
}

#[tokio::test]
async fn a_resumed_purchase_that_fails_puts_the_row_back() {
    let mut app = TestApp::new().await;
    app.set("LEASE_MS", "150");
    let old = given_back(&app, "other_owner").await;
    let number = number_of(&old).to_owned();
    app.telnyx_settings(json!({"order_outcome": "never"})).await;
    let sent = orders_sent(&app);
    app.fault(json!({"method": "GET", "path_prefix": "/v2/number_orders", "kind": "delay", "delay_ms": 30_000})).await;
    tokio::select! {
        biased;
        () = eventually(async || (orders_sent(&app) > sent && app.asked("GET", ORDERS) > 0).then_some(())) => {}
        reply = app.purchase("owner", order_of(&number)) => panic!("{reply:#?}"),
    }
    let pending = stored(&app, &number).await;
    assert_eq!(pending["status"], "pending");
    archived(&app, &old, &pending).await;
    clear_faults(&app).await;
    decide(&app, "failure").await;
    app.purchase("admin", order_of(&number)).await.expect_problem(409, "number_unavailable");
    assert_eq!(stored(&app, &number).await, old);
    assert!(app.archive().await.is_empty());
    balance(&app).await;
}

#[tokio::test]
async fn the_row_of_an_agency_that_is_gone_is_not_put_back() {
    let mut app = TestApp::new().await;
    let old = given_back(&app, "other_owner").await;
    let number = number_of(&old).to_owned();
    app.telnyx_settings(json!({"order_outcome": "never"})).await;
    app.pending_purchase(order_of(&number)).await;
    app.sql.execute("delete from agencies where id = $1", &[&demo::OTHER.id]).await.unwrap();
    decide(&app, "failure").await;
    app.purchase("owner", order_of(&number)).await.expect_problem(409, "number_unavailable");
    assert!(app.rows().await.is_empty());
    assert_eq!(app.archive().await[0]["record"], old, "the old row is kept");
    // The number can be bought like any other.
    app.telnyx_settings(json!({"order_outcome": "success"})).await;
    app.purchase("owner", order_of(&number)).await.expect(200);
    balance(&app).await;
}

#[tokio::test]
async fn a_row_whose_number_is_taken_while_it_is_put_back_stays_in_the_archive() {
    let mut app = TestApp::new().await;
    let old = given_back(&app, "owner").await;
    let number = number_of(&old).to_owned();
    app.telnyx_settings(json!({"order_outcome": "never"})).await;
    app.set("REQUEST_BUDGET_MS", "4000");
    app.purchase("other_owner", order_of(&number)).await.expect(202);
    app.sql.execute("delete from agencies where id = $1", &[&demo::OTHER.id]).await.unwrap();
    decide(&app, "failure").await;

    let buyer = app.database.connect().await.unwrap();
    buyer.batch_execute("begin").await.unwrap();
    let taken = "insert into agency_phone_numbers (agency_id, phone_number, status) values ($1, $2, 'active')";
    buyer.execute(taken, &[&demo::DEMO.id, &number]).await.unwrap();
    let waiting = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like '-- purchases.finish.fail%'";
    let taking = async {
        eventually(async || (!app.sql.query(waiting, &[]).await.unwrap().is_empty()).then_some(())).await;
        buyer.batch_execute("commit").await.unwrap();
    };
    tokio::join!(app.reconcile(), taking);

    assert_eq!(app.ledger().await.last().unwrap()["phase"], "failed");
    assert_eq!(app.archive().await[0]["record"], old, "the old row is kept");
    assert_eq!(app.rows().await.len(), 1);
}

#[tokio::test]
async fn a_buyer_that_is_gone_leaves_the_row_where_it_was() {
    let mut app = TestApp::new().await;
    app.set("LEASE_MS", "150");
    let old = given_back(&app, "owner").await;
    let number = number_of(&old).to_owned();
    app.fault(json!({"method": "GET", "path_prefix": SEARCH, "kind": "delay", "delay_ms": 600})).await;
    let searches = app.asked("GET", SEARCH);
    let gone = async {
        eventually(async || (app.asked("GET", SEARCH) > searches).then_some(())).await;
        app.sql.execute("delete from agencies where id = $1", &[&demo::OTHER.id]).await.unwrap();
    };
    let (failed, ()) = tokio::join!(app.purchase("other_owner", order_of(&number)), gone);
    failed.expect_problem(404, "not_found");
    assert_eq!((stored(&app, &number).await, app.archive().await), (old, Vec::new()));
    assert_eq!(orders_sent(&app), 1, "nothing was ordered without a row");
    balance(&app).await;
}

#[tokio::test]
async fn an_agent_that_goes_in_the_middle_of_the_exchange_stops_it() {
    let mut app = TestApp::new().await;
    let old = given_back(&app, "other_owner").await;
    let ledger = app.ledger().await;
    let url = app.database.url().to_owned();
    let proxy = app.with_fault_proxy().await;
    let agent = agent(&demo::DEMO, 1);
    let goes = async move {
        dev::postgres::connect(&url).await.unwrap().execute("delete from agent_mappings where id = $1", &[&agent]).await.unwrap();
    };
    proxy.inject("purchases.begin.insert", Moment::Before, Fault::call(goes));
    let body = json!({"phone_numbers": [{"phone_number": old["phone_number"], "agent_mapping_id": agent}]});
    app.purchase("owner", body).await.expect_problem(404, "not_found");
    assert_eq!((stored(&app, number_of(&old)).await, app.archive().await), (old, Vec::new()));
    assert_eq!((app.ledger().await, orders_sent(&app)), (ledger, 1));
}

#[tokio::test]
async fn a_purchase_that_is_given_up_is_a_life_of_its_own() {
    let mut app = TestApp::new().await;
    let old = given_back(&app, "other_owner").await;
    let number = number_of(&old).to_owned();
    app.telnyx_settings(json!({"order_outcome": "never"})).await;
    let pending = app.pending_purchase(order_of(&number)).await.number().clone();
    app.release("owner", release_of(&pending)).await.expect(200);
    let given_up = stored(&app, &number).await;
    assert_eq!((&given_up["id"], &given_up["status"]), (&pending["id"], &json!("released")));
    archived(&app, &old, &given_up).await;
    app.telnyx_settings(json!({"order_outcome": "success"})).await;
    app.purchase("other_owner", order_of(&number)).await.expect(200);
    let new = stored(&app, &number).await;
    archived(&app, &given_up, &new).await;
    archived(&app, &old, &given_up).await;
    balance(&app).await;
}

#[tokio::test]
async fn a_number_has_as_many_lives_as_are_bought() {
    let app = TestApp::new().await;
    let number = app.offer().await;
    let first = given_back_again(&app, "owner", &number).await;
    let second = given_back_again(&app, "other_owner", &number).await;
    let third = given_back_again(&app, "owner", &number).await;
    archived(&app, &first, &second).await;
    archived(&app, &second, &third).await;
    // An attempt that fails restores the last of them only.
    app.telnyx_settings(json!({"insufficient_funds": true})).await;
    app.purchase("other_owner", order_of(&number)).await.expect(402);
    assert_eq!(stored(&app, &number).await, third);
    assert_eq!(app.archive().await.len(), 2);
    app.telnyx_settings(json!({"insufficient_funds": false})).await;
    app.purchase("owner", order_of(&number)).await.expect(200);
    let fourth = stored(&app, &number).await;
    archived(&app, &third, &fourth).await;

    let ours = app.list("owner", "include_released=true").await.expect(200);
    assert_eq!(ids(&ours), set([&first, &third, &fourth]));
    let theirs = app.list("other_owner", "include_released=true").await.expect(200);
    assert_eq!(ids(&theirs), set([&second]));
    balance(&app).await;
}

#[tokio::test]
async fn of_eight_that_want_a_released_number_one_agency_gets_it() {
    let app = TestApp::new().await;
    for round in 0..3 {
        let number = unsold(&app).await;
        let old = given_back_again(&app, if round % 2 == 0 { "owner" } else { "other_owner" }, &number).await;
        let sent = orders_sent(&app);
        let users = (0..8).map(|index| if index % 2 == 0 { "owner" } else { "other_owner" });
        let replies = join_all(users.map(|user| app.purchase(user, order_of(&number)))).await;
        let bought: Vec<_> = replies.iter().filter(|reply| reply.status == 200).collect();
        assert_eq!(bought.len(), 4, "{replies:#?}");
        assert!(replies.iter().all(|reply| reply.status == 200 || reply.code() == "number_unavailable"), "{replies:#?}");
        let new = stored(&app, &number).await;
        assert!(bought.iter().all(|reply| reply.number()["id"] == new["id"]));
        archived(&app, &old, &new).await;
        assert_eq!(orders_sent(&app) - sent, 1);
        balance(&app).await;
    }
}

#[tokio::test]
async fn a_race_whose_winner_is_refused_loses_no_life() {
    let app = TestApp::new().await;
    for _ in 0..3 {
        let number = unsold(&app).await;
        let old = given_back_again(&app, "owner", &number).await;
        let refusals = json!({"method": "POST", "path_prefix": ORDERS, "kind": "status", "status": 403, "code": "20100", "times": 3});
        app.fault(refusals).await;
        let users = (0..8).map(|index| if index % 2 == 0 { "owner" } else { "other_owner" });
        let replies = join_all(users.map(|user| app.purchase(user, order_of(&number)))).await;
        clear_faults(&app).await;
        assert!(replies.iter().all(|reply| [200, 402, 409].contains(&reply.status)), "{replies:#?}");
        let now = stored(&app, &number).await;
        if replies.iter().any(|reply| reply.status == 200) {
            archived(&app, &old, &now).await;
        } else {
            assert_eq!(now, old);
        }
        let archive = app.archive().await;
        assert!(archive.iter().filter(|kept| kept["phone_number"] == number).count() <= 1, "{archive:#?}");
        balance(&app).await;
    }
}

#[tokio::test]
async fn several_released_numbers_are_bought_again_in_one_request_from_both_sides() {
    let app = TestApp::new().await;
    let numbers = app.offers("312", 4).await;
    let mut lives = Vec::new();
    for number in &numbers {
        lives.push(given_back_again(&app, "owner", number).await);
    }
    let backwards: Vec<_> = numbers.iter().rev().cloned().collect();
    let (ours, theirs) = tokio::join!(app.purchase("owner", order_of_all(&numbers)), app.purchase("other_owner", order_of_all(&backwards)));
    for reply in [&ours, &theirs] {
        assert!([200, 207, 409].contains(&reply.status), "{reply:#?}");
    }
    for old in &lives {
        archived(&app, old, &stored(&app, number_of(old)).await).await;
    }
    assert_eq!((app.billed().await.len(), app.rows().await.len()), (4, 4));
    balance(&app).await;
}
