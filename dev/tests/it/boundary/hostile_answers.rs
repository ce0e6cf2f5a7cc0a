//! Answers of Telnyx in which one member is missing or has an unexpected value: odd values at many places.
//!
//! An optional member may stay odd. While a required one is odd, nothing is lost; afterwards the work is finished.

use std::io;
use std::sync::{Arc, Mutex};

use lambda_http::http::Method;
use lambda_http::tracing::subscriber as tracing_subscriber;
use phone_numbers_purchase::Purchase;
use phone_numbers_search::Search;
use serde_json::{Value, json};
use shared::lambda::Service;
use shared::telnyx::usable_id;

use crate::support::actions::{balance, clear_faults, order_of, orders_sent, release_of, telnyx};
use crate::support::app::{Reply, TestApp, send};

const SEARCH: &str = "/v2/available_phone_numbers";
const ORDERS: &str = "/v2/number_orders";
const ONE_ORDER: &str = "/v2/number_orders/";
const ITEMS: &str = "/v2/number_order_phone_numbers";
const SUB_ORDERS: &str = "/v2/sub_number_orders";
const NUMBERS: &str = "/v2/phone_numbers";
const QUERY: &str = "country_code=US&area_code=312&limit=5";

/// More than the number of requests in one test.
const ALWAYS: u32 = 100_000;

/// Stands for a missing member.
fn missing() -> Value {
    json!("(missing)")
}

/// Values that are documented for no member.
fn odd_values() -> Vec<Value> {
    let nested = (0..100).fold(json!([]), |inner, _| json!([inner]));
    vec![
        missing(),
        json!(null),
        json!(true),
        json!(-1),
        json!(1.5),
        json!(1e300),
        json!(""),
        json!(".."),
        json!("a\u{0}b"),
        json!("é".repeat(51)),
        json!("x".repeat(3_000)),
        json!("2026-01-01T00:00:00"),
        json!([]),
        json!([null, {}, "x"]),
        json!({"a": {"b": null}}),
        nested,
    ]
}

/// The values that cannot be an id.
fn no_ids() -> Vec<Value> {
    odd_values().into_iter().filter(|value| *value == missing() || value.as_str().is_none_or(|text| usable_id(text).is_none())).collect()
}

/// A fault that replaces a value in answers.
fn patched(method: &str, path: &str, pointer: &str, value: &Value, times: u32) -> Value {
    let mut fault = json!({"method": method, "path_prefix": path, "kind": "patched", "times": times});
    if *value == missing() {
        fault["removed"] = json!([pointer]);
    } else {
        fault["patch"] = json!({ pointer: value });
    }
    fault
}

/// An app, its running function for purchases, and a supply of numbers.
struct Market {
    app: TestApp,
    function: Service<Purchase>,
    numbers: Vec<String>,
}

impl Market {
    /// With a short request budget.
    async fn open() -> Self {
        let mut app = TestApp::new().await;
        app.set("REQUEST_BUDGET_MS", "6000");
        let mut numbers = Vec::new();
        for area_code in ["312", "773", "872", "217", "415", "628", "510"] {
            numbers.extend(app.offers(area_code, 80).await);
        }
        let function = app.function();
        Self { app, function, numbers }
    }

    /// Buys an unused number.
    async fn buy(&mut self) -> (String, Reply) {
        let number = self.numbers.pop().expect("a number");
        let reply = self.buy_again(&number).await;
        (number, reply)
    }

    async fn buy_again(&self, number: &str) -> Reply {
        send(&self.function, &self.app.token("owner"), Method::POST, "", Some(order_of(number))).await
    }

    /// Asserts that a number is bought at once while the answers are odd, for each place and value.
    async fn buys_in_spite_of(&mut self, method: &str, path: &str, pointers: &[&str]) {
        for pointer in pointers {
            for value in odd_values() {
                self.app.fault(patched(method, path, pointer, &value, ALWAYS)).await;
                let (_, reply) = self.buy().await;
                assert_eq!(reply.status, 200, "{path} {pointer} {value}: {:#}", reply.body);
                assert_eq!(reply.number()["status"], "active");
                clear_faults(&self.app).await;
            }
        }
        balance(&self.app).await;
    }

