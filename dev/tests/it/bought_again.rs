//! Released numbers that are bought again: a new row takes the number, and the old life is lost to nobody.

use std::collections::BTreeSet;

use dev::demo;
use dev::wire::{Fault, Moment};
use futures_util::future::join_all;
use lambda_http::http::Method;
use phone_numbers_purchase::Purchase;
use serde_json::{Value, json};

use crate::books::{balance, decide, heal, order_of, order_of_all, ordered_by_somebody_else, orders_sent, release_of, unsold};
use crate::world::{Reply, World, agent, eventually, send};

const ORDERS: &str = "/v2/number_orders";
const SEARCH: &str = "/v2/available_phone_numbers";

/// A number that an agency had, with a name and an agent, and gave back: the row as it stands in the table.
async fn given_back(world: &World, user: &str) -> Value {
    let number = world.offer().await;
    given_back_again(world, user, &number).await
}

/// The same for a number that may have had lives before.
async fn given_back_again(world: &World, user: &str, number: &str) -> Value {
    let agency = if user == "other_owner" { &demo::OTHER } else { &demo::DEMO };
    let item = json!({"phone_number": number, "friendly_name": "Front desk", "agent_mapping_id": agent(agency, 0)});
    let row = world.purchase(user, json!({"phone_numbers": [item]})).await.expect(200).number().clone();
    world.release(user, release_of(&row)).await.expect(200);
    stored(world, number).await
}

/// The one row of a number, whole.
async fn stored(world: &World, number: &str) -> Value {
    let rows: Vec<_> = world.rows().await.into_iter().filter(|row| row["phone_number"] == number).collect();
    assert_eq!(rows.len(), 1, "{rows:#?}");
    rows[0].clone()
}

fn number_of(row: &Value) -> &str {
    row["phone_number"].as_str().unwrap()
}

/// Insists that a row is in the archive as it was, and that another has its place.
async fn archived(world: &World, old: &Value, new: &Value) {
    let archive = world.archive().await;
    let kept: Vec<_> = archive.iter().filter(|kept| kept["id"] == old["id"]).collect();
    assert_eq!(kept.len(), 1, "{archive:#?}");
    assert_eq!(kept[0]["record"], *old);
    assert_eq!((&kept[0]["agency_id"], &kept[0]["phone_number"]), (&old["agency_id"], &old["phone_number"]));
    assert_eq!(kept[0]["replaced_by"], new["id"]);
    assert_ne!(new["id"], old["id"]);
}

