//! Events of API Gateway and of function URLs (payload format 2.0): reads a request from one, and writes the answer to it.
//!
//! `lambda_http` reads events too, but panics on several that AWS can deliver, and a panic there is a bare 502 without CORS:
//! docs/decisions/0032-read-the-event-ourselves.md. Here every event, whatever JSON it is, becomes a request or a problem.

use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use lambda_http::http::Method;
use lambda_http::http::header::{HeaderMap, HeaderName, HeaderValue};
use lambda_http::{Body, Context, Request, RequestExt as _, Response};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use url::form_urlencoded;

use crate::error::Error;

/// The members that only events of HTTP requests have.
const HTTP_MEMBERS: [&str; 4] = ["requestContext", "rawPath", "rawQueryString", "headers"];

/// Stands for a control character in a header's value: a byte that a value may have and text may not.
const NOT_TEXT: u8 = 0xff;

/// An event that is not a request of this format.
pub(super) struct Malformed {
    /// The headers that could be read, for CORS.
    pub(super) headers: HeaderMap,
    /// `InvalidRequest` with the name of the event's member.
    pub(super) error: Error,
}

/// Parses an event. The runtime has only skipped over it, so it may still be what [`Value`] cannot hold: a lone surrogate, a
/// number out of range, or more levels than its parser descends.
pub(super) fn parse(event: &RawValue) -> Result<Value, Box<Malformed>> {
    let malformed = |_| Box::new(Malformed { headers: HeaderMap::new(), error: Error::invalid("event", "cannot be read") });
    serde_json::from_str(event.get()).map_err(malformed)
}

/// Whether an event is an HTTP request, well-formed or not, rather than the schedule's.
pub(super) fn is_http(event: &Value) -> bool {
    HTTP_MEMBERS.iter().any(|member| event.get(member).is_some())
}

/// The request that an event describes. The path is not read, since no function depends on it.
///
/// # Errors
/// The member of the event that is missing or not what the format says.
pub(super) fn request(event: &Value, context: Context) -> Result<Request, Box<Malformed>> {
    let given = &event["headers"];
    let headers = headers(given);
    let read = || {
        if !given.is_null() && !given.is_object() {
            return Err(Error::invalid("headers", "must be an object"));
        }
        let mut request = Request::new(body(event)?);
        *request.method_mut() = method(&event["requestContext"]["http"]["method"])?;
        Ok(request.with_query_string_parameters(query(event)?))
    };
    match read() {
        Ok(mut request) => {
            *request.headers_mut() = headers;
            Ok(request.with_lambda_context(context))
        }
        Err(error) => Err(Box::new(Malformed { headers, error })),
    }
}

fn method(value: &Value) -> Result<Method, Error> {
    let method = value.as_str().and_then(|text| text.parse().ok());
    method.ok_or_else(|| Error::invalid("requestContext.http.method", "must be a method"))
}

/// The headers. A name that no header can have is left out.
///
/// A value that no header can have is kept as one that is not text. A function that reads the header then refuses it: without an
/// `If-Match` or an `Idempotency-Key`, the request would mean something else.
fn headers(value: &Value) -> HeaderMap {
    let mut values = HashMap::<_, Vec<u8>>::new();
    for (name, value) in value.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { continue };
        // Two spellings of a name are one header given twice.
        let bytes = values.entry(name).and_modify(|bytes| bytes.push(b',')).or_default();
        match value.as_str() {
            Some(text) => bytes.extend(text.bytes().map(legal)),
            None => bytes.push(NOT_TEXT),
        }
    }
    let mut headers = HeaderMap::new();
    for (name, bytes) in values {
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            // Beyond the most that the map can hold, which is more than AWS delivers, headers are left out.
            let _ = headers.try_insert(name, value);
        }
    }
    headers
}

const fn legal(byte: u8) -> u8 {
    if byte.is_ascii_control() && byte != b'\t' { NOT_TEXT } else { byte }
}