    /// Asserts that nothing is lost while the answers are odd, and that the purchase is finished afterwards.
    async fn buys_after(&mut self, method: &str, path: &str, pointers: &[&str]) {
        for pointer in pointers {
            let values = if pointer.ends_with("/id") { no_ids() } else { odd_values() };
            for value in values {
                let sent = orders_sent(&self.app);
                self.app.fault(patched(method, path, pointer, &value, 2)).await;
                let (number, reply) = self.buy().await;
                let place = format!("{path} {pointer} {value}");
                match reply.status {
                    200 | 202 => {}
                    // Nothing was ordered, and the caller may try again.
                    502 => assert_eq!((&reply.body["retryable"], orders_sent(&self.app)), (&json!(true), sent), "{place}"),
                    status => panic!("{place}: {status} {:#}", reply.body),
                }
                balance(&self.app).await;
                clear_faults(&self.app).await;
                if reply.status != 200 {
                    let again = self.buy_again(&number).await;
                    assert_eq!(again.status, 200, "{place}: {:#}", again.body);
                }
                assert_eq!(orders_sent(&self.app), sent + 1, "{place}");
            }
        }
        balance(&self.app).await;
    }
}

#[tokio::test]
async fn a_search_shows_the_readable_offers_beside_an_unreadable_one() {
    let app = TestApp::new().await;
    let (function, token) = (app.function::<Search>(), app.token("owner"));
    let pointers = [
        "/data/0",
        "/data/0/phone_number",
        "/data/0/features",
        "/data/0/features/0",
        "/data/0/features/0/name",
        "/data/0/region_information",
        "/data/0/region_information/0",
        "/data/0/region_information/0/region_type",
        "/data/0/region_information/1/region_name",
        "/data/0/cost_information",
        "/data/0/cost_information/monthly_cost",
        "/data/0/cost_information/upfront_cost",
        "/data/0/cost_information/currency",
        "/data/0/best_effort",
        "/data/0/quickship",
        "/data/0/reservable",
        "/data/0/vanity_format",
        "/data/0/record_type",
        "/meta",
        "/meta/total_results",
        "/meta/best_effort_results",
        "/metadata",
    ];
    for pointer in pointers {
        for value in odd_values() {
            app.fault(patched("GET", SEARCH, pointer, &value, 1)).await;
            let found = send(&function, &token, Method::GET, QUERY, None).await;
            let place = format!("{pointer} {value}");
            assert_eq!(found.status, 200, "{place}: {:#}", found.body);
            let offers = found.body["phone_numbers"].as_array().unwrap();
            let expected = if ["/data/0", "/data/0/phone_number"].contains(&pointer) { 4 } else { 5 };
            assert_eq!(offers.len(), expected, "{place}");
            for offer in offers {
                assert!(offer["phone_number"].as_str().unwrap().starts_with("+1312"), "{place}");
                assert_eq!(offer["country_code"], "US", "{place}");
                assert!(offer["features"].as_array().unwrap().iter().all(Value::is_string), "{place}");
                assert!(offer["region_information"].as_array().unwrap().iter().all(Value::is_object), "{place}");
            }
            assert!(found.body["meta"]["total_results"].as_u64().is_some(), "{place}: {}", found.body["meta"]);
            assert!(found.body["meta"]["best_effort_results"].as_u64().is_some(), "{place}: {}", found.body["meta"]);
            assert!(!found.text.contains("\\u0000") && found.text.len() < 20_000, "{place}");
        }
    }
}

#[tokio::test]
async fn other_notations_are_accepted() {
    let app = TestApp::new().await;
    let cases = [
        ("/data/0/features", json!(["voice", {"name": "fax"}, null, 7]), "features", json!(["voice", "fax"])),
        ("/data/0/cost_information/monthly_cost", json!(1.25), "monthly_cost", json!("1.25")),
        ("/data/0/cost_information/upfront_cost", json!(3), "upfront_cost", json!("3.00")),
        ("/data/0/cost_information/currency", json!("usd"), "currency", json!("USD")),
        ("/data/0/quickship", json!("true"), "quickship", json!(true)),
        ("/data/0/reservable", json!("False"), "reservable", json!(false)),
        ("/data/0/best_effort", json!("true"), "best_effort", json!(true)),
    ];
    for (pointer, value, member, expected) in cases {
        app.fault(patched("GET", SEARCH, pointer, &value, 1)).await;
        let found = app.search("owner", QUERY).await.expect(200);
        assert_eq!(found.body["phone_numbers"][0][member], expected, "{pointer} {value}");
    }
    for (total, expected) in [(json!("7"), 7_u32), (json!(7.0), 7), (json!(1e300), u32::MAX), (json!(-3), 5), (json!(7.9), 5)] {
        app.fault(patched("GET", SEARCH, "/meta/total_results", &total, 1)).await;
        let found = app.search("owner", QUERY).await.expect(200);
        assert_eq!(found.body["meta"]["total_results"], expected, "{total}");
    }
}

