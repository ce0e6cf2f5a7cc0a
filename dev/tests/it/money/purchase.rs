//! A successful purchase, and what is refused before anything is ordered.

use dev::demo;
use dev::fault_proxy::{Fault, Moment};
use lambda_http::http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::actions::{balance, decide, order_of, order_of_all, orders_sent, release_of};
use crate::support::app::{TestApp, agent, eventually};

/// The requests of a purchase to Telnyx, in order.
const CALLS: [(&str, &str); 3] = [("GET", "/v2/available_phone_numbers"), ("POST", "/v2/number_orders"), ("GET", "/v2/phone_numbers")];

/// The first number in a search.
async fn offered(app: &TestApp, query: &str) -> Value {
    app.search("owner", &format!("{query}&limit=1")).await.expect(200).body["phone_numbers"][0].clone()
}

#[tokio::test]
async fn what_is_bought_is_answered_stored_and_noted_in_the_ledger() {
    let app = TestApp::new().await;
    let number = app.offer().await;
    let agent = agent(&demo::DEMO, 1);
    let item = json!({"phone_number": number, "friendly_name": "Front desk", "agent_mapping_id": agent});
    let reply = app.purchase("owner", json!({"phone_numbers": [item], "customer_reference": "their own"})).await.expect(200);

    assert_eq!((&reply.body["success"], &reply.body["customer_reference"]), (&json!(true), &json!("their own")));
    assert!(reply.body["message"].is_string());
    assert_eq!(reply.header("idempotent-replayed"), "");
    let order = &reply.body["order"];
    assert_eq!((&order["status"], &order["phone_numbers_count"], &order["requirements_met"]), (&json!("success"), &json!(1), &json!(true)));
    assert!(order["created_at"].is_string());

    let purchase = &app.ledger().await[0];
    let row = reply.number();
    assert_eq!(row["outcome"], "purchased");
    assert_eq!((&row["friendly_name"], &row["agent_mapping_id"]), (&json!("Front desk"), &json!(agent)));
    assert_eq!((&row["order_id"], &order["id"]), (&purchase["telnyx_order_id"], &purchase["order_id"]));
    let stored = &app.rows().await[0];
    assert_eq!((&stored["id"], &stored["status"], &stored["is_active"]), (&row["id"], &json!("active"), &json!(true)));
    assert_eq!(stored["phone_number_id"], row["phone_number_id"]);

    assert_eq!((&purchase["phase"], &purchase["order_attempts"]), (&json!("completed"), &json!(1)));
    assert_eq!(purchase["telnyx_account"], "platform");
    assert_eq!((&purchase["customer_reference"], &purchase["agency_id"]), (&json!("their own"), &json!(demo::DEMO.id)));
    assert_eq!(purchase["connection_id"], demo::DEMO.telnyx_application_id);
    assert!(purchase["lease_token"].is_null() && purchase["completed_at"].is_string());

    let state = app.telnyx_state().await;
    let (order, owned) = (&state["orders"][0], &state["numbers"][0]);
    assert_eq!((&order["id"], &order["customer_reference"]), (&purchase["telnyx_order_id"], &purchase["telnyx_reference"]));
    assert_eq!(order["connection_id"], demo::DEMO.telnyx_application_id);
    assert_eq!((&owned["id"], &owned["customer_reference"]), (&row["phone_number_id"], &purchase["telnyx_reference"]));
    balance(&app).await;
}

#[tokio::test]
async fn buying_what_the_agency_has_answers_with_its_row_and_says_so() {
    let app = TestApp::new().await;
    let number = app.offer().await;
    let first = app.purchase("owner", order_of(&number)).await.expect(200);
    for user in ["owner", "admin"] {
        let again = json!({"phone_numbers": [{"phone_number": number, "friendly_name": "Another name"}]});
        let again = app.purchase(user, again).await.expect(200);
        assert_eq!(again.header("idempotent-replayed"), "true");
        assert_eq!(again.number(), first.number());
        assert_eq!(again.body["order"], first.body["order"]);
    }
    assert_eq!(orders_sent(&app), 1);
    balance(&app).await;
}