/// The parameters, decoded as the URL standard says, which takes every text. The format's own `queryStringParameters` cannot tell
/// a comma from a second value, so they do not replace a raw query that is missing.
fn query(event: &Value) -> Result<HashMap<String, Vec<String>>, Error> {
    let raw = match &event["rawQueryString"] {
        Value::String(raw) => raw.as_str(),
        Value::Null if is_empty(&event["queryStringParameters"]) => "",
        _ => return Err(Error::invalid("rawQueryString", "must be a string")),
    };
    let mut parameters = HashMap::<_, Vec<_>>::new();
    for (name, value) in form_urlencoded::parse(raw.as_bytes()).into_owned() {
        parameters.entry(name).or_default().push(value);
    }
    Ok(parameters)
}

fn is_empty(parameters: &Value) -> bool {
    parameters.is_null() || parameters.as_object().is_some_and(serde_json::Map::is_empty)
}

fn body(event: &Value) -> Result<Body, Error> {
    let text = match &event["body"] {
        Value::Null => return Ok(Body::Empty),
        Value::String(text) => text,
        _ => return Err(Error::invalid("body", "must be a string")),
    };
    match event["isBase64Encoded"] {
        Value::Bool(true) => {
            let bytes = BASE64_STANDARD.decode(text).map_err(|_| Error::invalid("body", "is not Base64"))?;
            Ok(Body::Binary(bytes))
        }
        Value::Bool(false) | Value::Null => Ok(Body::Text(text.clone())),
        _ => Err(Error::invalid("isBase64Encoded", "must be true or false")),
    }
}

/// An answer of format 2.0. Every body of ours is text.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventAnswer {
    status_code: u16,
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    body: String,
    is_base64_encoded: bool,
}

impl From<Response<Body>> for EventAnswer {
    fn from(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let mut headers = BTreeMap::<String, String>::new();
        // The format has one value for each header.
        for (name, value) in &parts.headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            let values = headers.entry(name.to_string()).or_default();
            if !values.is_empty() {
                values.push_str(", ");
            }
            values.push_str(&value);
        }
        let body = match body {
            Body::Text(text) => text,
            other => String::from_utf8_lossy(other.as_ref()).into_owned(),
        };
        Self { status_code: parts.status.as_u16(), headers, body, is_base64_encoded: false }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::{Arc, LazyLock};

    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use lambda_http::LambdaEvent;
    use proptest::prelude::*;
    use ring::hmac;
    use serde_json::json;

    use super::*;
    use crate::config::Config;
    use crate::lambda::{Answer, Call, Function, Service};
    use crate::secrets::Secrets;

    const SECRET: &str = "a secret of more than thirty-two bytes";
    const ORIGIN: &str = "https://app.example.com";

    /// Answers with what it reads of a request.
    struct Echo;

    impl Function for Echo {
        const NAME: &'static str = "echo";
        const METHODS: &'static [&'static str] = &["GET", "POST"];

        fn new(_: &Config, _: Arc<Secrets>) -> Self {
            Self
        }

        async fn check(&self) -> Result<(), Error> {
            Ok(())
        }

