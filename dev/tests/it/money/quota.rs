//! The quota of an agency, also under concurrent requests.

use dev::demo;
use futures_util::future::join_all;
use lambda_http::http::Method;
use serde_json::{Value, json};

use crate::support::actions::{balance, clear_faults, order_of, order_of_all, orders_sent, release_of};
use crate::support::app::{Reply, TestApp, eventually};

/// Sets the demo agency's settings.
async fn settings(app: &TestApp, settings: Value) {
    let sql = "update agencies set settings = $1 where id = $2";
    app.sql.execute(sql, &[&tokio_postgres::types::Json(settings), &demo::DEMO.id]).await.unwrap();
}

/// Asserts that the quota was reached.
#[track_caller]
fn no_room(reply: Reply, limit: i64) -> Reply {
    let reply = reply.expect_problem(403, "quota_exceeded");
    assert_eq!(reply.body["retryable"], false);
    assert!(reply.body["detail"].as_str().unwrap().contains(&format!("may have {limit} phone numbers")), "{reply:#?}");
    reply
}

/// The outcomes of a request for several numbers, or the code of their problems.
fn outcomes(reply: &Reply) -> Vec<String> {
    let word = |item: &Value| item["problem"]["code"].as_str().or(item["outcome"].as_str()).unwrap().to_owned();
    reply.body["phone_numbers"].as_array().unwrap().iter().map(word).collect()
}

#[tokio::test]
async fn without_a_limit_there_is_none() {
    let app = TestApp::new().await;
    app.purchase("owner", order_of_all(&app.offers("312", 10).await)).await.expect(200);
    app.purchase("owner", order_of_all(&app.offers("312", 10).await)).await.expect(200);
    assert_eq!(app.rows().await.len(), 20);
}

#[tokio::test]
async fn an_agency_buys_up_to_its_limit_and_no_further() {
    let mut app = TestApp::new().await;
    app.set("MAX_PHONE_NUMBERS", "2");
    let numbers = app.offers("312", 3).await;
    for number in &numbers[..2] {
        app.purchase("owner", order_of(number)).await.expect(200);
    }
    let (asked, ledger) = (app.telnyx.exchanges().len(), app.ledger().await);
    no_room(app.purchase("owner", order_of(&numbers[2])).await, 2);
    assert_eq!(app.telnyx.exchanges().len(), asked, "Telnyx is asked nothing");
    assert_eq!((app.rows().await.len(), app.ledger().await), (2, ledger), "and nothing is written");
    // Another agency has a limit of its own.
    app.purchase("other_owner", order_of(&numbers[2])).await.expect(200);
    balance(&app).await;
}

#[tokio::test]
async fn the_agencys_own_limit_goes_before_the_general_one_and_one_that_cannot_be_read_permits_nothing() {
    let mut app = TestApp::new().await;
    // The agency's quota and numbers.
    for _ in 0..2 {
        app.insert(json!({})).await;
    }
    let numbers = app.offers("312", 20).await;
    let mut numbers = numbers.iter();
    let cases: [(&str, Value, Option<i64>); 16] = [
        ("", json!({}), None),
        ("2", json!({}), Some(2)),
        ("3", json!({}), None),
        ("0", json!({}), Some(0)),
        ("2", json!({"max_phone_numbers": 3}), None),
        ("2", json!({"max_phone_numbers": "3"}), None),
        ("", json!({"max_phone_numbers": 2}), Some(2)),
        ("100", json!({"max_phone_numbers": "2"}), Some(2)),
        ("100", json!({"max_phone_numbers": 0}), Some(0)),
        ("100", json!({"max_phone_numbers": ""}), Some(0)),
        ("100", json!({"max_phone_numbers": "unlimited"}), Some(0)),
        ("100", json!({"max_phone_numbers": 99.5}), Some(0)),
        ("100", json!({"max_phone_numbers": true}), Some(0)),
        ("100", json!({"max_phone_numbers": [100]}), Some(0)),
        ("2", json!({"max_phone_numbers": null}), Some(2)),
        ("100", json!({"max_phone_numbers": null, "theme": "dark"}), None),
    ];
    for (general, own, limit) in cases {
        app.set("MAX_PHONE_NUMBERS", general);
        settings(&app, own.clone()).await;
        let number = numbers.next().unwrap();
        let reply = app.purchase("owner", order_of(number)).await;
        if let Some(limit) = limit {
            no_room(reply, limit);
        } else {
            let row = reply.expect(200).number().clone();
            app.release("owner", release_of(&row)).await.expect(200);
        }
        assert_eq!(app.rows().await.iter().any(|row| row["phone_number"] == *number), limit.is_none(), "{general} {own}");
    }
}

