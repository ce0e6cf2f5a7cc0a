//! The gateway: events from requests, and responses from answers.

use reqwest::header::{COOKIE, HeaderValue};
use serde_json::{Value, json};

use super::fake::Fake;

const OK: &str = r#"{"statusCode": 200}"#;

fn ok() -> Value {
    serde_json::from_str(OK).unwrap()
}

#[tokio::test]
async fn a_request_becomes_an_event_of_format_2() {
    let fake = Fake::usual().await;
    let request = fake
        .client
        .post(format!("{}?a=1&b=x%20y&a=2&empty=", fake.route))
        .header("X-Twice", "one")
        .header("X-Twice", "two")
        .header(COOKIE, "first=1; second=2")
        .header("User-Agent", "test")
        .header("content-type", "application/json; charset=utf-8")
        .body("{\"ü\":1}");
    let (work, _) = fake.exchange(request, &ok()).await;
    let event = &work.event;
    assert_eq!(event["version"], "2.0");
    assert_eq!(event["routeKey"], "ANY /fake");
    assert_eq!(event["rawPath"], "/fake");
    assert_eq!(event["rawQueryString"], "a=1&b=x%20y&a=2&empty=");
    assert_eq!(event["queryStringParameters"], json!({"a": "1,2", "b": "x y", "empty": ""}));
    assert_eq!(event["headers"]["x-twice"], "one,two");
    assert_eq!(event["headers"]["x-forwarded-for"], "127.0.0.1");
    assert_eq!(event["headers"].get("cookie"), None);
    assert_eq!(event["cookies"], json!(["first=1", "second=2"]));
    assert_eq!(event["body"], "{\"ü\":1}");
    assert_eq!(event["isBase64Encoded"], false);
    let context = &event["requestContext"];
    assert_eq!(context["http"]["method"], "POST");
    assert_eq!(context["http"]["path"], "/fake");
    assert_eq!(context["http"]["sourceIp"], "127.0.0.1");
    assert_eq!(context["http"]["userAgent"], "test");
    assert_eq!(context["stage"], "$default");
    assert_eq!(context["requestId"], work.id);
    assert_eq!(context["domainName"], "127.0.0.1");
    assert!(context["timeEpoch"].as_i64().unwrap() > 1_600_000_000_000);
}

#[tokio::test]
async fn what_a_request_lacks_its_event_lacks_too() {
    let fake = Fake::usual().await;
    let (work, _) = fake.exchange(fake.client.get(&fake.route), &ok()).await;
    for absent in ["body", "cookies", "queryStringParameters"] {
        assert_eq!(work.event.get(absent), None, "{absent}");
    }
    assert_eq!(work.event["rawQueryString"], "");
}

#[tokio::test]
async fn the_library_of_the_functions_reads_the_event() {
    let fake = Fake::usual().await;
    let request = fake.client.put(format!("{}?a=1&a=2", fake.route)).header("origin", "http://localhost").body("text");
    let (work, _) = fake.exchange(request, &ok()).await;
    let request = lambda_http::request::from_str(&work.event.to_string()).unwrap();
    assert_eq!(request.method(), "PUT");
    assert_eq!(request.uri().path(), "/fake");
    assert_eq!(request.uri().query(), Some("a=1&a=2"));
    assert_eq!(request.headers()["origin"], "http://localhost");
    assert_eq!(request.body(), &lambda_http::Body::Text("text".to_owned()));
}

#[tokio::test]
async fn bytes_and_forms_arrive_as_base64() {
    let fake = Fake::usual().await;
    let requests = [
        fake.client.post(&fake.route).body(vec![0xff_u8, 0]),
        fake.client.post(&fake.route).header("content-type", "application/x-www-form-urlencoded").body("a=1"),
    ];
    for (request, expected) in requests.into_iter().zip(["/wA=", "YT0x"]) {
        let (work, _) = fake.exchange(request, &ok()).await;
        assert_eq!(work.event["body"], expected);
        assert_eq!(work.event["isBase64Encoded"], true);
    }
}

