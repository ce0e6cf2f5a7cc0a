//! `validate_only`: all checks, and nothing is bought or written.

use dev::demo;
use lambda_http::http::Method;
use serde_json::{Value, json};

use crate::support::actions::{balance, decide, order_of, order_of_all, orders_sent, release_of};
use crate::support::app::{Reply, TestApp, agent, eventually};

/// A number that is not on offer.
const NOT_ON_OFFER: &str = "+13125550123";

/// Sends the request and asserts that nothing was written.
async fn ask(app: &TestApp, user: &str, mut body: Value) -> Reply {
    body["validate_only"] = json!(true);
    let before = (app.everything().await, app.telnyx_state().await["orders"].clone(), orders_sent(app));
    let reply = app.purchase(user, body).await;
    let after = (app.everything().await, app.telnyx_state().await["orders"].clone(), orders_sent(app));
    assert_eq!(after, before);
    assert_eq!(reply.header("idempotent-replayed"), "");
    reply
}

/// The outcomes of several numbers, or the code of their problems.
fn outcomes(reply: &Reply) -> Vec<&str> {
    let word = |item| -> &str {
        let item: &Value = item;
        item["problem"]["code"].as_str().or(item["outcome"].as_str()).unwrap()
    };
    reply.body["phone_numbers"].as_array().unwrap().iter().map(word).collect()
}

#[tokio::test]
async fn an_available_number_is_reported_with_its_price() {
    let app = TestApp::new().await;
    let number = app.offer().await;
    let mut body = json!({"phone_numbers": [{"phone_number": number, "friendly_name": "Desk", "agent_mapping_id": agent(&demo::DEMO, 0)}]});
    body["customer_reference"] = json!("their own");
    let reply = ask(&app, "admin", body.clone()).await.expect(200);
    let expected = json!({
        "success": true,
        "order": null,
        "phone_numbers": [{
            "phone_number": number, "outcome": "valid", "country_code": "US",
            "monthly_cost": "1.00", "upfront_cost": "1.00", "currency": "USD",
        }],
        "customer_reference": "their own",
        "validate_only": true,
        "message": "1 of 1 phone numbers could be bought; none was.",
    });
    assert_eq!(reply.body, expected);
    body["validate_only"] = json!(false);
    let bought = app.purchase("admin", body).await.expect(200);
    assert_eq!(bought.body.get("validate_only"), None);
    assert_eq!(bought.number()["outcome"], "purchased");
}

#[tokio::test]
async fn an_unknown_price_is_reported_as_unknown() {
    let app = TestApp::new().await;
    let number = app.offer().await;
    app.telnyx_settings(json!({"cost_information": {}})).await;
    let reply = ask(&app, "owner", order_of(&number)).await.expect(200);
    let costs = ["monthly_cost", "upfront_cost", "currency"].map(|member| reply.number().get(member).cloned());
    assert_eq!(costs, [Some(json!(null)), Some(json!(null)), Some(json!(null))]);
}

#[tokio::test]
async fn every_reason_not_to_buy_is_a_reason_here() {
    let mut app = TestApp::new().await;
    let numbers = app.offers("312", 2).await;
    let number = &numbers[0];
    for user in ["member", "client_viewer", "platform_admin"] {
        ask(&app, user, order_of(number)).await.expect_problem(403, "forbidden");
    }
    for stranger in [json!(agent(&demo::OTHER, 0)), json!("00000000-0000-4000-8000-000000000000")] {
        let items = json!([{"phone_number": number}, {"phone_number": numbers[1], "agent_mapping_id": stranger}]);
        let refused = ask(&app, "owner", json!({ "phone_numbers": items })).await.expect_problem(404, "not_found");
        assert_eq!(refused.fields(), ["phone_numbers[1].agent_mapping_id"]);
    }
    ask(&app, "owner", order_of(NOT_ON_OFFER)).await.expect_problem(409, "number_unavailable");
    let mut too_dear = order_of(number);
    too_dear["max_monthly_cost"] = json!("0.99");
    let refused = ask(&app, "owner", too_dear).await.expect_problem(409, "price_exceeded");
    assert!(refused.body["detail"].as_str().unwrap().contains("1.00 a month"));
    for (status, code) in [(429, "rate_limited"), (500, "upstream_error")] {
        let fault = json!({"path_prefix": "/v2/available_phone_numbers", "kind": "status", "status": status, "times": 2});
        app.fault(fault).await;
        let refused = ask(&app, "owner", order_of(number)).await;
        assert_eq!((refused.code(), &refused.body["retryable"]), (code, &json!(true)));
        crate::support::actions::clear_faults(&app).await;
    }
    let twice = order_of_all(&[number.clone(), number.clone()]);
    assert_eq!(ask(&app, "owner", twice).await.expect(400).fields(), ["phone_numbers[1].phone_number"]);
    app.set("MAX_PHONE_NUMBERS", "0");
    ask(&app, "owner", order_of(number)).await.expect_problem(403, "quota_exceeded");
    app.set("MAX_PHONE_NUMBERS", "1");
    ask(&app, "owner", order_of(number)).await.expect(200);
    app.set("TELNYX_API_KEY", "");
    ask(&app, "owner", order_of(number)).await.expect_problem(400, "telnyx_not_configured");
    app.set("PURCHASES_ENABLED", "false");
    ask(&app, "owner", order_of(number)).await.expect_problem(503, "purchases_disabled");
}