#[tokio::test]
async fn what_is_released_makes_room_and_what_is_pending_or_inactive_takes_it() {
    let mut app = TestApp::new().await;
    app.set("MAX_PHONE_NUMBERS", "1");
    let numbers = app.offers("312", 4).await;
    let row = app.purchase("owner", order_of(&numbers[0])).await.expect(200).number().clone();
    app.assign("owner", Method::PATCH, "", Some(json!({"id": row["id"], "status": "inactive"}))).await.expect(200);
    no_room(app.purchase("owner", order_of(&numbers[1])).await, 1);
    // A number that is being released counts until its release is completed.
    app.fault(json!({"method": "DELETE", "path_prefix": "/v2/phone_numbers", "kind": "delay", "delay_ms": 700})).await;
    let meanwhile = async {
        eventually(async || (app.asked("DELETE", "/v2/phone_numbers") == 1).then_some(())).await;
        no_room(app.purchase("owner", order_of(&numbers[1])).await, 1);
    };
    let (released, ()) = tokio::join!(app.release("owner", release_of(&row)), meanwhile);
    released.expect(200);

    app.telnyx_settings(json!({"order_outcome": "never"})).await;
    let pending = app.pending_purchase(order_of(&numbers[1])).await.number().clone();
    no_room(app.purchase("owner", order_of(&numbers[2])).await, 1);
    app.release("owner", release_of(&pending)).await.expect(200);
    app.telnyx_settings(json!({"order_outcome": "success"})).await;

    // A purchase that fails does not count.
    app.fault(json!({"method": "POST", "path_prefix": "/v2/number_orders", "kind": "status", "status": 403, "code": "20100"})).await;
    app.purchase("owner", order_of(&numbers[2])).await.expect(402);
    app.purchase("owner", order_of(&numbers[2])).await.expect(200);
    no_room(app.purchase("owner", order_of(&numbers[3])).await, 1);
    balance(&app).await;
}

#[tokio::test]
async fn what_the_agency_has_or_is_buying_is_answered_at_the_limit_too() {
    let mut app = TestApp::new().await;
    app.set("MAX_PHONE_NUMBERS", "1");
    let numbers = app.offers("312", 2).await;
    let first = app.purchase("owner", order_of(&numbers[0])).await.expect(200);
    let again = app.purchase("owner", order_of(&numbers[0])).await.expect(200);
    assert_eq!((again.header("idempotent-replayed"), again.number()), ("true", first.number()));
    app.set("MAX_PHONE_NUMBERS", "0");
    app.purchase("owner", order_of(&numbers[0])).await.expect(200);
    // There is no room for another agency's number either: the answer does not tell it from one that nobody has.
    app.insert(json!({"agency_id": demo::OTHER.id, "phone_number": numbers[1]})).await;
    no_room(app.purchase("owner", order_of(&numbers[1])).await, 0);

    let number = &app.offers("415", 1).await[0];
    app.set("MAX_PHONE_NUMBERS", "2");
    app.fault(json!({"method": "POST", "path_prefix": "/v2/number_orders", "kind": "drop_after"})).await;
    app.fault(json!({"method": "GET", "path_prefix": "/v2/number_orders", "kind": "status", "status": 503, "times": 1_000})).await;
    app.pending_purchase(order_of(number)).await;
    clear_faults(&app).await;
    app.set("MAX_PHONE_NUMBERS", "1");
    let resumed = app.purchase("owner", order_of(number)).await.expect(200);
    assert_eq!(resumed.number()["status"], "active", "a purchase that was begun is resumed");
}

