//! Keys, accounts, limits and the control interface.

use reqwest::Method;
use serde_json::json;

use super::{Telnyx, code, order_of, read};

#[tokio::test]
async fn a_request_needs_a_key_that_exists() {
    let telnyx = Telnyx::start().await;
    let url = format!("{}/phone_numbers", telnyx.simulator.url());
    let (status, body) = read(telnyx.http.get(&url).send().await.unwrap()).await;
    assert_eq!((status, code(&body)), (401, "10009"));
    assert_eq!(body["errors"][0]["detail"], "Could not find any usable credentials in the request.");
    let wrong = telnyx.ask("KEYnone", Method::GET, "/phone_numbers", None).await.unwrap();
    let (status, body) = read(wrong).await;
    assert_eq!((status, code(&body)), (401, "10009"));
    assert_eq!(body["errors"][0]["detail"], "Could not understand the provided credentials.");
    telnyx.finish();
}

#[tokio::test]
async fn an_unknown_path_is_not_found() {
    let telnyx = Telnyx::start().await;
    let (status, body) = telnyx.get("/phone_number_assignments").await;
    assert_eq!((status, code(&body)), (404, "10005"));
    assert_eq!(body["errors"][0]["detail"], "The requested resource or URL could not be found.");
    telnyx.finish_checking_answers();
}

#[tokio::test]
async fn accounts_share_what_is_on_offer_and_nothing_else() {
    let telnyx = Telnyx::start().await;
    telnyx.set(json!({ "accounts": { "other": "KEYother" } })).await;
    let (number, id) = telnyx.own().await;
    let other = |method: Method, path: String, body| {
        let telnyx = &telnyx;
        async move { read(telnyx.ask("KEYother", method, &path, body).await.unwrap()).await }
    };
    for path in ["/phone_numbers", "/number_orders"] {
        assert_eq!(other(Method::GET, path.to_owned(), None).await.1["data"], json!([]));
    }
    assert_eq!(other(Method::GET, format!("/phone_numbers/{id}"), None).await.0, 404);
    assert_eq!(other(Method::DELETE, format!("/phone_numbers/{id}"), None).await.0, 404);
    let bought = other(Method::POST, "/number_orders".to_owned(), Some(order_of(&number))).await;
    assert_eq!((bought.0, code(&bought.1)), (409, "85001"));
    let seen = telnyx.number().await;
    let unseen = other(Method::POST, "/number_orders".to_owned(), Some(order_of(&seen))).await;
    assert_eq!((unseen.0, code(&unseen.1)), (422, "85000"));
    telnyx.finish();
}

#[tokio::test]
async fn an_account_can_have_several_keys_and_loses_those_that_are_replaced() {
    let telnyx = Telnyx::start().await;
    let start = telnyx.api_key.as_str();
    let (_, id) = telnyx.own().await;
    let path = format!("/phone_numbers/{id}");
    let statuses = async |keys: [&str; 3]| {
        let mut statuses = Vec::new();
        for key in keys {
            statuses.push(telnyx.ask(key, Method::GET, &path, None).await.unwrap().status().as_u16());
        }
        statuses
    };
    let keys = [start, "KEYone", "KEYtwo"];
    assert_eq!(statuses(keys).await, [200, 401, 401]);
    for (accounts, expected) in [
        (json!({ "another": ["KEYone", "KEYtwo"] }), [200, 404, 404]),
        (json!({ "another": "KEYtwo" }), [200, 401, 404]),
        (json!({ "default": [start, "KEYone"] }), [200, 200, 404]),
        (json!({ "default": "KEYone" }), [401, 200, 404]),
        (json!({ "default": [] }), [401, 401, 404]),
        (json!({ "default": ["KEYtwo"], "another": [] }), [401, 401, 200]),
        // The key of one account moves to another.
        (json!({ "another": [start] }), [404, 401, 200]),
    ] {
        telnyx.set(json!({ "accounts": accounts })).await;
        assert_eq!(statuses(keys).await, expected, "{accounts}");
    }
    let (status, body) = read(telnyx.ask("KEYone", Method::GET, &path, None).await.unwrap()).await;
    assert_eq!((status, code(&body)), (401, "10009"));

    telnyx.control(Method::POST, "/reset", json!({})).await;
    assert_eq!(statuses(keys).await, [404, 401, 404]);
    assert_eq!(telnyx.state().await["settings"]["accounts"], json!({ "default": ["KEYtwo"], "another": [start] }));
    for accounts in [json!({ "another": 5 }), json!({ "another": ["KEYone", null] }), json!({ "another": null })] {
        let (status, _) = telnyx.control(Method::PUT, "/settings", json!({ "accounts": accounts })).await;
        assert_eq!(status, 400, "{accounts}");
    }
    telnyx.finish();
}

#[tokio::test]
async fn every_answer_speaks_of_the_rate_limit_and_a_set_one_is_enforced() {
    let telnyx = Telnyx::start().await;
    let ask = || telnyx.ask(&telnyx.api_key, Method::GET, "/phone_numbers", None);
    let headers = ask().await.unwrap().headers().clone();
    assert_eq!(headers["x-ratelimit-limit"], "2000, 2000;w=1");
    assert_eq!(headers["x-ratelimit-remaining"], "1999");
    assert_eq!(headers["x-ratelimit-reset"], "1");
    telnyx.set(json!({ "rate_limit_per_second": 2 })).await;
    assert_eq!(ask().await.unwrap().status(), 200);
    let (status, body) = read(ask().await.unwrap()).await;
    assert_eq!((status, code(&body)), (429, "10011"));
    telnyx.advance(1000).await;
    assert_eq!(ask().await.unwrap().status(), 200);
    telnyx.finish();
}

