//! How many calls Telnyx gets: all tenants may share one account, and with it one rate limit.

use serde_json::{Value, json};

use crate::support::actions::{balance, heal, order_of, order_of_all, orders_sent};
use crate::support::app::World;

const SEARCH: &str = "/v2/available_phone_numbers";

/// The countries that were searched since the first `before` searches.
fn searched(world: &World, before: usize) -> Vec<String> {
    let exchanges = world.telnyx.exchanges();
    let searches = exchanges.iter().filter(|exchange| exchange.path == SEARCH).skip(before);
    let country = |query: &str| {
        let url = reqwest::Url::parse(&format!("http://x/?{query}")).unwrap();
        url.query_pairs().find(|(name, _)| name == "filter[country_code]").unwrap().1.into_owned()
    };
    searches.map(|search| country(&search.query)).collect()
}

#[tokio::test]
async fn ten_numbers_that_nobody_offers_cost_a_search_in_each_of_their_few_countries() {
    let world = World::new().await;
    let numbers: Vec<_> = (0..10).map(|digit| format!("+1312555010{digit}")).collect();
    world.purchase("owner", order_of_all(&numbers)).await.expect_problem(409, "number_unavailable");
    let searched = searched(&world, 0);
    assert_eq!(searched.len(), 20, "{searched:?}");
    assert_eq!(world.telnyx.exchanges().len(), 20, "and nothing else");
    assert!(world.rows().await.is_empty());
}

#[tokio::test]
async fn a_number_is_searched_for_where_its_plan_says_and_then_in_at_most_three_countries() {
    let world = World::new().await;
    let plans: [(&str, &[&str]); 6] = [
        ("+13125550100", &["US", "CA"]),
        ("+14165550100", &["CA", "US"]),
        ("+17875550100", &["PR", "US", "CA"]),
        ("+18005550100", &["US", "CA"]),
        ("+442071838750", &["GB", "GG", "IM", "JE"]),
        ("+33123456789", &["FR"]),
    ];
    for (number, countries) in plans {
        let before = world.asked("GET", SEARCH);
        world.purchase("owner", order_of(number)).await.expect_problem(409, "number_unavailable");
        assert_eq!(searched(&world, before), countries, "{number}");
    }
}

#[tokio::test]
async fn a_number_that_is_offered_where_its_plan_says_costs_one_search() {
    let world = World::new().await;
    for country in ["US", "CA", "PR", "GB"] {
        let offer = world.search("owner", &format!("country_code={country}&limit=1")).await.expect(200).number().clone();
        let before = world.asked("GET", SEARCH);
        world.purchase("owner", order_of(offer["phone_number"].as_str().unwrap())).await.expect(200);
        assert_eq!(searched(&world, before), [country]);
    }
    balance(&world).await;
}

#[tokio::test]
async fn a_search_that_one_country_refuses_does_not_end_the_look_in_the_others() {
    let world = World::new().await;
    for refusal in [json!({"country_code": "US"}), json!({"country_code": "US", "status": 400, "code": "10015"})] {
        world.telnyx_settings(json!({"refused_searches": [refusal]})).await;
        let before = world.asked("GET", SEARCH);
        // Not offered in Canada either.
        world.purchase("owner", order_of("+13125550100")).await.expect_problem(409, "number_unavailable");
        assert_eq!(searched(&world, before), ["US", "CA"], "{refusal}");
        // The last country may be the one that refuses.
        world.purchase("owner", order_of("+14165550100")).await.expect_problem(409, "number_unavailable");
    }
    assert_eq!(orders_sent(&world), 0);
    assert!(world.rows().await.is_empty());
}

#[tokio::test]
async fn a_number_whose_search_every_country_refuses_is_rejected() {
    let world = World::new().await;
    let number = world.offer().await;
    world.telnyx_settings(json!({"refused_searches": [{}]})).await;
    for validate_only in [false, true] {
        let before = world.asked("GET", SEARCH);
        let mut body = order_of(&number);
        body["validate_only"] = json!(validate_only);
        let refused = world.purchase("owner", body).await.expect_problem(422, "upstream_rejected");
        assert_eq!(refused.body["retryable"], false);
        assert_eq!(searched(&world, before), ["US", "CA"]);
    }
    assert!(world.rows().await.is_empty());
    world.telnyx_settings(json!({"refused_searches": []})).await;
    world.purchase("owner", order_of(&number)).await.expect(200);
    balance(&world).await;
}

#[tokio::test]
async fn any_other_failure_of_a_search_ends_the_look() {
    let world = World::new().await;
    let number = world.offer().await;
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
        let before = world.asked("GET", SEARCH);
        world.fault(fault.clone()).await;
        world.purchase("owner", order_of(&number)).await.expect_problem(status, code);
        assert_eq!(searched(&world, before), ["US"], "{fault}");
        heal(&world).await;
    }
    assert_eq!(orders_sent(&world), 0);
}
