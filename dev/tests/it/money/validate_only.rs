//! Asking whether numbers could be bought: every check, and nothing bought or written.

use dev::demo;
use lambda_http::http::Method;
use serde_json::{Value, json};

use crate::support::actions::{balance, decide, order_of, order_of_all, orders_sent, release_of};
use crate::support::app::{Reply, World, agent, eventually};

/// A number that nobody offers.
const NOT_ON_OFFER: &str = "+13125550123";

/// Asks, and insists that nothing has come of it.
async fn ask(world: &World, user: &str, mut body: Value) -> Reply {
    body["validate_only"] = json!(true);
    let before = (world.everything().await, world.telnyx_state().await["orders"].clone(), orders_sent(world));
    let reply = world.purchase(user, body).await;
    let after = (world.everything().await, world.telnyx_state().await["orders"].clone(), orders_sent(world));
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
async fn what_could_be_bought_is_told_with_its_price() {
    let world = World::new().await;
    let number = world.offer().await;
    let mut body = json!({"phone_numbers": [{"phone_number": number, "friendly_name": "Desk", "agent_mapping_id": agent(&demo::DEMO, 0)}]});
    body["customer_reference"] = json!("their own");
    let reply = ask(&world, "admin", body.clone()).await.expect(200);
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
    let bought = world.purchase("admin", body).await.expect(200);
    assert_eq!(bought.body.get("validate_only"), None);
    assert_eq!(bought.number()["outcome"], "purchased");
}

#[tokio::test]
async fn a_price_that_is_unknown_is_told_as_unknown() {
    let world = World::new().await;
    let number = world.offer().await;
    world.telnyx_settings(json!({"cost_information": {}})).await;
    let reply = ask(&world, "owner", order_of(&number)).await.expect(200);
    let costs = ["monthly_cost", "upfront_cost", "currency"].map(|member| reply.number().get(member).cloned());
    assert_eq!(costs, [Some(json!(null)), Some(json!(null)), Some(json!(null))]);
}

#[tokio::test]
async fn every_reason_not_to_buy_is_a_reason_here() {
    let mut world = World::new().await;
    let numbers = world.offers("312", 2).await;
    let number = &numbers[0];
    for user in ["member", "client_viewer", "platform_admin"] {
        ask(&world, user, order_of(number)).await.expect_problem(403, "forbidden");
    }
    for stranger in [json!(agent(&demo::OTHER, 0)), json!("00000000-0000-4000-8000-000000000000")] {
        let items = json!([{"phone_number": number}, {"phone_number": numbers[1], "agent_mapping_id": stranger}]);
        let refused = ask(&world, "owner", json!({ "phone_numbers": items })).await.expect_problem(404, "not_found");
        assert_eq!(refused.fields(), ["phone_numbers[1].agent_mapping_id"]);
    }
    ask(&world, "owner", order_of(NOT_ON_OFFER)).await.expect_problem(409, "number_unavailable");
    let mut too_dear = order_of(number);
    too_dear["max_monthly_cost"] = json!("0.99");
    let refused = ask(&world, "owner", too_dear).await.expect_problem(409, "price_exceeded");
    assert!(refused.body["detail"].as_str().unwrap().contains("1.00 a month"));
    for (status, code) in [(429, "rate_limited"), (500, "upstream_error")] {
        let fault = json!({"path_prefix": "/v2/available_phone_numbers", "kind": "status", "status": status, "times": 2});
        world.fault(fault).await;
        let refused = ask(&world, "owner", order_of(number)).await;
        assert_eq!((refused.code(), &refused.body["retryable"]), (code, &json!(true)));
        crate::support::actions::heal(&world).await;
    }
    let twice = order_of_all(&[number.clone(), number.clone()]);
    assert_eq!(ask(&world, "owner", twice).await.expect(400).fields(), ["phone_numbers[1].phone_number"]);
    world.set("MAX_PHONE_NUMBERS", "0");
    ask(&world, "owner", order_of(number)).await.expect_problem(403, "quota_exceeded");
    world.set("MAX_PHONE_NUMBERS", "1");
    ask(&world, "owner", order_of(number)).await.expect(200);
    world.set("TELNYX_API_KEY", "");
    ask(&world, "owner", order_of(number)).await.expect_problem(400, "telnyx_not_configured");
    world.set("PURCHASES_ENABLED", "false");
    ask(&world, "owner", order_of(number)).await.expect_problem(503, "purchases_disabled");
}

#[tokio::test]
async fn what_somebody_else_has_is_unavailable_and_what_the_agency_has_is_valid() {
    let mut world = World::new().await;
    world.set("MAX_PHONE_NUMBERS", "3");
    let numbers = world.offers("312", 5).await;
    let theirs = world.purchase("other_owner", order_of(&numbers[0])).await.expect(200).number().clone();
    world.insert(json!({"agency_id": demo::OTHER.id, "phone_number": numbers[1], "status": "pending"})).await;
    for taken in &numbers[..2] {
        ask(&world, "owner", order_of(taken)).await.expect_problem(409, "number_unavailable");
    }
    world.release("other_owner", release_of(&theirs)).await.expect(200);
    assert_eq!(ask(&world, "owner", order_of(&numbers[0])).await.expect(200).number()["monthly_cost"], "1.00", "it is free again");

    world.purchase("owner", order_of(&numbers[2])).await.expect(200);
    let inactive = world.purchase("owner", order_of(&numbers[3])).await.expect(200).number().clone();
    world.assign("owner", Method::PATCH, "", Some(json!({"id": inactive["id"], "status": "inactive"}))).await.expect(200);
    world.telnyx_settings(json!({"order_outcome": "never"})).await;
    world.set("REQUEST_BUDGET_MS", "2500");
    world.purchase("owner", order_of(&numbers[4])).await.expect(202);
    let asked = world.telnyx.exchanges().len();
    let mut body = order_of_all(&numbers[2..]);
    body["max_monthly_cost"] = json!("0.01");
    let reply = ask(&world, "owner", body).await.expect(200);
    let valid = |number: &String| json!({"phone_number": number, "outcome": "valid"});
    assert_eq!(reply.body["phone_numbers"], json!(numbers[2..].iter().map(valid).collect::<Vec<_>>()), "at the limit, too");
    assert_eq!(world.telnyx.exchanges().len(), asked, "and nobody goes on buying what is pending");
    decide(&world, "success").await;
    world.purchase("owner", order_of(&numbers[4])).await.expect(200);
    balance(&world).await;
}

#[tokio::test]
async fn what_is_on_its_way_back_is_unavailable_and_what_is_released_is_on_offer() {
    let world = World::new().await;
    let number = world.offer().await;
    let row = world.purchase("owner", order_of(&number)).await.expect(200).number().clone();
    world.fault(json!({"method": "DELETE", "path_prefix": "/v2/phone_numbers", "kind": "delay", "delay_ms": 700})).await;
    let meanwhile = async {
        eventually(async || (world.asked("DELETE", "/v2/phone_numbers") == 1).then_some(())).await;
        ask(&world, "owner", order_of(&number)).await.expect_problem(409, "number_unavailable");
    };
    let (released, ()) = tokio::join!(world.release("owner", release_of(&row)), meanwhile);
    released.expect(200);
    let reply = ask(&world, "owner", order_of(&number)).await.expect(200);
    assert_eq!((&reply.number()["outcome"], &reply.number()["monthly_cost"]), (&json!("valid"), &json!("1.00")));
}

#[tokio::test]
async fn several_numbers_are_told_apart() {
    let mut world = World::new().await;
    let mut numbers = world.offers("312", 4).await;
    world.purchase("owner", order_of(&numbers[0])).await.expect(200);
    numbers.insert(2, NOT_ON_OFFER.to_owned());
    let reply = ask(&world, "owner", order_of_all(&numbers)).await.expect(207);
    assert_eq!(outcomes(&reply), ["valid", "valid", "number_unavailable", "valid", "valid"]);
    assert_eq!((&reply.body["success"], &reply.body["validate_only"]), (&json!(false), &json!(true)));
    assert_eq!(reply.body["message"], "4 of 5 phone numbers could be bought; none was.");
    let problem = &reply.body["phone_numbers"][2]["problem"];
    assert_eq!((&problem["status"], &problem["error"]), (&json!(409), &problem["detail"]));

    // Room for two more: neither what the agency has nor what is not on offer takes any.
    world.set("MAX_PHONE_NUMBERS", "3");
    let reply = ask(&world, "owner", order_of_all(&numbers)).await.expect(207);
    assert_eq!(outcomes(&reply), ["valid", "valid", "number_unavailable", "valid", "quota_exceeded"]);
    let reply = ask(&world, "owner", order_of_all(&[numbers[0].clone(), numbers[1].clone(), numbers[3].clone()])).await.expect(200);
    assert_eq!(outcomes(&reply), ["valid", "valid", "valid"]);

    world.set("MAX_PHONE_NUMBERS", "1");
    ask(&world, "owner", order_of_all(&[numbers[1].clone(), numbers[3].clone()])).await.expect_problem(403, "quota_exceeded");
    let nowhere = ["+13125550124", "+13125550125"].map(str::to_owned);
    ask(&world, "owner", order_of_all(&nowhere)).await.expect_problem(409, "number_unavailable");
}

#[tokio::test]
async fn what_is_neither_true_nor_false_is_refused_by_name() {
    let world = World::new().await;
    let number = world.offer().await;
    for neither in [json!("true"), json!(1), json!([])] {
        let mut body = order_of(&number);
        body["validate_only"] = neither;
        assert_eq!(world.purchase("owner", body).await.expect_problem(400, "invalid_request").fields(), ["validate_only"]);
    }
    assert!(world.rows().await.is_empty());
}