#[tokio::test]
async fn an_order_that_is_not_confirmed_in_time_is_pending_until_somebody_asks_again() {
    let mut app = TestApp::new().await;
    let number = app.offer().await;
    app.telnyx_settings(json!({"order_outcome": "never"})).await;
    let agent = agent(&demo::DEMO, 0);
    let order = json!({"phone_numbers": [{"phone_number": number, "agent_mapping_id": agent}]});
    let pending = app.pending_purchase(order).await;
    assert_eq!((&pending.body["success"], &pending.body["order"]["status"]), (&json!(true), &json!("pending")));
    assert_eq!(pending.header("idempotent-replayed"), "");
    let row = pending.number();
    assert_eq!((&row["status"], &row["outcome"]), (&json!("pending"), &json!("pending")));
    assert!(row["purchased_at"].is_null() && row["phone_number_id"].is_null());
    assert_eq!(row["agent_mapping_id"], json!(agent));
    let purchase = &app.ledger().await[0];
    assert_eq!(purchase["phase"], "ordered");
    assert_eq!(purchase["telnyx_order_id"], row["order_id"]);
    assert!(purchase["lease_token"].is_null(), "the next request need not wait");
    balance(&app).await;

    decide(&app, "success").await;
    let bought = app.purchase("owner", order_of(&number)).await.expect(200);
    assert_eq!(bought.header("idempotent-replayed"), "true");
    assert_eq!((&bought.number()["id"], &bought.number()["status"]), (&row["id"], &json!("active")));
    assert_eq!(bought.number()["agent_mapping_id"], json!(agent));
    assert_eq!(orders_sent(&app), 1);
    balance(&app).await;
}

#[tokio::test]
async fn documents_that_telnyx_waits_for_show_in_the_order() {
    let mut app = TestApp::new().await;
    let number = offered(&app, "country_code=DE").await["phone_number"].as_str().unwrap().to_owned();
    let pending = app.pending_purchase(order_of(&number)).await;
    assert_eq!(pending.body["order"]["requirements_met"], false);
    assert_eq!(app.ledger().await[0]["requirements_met"], false);
    decide(&app, "success").await;
    let bought = app.purchase("owner", order_of(&number)).await.expect(200);
    assert_eq!(bought.body["order"]["requirements_met"], true);
    assert_eq!((&bought.number()["country_code"], &bought.number()["currency"]), (&json!("DE"), &json!("USD")));
    balance(&app).await;
}

#[tokio::test]
async fn an_agent_that_is_not_the_agencys_stops_the_whole_purchase() {
    let app = TestApp::new().await;
    let numbers = app.offers("312", 2).await;
    let mut answers = Vec::new();
    for stranger in [agent(&demo::OTHER, 0), Uuid::new_v4()] {
        let items = json!([{"phone_number": numbers[0]}, {"phone_number": numbers[1], "agent_mapping_id": stranger}]);
        let refused = app.purchase("owner", json!({"phone_numbers": items})).await.expect_problem(404, "not_found");
        assert_eq!(refused.fields(), ["phone_numbers[1].agent_mapping_id"]);
        answers.push((refused.body["detail"].clone(), refused.body["errors"].clone()));
    }
    assert_eq!(answers[0], answers[1], "another agency's agent is worded as one that never was");
    assert!(app.rows().await.is_empty() && app.ledger().await.is_empty());
    assert_eq!(orders_sent(&app), 0);
}

#[tokio::test]
async fn an_agency_without_an_application_orders_without_one() {
    let app = TestApp::new().await;
    for (number, application) in app.offers("312", 2).await.iter().zip([None, Some("")]) {
        let sql = "update agencies set telnyx_application_id = $1 where id = $2";
        app.sql.execute(sql, &[&application, &demo::DEMO.id]).await.unwrap();
        app.purchase("owner", order_of(number)).await.expect(200);
        let sent = app.telnyx.exchanges().into_iter().rfind(|exchange| exchange.method == "POST").unwrap();
        assert!(sent.request_body.get("connection_id").is_none(), "{application:?}: {sent:?}");
    }
    balance(&app).await;
}

