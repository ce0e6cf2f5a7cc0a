//! A key lists the purchases that its requests have begun or joined. A repeated request returns those and begins no new ones.

use std::sync::Arc;
use std::time::Duration;

use dev::demo;
use dev::fault_proxy::{Fault, FaultProxy, Moment};
use dev::invariants::unfinished;
use futures_util::future::join_all;
use lambda_http::http::Method;
use phone_numbers_release::Release;
use serde_json::{Value, json};

use crate::api::idempotency::{KEY, NOT_ON_OFFER, is_replay, keys, listed, purchase, written};
use crate::money::bought_again::stored;
use crate::support::actions::{balance, clear_faults, decide, order_of, order_of_all, orders_sent, release_of};
use crate::support::app::{Reply, TestApp, agent, eventually, send};

const ORDERS: &str = "/v2/number_orders";
const SEARCH: &str = "/v2/available_phone_numbers";

/// An app whose orders stay pending, with a short request budget.
async fn undecided() -> TestApp {
    let mut app = TestApp::new().await;
    app.telnyx_settings(json!({"order_outcome": "never"})).await;
    app.set("REQUEST_BUDGET_MS", "4000");
    app
}

/// Runs the schedule until nothing is unfinished.
pub(crate) async fn finished_by_the_schedule(app: &TestApp) {
    eventually(async || {
        app.execute("update phone_number_purchases set leased_until = now() where leased_until is not null").await;
        app.reconcile().await;
        unfinished(&app.sql).await.unwrap().is_empty().then_some(())
    })
    .await;
}

/// Ends the pending order of one number.
async fn decide_one(app: &TestApp, number: &str, status: &str) {
    let state = app.telnyx_state().await;
    let is_wanted = |order: &&Value| order["status"] == "pending" && order["phone_numbers"][0]["phone_number"] == number;
    let order = state["orders"].as_array().unwrap().iter().find(is_wanted).unwrap();
    let path = format!("/orders/{}", order["id"].as_str().unwrap());
    app.control(Method::POST, &path, Some(json!({ "status": status }))).await;
}

/// A purchase with [`KEY`] whose order is pending: its row.
async fn pending(app: &TestApp, number: &str) -> Value {
    purchase(app, "owner", KEY, &order_of(number)).await.expect(202).number().clone()
}

/// A purchase whose process dies just before it records that an order is about to be sent.
async fn dies_before_its_order(app: &TestApp, proxy: &FaultProxy, key: &str, number: &str) {
    let body = order_of(number);
    proxy.inject("purchases.order.ordering", Moment::Before, Fault::Silence);
    tokio::select! {
        biased;
        () = eventually(async || (proxy.injected() == 1).then_some(())) => {}
        reply = purchase(app, "owner", key, &body) => panic!("{reply:#?}"),
    }
}

/// Repeats the request until no other process holds the key.
async fn asked_again(app: &TestApp, key: &str, number: &str) -> Reply {
    eventually(async || {
        let reply = purchase(app, "owner", key, &order_of(number)).await;
        Some(reply).filter(|reply| reply.code() != "request_in_progress")
    })
    .await
}

/// The codes of the numbers that failed, and the outcomes of the others.
fn outcomes(reply: &Reply) -> Vec<&str> {
    let word = |item: &'_ Value| item["problem"]["code"].as_str().is_none();
    let items = reply.body["phone_numbers"].as_array().unwrap();
    items.iter().map(|item| if word(item) { item["outcome"].as_str() } else { item["problem"]["code"].as_str() }.unwrap()).collect()
}

/// Asserts that an answer reports an earlier purchase, with its current row.
#[track_caller]
fn is_repeated(again: &Reply, row: &Value, status: &str) {
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, "true"), "{again:#?}");
    let item = again.number();
    assert_eq!((&item["id"], &item["status"], &item["outcome"]), (&row["id"], &json!(status), &json!("purchased")), "{item:#}");
}

