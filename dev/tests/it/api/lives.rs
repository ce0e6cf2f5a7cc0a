//! The lives of a number that was bought again: each agency sees its own completely, and none of another's.

use dev::demo;
use lambda_http::http::Method;
use serde_json::json;

use crate::api::pages::MOST_PAGES;
use crate::money::bought_again::{given_back, given_back_again, ids, number_of, set, stored};
use crate::support::actions::{balance, order_of, release_of};
use crate::support::app::{TestApp, agent};

#[tokio::test]
async fn the_old_agency_goes_on_seeing_its_released_number() {
    let app = TestApp::new().await;
    let number = app.offer().await;
    let item = json!({"phone_number": number, "friendly_name": "Front desk", "agent_mapping_id": agent(&demo::DEMO, 0)});
    let row = app.purchase("owner", json!({"phone_numbers": [item]})).await.expect(200).number().clone();
    app.release("owner", release_of(&row)).await.expect(200);
    let id = row["id"].as_str().unwrap();
    let everything = async || {
        let mut seen = Vec::new();
        for query in
            ["include_released=true", "status=released", "", "search=front&include_released=true", "unassigned=true&status=released"]
        {
            let reply = app.list("member", query).await.expect(200);
            seen.push(json!([reply.body["phone_numbers"], reply.body["summary"], reply.body["pagination"]]));
        }
        for query in [format!("id={id}"), format!("id={id}&include_history=true"), "status=released".to_owned()] {
            seen.push(app.assign("member", Method::GET, &query, None).await.expect(200).body);
        }
        seen.push(app.release("owner", release_of(&row)).await.expect(200).body);
        seen
    };
    let before = everything().await;
    assert_eq!(before[0][0][0]["id"], row["id"]);
    assert_eq!(before[0][1]["released"], 1);
    let note = json!([{"id": row["id"], "phone_number": number, "note": "Already released"}]);
    assert_eq!(before.last().unwrap()["released"], note);

    // Changes of the number in the other agency do not show here.
    let theirs = app.purchase("other_owner", order_of(&number)).await.expect(200).number().clone();
    assert_eq!(everything().await, before);
    let to_agent = json!({"id": theirs["id"], "agent_mapping_id": agent(&demo::OTHER, 0)});
    app.assign("other_owner", Method::POST, "", Some(to_agent)).await.expect(200);
    let settings = json!({"id": theirs["id"], "friendly_name": "Front, too", "status": "inactive"});
    app.assign("other_owner", Method::PATCH, "", Some(settings)).await.expect(200);
    assert_eq!(everything().await, before);
    app.release("other_owner", release_of(&theirs)).await.expect(200);
    assert_eq!(everything().await, before);
    given_back_again(&app, "other_owner", &number).await;
    assert_eq!(everything().await, before);
    assert_eq!(app.billed().await, Vec::<String>::new());
}

#[tokio::test]
async fn the_new_agency_sees_nothing_of_the_old_life() {
    let app = TestApp::new().await;
    let old = given_back(&app, "owner").await;
    let new = app.purchase("other_owner", order_of(number_of(&old))).await.expect(200).number().clone();
    let listed = app.list("other_owner", "include_released=true").await.expect(200);
    assert_eq!(ids(&listed), set([&new]));
    assert_eq!((&listed.body["summary"]["total"], &listed.body["summary"]["released"]), (&json!(1), &json!(0)));
    assert_eq!(app.list("other_owner", "search=front&include_released=true").await.expect(200).body["phone_numbers"], json!([]));

    let nobodys = "id=00000000-0000-4000-8000-000000000000&include_history=true";
    let stranger = app.assign("other_owner", Method::GET, nobodys, None).await.expect_problem(404, "not_found");
    for (user, theirs) in [("other_owner", &old), ("owner", &new)] {
        let query = format!("id={}&include_history=true", theirs["id"].as_str().unwrap());
        let refused = app.assign(user, Method::GET, &query, None).await.expect_problem(404, "not_found");
        assert_eq!((&refused.body["detail"], &refused.body["errors"]), (&stranger.body["detail"], &stranger.body["errors"]));
        let change = json!({"id": theirs["id"], "friendly_name": "x"});
        app.assign(user, Method::PATCH, "", Some(change)).await.expect_problem(404, "not_found");
        if user == "other_owner" {
            let failed = app.release(user, release_of(theirs)).await.expect(207);
            assert_eq!(
                (&failed.body["failed"][0]["problem"]["code"], &failed.body["failed"][0]["phone_number"]),
                (&json!("not_found"), &json!(null))
            );
        }
    }
    let own = format!("id={}&include_history=true", new["id"].as_str().unwrap());
    let history = app.assign("other_owner", Method::GET, &own, None).await.expect(200).body["history"].clone();
    assert_eq!(history.as_array().unwrap().iter().map(|entry| &entry["event"]).collect::<Vec<_>>(), ["bought"]);
}

