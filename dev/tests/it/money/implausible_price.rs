//! An implausible price is treated as an error: nothing is bought at it, even if the caller's limit permits it.

use serde_json::{Value, json};

use crate::support::actions::{balance, order_of, orders_sent};
use crate::support::app::TestApp;

/// Sets the price of every number on offer.
async fn costs(app: &TestApp, cost_information: &Value) {
    app.telnyx_settings(json!({ "cost_information": cost_information })).await;
}

/// Asserts that a number is too expensive, also with `validate_only`, and that nothing is written.
async fn too_dear(app: &TestApp, number: &str, limits: &Value) {
    let mut body = order_of(number);
    body.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
    for validate_only in [true, false] {
        body["validate_only"] = json!(validate_only);
        let reply = app.purchase("owner", body.clone()).await.expect_problem(409, "price_exceeded");
        assert_eq!(reply.body["retryable"], false);
    }
    assert_eq!(orders_sent(app), 0);
    assert!(app.rows().await.is_empty());
}

#[tokio::test]
async fn a_price_above_the_plausible_one_is_exceeded_without_any_limit_of_the_callers() {
    let app = TestApp::new().await;
    let number = app.offer().await;
    let prices = [
        json!({"monthly_cost": "1000.01", "upfront_cost": "1.00", "currency": "USD"}),
        json!({"monthly_cost": "1.00", "upfront_cost": "1000.0001", "currency": "USD"}),
        json!({"monthly_cost": "1001", "currency": "JPY"}),
        json!({"upfront_cost": "1001"}),
        json!({"monthly_cost": "10000000000", "currency": "USD"}),
        json!({"monthly_cost": "1e4", "currency": "USD"}),
        json!({"monthly_cost": "1e400", "currency": "USD"}),
        json!({"upfront_cost": "9".repeat(400), "currency": "not a currency"}),
    ];
    for price in prices {
        costs(&app, &price).await;
        too_dear(&app, &number, &json!({})).await;
        too_dear(&app, &number, &json!({"max_monthly_cost": "999999", "max_upfront_cost": "999999"})).await;
    }
}

#[tokio::test]
async fn a_price_up_to_the_plausible_one_and_an_unknown_one_are_bought_at() {
    let app = TestApp::new().await;
    let prices = [
        (json!({"monthly_cost": "1000", "upfront_cost": "1000.0000", "currency": "JPY"}), json!("1000.00"), json!("JPY")),
        (json!({"monthly_cost": "1e3", "currency": "usd"}), json!("1000.00"), json!("USD")),
        (json!({}), json!(null), json!("USD")),
        (json!({"monthly_cost": null, "currency": null}), json!(null), json!("USD")),
        // An invalid amount or currency counts as unknown.
        (json!({"monthly_cost": "-1.00", "currency": "US dollars"}), json!(null), json!("USD")),
        (json!({"monthly_cost": "1.00", "currency": "\u{0}"}), json!("1.00"), json!("USD")),
    ];
    for ((price, monthly, currency), number) in prices.iter().zip(app.offers("312", prices.len()).await) {
        costs(&app, price).await;
        let row = app.purchase("owner", order_of(&number)).await.expect(200).number().clone();
        assert_eq!((&row["monthly_cost"], &row["currency"]), (monthly, currency), "{price}");
    }
    balance(&app).await;
}

#[tokio::test]
async fn a_search_shows_an_implausible_price_as_it_is() {
    let app = TestApp::new().await;
    costs(&app, &json!({"monthly_cost": "2500000.5", "upfront_cost": "1e9", "currency": "USD"})).await;
    let found = app.search("owner", "country_code=US&limit=1").await.expect(200);
    assert_eq!((&found.number()["monthly_cost"], &found.number()["upfront_cost"]), (&json!("2500000.50"), &json!("1000000000.00")));
}

#[tokio::test]
async fn the_plausible_price_is_a_setting_and_one_that_cannot_be_read_buys_nothing() {
    let mut app = TestApp::new().await;
    let number = app.offer().await;
    app.set("MAX_PLAUSIBLE_PRICE", "0.99");
    too_dear(&app, &number, &json!({})).await;
    costs(&app, &json!({})).await;
    for unreadable in ["a thousand", "-1", "1e3", "1000000", "1,000", "NaN"] {
        app.set("MAX_PLAUSIBLE_PRICE", unreadable);
        for validate_only in [true, false] {
            let mut body = order_of(&number);
            body["validate_only"] = json!(validate_only);
            app.purchase("owner", body).await.expect_problem(503, "unavailable");
        }
        assert_eq!((orders_sent(&app), app.rows().await.len()), (0, 0), "{unreadable}");
    }
    costs(&app, &json!(null)).await;
    for readable in ["", "1", "999999.9999"] {
        app.set("MAX_PLAUSIBLE_PRICE", readable);
        let mut body = order_of(&number);
        body["validate_only"] = json!(true);
        app.purchase("owner", body).await.expect(200);
    }
    app.purchase("owner", order_of(&number)).await.expect(200);
    balance(&app).await;
}