#[tokio::test]
async fn a_number_that_the_schedule_completed_and_the_owner_released_is_not_bought_again() {
    let app = undecided().await;
    let number = app.offer().await;
    let row = pending(&app, &number).await;
    decide(&app, "success").await;
    finished_by_the_schedule(&app).await;
    app.release("owner", release_of(&row)).await.expect(200);
    let again = purchase(&app, "owner", KEY, &order_of(&number)).await;
    is_repeated(&again, &row, "released");
    is_replay(&purchase(&app, "owner", KEY, &order_of(&number)).await, &again);
    assert_eq!((orders_sent(&app), app.ledger().await.len(), app.rows().await.len()), (1, 1, 1));
    assert!(app.billed().await.is_empty());
    balance(&app).await;
}

#[tokio::test]
async fn a_pending_number_that_the_owner_cancelled_is_not_bought_again() {
    let app = undecided().await;
    let number = app.offer().await;
    let row = pending(&app, &number).await;
    app.release("owner", release_of(&row)).await.expect(200);
    let again = purchase(&app, "owner", KEY, &order_of(&number)).await.expect_problem(409, "phone_number_released");
    assert_eq!(again.body["retryable"], false);
    is_replay(&purchase(&app, "owner", KEY, &order_of(&number)).await, &again);
    assert_eq!((orders_sent(&app), app.ledger().await.len(), app.rows().await.len()), (1, 1, 1));
    // Another key is another request.
    purchase(&app, "owner", "another", &order_of(&number)).await.expect(202);
    assert_eq!(orders_sent(&app), 2);
    balance(&app).await;
}

#[tokio::test]
async fn an_unfinished_purchase_is_resumed_from_whatever_phase_it_is_in() {
    let mut app = undecided().await;
    app.set("LEASE_MS", "150");
    let numbers = app.offers("312", 3).await;
    let proxy = app.with_fault_proxy().await;
    for (number, phase) in numbers.iter().zip(["intended", "ordering", "ordered"]) {
        let mut sent = 1;
        match phase {
            "intended" => {
                dies_before_its_order(&app, &proxy, phase, number).await;
                sent = 0;
            }
            "ordering" => {
                app.set("PURCHASE_ORDER_MISSING_AFTER_MS", "60000");
                app.fault(json!({"method": "POST", "path_prefix": ORDERS, "kind": "drop_after"})).await;
                app.fault(json!({"method": "GET", "path_prefix": ORDERS, "kind": "status", "status": 503, "times": 1_000})).await;
                purchase(&app, "owner", phase, &order_of(number)).await.expect(202);
            }
            _ => _ = purchase(&app, "owner", phase, &order_of(number)).await.expect(202),
        }
        let begun = app.ledger().await.into_iter().find(|purchase| purchase["phone_number"] == *number).unwrap();
        assert_eq!(begun["phase"], phase);
        clear_faults(&app).await;
        app.telnyx_settings(json!({"order_outcome": "success"})).await;
        let before = orders_sent(&app);
        let done = asked_again(&app, phase, number).await;
        is_repeated(&done, &json!({"id": begun["agency_phone_number_id"]}), "active");
        assert_eq!(orders_sent(&app) - before, 1 - sent, "{phase}");
        app.telnyx_settings(json!({"order_outcome": "never"})).await;
    }
    assert_eq!(app.ledger().await.len(), 3);
    balance(&app).await;
}

#[tokio::test]
async fn a_completed_purchase_is_reported_with_its_row_as_it_is_now() {
    let app = undecided().await;
    let numbers = app.offers("312", 6).await;
    let mut rows = Vec::new();
    for number in &numbers {
        rows.push(purchase(&app, "owner", number, &order_of(number)).await.expect(202).number().clone());
        decide_one(&app, number, "success").await;
    }
    finished_by_the_schedule(&app).await;
    app.telnyx_settings(json!({"order_outcome": "success"})).await;

    let settings = json!({"id": rows[1]["id"], "friendly_name": "Night line", "status": "inactive"});
    app.assign("owner", Method::PATCH, "", Some(settings)).await.expect(200);
    for row in &rows[2..] {
        app.release("owner", release_of(row)).await.expect(200);
    }
    // A released number can be bought again by any agency, which moves its row to the archive.
    app.purchase("owner", order_of(&numbers[3])).await.expect(200);
    let theirs = app.purchase("other_owner", order_of(&numbers[4])).await.expect(200).number().clone();
    let (sent, ledger) = (orders_sent(&app), app.ledger().await);

    for (index, status) in ["active", "inactive", "released", "released", "released"].into_iter().enumerate() {
        let again = purchase(&app, "owner", &numbers[index], &order_of(&numbers[index])).await;
        is_repeated(&again, &rows[index], status);
        assert_eq!(again.number()["agency_id"], json!(demo::DEMO.id));
        if index == 1 {
            assert_eq!(again.number()["friendly_name"], "Night line");
        }
    }
    assert_eq!(stored(&app, &numbers[4]).await["id"], theirs["id"]);
    // Without a row there is nothing to answer with.
    let gone = format!("delete from agency_phone_numbers where phone_number = '{}'", numbers[5]);
    app.execute(&gone).await;
    let refused = purchase(&app, "owner", &numbers[5], &order_of(&numbers[5])).await;
    refused.expect_problem(409, "number_unavailable");
    assert_eq!((orders_sent(&app), app.ledger().await), (sent, ledger));
}