#[tokio::test]
async fn the_intent_is_committed_before_telnyx_is_called_and_no_transaction_waits_for_telnyx() {
    let app = TestApp::new().await;
    let number = app.offer().await;
    for (method, path) in CALLS {
        app.fault(json!({"method": method, "path_prefix": path, "kind": "delay", "delay_ms": 800})).await;
    }
    let asked_before = CALLS.map(|(method, path)| app.asked(method, path));
    let watch = async {
        for ((method, path), before) in CALLS.into_iter().zip(asked_before) {
            eventually(async || (app.asked(method, path) > before).then_some(())).await;
            let (rows, ledger) = (app.rows().await, app.ledger().await);
            assert_eq!((&rows[0]["phone_number"], &rows[0]["status"]), (&json!(number), &json!("pending")), "{path}");
            assert_eq!(ledger[0]["agency_phone_number_id"], rows[0]["id"]);
            let phase = if path == CALLS[0].1 {
                "intended"
            } else if path == CALLS[1].1 {
                "ordering"
            } else {
                "ordered"
            };
            assert_eq!(ledger[0]["phase"], phase, "{path}");
            assert!(busy_connections(&app).await.is_empty(), "{path}: {:?}", busy_connections(&app).await);
        }
    };
    let (reply, ()) = tokio::join!(app.purchase("owner", order_of(&number)), watch);
    assert_eq!(reply.expect(200).number()["status"], "active");
    balance(&app).await;
}