#[tokio::test]
async fn an_agency_that_buys_its_own_number_back_has_two_lives_of_it() {
    let app = TestApp::new().await;
    let old = given_back(&app, "owner").await;
    let new = app.purchase("owner", order_of(number_of(&old))).await.expect(200).number().clone();
    assert_eq!(ids(&app.list("owner", "").await.expect(200)), set([&new]));
    assert_eq!(ids(&app.list("owner", "status=released").await.expect(200)), set([&old]));
    let both = app.list("owner", "include_released=true").await.expect(200);
    assert_eq!(ids(&both), set([&old, &new]));
    let summary = json!({
        "total": 1, "active": 1, "pending": 0, "inactive": 0, "released": 1, "assigned": 0, "unassigned": 1,
        "monthly_cost": [{"currency": "USD", "amount": "1.00"}],
    });
    assert_eq!(both.body["summary"], summary);
    // A release of both releases only the new one.
    let body = json!({"phone_number_ids": [old["id"], new["id"]], "confirm": true});
    let released = app.release("owner", body).await.expect(200);
    let notes: Vec<_> = released.body["released"].as_array().unwrap().iter().map(|item| item.get("note").is_some()).collect();
    assert_eq!(notes, [true, false]);
    balance(&app).await;
}

#[tokio::test]
async fn a_released_life_takes_no_change() {
    let app = TestApp::new().await;
    let old = given_back(&app, "owner").await;
    let id = &old["id"];
    let writes = [
        (Method::POST, json!({"id": id, "agent_mapping_id": agent(&demo::DEMO, 1)})),
        // The agent does not exist, but the error is that the number is released.
        (Method::POST, json!({"id": id, "agent_mapping_id": agent(&demo::OTHER, 1)})),
        (Method::PATCH, json!({"id": id, "friendly_name": "Still here"})),
        (Method::PATCH, json!({"id": id, "status": "active"})),
        (Method::DELETE, json!({"id": id})),
    ];
    let mut answers = Vec::new();
    for buyer in [None, Some("other_owner"), Some("owner")] {
        if let Some(buyer) = buyer {
            app.purchase(buyer, order_of(number_of(&old))).await.expect(200);
        }
        let before = app.everything().await;
        for (method, body) in &writes {
            let refused = app.assign("owner", method.clone(), "", Some(body.clone())).await;
            answers.push(refused.expect_problem(409, "phone_number_released").body["detail"].clone());
        }
        assert_eq!(app.everything().await, before);
        if let Some(buyer) = buyer {
            let now = stored(&app, number_of(&old)).await;
            app.release(buyer, release_of(&now)).await.expect(200);
        }
    }
    assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:#?}");
}

#[tokio::test]
async fn pages_go_through_both_lives_alike() {
    let app = TestApp::new().await;
    let numbers = app.offers("312", 7).await;
    let mut lives = Vec::new();
    for number in &numbers {
        lives.push(given_back_again(&app, "owner", number).await);
    }
    // Every other number is bought again, by the agency or another.
    for (index, number) in numbers.iter().enumerate().filter(|(index, _)| index % 2 == 0) {
        let user = if index % 4 == 0 { "owner" } else { "other_owner" };
        let row = app.purchase(user, order_of(number)).await.expect(200).number().clone();
        if user == "owner" {
            lives.push(row);
        }
    }
    for (filter, expected) in [
        ("include_released=true", lives.iter().collect::<Vec<_>>()),
        ("status=released", lives[..7].iter().collect()),
        ("search=front&include_released=true", lives[..7].iter().collect()),
        ("", lives[7..].iter().collect()),
    ] {
        let whole = app.list("member", filter).await.expect(200);
        assert_eq!(ids(&whole), set(expected.iter().copied()), "{filter}");
        assert_eq!(whole.body["pagination"]["total"], expected.len(), "{filter}");
        assert_eq!(whole.body["summary"]["released"], 7, "{filter}");
        let order: Vec<_> = whole.body["phone_numbers"].as_array().unwrap().iter().map(|row| row["created_at"].to_string()).collect();
        assert!(order.is_sorted_by(|one, other| one >= other), "the youngest come first: {order:?}");
        let mut walked = Vec::new();
        let mut after = String::new();
        for pages in 0.. {
            assert!(pages < MOST_PAGES, "{filter}: the pages do not end");
            let page = app.list("member", &format!("{filter}&limit=2{after}")).await.expect(200);
            walked.extend(page.body["phone_numbers"].as_array().unwrap().clone());
            match page.body["pagination"]["next_cursor"].as_str() {
                Some(cursor) => after = format!("&cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(json!(walked), whole.body["phone_numbers"], "{filter}");
    }
}

#[tokio::test]
async fn a_cursor_stays_valid_while_a_row_moves_to_the_archive_and_back() {
    let app = TestApp::new().await;
    let numbers = app.offers("312", 5).await;
    for number in &numbers {
        given_back_again(&app, "owner", number).await;
    }
    let all = app.list("member", "status=released").await.expect(200).body["phone_numbers"].clone();
    let first = app.list("member", "status=released&limit=2").await.expect(200);
    let cursor = first.body["pagination"]["next_cursor"].as_str().unwrap().to_owned();
    for number in &numbers {
        app.purchase("other_owner", order_of(number)).await.expect(200);
        let rest = app.list("member", &format!("status=released&cursor={cursor}&limit=10")).await.expect(200);
        assert_eq!(rest.body["phone_numbers"].as_array().unwrap()[..], all.as_array().unwrap()[2..]);
    }
}