#[tokio::test]
async fn a_final_failure_is_reported_again_in_full_while_another_number_is_pending() {
    let app = undecided().await;
    let numbers = app.offers("312", 3).await;
    let dear = app.search("owner", "country_code=AU&phone_number_type=toll_free&limit=1").await.expect(200).number().clone();
    let mut body = order_of_all(&[numbers[0].clone(), dear["phone_number"].as_str().unwrap().to_owned(), NOT_ON_OFFER.to_owned()]);
    body["max_monthly_cost"] = json!("1.00");
    let first = purchase(&app, "owner", KEY, &body).await.expect(207);
    assert_eq!(outcomes(&first), ["pending", "price_exceeded", "number_unavailable"]);
    let detail = |reply: &Reply| reply.body["phone_numbers"][1]["problem"]["detail"].as_str().unwrap().to_owned();
    assert!(detail(&first).contains(dear["monthly_cost"].as_str().unwrap()), "{}", detail(&first));

    // Its current price does not matter.
    app.telnyx_settings(json!({"cost_information": {"monthly_cost": "0.50", "upfront_cost": "0.50", "currency": "USD"}})).await;
    decide(&app, "success").await;
    let searches = app.asked("GET", SEARCH);
    let again = purchase(&app, "owner", KEY, &body).await.expect(207);
    assert_eq!(outcomes(&again), ["purchased", "price_exceeded", "number_unavailable"]);
    assert_eq!(detail(&again), detail(&first));
    assert_eq!((app.asked("GET", SEARCH), orders_sent(&app)), (searches, 1), "Telnyx is not asked for them again");
    is_replay(&purchase(&app, "owner", KEY, &body).await, &again);
    balance(&app).await;
}

#[tokio::test]
async fn a_price_that_no_column_holds_is_refused_like_any_other() {
    let app = undecided().await;
    let numbers = app.offers("312", 2).await;
    let cost = json!({"monthly_cost": "12345678.00", "upfront_cost": "0.123456", "currency": "USD"});
    let mut body = order_of_all(&numbers);
    body["max_monthly_cost"] = json!("1.00");
    app.telnyx_settings(json!({ "cost_information": cost })).await;
    let refused = purchase(&app, "owner", KEY, &body).await.expect_problem(409, "price_exceeded");
    assert!(refused.body["detail"].as_str().unwrap().contains("12345678.00 a month and 0.123456 once, in USD"));
    for failed in app.ledger().await {
        assert_eq!((&failed["phase"], &failed["failure_code"]), (&json!("failed"), &json!("price_exceeded")));
        assert_eq!(failed["monthly_cost"], json!(null), "it is unknown rather than wrong");
    }
    assert!(app.rows().await.is_empty());
}

