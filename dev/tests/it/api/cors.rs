//! What a page on another origin may do and read, and the methods that functions take.

use std::collections::BTreeSet;

use dev::demo;
use lambda_http::Body;
use lambda_http::http::request::Builder;
use lambda_http::http::{HeaderMap, Request};
use serde_json::json;

use crate::support::app::{ORIGIN, Reply, TestApp, agent};
use crate::support::functions::{FUNCTIONS, Functions, calls, page};

const ALLOWED: [&str; 6] = [
    "http://localhost",
    "http://localhost:5173",
    "http://localhost:65535",
    "https://app.example.com",
    "https://pr-7.app.example.com",
    "https://a.example.com",
];
const REFUSED: [&str; 9] = [
    "https://evil.example.org",
    "https://example.com",
    "http://app.example.com",
    "https://app.example.com:8443",
    "https://localhost:3000",
    "https://app.example.com.evil.org",
    "https://evilexample.com",
    "http://localhost:3000@evil.org",
    "null",
];

fn from(method: &str, origin: &str) -> Builder {
    Request::builder().method(method).uri("https://api.example.com/").header("origin", origin)
}

/// The values in a header, in lower case.
fn listed(reply: &Reply, name: &str) -> BTreeSet<String> {
    reply.header(name).split(',').map(|word| word.trim().to_ascii_lowercase()).filter(|word| !word.is_empty()).collect()
}

fn words(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| word.to_ascii_lowercase()).collect()
}

/// Asserts that a page at `origin` can read the answer.
#[track_caller]
fn readable(reply: &Reply, origin: &str) {
    assert_eq!(values(&reply.headers, "access-control-allow-origin"), [origin], "{reply:?}");
    let exposed = ["etag", "retry-after", "idempotent-replayed", "x-request-id", "location"];
    assert_eq!(listed(reply, "access-control-expose-headers"), words(&exposed));
    assert!(listed(reply, "vary").contains("origin"), "{reply:?}");
}

/// Asserts that no page can read the answer, and that it varies by origin.
#[track_caller]
fn unreadable(reply: &Reply) {
    assert!(!reply.headers.keys().any(|name| name.as_str().starts_with("access-control-")), "{reply:?}");
    assert!(listed(reply, "vary").contains("origin"), "{reply:?}");
}

/// No cache may keep the answer, and no browser may take it for anything but what it says.
#[track_caller]
fn is_for_this_user_and_as_declared(reply: &Reply) {
    assert_eq!(values(&reply.headers, "cache-control"), ["no-store"], "{reply:?}");
    assert_eq!(values(&reply.headers, "x-content-type-options"), ["nosniff"], "{reply:?}");
}

fn values<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
}

#[tokio::test]
async fn a_preflight_is_answered_for_every_allowed_origin_without_a_token() {
    let app = TestApp::new().await;
    let functions = Functions::start(&app);
    for &(function, methods) in FUNCTIONS {
        for origin in ALLOWED {
            let preflight = from("OPTIONS", origin)
                .header("access-control-request-method", methods[0])
                .header("access-control-request-headers", "authorization,apikey,content-type,x-client-info")
                .body(Body::Empty)
                .unwrap();
            let reply = functions.answer(function, preflight).await.expect(204);
            readable(&reply, origin);
            assert_eq!(reply.body, json!(null));
            assert_eq!(listed(&reply, "access-control-allow-methods"), words(methods));
            let headers = ["authorization", "apikey", "x-client-info", "content-type"];
            assert_eq!(listed(&reply, "access-control-allow-headers"), words(&headers));
            assert_eq!(reply.header("access-control-allow-credentials"), "");
            assert!(listed(&reply, "vary").contains("access-control-request-headers"));
            is_for_this_user_and_as_declared(&reply);
            assert!(reply.header("access-control-max-age").parse::<u32>().unwrap() > 0);
        }
    }
}

async fn allowed_headers(functions: &Functions, origin: &str, asked: &str) -> BTreeSet<String> {
    let preflight = from("OPTIONS", origin).header("access-control-request-method", "GET").header("access-control-request-headers", asked);
    let reply = functions.answer("phone-numbers-list", preflight.body(Body::Empty).unwrap()).await.expect(204);
    listed(&reply, "access-control-allow-headers")
}

