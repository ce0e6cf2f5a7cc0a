//! How often users may search and agencies may buy, where the settings limit it.

use std::time::Duration;

use serde_json::json;

use crate::support::actions::{balance, decide, order_of, order_of_all, release_of};
use crate::support::app::{Reply, TestApp};

const SEARCH: &str = "country_code=US&limit=1";

/// Insists that a request came too early, and by no more than `at_most`.
#[track_caller]
fn too_early(reply: Reply, at_most: Duration) {
    let reply = reply.expect_problem(429, "rate_limited");
    let wait: u64 = reply.header("retry-after").parse().unwrap();
    assert!(wait > 0 && wait <= at_most.as_secs(), "{wait}");
    assert_eq!(reply.body["retryable"], true);
}

/// Lets time pass for the counters.
async fn pass(app: &TestApp, seconds: u32) {
    for table in ["phone_number_search_rates", "phone_number_purchase_rates"] {
        app.execute(&format!("update {table} set whole_at = whole_at - interval '{seconds} seconds'")).await;
    }
}

#[tokio::test]
async fn nothing_is_limited_or_counted_unless_the_settings_say_so() {
    let app = TestApp::new().await;
    for _ in 0..5 {
        app.search("owner", SEARCH).await.expect(200);
    }
    app.purchase("owner", order_of_all(&app.offers("312", 5).await)).await.expect(200);
    let everything = app.everything().await;
    assert_eq!((&everything["phone_number_search_rates"], &everything["phone_number_purchase_rates"]), (&json!([]), &json!([])));
}

#[tokio::test]
async fn a_user_searches_so_often_at_once_and_then_at_the_pace_of_the_limit() {
    let mut app = TestApp::new().await;
    app.set("MAX_SEARCHES_PER_MINUTE", "3");
    for _ in 0..3 {
        app.search("owner", SEARCH).await.expect(200);
    }
    let asked = app.telnyx.exchanges().len();
    too_early(app.search("owner", SEARCH).await, Duration::from_secs(20));
    assert_eq!(app.telnyx.exchanges().len(), asked, "Telnyx is asked nothing");
    // Each user has an allowance.
    app.search("member", SEARCH).await.expect(200);
    app.search("other_owner", SEARCH).await.expect(200);
    pass(&app, 20).await;
    app.search("owner", SEARCH).await.expect(200);
    too_early(app.search("owner", SEARCH).await, Duration::from_secs(20));
    pass(&app, 3_600).await;
    for _ in 0..3 {
        app.search("owner", SEARCH).await.expect(200);
    }
    too_early(app.search("owner", SEARCH).await, Duration::from_secs(20));
}

#[tokio::test]
async fn a_user_who_may_not_search_is_not_counted() {
    let mut app = TestApp::new().await;
    app.set("MAX_SEARCHES_PER_MINUTE", "1");
    for _ in 0..2 {
        app.search("client_viewer", SEARCH).await.expect_problem(403, "forbidden");
        app.search("platform_admin", SEARCH).await.expect_problem(403, "forbidden");
        app.search("owner", "country_code=nowhere").await.expect_problem(400, "invalid_request");
    }
    assert_eq!(app.everything().await["phone_number_search_rates"], json!([]));
    app.search("owner", SEARCH).await.expect(200);
}

#[tokio::test]
async fn searches_at_once_do_not_pass_the_limit_together() {
    let mut app = TestApp::new().await;
    app.set("MAX_SEARCHES_PER_MINUTE", "4");
    let replies = futures_util::future::join_all((0..12).map(|_| app.search("owner", SEARCH))).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 4);
    assert!(replies.iter().all(|reply| [200, 429].contains(&reply.status)));
}