/// Every error code that a purchase can end with, and whether the same key buys the number afterwards.
#[tokio::test]
async fn a_new_attempt_is_made_only_after_a_failure_that_is_known_to_be_retryable() {
    let app = TestApp::new().await;
    let cases = [
        ("insufficient_funds", 402, false),
        ("number_unavailable", 409, false),
        ("price_exceeded", 409, false),
        ("upstream_rejected", 422, false),
        ("not_found", 404, false),
        ("rate_limited", 429, true),
        ("upstream_error", 502, true),
        ("unavailable", 503, true),
        ("internal", 500, true),
        ("purchases_disabled", 503, true),
        // A value that no version of this code has written.
        ("invalid_request", 500, false),
        ("of_a_later_version", 500, false),
    ];
    let numbers = app.offers("312", cases.len()).await;
    app.fault(json!({"method": "POST", "path_prefix": ORDERS, "kind": "status", "status": 429, "times": cases.len()})).await;
    for ((code, _, _), number) in cases.iter().zip(&numbers) {
        purchase(&app, "owner", code, &order_of(number)).await.expect(429);
    }
    for ((code, status, buys), number) in cases.iter().zip(&numbers) {
        let sent = orders_sent(&app);
        app.execute(&format!("update phone_number_purchases set failure_code = '{code}' where phone_number = '{number}'")).await;
        let again = purchase(&app, "owner", code, &order_of(number)).await;
        if *buys {
            assert_eq!((again.status, again.header("idempotent-replayed")), (200, ""), "{code}: {again:#?}");
        } else {
            assert_eq!(again.status, *status, "{code}: {again:#?}");
            assert_eq!(again.code(), if *status == 500 { "internal" } else { code });
        }
        assert_eq!(orders_sent(&app) - sent, usize::from(*buys), "{code}");
        let kept = keys(&app).await.into_iter().find(|key| key["key"] == *code).unwrap();
        assert_eq!(kept["status"].is_null(), *status == 500 && !buys, "{code}: {kept}");
    }
    balance(&app).await;
}

#[tokio::test]
async fn a_new_attempt_takes_the_place_of_the_one_that_failed() {
    let app = TestApp::new().await;
    let number = app.offer().await;
    for _ in 0..2 {
        app.fault(json!({"method": "POST", "path_prefix": ORDERS, "kind": "status", "status": 429})).await;
        purchase(&app, "owner", KEY, &order_of(&number)).await.expect(429);
    }
    let bought = purchase(&app, "owner", KEY, &order_of(&number)).await.expect(200);
    let ledger = app.ledger().await;
    let phases: Vec<_> = ledger.iter().map(|purchase| purchase["phase"].as_str().unwrap()).collect();
    assert_eq!(phases, ["failed", "failed", "completed"]);
    let listed = listed(&app).await;
    assert_eq!((listed.len(), &listed[0]["position"], &listed[0]["purchase_id"]), (1, &json!(0), &ledger[2]["id"]));
    is_replay(&purchase(&app, "owner", KEY, &order_of(&number)).await, &bought);
    balance(&app).await;
}

#[tokio::test]
async fn each_number_of_a_request_gets_what_became_of_it() {
    let app = TestApp::new().await;
    let mut numbers = app.offers("312", 8).await;
    // The last two wait for documents; of the others two are refused for now, whichever come first.
    let found = app.search("owner", "country_code=DE&limit=2").await.expect(200);
    numbers.extend(found.body["phone_numbers"].as_array().unwrap().iter().map(|offer| offer["phone_number"].as_str().unwrap().to_owned()));
    app.fault(json!({"method": "POST", "path_prefix": ORDERS, "kind": "status", "status": 403, "code": "10010", "times": 2})).await;
    let first = purchase(&app, "owner", KEY, &order_of_all(&numbers)).await.expect(207);
    let items = first.body["phone_numbers"].as_array().unwrap();
    let with = |wanted: &str| -> Vec<usize> { (0..10).filter(|index| outcomes(&first)[*index] == wanted).collect() };
    let (bought, refused, pending) = (with("purchased"), with("upstream_error"), with("pending"));
    assert_eq!((bought.len(), refused.len(), &pending[..]), (6, 2, &[8, 9][..]), "{first:#?}");

    // Three are released, and one of the pending two is cancelled.
    let cancelled = 8;
    let released: Vec<_> = bought[..3].iter().chain([&cancelled]).map(|index| &items[*index]["id"]).collect();
    app.release("owner", json!({"phone_number_ids": released, "confirm": true})).await.expect(200);
    decide_one(&app, &numbers[9], "success").await;
    let sent = orders_sent(&app);
    let again = purchase(&app, "owner", KEY, &order_of_all(&numbers)).await.expect(207);
    let expected: Vec<_> = (0..10).map(|index| if index == cancelled { "phone_number_released" } else { "purchased" }).collect();
    assert_eq!(outcomes(&again), expected);
    for (index, item) in again.body["phone_numbers"].as_array().unwrap().iter().enumerate().filter(|(index, _)| *index != cancelled) {
        let status = if bought[..3].contains(&index) { "released" } else { "active" };
        assert_eq!((&item["phone_number"], &item["status"]), (&json!(numbers[index]), &json!(status)));
        assert!(refused.contains(&index) || item["id"] == items[index]["id"], "{item:#}");
    }
    assert_eq!(orders_sent(&app) - sent, 2, "only what failed retryably is ordered again");
    assert_eq!(again.body["message"], "Phone numbers: 9 purchased, 1 failed.");
    is_replay(&purchase(&app, "owner", KEY, &order_of_all(&numbers)).await, &again);
    balance(&app).await;
}

