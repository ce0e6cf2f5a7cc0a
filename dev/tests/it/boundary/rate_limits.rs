//! Telnyx limits an account: how long is obeyed for every call of the process, and the caller is told what is left.

use chrono::{TimeDelta, Utc};
use dev::demo;
use lambda_http::http::Method;
use phone_numbers_purchase::Purchase;
use phone_numbers_release::Release;
use phone_numbers_search::Search;
use serde_json::{Value, json};

use crate::boundary::secrets::{PLATFORM, vault};
use crate::support::actions::{balance, heal, order_of, order_of_all, release_of};
use crate::support::app::{Reply, World, eventually, send};

const SEARCH: &str = "/v2/available_phone_numbers";
const ORDERS: &str = "/v2/number_orders";
const NUMBERS: &str = "/v2/phone_numbers";
const QUERY: &str = "country_code=US&limit=1";

/// From here on, each call that the fault matches is limited.
async fn limited(world: &World, mut fault: Value, retry_after: &str) {
    world.telnyx_settings(json!({ "retry_after": retry_after })).await;
    fault["kind"] = json!("status");
    fault["status"] = json!(429);
    world.fault(fault).await;
}

/// The whole seconds that a caller is told to wait.
#[track_caller]
fn told(reply: Reply) -> u64 {
    reply.expect_problem(429, "rate_limited").header("retry-after").parse().unwrap()
}

#[tokio::test]
async fn the_caller_is_told_the_wait_in_whole_seconds_rounded_up() {
    let world = World::new().await;
    let cases = [("7", 7), ("7.2", 8), ("0.3", 1), ("0", 1), ("-3", 1), ("soon", 1), ("7200", 3_600), ("1e300", 3_600)];
    for (retry_after, seconds) in cases {
        limited(&world, json!({"path_prefix": SEARCH}), retry_after).await;
        assert_eq!(told(world.search("owner", QUERY).await), seconds, "{retry_after}");
    }
    let date = (Utc::now() + TimeDelta::seconds(1_000)).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    limited(&world, json!({"path_prefix": SEARCH}), &date).await;
    let seconds = told(world.search("owner", QUERY).await);
    assert!((500..=1_000).contains(&seconds), "{date}: {seconds}");
}

#[tokio::test]
async fn until_the_wait_is_over_nothing_is_sent_and_the_caller_is_told_what_is_left() {
    let world = World::new().await;
    let (function, token) = (world.function::<Search>(), world.token("owner"));
    limited(&world, json!({"path_prefix": SEARCH}), "600").await;
    let first = told(send(&function, &token, Method::GET, QUERY, None).await);
    let again = told(send(&function, &token, Method::GET, QUERY, None).await);
    assert!(first == 600 && again <= first && again > 300, "{first} {again}");
    assert_eq!(world.asked("GET", SEARCH), 1);
    // Another process has not been told yet.
    world.search("owner", QUERY).await.expect(200);
}

#[tokio::test]
async fn once_the_wait_is_over_calls_are_sent_again() {
    let world = World::new().await;
    let (function, token) = (world.function::<Search>(), world.token("owner"));
    limited(&world, json!({"path_prefix": SEARCH}), "0.4").await;
    told(send(&function, &token, Method::GET, QUERY, None).await);
    eventually(async || (send(&function, &token, Method::GET, QUERY, None).await.status == 200).then_some(())).await;
    assert_eq!(world.asked("GET", SEARCH), 2);
}

#[tokio::test]
async fn an_account_that_is_limited_keeps_no_other_waiting() {
    let mut world = World::new().await;
    world.telnyx_settings(json!({"accounts": {"their own": "KEYTHEIROWN"}})).await;
    let vault = vault(&mut world).await;
    vault.keep_text(PLATFORM, world.telnyx.api_key());
    vault.keep_text(&format!("telnyx/{}", demo::DEMO.id), "KEYTHEIROWN");
    let function = world.function::<Search>();
    limited(&world, json!({"path_prefix": SEARCH}), "600").await;
    told(send(&function, &world.token("owner"), Method::GET, QUERY, None).await);
    send(&function, &world.token("other_owner"), Method::GET, QUERY, None).await.expect(200);
    told(send(&function, &world.token("owner"), Method::GET, QUERY, None).await);
    assert_eq!(world.asked("GET", SEARCH), 2);
}

#[tokio::test]
async fn four_releases_of_a_limited_account_send_one_deletion_each_at_most() {
    let mut world = World::new().await;
    let bought = world.purchase("owner", order_of_all(&world.offers("312", 4).await)).await.expect(200);
    let ids: Vec<_> = bought.body["phone_numbers"].as_array().unwrap().iter().map(|row| row["id"].clone()).collect();
    world.set("REQUEST_BUDGET_MS", "4000");
    limited(&world, json!({"method": "DELETE", "path_prefix": NUMBERS, "times": 1_000}), "600").await;
    let (function, token) = (world.function::<Release>(), world.token("owner"));
    let body = json!({"phone_number_ids": ids, "confirm": true});
    for _ in 0..2 {
        let reply = send(&function, &token, Method::POST, "", Some(body.clone())).await.expect(207);
        let problems: Vec<_> = reply.body["failed"].as_array().unwrap().iter().map(|failed| failed["problem"]["code"].clone()).collect();
        assert_eq!(problems, vec!["rate_limited"; 4]);
        assert!((1..=4).contains(&world.asked("DELETE", NUMBERS)), "{}", world.asked("DELETE", NUMBERS));
        balance(&world).await;
    }
    heal(&world).await;
    world.set("REQUEST_BUDGET_MS", "8000");
    world.release("owner", body).await.expect(200);
    assert!(world.billed().await.is_empty());
    balance(&world).await;
}

#[tokio::test]
async fn a_release_waits_as_long_as_it_is_told_and_asks_no_sooner() {
    let world = World::new().await;
    let row = world.purchase("owner", order_of(&world.offer().await)).await.expect(200).number().clone();
    limited(&world, json!({"method": "DELETE", "path_prefix": NUMBERS}), "1.2").await;
    world.release("owner", release_of(&row)).await.expect(200);
    assert_eq!(world.asked("DELETE", NUMBERS), 2);
    balance(&world).await;
}

#[tokio::test]
async fn a_purchase_of_a_limited_account_is_finished_after_the_wait_without_asking_meanwhile() {
    let world = World::new().await;
    let number = world.offer().await;
    world.telnyx_settings(json!({"order_delay_ms": 100})).await;
    limited(&world, json!({"method": "GET", "path_prefix": ORDERS}), "1.5").await;
    world.purchase("owner", order_of(&number)).await.expect(200);
    assert_eq!(world.asked("GET", ORDERS), 2, "polled every 20 ms, it would be many more");
    balance(&world).await;
}

#[tokio::test]
async fn ten_purchases_of_a_limited_account_send_no_more_searches_than_are_under_way() {
    let world = World::new().await;
    let numbers = world.offers("312", 10).await;
    let before = world.asked("GET", SEARCH);
    limited(&world, json!({"path_prefix": SEARCH, "times": 1_000}), "600").await;
    let (function, token) = (world.function::<Purchase>(), world.token("owner"));
    for _ in 0..2 {
        let seconds = told(send(&function, &token, Method::POST, "", Some(order_of_all(&numbers))).await);
        assert!((300..=600).contains(&seconds), "{seconds}");
    }
    let searches = world.asked("GET", SEARCH) - before;
    assert!((1..=4).contains(&searches), "{searches}");
    assert!(world.rows().await.is_empty());
    balance(&world).await;
}
