//! An answer about what is another agency's is that about what does not exist, byte for byte but for the id of the request.

use dev::demo;
use lambda_http::http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::actions::order_of;
use crate::support::app::{Reply, TestApp, agent};
use crate::support::functions::{Call, Functions};

/// An answer, without the id of its request and with `what` in place of what was asked for.
fn comparable(reply: &Reply, asked_for: &str) -> (u16, Vec<(String, String)>, String) {
    let hide = |text: &str| text.replace(reply.header("x-request-id"), "REQUEST").replace(asked_for, "WHAT");
    let headers = reply.headers.iter().map(|(name, value)| (name.to_string(), hide(value.to_str().unwrap())));
    (reply.status, headers.collect(), hide(&reply.text))
}

/// Every call that takes the id of a row.
fn calls_with_a_row(id: &str) -> Vec<Call> {
    let call = |function, method, query: String, body| Call { function, method, query, body };
    let (get, post, patch, delete) = (Method::GET, Method::POST, Method::PATCH, Method::DELETE);
    let agent = agent(&demo::DEMO, 0);
    vec![
        call("phone-numbers-assign", get.clone(), format!("id={id}"), None),
        call("phone-numbers-assign", get.clone(), format!("phone_number_id={id}&include_history=true"), None),
        call("phone-numbers-assign", post.clone(), String::new(), Some(json!({"phone_number_id": id, "agent_mapping_id": agent}))),
        call("phone-numbers-assign", patch.clone(), String::new(), Some(json!({"id": id, "friendly_name": "New"}))),
        call("phone-numbers-assign", patch, String::new(), Some(json!({"phone_number_id": id, "status": "inactive"}))),
        call("phone-numbers-assign", delete.clone(), format!("phone_number_id={id}"), None),
        call("phone-numbers-assign", delete, String::new(), Some(json!({"phone_number_id": id}))),
        call("phone-numbers-release", post, String::new(), Some(json!({"phone_number_ids": [id], "confirm": true}))),
        call("phone-numbers-list", get, format!("agent_id={id}"), None),
    ]
}

/// Every call that takes the id of an agent, about a row of the agency's own.
fn calls_with_an_agent(row: &Value, number: &str, id: &str) -> Vec<Call> {
    let call = |function, method, query: String, body| Call { function, method, query, body };
    let item = json!({"phone_number": number, "agent_mapping_id": id});
    vec![
        call("phone-numbers-assign", Method::POST, String::new(), Some(json!({"phone_number_id": row["id"], "agent_mapping_id": id}))),
        call("phone-numbers-list", Method::GET, format!("agent_id={id}"), None),
        call("phone-numbers-purchase", Method::POST, String::new(), Some(json!({"phone_numbers": [item]}))),
        call("phone-numbers-purchase", Method::POST, String::new(), Some(json!({"phone_numbers": [item], "validate_only": true}))),
    ]
}

#[tokio::test]
async fn a_row_or_agent_of_another_agency_is_answered_as_one_that_does_not_exist() {
    let app = TestApp::new().await;
    let functions = Functions::start(&app);
    let token = app.token("owner");
    let ours = app.insert(json!({})).await;
    let active = app.insert(json!({"agency_id": demo::OTHER.id, "agent_mapping_id": agent(&demo::OTHER, 0)})).await;
    let pending = app.insert(json!({"agency_id": demo::OTHER.id, "status": "pending"})).await;
    let released = app.insert(json!({"agency_id": demo::OTHER.id, "status": "released", "is_active": false})).await;
    let number = app.offer().await;
    let nobodys = Uuid::new_v4().to_string();
    let answers = async |calls: Vec<Call>, id: &str| {
        let mut answers = Vec::new();
        for call in calls {
            answers.push((call.function, call.method.clone(), comparable(&functions.call(&token, &call).await, id)));
        }
        answers
    };
    let expected = answers(calls_with_a_row(&nobodys), &nobodys).await;
    for theirs in [&active, &pending, &released] {
        let id = theirs["id"].as_str().unwrap();
        assert_eq!(answers(calls_with_a_row(id), id).await, expected);
    }
    let theirs = agent(&demo::OTHER, 0).to_string();
    let expected = answers(calls_with_an_agent(&ours, &number, &nobodys), &nobodys).await;
    assert_eq!(answers(calls_with_an_agent(&ours, &number, &theirs), &theirs).await, expected);
    assert_eq!(app.rows().await.len(), 4);
}

/// A number that another agency has and Telnyx has sold to it, one that it is only buying, and one that nobody has.
#[tokio::test]
async fn a_number_of_another_agency_is_answered_as_one_that_is_not_on_offer_and_by_the_same_way() {
    let mut app = TestApp::new().await;
    let bought = app.offer().await;
    app.purchase("other_owner", order_of(&bought)).await.expect(200);
    let inserted = app.insert(json!({"agency_id": demo::OTHER.id, "phone_number": "+13125550124", "status": "pending"})).await;
    let theirs = [bought.as_str(), inserted["phone_number"].as_str().unwrap()];
    let nobodys = "+13125550123";
    let settings: [(&str, &str, &str, u16); 4] = [
        ("MAX_PHONE_NUMBERS", "", "true", 409),
        ("MAX_PHONE_NUMBERS", "0", "true", 403),
        ("MAX_PHONE_NUMBERS", "", "false", 503),
        ("MAX_PHONE_NUMBERS", "0", "false", 503),
    ];
    for (name, value, enabled, status) in settings {
        app.set(name, value);
        app.set("PURCHASES_ENABLED", enabled);
        for extra in [json!({}), json!({"validate_only": true}), json!({"max_monthly_cost": "0.01"})] {
            let answer = async |number: &str| {
                let mut body = order_of(number);
                body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
                let before = app.telnyx.exchanges().len();
                let reply = app.purchase("owner", body).await;
                let asked: Vec<_> =
                    app.telnyx.exchanges()[before..].iter().map(|exchange| (exchange.method.clone(), exchange.path.clone())).collect();
                (comparable(&reply, number), asked)
            };
            let expected = answer(nobodys).await;
            assert_eq!(expected.0.0, status, "{extra}: {expected:?}");
            for number in theirs {
                assert_eq!(answer(number).await, expected, "{extra}");
            }
        }
    }
}