#[tokio::test]
async fn a_purchase_that_a_request_joins_is_listed_like_one_that_it_begins() {
    let app = undecided().await;
    let numbers = app.offers("312", 3).await;
    // One is completed and one pending when the request with the key comes; the third is its own.
    app.purchase("owner", order_of(&numbers[0])).await.expect(202);
    decide(&app, "success").await;
    finished_by_the_schedule(&app).await;
    let theirs = app.purchase("admin", order_of(&numbers[1])).await.expect(202);
    let first = purchase(&app, "owner", KEY, &order_of_all(&numbers)).await.expect(202);
    assert_eq!(first.body["phone_numbers"][1]["id"], theirs.number()["id"]);
    let ids: Vec<_> = first.body["phone_numbers"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect();
    assert_eq!(listed(&app).await.len(), 3);

    app.release("owner", json!({"phone_number_ids": ids[..2], "confirm": true})).await.expect(200);
    decide(&app, "success").await;
    let again = purchase(&app, "owner", KEY, &order_of_all(&numbers)).await.expect(207);
    assert_eq!(outcomes(&again), ["purchased", "phone_number_released", "purchased"]);
    assert_eq!(again.body["phone_numbers"][0]["status"], "released");
    assert_eq!((orders_sent(&app), app.ledger().await.len()), (3, 3));
    balance(&app).await;
}

#[tokio::test]
async fn a_row_that_the_ledger_has_no_purchase_of_is_not_bought_after_its_release_either() {
    let app = undecided().await;
    let numbers = app.offers("312", 2).await;
    let row = app.insert(json!({"phone_number": numbers[0], "status": "active"})).await;
    purchase(&app, "owner", KEY, &order_of_all(&numbers)).await.expect(202);
    app.execute(&format!("update agency_phone_numbers set status = 'released' where id = '{}'", row["id"].as_str().unwrap())).await;
    decide(&app, "success").await;
    let again = purchase(&app, "owner", KEY, &order_of_all(&numbers)).await.expect(200);
    let item = &again.body["phone_numbers"][0];
    assert_eq!((&item["id"], &item["status"], &item["outcome"]), (&row["id"], &json!("released"), &json!("purchased")));
    assert_eq!(orders_sent(&app), 1);
}

#[tokio::test]
async fn what_a_purchase_was_begun_with_need_not_be_there_any_more() {
    let mut app = undecided().await;
    let numbers = app.offers("312", 3).await;
    let items: Vec<_> = numbers.iter().map(|number| json!({"phone_number": number, "agent_mapping_id": agent(&demo::DEMO, 0)})).collect();
    let body = json!({ "phone_numbers": items });
    app.fault(json!({"method": "POST", "path_prefix": ORDERS, "kind": "status", "status": 403, "code": "10010"})).await;
    let first = purchase(&app, "owner", KEY, &body).await.expect(207);
    let failed = outcomes(&first).iter().position(|outcome| *outcome == "upstream_error").unwrap();
    let alone = order_of(&numbers[(failed + 1) % 3]);
    purchase(&app, "owner", "alone", &alone).await.expect(202);
    app.execute("delete from agent_mappings").await;

    // The purchased number is reported, and only the new attempt fails for want of the agent.
    let again = purchase(&app, "owner", KEY, &body).await.expect(207);
    let mut expected = ["pending"; 3];
    expected[failed] = "not_found";
    assert_eq!(outcomes(&again), expected);
    let problem = &again.body["phone_numbers"][failed]["problem"];
    assert_eq!(problem["errors"][0]["field"], format!("phone_numbers[{failed}].agent_mapping_id"));
    // A purchased number needs no account.
    for index in (0..3).filter(|index| *index != failed) {
        decide_one(&app, &numbers[index], "success").await;
    }
    finished_by_the_schedule(&app).await;
    app.set("TELNYX_API_KEY", "");
    expected = ["purchased"; 3];
    expected[failed] = "telnyx_not_configured";
    assert_eq!(outcomes(&purchase(&app, "owner", KEY, &body).await.expect(207)), expected);
    purchase(&app, "owner", "alone", &alone).await.expect(200);
    balance(&app).await;
}

#[tokio::test]
async fn a_switch_that_stops_buying_stops_neither_answers_nor_what_is_under_way() {
    let mut app = undecided().await;
    let numbers = app.offers("312", 6).await;
    // Completed, completed and not stored, cancelled, ordered with a key, ordered without one, failed retryably.
    app.telnyx_settings(json!({"order_outcome": "success"})).await;
    let kept = purchase(&app, "owner", "kept", &order_of(&numbers[0])).await.expect(200);
    app.telnyx_settings(json!({"order_outcome": "never"})).await;
    let completed = purchase(&app, "owner", "completed", &order_of(&numbers[1])).await.expect(202).number().clone();
    decide(&app, "success").await;
    finished_by_the_schedule(&app).await;
    let cancelled = purchase(&app, "owner", "cancelled", &order_of(&numbers[2])).await.expect(202).number().clone();
    app.release("owner", release_of(&cancelled)).await.expect(200);
    let ordered = purchase(&app, "owner", "ordered", &order_of(&numbers[3])).await.expect(202).number().clone();
    let unkeyed = app.purchase("owner", order_of(&numbers[4])).await.expect(202).number().clone();
    app.fault(json!({"method": "POST", "path_prefix": ORDERS, "kind": "status", "status": 429})).await;
    purchase(&app, "owner", "failed", &order_of(&numbers[5])).await.expect(429);
    let sent = orders_sent(&app);

    app.set("PURCHASES_ENABLED", "false");
    is_replay(&purchase(&app, "owner", "kept", &order_of(&numbers[0])).await, &kept);
    is_repeated(&purchase(&app, "owner", "completed", &order_of(&numbers[1])).await, &completed, "active");
    purchase(&app, "owner", "cancelled", &order_of(&numbers[2])).await.expect_problem(409, "phone_number_released");
    decide_one(&app, &numbers[3], "success").await;
    is_repeated(&purchase(&app, "owner", "ordered", &order_of(&numbers[3])).await, &ordered, "active");
    decide_one(&app, &numbers[4], "success").await;
    is_repeated(&app.purchase("owner", order_of(&numbers[4])).await, &unkeyed, "active");
    is_repeated(&purchase(&app, "owner", "joins", &order_of(&numbers[4])).await, &unkeyed, "active");

    let before = (app.rows().await, app.ledger().await, listed(&app).await);
    for (key, number) in [("failed", &numbers[5]), ("new", &numbers[2])] {
        let refused = purchase(&app, "owner", key, &order_of(number)).await.expect_problem(503, "purchases_disabled");
        assert_eq!(refused.body["retryable"], true);
        app.purchase("owner", order_of(number)).await.expect_problem(503, "purchases_disabled");
    }
    let mixed = order_of_all(&[numbers[3].clone(), numbers[5].clone()]);
    assert_eq!(outcomes(&app.purchase("owner", mixed).await.expect(207)), ["purchased", "purchases_disabled"]);
    let asking = json!({"phone_numbers": [{"phone_number": numbers[0]}], "validate_only": true});
    app.purchase("owner", asking).await.expect_problem(503, "purchases_disabled");
    assert_eq!((app.rows().await, app.ledger().await, listed(&app).await), before);
    assert_eq!(orders_sent(&app), sent);

    app.set("PURCHASES_ENABLED", "true");
    app.telnyx_settings(json!({"order_outcome": "success"})).await;
    purchase(&app, "owner", "failed", &order_of(&numbers[5])).await.expect(200);
    balance(&app).await;
}

#[tokio::test]
async fn a_purchase_that_was_not_ordered_yet_is_neither_ordered_nor_lost_while_buying_is_switched_off() {
    let mut app = TestApp::new().await;
    app.set("LEASE_MS", "150");
    let number = app.offer().await;
    let proxy = app.with_fault_proxy().await;
    dies_before_its_order(&app, &proxy, KEY, &number).await;
    app.set("PURCHASES_ENABLED", "false");
    asked_again(&app, KEY, &number).await.expect(202);
    assert_eq!(orders_sent(&app), 0);
    app.set("PURCHASES_ENABLED", "true");
    purchase(&app, "owner", KEY, &order_of(&number)).await.expect(200);
    assert_eq!((orders_sent(&app), app.ledger().await.len()), (1, 1));
    balance(&app).await;
}

#[tokio::test]
async fn another_agency_with_the_same_key_gets_nothing_of_what_it_lists() {
    let app = undecided().await;
    let number = app.offer().await;
    let row = pending(&app, &number).await;
    decide(&app, "success").await;
    finished_by_the_schedule(&app).await;
    app.release("owner", release_of(&row)).await.expect(200);
    app.telnyx_settings(json!({"order_outcome": "success"})).await;
    let theirs = purchase(&app, "other_owner", KEY, &order_of(&number)).await.expect(200);
    assert_eq!((theirs.header("idempotent-replayed"), &theirs.number()["agency_id"]), ("", &json!(demo::OTHER.id)));
    is_repeated(&purchase(&app, "owner", KEY, &order_of(&number)).await, &row, "released");
    assert_eq!(orders_sent(&app), 2);
    balance(&app).await;
}

#[tokio::test]
async fn a_key_that_lists_purchases_is_good_for_one_body_only() {
    let app = undecided().await;
    let numbers = app.offers("312", 2).await;
    pending(&app, &numbers[0]).await;
    let mut named = order_of(&numbers[0]);
    named["phone_numbers"][0]["friendly_name"] = json!("Front desk");
    for other in [order_of(&numbers[1]), order_of_all(&numbers), named] {
        purchase(&app, "owner", KEY, &other).await.expect_problem(422, "idempotency_key_reused");
    }
    assert_eq!((orders_sent(&app), listed(&app).await.len()), (1, 1));
}

#[tokio::test]
async fn requests_with_keys_for_many_numbers_at_once_do_not_block_each_other() {
    let mut app = TestApp::new().await;
    // Each key's row is renewed every 300 ms, while its numbers are listed.
    app.set("LEASE_MS", "900");
    let mut requests = Vec::new();
    for area_code in ["212", "312", "415"] {
        requests.push((area_code, order_of_all(&app.offers(area_code, 10).await)));
    }
    let replies = join_all(requests.iter().map(|(key, body)| purchase(&app, "owner", key, body))).await;
    for (reply, (key, body)) in replies.into_iter().zip(&requests) {
        is_replay(&purchase(&app, "owner", key, body).await, &reply.expect(200));
    }
    assert_eq!((orders_sent(&app), app.ledger().await.len(), listed(&app).await.len()), (30, 30, 30));
    balance(&app).await;
}

#[tokio::test]
async fn a_process_that_has_lost_its_key_begins_no_purchase_and_joins_none() {
    for statement in ["purchases.begin.insert", "purchases.holding.get"] {
        let mut app = undecided().await;
        let number = app.offer().await;
        if statement == "purchases.holding.get" {
            app.purchase("owner", order_of(&number)).await.expect(202);
        }
        let before = (app.rows().await, app.ledger().await, orders_sent(&app));
        let proxy = app.with_fault_proxy().await;
        // Meanwhile another process has taken over the key, as the lease had expired.
        let url = app.database.url().to_owned();
        let taken = async move {
            let sql = dev::postgres::connect(&url).await.unwrap();
            let take = "update phone_number_idempotency_keys set lease_token = uuid_generate_v4()";
            assert_eq!(sql.execute(take, &[]).await.unwrap(), 1);
        };
        proxy.inject(statement, Moment::Before, Fault::call(taken));
        purchase(&app, "owner", KEY, &order_of(&number)).await.expect_problem(409, "request_in_progress");
        assert_eq!(proxy.injected(), 1);
        assert_eq!((app.rows().await, app.ledger().await, orders_sent(&app)), before, "{statement}");
        assert!(listed(&app).await.is_empty(), "{statement}");
    }
}

#[tokio::test]
async fn of_two_processes_with_one_key_the_one_that_slept_does_not_buy_what_the_other_bought_and_the_owner_released() {
    let mut app = TestApp::new().await;
    app.set("LEASE_MS", "250");
    let number = app.offer().await;
    let straight = app.function::<phone_numbers_purchase::Purchase>();
    let release = app.function::<Release>();
    let proxy = app.with_fault_proxy().await;
    let (token, body) = (app.token("owner"), order_of(&number));
    // The first process hangs: it does not renew its lease, and has not begun its purchase.
    proxy.inject("idempotency_keys.renew", Moment::Before, Fault::Silence);
    let meanwhile = {
        let (token, body, number) = (token.clone(), body.to_string(), number.clone());
        async move {
            let mut bought = written(&straight, &token, KEY, &body).await;
            for _ in 0..1_500 {
                if bought.code() != "request_in_progress" {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
                bought = written(&straight, &token, KEY, &body).await;
            }
            let row = bought.expect(200).number().clone();
            assert_eq!(row["phone_number"], json!(number));
            send(&release, &token, Method::POST, "", Some(release_of(&row))).await.expect(200);
        }
    };
    proxy.inject("purchases.begin.insert", Moment::Before, Fault::call(meanwhile));
    purchase(&app, "owner", KEY, &body).await.expect_problem(409, "request_in_progress");
    assert_eq!((orders_sent(&app), app.ledger().await.len()), (1, 1));
    assert!(app.billed().await.is_empty());
    let again = purchase(&app, "owner", KEY, &body).await.expect(200);
    assert_eq!((again.header("idempotent-replayed"), &again.number()["status"]), ("true", &json!("active")), "as it was answered");
    balance(&app).await;
}

#[tokio::test]
async fn a_purchase_that_ends_before_its_row_is_shown_counts_as_what_it_ended_as() {
    let mut app = undecided().await;
    let numbers = app.offers("312", 4).await;
    let release = Arc::new(app.function::<Release>());
    let (direct, token) = (app.database.url().to_owned(), app.token("owner"));
    let proxy = app.with_fault_proxy().await;
    let ended = |number: &String, phase: &str| {
        let (number, phase) = (number.clone(), phase.to_owned());
        let (release, direct, token) = (Arc::clone(&release), direct.clone(), token.clone());
        async move {
            let sql = dev::postgres::connect(&direct).await.unwrap();
            let row = sql.query_one("select id::text from agency_phone_numbers where phone_number = $1", &[&number]).await.unwrap();
            let row = json!({"id": row.get::<_, &str>(0)});
            if phase == "cancelled" {
                send(&release, &token, Method::POST, "", Some(release_of(&row))).await.expect(200);
            } else {
                let fail = format!(
                    "update phone_number_purchases set phase = 'failed', failure_code = '{phase}' where phone_number = '{number}';
                     delete from agency_phone_numbers where phone_number = '{number}'"
                );
                sql.batch_execute(&fail).await.unwrap();
            }
        }
    };
    let cases = [
        ("cancelled", 409, "phone_number_released"),
        ("rate_limited", 429, "rate_limited"),
        ("insufficient_funds", 402, "insufficient_funds"),
    ];
    for ((phase, status, code), number) in cases.into_iter().zip(&numbers) {
        proxy.inject("numbers.read.of_agency", Moment::Before, Fault::call(ended(number, phase)));
        purchase(&app, "owner", phase, &order_of(number)).await.expect_problem(status, code);
        let kept = keys(&app).await.into_iter().find(|key| key["key"] == phase).unwrap();
        assert_eq!(kept["status"].is_null(), code == "rate_limited", "{kept}");
    }
    // The same without a key.
    proxy.inject("numbers.read.of_agency", Moment::Before, Fault::call(ended(&numbers[3], "cancelled")));
    app.purchase("owner", order_of(&numbers[3])).await.expect_problem(409, "phone_number_released");
    assert_eq!(proxy.injected(), 4);
}
