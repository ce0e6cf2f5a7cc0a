//! Telnyx's rate limit: every call of the process obeys the wait, and the caller gets the rest of it.

use chrono::{TimeDelta, Utc};
use dev::demo;
use lambda_http::http::Method;
use phone_numbers_purchase::Purchase;
use phone_numbers_release::Release;
use phone_numbers_search::Search;
use serde_json::{Value, json};

use crate::boundary::secrets::{PLATFORM, secrets_manager};
use crate::support::actions::{balance, clear_faults, order_of, order_of_all, release_of};
use crate::support::app::{Reply, TestApp, eventually, send};

const SEARCH: &str = "/v2/available_phone_numbers";
const ORDERS: &str = "/v2/number_orders";
const NUMBERS: &str = "/v2/phone_numbers";
const QUERY: &str = "country_code=US&limit=1";

/// Answers each matching call with 429.
async fn limited(app: &TestApp, mut fault: Value, retry_after: &str) {
    app.telnyx_settings(json!({ "retry_after": retry_after })).await;
    fault["kind"] = json!("status");
    fault["status"] = json!(429);
    app.fault(fault).await;
}

/// The whole seconds that a caller is told to wait.
#[track_caller]
fn told(reply: Reply) -> u64 {
    reply.expect_problem(429, "rate_limited").header("retry-after").parse().unwrap()
}

#[tokio::test]
async fn the_caller_gets_the_wait_in_whole_seconds_rounded_up() {
    let app = TestApp::new().await;
    let cases = [("7", 7), ("7.2", 8), ("0.3", 1), ("0", 1), ("-3", 1), ("soon", 1), ("7200", 3_600), ("1e300", 3_600)];
    for (retry_after, seconds) in cases {
        limited(&app, json!({"path_prefix": SEARCH}), retry_after).await;
        assert_eq!(told(app.search("owner", QUERY).await), seconds, "{retry_after}");
    }
    let date = (Utc::now() + TimeDelta::seconds(1_000)).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    limited(&app, json!({"path_prefix": SEARCH}), &date).await;
    let seconds = told(app.search("owner", QUERY).await);
    assert!((500..=1_000).contains(&seconds), "{date}: {seconds}");
}

#[tokio::test]
async fn until_the_wait_is_over_nothing_is_sent_and_the_caller_gets_the_rest_of_it() {
    let app = TestApp::new().await;
    let (function, token) = (app.function::<Search>(), app.token("owner"));
    limited(&app, json!({"path_prefix": SEARCH}), "600").await;
    let first = told(send(&function, &token, Method::GET, QUERY, None).await);
    let again = told(send(&function, &token, Method::GET, QUERY, None).await);
    assert!(first == 600 && again <= first && again > 300, "{first} {again}");
    assert_eq!(app.asked("GET", SEARCH), 1);
    // Another process does not know of the limit yet.
    app.search("owner", QUERY).await.expect(200);
}

#[tokio::test]
async fn once_the_wait_is_over_calls_are_sent_again() {
    let app = TestApp::new().await;
    let (function, token) = (app.function::<Search>(), app.token("owner"));
    limited(&app, json!({"path_prefix": SEARCH}), "0.4").await;
    told(send(&function, &token, Method::GET, QUERY, None).await);
    eventually(async || (send(&function, &token, Method::GET, QUERY, None).await.status == 200).then_some(())).await;
    assert_eq!(app.asked("GET", SEARCH), 2);
}

#[tokio::test]
async fn an_account_that_is_limited_keeps_no_other_waiting() {
    let mut app = TestApp::new().await;
    app.telnyx_settings(json!({"accounts": {"their own": "KEYTHEIROWN"}})).await;
    let secrets_manager = secrets_manager(&mut app).await;
    secrets_manager.set_text(PLATFORM, app.telnyx.api_key());
    secrets_manager.set_text(&format!("telnyx/{}", demo::DEMO.id), "KEYTHEIROWN");
    let function = app.function::<Search>();
    limited(&app, json!({"path_prefix": SEARCH}), "600").await;
    told(send(&function, &app.token("owner"), Method::GET, QUERY, None).await);
    send(&function, &app.token("other_owner"), Method::GET, QUERY, None).await.expect(200);
    told(send(&function, &app.token("owner"), Method::GET, QUERY, None).await);
    assert_eq!(app.asked("GET", SEARCH), 2);
}

#[tokio::test]
async fn four_releases_of_a_limited_account_send_one_deletion_each_at_most() {
    let mut app = TestApp::new().await;
    let bought = app.purchase("owner", order_of_all(&app.offers("312", 4).await)).await.expect(200);
    let ids: Vec<_> = bought.body["phone_numbers"].as_array().unwrap().iter().map(|row| row["id"].clone()).collect();
    app.set("REQUEST_BUDGET_MS", "4000");
    limited(&app, json!({"method": "DELETE", "path_prefix": NUMBERS, "times": 1_000}), "600").await;
    let (function, token) = (app.function::<Release>(), app.token("owner"));
    let body = json!({"phone_number_ids": ids, "confirm": true});
    for _ in 0..2 {
        let reply = send(&function, &token, Method::POST, "", Some(body.clone())).await.expect(207);
        let problems: Vec<_> = reply.body["failed"].as_array().unwrap().iter().map(|failed| failed["problem"]["code"].clone()).collect();
        assert_eq!(problems, vec!["rate_limited"; 4]);
        assert!((1..=4).contains(&app.asked("DELETE", NUMBERS)), "{}", app.asked("DELETE", NUMBERS));
        balance(&app).await;
    }
    clear_faults(&app).await;
    app.set("REQUEST_BUDGET_MS", "8000");
    app.release("owner", body).await.expect(200);
    assert!(app.billed().await.is_empty());
    balance(&app).await;
}

#[tokio::test]
async fn a_release_waits_for_the_given_time_and_asks_no_sooner() {
    let app = TestApp::new().await;
    let row = app.purchase("owner", order_of(&app.offer().await)).await.expect(200).number().clone();
    limited(&app, json!({"method": "DELETE", "path_prefix": NUMBERS}), "1.2").await;
    app.release("owner", release_of(&row)).await.expect(200);
    assert_eq!(app.asked("DELETE", NUMBERS), 2);
    balance(&app).await;
}

#[tokio::test]
async fn a_purchase_of_a_limited_account_is_finished_after_the_wait_without_asking_meanwhile() {
    let app = TestApp::new().await;
    let number = app.offer().await;
    app.telnyx_settings(json!({"order_delay_ms": 100})).await;
    limited(&app, json!({"method": "GET", "path_prefix": ORDERS}), "1.5").await;
    app.purchase("owner", order_of(&number)).await.expect(200);
    assert_eq!(app.asked("GET", ORDERS), 2, "polled every 20 ms, it would be many more");
    balance(&app).await;
}

#[tokio::test]
async fn ten_purchases_of_a_limited_account_send_no_more_searches_than_are_under_way() {
    let app = TestApp::new().await;
    let numbers = app.offers("312", 10).await;
    let before = app.asked("GET", SEARCH);
    limited(&app, json!({"path_prefix": SEARCH, "times": 1_000}), "600").await;
    let (function, token) = (app.function::<Purchase>(), app.token("owner"));
    for _ in 0..2 {
        let seconds = told(send(&function, &token, Method::POST, "", Some(order_of_all(&numbers))).await);
        assert!((300..=600).contains(&seconds), "{seconds}");
    }
    let searches = app.asked("GET", SEARCH) - before;
    assert!((1..=4).contains(&searches), "{searches}");
    assert!(app.rows().await.is_empty());
    balance(&app).await;
}
