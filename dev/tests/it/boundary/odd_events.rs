//! Events that API Gateway, a function URL or an invocation by hand can deliver and no HTTP library would send, to the binaries
//! through the Runtime API.

use dev::demo;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::app::ORIGIN;
use crate::support::functions::calls;
use crate::support::product::{Product, web_functions};

const RECONCILE: &str = "phone-numbers-reconcile";

/// What the runtime of a function has answered to an event.
async fn answer(product: &Product, function: &str, event: &str) -> Value {
    let answer = product.function(function).invoke(Uuid::new_v4().to_string(), event.to_owned().into()).await;
    let answer = answer.unwrap_or_else(|failure| panic!("{failure:?} at {event}"));
    serde_json::from_slice(&answer).unwrap()
}

/// The problem in an answer, and its status.
fn problem(answer: &Value) -> (u64, Value) {
    let problem: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!(problem["status"], answer["statusCode"], "{answer:#}");
    (answer["statusCode"].as_u64().unwrap(), problem)
}

fn event(method: &str, token: &str) -> Value {
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/",
        "rawQueryString": "",
        "headers": {
            "authorization": format!("Bearer {token}"),
            "content-type": "application/json",
            "host": "abc.lambda-url.us-east-1.on.aws",
            "origin": ORIGIN,
        },
        "requestContext": {
            "domainName": "abc.lambda-url.us-east-1.on.aws",
            "http": {"method": method, "path": "/", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "test"},
            "stage": "$default",
        },
        "isBase64Encoded": false,
    })
}

fn owner(product: &Product) -> String {
    let owner = demo::USERS[0];
    product.stack.issuer().token(owner.id, owner.email)
}

/// A right event for each function that web apps call.
fn events(product: &Product) -> Vec<(&'static str, Value)> {
    let calls = calls("00000000-0000-4000-8000-000000000000", "00000000-0000-4000-8000-000000000000");
    let event = |call: crate::support::functions::Call| {
        let mut event = event(call.method.as_str(), &owner(product));
        event["rawQueryString"] = json!(call.query);
        event["body"] = call.body.map_or(Value::Null, |body| json!(body.to_string()));
        (call.function, event)
    };
    let events: Vec<_> = calls.into_iter().map(event).collect();
    assert!(web_functions().iter().all(|name| events.iter().any(|(function, _)| function == name)));
    events
}

#[tokio::test]
async fn a_query_or_header_that_no_request_can_have_is_answered_by_every_function() {
    let product = Product::start(&[]).await;
    for (function, right) in events(&product) {
        let usual = answer(&product, function, &right.to_string()).await["statusCode"].clone();
        // CloudFront turns a `+` into a space.
        for query in ["a b", "a\"b", "<a>", "a\u{0}\n", "a{|}\\^`", "ä"] {
            let mut odd = right.clone();
            let raw = right["rawQueryString"].as_str().unwrap();
            odd["rawQueryString"] = json!(format!("{raw}&{query}=1"));
            let answer = answer(&product, function, &odd.to_string()).await;
            let (status, problem) = problem(&answer);
            assert_eq!((status, &problem["errors"][0]["field"]), (400, &json!(query)), "{function}: {problem:#}");
            assert_eq!(answer["headers"]["access-control-allow-origin"], ORIGIN);
        }
        for (name, value) in
            [("host", "no host"), ("host", "a/b:c"), ("user-agent", "a\r\nb\u{1}"), ("x-a b", "c"), ("x-city", "São Paulo")]
        {
            let mut odd = right.clone();
            odd["headers"][name] = json!(value);
            odd["requestContext"]["domainName"] = json!(value);
            odd["cookies"] = json!([value, 7]);
            odd["rawPath"] = json!(value);
            assert_eq!(answer(&product, function, &odd.to_string()).await["statusCode"], usual, "{function} {name}: {value:?}");
        }
        let mut odd = right.clone();
        odd["headers"]["authorization"] = json!(format!("Bearer {}\n", owner(&product)));
        assert_eq!(problem(&answer(&product, function, &odd.to_string()).await).0, 401);
    }
    product.stack.stop().await;
}

#[tokio::test]
async fn a_condition_or_an_idempotency_key_that_cannot_be_read_is_refused_rather_than_left_out() {
    let product = Product::start(&[]).await;
    for (function, event) in events(&product) {
        let header = match (function, event["requestContext"]["http"]["method"].as_str().unwrap()) {
            ("phone-numbers-assign", "POST" | "PATCH" | "DELETE") => "If-Match",
            ("phone-numbers-purchase", _) => "Idempotency-Key",
            _ => continue,
        };
        let mut odd = event.clone();
        odd["headers"][header.to_ascii_lowercase()] = json!("\"1\"\u{1}");
        let (status, problem) = problem(&answer(&product, function, &odd.to_string()).await);
        assert_eq!((status, &problem["errors"][0]["field"]), (400, &json!(header)), "{problem:#}");
    }
    product.stack.stop().await;
}

#[tokio::test]
async fn an_event_that_is_no_request_is_a_problem_and_the_function_goes_on() {
    let product = Product::start(&[]).await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    for (function, right) in events(&product) {
        let mut no_base64 = right.clone();
        no_base64["isBase64Encoded"] = json!(true);
        no_base64["body"] = json!("{}");
        let mut no_method = right.clone();
        no_method["requestContext"] = json!({});
        for event in [no_base64, no_method] {
            let answer = answer(&product, function, &event.to_string()).await;
            assert_eq!(problem(&answer).0, 400);
            assert_eq!(answer["headers"]["access-control-allow-origin"], ORIGIN);
        }
        for event in ["null", "[]", "\"text\"", "{}", r#"{"headers": {"origin": "\ud800"}}"#, r#"{"a": 1e999}"#, &deep] {
            assert_eq!(problem(&answer(&product, function, event).await).0, 400, "{function}");
        }
        let ids = product.function(function).idle_processes();
        assert_eq!(ids.len(), 1, "the same process has answered everything");
    }
    product.stack.stop().await;
}

#[tokio::test]
async fn an_odd_webhook_is_answered_and_anything_else_is_the_schedules() {
    let product = Product::start(&[]).await;
    let mut odd = event("POST", "no token");
    odd["body"] = json!("{}");
    for (member, value, status) in [
        ("rawQueryString", json!("a b\"<>"), 401),
        ("headers", json!({"host": "no host", "telnyx-timestamp": "1\n", "telnyx-signature-ed25519": 7}), 401),
        ("headers", Value::Null, 401),
        ("isBase64Encoded", json!(true), 400),
        ("body", json!(7), 400),
        ("requestContext", Value::Null, 400),
        ("requestContext", json!({"http": {"method": "GET"}}), 405),
    ] {
        let mut odd = odd.clone();
        odd[member] = value.clone();
        assert_eq!(problem(&answer(&product, RECONCILE, &odd.to_string()).await).0, status, "{member}: {value}");
    }
    for scheduled in [json!({"source": "aws.events", "detail": {}}), json!({}), Value::Null] {
        assert_eq!(answer(&product, RECONCILE, &scheduled.to_string()).await, Value::Null);
    }
    product.stack.stop().await;
}
