//! Searching: the request to Telnyx, the answer, and Telnyx's failures.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Url;
use serde_json::{Value, json};

use crate::support::app::{Reply, TestApp};

const PATH: &str = "/v2/available_phone_numbers";

/// The filters of the last search that reached Telnyx.
fn filters(app: &TestApp) -> BTreeMap<String, String> {
    let exchanges = app.telnyx.exchanges();
    let last = exchanges.iter().rfind(|exchange| exchange.path == PATH).expect("nothing reached Telnyx");
    Url::parse(&format!("http://x/?{}", last.query)).unwrap().query_pairs().into_owned().collect()
}

fn offers(reply: &Reply) -> &[Value] {
    reply.body["phone_numbers"].as_array().unwrap()
}

fn number(offer: &Value) -> &str {
    offer["phone_number"].as_str().unwrap()
}

/// An offer's region of a kind.
fn region<'a>(offer: &'a Value, kind: &str) -> &'a str {
    let regions = offer["region_information"].as_array().unwrap();
    regions.iter().find(|region| region["region_type"] == kind).map_or("", |region| region["region_name"].as_str().unwrap())
}

fn has(offer: &Value, feature: &str) -> bool {
    offer["features"].as_array().unwrap().iter().any(|name| name == feature)
}

/// A query, the filter that it becomes, and a condition for every offer.
type Filter = (&'static str, &'static str, &'static str, fn(&Value) -> bool);

#[tokio::test]
async fn every_parameter_reaches_telnyx_as_its_filter_and_is_honoured() {
    let app = TestApp::new().await;
    let cases: [Filter; 16] = [
        ("country_code=CA", "filter[country_code]", "CA", |offer| region(offer, "country_code") == "CA"),
        ("country_code=gb", "filter[country_code]", "GB", |offer| number(offer).starts_with("+44")),
        ("country_code=US&phone_number_type=local", "filter[phone_number_type]", "local", |offer| offer["phone_number_type"] == "local"),
        ("country_code=US&phone_number_type=toll_free", "filter[phone_number_type]", "toll_free", |offer| number(offer).starts_with("+18")),
        ("country_code=GB&phone_number_type=mobile", "filter[phone_number_type]", "mobile", |offer| number(offer).starts_with("+447")),
        ("country_code=US&area_code=415", "filter[national_destination_code]", "415", |offer| number(offer).starts_with("+1415")),
        ("country_code=US&city=San%20Francisco", "filter[locality]", "San Francisco", |offer| region(offer, "location") == "San Francisco"),
        ("country_code=CA&city=Qu%C3%A9bec", "filter[locality]", "Québec", |_| false),
        ("country_code=US&state=IL", "filter[administrative_area]", "IL", |offer| region(offer, "state") == "IL"),
        ("country_code=US&contains=777", "filter[phone_number][contains]", "777", |offer| number(offer).contains("777")),
        ("country_code=US&starts_with=31233", "filter[phone_number][starts_with]", "31233", |offer| number(offer).starts_with("+131233")),
        ("country_code=US&ends_with=00", "filter[phone_number][ends_with]", "00", |offer| number(offer).ends_with("00")),
        ("country_code=US&features=sms", "filter[features]", "sms", |offer| has(offer, "sms")),
        ("country_code=US&features=sms,%20mms,voice", "filter[features]", "sms,mms,voice", |offer| has(offer, "sms") && has(offer, "mms")),
        ("country_code=US&features=emergency,fax", "filter[features]", "emergency,fax", |offer| {
            has(offer, "emergency") && has(offer, "fax")
        }),
        ("country_code=US&limit=7", "filter[limit]", "7", |_| true),
    ];
    for (query, filter, value, fits) in cases {
        let found = app.search("member", query).await.expect(200);
        let filters = filters(&app);
        assert_eq!(filters.get(filter).map(String::as_str), Some(value), "{query}: {filters:?}");
        // The search has no other filters.
        let asked = query.split('&').count() + usize::from(!query.contains("limit=")) + 2;
        assert_eq!(filters.len(), asked, "{query}: {filters:?}");
        assert!(filters.keys().all(|name| name.starts_with("filter[")), "{filters:?}");
        assert!(offers(&found).iter().all(fits), "{query}: {:#}", found.body);
        assert_eq!(offers(&found).is_empty(), query.contains("Qu%C3"), "{query}");
    }
}

#[tokio::test]
async fn filters_narrow_a_search_together() {
    let app = TestApp::new().await;
    let query =
        "country_code=US&phone_number_type=local&area_code=312&city=Chicago&state=IL&starts_with=3&contains=4&features=voice,sms&limit=100";
    let found = app.search("owner", query).await.expect(200);
    assert!(!offers(&found).is_empty());
    for offer in offers(&found) {
        // With an area code, `starts_with` applies to the digits after it.
        assert!(number(offer).starts_with("+13123") && number(offer)[5..].contains('4'), "{offer:#}");
        assert_eq!((&offer["voice_enabled"], &offer["sms_enabled"]), (&json!(true), &json!(true)));
    }
}

#[tokio::test]
async fn what_is_left_out_has_the_documented_defaults() {
    let app = TestApp::new().await;
    let found = app.search("owner", "country_code=US").await.expect(200);
    let filters = filters(&app);
    let expected = [("country_code", "US"), ("limit", "20"), ("quickship", "true"), ("best_effort", "false")];
    let expected: BTreeMap<_, _> = expected.into_iter().map(|(name, value)| (format!("filter[{name}]"), value.to_owned())).collect();
    assert_eq!(filters, expected);
    assert_eq!(offers(&found).len(), 20);
    assert_eq!(found.body["meta"], json!({"total_results": 20, "best_effort_results": 0, "country_code": "US", "limit": 20}));
}

#[tokio::test]
async fn as_many_are_found_as_are_asked_for_at_the_most() {
    let app = TestApp::new().await;
    for limit in [1, 37, 100] {
        let found = app.search("owner", &format!("country_code=US&limit={limit}")).await.expect(200);
        assert_eq!(offers(&found).len(), limit);
        assert_eq!((&found.body["meta"]["limit"], &found.body["meta"]["total_results"]), (&json!(limit), &json!(limit)));
        let distinct: BTreeSet<_> = offers(&found).iter().map(number).collect();
        assert_eq!(distinct.len(), limit);
    }
}

#[tokio::test]
async fn toll_free_numbers_that_take_a_while_are_shown_only_when_wanted() {
    let app = TestApp::new().await;
    let query = "country_code=US&phone_number_type=toll_free&limit=100";
    let at_once = app.search("owner", query).await.expect(200);
    assert!(offers(&at_once).iter().all(|offer| offer["quickship"] == true));
    for wanted in ["true", "false"] {
        let found = app.search("owner", &format!("{query}&quickship={wanted}")).await.expect(200);
        assert_eq!(filters(&app)["filter[quickship]"], wanted);
        assert_eq!(offers(&found).iter().any(|offer| offer["quickship"] == false), wanted == "false");
    }
}

#[tokio::test]
async fn near_matches_are_shown_only_when_wanted_and_marked() {
    let app = TestApp::new().await;
    let query = "country_code=US&area_code=312&limit=100";
    let exact = app.search("owner", query).await.expect(200);
    assert_eq!(exact.body["meta"]["best_effort_results"], 0);
    assert!(offers(&exact).iter().all(|offer| offer["best_effort"] == false));
    let near = app.search("owner", &format!("{query}&best_effort=true")).await.expect(200);
    let marked = offers(&near).iter().filter(|offer| offer["best_effort"] == true).count();
    assert_eq!((marked, offers(&near).len()), (100 - offers(&exact).len(), 100));
    assert_eq!(near.body["meta"]["best_effort_results"], marked);
    assert!(offers(&near).iter().all(|offer| (offer["best_effort"] == true) != number(offer).starts_with("+1312")));
}

#[tokio::test]
async fn an_offer_has_every_member_of_the_contract() {
    let app = TestApp::new().await;
    let found = app.search("owner", "country_code=US&area_code=312&limit=1").await.expect(200);
    assert_eq!(found.header("content-type"), "application/json");
    assert_eq!(
        found.body.as_object().unwrap().keys().collect::<BTreeSet<_>>(),
        BTreeSet::from([&"meta".to_owned(), &"phone_numbers".to_owned()])
    );
    let offer = found.number();
    let regions = json!([
        {"region_type": "state", "region_name": "IL"},
        {"region_type": "country_code", "region_name": "US"},
        {"region_type": "rate_center", "region_name": "CHICAGO"},
        {"region_type": "location", "region_name": "Chicago"},
    ]);
    let expected = json!({
        "phone_number": offer["phone_number"],
        "phone_number_type": "local",
        "features": ["voice", "sms", "mms", "fax", "emergency", "hd_voice", "local_calling"],
        "voice_enabled": true,
        "sms_enabled": true,
        "mms_enabled": true,
        "fax_enabled": true,
        "emergency_enabled": true,
        "region_information": regions,
        "country_code": "US",
        "monthly_cost": "1.00",
        "upfront_cost": "1.00",
        "currency": "USD",
        "reservable": offer["reservable"],
        "quickship": true,
        "best_effort": false,
    });
    assert_eq!(*offer, expected);
    assert!(offer["reservable"].is_boolean() && number(offer).starts_with("+1312"));
}

#[tokio::test]
async fn money_is_a_string_with_two_decimals_at_the_least() {
    let app = TestApp::new().await;
    for (country, monthly, upfront) in [("FR", "1.50", "1.00"), ("NL", "1.80", "2.00"), ("DE", "2.00", "3.00")] {
        let found = app.search("owner", &format!("country_code={country}&limit=1")).await.expect(200);
        let offer = found.number();
        assert_eq!((&offer["monthly_cost"], &offer["upfront_cost"]), (&json!(monthly), &json!(upfront)), "{country}");
        assert_eq!((&offer["currency"], &offer["country_code"]), (&json!("USD"), &json!(country)));
    }
}

#[tokio::test]
async fn what_a_number_cannot_do_is_said() {
    let app = TestApp::new().await;
    let found = app.search("owner", "country_code=MX&limit=100").await.expect(200);
    for offer in offers(&found) {
        for feature in ["voice", "sms", "mms", "fax", "emergency"] {
            assert_eq!(offer[format!("{feature}_enabled")], has(offer, feature), "{offer:#}");
        }
        assert_eq!((&offer["monthly_cost"], &offer["upfront_cost"], &offer["currency"]), (&json!("4.00"), &json!("6.00"), &json!("USD")));
    }
    assert!(offers(&found).iter().any(|offer| offer["sms_enabled"] == false));
}

#[tokio::test]
async fn a_number_has_a_type_whether_or_not_one_was_asked_for() {
    let app = TestApp::new().await;
    for (query, kind) in [
        ("country_code=US&starts_with=312", "local"),
        ("country_code=US&starts_with=800", "toll_free"),
        ("country_code=CA&area_code=416", "local"),
        ("country_code=GB&starts_with=7400", "mobile"),
        ("country_code=GB&starts_with=20", "local"),
        ("country_code=GB&phone_number_type=toll_free", "toll_free"),
    ] {
        let found = app.search("owner", query).await.expect(200);
        assert!(!offers(&found).is_empty(), "{query}");
        assert!(offers(&found).iter().all(|offer| offer["phone_number_type"] == kind), "{query}: {:#}", found.body);
    }
}

#[tokio::test]
async fn nothing_on_offer_is_an_empty_success() {
    let app = TestApp::new().await;
    for query in ["country_code=US&area_code=999", "country_code=AQ", "country_code=US&city=Atlantis"] {
        let found = app.search("owner", query).await.expect(200);
        assert_eq!(found.body["phone_numbers"], json!([]));
        assert_eq!(found.body["meta"]["total_results"], 0);
    }
}

#[tokio::test]
async fn a_search_buys_nothing_and_writes_nothing() {
    let app = TestApp::new().await;
    app.search("owner", "country_code=US").await.expect(200);
    assert!(app.rows().await.is_empty() && app.ledger().await.is_empty() && app.billed().await.is_empty());
    assert_eq!(app.asked("POST", "/v2"), 0);
}

/// Asserts that the answer reports a failure of Telnyx, without Telnyx's text.
async fn is_upstream_error(app: &TestApp) {
    let reply = app.search("owner", "country_code=US").await.expect_problem(502, "upstream_error");
    assert_eq!(reply.body["retryable"], true);
    let text = reply.body.to_string();
    for secret in ["/_control", "injected through", app.telnyx.api_key(), "100", "KEY"] {
        assert!(!text.replace(reply.body["request_id"].as_str().unwrap(), "").contains(secret), "{text}");
    }
}

#[tokio::test]
async fn whatever_telnyx_answers_but_success_is_its_failure_and_not_the_callers() {
    let app = TestApp::new().await;
    let failures = [
        (401, "10009"),
        (403, "10010"),
        (404, "10005"),
        (408, "10008"),
        // 10010: not permitted, whatever the status.
        (409, "10010"),
        (500, "10007"),
        (502, "10007"),
        (503, "10037"),
        (504, "10008"),
        // A refused key is not a refused search.
        (400, "10009"),
        (400, "20002"),
        (422, "10010"),
    ];
    for (status, code) in failures {
        let before = app.asked("GET", PATH);
        app.fault(json!({"method": "GET", "path_prefix": PATH, "kind": "status", "status": status, "code": code})).await;
        is_upstream_error(&app).await;
        assert_eq!(app.asked("GET", PATH), before + 1, "{status} was tried again");
        app.search("owner", "country_code=US").await.expect(200);
    }
}

#[tokio::test]
async fn a_search_that_telnyx_refuses_for_what_it_asks_is_the_callers_to_change() {
    let app = TestApp::new().await;
    for (status, code) in [(400, "10015"), (400, "10031"), (422, "10027"), (422, "99999")] {
        let before = app.asked("GET", PATH);
        app.fault(json!({"method": "GET", "path_prefix": PATH, "kind": "status", "status": status, "code": code})).await;
        let refused = app.search("owner", "country_code=US").await.expect_problem(422, "upstream_rejected");
        assert_eq!((&refused.body["retryable"], refused.header("retry-after")), (&json!(false), ""));
        assert_eq!(app.asked("GET", PATH), before + 1, "{status} was tried again");
        app.search("owner", "country_code=US").await.expect(200);
    }
}

#[tokio::test]
async fn an_answer_cut_short_is_telnyxs_failure() {
    let app = TestApp::new().await;
    // However often it is asked: where the connection breaks too, that is once more.
    app.fault(json!({"path_prefix": PATH, "kind": "malformed", "times": 1_000})).await;
    is_upstream_error(&app).await;
}

#[tokio::test]
async fn a_lost_connection_is_replaced_once() {
    let app = TestApp::new().await;
    for kind in ["drop_before", "drop_after"] {
        app.fault(json!({"path_prefix": PATH, "kind": kind, "times": 1})).await;
        app.search("owner", "country_code=US").await.expect(200);
        app.fault(json!({"path_prefix": PATH, "kind": kind, "times": 2})).await;
        is_upstream_error(&app).await;
    }
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_not_waited_for() {
    let mut app = TestApp::new().await;
    app.set("TELNYX_TIMEOUT_MS", "200");
    app.fault(json!({"path_prefix": PATH, "kind": "delay", "delay_ms": 30_000})).await;
    // Without the limit, the request's own time would end first, which is answered 503.
    is_upstream_error(&app).await;
    assert_eq!(app.asked("GET", PATH), 1);
}

#[tokio::test]
async fn a_telnyx_that_is_not_there_is_its_failure() {
    let mut app = TestApp::new().await;
    let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    app.set("TELNYX_API_URL", &format!("http://127.0.0.1:{port}/v2"));
    is_upstream_error(&app).await;
}

#[tokio::test]
async fn a_key_that_telnyx_does_not_know_is_not_shown() {
    let mut app = TestApp::new().await;
    app.set("TELNYX_API_KEY", "KEYhunter2");
    let reply = app.search("owner", "country_code=US").await.expect_problem(502, "upstream_error");
    assert!(!reply.body.to_string().contains("hunter2"));
}

#[tokio::test]
async fn the_caller_is_told_when_telnyx_limits_us_and_for_how_long() {
    let app = TestApp::new().await;
    app.fault(json!({"path_prefix": PATH, "kind": "status", "status": 429})).await;
    let limited = app.search("owner", "country_code=US").await.expect_problem(429, "rate_limited");
    assert_eq!(limited.header("retry-after"), "1");
    assert_eq!(limited.body["retryable"], true);
    assert_eq!(app.asked("GET", PATH), 1);
}

#[tokio::test]
async fn without_a_key_telnyx_is_not_configured() {
    let mut app = TestApp::new().await;
    app.set("TELNYX_API_KEY", "");
    let reply = app.search("owner", "country_code=US").await.expect_problem(400, "telnyx_not_configured");
    assert_eq!(reply.body["retryable"], false);
    assert_eq!(app.asked("GET", PATH), 0);
}
