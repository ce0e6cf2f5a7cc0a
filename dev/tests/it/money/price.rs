//! The caller's price limit, compared with the current price of the number.

use dev::fault_proxy::{Fault, Moment};
use serde_json::{Value, json};

use crate::support::actions::{balance, clear_faults, order_of, order_of_all, orders_sent};
use crate::support::app::{Reply, TestApp, eventually};

const ORDERS: &str = "/v2/number_orders";

/// The body that buys one number, with more members.
fn limited(number: &str, members: &Value) -> Value {
    let mut body = order_of(number);
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    body
}

/// Sets the price of every number on offer.
async fn costs(app: &TestApp, cost_information: Value) {
    app.telnyx_settings(json!({ "cost_information": cost_information })).await;
}

/// Asserts that a number was too expensive, and that nothing was written.
async fn too_dear(app: &TestApp, number: &str, reply: Reply) -> Reply {
    let reply = reply.expect_problem(409, "price_exceeded");
    assert_eq!(reply.body["retryable"], false);
    assert!(!app.rows().await.iter().any(|row| row["phone_number"] == *number));
    let failed = app.ledger().await.into_iter().rfind(|purchase| purchase["phone_number"] == *number).unwrap();
    assert_eq!((&failed["phase"], &failed["failure_code"]), (&json!("failed"), &json!("price_exceeded")));
    assert!(failed["lease_token"].is_null());
    assert!(!app.billed().await.contains(&number.to_owned()));
    balance(app).await;
    reply
}

#[tokio::test]
async fn a_number_is_bought_up_to_the_limit_and_not_beyond() {
    let app = TestApp::new().await;
    // Every number of this area costs 1.00 a month and 1.00 once.
    let cases = [
        (json!({"max_monthly_cost": "1.00"}), true),
        (json!({"max_monthly_cost": "1"}), true),
        (json!({"max_monthly_cost": "1.0001"}), true),
        (json!({"max_monthly_cost": "0.9999"}), false),
        (json!({"max_monthly_cost": "0"}), false),
        (json!({"max_upfront_cost": "1.00"}), true),
        (json!({"max_upfront_cost": "0.99"}), false),
        (json!({"max_monthly_cost": "1.00", "max_upfront_cost": "1.00"}), true),
        (json!({"max_monthly_cost": "9.00", "max_upfront_cost": "0.99"}), false),
        (json!({"max_monthly_cost": "0.99", "max_upfront_cost": "9.00"}), false),
        (json!({"max_monthly_cost": "1.00", "currency": "USD"}), true),
        (json!({"max_monthly_cost": "9.00", "currency": "EUR"}), false),
        // A limit of `null` is no limit, and a currency alone is no limit.
        (json!({"max_monthly_cost": null, "max_upfront_cost": null}), true),
        (json!({"currency": "EUR"}), true),
    ];
    let numbers = app.offers("312", cases.len()).await;
    let mut bought = 0;
    for ((limits, within), number) in cases.into_iter().zip(&numbers) {
        let reply = app.purchase("owner", limited(number, &limits)).await;
        if within {
            let row = reply.expect(200).number().clone();
            assert_eq!((&row["monthly_cost"], &row["setup_cost"], &row["currency"]), (&json!("1.00"), &json!("1.00"), &json!("USD")));
            bought += 1;
        } else {
            let reply = too_dear(&app, number, reply).await;
            assert!(reply.body["detail"].as_str().unwrap().contains("1.00 a month and 1.00 once, in USD"), "{limits}: {reply:#?}");
        }
        assert_eq!(orders_sent(&app), bought, "{limits}");
    }
    balance(&app).await;
}