#[tokio::test]
async fn a_limit_can_last_longer_than_a_second() {
    let telnyx = Telnyx::start().await;
    telnyx.set(json!({ "rate_limit_per_second": 1, "rate_limit_window_ms": 90_500 })).await;
    let ask = || telnyx.ask(&telnyx.api_key, Method::GET, "/phone_numbers", None);
    let first = ask().await.unwrap();
    assert_eq!((first.status().as_u16(), &first.headers()["x-ratelimit-limit"]), (200, &"1, 1;w=91".parse().unwrap()));
    for (advance_ms, reset) in [(0, "91"), (60_000, "31"), (30_499, "1")] {
        telnyx.advance(advance_ms).await;
        let refused = ask().await.unwrap();
        assert_eq!((refused.status().as_u16(), &refused.headers()["x-ratelimit-reset"]), (429, &reset.parse().unwrap()));
    }
    telnyx.advance(1).await;
    assert_eq!(ask().await.unwrap().status(), 200);
    let (status, _) = telnyx.control(Method::PUT, "/settings", json!({ "rate_limit_window_ms": 0 })).await;
    assert_eq!(status, 400);
    telnyx.finish();
}

#[tokio::test]
async fn every_429_says_when_to_try_again_if_so_set() {
    let telnyx = Telnyx::start().await;
    telnyx.set(json!({ "rate_limit_per_second": 1 })).await;
    let ask = async || {
        let answer = telnyx.ask(&telnyx.api_key, Method::GET, "/phone_numbers", None).await.unwrap();
        let retry_after = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        (answer.status().as_u16(), retry_after)
    };
    assert_eq!(ask().await, (200, None));
    assert_eq!(ask().await, (429, None));
    for retry_after in ["7", "-1", "soon", "Wed, 21 Oct 2026 07:28:00 GMT"] {
        telnyx.set(json!({ "retry_after": retry_after })).await;
        assert_eq!(ask().await, (429, Some(retry_after.to_owned())));
    }
    telnyx.set(json!({ "rate_limit_per_second": null, "retry_after": "7" })).await;
    for (status, retry_after) in [(429, Some("7".to_owned())), (503, None)] {
        telnyx.fault(json!({ "path_prefix": "/v2", "kind": "status", "status": status })).await;
        assert_eq!(ask().await, (status, retry_after));
    }
    assert_eq!(ask().await, (200, None));
    let (status, body) = telnyx.control(Method::PUT, "/settings", json!({ "retry_after": "7\r\nx-other: 1" })).await;
    assert_eq!(status, 400);
    assert!(body["error"].as_str().unwrap().contains("'retry_after'"), "{body}");
    telnyx.finish();
}

#[tokio::test]
async fn a_setting_that_does_not_exist_is_refused_by_name() {
    let telnyx = Telnyx::start().await;
    for (settings, named) in
        [(json!({ "order_delay": 5 }), "order_delay"), (json!({ "order_delay_ms": 7, "order_outcome": "perhaps" }), "order_outcome")]
    {
        let (status, body) = telnyx.control(Method::PUT, "/settings", settings).await;
        assert_eq!(status, 400);
        assert!(body["error"].as_str().unwrap().contains(&format!("'{named}'")), "{body}");
    }
    assert_eq!(telnyx.state().await["settings"]["order_delay_ms"], 1400);
    telnyx.finish();
}

#[tokio::test]
async fn the_state_shows_what_happened_and_a_reset_clears_all_but_the_keys() {
    let telnyx = Telnyx::start().await;
    telnyx.set(json!({ "accounts": { "other": "KEYother" }, "order_delay_ms": 1300 })).await;
    let mut order = order_of(&telnyx.number().await);
    order["customer_reference"] = json!("op-1");
    telnyx.post("/number_orders", order).await;
    telnyx.fault(json!({ "path_prefix": "/v2", "kind": "drop_before" })).await;
    let state = telnyx.state().await;
    assert_eq!(state["api_key"], telnyx.api_key);
    assert_eq!(state["orders"][0]["customer_reference"], "op-1");
    assert_eq!(state["orders"][0]["account"], "default");
    assert_eq!(state["numbers"][0]["status"], "purchase-pending");
    let request = &state["requests"][1];
    assert_eq!((&request["method"], &request["path"], &request["status"]), (&json!("POST"), &json!("/v2/number_orders"), &json!(200)));

    assert_eq!(telnyx.control(Method::POST, "/reset", json!({})).await.0, 200);
    let state = telnyx.state().await;
    for emptied in ["orders", "numbers", "requests", "faults"] {
        assert_eq!(state[emptied], json!([]), "{emptied}");
    }
    assert_eq!(state["settings"]["order_delay_ms"], 1400);
    assert_eq!(state["settings"]["clock"], "manual");
    assert_eq!(telnyx.ask("KEYother", Method::GET, "/phone_numbers", None).await.unwrap().status(), 200);
    assert_eq!(telnyx.get("/phone_numbers").await.0, 200);
    telnyx.finish();
}
