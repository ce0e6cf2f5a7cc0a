//! Strict input: every invalid member is named, and nothing else happens.

use std::collections::BTreeSet;

use dev::demo;
use lambda_http::Body;
use lambda_http::http::Method;
use serde_json::{Value, json};

use crate::support::app::{Reply, TestApp, agent};
use crate::support::functions::{Call, FUNCTIONS, Functions, calls, page};

const ROW: &str = "00000000-0000-4000-8000-000000000000";
const SEARCH: &str = "phone-numbers-search";
const PURCHASE: &str = "phone-numbers-purchase";
const LIST: &str = "phone-numbers-list";
const ASSIGN: &str = "phone-numbers-assign";
const RELEASE: &str = "phone-numbers-release";

/// Calls the functions as the owner, in an app that must stay unchanged.
struct Strict {
    app: TestApp,
    functions: Functions,
}

impl Strict {
    async fn new() -> Self {
        let app = TestApp::new().await;
        let functions = Functions::start(&app);
        Self { app, functions }
    }

    async fn ask(&self, function: &'static str, method: Method, query: &str, body: Option<Value>) -> Reply {
        let call = Call { function, method, query: query.to_owned(), body };
        self.functions.call(&self.app.token("owner"), &call).await
    }

    /// A literal body, with or without a content type.
    async fn send(&self, function: &str, method: &str, content_type: Option<&str>, body: impl Into<Body>) -> Reply {
        let mut request = page(method, "").header("authorization", format!("Bearer {}", self.app.token("owner")));
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        self.functions.answer(function, request.body(body.into()).unwrap()).await
    }

    async fn refuses_query(&self, function: &'static str, query: &str, fields: &[&str]) {
        let reply = self.ask(function, Method::GET, query, None).await;
        is_refused(&reply, fields, query);
    }

    async fn refuses_body(&self, function: &'static str, method: Method, body: &Value, fields: &[&str]) {
        let reply = self.ask(function, method, "", Some(body.clone())).await;
        is_refused(&reply, fields, &body.to_string());
    }

    /// Asserts that nothing was written or sent.
    async fn is_untouched(&self) {
        assert!(self.app.rows().await.is_empty() && self.app.ledger().await.is_empty());
        assert!(self.app.telnyx.exchanges().is_empty());
    }
}