        async fn handle(&self, call: Call) -> Result<Answer, Error> {
            let mut query = call.query.clone();
            query.sort();
            Answer::ok(&json!({"query": query, "body": String::from_utf8_lossy(call.raw_body()), "if_match": call.header("if-match")}))
        }
    }

    fn token() -> String {
        let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let claims = json!({"sub": "de300000-0000-4000-8000-000000020001", "iss": "us", "aud": "authenticated", "exp": 9_999_999_999_u64});
        let signed = format!("{}.{}", encode(&json!({"alg": "HS256", "typ": "JWT"})), encode(&claims));
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), signed.as_bytes());
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    /// An event as API Gateway sends it.
    fn event() -> Value {
        json!({
            "version": "2.0",
            "routeKey": "ANY /echo",
            "rawPath": "/echo",
            "rawQueryString": "limit=5",
            "cookies": ["a=1"],
            "headers": {"authorization": format!("Bearer {}", token()), "origin": ORIGIN, "host": "api.example.com"},
            "queryStringParameters": {"limit": "5"},
            "requestContext": {
                "domainName": "api.example.com",
                "http": {"method": "POST", "path": "/echo", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "test"},
                "stage": "$default",
                "timeEpoch": 1_767_225_600_000_u64,
            },
            "body": "{}",
            "isBase64Encoded": false,
        })
    }

    /// The event with another value in one place.
    fn with(place: &str, value: Value) -> Value {
        let mut event = event();
        let (parent, member) = place.rsplit_once('/').unwrap();
        event.pointer_mut(parent).unwrap()[member] = value;
        event
    }

    static SERVICE: LazyLock<Service<Echo>> = LazyLock::new(|| {
        let settings = [("JWT_SECRET", SECRET), ("JWT_ISSUER", "us"), ("ALLOWED_ORIGINS", ORIGIN)];
        Service::new(Config::read(|name| settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())))
    });

    fn answer(event: impl Into<String>) -> EventAnswer {
        let payload = RawValue::from_string(event.into()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(SERVICE.handle(LambdaEvent::new(payload, Context::default())));
        answer.unwrap_or_else(|never| match never {})
    }

    /// What the function has read.
    #[track_caller]
    fn echo(event: &Value) -> Value {
        let answer = answer(event.to_string());
        assert_eq!(answer.status_code, 200, "{answer:?}");
        serde_json::from_str(&answer.body).unwrap()
    }

    /// The field that the problem names.
    #[track_caller]
    fn refused(event: &Value) -> String {
        let answer = answer(event.to_string());
        assert_eq!(answer.status_code, 400, "{answer:?}");
        let problem: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(problem["code"], "invalid_request");
        problem["errors"][0]["field"].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_query_is_read_whatever_characters_it_has() {
        let cases = [
            ("search=front desk", "front desk"),
            ("search=front+desk", "front desk"),
            ("search=front%20desk", "front desk"),
            ("search=\"<b>\"", "\"<b>\""),
            ("search=a\u{0}b\n\u{7f}", "a\u{0}b\n\u{7f}"),
            ("search=%", "%"),
            ("search=%zz", "%zz"),
            ("search=%ff", "\u{fffd}"),
            ("search=Łódź#^`{|}\\", "Łódź#^`{|}\\"),
        ];
        for (raw, expected) in cases {
            assert_eq!(echo(&with("/rawQueryString", json!(raw)))["query"], json!([["search", expected]]), "{raw}");
        }
        let long = "x".repeat(100_000);
        assert_eq!(echo(&with("/rawQueryString", json!(format!("search={long}"))))["query"][0][1], long);
    }

    #[test]
    fn a_header_that_no_request_can_have_changes_nothing_unless_it_is_one_that_is_read() {
        let mut event = event();
        for (name, value) in [("user-agent", "a\r\nb: c"), ("a name", "a"), ("", "a"), ("x-ünknown", "é"), ("host", "no host\u{0}")] {
            event["headers"][name] = json!(value);
        }
        event["headers"]["x-number"] = json!(7);
        event["headers"]["x-null"] = Value::Null;
        assert_eq!(echo(&event)["if_match"], Value::Null);
        // Present, and no text: a function refuses it instead of doing without it.
        for value in [json!("\"1\"\n"), json!(7), json!(["\"1\""])] {
            event["headers"]["If-Match"] = value;
            assert_eq!(echo(&event)["if_match"], "");
        }
        assert_eq!(answer(with("/headers/authorization", json!(format!("Bearer {}\n", token()))).to_string()).status_code, 401);
    }

    #[test]
    fn a_header_in_two_spellings_is_given_twice() {
        let mut event = with("/headers/if-match", json!("\"1\""));
        event["headers"]["If-Match"] = json!("\"2\"");
        assert_eq!(echo(&event)["if_match"], "\"2\",\"1\"");
        event["headers"]["Authorization"] = json!("Bearer another");
        assert_eq!(answer(event.to_string()).status_code, 401);
    }

    #[test]
    fn a_body_is_text_or_base64() {
        let mut event = with("/body", json!("eyJhIjoxfQ=="));
        event["isBase64Encoded"] = json!(true);
        assert_eq!(echo(&event)["body"], "{\"a\":1}");
        event["body"] = json!("{\"a\":1}");
        assert_eq!(refused(&event), "body");
        assert_eq!(echo(&with("/body", Value::Null))["body"], "");
    }

    #[test]
    fn what_is_not_as_the_format_says_is_named_to_a_page_that_can_read_it() {
        let cases = [
            (with("/body", json!({"a": 1})), "body"),
            (with("/isBase64Encoded", json!("yes")), "isBase64Encoded"),
            (with("/rawQueryString", Value::Null), "rawQueryString"),
            (with("/rawQueryString", json!(["a"])), "rawQueryString"),
            (with("/requestContext", Value::Null), "requestContext.http.method"),
            (with("/requestContext/http", json!("GET /")), "requestContext.http.method"),
            (with("/requestContext/http/method", json!("GET /")), "requestContext.http.method"),
        ];
        assert_eq!(refused(&with("/headers", json!("origin: https://app.example.com"))), "headers");
        for (event, field) in cases {
            assert_eq!(refused(&event), field);
            assert_eq!(answer(event.to_string()).headers["access-control-allow-origin"], ORIGIN);
        }
    }

    #[test]
    fn an_event_that_is_no_request_is_answered_with_400() {
        let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
        let in_a_header = r#"{"headers": {"origin": "\ud800"}}"#;
        for event in ["null", "[]", "\"text\"", "7", "1e999", "{}", r#"{"httpMethod": "GET", "path": "/"}"#, &deep, in_a_header] {
            assert_eq!(answer(event).status_code, 400, "{event}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let text = prop_oneof![".{0,20}", "[ -~]{0,20}", "(GET|POST|OPTIONS|%|\\+|&|=|a|\u{0}|\n| |\"|é){0,8}"];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            text.prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            let objects = proptest::collection::btree_map(".{0,12}", inner.clone(), 0..6);
            prop_oneof![
                proptest::collection::vec(inner, 0..6).prop_map(Value::from),
                objects.prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// The members of an event, and members of those.
    const PLACES: [&str; 19] = [
        "/version",
        "/rawPath",
        "/rawQueryString",
        "/queryStringParameters",
        "/cookies",
        "/headers",
        "/headers/authorization",
        "/headers/origin",
        "/headers/host",
        "/headers/content-type",
        "/headers/if-match",
        "/headers/access-control-request-headers",
        "/body",
        "/isBase64Encoded",
        "/requestContext",
        "/requestContext/domainName",
        "/requestContext/timeEpoch",
        "/requestContext/http",
        "/requestContext/http/method",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn whatever_json_an_event_has_somewhere_it_is_answered(place in proptest::sample::select(&PLACES[..]), value in any_json()) {
            let event = with(place, value).to_string();
            let answer = answer(event.as_str());
            prop_assert!([200, 204, 400, 401, 405, 413, 415].contains(&answer.status_code), "{event}: {answer:?}");
            prop_assert!(!answer.headers["x-request-id"].is_empty());
            prop_assert_eq!(&answer.headers["cache-control"], "no-store");
            prop_assert_eq!(&answer.headers["x-content-type-options"], "nosniff");
            prop_assert!(answer.body.is_empty() || serde_json::from_str::<Value>(&answer.body).is_ok());
        }

        #[test]
        fn whatever_json_an_event_is_it_is_answered(event in any_json()) {
            prop_assert_eq!(answer(event.to_string()).status_code, 400);
        }
    }
}