#[tokio::test]
async fn a_search_answers_no_more_offers_than_were_asked_for() {
    let app = TestApp::new().await;
    let found = app.search("owner", "country_code=US&limit=3").await.expect(200);
    let offer = |number: usize| json!({"phone_number": format!("+1312{number}")});
    let many: Vec<_> = (2_000_000..2_005_000).map(offer).collect();
    app.fault(patched("GET", SEARCH, "/data", &json!(many), 1)).await;
    let flooded = app.search("owner", "country_code=US&limit=3").await.expect(200);
    assert_eq!(flooded.body["phone_numbers"].as_array().unwrap().len(), found.body["phone_numbers"].as_array().unwrap().len());
    let features = json!(vec![json!({"name": "voice"}); 5_000]);
    app.fault(patched("GET", SEARCH, "/data/0/features", &features, 1)).await;
    let flooded = app.search("owner", "country_code=US&limit=3").await.expect(200);
    assert_eq!(flooded.body["phone_numbers"][0]["features"].as_array().unwrap().len(), 50);
}

#[tokio::test]
async fn a_search_that_shows_no_list_is_telnyxs_failure() {
    let app = TestApp::new().await;
    for value in odd_values().into_iter().filter(|value| !value.is_array()) {
        app.fault(patched("GET", SEARCH, "/data", &value, 1)).await;
        app.search("owner", QUERY).await.expect_problem(502, "upstream_error");
    }
    app.search("owner", QUERY).await.expect(200);
}

#[tokio::test]
async fn what_an_offer_says_beside_its_number_keeps_nobody_from_buying_it() {
    let pointers = [
        "/data/0/features",
        "/data/0/features/0",
        "/data/0/features/0/name",
        "/data/0/region_information",
        "/data/0/region_information/0",
        "/data/0/cost_information/currency",
        "/data/0/best_effort",
        "/data/0/quickship",
        "/meta",
        "/meta/total_results",
    ];
    Market::open().await.buys_in_spite_of("GET", SEARCH, &pointers).await;
}

#[tokio::test]
async fn a_price_that_is_no_price_is_unknown_or_too_high_and_blocks_nobody() {
    let mut market = Market::open().await;
    for pointer in ["/data/0/cost_information", "/data/0/cost_information/monthly_cost", "/data/0/cost_information/upfront_cost"] {
        for value in odd_values() {
            market.app.fault(patched("GET", SEARCH, pointer, &value, ALWAYS)).await;
            let (number, reply) = market.buy().await;
            let too_high = value == json!(1e300) && pointer.ends_with("_cost");
            assert_eq!(reply.status, if too_high { 409 } else { 200 }, "{pointer} {value}: {:#}", reply.body);
            clear_faults(&market.app).await;
            if too_high {
                assert_eq!(reply.code(), "price_exceeded");
                assert_eq!(market.buy_again(&number).await.status, 200);
            }
        }
    }
    balance(&market.app).await;
}

#[tokio::test]
async fn an_offer_whose_number_cannot_be_read_is_asked_for_again() {
    Market::open().await.buys_after("GET", SEARCH, &["/data", "/data/0", "/data/0/phone_number"]).await;
}

#[tokio::test]
async fn what_an_order_says_beside_its_id_is_no_reason_to_wait() {
    let pointers = [
        "/data/status",
        "/data/requirements_met",
        "/data/phone_numbers",
        "/data/phone_numbers/0",
        "/data/phone_numbers/0/id",
        "/data/phone_numbers/0/phone_number",
        "/data/phone_numbers/0/phone_number_type",
        "/data/phone_numbers/0/regulatory_requirements",
        "/data/sub_number_orders_ids",
        "/data/customer_reference",
    ];
    let mut market = Market::open().await;
    market.buys_in_spite_of("POST", ORDERS, &pointers).await;
}

#[tokio::test]
async fn what_an_order_says_when_it_is_looked_at_is_no_reason_to_wait() {
    let pointers = [
        "/data/requirements_met",
        "/data/phone_numbers",
        "/data/phone_numbers/0",
        "/data/phone_numbers/0/id",
        "/data/phone_numbers/0/phone_number",
        "/data/phone_numbers/0/phone_number_type",
        "/data/sub_number_orders_ids",
        "/data/sub_number_orders_ids/0",
        "/data/customer_reference",
    ];
    let mut market = Market::open().await;
    market.app.telnyx_settings(json!({"order_delay_ms": 30})).await;
    market.buys_in_spite_of("GET", ONE_ORDER, &pointers).await;
}