#[tokio::test]
async fn an_allowed_page_may_send_whatever_headers_its_libraries_add() {
    let app = TestApp::new().await;
    let functions = Functions::start(&app);
    let added = "authorization,baggage,idempotency-key,if-match,sentry-trace,traceparent,tracestate,x-region,x-retry-count,\
                 x-supabase-api-version,x-of-next-year";
    let expected = words(&added.split(',').collect::<Vec<_>>());
    assert_eq!(allowed_headers(&functions, ORIGIN, added).await, expected);
    assert_eq!(allowed_headers(&functions, ORIGIN, &added.to_uppercase().replace(',', " ,\t")).await, expected);
    assert!(allowed_headers(&functions, REFUSED[0], added).await.is_empty());
}

#[tokio::test]
async fn what_is_no_list_of_header_names_is_not_repeated() {
    let app = TestApp::new().await;
    let functions = Functions::start(&app);
    let many = |count: usize| (0..count).map(|index| format!("x-{index}")).collect::<Vec<_>>().join(",");
    assert_eq!(allowed_headers(&functions, ORIGIN, &many(64)).await.len(), 64);
    assert_eq!(allowed_headers(&functions, ORIGIN, &"x".repeat(64)).await.len(), 1);
    for wrong in [&many(65), &"x".repeat(65), "", ",", "x-a b", "x-a: b", "x-a;b", "\"x-a\"", "x-é", "<script>", "authorization,x-a b"] {
        assert!(allowed_headers(&functions, ORIGIN, wrong).await.is_empty(), "{wrong}");
    }
}

/// `supabase.functions.invoke(…, {region})` adds it to every request.
#[tokio::test]
async fn the_parameter_that_supabase_js_adds_for_a_region_is_ignored() {
    let app = TestApp::new().await;
    let functions = Functions::start(&app);
    let calls = calls("00000000-0000-4000-8000-000000000000", &agent(&demo::DEMO, 0).to_string());
    for mut call in calls {
        let without = functions.call(&app.token("owner"), &call).await;
        let query = std::mem::take(&mut call.query);
        for added in ["forceFunctionRegion=us-east-1", "forceFunctionRegion=&forceFunctionRegion=eu-west-1"] {
            call.query = format!("{query}&{added}");
            let with = functions.call(&app.token("owner"), &call).await;
            assert_eq!((with.status, with.code()), (without.status, without.code()), "{call:?}: {:#}", with.body);
        }
        call.query = format!("{query}&forceFunctionRegions=us-east-1");
        let reply = functions.call(&app.token("owner"), &call).await.expect_problem(400, "invalid_request");
        assert_eq!(reply.fields(), ["forceFunctionRegions"]);
    }
}

#[tokio::test]
async fn no_other_origin_is_allowed_anything() {
    let app = TestApp::new().await;
    let functions = Functions::start(&app);
    for &(function, methods) in FUNCTIONS {
        for origin in REFUSED {
            let preflight = from("OPTIONS", origin).header("access-control-request-method", methods[0]).body(Body::Empty).unwrap();
            unreadable(&functions.answer(function, preflight).await.expect(204));
            unreadable(&functions.answer(function, from(methods[0], origin).body(Body::Empty).unwrap()).await.expect(401));
        }
    }
}

#[tokio::test]
async fn a_caller_that_is_no_page_is_answered_without_any_of_it() {
    let app = TestApp::new().await;
    let functions = Functions::start(&app);
    let request = Request::builder().uri("https://api.example.com/").header("authorization", format!("Bearer {}", app.token("owner")));
    unreadable(&functions.answer("phone-numbers-list", request.body(Body::Empty).unwrap()).await.expect(200));
}

#[tokio::test]
async fn without_allowed_origins_no_page_may_call() {
    let mut app = TestApp::new().await;
    app.set("ALLOWED_ORIGINS", "");
    let functions = Functions::start(&app);
    for origin in ALLOWED {
        unreadable(&functions.answer("phone-numbers-list", from("OPTIONS", origin).body(Body::Empty).unwrap()).await.expect(204));
    }
}

