//! The number of calls to Telnyx: all tenants may share one account and its rate limit.

use serde_json::{Value, json};

use crate::support::actions::{balance, clear_faults, order_of, order_of_all, orders_sent};
use crate::support::app::TestApp;

const SEARCH: &str = "/v2/available_phone_numbers";

/// The countries that were searched since the first `before` searches.
fn searched(app: &TestApp, before: usize) -> Vec<String> {
    let exchanges = app.telnyx.exchanges();
    let searches = exchanges.iter().filter(|exchange| exchange.path == SEARCH).skip(before);
    let country = |query: &str| {
        let url = reqwest::Url::parse(&format!("http://x/?{query}")).unwrap();
        url.query_pairs().find(|(name, _)| name == "filter[country_code]").unwrap().1.into_owned()
    };
    searches.map(|search| country(&search.query)).collect()
}

#[tokio::test]
async fn ten_numbers_that_nobody_offers_cost_a_search_in_each_of_their_few_countries() {
    let app = TestApp::new().await;
    let numbers: Vec<_> = (0..10).map(|digit| format!("+1312555010{digit}")).collect();
    app.purchase("owner", order_of_all(&numbers)).await.expect_problem(409, "number_unavailable");
    let searched = searched(&app, 0);
    assert_eq!(searched.len(), 20, "{searched:?}");
    assert_eq!(app.telnyx.exchanges().len(), 20, "and nothing else");
    assert!(app.rows().await.is_empty());
}

#[tokio::test]
async fn a_number_is_searched_for_where_its_plan_says_and_then_in_at_most_three_countries() {
    let app = TestApp::new().await;
    let plans: [(&str, &[&str]); 6] = [
        ("+13125550100", &["US", "CA"]),
        ("+14165550100", &["CA", "US"]),
        ("+17875550100", &["PR", "US", "CA"]),
        ("+18005550100", &["US", "CA"]),
        ("+442071838750", &["GB", "GG", "IM", "JE"]),
        ("+33123456789", &["FR"]),
    ];
    for (number, countries) in plans {
        let before = app.asked("GET", SEARCH);
        app.purchase("owner", order_of(number)).await.expect_problem(409, "number_unavailable");
        assert_eq!(searched(&app, before), countries, "{number}");
    }
}

#[tokio::test]
async fn a_number_that_is_offered_where_its_plan_says_costs_one_search() {
    let app = TestApp::new().await;
    for country in ["US", "CA", "PR", "GB"] {
        let offer = app.search("owner", &format!("country_code={country}&limit=1")).await.expect(200).number().clone();
        let before = app.asked("GET", SEARCH);
        app.purchase("owner", order_of(offer["phone_number"].as_str().unwrap())).await.expect(200);
        assert_eq!(searched(&app, before), [country]);
    }
    balance(&app).await;
}

#[tokio::test]
async fn a_search_that_one_country_refuses_does_not_end_the_look_in_the_others() {
    let app = TestApp::new().await;
    for refusal in [json!({"country_code": "US"}), json!({"country_code": "US", "status": 400, "code": "10015"})] {
        app.telnyx_settings(json!({"refused_searches": [refusal]})).await;
        let before = app.asked("GET", SEARCH);
        // Not offered in Canada either.
        app.purchase("owner", order_of("+13125550100")).await.expect_problem(409, "number_unavailable");
        assert_eq!(searched(&app, before), ["US", "CA"], "{refusal}");
        // The last country may be the one that refuses.
        app.purchase("owner", order_of("+14165550100")).await.expect_problem(409, "number_unavailable");
    }
    assert_eq!(orders_sent(&app), 0);
    assert!(app.rows().await.is_empty());
}

#[tokio::test]
async fn a_number_whose_search_every_country_refuses_is_rejected() {
    let app = TestApp::new().await;
    let number = app.offer().await;
    app.telnyx_settings(json!({"refused_searches": [{}]})).await;
    for validate_only in [false, true] {
        let before = app.asked("GET", SEARCH);
        let mut body = order_of(&number);
        body["validate_only"] = json!(validate_only);
        let refused = app.purchase("owner", body).await.expect_problem(422, "upstream_rejected");
        assert_eq!(refused.body["retryable"], false);
        assert_eq!(searched(&app, before), ["US", "CA"]);
    }
    assert!(app.rows().await.is_empty());
    app.telnyx_settings(json!({"refused_searches": []})).await;
    app.purchase("owner", order_of(&number)).await.expect(200);
    balance(&app).await;
}

#[tokio::test]
async fn any_other_failure_of_a_search_ends_the_look() {
    let app = TestApp::new().await;
    let number = app.offer().await;
    let failures: [(Value, u16, &str); 6] = [
        (json!({"status": 401, "code": "10009"}), 502, "upstream_error"),
        (json!({"status": 400, "code": "20002"}), 502, "upstream_error"),
        (json!({"status": 403, "code": "10010"}), 502, "upstream_error"),
        (json!({"status": 404, "code": "10005"}), 502, "upstream_error"),
        (json!({"status": 500, "code": "10007"}), 502, "upstream_error"),
        (json!({"status": 429, "code": "10011"}), 429, "rate_limited"),
    ];
    for (mut fault, status, code) in failures {
        fault["kind"] = json!("status");
        fault["path_prefix"] = json!(SEARCH);
        let before = app.asked("GET", SEARCH);
        app.fault(fault.clone()).await;
        app.purchase("owner", order_of(&number)).await.expect_problem(status, code);
        assert_eq!(searched(&app, before), ["US"], "{fault}");
        clear_faults(&app).await;
    }
    assert_eq!(orders_sent(&app), 0);
}
