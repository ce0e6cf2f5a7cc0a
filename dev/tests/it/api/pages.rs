//! Pages of the list: by offset, and by a cursor that stays valid while rows are added and removed.

use std::collections::BTreeSet;

use dev::demo;
use serde_json::{Value, json};

use crate::support::app::{Reply, TestApp};

fn ids(reply: &Reply) -> Vec<String> {
    reply.body["phone_numbers"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

fn cursor(reply: &Reply) -> Option<String> {
    reply.body["pagination"]["next_cursor"].as_str().map(str::to_owned)
}

/// Rows, several with the same creation time.
async fn rows(app: &TestApp, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..count {
        let row = app.insert(json!({"created_at": format!("2026-01-01T00:00:{:02}.000001Z", number / 4)})).await;
        ids.push(row["id"].as_str().unwrap().to_owned());
    }
    ids
}

/// No list of these tests has as many pages.
pub(super) const MOST_PAGES: usize = 1_000;

/// The rows of all pages, in order.
async fn walk(app: &TestApp, filter: &str, limit: usize) -> Vec<String> {
    let mut seen = Vec::new();
    let mut after = String::new();
    for _ in 0..MOST_PAGES {
        let page = app.list("member", &format!("{filter}&limit={limit}{after}")).await.expect(200);
        assert!(ids(&page).len() <= limit);
        seen.extend(ids(&page));
        match cursor(&page) {
            Some(cursor) => after = format!("&cursor={cursor}"),
            None => return seen,
        }
    }
    panic!("the pages do not end: {seen:?}");
}

#[tokio::test]
async fn the_youngest_row_comes_first() {
    let app = TestApp::new().await;
    let mut expected = Vec::new();
    for day in [3, 1, 2] {
        let row = app.insert(json!({"created_at": format!("2026-01-0{day}T00:00:00Z")})).await;
        expected.push((day, row["id"].as_str().unwrap().to_owned()));
    }
    expected.sort_by(|one, other| other.cmp(one));
    let listed = ids(&app.list("member", "").await.expect(200));
    assert_eq!(listed, expected.into_iter().map(|(_, id)| id).collect::<Vec<_>>());
}

#[tokio::test]
async fn limit_and_offset_cut_the_list_and_say_how_long_it_is() {
    let app = TestApp::new().await;
    rows(&app, 7).await;
    let all = ids(&app.list("member", "").await.expect(200));
    assert_eq!(all.len(), 7);
    for (limit, offset) in [(1, 0), (3, 0), (3, 3), (3, 6), (7, 0), (200, 0), (2, 7), (2, 100_000)] {
        let page = app.list("member", &format!("limit={limit}&offset={offset}")).await.expect(200);
        let expected: Vec<_> = all.iter().skip(offset).take(limit).cloned().collect();
        assert_eq!(ids(&page), expected, "{limit} {offset}");
        let pagination = &page.body["pagination"];
        assert_eq!((&pagination["limit"], &pagination["offset"], &pagination["total"]), (&json!(limit), &json!(offset), &json!(7)));
        assert_eq!(pagination["total_is_exact"], true);
        assert_eq!(pagination["next_cursor"].is_string(), offset + limit < 7, "{pagination:#}");
    }
}

#[tokio::test]
async fn fifty_rows_are_a_page_unless_said_otherwise() {
    let app = TestApp::new().await;
    rows(&app, 51).await;
    let page = app.list("member", "").await.expect(200);
    assert_eq!(ids(&page).len(), 50);
    let pagination = &page.body["pagination"];
    assert_eq!((&pagination["limit"], &pagination["offset"], &pagination["total"]), (&json!(50), &json!(0), &json!(51)));
    let rest = app.list("member", &format!("cursor={}", cursor(&page).unwrap())).await.expect(200);
    assert_eq!((ids(&rest).len(), cursor(&rest)), (1, None));
    assert_eq!(rest.body["pagination"]["total"], 51);
}

#[tokio::test]
async fn a_cursor_walks_every_row_once_even_those_of_one_instant() {
    let app = TestApp::new().await;
    rows(&app, 23).await;
    let all = ids(&app.list("member", "").await.expect(200));
    for limit in [1, 2, 3, 5, 22, 23, 24] {
        assert_eq!(walk(&app, "", limit).await, all, "{limit}");
    }
}

#[tokio::test]
async fn a_cursor_keeps_its_place_while_rows_come_and_go() {
    let app = TestApp::new().await;
    let first = rows(&app, 24).await;
    let mut gone = BTreeSet::new();
    let mut seen = Vec::new();
    let mut after = String::new();
    for pages in 0.. {
        assert!(pages < MOST_PAGES, "the pages do not end: {seen:?}");
        let page = app.list("member", &format!("limit=5{after}")).await.expect(200);
        seen.extend(ids(&page));
        let Some(cursor) = cursor(&page) else { break };
        after = format!("&cursor={cursor}");
        // The last row of the page, one seen before and one to come are deleted; younger ones are added.
        let to_come = first.iter().find(|id| !seen.contains(id) && !gone.contains(*id)).cloned();
        for id in [seen.last().cloned(), seen.first().cloned(), to_come].into_iter().flatten() {
            let sql = "delete from agency_phone_numbers where id = $1::text::uuid";
            app.sql.execute(sql, &[&id]).await.unwrap();
            gone.insert(id);
        }
        app.insert(json!({})).await;
        app.insert(json!({"created_at": "2026-06-01T00:00:00Z"})).await;
    }
    let distinct: BTreeSet<_> = seen.iter().cloned().collect();
    assert_eq!(distinct.len(), seen.len(), "a row came twice");
    let stayed: BTreeSet<_> = first.iter().filter(|id| !gone.contains(*id)).cloned().collect();
    assert!(stayed.len() >= 8 && stayed.is_subset(&distinct), "{stayed:?} {distinct:?}");
    assert!(distinct.is_subset(&first.into_iter().collect()), "a row that came later was shown");
}

#[tokio::test]
async fn a_cursor_walks_a_filtered_list() {
    let app = TestApp::new().await;
    rows(&app, 9).await;
    for name in ["Büro 1", "Büro 2", "Büro 3"] {
        app.insert(json!({"friendly_name": name, "status": "inactive"})).await;
    }
    for filter in ["status=inactive", "search=b%C3%BCro", "search=b%C3%BCro&status=inactive&unassigned=true&include_released=true"] {
        assert_eq!(walk(&app, filter, 2).await, ids(&app.list("member", filter).await.expect(200)), "{filter}");
        assert_eq!(walk(&app, filter, 2).await.len(), 3);
    }
}

#[tokio::test]
async fn a_cursor_continues_only_the_list_it_came_from() {
    let app = TestApp::new().await;
    rows(&app, 4).await;
    for _ in 0..4 {
        app.insert(json!({"agency_id": demo::OTHER.id})).await;
    }
    let cursor = cursor(&app.list("member", "limit=2&status=active").await.expect(200)).unwrap();
    let agent = demo::AGENTS[0].id;
    let other_filters = [
        String::new(),
        "status=inactive".to_owned(),
        "status=active&search=1".to_owned(),
        "status=active&assigned=true".to_owned(),
        "status=active&unassigned=true".to_owned(),
        "status=active&include_released=true".to_owned(),
        format!("status=active&agent_id={agent}"),
    ];
    for filter in other_filters {
        let reply = app.list("member", &format!("{filter}&limit=2&cursor={cursor}")).await.expect_problem(400, "invalid_request");
        assert_eq!(reply.fields(), ["cursor"], "{filter}");
    }
    // The page size and the other options are not filters, and other users may continue.
    for same in ["limit=1", "limit=200", "include_agents=true", "assigned=false"] {
        app.list("owner", &format!("status=active&{same}&cursor={cursor}")).await.expect(200);
    }
    let foreign = app.list("other_owner", &format!("status=active&limit=2&cursor={cursor}")).await.expect_problem(400, "invalid_request");
    assert_eq!(foreign.fields(), ["cursor"]);
    assert!(foreign.body.get("phone_numbers").is_none());
}

#[tokio::test]
async fn what_is_no_cursor_is_refused() {
    let app = TestApp::new().await;
    rows(&app, 3).await;
    let good = cursor(&app.list("member", "limit=2").await.expect(200)).unwrap();
    let reversed: String = good.chars().rev().collect();
    for wrong in
        ["", "x", "null", "%00", "bm9uc2Vuc2U", "W10", "e30", &good[1..], &good[..good.len() - 3], &reversed, &format!("{good}{good}")]
    {
        let reply = app.list("member", &format!("limit=2&cursor={wrong}")).await.expect_problem(400, "invalid_request");
        assert_eq!(reply.fields(), ["cursor"], "{wrong}");
    }
    let reply = app.list("member", &format!("limit=2&cursor={good}&offset=0")).await.expect_problem(400, "invalid_request");
    assert_eq!(reply.fields(), ["offset"]);
    let reply = app.list("member", &format!("limit=2&cursor={good}&cursor={good}")).await.expect_problem(400, "invalid_request");
    assert_eq!(reply.fields(), ["cursor"]);
}

#[tokio::test]
async fn a_cursor_with_any_time_is_a_page_or_is_refused() {
    use base64::Engine as _;
    let app = TestApp::new().await;
    rows(&app, 3).await;
    for (micros, status) in [
        (i64::MIN, 400),
        (-210_866_803_200_000_001, 400),
        (-210_866_803_200_000_000, 200),
        (8_210_266_876_799_999_999, 200),
        (8_210_266_876_800_000_000, 400),
        (i64::MAX, 400),
    ] {
        let written = json!([demo::DEMO.id, {}, micros, demo::DEMO.id]).to_string();
        let cursor = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(written);
        let reply = app.list("member", &format!("cursor={cursor}")).await.expect(status);
        assert_eq!(reply.fields(), if status == 400 { vec!["cursor"] } else { vec![] }, "{micros}");
    }
}

#[tokio::test]
async fn a_cursor_says_nothing_its_holder_does_not_know() {
    use base64::Engine as _;
    let app = TestApp::new().await;
    rows(&app, 3).await;
    app.insert(json!({"agency_id": demo::OTHER.id, "created_at": "2025-01-01T00:00:00Z"})).await;
    let page = app.list("member", "limit=2").await.expect(200);
    let text = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(cursor(&page).unwrap()).unwrap();
    let written: Value = serde_json::from_slice(&text).unwrap();
    let last = &page.body["phone_numbers"][1];
    assert_eq!((&written[0], &written[3]), (&last["agency_id"], &last["id"]));
}