/// 400, with a problem that names these fields and no others.
#[track_caller]
fn is_refused(reply: &Reply, fields: &[&str], what: &str) {
    assert_eq!((reply.status, reply.code()), (400, "invalid_request"), "{what}: {:#}", reply.body);
    assert_eq!(reply.fields().into_iter().collect::<BTreeSet<_>>(), fields.iter().copied().collect(), "{what}: {:#}", reply.body);
    assert_eq!(reply.header("content-type"), "application/problem+json");
    assert_eq!((&reply.body["status"], &reply.body["retryable"]), (&json!(400), &json!(false)));
    assert_eq!(reply.body["error"], reply.body["detail"]);
    let known = ["type", "title", "status", "detail", "code", "request_id", "retryable", "errors", "error"];
    assert_eq!(reply.body.as_object().unwrap().keys().map(String::as_str).collect::<BTreeSet<_>>(), known.into(), "{what}");
    for error in reply.body["errors"].as_array().unwrap() {
        assert_eq!(error.as_object().unwrap().keys().collect::<Vec<_>>(), ["field", "message"]);
        assert!(!error["message"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_parameter_nobody_asked_for_is_named_by_every_function() {
    let strict = Strict::new().await;
    for (function, method, query) in [
        (SEARCH, Method::GET, "country_code=US"),
        (LIST, Method::GET, "limit=1"),
        (ASSIGN, Method::GET, "assigned=true"),
        (ASSIGN, Method::GET, &format!("id={ROW}")),
        (ASSIGN, Method::DELETE, &format!("id={ROW}")),
    ] {
        for extra in ["areacode=312", "Limit=5", "limit%20=5", "page=1", "phone_numbers=1", "=1"] {
            let name = extra.split('=').next().unwrap().replace("%20", " ");
            let reply = strict.ask(function, method.clone(), &format!("{query}&{extra}"), None).await;
            is_refused(&reply, &[&name], &format!("{function} {extra}"));
        }
    }
    strict.is_untouched().await;
}

#[tokio::test]
async fn a_member_nobody_asked_for_is_named_by_every_function() {
    let strict = Strict::new().await;
    for call in calls(ROW, &agent(&demo::DEMO, 0).to_string()) {
        let Some(mut body) = call.body else { continue };
        for extra in ["colour", "Confirm", "agency_id", "phone_number_id ", "limit"] {
            body[extra] = json!("red");
            strict.refuses_body(call.function, call.method.clone(), &body, &[extra]).await;
            body.as_object_mut().unwrap().remove(extra);
        }
    }
    let nested = json!({"phone_numbers": [{"phone_number": "+13125550123", "colour": "red", "price": 1}]});
    strict.refuses_body(PURCHASE, Method::POST, &nested, &["phone_numbers[0].colour", "phone_numbers[0].price"]).await;
    strict.is_untouched().await;
}

#[tokio::test]
async fn a_parameter_given_twice_is_named() {
    let strict = Strict::new().await;
    strict.refuses_query(SEARCH, "country_code=US&country_code=CA", &["country_code"]).await;
    strict.refuses_query(SEARCH, "country_code=US&limit=5&limit=5", &["limit"]).await;
    strict.refuses_query(LIST, "status=active&status=pending", &["status"]).await;
    strict.refuses_query(ASSIGN, &format!("id={ROW}&id={ROW}"), &["id"]).await;
    let reply = strict.ask(ASSIGN, Method::DELETE, &format!("id={ROW}&id={ROW}"), None).await;
    is_refused(&reply, &["id"], "delete");
    strict.is_untouched().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_search_is_named() {
    let strict = Strict::new().await;
    strict.refuses_query(SEARCH, "", &["country_code"]).await;
    for wrong in ["", "U", "USA", "U1", "XX", "UK", "EU", "%C3%9CS", "US%00", "us%20", "840"] {
        strict.refuses_query(SEARCH, &format!("country_code={wrong}"), &["country_code"]).await;
    }
    for (name, values) in [
        ("phone_number_type", vec!["", "landline", "Local", "local,mobile"]),
        ("area_code", vec!["", "31a", "%2B312", "-1", "3.2", "%D9%A3%D9%A1%D9%A2", "1234567890123456"]),
        ("contains", vec!["", "abc", "*", "1234567890123456"]),
        ("starts_with", vec!["", "%2B1312", "3%00"]),
        ("ends_with", vec!["", "00x", "0%0A"]),
        ("city", vec!["", "%20", "Chi%00cago", "Chi%0Acago", "%7F"]),
        ("state", vec!["", "%09"]),
        ("features", vec!["", ",", "voice,", "voice,telepathy", "VOICE", "voice;sms"]),
        ("limit", vec!["", "0", "101", "-1", "1.5", "ten", "1e2", "99999999999999999999", "%D9%A1"]),
        ("quickship", vec!["", "1", "yes", "True", "TRUE"]),
        ("best_effort", vec!["", "0", "no"]),
    ] {
        for value in values {
            strict.refuses_query(SEARCH, &format!("country_code=US&{name}={value}"), &[name]).await;
        }
    }
    let long = "x".repeat(101);
    strict.refuses_query(SEARCH, &format!("country_code=US&city={long}&state={long}"), &["city", "state"]).await;
    let everything = "country_code=USA&limit=0&area_code=x&quickship=maybe&colour=red";
    strict.refuses_query(SEARCH, everything, &["country_code", "limit", "area_code", "quickship", "colour"]).await;
    strict.is_untouched().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_list_is_named() {
    let strict = Strict::new().await;
    for (name, values) in [
        ("status", vec!["", "gone", "Active", "active,pending", "null"]),
        ("assigned", vec!["", "1", "yes", "True"]),
        ("unassigned", vec!["", "0"]),
        ("include_released", vec!["", "on"]),
        ("include_agents", vec!["", "2"]),
        ("agent_id", vec!["", "7", "null", "de300000-0000-4000-8000-00000003000", "de300000-0000-4000-8000-00000003000g"]),
        ("search", vec!["", "%20%20", "a%00b", "a%0Ab"]),
        ("limit", vec!["", "0", "201", "-1", "1.0", "x"]),
        ("offset", vec!["", "-1", "1000001", "x", "0x10"]),
    ] {
        for value in values {
            strict.refuses_query(LIST, &format!("{name}={value}"), &[name]).await;
        }
    }
    strict.refuses_query(LIST, &format!("search={}", "%C3%BC".repeat(256)), &["search"]).await;
    strict.ask(LIST, Method::GET, &format!("search={}", "%C3%BC".repeat(255)), None).await.expect(200);
    for limit in [1, 200] {
        assert_eq!(strict.ask(LIST, Method::GET, &format!("limit={limit}"), None).await.expect(200).body["pagination"]["limit"], limit);
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_purchase_is_named() {
    let strict = Strict::new().await;
    let good = json!({"phone_number": "+13125550123"});
    for (numbers, fields) in [
        (json!(null), vec!["phone_numbers"]),
        (json!("+13125550123"), vec!["phone_numbers"]),
        (json!({}), vec!["phone_numbers"]),
        (json!([]), vec!["phone_numbers"]),
        (json!((0..11).map(|at| json!({"phone_number": format!("+131255501{at:02}")})).collect::<Vec<_>>()), vec!["phone_numbers"]),
        (json!(["+13125550123"]), vec!["phone_numbers[0]"]),
        (json!([good, null]), vec!["phone_numbers[1]"]),
        (json!([{}]), vec!["phone_numbers[0].phone_number"]),
        (json!([{"phone_number": null}]), vec!["phone_numbers[0].phone_number"]),
        (json!([{"phone_number": 13_125_550_123_u64}]), vec!["phone_numbers[0].phone_number"]),
        (json!([good, good]), vec!["phone_numbers[1].phone_number"]),
        (
            json!([good, {"phone_number": "+13125550124"}, good, good]),
            vec!["phone_numbers[2].phone_number", "phone_numbers[3].phone_number"],
        ),
    ] {
        strict.refuses_body(PURCHASE, Method::POST, &json!({"phone_numbers": numbers}), &fields).await;
    }
    strict.refuses_body(PURCHASE, Method::POST, &json!({}), &["phone_numbers"]).await;
    for number in [
        "",
        "3125550123",
        "13125550123",
        "+03125550123",
        "+123456",
        "+1234567890123456",
        "+1 312 555 0123",
        " +13125550123",
        "+1312555012x",
        "+1312\u{0}5550123",
        "+١٣١٢٥٥٥٠١٢٣",
    ] {
        let body = json!({"phone_numbers": [{"phone_number": number}]});
        strict.refuses_body(PURCHASE, Method::POST, &body, &["phone_numbers[0].phone_number"]).await;
    }
    for (member, values) in [
        ("friendly_name", vec![json!(7), json!(""), json!("  "), json!("a\u{0}b"), json!("a\nb"), json!("x".repeat(256)), json!(["x"])]),
        ("agent_mapping_id", vec![json!(7), json!(""), json!("x"), json!({})]),
    ] {
        for value in values {
            let body = json!({"phone_numbers": [{"phone_number": "+13125550123", member: value}]});
            strict.refuses_body(PURCHASE, Method::POST, &body, &[&format!("phone_numbers[0].{member}")]).await;
        }
    }
    for reference in [json!(7), json!(""), json!("x".repeat(256)), json!("a\u{7f}b"), json!({})] {
        let body = json!({"phone_numbers": [good], "customer_reference": reference});
        strict.refuses_body(PURCHASE, Method::POST, &body, &["customer_reference"]).await;
    }
    strict.is_untouched().await;
}

#[tokio::test]
async fn what_is_wrong_with_an_assignment_is_named() {
    let strict = Strict::new().await;
    for wrong in [json!(7), json!(""), json!("x"), json!([ROW]), json!(format!("{ROW}0"))] {
        let body = json!({"phone_number_id": wrong, "agent_mapping_id": wrong});
        strict.refuses_body(ASSIGN, Method::POST, &body, &["phone_number_id", "agent_mapping_id"]).await;
        strict.refuses_body(ASSIGN, Method::PATCH, &json!({"id": wrong, "friendly_name": "x"}), &["id"]).await;
        strict.refuses_body(ASSIGN, Method::DELETE, &json!({"phone_number_id": wrong}), &["phone_number_id"]).await;
    }
    strict.refuses_body(ASSIGN, Method::POST, &json!({"id": ROW, "agent_mapping_id": null}), &["agent_mapping_id"]).await;
    for direction in [json!("sideways"), json!(""), json!(true), json!("Inbound")] {
        let body = json!({"id": ROW, "agent_mapping_id": ROW, "direction": direction});
        strict.refuses_body(ASSIGN, Method::POST, &body, &["direction"]).await;
        strict.refuses_body(ASSIGN, Method::PATCH, &json!({"id": ROW, "direction": direction}), &["direction"]).await;
    }
    for setting in ["voice_enabled", "sms_enabled", "mms_enabled"] {
        for value in [json!("true"), json!(1), json!([]), json!("")] {
            strict.refuses_body(ASSIGN, Method::PATCH, &json!({"id": ROW, setting: value}), &[setting]).await;
        }
    }
    for name in [json!(7), json!(""), json!(" "), json!("a\u{0}b"), json!("a\tb"), json!("ü".repeat(256)), json!({})] {
        strict.refuses_body(ASSIGN, Method::PATCH, &json!({"id": ROW, "friendly_name": name}), &["friendly_name"]).await;
    }
    for query in ["id=", "id=7", "phone_number_id=x"] {
        strict.refuses_query(ASSIGN, query, &[query.split('=').next().unwrap()]).await;
    }
    // One number is named by its id only.
    strict.refuses_query(ASSIGN, &format!("id={ROW}&status=active&assigned=true"), &["status", "assigned"]).await;
    strict.refuses_query(ASSIGN, "status=gone&limit=201", &["status", "limit"]).await;
    strict.is_untouched().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_release_is_named() {
    let strict = Strict::new().await;
    let many: Vec<_> = (0..51).map(|at| format!("00000000-0000-4000-8000-0000000000{at:02}")).collect();
    for (ids, fields) in [
        (json!(null), vec!["phone_number_ids"]),
        (json!(ROW), vec!["phone_number_ids"]),
        (json!([]), vec!["phone_number_ids"]),
        (json!(many), vec!["phone_number_ids"]),
        (json!([ROW, "x", 7]), vec!["phone_number_ids[1]", "phone_number_ids[2]"]),
        (json!([ROW, "de300000-0000-4000-8000-000000000001", ROW]), vec!["phone_number_ids[2]"]),
    ] {
        strict.refuses_body(RELEASE, Method::POST, &json!({"phone_number_ids": ids, "confirm": true}), &fields).await;
    }
    for confirm in [json!("true"), json!(1), json!("yes"), json!({})] {
        strict.refuses_body(RELEASE, Method::POST, &json!({"phone_number_ids": [ROW], "confirm": confirm}), &["confirm"]).await;
    }
    for body in [
        json!({"phone_number_ids": [ROW]}),
        json!({"phone_number_ids": [ROW], "confirm": false}),
        json!({"phone_number_ids": [ROW], "confirm": null}),
    ] {
        strict.ask(RELEASE, Method::POST, "", Some(body)).await.expect_problem(400, "confirmation_required");
    }
    let fifty = json!({"phone_number_ids": many[..50], "confirm": true});
    let reply = strict.ask(RELEASE, Method::POST, "", Some(fifty)).await.expect(207);
    assert_eq!(reply.body["summary"]["failed_count"], 50);
    strict.is_untouched().await;
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_refused_by_every_function_that_takes_one() {
    let strict = Strict::new().await;
    for (function, method) in [(PURCHASE, "POST"), (RELEASE, "POST"), (ASSIGN, "POST"), (ASSIGN, "PATCH")] {
        for body in ["", " ", "null", "[]", "7", "\"text\"", "true", "{", "{\"a\": 1}}", "{'a': 1}", "a=1", "\u{feff}", "{}\u{feff}"] {
            let reply = strict.send(function, method, Some("application/json"), body).await;
            is_refused(&reply, &["body"], body);
        }
        let reply = strict.send(function, method, Some("application/json"), vec![b'{', 0xff, 0xfe, b'}']).await;
        is_refused(&reply, &["body"], "not UTF-8");
        let deep = format!("{{\"a\": {}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
        is_refused(&strict.send(function, method, Some("application/json"), deep).await, &["body"], "deep");
    }
    for body in [" ", "[]", "{"] {
        is_refused(&strict.send(ASSIGN, "DELETE", Some("application/json"), body).await, &["body"], body);
    }
    strict.is_untouched().await;
}

#[tokio::test]
async fn a_member_given_twice_is_named_at_every_depth() {
    let strict = Strict::new().await;
    let number = r#""phone_number": "+13125550123""#;
    for (function, method, body, fields) in [
        (RELEASE, "POST", format!(r#"{{"phone_number_ids": ["{ROW}"], "confirm": false, "confirm": true}}"#), ["confirm"]),
        (
            PURCHASE,
            "POST",
            format!(r#"{{"phone_numbers": [{{{number}}}], "validate_only": true, "validate_only": false}}"#),
            ["validate_only"],
        ),
        (PURCHASE, "POST", format!(r#"{{"phone_numbers": [{{{number}, {number}}}]}}"#), ["phone_numbers[0].phone_number"]),
        (PURCHASE, "POST", format!(r#"{{"phone_numbers": [], "phone_numbers": [{{{number}}}]}}"#), ["phone_numbers"]),
        (ASSIGN, "POST", format!(r#"{{"id": "{ROW}", "agent_mapping_id": "{ROW}", "agent_mapping_id": "{ROW}"}}"#), ["agent_mapping_id"]),
        (ASSIGN, "PATCH", format!(r#"{{"id": "{ROW}", "friendly_name": "a", "friendly\u005fname": "b"}}"#), ["friendly_name"]),
        (ASSIGN, "DELETE", format!(r#"{{"id": "{ROW}", "id": "{ROW}"}}"#), ["id"]),
    ] {
        is_refused(&strict.send(function, method, Some("application/json"), body.as_str()).await, &fields, &body);
    }
    strict.is_untouched().await;
}

#[tokio::test]
async fn a_body_with_a_byte_order_mark_is_read() {
    let strict = Strict::new().await;
    let release = json!({"phone_number_ids": [ROW], "confirm": true});
    strict.send(RELEASE, "POST", Some("application/json"), format!("\u{feff}{release}")).await.expect(207);
    strict.is_untouched().await;
}

#[tokio::test]
async fn a_body_is_json_by_its_own_account_or_by_none() {
    let strict = Strict::new().await;
    let release = json!({"phone_number_ids": [ROW], "confirm": true}).to_string();
    for json in [None, Some("application/json"), Some("application/json; charset=utf-8"), Some("Application/JSON;charset=UTF-8")] {
        strict.send(RELEASE, "POST", json, release.as_str()).await.expect(207);
    }
    for other in
        ["text/plain", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp", ""]
    {
        for (function, method) in [(PURCHASE, "POST"), (RELEASE, "POST"), (ASSIGN, "POST"), (ASSIGN, "PATCH"), (ASSIGN, "DELETE")] {
            strict.send(function, method, Some(other), release.as_str()).await.expect_problem(415, "unsupported_media_type");
        }
    }
    strict.is_untouched().await;
}

#[tokio::test]
async fn a_body_larger_than_any_needs_to_be_is_refused() {
    let strict = Strict::new().await;
    let padded = |length: usize| {
        let body = json!({"phone_number_ids": [ROW], "confirm": true}).to_string();
        format!("{body}{}", " ".repeat(length - body.len()))
    };
    strict.send(RELEASE, "POST", Some("application/json"), padded(64 * 1024)).await.expect(207);
    for (function, method) in [(PURCHASE, "POST"), (RELEASE, "POST"), (ASSIGN, "POST"), (ASSIGN, "PATCH"), (ASSIGN, "DELETE")] {
        for content_type in ["application/json", "text/plain"] {
            let reply = strict.send(function, method, Some(content_type), padded(64 * 1024 + 1)).await;
            reply.expect_problem(413, "payload_too_large");
        }
    }
    strict.is_untouched().await;
}

#[tokio::test]
async fn a_query_beside_a_body_is_refused() {
    let strict = Strict::new().await;
    for call in calls(ROW, &agent(&demo::DEMO, 0).to_string()) {
        if call.body.is_some() {
            for query in ["dry_run=true", "phone_number_id=1", "x="] {
                let call = Call { query: query.to_owned(), ..call.clone() };
                let reply = strict.functions.call(&strict.app.token("owner"), &call).await;
                is_refused(&reply, &[query.split('=').next().unwrap()], query);
            }
        }
    }
    strict.is_untouched().await;
}

#[tokio::test]
async fn a_name_may_be_in_any_script_up_to_the_columns_width() {
    let app = TestApp::new().await;
    let row = app.insert(json!({})).await;
    for name in [
        "Empfang – Büro",
        "受付",
        "الاستقبال",
        "👩🏽‍💻 desk",
        "Robert'); drop table users;--",
        "\\u0000",
        "=1+1",
        "+13125550123",
        "-1",
        "@desk",
        &"字".repeat(255),
    ] {
        let body = json!({"phone_number_id": row["id"], "friendly_name": name});
        let changed = app.assign("admin", Method::PATCH, "", Some(body)).await.expect(200);
        assert_eq!(changed.body["phone_number"]["friendly_name"], name);
        assert_eq!(app.rows().await[0]["friendly_name"], name);
    }
}

#[tokio::test]
async fn a_name_that_shows_nothing_or_reorders_the_text_around_it_is_refused() {
    let strict = Strict::new().await;
    for name in ["\u{200b}", "\u{feff} \u{3164}", "\u{2800}", "Desk \u{202e}gpj.exe", "\u{2066}Desk", "Front\u{2028}desk"] {
        let rename = json!({"phone_number_id": ROW, "friendly_name": name});
        strict.refuses_body(ASSIGN, Method::PATCH, &rename, &["friendly_name"]).await;
        let named = json!([{"phone_number": "+13125550123", "friendly_name": name}]);
        let purchase = json!({"phone_numbers": named, "customer_reference": name});
        strict.refuses_body(PURCHASE, Method::POST, &purchase, &["phone_numbers[0].friendly_name", "customer_reference"]).await;
    }
    strict.is_untouched().await;
}

#[tokio::test]
async fn a_problem_lists_twenty_wrong_fields_however_many_there_are() {
    let strict = Strict::new().await;
    let members: serde_json::Map<_, _> = (0..2_000).map(|at| (format!("member{at:04}"), json!(1))).collect();
    for (function, method) in [(PURCHASE, Method::POST), (RELEASE, Method::POST), (ASSIGN, Method::PATCH)] {
        let reply = strict.ask(function, method, "", Some(Value::Object(members.clone()))).await.expect_problem(400, "invalid_request");
        assert_eq!(reply.fields().len(), 20);
        assert!(reply.body["detail"].as_str().unwrap().ends_with(" errors, 20 of which are listed."), "{:#}", reply.body);
    }
    strict.is_untouched().await;
}

#[tokio::test]
async fn our_own_failures_show_no_internals() {
    let app = TestApp::new().await;
    let row = app.insert(json!({})).await;
    let functions = Functions::start(&app);
    app.refuse_updates().await;
    let rename = json!({"phone_number_id": row["id"], "friendly_name": "x"});
    let internal = app.assign("owner", Method::PATCH, "", Some(rename)).await.expect_problem(500, "internal");
    app.sql.batch_execute("alter table agency_phone_numbers rename to secret_table").await.unwrap();
    let mut failures = vec![internal];
    for call in calls(ROW, &agent(&demo::DEMO, 0).to_string()).iter().filter(|call| call.function != SEARCH) {
        let reply = functions.call(&app.token("owner"), call).await;
        assert!([409, 503].contains(&reply.status), "{call:?}: {reply:?}");
        failures.push(reply);
    }
    for failure in failures {
        let text = failure.body.to_string().to_lowercase();
        for inside in [
            "hunter2",
            "secret_table",
            "agency_phone_numbers",
            "relation",
            "select",
            "postgres",
            "sqlstate",
            ".rs:",
            "panicked",
            "42p01",
            "p0001",
        ] {
            assert!(!text.contains(inside), "{inside}: {text}");
        }
    }
}

#[tokio::test]
async fn every_answer_has_a_request_id_of_its_own() {
    let app = TestApp::new().await;
    let functions = Functions::start(&app);
    let mut ids = BTreeSet::new();
    for &(function, methods) in FUNCTIONS {
        for method in [methods[0], "OPTIONS", "PUT"] {
            let reply = functions.answer(function, page(method, "").body(Body::Empty).unwrap()).await;
            assert!(ids.insert(reply.header("x-request-id").to_owned()), "{reply:?}");
        }
    }
    assert_eq!(ids.len(), 15);
    assert!(!ids.contains(""));
}