/// The functions' connections that are within a transaction.
async fn busy_connections(app: &TestApp) -> Vec<String> {
    let sql = "select concat_ws(' ', state, query) from pg_stat_activity
               where datname = current_database() and application_name = 'phone-numbers'
                 and (xact_start is not null or state <> 'idle')";
    app.sql.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn price_type_features_and_country_are_those_on_offer() {
    let app = TestApp::new().await;
    let offers = [
        ("country_code=US&area_code=312", "US", "local"),
        ("country_code=CA&area_code=416", "CA", "local"),
        ("country_code=PR&area_code=787", "PR", "local"),
        ("country_code=US&phone_number_type=toll_free&starts_with=800", "US", "toll_free"),
        ("country_code=GB&phone_number_type=mobile", "GB", "mobile"),
        ("country_code=MX", "MX", "local"),
        ("country_code=NL&phone_number_type=national", "NL", "national"),
        ("country_code=AU&phone_number_type=toll_free", "AU", "toll_free"),
    ];
    for (query, country, kind) in offers {
        let offer = offered(&app, query).await;
        let number = offer["phone_number"].as_str().unwrap();
        let reply = app.purchase("owner", order_of(number)).await.expect(200);
        let row = reply.number();
        assert_eq!((&row["country_code"], &row["number_type"]), (&json!(country), &json!(kind)), "{offer}");
        for (column, offered) in [("monthly_cost", "monthly_cost"), ("setup_cost", "upfront_cost"), ("currency", "currency")] {
            assert_eq!(row[column], offer[offered], "{column} of {offer}");
        }
        for capability in ["voice_enabled", "sms_enabled", "mms_enabled"] {
            assert_eq!(row[capability], offer[capability], "{capability} of {offer}");
        }
    }
    let prices: Vec<_> = app.rows().await.iter().map(|row| row["monthly_cost"].to_string()).collect();
    assert!(prices.iter().any(|price| price != &prices[0]), "prices that differ are worth comparing: {prices:?}");
    balance(&app).await;
}

#[tokio::test]
async fn a_number_that_is_not_on_offer_leaves_no_row_behind() {
    let app = TestApp::new().await;
    // Not in the inventory; of a country without numbers; of a calling code without a country.
    let numbers = ["+13125550123", "+3546111234", "+80012345678"];
    for number in numbers {
        let refused = app.purchase("owner", order_of(number)).await.expect_problem(409, "number_unavailable");
        assert_eq!(refused.body["retryable"], false);
    }
    assert!(app.rows().await.is_empty());
    let ledger = app.ledger().await;
    assert_eq!(ledger.len(), numbers.len());
    for purchase in ledger {
        assert_eq!((&purchase["phase"], &purchase["failure_code"]), (&json!("failed"), &json!("number_unavailable")));
        assert_eq!(purchase["order_attempts"], 0);
    }
    assert_eq!(orders_sent(&app), 0);
}

/// The answer for a number that was never on offer.
async fn words_for_unavailable(app: &TestApp) -> Value {
    app.purchase("owner", order_of("+13125550123")).await.expect_problem(409, "number_unavailable").body["detail"].clone()
}

#[tokio::test]
async fn a_number_that_another_agency_holds_or_buys_is_simply_unavailable() {
    let app = TestApp::new().await;
    let words = words_for_unavailable(&app).await;
    let numbers = app.offers("312", 3).await;
    app.purchase("other_owner", order_of(&numbers[0])).await.expect(200);
    let bought = app.purchase("other_owner", order_of(&numbers[1])).await.expect(200);
    let inactive = json!({"phone_number_id": bought.number()["id"], "status": "inactive"});
    app.assign("other_owner", Method::PATCH, "", Some(inactive)).await.expect(200);
    let sql = "insert into agency_phone_numbers (agency_id, phone_number, status) values ($1, $2, 'pending')";
    app.sql.execute(sql, &[&demo::OTHER.id, &numbers[2]]).await.unwrap();
    let before = app.rows().await;
    for number in &numbers {
        let refused = app.purchase("owner", order_of(number)).await.expect_problem(409, "number_unavailable");
        assert_eq!(refused.body["detail"], words);
    }
    assert_eq!(app.rows().await, before);
    assert_eq!(orders_sent(&app), 2);
}

#[tokio::test]
async fn several_numbers_are_bought_each_by_an_order_of_its_own() {
    let app = TestApp::new().await;
    let numbers = app.offers("312", 5).await;
    let reply = app.purchase("owner", order_of_all(&numbers)).await.expect(200);
    assert_eq!((&reply.body["order"]["phone_numbers_count"], &reply.body["success"]), (&json!(5), &json!(true)));
    let items = reply.body["phone_numbers"].as_array().unwrap();
    let answered: Vec<_> = items.iter().map(|item| item["phone_number"].as_str().unwrap()).collect();
    assert_eq!(answered, numbers, "in the order of the request");
    assert!(items.iter().all(|item| item["outcome"] == "purchased" && item["status"] == "active"));
    assert_eq!(orders_sent(&app), 5);
    let ledger = app.ledger().await;
    assert!(ledger.iter().all(|purchase| purchase["order_id"] == reply.body["order"]["id"]));
    assert!(ledger.iter().any(|purchase| purchase["id"] == reply.body["order"]["id"]));
    balance(&app).await;
}

#[tokio::test]
async fn one_number_that_is_gone_takes_no_other_down() {
    let app = TestApp::new().await;
    let mut numbers = app.offers("312", 2).await;
    numbers.insert(1, "+13125550123".to_owned());
    let reply = app.purchase("owner", order_of_all(&numbers)).await.expect(207);
    assert_eq!(reply.body["success"], false);
    assert_eq!(reply.header("idempotent-replayed"), "");
    let items = reply.body["phone_numbers"].as_array().unwrap();
    let outcomes: Vec<_> = items.iter().map(|item| item["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["purchased", "failed", "purchased"]);
    assert_eq!(items[1]["phone_number"], "+13125550123");
    let problem = &items[1]["problem"];
    assert_eq!((&problem["code"], &problem["status"]), (&json!("number_unavailable"), &json!(409)));
    assert_eq!(problem["error"], problem["detail"]);
    assert_eq!(reply.body["order"]["phone_numbers_count"], 2);
    balance(&app).await;
}

#[tokio::test]
async fn numbers_that_all_fail_alike_are_answered_with_that_problem() {
    let app = TestApp::new().await;
    let numbers = ["+13125550123", "+13125550124", "+13125550125"].map(str::to_owned);
    app.purchase("owner", order_of_all(&numbers)).await.expect_problem(409, "number_unavailable");
    assert!(app.rows().await.is_empty());
}

#[tokio::test]
async fn numbers_that_fail_each_in_its_way_are_no_replay_of_anything() {
    let app = TestApp::new().await;
    let number = app.offer().await;
    app.fault(json!({"method": "POST", "path_prefix": "/v2/number_orders", "kind": "status", "status": 403, "code": "20100"})).await;
    let reply = app.purchase("owner", order_of_all(&[number, "+13125550123".to_owned()])).await.expect(207);
    let codes: Vec<_> = reply.body["phone_numbers"].as_array().unwrap().iter().map(|item| item["problem"]["code"].clone()).collect();
    assert_eq!(codes, [json!("insufficient_funds"), json!("number_unavailable")]);
    assert_eq!(reply.body["order"], json!(null));
    assert_eq!(reply.header("idempotent-replayed"), "", "nothing was bought, now or before");
    assert!(app.rows().await.is_empty());
    balance(&app).await;
}

#[tokio::test]
async fn while_one_of_several_is_pending_so_is_the_order() {
    let mut app = TestApp::new().await;
    let mut numbers = app.offers("312", 1).await;
    numbers.push(offered(&app, "country_code=DE").await["phone_number"].as_str().unwrap().to_owned());
    let reply = app.pending_purchase(order_of_all(&numbers)).await;
    assert_eq!(reply.body["order"]["status"], "pending");
    let outcomes: Vec<_> = reply.body["phone_numbers"].as_array().unwrap().iter().map(|item| item["outcome"].clone()).collect();
    assert_eq!(outcomes, [json!("purchased"), json!("pending")]);
    decide(&app, "success").await;
    let again = app.purchase("owner", order_of_all(&numbers)).await.expect(200);
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(orders_sent(&app), 2);
    balance(&app).await;
}

#[tokio::test]
async fn one_switch_stops_all_buying() {
    let mut app = TestApp::new().await;
    let number = app.offer().await;
    let row = app.purchase("owner", order_of(&app.offers("415", 1).await[0])).await.expect(200).number().clone();
    let before = app.everything().await;
    let asked = app.telnyx.exchanges().len();
    for off in ["false", "FALSE", " false "] {
        app.set("PURCHASES_ENABLED", off);
        let refused = app.purchase("owner", order_of(&number)).await.expect_problem(503, "purchases_disabled");
        assert_eq!(refused.body["retryable"], true, "{off}");
    }
    for unreadable in ["0", "no", "off", "1", "yes", "tru"] {
        app.set("PURCHASES_ENABLED", unreadable);
        app.purchase("owner", order_of(&number)).await.expect_problem(503, "unavailable");
    }
    assert_eq!((app.everything().await, app.telnyx.exchanges().len()), (before, asked));
    app.set("PURCHASES_ENABLED", "false");
    // Everything else still works.
    app.search("owner", "country_code=US").await.expect(200);
    app.release("owner", release_of(&row)).await.expect(200);
    for on in ["true", " true ", ""] {
        app.set("PURCHASES_ENABLED", on);
        app.purchase("owner", order_of(&number)).await.expect(200);
    }
    balance(&app).await;
}

#[tokio::test]
async fn without_a_database_nothing_is_bought() {
    let mut app = TestApp::new().await;
    let number = app.offer().await;
    let proxy = app.with_fault_proxy().await;
    proxy.refuse_connections();
    let asked = app.telnyx.exchanges().len();
    app.purchase("owner", order_of(&number)).await.expect_problem(503, "unavailable");
    assert_eq!(app.telnyx.exchanges().len(), asked);
    proxy.accept_connections();
    // The attempt and its repetition.
    for _ in 0..2 {
        proxy.inject("purchases.begin.insert", Moment::Before, Fault::Cut);
    }
    app.purchase("owner", order_of(&number)).await.expect_problem(503, "unavailable");
    assert_eq!((app.telnyx.exchanges().len(), app.rows().await.len()), (asked, 0));
    app.purchase("owner", order_of(&number)).await.expect(200);
    balance(&app).await;
}

#[tokio::test]
async fn a_row_that_is_gone_before_it_can_be_shown_is_no_success() {
    let mut app = TestApp::new().await;
    let numbers = app.offers("312", 2).await;
    let proxy = app.with_fault_proxy().await;
    for number in &numbers {
        app.purchase("owner", order_of(number)).await.expect(200);
    }
    let sql = "delete from agency_phone_numbers where phone_number = $1";
    let both = order_of_all(&numbers);
    for (number, body, status) in [(&numbers[1], both, 207), (&numbers[0], order_of(&numbers[0]), 409)] {
        let (url, number) = (app.database.url().to_owned(), number.clone());
        let goes = async move {
            dev::postgres::connect(&url).await.unwrap().execute(sql, &[&number]).await.unwrap();
        };
        proxy.inject("numbers.read.of_agency", Moment::Before, Fault::call(goes));
        let reply = app.purchase("owner", body).await.expect(status);
        if status == 207 {
            assert_eq!((&reply.body["success"], &reply.body["message"]), (&json!(false), &json!("Phone numbers: 1 purchased, 1 failed.")));
            assert_eq!(reply.body["phone_numbers"][1]["problem"]["code"], "number_unavailable");
        } else {
            reply.expect_problem(409, "number_unavailable");
        }
    }
}