#[tokio::test]
async fn an_order_whose_id_or_status_cannot_be_read_is_looked_at_again() {
    let mut market = Market::open().await;
    market.app.telnyx_settings(json!({"order_delay_ms": 30})).await;
    market.buys_after("GET", ONE_ORDER, &["/data", "/data/id", "/data/status"]).await;
}

#[tokio::test]
async fn an_order_whose_id_cannot_be_read_is_looked_up() {
    Market::open().await.buys_after("POST", ORDERS, &["/data", "/data/id"]).await;
}

#[tokio::test]
async fn an_order_that_cannot_be_told_from_others_is_looked_up_again_and_never_placed_again() {
    let mut market = Market::open().await;
    market.app.set("PURCHASE_ORDER_MISSING_AFTER_MS", "1");
    market.function = market.app.function();
    for pointer in
        ["/data/0", "/data/0/id", "/data/0/customer_reference", "/data/0/phone_numbers", "/data/0/status", "/meta", "/meta/total_pages"]
    {
        for value in odd_values() {
            let sent = orders_sent(&market.app);
            market.app.fault(json!({"method": "POST", "path_prefix": ORDERS, "kind": "drop_after"})).await;
            market.app.fault(patched("GET", ORDERS, pointer, &value, 4)).await;
            let (_, reply) = market.buy().await;
            let place = format!("{pointer} {value}");
            // Only a reference that can be read makes it another order.
            let is_text = |text: &str| !text.is_empty() && !text.contains(char::is_control);
            let is_anothers = pointer == "/data/0/customer_reference" && value != missing() && value.as_str().is_some_and(is_text);
            if !is_anothers {
                assert_eq!((reply.status, orders_sent(&market.app)), (200, sent + 1), "{place}: {:#}", reply.body);
            }
            clear_faults(&market.app).await;
            balance(&market.app).await;
        }
    }
}

#[tokio::test]
async fn what_the_inventory_says_beside_id_and_number_is_no_reason_to_wait() {
    let pointers = [
        "/data/0/status",
        "/data/0/phone_number_type",
        "/data/0/country_iso_alpha2",
        "/data/0/customer_reference",
        "/data/0/connection_id",
        "/data/0/tags",
        "/data/0/purchased_at",
        "/meta",
        "/meta/total_pages",
        "/meta/total_results",
    ];
    Market::open().await.buys_in_spite_of("GET", NUMBERS, &pointers).await;
}

#[tokio::test]
async fn a_number_whose_id_cannot_be_read_is_waited_for() {
    Market::open().await.buys_after("GET", NUMBERS, &["/data", "/data/0", "/data/0/id", "/data/0/phone_number"]).await;
}

#[tokio::test]
async fn a_deadline_that_is_no_time_is_unknown_and_nothing_waits_for_it() {
    let mut app = TestApp::new().await;
    let found = app.search("owner", "country_code=DE&limit=20").await.expect(200);
    let number = found.body["phone_numbers"][0]["phone_number"].as_str().unwrap().to_owned();
    app.pending_purchase(order_of(&number)).await;
    for (pointer, value) in odd_values().into_iter().flat_map(|value| [("/data/deadline", value.clone()), ("/data", value)]) {
        app.execute("update phone_number_purchases set requirements_deadline = null").await;
        let asked = app.asked("GET", ITEMS);
        app.fault(patched("GET", ITEMS, pointer, &value, ALWAYS)).await;
        app.reconcile().await;
        assert!(app.asked("GET", ITEMS) > asked, "{pointer} {value}");
        assert!(app.ledger().await[0]["requirements_deadline"].is_null(), "{pointer} {value}");
        clear_faults(&app).await;
    }
    app.reconcile().await;
    assert!(app.ledger().await[0]["requirements_deadline"].is_string());
    balance(&app).await;
}