#[tokio::test]
async fn a_price_that_is_not_known_to_be_within_the_limit_is_beyond_it() {
    let app = TestApp::new().await;
    let monthly = json!({"max_monthly_cost": "5.00"});
    let upfront = json!({"max_upfront_cost": "5.00"});
    let euros = json!({"max_monthly_cost": "5.00", "currency": "EUR"});
    let cases = [
        (json!({}), &monthly, false),
        (json!({"currency": "USD"}), &monthly, false),
        (json!({"upfront_cost": "1.00", "currency": "USD"}), &monthly, false),
        (json!({"upfront_cost": "1.00", "currency": "USD"}), &upfront, true),
        (json!({"monthly_cost": "1.00", "currency": "USD"}), &upfront, false),
        (json!({"monthly_cost": "1.00", "currency": "USD"}), &monthly, true),
        (json!({"monthly_cost": "a dollar", "currency": "USD"}), &monthly, false),
        (json!({"monthly_cost": "", "currency": "USD"}), &monthly, false),
        (json!({"monthly_cost": "1.00"}), &monthly, false),
        (json!({"monthly_cost": "1.00", "currency": ""}), &monthly, false),
        (json!({"monthly_cost": "1.00", "currency": "EUR"}), &monthly, false),
        (json!({"monthly_cost": "1.00", "currency": "USD"}), &euros, false),
        (json!({"monthly_cost": "1.00", "currency": "EUR"}), &euros, true),
    ];
    let numbers = app.offers("312", cases.len()).await;
    let mut bought = 0;
    for ((cost, limits, within), number) in cases.into_iter().zip(&numbers) {
        costs(&app, cost.clone()).await;
        let reply = app.purchase("owner", limited(number, limits)).await;
        if within {
            reply.expect(200);
            bought += 1;
        } else {
            too_dear(&app, number, reply).await;
        }
        assert_eq!(orders_sent(&app), bought, "{cost} {limits}");
    }
}

#[tokio::test]
async fn without_a_limit_an_unknown_price_stops_nothing_and_is_stored_as_unknown() {
    let app = TestApp::new().await;
    let numbers = app.offers("312", 2).await;
    costs(&app, json!({})).await;
    let reply = app.purchase("owner", order_of(&numbers[0])).await.expect(200);
    assert_eq!((&reply.number()["monthly_cost"], &reply.number()["setup_cost"]), (&json!(null), &json!(null)));
    let purchase = &app.ledger().await[0];
    assert!(purchase["monthly_cost"].is_null() && purchase["upfront_cost"].is_null() && purchase["currency"].is_null());
    costs(&app, json!({"monthly_cost": "2.50", "upfront_cost": "0.0035", "currency": "EUR"})).await;
    let reply = app.purchase("owner", order_of(&numbers[1])).await.expect(200);
    let row = reply.number();
    assert_eq!((&row["monthly_cost"], &row["setup_cost"], &row["currency"]), (&json!("2.50"), &json!("0.0035"), &json!("EUR")));
}

#[tokio::test]
async fn what_counts_is_the_price_when_it_is_bought_and_not_when_it_was_found() {
    let app = TestApp::new().await;
    let number = app.offer().await;
    let limits = json!({"max_monthly_cost": "1.00"});
    costs(&app, json!({"monthly_cost": "1.01", "upfront_cost": "1.00", "currency": "USD"})).await;
    let refused = app.purchase("owner", limited(&number, &limits)).await;
    let refused = too_dear(&app, &number, refused).await;
    assert!(refused.body["detail"].as_str().unwrap().contains("1.01 a month"));
    costs(&app, json!({"monthly_cost": "0.90", "upfront_cost": "1.00", "currency": "USD"})).await;
    let bought = app.purchase("owner", limited(&number, &limits)).await.expect(200);
    assert_eq!((bought.header("idempotent-replayed"), &bought.number()["monthly_cost"]), ("", &json!("0.90")));
    let purchase = &app.ledger().await[1];
    assert_eq!((&purchase["monthly_cost"], &purchase["upfront_cost"]), (&json!(0.9), &json!(1.0)));
    assert_eq!((&purchase["max_monthly_cost"], &purchase["max_upfront_cost"]), (&json!(1.0), &json!(null)));
    balance(&app).await;
}