#[tokio::test]
async fn what_somebody_else_has_is_unavailable_and_what_the_agency_has_is_valid() {
    let mut app = TestApp::new().await;
    app.set("MAX_PHONE_NUMBERS", "3");
    let numbers = app.offers("312", 5).await;
    let theirs = app.purchase("other_owner", order_of(&numbers[0])).await.expect(200).number().clone();
    app.insert(json!({"agency_id": demo::OTHER.id, "phone_number": numbers[1], "status": "pending"})).await;
    for taken in &numbers[..2] {
        ask(&app, "owner", order_of(taken)).await.expect_problem(409, "number_unavailable");
    }
    app.release("other_owner", release_of(&theirs)).await.expect(200);
    assert_eq!(ask(&app, "owner", order_of(&numbers[0])).await.expect(200).number()["monthly_cost"], "1.00", "it is free again");

    app.purchase("owner", order_of(&numbers[2])).await.expect(200);
    let inactive = app.purchase("owner", order_of(&numbers[3])).await.expect(200).number().clone();
    app.assign("owner", Method::PATCH, "", Some(json!({"id": inactive["id"], "status": "inactive"}))).await.expect(200);
    app.telnyx_settings(json!({"order_outcome": "never"})).await;
    app.pending_purchase(order_of(&numbers[4])).await;
    let asked = app.telnyx.exchanges().len();
    let mut body = order_of_all(&numbers[2..]);
    body["max_monthly_cost"] = json!("0.01");
    let reply = ask(&app, "owner", body).await.expect(200);
    let valid = |number: &String| json!({"phone_number": number, "outcome": "valid"});
    assert_eq!(reply.body["phone_numbers"], json!(numbers[2..].iter().map(valid).collect::<Vec<_>>()), "at the limit, too");
    assert_eq!(app.telnyx.exchanges().len(), asked, "and a pending purchase is not resumed");
    decide(&app, "success").await;
    app.purchase("owner", order_of(&numbers[4])).await.expect(200);
    balance(&app).await;
}

#[tokio::test]
async fn what_is_on_its_way_back_is_unavailable_and_what_is_released_is_on_offer() {
    let app = TestApp::new().await;
    let number = app.offer().await;
    let row = app.purchase("owner", order_of(&number)).await.expect(200).number().clone();
    app.fault(json!({"method": "DELETE", "path_prefix": "/v2/phone_numbers", "kind": "delay", "delay_ms": 700})).await;
    let meanwhile = async {
        eventually(async || (app.asked("DELETE", "/v2/phone_numbers") == 1).then_some(())).await;
        ask(&app, "owner", order_of(&number)).await.expect_problem(409, "number_unavailable");
    };
    let (released, ()) = tokio::join!(app.release("owner", release_of(&row)), meanwhile);
    released.expect(200);
    let reply = ask(&app, "owner", order_of(&number)).await.expect(200);
    assert_eq!((&reply.number()["outcome"], &reply.number()["monthly_cost"]), (&json!("valid"), &json!("1.00")));
}

#[tokio::test]
async fn several_numbers_are_told_apart() {
    let mut app = TestApp::new().await;
    let mut numbers = app.offers("312", 4).await;
    app.purchase("owner", order_of(&numbers[0])).await.expect(200);
    numbers.insert(2, NOT_ON_OFFER.to_owned());
    let reply = ask(&app, "owner", order_of_all(&numbers)).await.expect(207);
    assert_eq!(outcomes(&reply), ["valid", "valid", "number_unavailable", "valid", "valid"]);
    assert_eq!((&reply.body["success"], &reply.body["validate_only"]), (&json!(false), &json!(true)));
    assert_eq!(reply.body["message"], "4 of 5 phone numbers could be bought; none was.");
    let problem = &reply.body["phone_numbers"][2]["problem"];
    assert_eq!((&problem["status"], &problem["error"]), (&json!(409), &problem["detail"]));

    // The quota allows two more: neither the agency's own number nor one that is not on offer counts.
    app.set("MAX_PHONE_NUMBERS", "3");
    let reply = ask(&app, "owner", order_of_all(&numbers)).await.expect(207);
    assert_eq!(outcomes(&reply), ["valid", "valid", "number_unavailable", "valid", "quota_exceeded"]);
    let reply = ask(&app, "owner", order_of_all(&[numbers[0].clone(), numbers[1].clone(), numbers[3].clone()])).await.expect(200);
    assert_eq!(outcomes(&reply), ["valid", "valid", "valid"]);

    app.set("MAX_PHONE_NUMBERS", "1");
    ask(&app, "owner", order_of_all(&[numbers[1].clone(), numbers[3].clone()])).await.expect_problem(403, "quota_exceeded");
    let nowhere = ["+13125550124", "+13125550125"].map(str::to_owned);
    // A purchase would not come to ask Telnyx for them.
    ask(&app, "owner", order_of_all(&nowhere)).await.expect_problem(403, "quota_exceeded");
}

#[tokio::test]
async fn what_is_neither_true_nor_false_is_refused_by_name() {
    let app = TestApp::new().await;
    let number = app.offer().await;
    for neither in [json!("true"), json!(1), json!([])] {
        let mut body = order_of(&number);
        body["validate_only"] = neither;
        assert_eq!(app.purchase("owner", body).await.expect_problem(400, "invalid_request").fields(), ["validate_only"]);
    }
    assert!(app.rows().await.is_empty());
}