#[tokio::test]
async fn a_release_ends_only_when_telnyx_is_known_not_to_have_the_number() {
    let app = TestApp::new().await;
    let number = app.offer().await;
    for pointer in ["/data", "/data/0", "/data/0/id", "/data/0/phone_number", "/data/0/status", "/meta", "/meta/total_pages"] {
        // Each look-up costs a pause, so only some of the values.
        let values = if pointer.ends_with("/id") { no_ids() } else { odd_values() };
        for value in values.into_iter().step_by(4) {
            let row = app.purchase("owner", order_of(&number)).await.expect(200).number().clone();
            // Telnyx answers 404 once; the inventory decides.
            app.fault(json!({"method": "DELETE", "path_prefix": NUMBERS, "kind": "status", "status": 404})).await;
            app.fault(patched("GET", NUMBERS, pointer, &value, 1)).await;
            app.release("owner", release_of(&row)).await.expect(200);
            assert!(app.billed().await.is_empty(), "{pointer} {value}");
            clear_faults(&app).await;
        }
    }
    balance(&app).await;
}

#[tokio::test]
async fn whatever_the_answer_to_a_deletion_says_the_number_is_released() {
    let app = TestApp::new().await;
    let number = app.offer().await;
    for pointer in ["/data", "/data/id", "/data/status", "/data/phone_number"] {
        for value in odd_values() {
            let row = app.purchase("owner", order_of(&number)).await.expect(200).number().clone();
            app.fault(patched("DELETE", NUMBERS, pointer, &value, ALWAYS)).await;
            app.release("owner", release_of(&row)).await.expect(200);
            assert!(app.billed().await.is_empty(), "{pointer} {value}");
            clear_faults(&app).await;
        }
    }
    balance(&app).await;
}

#[tokio::test]
async fn a_pending_number_is_given_up_whatever_its_order_says_of_its_parts() {
    let mut app = TestApp::new().await;
    app.telnyx_settings(json!({"order_outcome": "never"})).await;
    let cases = [
        (ONE_ORDER, "/data/sub_number_orders_ids"),
        (ONE_ORDER, "/data/sub_number_orders_ids/0"),
        (ONE_ORDER, "/data/phone_numbers"),
        (SUB_ORDERS, "/data/status"),
    ];
    let numbers = app.offers("312", 80).await;
    let mut numbers = numbers.iter();
    for (path, pointer) in cases {
        for value in no_ids().into_iter().step_by(5) {
            app.set("REQUEST_BUDGET_MS", "2300");
            let row = app.purchase("owner", order_of(numbers.next().unwrap())).await.expect(202).number().clone();
            app.set("REQUEST_BUDGET_MS", "8000");
            app.fault(patched("GET", path, pointer, &value, 1)).await;
            let reply = app.release("owner", release_of(&row)).await;
            assert_eq!(reply.status, 200, "{path} {pointer} {value}: {:#}", reply.body);
            clear_faults(&app).await;
        }
    }
    balance(&app).await;
}

#[tokio::test]
async fn the_parts_of_another_order_are_not_cancelled() {
    let mut app = TestApp::new().await;
    app.telnyx_settings(json!({"order_outcome": "never"})).await;
    let numbers = app.offers("312", 2).await;
    let mut rows = Vec::new();
    for number in &numbers {
        rows.push(app.pending_purchase(order_of(number)).await.number().clone());
    }
    // The order lists none of its sub-orders, and the filter for them is ignored.
    app.fault(patched("GET", ONE_ORDER, "/data/sub_number_orders_ids", &json!(null), 1)).await;
    let all = telnyx(&app, app.telnyx.api_key(), Method::GET, "/sub_number_orders", None).await["data"].clone();
    assert_eq!(all.as_array().unwrap().len(), 2);
    app.fault(patched("GET", SUB_ORDERS, "/data", &all, 1)).await;
    app.release("owner", release_of(&rows[0])).await.expect(200);
    let state = app.telnyx_state().await;
    let pending: Vec<_> = state["orders"].as_array().unwrap().iter().filter(|order| order["status"] == "pending").collect();
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[0]["phone_numbers"][0]["phone_number"], json!(numbers[1]));
    balance(&app).await;
}

#[tokio::test]
async fn an_inventory_that_does_not_say_how_long_it_is_is_walked_to_its_end() {
    let app = TestApp::new().await;
    app.telnyx_settings(json!({"largest_page": 2})).await;
    let numbers = app.offers("312", 5).await;
    for number in &numbers {
        app.purchase("owner", order_of(number)).await.expect(200);
    }
    for value in odd_values() {
        for pointer in ["/meta", "/meta/total_pages"] {
            let asked = app.asked("GET", NUMBERS);
            app.fault(patched("GET", NUMBERS, pointer, &value, ALWAYS)).await;
            app.reconcile().await;
            clear_faults(&app).await;
            let looks = app.asked("GET", NUMBERS) - asked;
            assert!((3..=4).contains(&looks), "{pointer} {value}: {looks}");
            assert!(app.missed().await.is_empty(), "{pointer} {value}");
        }
    }
    assert!(app.findings().await.is_empty());
    balance(&app).await;
}