fn ids(reply: &Reply) -> BTreeSet<String> {
    reply.body["phone_numbers"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

fn set<'a>(rows: impl IntoIterator<Item = &'a Value>) -> BTreeSet<String> {
    rows.into_iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_released_number_can_be_bought_again_by_whom_it_was_and_by_others() {
    let world = World::new().await;
    for (before, now) in [("owner", "owner"), ("owner", "other_owner"), ("other_owner", "owner")] {
        let number = unsold(&world).await;
        let old = given_back_again(&world, before, &number).await;
        let sent = orders_sent(&world);
        let reply = world.purchase(now, order_of(&number)).await.expect(200);
        assert_eq!(reply.header("idempotent-replayed"), "", "it is a new purchase");
        assert_eq!(orders_sent(&world) - sent, 1);
        let new = stored(&world, &number).await;
        assert_eq!((&new["id"], &new["status"], &new["is_active"]), (&reply.number()["id"], &json!("active"), &json!(true)));
        // Nothing of the old life is in the new one.
        assert!(new["friendly_name"].is_null() && new["agent_mapping_id"].is_null() && new["released_at"].is_null());
        assert_ne!(new["phone_number_id"], old["phone_number_id"]);
        assert!(new["created_at"].as_str() > old["released_at"].as_str());
        archived(&world, &old, &new).await;
        balance(&world).await;
    }
}

#[tokio::test]
async fn what_the_archive_keeps_is_whole_whatever_columns_the_platform_adds() {
    let world = World::new().await;
    let columns = "\
alter table agency_phone_numbers
  add column sort_order integer default 7 not null,
  add column tags text[],
  add column \"Odd name\" jsonb,
  add column price_limit numeric(12, 6),
  add column seen_at timestamptz,
  add column photo bytea,
  add column gone text,
  add column digits text generated always as (substr(phone_number::text, 2)) stored,
  add column serial_number bigint generated always as identity";
    world.sql.batch_execute(columns).await.unwrap();
    world.sql.batch_execute("alter table agency_phone_numbers drop column gone").await.unwrap();
    let old = given_back(&world, "owner").await;
    let values = "\
update agency_phone_numbers
set sort_order = 42,
    tags = array['a b', '\"quoted\"', null],
    \"Odd name\" = '{\"b\": [1, null], \"a\": 1.50}',
    price_limit = 1.500000,
    seen_at = '2026-01-02 03:04:05.678901+00',
    photo = '\\xdeadbeef',
    monthly_cost = 0.0035";
    world.sql.batch_execute(values).await.unwrap();
    let number = number_of(&old);
    let before = stored(&world, number).await;
    assert_eq!((&before["sort_order"], &before["photo"]), (&json!(42), &json!("\\xdeadbeef")));

    world.telnyx_settings(json!({"insufficient_funds": true})).await;
    world.purchase("other_owner", order_of(number)).await.expect_problem(402, "insufficient_funds");
    assert_eq!(stored(&world, number).await, before, "put back as it was");
    world.telnyx_settings(json!({"insufficient_funds": false})).await;
    world.purchase("other_owner", order_of(number)).await.expect(200);
    let new = stored(&world, number).await;
    assert_eq!((&new["sort_order"], &new["tags"]), (&json!(7), &json!(null)), "a new row has its own");
    archived(&world, &before, &new).await;
    assert_eq!(world.list("owner", "status=released").await.expect(200).number()["monthly_cost"], "0.0035");
}

#[tokio::test]
async fn a_column_that_the_platform_adds_or_drops_meanwhile_is_no_obstacle() {
    let mut world = World::new().await;
    world.telnyx_settings(json!({"order_outcome": "never"})).await;
    world.set("REQUEST_BUDGET_MS", "2500");
    world.sql.batch_execute("alter table agency_phone_numbers add column before text default 'x'").await.unwrap();
    let sql = "insert into agency_phone_numbers (agency_id, phone_number, status, is_active) values ($1, $2, 'released', false)";
    let number = world.offer().await;
    world.sql.execute(sql, &[&demo::OTHER.id, &number]).await.unwrap();
    let old = stored(&world, &number).await;
    let (function, token) = (world.function::<Purchase>(), world.token("owner"));
    let ask = || send(&function, &token, Method::POST, "", Some(order_of(&number)));
    ask().await.expect(202);
    let changes = "alter table agency_phone_numbers drop column before; alter table agency_phone_numbers add column later integer";
    world.sql.batch_execute(changes).await.unwrap();
    decide(&world, "failure").await;
    // Its statements are prepared for a table of other columns.
    ask().await.expect_problem(409, "number_unavailable");
    let mut back = stored(&world, &number).await;
    assert_eq!(back.as_object_mut().unwrap().remove("later"), Some(json!(null)));
    let mut expected = old;
    expected.as_object_mut().unwrap().remove("before");
    assert_eq!(back, expected);
}

#[tokio::test]
async fn an_attempt_that_fails_puts_the_released_row_back_as_it_was() {
    let world = World::new().await;
    let old = given_back(&world, "owner").await;
    let number = number_of(&old).to_owned();
    let fault = |method: &str, path: &str, status: u16, code: &str| json!({"method": method, "path_prefix": path, "kind": "status", "status": status, "code": code, "times": 2});
    let limited = |limit: &str| {
        let mut body = order_of(&number);
        body["max_monthly_cost"] = json!(limit);
        body
    };
    let cases = [
        ("the search fails", Some(fault("GET", SEARCH, 500, "10007")), json!({}), order_of(&number), "upstream_error"),
        ("the search is limited", Some(fault("GET", SEARCH, 429, "10011")), json!({}), order_of(&number), "rate_limited"),
        ("it is too dear", None, json!({}), limited("0.50"), "price_exceeded"),
        ("its price is unknown", None, json!({"cost_information": {}}), limited("9.00"), "price_exceeded"),
        ("the order is refused", Some(fault("POST", ORDERS, 403, "20100")), json!({}), order_of(&number), "insufficient_funds"),
        ("it is sold", Some(fault("POST", ORDERS, 409, "85001")), json!({}), order_of(&number), "number_unavailable"),
        ("the order is limited", Some(fault("POST", ORDERS, 429, "10011")), json!({}), order_of(&number), "rate_limited"),
        ("the order fails", None, json!({"order_outcome": "failure"}), order_of(&number), "number_unavailable"),
        (
            "the order fails later",
            None,
            json!({"order_outcome": "failure", "order_delay_ms": 150}),
            order_of(&number),
            "number_unavailable",
        ),
    ];
    for (what, fault, settings, body, code) in cases {
        for user in ["owner", "other_owner"] {
            if let Some(fault) = &fault {
                world.fault(fault.clone()).await;
            }
            world.telnyx_settings(settings.clone()).await;
            let failed = world.purchase(user, body.clone()).await;
            assert_eq!(failed.code(), code, "{what}: {failed:#?}");
            assert_eq!(stored(&world, &number).await, old, "{what}");
            assert!(world.archive().await.is_empty(), "{what}");
            heal(&world).await;
            world.telnyx_settings(json!({"order_outcome": "success", "order_delay_ms": 0, "cost_information": null})).await;
            balance(&world).await;
        }
    }
    world.purchase("other_owner", order_of(&number)).await.expect(200);
    archived(&world, &old, &stored(&world, &number).await).await;
}

#[tokio::test]
async fn a_number_that_somebody_else_has_bought_meanwhile_stays_released() {
    let world = World::new().await;
    let old = given_back(&world, "owner").await;
    ordered_by_somebody_else(&world, number_of(&old)).await;
    for user in ["owner", "other_owner"] {
        world.purchase(user, order_of(number_of(&old))).await.expect_problem(409, "number_unavailable");
        assert_eq!(stored(&world, number_of(&old)).await, old);
    }
    assert!(world.archive().await.is_empty());
}

#[tokio::test]
async fn whoever_takes_up_a_purchase_that_then_fails_puts_the_row_back() {
    let mut world = World::new().await;
    world.set("PURCHASE_LEASE_MS", "150");
    let old = given_back(&world, "other_owner").await;
    let number = number_of(&old).to_owned();
    world.telnyx_settings(json!({"order_outcome": "never"})).await;
    let sent = orders_sent(&world);
    world.fault(json!({"method": "GET", "path_prefix": "/v2/number_orders", "kind": "delay", "delay_ms": 30_000})).await;
    tokio::select! {
        biased;
        () = eventually(async || (orders_sent(&world) > sent && world.asked("GET", ORDERS) > 0).then_some(())) => {}
        reply = world.purchase("owner", order_of(&number)) => panic!("{reply:#?}"),
    }
    let pending = stored(&world, &number).await;
    assert_eq!(pending["status"], "pending");
    archived(&world, &old, &pending).await;
    heal(&world).await;
    decide(&world, "failure").await;
    world.purchase("admin", order_of(&number)).await.expect_problem(409, "number_unavailable");
    assert_eq!(stored(&world, &number).await, old);
    assert!(world.archive().await.is_empty());
    balance(&world).await;
}

#[tokio::test]
async fn the_row_of_an_agency_that_is_gone_is_not_put_back() {
    let mut world = World::new().await;
    let old = given_back(&world, "other_owner").await;
    let number = number_of(&old).to_owned();
    world.telnyx_settings(json!({"order_outcome": "never"})).await;
    world.set("REQUEST_BUDGET_MS", "2500");
    world.purchase("owner", order_of(&number)).await.expect(202);
    world.sql.execute("delete from agencies where id = $1", &[&demo::OTHER.id]).await.unwrap();
    decide(&world, "failure").await;
    world.purchase("owner", order_of(&number)).await.expect_problem(409, "number_unavailable");
    assert!(world.rows().await.is_empty());
    assert_eq!(world.archive().await[0]["record"], old, "what was is not forgotten");
    // The number is as free as any other.
    world.telnyx_settings(json!({"order_outcome": "success"})).await;
    world.purchase("owner", order_of(&number)).await.expect(200);
    balance(&world).await;
}

#[tokio::test]
async fn a_buyer_that_is_gone_leaves_the_row_where_it_was() {
    let mut world = World::new().await;
    world.set("PURCHASE_LEASE_MS", "150");
    let old = given_back(&world, "owner").await;
    let number = number_of(&old).to_owned();
    world.fault(json!({"method": "GET", "path_prefix": SEARCH, "kind": "delay", "delay_ms": 600})).await;
    let searches = world.asked("GET", SEARCH);
    let gone = async {
        eventually(async || (world.asked("GET", SEARCH) > searches).then_some(())).await;
        world.sql.execute("delete from agencies where id = $1", &[&demo::OTHER.id]).await.unwrap();
    };
    let (failed, ()) = tokio::join!(world.purchase("other_owner", order_of(&number)), gone);
    failed.expect_problem(404, "not_found");
    assert_eq!((stored(&world, &number).await, world.archive().await), (old, Vec::new()));
    assert_eq!(orders_sent(&world), 1, "nothing was ordered for nobody");
    balance(&world).await;
}

#[tokio::test]
async fn an_agent_that_goes_in_the_middle_of_the_exchange_stops_it() {
    let mut world = World::new().await;
    let old = given_back(&world, "other_owner").await;
    let ledger = world.ledger().await;
    let url = world.database.url().to_owned();
    let wire = world.wired().await;
    let agent = agent(&demo::DEMO, 1);
    let goes = async move {
        dev::postgres::connect(&url).await.unwrap().execute("delete from agent_mappings where id = $1", &[&agent]).await.unwrap();
    };
    wire.strike("purchases.begin", Moment::Before, Fault::call(goes));
    let body = json!({"phone_numbers": [{"phone_number": old["phone_number"], "agent_mapping_id": agent}]});
    world.purchase("owner", body).await.expect_problem(404, "not_found");
    assert_eq!((stored(&world, number_of(&old)).await, world.archive().await), (old, Vec::new()));
    assert_eq!((world.ledger().await, orders_sent(&world)), (ledger, 1));
}

#[tokio::test]
async fn a_purchase_that_is_given_up_is_a_life_of_its_own() {
    let mut world = World::new().await;
    let old = given_back(&world, "other_owner").await;
    let number = number_of(&old).to_owned();
    world.telnyx_settings(json!({"order_outcome": "never"})).await;
    world.set("REQUEST_BUDGET_MS", "2500");
    let pending = world.purchase("owner", order_of(&number)).await.expect(202).number().clone();
    world.release("owner", release_of(&pending)).await.expect(200);
    let given_up = stored(&world, &number).await;
    assert_eq!((&given_up["id"], &given_up["status"]), (&pending["id"], &json!("released")));
    archived(&world, &old, &given_up).await;
    world.telnyx_settings(json!({"order_outcome": "success"})).await;
    world.purchase("other_owner", order_of(&number)).await.expect(200);
    let new = stored(&world, &number).await;
    archived(&world, &given_up, &new).await;
    archived(&world, &old, &given_up).await;
    balance(&world).await;
}

#[tokio::test]
async fn a_number_has_as_many_lives_as_are_bought() {
    let world = World::new().await;
    let number = world.offer().await;
    let first = given_back_again(&world, "owner", &number).await;
    let second = given_back_again(&world, "other_owner", &number).await;
    let third = given_back_again(&world, "owner", &number).await;
    archived(&world, &first, &second).await;
    archived(&world, &second, &third).await;
    // An attempt that fails puts back the last of them, and no other.
    world.telnyx_settings(json!({"insufficient_funds": true})).await;
    world.purchase("other_owner", order_of(&number)).await.expect(402);
    assert_eq!(stored(&world, &number).await, third);
    assert_eq!(world.archive().await.len(), 2);
    world.telnyx_settings(json!({"insufficient_funds": false})).await;
    world.purchase("owner", order_of(&number)).await.expect(200);
    let fourth = stored(&world, &number).await;
    archived(&world, &third, &fourth).await;

    let ours = world.list("owner", "include_released=true").await.expect(200);
    assert_eq!(ids(&ours), set([&first, &third, &fourth]));
    let theirs = world.list("other_owner", "include_released=true").await.expect(200);
    assert_eq!(ids(&theirs), set([&second]));
    balance(&world).await;
}

#[tokio::test]
async fn the_old_agency_goes_on_seeing_its_released_number() {
    let world = World::new().await;
    let number = world.offer().await;
    let item = json!({"phone_number": number, "friendly_name": "Front desk", "agent_mapping_id": agent(&demo::DEMO, 0)});
    let row = world.purchase("owner", json!({"phone_numbers": [item]})).await.expect(200).number().clone();
    world.release("owner", release_of(&row)).await.expect(200);
    let id = row["id"].as_str().unwrap();
    let everything = async || {
        let mut seen = Vec::new();
        for query in
            ["include_released=true", "status=released", "", "search=front&include_released=true", "unassigned=true&status=released"]
        {
            let reply = world.list("member", query).await.expect(200);
            seen.push(json!([reply.body["phone_numbers"], reply.body["summary"], reply.body["pagination"]]));
        }
        for query in [format!("id={id}"), format!("id={id}&include_history=true"), "status=released".to_owned()] {
            seen.push(world.assign("member", Method::GET, &query, None).await.expect(200).body);
        }
        seen.push(world.release("owner", release_of(&row)).await.expect(200).body);
        seen
    };
    let before = everything().await;
    assert_eq!(before[0][0][0]["id"], row["id"]);
    assert_eq!(before[0][1]["released"], 1);
    let note = json!([{"id": row["id"], "phone_number": number, "note": "Already released"}]);
    assert_eq!(before.last().unwrap()["released"], note);

    // Whatever becomes of the number with the other agency, nothing of it shows here.
    let theirs = world.purchase("other_owner", order_of(&number)).await.expect(200).number().clone();
    assert_eq!(everything().await, before);
    let to_agent = json!({"id": theirs["id"], "agent_mapping_id": agent(&demo::OTHER, 0)});
    world.assign("other_owner", Method::POST, "", Some(to_agent)).await.expect(200);
    let settings = json!({"id": theirs["id"], "friendly_name": "Front, too", "status": "inactive"});
    world.assign("other_owner", Method::PATCH, "", Some(settings)).await.expect(200);
    assert_eq!(everything().await, before);
    world.release("other_owner", release_of(&theirs)).await.expect(200);
    assert_eq!(everything().await, before);
    given_back_again(&world, "other_owner", &number).await;
    assert_eq!(everything().await, before);
    assert_eq!(world.billed().await, Vec::<String>::new());
}

#[tokio::test]
async fn the_new_agency_sees_nothing_of_the_old_life() {
    let world = World::new().await;
    let old = given_back(&world, "owner").await;
    let new = world.purchase("other_owner", order_of(number_of(&old))).await.expect(200).number().clone();
    let listed = world.list("other_owner", "include_released=true").await.expect(200);
    assert_eq!(ids(&listed), set([&new]));
    assert_eq!((&listed.body["summary"]["total"], &listed.body["summary"]["released"]), (&json!(1), &json!(0)));
    assert_eq!(world.list("other_owner", "search=front&include_released=true").await.expect(200).body["phone_numbers"], json!([]));

    let nobodys = "id=00000000-0000-4000-8000-000000000000&include_history=true";
    let stranger = world.assign("other_owner", Method::GET, nobodys, None).await.expect_problem(404, "not_found");
    for (user, theirs) in [("other_owner", &old), ("owner", &new)] {
        let query = format!("id={}&include_history=true", theirs["id"].as_str().unwrap());
        let refused = world.assign(user, Method::GET, &query, None).await.expect_problem(404, "not_found");
        assert_eq!((&refused.body["detail"], &refused.body["errors"]), (&stranger.body["detail"], &stranger.body["errors"]));
        let change = json!({"id": theirs["id"], "friendly_name": "x"});
        world.assign(user, Method::PATCH, "", Some(change)).await.expect_problem(404, "not_found");
        if user == "other_owner" {
            let failed = world.release(user, release_of(theirs)).await.expect(207);
            assert_eq!(
                (&failed.body["failed"][0]["problem"]["code"], &failed.body["failed"][0]["phone_number"]),
                (&json!("not_found"), &json!(null))
            );
        }
    }
    let own = format!("id={}&include_history=true", new["id"].as_str().unwrap());
    let history = world.assign("other_owner", Method::GET, &own, None).await.expect(200).body["history"].clone();
    assert_eq!(history.as_array().unwrap().iter().map(|entry| &entry["event"]).collect::<Vec<_>>(), ["bought"]);
}

#[tokio::test]
async fn an_agency_that_buys_its_own_number_back_has_two_lives_of_it() {
    let world = World::new().await;
    let old = given_back(&world, "owner").await;
    let new = world.purchase("owner", order_of(number_of(&old))).await.expect(200).number().clone();
    assert_eq!(ids(&world.list("owner", "").await.expect(200)), set([&new]));
    assert_eq!(ids(&world.list("owner", "status=released").await.expect(200)), set([&old]));
    let both = world.list("owner", "include_released=true").await.expect(200);
    assert_eq!(ids(&both), set([&old, &new]));
    let summary = json!({
        "total": 1, "active": 1, "pending": 0, "inactive": 0, "released": 1, "assigned": 0, "unassigned": 1,
        "monthly_cost": [{"currency": "USD", "amount": "1.00"}],
    });
    assert_eq!(both.body["summary"], summary);
    // A release of both is one of the new one.
    let body = json!({"phone_number_ids": [old["id"], new["id"]], "confirm": true});
    let released = world.release("owner", body).await.expect(200);
    let notes: Vec<_> = released.body["released"].as_array().unwrap().iter().map(|item| item.get("note").is_some()).collect();
    assert_eq!(notes, [true, false]);
    balance(&world).await;
}

#[tokio::test]
async fn a_life_that_is_over_takes_no_change() {
    let world = World::new().await;
    let old = given_back(&world, "owner").await;
    let id = &old["id"];
    let writes = [
        (Method::POST, json!({"id": id, "agent_mapping_id": agent(&demo::DEMO, 1)})),
        // Nobody's agent: that the number is released comes first.
        (Method::POST, json!({"id": id, "agent_mapping_id": agent(&demo::OTHER, 1)})),
        (Method::PATCH, json!({"id": id, "friendly_name": "Still here"})),
        (Method::PATCH, json!({"id": id, "status": "active"})),
        (Method::DELETE, json!({"id": id})),
    ];
    let mut answers = Vec::new();
    for buyer in [None, Some("other_owner"), Some("owner")] {
        if let Some(buyer) = buyer {
            world.purchase(buyer, order_of(number_of(&old))).await.expect(200);
        }
        let before = world.everything().await;
        for (method, body) in &writes {
            let refused = world.assign("owner", method.clone(), "", Some(body.clone())).await;
            answers.push(refused.expect_problem(409, "phone_number_released").body["detail"].clone());
        }
        assert_eq!(world.everything().await, before);
        if let Some(buyer) = buyer {
            let now = stored(&world, number_of(&old)).await;
            world.release(buyer, release_of(&now)).await.expect(200);
        }
    }
    assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:#?}");
}

#[tokio::test]
async fn pages_go_through_both_lives_alike() {
    let world = World::new().await;
    let numbers = world.offers("312", 7).await;
    let mut lives = Vec::new();
    for number in &numbers {
        lives.push(given_back_again(&world, "owner", number).await);
    }
    // Every other number lives on, with the agency or elsewhere.
    for (index, number) in numbers.iter().enumerate().filter(|(index, _)| index % 2 == 0) {
        let user = if index % 4 == 0 { "owner" } else { "other_owner" };
        let row = world.purchase(user, order_of(number)).await.expect(200).number().clone();
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
        let whole = world.list("member", filter).await.expect(200);
        assert_eq!(ids(&whole), set(expected.iter().copied()), "{filter}");
        assert_eq!(whole.body["pagination"]["total"], expected.len(), "{filter}");
        assert_eq!(whole.body["summary"]["released"], 7, "{filter}");
        let order: Vec<_> = whole.body["phone_numbers"].as_array().unwrap().iter().map(|row| row["created_at"].to_string()).collect();
        assert!(order.is_sorted_by(|one, other| one >= other), "the youngest come first: {order:?}");
        let mut walked = Vec::new();
        let mut after = String::new();
        loop {
            let page = world.list("member", &format!("{filter}&limit=2{after}")).await.expect(200);
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
async fn a_cursor_stays_true_while_a_life_moves_to_the_archive_and_back() {
    let world = World::new().await;
    let numbers = world.offers("312", 5).await;
    for number in &numbers {
        given_back_again(&world, "owner", number).await;
    }
    let all = world.list("member", "status=released").await.expect(200).body["phone_numbers"].clone();
    let first = world.list("member", "status=released&limit=2").await.expect(200);
    let cursor = first.body["pagination"]["next_cursor"].as_str().unwrap().to_owned();
    for number in &numbers {
        world.purchase("other_owner", order_of(number)).await.expect(200);
        let rest = world.list("member", &format!("status=released&cursor={cursor}&limit=10")).await.expect(200);
        assert_eq!(rest.body["phone_numbers"].as_array().unwrap()[..], all.as_array().unwrap()[2..]);
    }
}

#[tokio::test]
async fn of_eight_that_want_a_released_number_one_agency_gets_it() {
    let world = World::new().await;
    for round in 0..3 {
        let number = unsold(&world).await;
        let old = given_back_again(&world, if round % 2 == 0 { "owner" } else { "other_owner" }, &number).await;
        let sent = orders_sent(&world);
        let users = (0..8).map(|index| if index % 2 == 0 { "owner" } else { "other_owner" });
        let replies = join_all(users.map(|user| world.purchase(user, order_of(&number)))).await;
        let bought: Vec<_> = replies.iter().filter(|reply| reply.status == 200).collect();
        assert_eq!(bought.len(), 4, "{replies:#?}");
        assert!(replies.iter().all(|reply| reply.status == 200 || reply.code() == "number_unavailable"), "{replies:#?}");
        let new = stored(&world, &number).await;
        assert!(bought.iter().all(|reply| reply.number()["id"] == new["id"]));
        archived(&world, &old, &new).await;
        assert_eq!(orders_sent(&world) - sent, 1);
        balance(&world).await;
    }
}

#[tokio::test]
async fn a_race_whose_winner_is_refused_loses_no_life() {
    let world = World::new().await;
    for _ in 0..3 {
        let number = unsold(&world).await;
        let old = given_back_again(&world, "owner", &number).await;
        let refusals = json!({"method": "POST", "path_prefix": ORDERS, "kind": "status", "status": 403, "code": "20100", "times": 3});
        world.fault(refusals).await;
        let users = (0..8).map(|index| if index % 2 == 0 { "owner" } else { "other_owner" });
        let replies = join_all(users.map(|user| world.purchase(user, order_of(&number)))).await;
        heal(&world).await;
        assert!(replies.iter().all(|reply| [200, 402, 409].contains(&reply.status)), "{replies:#?}");
        let now = stored(&world, &number).await;
        if replies.iter().any(|reply| reply.status == 200) {
            archived(&world, &old, &now).await;
        } else {
            assert_eq!(now, old);
        }
        let archive = world.archive().await;
        assert!(archive.iter().filter(|kept| kept["phone_number"] == number).count() <= 1, "{archive:#?}");
        balance(&world).await;
    }
}

#[tokio::test]
async fn several_released_numbers_are_bought_again_in_one_request_from_both_sides() {
    let world = World::new().await;
    let numbers = world.offers("312", 4).await;
    let mut lives = Vec::new();
    for number in &numbers {
        lives.push(given_back_again(&world, "owner", number).await);
    }
    let backwards: Vec<_> = numbers.iter().rev().cloned().collect();
    let (ours, theirs) =
        tokio::join!(world.purchase("owner", order_of_all(&numbers)), world.purchase("other_owner", order_of_all(&backwards)));
    for reply in [&ours, &theirs] {
        assert!([200, 207, 409].contains(&reply.status), "{reply:#?}");
    }
    for old in &lives {
        archived(&world, old, &stored(&world, number_of(old)).await).await;
    }
    assert_eq!((world.billed().await.len(), world.rows().await.len()), (4, 4));
    balance(&world).await;
}

/// What a purchase says to Postgres until its intent is committed.
const TRANSACTION: [&str; 6] = ["start", "purchases.lock", "purchases.quota", "purchases.vacate", "purchases.begin", "commit"];

/// Insists that an exchange of rows has happened whole, or not at all.
async fn all_or_nothing(world: &World, old: &Value) {
    let now = stored(world, number_of(old)).await;
    let ledger = world.ledger().await.into_iter().filter(|purchase| purchase["agency_phone_number_id"] == now["id"]).count();
    assert_eq!(ledger, 1, "{now}");
    if now["id"] == old["id"] {
        assert_eq!(now, *old);
        assert!(!world.archive().await.iter().any(|kept| kept["phone_number"] == old["phone_number"]));
    } else {
        assert_eq!(now["status"], "pending");
        archived(world, old, &now).await;
    }
}

#[tokio::test]
async fn a_connection_lost_anywhere_in_the_exchange_is_replaced() {
    let mut world = World::new().await;
    let wire = world.wired().await;
    for statement in TRANSACTION {
        for moment in [Moment::Before, Moment::After] {
            let number = unsold(&world).await;
            let old = given_back_again(&world, "other_owner", &number).await;
            let (sent, begun) = (orders_sent(&world), world.ledger().await.len());
            wire.restart();
            wire.strike(statement, moment, Fault::Cut);
            let reply = world.purchase("owner", order_of(&number)).await.expect(200);
            assert_eq!((wire.struck(), reply.header("idempotent-replayed")), (1, ""), "{statement} {moment:?}");
            archived(&world, &old, &stored(&world, &number).await).await;
            assert_eq!((orders_sent(&world) - sent, world.ledger().await.len() - begun), (1, 1), "{statement} {moment:?}");
        }
    }
    balance(&world).await;
}

#[tokio::test]
async fn a_connection_lost_twice_in_the_exchange_leaves_all_or_nothing() {
    let mut world = World::new().await;
    world.set("PURCHASE_LEASE_MS", "150");
    let wire = world.wired().await;
    for statement in TRANSACTION {
        let number = unsold(&world).await;
        let old = given_back_again(&world, "other_owner", &number).await;
        wire.restart();
        for _ in 0..2 {
            wire.strike(statement, Moment::After, Fault::Cut);
        }
        let failed = world.purchase("owner", order_of(&number)).await;
        // A commit that came through is found out by the second attempt, which has none to lose.
        let committed = statement == "commit";
        assert_eq!((failed.status, wire.struck()), if committed { (200, 1) } else { (503, 2) }, "{statement}: {failed:#?}");
        wire.heal();
        if !committed {
            all_or_nothing(&world, &old).await;
            world.purchase("owner", order_of(&number)).await.expect(200);
        }
        archived(&world, &old, &stored(&world, &number).await).await;
    }
    balance(&world).await;
}

#[tokio::test]
async fn a_process_that_goes_silent_anywhere_in_the_exchange_holds_nobody_up_for_long() {
    let silent = async |statement: &str| {
        let mut world = World::new().await;
        world.set("PURCHASE_LEASE_MS", "150");
        let old = given_back(&world, "other_owner").await;
        let (healthy, token) = (world.function::<Purchase>(), world.token("owner"));
        // The server gives up on a transaction that does not go on after five eighths of it.
        world.set("DATABASE_TIMEOUT_MS", "800");
        let wire = world.wired().await;
        wire.strike(statement, Moment::After, Fault::Silence);
        tokio::select! {
            biased;
            () = eventually(async || (wire.struck() == 1).then_some(())) => {}
            reply = world.purchase("owner", order_of(number_of(&old))) => panic!("{statement}: {reply:#?}"),
        }
        // Its connection is still there, and so are its locks, until the server has enough.
        let bought = send(&healthy, &token, Method::POST, "", Some(order_of(number_of(&old)))).await.expect(200);
        let new = stored(&world, number_of(&old)).await;
        assert_eq!(bought.number()["id"], new["id"], "{statement}");
        archived(&world, &old, &new).await;
        assert_eq!(orders_sent(&world), 2, "{statement}");
        balance(&world).await;
    };
    join_all(TRANSACTION[1..].iter().map(|statement| silent(statement))).await;
}

#[tokio::test]
async fn a_process_that_dies_while_it_puts_a_row_back_leaves_all_or_nothing() {
    for moment in [Moment::Before, Moment::After] {
        let mut world = World::new().await;
        world.set("PURCHASE_LEASE_MS", "150");
        let old = given_back(&world, "other_owner").await;
        let number = number_of(&old).to_owned();
        world.telnyx_settings(json!({"insufficient_funds": true})).await;
        let wire = world.wired().await;
        wire.strike("purchases.fail", moment, Fault::Silence);
        tokio::select! {
            biased;
            () = eventually(async || (wire.struck() == 1).then_some(())) => {}
            reply = world.purchase("owner", order_of(&number)) => panic!("{reply:#?}"),
        }
        if moment == Moment::Before {
            all_or_nothing(&world, &old).await;
        }
        world.purchase("owner", order_of(&number)).await.expect_problem(402, "insufficient_funds");
        assert_eq!(stored(&world, &number).await, old, "{moment:?}");
        assert!(world.archive().await.is_empty());
        balance(&world).await;
    }
}