#[tokio::test]
async fn an_answer_becomes_a_response() {
    let fake = Fake::usual().await;
    let answer = json!({
        "statusCode": 418,
        "headers": {"content-type": "application/problem+json", "vary": "Origin", "x-number": 1},
        "multiValueHeaders": {"vary": ["ignored"]},
        "cookies": ["a=1", "b=2; Path=/"],
        "body": "{\"ü\":1}",
        "isBase64Encoded": false,
    });
    let (work, response) = fake.exchange(fake.client.get(&fake.route), &answer).await;
    assert_eq!(response.status(), 418);
    let headers = response.headers().clone();
    assert_eq!(headers["content-type"], "application/problem+json");
    assert_eq!(headers["vary"], "Origin");
    assert_eq!(headers["x-number"], "1");
    assert_eq!(headers["apigw-requestid"], work.id);
    let cookies: Vec<_> = headers.get_all("set-cookie").iter().map(HeaderValue::as_bytes).collect();
    assert_eq!(cookies, [b"a=1".as_slice(), b"b=2; Path=/"]);
    assert_eq!(response.text().await.unwrap(), "{\"ü\":1}");
}

#[tokio::test]
async fn an_answer_may_be_bytes_or_nothing_at_all() {
    let fake = Fake::usual().await;
    let bytes = json!({"statusCode": 200, "body": "/wA=", "isBase64Encoded": true});
    let (_, response) = fake.exchange(fake.client.get(&fake.route), &bytes).await;
    assert_eq!(response.bytes().await.unwrap(), [0xff_u8, 0].as_slice());
    let (_, response) = fake.exchange(fake.client.get(&fake.route), &json!({"statusCode": 204})).await;
    assert_eq!(response.status(), 204);
    assert_eq!(response.headers().get("content-type"), None);
}

#[tokio::test]
async fn anything_but_an_answer_is_the_body_of_a_success() {
    let fake = Fake::usual().await;
    let (_, response) = fake.exchange(fake.client.get(&fake.route), &json!({"hello": "app"})).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.json::<Value>().await.unwrap(), json!({"hello": "app"}));
    let (_, response) = fake.exchange(fake.client.get(&fake.route), &json!({"statusCode": "many"})).await;
    assert_eq!(response.status(), 500);
}

#[tokio::test]
async fn every_method_reaches_the_function() {
    let fake = Fake::usual().await;
    for method in ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"] {
        let request = fake.client.request(method.parse().unwrap(), &fake.route);
        let (work, response) = fake.exchange(request, &json!({"statusCode": 200, "body": "text"})).await;
        assert_eq!(work.event["requestContext"]["http"]["method"], method);
        assert_eq!(response.status(), 200);
    }
}

#[tokio::test]
async fn a_function_url_takes_every_path() {
    let fake = Fake::usual().await;
    let request = fake.client.get(format!("{}/any/path", fake.url.url()));
    let (work, response) = fake.exchange(request, &ok()).await;
    assert_eq!(work.event["routeKey"], "$default");
    assert_eq!(work.event["rawPath"], "/any/path");
    assert_eq!(response.headers()["x-amzn-requestid"], work.id);
}

#[tokio::test]
async fn what_no_function_takes_the_gateway_answers_itself() {
    let fake = Fake::usual().await;
    let response = fake.client.get(format!("{}/other", fake.api.url())).send().await.unwrap();
    assert_eq!(response.status(), 404);
    assert_eq!(response.json::<Value>().await.unwrap(), json!({"message": "Not Found"}));
    for size in [7 * 1024 * 1024, 11 * 1024 * 1024] {
        let response = fake.client.post(&fake.route).body(vec![b'a'; size]).send().await.unwrap();
        assert_eq!(response.status(), 413);
    }
}