#[tokio::test]
async fn an_answer_beyond_the_bound_counts_as_none() {
    let app = TestApp::new().await;
    let number = app.offer().await;
    let oversized = |method: &str, path: &str, times: u32| json!({"method": method, "path_prefix": path, "kind": "oversized", "bytes": (8 << 20) + 1, "times": times});
    app.fault(oversized("GET", SEARCH, 1)).await;
    app.search("owner", QUERY).await.expect_problem(502, "upstream_error");
    app.fault(oversized("GET", SEARCH, 1)).await;
    app.purchase("owner", order_of(&number)).await.expect_problem(502, "upstream_error");
    // The order exists, though its answer cannot be read: it is looked up.
    app.fault(oversized("POST", ORDERS, 1)).await;
    app.fault(oversized("GET", ORDERS, 1)).await;
    app.fault(oversized("GET", NUMBERS, 1)).await;
    let row = app.purchase("owner", order_of(&number)).await.expect(200).number().clone();
    assert_eq!(orders_sent(&app), 1);
    balance(&app).await;
    app.fault(oversized("DELETE", NUMBERS, 1)).await;
    app.release("owner", release_of(&row)).await.expect(200);
    balance(&app).await;
}

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[tokio::test]
async fn the_log_names_what_could_not_be_read_once_and_quotes_nothing_of_it() {
    const SECRET: &str = "hunter2_secret";
    let app = TestApp::new().await;
    let log = Log::default();
    let writer = log.clone();
    // With one subscriber in the process, the threads of other tests would switch off the events that they meet first.
    let _another = tracing::Dispatch::new(tracing_subscriber::fmt().with_writer(io::sink).finish());
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let secret = json!(SECRET);
    app.fault(patched("GET", SEARCH, "/data/0/cost_information/monthly_cost", &secret, 1)).await;
    app.search("owner", QUERY).await.expect(200);
    let lines: Vec<_> = log.text().lines().filter(|line| line.contains("could not be read")).map(str::to_owned).collect();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].contains("monthly_cost (1)"), "{lines:#?}");

    app.fault(patched("GET", SEARCH, "/data", &secret, 1)).await;
    app.search("owner", QUERY).await.expect(502);
    let refused = json!({"path_prefix": SEARCH, "kind": "status", "status": 403, "code": SECRET});
    app.fault(refused).await;
    app.search("owner", QUERY).await.expect(502);
    for (method, path, pointer, value) in [
        ("POST", ORDERS, "/data", json!({"id": [SECRET], "status": SECRET})),
        ("GET", ORDERS, "/data/0/customer_reference", json!([SECRET])),
        ("GET", NUMBERS, "/data/0/phone_number", secret.clone()),
        ("GET", NUMBERS, "/data/0/id", secret.clone()),
    ] {
        app.fault(patched(method, path, pointer, &value, 1)).await;
    }
    let row = app.purchase("owner", order_of(&app.offer().await)).await.expect(200).number().clone();
    assert_eq!(row["phone_number_id"], SECRET);
    app.fault(json!({"method": "DELETE", "path_prefix": NUMBERS, "kind": "status", "status": 409, "code": SECRET})).await;
    app.release("owner", release_of(&row)).await;
    let text = log.text();
    assert!(text.contains("/phone_numbers/{id}"), "the calls are logged");
    assert!(!text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn a_refusal_counts_by_its_status_whatever_its_errors_are() {
    let app = TestApp::new().await;
    for (status, code, answered, expected) in [
        (422, "10027", 422, "upstream_rejected"),
        (404, "10005", 502, "upstream_error"),
        (401, "10009", 502, "upstream_error"),
        (500, "10007", 502, "upstream_error"),
    ] {
        app.telnyx_settings(json!({"refused_searches": [{"status": status, "code": code}]})).await;
        for value in odd_values() {
            for pointer in ["/errors", "/errors/0", "/errors/0/code"] {
                app.fault(patched("GET", SEARCH, pointer, &value, 1)).await;
                let reply = app.search("owner", QUERY).await;
                assert_eq!((reply.status, reply.code()), (answered, expected), "{status} {pointer} {value}");
            }
        }
    }
}
