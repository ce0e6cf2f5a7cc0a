//! Failures of Telnyx at each call of a purchase.

use serde_json::{Value, json};

use crate::support::actions::{balance, clear_faults, order_of, ordered_by_somebody_else, orders_sent};
use crate::support::app::{TestApp, eventually};

const SEARCH: &str = "/v2/available_phone_numbers";
const ORDERS: &str = "/v2/number_orders";
const ONE_ORDER: &str = "/v2/number_orders/";
const INVENTORY: &str = "/v2/phone_numbers";

/// A fault of a path.
fn fault(method: &str, path: &str, mut kind: Value) -> Value {
    kind["method"] = json!(method);
    kind["path_prefix"] = json!(path);
    kind
}

/// Failures with an unknown outcome. The last three orders were placed, as the number shows.
fn of_unknown_outcome() -> Vec<(Value, usize)> {
    vec![
        (json!({"kind": "status", "status": 500}), 2),
        (json!({"kind": "status", "status": 503}), 2),
        (json!({"kind": "status", "status": 408}), 2),
        (json!({"kind": "drop_before"}), 2),
        (json!({"kind": "drop_after"}), 1),
        (json!({"kind": "malformed"}), 1),
        (json!({"kind": "delay", "delay_ms": 700}), 1),
    ]
}

/// Failures of a look-up. The last five only mean that it was not answered.
fn unanswered() -> Vec<Value> {
    let mut all: Vec<_> = [(429, "10011"), (401, "10009"), (400, "10015"), (422, "10027")]
        .map(|(status, code)| json!({"kind": "status", "status": status, "code": code}))
        .to_vec();
    all.extend(of_unknown_outcome().into_iter().map(|(kind, _)| kind));
    all
}

/// An app with a short timeout for Telnyx.
async fn app() -> TestApp {
    let mut app = TestApp::new().await;
    app.set("TELNYX_TIMEOUT_MS", "500");
    app
}