#[tokio::test]
async fn a_released_number_that_is_bought_again_needs_room_like_any_other() {
    let mut app = TestApp::new().await;
    app.set("MAX_PHONE_NUMBERS", "1");
    let numbers = app.offers("312", 2).await;
    let row = app.purchase("owner", order_of(&numbers[0])).await.expect(200).number().clone();
    app.release("owner", release_of(&row)).await.expect(200);
    let before = app.rows().await;
    app.set("MAX_PHONE_NUMBERS", "0");
    no_room(app.purchase("owner", order_of(&numbers[0])).await, 0);
    assert_eq!((app.rows().await, app.archive().await), (before, Vec::new()), "the released row stays where it was");
    app.set("MAX_PHONE_NUMBERS", "1");
    app.purchase("owner", order_of(&numbers[0])).await.expect(200);
    no_room(app.purchase("owner", order_of(&numbers[1])).await, 1);
    balance(&app).await;
}

#[tokio::test]
async fn several_numbers_are_bought_as_far_as_there_is_room() {
    let mut app = TestApp::new().await;
    app.set("MAX_PHONE_NUMBERS", "4");
    let numbers = app.offers("312", 9).await;
    app.purchase("owner", order_of(&numbers[0])).await.expect(200);
    // The number that the agency already has does not count again.
    let reply = app.purchase("owner", order_of_all(&numbers[..6])).await.expect(207);
    let mut sorted = outcomes(&reply);
    assert_eq!(sorted[0], "purchased");
    sorted.sort();
    assert_eq!(sorted, ["purchased", "purchased", "purchased", "purchased", "quota_exceeded", "quota_exceeded"]);
    let refused = reply.body["phone_numbers"].as_array().unwrap().iter().find(|item| item["outcome"] == "failed").unwrap();
    assert_eq!((&refused["problem"]["status"], &refused["problem"]["retryable"]), (&json!(403), &json!(false)));
    assert_eq!((orders_sent(&app), app.billed().await.len()), (4, 4));
    no_room(app.purchase("owner", order_of_all(&numbers[6..])).await, 4);
    app.purchase("owner", order_of_all(&numbers[..1])).await.expect(200);
    balance(&app).await;
}

#[tokio::test]
async fn the_last_place_goes_to_one_of_sixteen() {
    let mut app = TestApp::new().await;
    app.set("MAX_PHONE_NUMBERS", "2");
    let numbers = app.offers("312", 17).await;
    app.purchase("owner", order_of(&numbers[16])).await.expect(200);
    let replies = join_all(numbers[..16].iter().map(|number| app.purchase("owner", order_of(number)))).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 1, "{replies:#?}");
    for reply in replies.into_iter().filter(|reply| reply.status != 200) {
        no_room(reply, 2);
    }
    assert_eq!((orders_sent(&app), app.billed().await.len(), app.rows().await.len()), (2, 2, 2));
    balance(&app).await;
}

#[tokio::test]
async fn requests_for_several_numbers_at_once_do_not_pass_the_limit_together() {
    let mut app = TestApp::new().await;
    app.set("MAX_PHONE_NUMBERS", "7");
    let numbers = app.offers("312", 20).await;
    let replies = join_all(numbers.chunks(5).map(|five| app.purchase("owner", order_of_all(five)))).await;
    for reply in &replies {
        assert!([200, 207, 403].contains(&reply.status), "{reply:#?}");
    }
    assert_eq!((orders_sent(&app), app.billed().await.len()), (7, 7));
    balance(&app).await;
}

#[tokio::test]
async fn two_agencies_do_not_wait_for_each_others_places() {
    let mut app = TestApp::new().await;
    app.set("MAX_PHONE_NUMBERS", "3");
    let numbers = app.offers("312", 12).await;
    let requests = numbers.iter().enumerate();
    let requests = requests.map(|(index, number)| app.purchase(if index % 2 == 0 { "owner" } else { "other_owner" }, order_of(number)));
    let replies = join_all(requests).await;
    for agency in [demo::DEMO.id, demo::OTHER.id] {
        assert_eq!(app.rows().await.iter().filter(|row| row["agency_id"] == json!(agency)).count(), 3, "{replies:#?}");
    }
    balance(&app).await;
}