#[tokio::test]
async fn an_agency_begins_so_many_purchases_and_what_is_repeated_or_resumed_does_not_count() {
    let mut app = TestApp::new().await;
    app.set("MAX_PURCHASES_PER_HOUR", "2");
    let numbers = app.offers("312", 5).await;
    app.telnyx_settings(json!({"order_outcome": "never"})).await;
    app.set("REQUEST_BUDGET_MS", "2500");
    app.purchase("owner", order_of(&numbers[0])).await.expect(202);
    app.purchase("admin", order_of(&numbers[0])).await.expect(202);
    decide(&app, "success").await;
    app.telnyx_settings(json!({"order_outcome": "success"})).await;
    app.set("REQUEST_BUDGET_MS", "8000");
    let row = app.purchase("admin", order_of(&numbers[0])).await.expect(200).number().clone();
    app.purchase("owner", order_of(&numbers[1])).await.expect(200);
    let (asked, rows) = (app.telnyx.exchanges().len(), app.rows().await);
    too_early(app.purchase("admin", order_of(&numbers[2])).await, Duration::from_mins(30));
    assert_eq!((app.telnyx.exchanges().len(), app.rows().await), (asked, rows), "nothing is asked and nothing written");
    for number in &numbers[..2] {
        assert_eq!(app.purchase("owner", order_of(number)).await.expect(200).header("idempotent-replayed"), "true");
    }
    // A release makes no room, and each agency has an allowance.
    app.release("owner", release_of(&row)).await.expect(200);
    too_early(app.purchase("owner", order_of(&numbers[0])).await, Duration::from_mins(30));
    app.purchase("other_owner", order_of(&numbers[2])).await.expect(200);
    pass(&app, 1_800).await;
    app.purchase("owner", order_of(&numbers[3])).await.expect(200);
    too_early(app.purchase("owner", order_of(&numbers[4])).await, Duration::from_mins(30));
    balance(&app).await;
}

#[tokio::test]
async fn several_numbers_are_bought_as_far_as_the_allowance_goes() {
    let mut app = TestApp::new().await;
    app.set("MAX_PURCHASES_PER_HOUR", "3");
    let reply = app.purchase("owner", order_of_all(&app.offers("312", 5).await)).await.expect(207);
    let outcomes = reply.body["phone_numbers"].as_array().unwrap().iter();
    let mut outcomes: Vec<_> = outcomes.map(|item| item["problem"]["code"].as_str().unwrap_or("purchased")).collect();
    outcomes.sort_unstable();
    assert_eq!(outcomes, ["purchased", "purchased", "purchased", "rate_limited", "rate_limited"]);
    balance(&app).await;
}

/// What counts does not show whether another agency has the number.
#[tokio::test]
async fn an_attempt_at_another_agencys_number_counts_as_one_at_a_number_that_is_not_on_offer() {
    let mut app = TestApp::new().await;
    let theirs = app.offer().await;
    app.purchase("other_owner", order_of(&theirs)).await.expect(200);
    app.set("MAX_PURCHASES_PER_HOUR", "2");
    for number in [theirs.as_str(), "+13125550123"] {
        app.purchase("owner", order_of(number)).await.expect_problem(409, "number_unavailable");
    }
    for number in [theirs.as_str(), "+13125550123"] {
        too_early(app.purchase("owner", order_of(number)).await, Duration::from_mins(30));
    }
}

#[tokio::test]
async fn reconcile_deletes_what_has_grown_back() {
    let mut app = TestApp::new().await;
    app.set("MAX_SEARCHES_PER_MINUTE", "3");
    app.set("MAX_PURCHASES_PER_HOUR", "3");
    let number = app.offer().await;
    app.purchase("owner", order_of(&number)).await.expect(200);
    app.search("member", SEARCH).await.expect(200);
    let counted = async || {
        let everything = app.everything().await;
        ["phone_number_search_rates", "phone_number_purchase_rates"].map(|table| everything[table].as_array().unwrap().len())
    };
    app.reconcile().await;
    assert_eq!(counted().await, [2, 1]);
    pass(&app, 3_600).await;
    app.reconcile().await;
    assert_eq!(counted().await, [0, 0]);
}