/// Repeats the request until the purchase has ended.
async fn bought_in_the_end(app: &TestApp, number: &str) {
    eventually(async || {
        let reply = app.purchase("owner", order_of(number)).await;
        assert!([200, 202].contains(&reply.status), "{:#}", reply.body);
        (reply.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_order_that_telnyx_refuses_leaves_no_row_and_can_be_tried_again() {
    let app = app().await;
    let refusals = [
        (409, "85001", 409, "number_unavailable"),
        (422, "85000", 409, "number_unavailable"),
        (400, "10015", 409, "number_unavailable"),
        (403, "20100", 402, "insufficient_funds"),
        (403, "20012", 402, "insufficient_funds"),
        (402, "10015", 402, "insufficient_funds"),
        (403, "20014", 422, "upstream_rejected"),
        (422, "85004", 422, "upstream_rejected"),
        (404, "10005", 422, "upstream_rejected"),
        (422, "10027", 422, "upstream_rejected"),
        (401, "10009", 502, "upstream_error"),
        (403, "10010", 502, "upstream_error"),
        (429, "10011", 429, "rate_limited"),
    ];
    let numbers = app.offers("312", refusals.len()).await;
    for ((status, telnyx_code, expected, code), number) in refusals.into_iter().zip(&numbers) {
        app.fault(fault("POST", ORDERS, json!({"kind": "status", "status": status, "code": telnyx_code}))).await;
        let sent = orders_sent(&app);
        let refused = app.purchase("owner", order_of(number)).await.expect_problem(expected, code);
        assert_eq!(refused.header("retry-after"), if expected == 429 { "1" } else { "" });
        assert_eq!(orders_sent(&app), sent + 1, "{status} {telnyx_code}: refused is refused");
        let known = |row: &Value| row["phone_number"] == *number;
        assert!(!app.rows().await.iter().any(known), "{status} {telnyx_code}");
        let failed = app.ledger().await.into_iter().rfind(known).unwrap();
        assert_eq!((&failed["phase"], &failed["failure_code"]), (&json!("failed"), &json!(code)));
        balance(&app).await;
        app.purchase("owner", order_of(number)).await.expect(200);
    }
    balance(&app).await;
}

#[tokio::test]
async fn what_an_account_may_not_is_told_apart() {
    let app = app().await;
    let number = app.offer().await;
    let application = dev::demo::DEMO.telnyx_application_id;
    let states = [
        (json!({"insufficient_funds": true}), json!({"insufficient_funds": false}), 402, "insufficient_funds"),
        (json!({"unverified": true}), json!({"unverified": false}), 422, "upstream_rejected"),
        (json!({"refused_connection_ids": [application]}), json!({"refused_connection_ids": []}), 422, "upstream_rejected"),
        (json!({"balance": "0.50"}), json!({"balance": null}), 402, "insufficient_funds"),
    ];
    for (wrong, right, status, code) in states {
        app.telnyx_settings(wrong).await;
        app.purchase("owner", order_of(&number)).await.expect_problem(status, code);
        app.telnyx_settings(right).await;
    }
    assert!(app.rows().await.is_empty());
    app.purchase("owner", order_of(&number)).await.expect(200);
    balance(&app).await;
}

#[tokio::test]
async fn without_an_answer_to_the_search_nothing_is_ordered() {
    let app = app().await;
    let number = app.offer().await;
    for kind in unanswered() {
        let mut kind = fault("GET", SEARCH, kind);
        // A broken connection is retried once.
        kind["times"] = json!(2);
        app.fault(kind.clone()).await;
        let (status, code) = match kind["status"].as_i64() {
            Some(429) => (429, "rate_limited"),
            // The search is refused, in both of the number's countries.
            Some(400 | 422) => (422, "upstream_rejected"),
            _ => (502, "upstream_error"),
        };
        let failed = app.purchase("owner", order_of(&number)).await.expect_problem(status, code);
        assert_eq!(failed.body["retryable"], status != 422);
        clear_faults(&app).await;
        assert!(app.rows().await.is_empty(), "{kind}");
    }
    assert_eq!(orders_sent(&app), 0);
    for kind in ["drop_before", "drop_after"] {
        app.fault(fault("GET", SEARCH, json!({"kind": kind}))).await;
        app.purchase("owner", order_of(&number)).await.expect(200);
    }
    balance(&app).await;
}

#[tokio::test]
async fn an_order_whose_outcome_is_unknown_is_found_out_within_the_call() {
    let app = app().await;
    let outcomes = of_unknown_outcome();
    let numbers = app.offers("312", outcomes.len()).await;
    for ((kind, orders), number) in outcomes.into_iter().zip(&numbers) {
        let sent = orders_sent(&app);
        app.fault(fault("POST", ORDERS, kind.clone())).await;
        let reply = app.purchase("owner", order_of(number)).await.expect(200);
        assert_eq!(reply.header("idempotent-replayed"), "");
        assert_eq!(orders_sent(&app) - sent, orders, "{kind}: sent again only where there was none");
        balance(&app).await;
    }
}

#[tokio::test]
async fn an_order_that_fails_again_and_again_is_placed_once_in_the_end() {
    let mut app = app().await;
    app.set("REQUEST_BUDGET_MS", "4000");
    app.set("PURCHASE_ORDER_MISSING_AFTER_MS", "100");
    let number = app.offer().await;
    app.fault(fault("POST", ORDERS, json!({"kind": "status", "status": 500, "times": 6}))).await;
    bought_in_the_end(&app, &number).await;
    assert_eq!(orders_sent(&app), 7);
    assert_eq!(app.ledger().await.len(), 1);
    balance(&app).await;
}

#[tokio::test]
async fn an_order_that_cannot_be_looked_up_at_once_is_never_placed_again() {
    let mut app = app().await;
    app.set("REQUEST_BUDGET_MS", "3000");
    app.set("TELNYX_TIMEOUT_MS", "300");
    let kinds = unanswered();
    let numbers = app.offers("312", kinds.len()).await;
    for (kind, number) in kinds.into_iter().zip(&numbers) {
        let sent = orders_sent(&app);
        app.fault(fault("POST", ORDERS, json!({"kind": "drop_after"}))).await;
        let mut kind = fault("GET", ORDERS, kind);
        kind["times"] = json!(3);
        app.fault(kind.clone()).await;
        let reply = app.purchase("owner", order_of(number)).await;
        assert!([200, 202].contains(&reply.status), "{kind}: {reply:?}");
        clear_faults(&app).await;
        bought_in_the_end(&app, number).await;
        assert_eq!(orders_sent(&app) - sent, 1, "{kind}");
    }
    balance(&app).await;
}

#[tokio::test]
async fn an_order_that_cannot_be_looked_up_is_pending() {
    let mut app = app().await;
    let number = app.offer().await;
    app.fault(fault("POST", ORDERS, json!({"kind": "drop_after"}))).await;
    app.fault(fault("GET", ORDERS, json!({"kind": "status", "status": 503, "times": 1_000}))).await;
    let pending = app.pending_purchase(order_of(&number)).await;
    assert_eq!((&pending.number()["status"], &pending.number()["order_id"]), (&json!("pending"), &json!(null)));
    assert_eq!(app.ledger().await[0]["phase"], "ordering");
    balance(&app).await;
    clear_faults(&app).await;
    app.purchase("owner", order_of(&number)).await.expect(200);
    assert_eq!(orders_sent(&app), 1);
    balance(&app).await;
}

#[tokio::test]
async fn a_poll_that_fails_only_delays_the_purchase() {
    let app = app().await;
    app.telnyx_settings(json!({"order_delay_ms": 150})).await;
    for path in [ONE_ORDER, INVENTORY] {
        let kinds = unanswered();
        let numbers = app.offers("312", kinds.len()).await;
        for (kind, number) in kinds.into_iter().zip(&numbers) {
            let sent = orders_sent(&app);
            let mut kind = fault("GET", path, kind);
            kind["times"] = json!(2);
            app.fault(kind.clone()).await;
            app.purchase("owner", order_of(number)).await.expect(200);
            assert_eq!(orders_sent(&app) - sent, 1, "{kind}");
            clear_faults(&app).await;
        }
    }
    balance(&app).await;
}

#[tokio::test]
async fn an_order_that_fails_leaves_no_row_and_the_number_can_be_bought_again() {
    let app = app().await;
    let number = app.offer().await;
    for keep in [false, true] {
        app.telnyx_settings(json!({"order_outcome": "failure", "keep_failed_numbers": keep})).await;
        app.purchase("owner", order_of(&number)).await.expect_problem(409, "number_unavailable");
        assert!(app.rows().await.is_empty());
        assert_eq!(app.ledger().await.last().unwrap()["phase"], "failed");
    }
    app.telnyx_settings(json!({"order_outcome": "success"})).await;
    let reply = app.purchase("owner", order_of(&number)).await.expect(200);
    assert_eq!(reply.header("idempotent-replayed"), "", "what failed is no purchase to repeat");
    assert_eq!(orders_sent(&app), 3);
    let state = app.telnyx_state().await;
    let active: Vec<_> = state["numbers"].as_array().unwrap().iter().filter(|number| number["status"] == "active").collect();
    assert_eq!(active.len(), 1);
    assert_eq!(active[0]["id"], reply.number()["phone_number_id"]);
}

#[tokio::test]
async fn a_number_later_than_its_order_is_waited_for() {
    let app = app().await;
    app.telnyx_settings(json!({"number_lag_ms": 700, "order_delay_ms": 100})).await;
    let number = app.offer().await;
    app.purchase("owner", order_of(&number)).await.expect(200);
    assert!(app.asked("GET", INVENTORY) > 1, "it was not there at once");
    balance(&app).await;
}

#[tokio::test]
async fn an_order_that_shows_late_under_its_reference_is_not_placed_twice() {
    let app = app().await;
    app.telnyx_settings(json!({"reference_lag_ms": 200})).await;
    let number = app.offer().await;
    app.fault(fault("POST", ORDERS, json!({"kind": "drop_after"}))).await;
    app.purchase("owner", order_of(&number)).await.expect(200);
    assert_eq!(orders_sent(&app), 1);
    balance(&app).await;
}

#[tokio::test]
async fn an_order_that_shows_later_than_we_wait_for_is_known_by_its_number() {
    let app = app().await;
    // Longer than the time after which an order counts as missing.
    app.telnyx_settings(json!({"reference_lag_ms": 1_500})).await;
    for (number, taken_as_bad_request) in app.offers("312", 2).await.iter().zip([false, true]) {
        app.telnyx_settings(json!({ "taken_as_bad_request": taken_as_bad_request })).await;
        app.fault(fault("POST", ORDERS, json!({"kind": "drop_after"}))).await;
        app.purchase("owner", order_of(number)).await.expect(200);
        balance(&app).await;
    }
}

#[tokio::test]
async fn an_order_that_shows_nowhere_for_long_is_not_given_up_while_its_number_is_off_the_market() {
    let app = app().await;
    // Its reference and its number stay invisible for much longer than the time after which an order counts as missing.
    app.telnyx_settings(json!({"reference_lag_ms": 1_500, "number_lag_ms": 1_500, "number_delay_ms": 1_500})).await;
    let number = app.offer().await;
    app.fault(fault("POST", ORDERS, json!({"kind": "drop_after"}))).await;
    app.purchase("owner", order_of(&number)).await.expect(200);
    assert_eq!(orders_sent(&app), 1);
    balance(&app).await;
}

#[tokio::test]
async fn a_number_that_somebody_else_with_the_same_account_bought_is_never_adopted() {
    let app = app().await;
    let numbers = app.offers("312", 4).await;
    for (number, as_bad_request) in numbers.iter().zip([false, true]) {
        app.telnyx_settings(json!({ "taken_as_bad_request": as_bad_request })).await;
        // Our search still shows it; before we order, it is sold.
        app.fault(fault("GET", SEARCH, json!({"kind": "delay", "delay_ms": 400}))).await;
        let before = app.asked("GET", SEARCH);
        let somebody_else = async {
            eventually(async || (app.asked("GET", SEARCH) > before).then_some(())).await;
            ordered_by_somebody_else(&app, number).await;
        };
        let (refused, ()) = tokio::join!(app.purchase("owner", order_of(number)), somebody_else);
        refused.expect_problem(409, "number_unavailable");
        assert!(app.rows().await.is_empty());
    }
    for (number, kind) in numbers[2..].iter().zip([json!({"kind": "drop_before"}), json!({"kind": "status", "status": 500})]) {
        // Our order is lost, another customer's is not.
        app.fault(fault("POST", ORDERS, kind)).await;
        let sent = orders_sent(&app);
        let somebody_else = async {
            eventually(async || (orders_sent(&app) > sent).then_some(())).await;
            ordered_by_somebody_else(&app, number).await;
        };
        let (refused, ()) = tokio::join!(app.purchase("owner", order_of(number)), somebody_else);
        refused.expect_problem(409, "number_unavailable");
        assert!(app.rows().await.is_empty());
    }
    assert_eq!(app.billed().await.len(), 4, "another customer keeps its number");
    balance(&app).await;
}