#[tokio::test]
async fn a_page_can_read_successes_and_failures_alike() {
    let app = TestApp::new().await;
    let functions = Functions::start(&app);
    let row = app.insert(json!({"status": "released"})).await;
    let other = app.insert(json!({})).await;
    let ask = async |function, method: &str, query: &str, user: &str, body: &str| {
        let token = if user.is_empty() { String::new() } else { format!("Bearer {}", app.token(user)) };
        let request = page(method, query).header("authorization", token).header("content-type", "application/json");
        let reply = functions.answer(function, request.body(Body::from(body)).unwrap()).await;
        readable(&reply, ORIGIN);
        is_for_this_user_and_as_declared(&reply);
        assert!(!reply.header("x-request-id").is_empty());
        if reply.status >= 400 {
            assert_eq!(reply.body["request_id"], reply.header("x-request-id"));
        }
        reply.status
    };
    let (search, list, assign) = ("phone-numbers-search", "phone-numbers-list", "phone-numbers-assign");
    let clear = json!({"phone_number_id": row["id"], "friendly_name": null}).to_string();
    let large = "x".repeat(70_000);
    assert_eq!(ask(list, "GET", "", "owner", "").await, 200);
    assert_eq!(ask(list, "GET", "colour=red", "owner", "").await, 400);
    assert_eq!(ask(list, "GET", "", "", "").await, 401);
    assert_eq!(ask(list, "GET", "", "client_viewer", "").await, 403);
    assert_eq!(ask(assign, "GET", "id=00000000-0000-4000-8000-000000000000", "owner", "").await, 404);
    assert_eq!(ask(list, "POST", "", "owner", "{}").await, 405);
    assert_eq!(ask(assign, "PATCH", "", "owner", &clear).await, 409);
    assert_eq!(ask(assign, "PATCH", "", "owner", &large).await, 413);
    app.fault(json!({"path_prefix": "/v2", "kind": "status", "status": 500})).await;
    assert_eq!(ask(search, "GET", "country_code=US", "owner", "").await, 502);
    app.fault(json!({"path_prefix": "/v2", "kind": "status", "status": 422})).await;
    assert_eq!(ask(search, "GET", "country_code=US", "owner", "").await, 422);
    app.fault(json!({"path_prefix": "/v2", "kind": "status", "status": 429})).await;
    assert_eq!(ask(search, "GET", "country_code=US", "owner", "").await, 429);
    app.refuse_updates().await;
    let rename = json!({"phone_number_id": other["id"], "friendly_name": "Front desk"}).to_string();
    assert_eq!(ask(assign, "PATCH", "", "owner", &rename).await, 500);
    app.sql.batch_execute("alter table agency_phone_numbers rename to gone").await.unwrap();
    assert_eq!(ask(list, "GET", "", "owner", "").await, 503);
}

#[tokio::test]
async fn a_method_a_function_does_not_take_is_refused_with_those_it_does() {
    let app = TestApp::new().await;
    let functions = Functions::start(&app);
    for &(function, methods) in FUNCTIONS {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND", "get"] {
            if methods.contains(&method) {
                continue;
            }
            for token in [String::new(), format!("Bearer {}", app.token("owner"))] {
                let request = page(method, "").header("authorization", token).body(Body::Empty).unwrap();
                let reply = functions.answer(function, request).await.expect_problem(405, "method_not_allowed");
                assert_eq!(listed(&reply, "allow"), words(methods), "{method} {function}");
                readable(&reply, ORIGIN);
            }
        }
    }
}

#[tokio::test]
async fn the_path_is_never_looked_at() {
    let app = TestApp::new().await;
    let functions = Functions::start(&app);
    for path in ["/", "/phone-numbers-list", "/functions/v1/phone-numbers-list", "/phone-numbers-release", "/Prod/x"] {
        let request = Request::builder().uri(format!("https://api.example.com{path}"));
        let request = request.header("authorization", format!("Bearer {}", app.token("owner"))).body(Body::Empty).unwrap();
        let reply = functions.answer("phone-numbers-list", request).await.expect(200);
        assert_eq!(reply.body["pagination"]["limit"], 50);
    }
}