#[tokio::test]
async fn each_number_of_a_request_is_held_against_the_limit_by_itself() {
    let app = TestApp::new().await;
    let mut numbers = app.offers("312", 2).await;
    let dear = app.search("owner", "country_code=AU&phone_number_type=toll_free&limit=1").await.expect(200).number().clone();
    assert_ne!(dear["monthly_cost"], "1.00", "{dear}");
    numbers.insert(1, dear["phone_number"].as_str().unwrap().to_owned());
    let mut body = order_of_all(&numbers);
    body["max_monthly_cost"] = json!("1.00");
    let reply = app.purchase("owner", body).await.expect(207);
    let items = reply.body["phone_numbers"].as_array().unwrap();
    let outcomes: Vec<_> = items.iter().map(|item| item["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["purchased", "failed", "purchased"]);
    assert_eq!((&items[1]["problem"]["code"], &items[1]["problem"]["status"]), (&json!("price_exceeded"), &json!(409)));
    assert_eq!(orders_sent(&app), 2);
    balance(&app).await;

    let mut all_too_dear = order_of_all(&app.offers("415", 2).await);
    all_too_dear["max_upfront_cost"] = json!("0.10");
    app.purchase("owner", all_too_dear).await.expect_problem(409, "price_exceeded");
}

#[tokio::test]
async fn what_the_agency_has_is_not_bought_and_costs_nothing() {
    let app = TestApp::new().await;
    let number = app.offer().await;
    let first = app.purchase("owner", order_of(&number)).await.expect(200);
    let again = app.purchase("owner", limited(&number, &json!({"max_monthly_cost": "0.01"}))).await.expect(200);
    assert_eq!((again.header("idempotent-replayed"), again.number()), ("true", first.number()));
}

#[tokio::test]
async fn an_order_that_is_placed_anew_is_held_against_the_price_of_that_moment() {
    let app = TestApp::new().await;
    let numbers = app.offers("312", 2).await;
    for (number, limit, within) in [(&numbers[0], "2.00", true), (&numbers[1], "1.50", false)] {
        costs(&app, json!({"monthly_cost": "1.00", "upfront_cost": "1.00", "currency": "USD"})).await;
        let sent = orders_sent(&app);
        app.fault(json!({"method": "POST", "path_prefix": ORDERS, "kind": "drop_before"})).await;
        let rising = async {
            eventually(async || (orders_sent(&app) > sent).then_some(())).await;
            costs(&app, json!({"monthly_cost": "2.00", "upfront_cost": "1.00", "currency": "USD"})).await;
        };
        let body = limited(number, &json!({ "max_monthly_cost": limit }));
        let (reply, ()) = tokio::join!(app.purchase("owner", body), rising);
        if within {
            assert_eq!(reply.expect(200).number()["monthly_cost"], "2.00", "the price that was read last");
            assert_eq!(orders_sent(&app) - sent, 2);
        } else {
            too_dear(&app, number, reply).await;
            assert_eq!(orders_sent(&app) - sent, 1);
        }
        balance(&app).await;
    }
}

#[tokio::test]
async fn a_limit_applies_to_every_process_that_resumes_the_purchase() {
    let mut app = TestApp::new().await;
    app.set("LEASE_MS", "150");
    let number = app.offer().await;
    app.fault(json!({"method": "GET", "path_prefix": "/v2/available_phone_numbers", "kind": "delay", "delay_ms": 30_000})).await;
    let searches = app.asked("GET", "/v2/available_phone_numbers");
    tokio::select! {
        biased;
        () = eventually(async || (app.asked("GET", "/v2/available_phone_numbers") > searches).then_some(())) => {}
        reply = app.purchase("owner", limited(&number, &json!({"max_monthly_cost": "1.50"}))) => panic!("{reply:#?}"),
    }
    clear_faults(&app).await;
    assert_eq!(app.ledger().await[0]["phase"], "intended");
    costs(&app, json!({"monthly_cost": "2.00", "upfront_cost": "1.00", "currency": "USD"})).await;
    // This request has no limit, and resumes a purchase that has one.
    let resumed = app.purchase("admin", order_of(&number)).await;
    too_dear(&app, &number, resumed).await;
    assert_eq!((orders_sent(&app), app.ledger().await.len()), (0, 1));
    let bought = app.purchase("admin", order_of(&number)).await.expect(200);
    assert_eq!(bought.number()["monthly_cost"], "2.00");
    balance(&app).await;
}

#[tokio::test]
async fn a_request_that_only_waits_for_a_purchase_learns_that_it_was_too_expensive() {
    let app = TestApp::new().await;
    let number = app.offer().await;
    app.fault(json!({"method": "GET", "path_prefix": "/v2/available_phone_numbers", "kind": "delay", "delay_ms": 500})).await;
    let searches = app.asked("GET", "/v2/available_phone_numbers");
    let second = async {
        eventually(async || (app.asked("GET", "/v2/available_phone_numbers") > searches).then_some(())).await;
        app.purchase("admin", order_of(&number)).await
    };
    let body = limited(&number, &json!({"max_monthly_cost": "0.50"}));
    let (first, second) = tokio::join!(app.purchase("owner", body), second);
    first.expect_problem(409, "price_exceeded");
    too_dear(&app, &number, second).await;
    assert_eq!(orders_sent(&app), 0);
}

#[tokio::test]
async fn a_price_that_cannot_be_noted_buys_nothing() {
    let mut app = TestApp::new().await;
    app.set("LEASE_MS", "150");
    let number = app.offer().await;
    let proxy = app.with_fault_proxy().await;
    for _ in 0..2 {
        proxy.inject("purchases.order.ordering", Moment::Before, Fault::Cut);
    }
    app.purchase("owner", order_of(&number)).await.expect_problem(503, "unavailable");
    assert_eq!(orders_sent(&app), 0);
    app.purchase("owner", order_of(&number)).await.expect(200);
    balance(&app).await;
}

#[tokio::test]
async fn what_is_no_amount_and_no_currency_is_refused_by_name() {
    let app = TestApp::new().await;
    let number = app.offer().await;
    let asked = app.telnyx.exchanges().len();
    let amounts = [
        json!(""),
        json!("-1"),
        json!("+1"),
        json!("1e3"),
        json!("1,50"),
        json!("1.00001"),
        json!("1000000"),
        json!(" 1"),
        json!("one"),
        json!("."),
        json!(1),
        json!(1.5),
        json!(true),
        json!([]),
        json!({}),
    ];
    for amount in amounts {
        for limit in ["max_monthly_cost", "max_upfront_cost"] {
            let refused = app.purchase("owner", limited(&number, &json!({ limit: amount }))).await;
            assert_eq!(refused.expect_problem(400, "invalid_request").fields(), [limit], "{amount}");
        }
    }
    for currency in [json!(""), json!("usd"), json!("US"), json!("USDT"), json!("U5D"), json!("€€€"), json!(840)] {
        let refused = app.purchase("owner", limited(&number, &json!({ "currency": currency }))).await;
        assert_eq!(refused.expect_problem(400, "invalid_request").fields(), ["currency"], "{currency}");
    }
    let all = json!({"max_monthly_cost": "x", "max_upfront_cost": "y", "currency": "z", "max_cost": "1"});
    let refused = app.purchase("owner", limited(&number, &all)).await.expect(400);
    assert_eq!(refused.fields(), ["max_monthly_cost", "max_upfront_cost", "currency", "max_cost"]);
    // A limit belongs to the request, not to a number.
    let item = json!({"phone_numbers": [{"phone_number": number, "max_monthly_cost": "1.00"}]});
    assert_eq!(app.purchase("owner", item).await.expect(400).fields(), ["phone_numbers[0].max_monthly_cost"]);
    assert!(app.rows().await.is_empty() && app.ledger().await.is_empty());
    assert_eq!(app.telnyx.exchanges().len(), asked);
}
