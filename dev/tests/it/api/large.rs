//! Agencies with many numbers: totals, far pages, and answers that stay below what Lambda can return.

use std::collections::BTreeSet;

use dev::demo;
use lambda_http::http::Method;
use serde_json::{Value, json};

use crate::support::app::{Reply, TestApp, agent};

/// The most that Lambda returns, in bytes: 6 MB.
const LARGEST_ANSWER: usize = 6 * 1_000 * 1_000;

/// Inserts rows of the demo's agency, the first the oldest, with a value of the column `friendly_name`.
async fn insert(app: &TestApp, rows: i64, name: &str) {
    let sql = "\
insert into agency_phone_numbers (agency_id, phone_number, status, created_at, friendly_name, agent_mapping_id)
select $1, '+1312' || 5000000 + s.i, 'active', timestamptz '2026-01-01' + s.i * interval '1 second', $3::text,
       case when s.i % 2 = 0 then $4::uuid end
from generate_series(1, $2::bigint) s (i)";
    app.sql.execute(sql, &[&demo::DEMO.id, &rows, &name, &demo::AGENTS[0].id]).await.unwrap();
}

/// How large the answer of a function is: JSON that contains the body as a string.
fn size(reply: &Reply) -> usize {
    serde_json::to_string(&reply.text).unwrap().len()
}

fn ids(reply: &Reply) -> Vec<String> {
    reply.body["phone_numbers"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

async fn shown(app: &TestApp, query: &str) -> Reply {
    app.assign("member", Method::GET, query, None).await.expect(200)
}

/// Follows the cursors of assign to the end: the rows of each page.
async fn pages(app: &TestApp, query: &str) -> Vec<Vec<String>> {
    let (mut pages, mut after) = (Vec::new(), String::new());
    loop {
        let page = shown(app, &format!("{query}{after}")).await;
        assert!(size(&page) < LARGEST_ANSWER);
        pages.push(ids(&page));
        assert!(pages.len() < super::pages::MOST_PAGES, "the pages do not end");
        match page.body["pagination"]["next_cursor"].as_str() {
            Some(cursor) => after = format!("&cursor={cursor}"),
            None => return pages,
        }
    }
}

#[tokio::test]
async fn a_filtered_total_is_exact_to_a_thousand() {
    let app = TestApp::new().await;
    insert(&app, 1_000, "Desk").await;
    let total = async |query: &str| {
        let pagination = app.list("member", query).await.expect(200).body["pagination"].clone();
        (pagination["total"].as_i64().unwrap(), pagination["total_is_exact"].as_bool().unwrap())
    };
    let agents = format!("agent_id={}", agent(&demo::DEMO, 0));
    for (query, expected) in [("", 1_000), ("status=active", 1_000), ("search=desk", 1_000), ("assigned=true", 500), (&agents, 500)] {
        assert_eq!(total(query).await, (expected, true), "{query}");
    }
    app.insert(json!({"status": "active", "friendly_name": "Desk"})).await;
    app.insert(json!({"status": "released", "friendly_name": "Desk"})).await;
    for query in ["status=active", "search=desk", "search=d", "status=active&limit=1&offset=900"] {
        assert_eq!(total(query).await, (1_000, false), "{query}");
    }
    assert_eq!(total("").await, (1_001, true));
    assert_eq!(total("include_released=true").await, (1_002, true));
    assert_eq!(total("status=released").await, (1, true));
}

#[tokio::test]
async fn an_offset_beyond_a_hundred_thousand_is_refused_in_favour_of_a_cursor() {
    let app = TestApp::new().await;
    app.list("member", "offset=100000").await.expect(200);
    for offset in ["100001", "1000000", "9223372036854775807"] {
        let reply = app.list("member", &format!("offset={offset}")).await.expect_problem(400, "invalid_request");
        assert_eq!(reply.fields(), ["offset"]);
        assert!(reply.body["errors"][0]["message"].as_str().unwrap().contains("cursor"), "{:#}", reply.body);
    }
}

#[tokio::test]
async fn a_search_finds_few_rows_among_many_and_many_rows_alike() {
    let app = TestApp::new().await;
    insert(&app, 4_000, "Front desk").await;
    let old = app.insert(json!({"phone_number": "+442071838750", "friendly_name": "Büro", "created_at": "2020-01-01T00:00:00Z"})).await;
    let theirs = json!({"agency_id": demo::OTHER.id, "phone_number": "+442071838751", "friendly_name": "Büro"});
    app.insert(theirs).await;
    for search in ["b%C3%BCro", "%C3%9Cro", "207183875", "%2B44%20(0)20%207183", "%2B44%2020", "%C3%BC"] {
        let reply = app.list("member", &format!("search={search}&include_released=true")).await.expect(200);
        assert_eq!(ids(&reply), [old["id"].as_str().unwrap()], "{search}");
        assert_eq!(reply.body["pagination"]["total"], 1, "{search}");
    }
    let many = app.list("member", "search=FRONT&limit=200").await.expect(200);
    assert_eq!((ids(&many).len(), &many.body["pagination"]["total_is_exact"]), (200, &json!(false)));
    // Behind the rows that are compared first.
    let page = app.list("member", "search=front&limit=3&offset=3990").await.expect(200);
    let all = app.list("member", "limit=3&offset=3990").await.expect(200);
    assert_eq!(ids(&page), ids(&all));
    let rest = app.list("member", &format!("search=front&cursor={}", page.body["pagination"]["next_cursor"].as_str().unwrap())).await;
    assert_eq!(ids(&rest.expect(200)).len(), 4_000 - 3_993);
    let none = app.list("member", "search=nowhere").await.expect(200);
    assert_eq!((ids(&none).len(), &none.body["pagination"]["total"]), (0, &json!(0)));
}

#[tokio::test]
async fn a_search_finds_archived_rows() {
    let app = TestApp::new().await;
    insert(&app, 2_000, "Front desk").await;
    let old = app.insert(json!({"friendly_name": "Büro", "status": "released", "created_at": "2020-01-01T00:00:00Z"})).await;
    let archive = "\
with vacated as (delete from agency_phone_numbers n where n.status = 'released' returning n.*)
insert into agency_phone_numbers_archive (id, agency_id, phone_number, replaced_by, record)
select v.id, v.agency_id, v.phone_number, gen_random_uuid(), to_jsonb(v)
from vacated v";
    app.sql.execute(archive, &[]).await.unwrap();
    for (query, found) in
        [("include_released=true", 1), ("status=released", 1), ("", 0), ("status=active", 0), ("status=released&assigned=true", 0)]
    {
        let reply = app.list("member", &format!("search=b%C3%BCro&{query}")).await.expect(200);
        let expected = [old["id"].as_str().unwrap()];
        assert_eq!(ids(&reply), expected[..found], "{query}");
    }
    let released = app.list("member", "status=released").await.expect(200);
    assert_eq!((ids(&released).len(), &released.body["summary"]["released"]), (1, &json!(1)));
    let last = app.list("member", "include_released=true&limit=1&offset=2000").await.expect(200);
    assert_eq!(ids(&last), [old["id"].as_str().unwrap()]);
}

#[tokio::test]
async fn assign_shows_every_number_of_an_agency_with_some_hundreds_at_once() {
    let app = TestApp::new().await;
    insert(&app, 1_203, "Desk").await;
    let all = shown(&app, "").await;
    assert_eq!((ids(&all).len(), &all.body["pagination"]), (1_203, &json!({"limit": null, "next_cursor": null})));
    assert_eq!(all.body["available_agents"].as_array().unwrap().len(), 2);
    let pages = pages(&app, "limit=200").await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [200, 200, 200, 200, 200, 200, 3]);
    assert_eq!(pages.concat(), ids(&all));
    let assigned = shown(&app, "assigned=true").await;
    assert_eq!(ids(&assigned).len(), 601);
}

#[tokio::test]
async fn a_cursor_of_assign_continues_only_the_list_it_came_from() {
    let app = TestApp::new().await;
    insert(&app, 3, "Desk").await;
    let cursor = shown(&app, "limit=1&status=active").await.body["pagination"]["next_cursor"].as_str().unwrap().to_owned();
    assert_eq!(ids(&shown(&app, &format!("status=active&cursor={cursor}")).await).len(), 2);
    for query in [format!("cursor={cursor}"), format!("status=active&assigned=true&cursor={cursor}"), "cursor=x".to_owned()] {
        let reply = app.assign("member", Method::GET, &query, None).await.expect_problem(400, "invalid_request");
        assert_eq!(reply.fields(), ["cursor"], "{query}");
    }
    let foreign = format!("status=active&cursor={cursor}");
    let reply = app.assign("other_owner", Method::GET, &foreign, None).await.expect_problem(400, "invalid_request");
    assert_eq!(reply.fields(), ["cursor"]);
    for query in ["limit=0", "limit=201", "limit=x"] {
        let reply = app.assign("member", Method::GET, query, None).await.expect_problem(400, "invalid_request");
        assert_eq!(reply.fields(), ["limit"], "{query}");
    }
}

#[tokio::test]
async fn no_answer_is_larger_than_lambda_returns() {
    let app = TestApp::new().await;
    // Texts that take the most in JSON within JSON: seven bytes for a character.
    let longest = "\u{1}".repeat(255);
    insert(&app, 3_000, &longest).await;
    let fill = "\
update agent_mappings set ultravox_agent_id = repeat(chr(1), 250) || right(id::text, 5), ultravox_agent_name = repeat(chr(1), 255),
  voice = repeat(chr(1), 100), language_hint = repeat(chr(1), 10);
insert into agent_mappings (agency_id, ultravox_agent_id, ultravox_agent_name, voice)
select a.id, repeat(chr(1), 245) || s.i, repeat(chr(1), 255), repeat(chr(1), 100)
from agencies a, generate_series(1, 3000) s (i);
update agency_phone_numbers set phone_number_id = repeat(chr(1), 255), number_type = repeat(chr(1), 50), country_code = repeat(chr(1), 5),
  currency = repeat(chr(1), 3)";
    app.execute(fill).await;

    let list = app.list("member", "limit=200&include_agents=true").await.expect(200);
    assert!(size(&list) < LARGEST_ANSWER, "{}", size(&list));
    assert_eq!(ids(&list).len(), 200);
    let agents = list.body["available_agents"].as_array().unwrap().len();
    assert!((100..3_000).contains(&agents), "{agents}");

    // Without a limit, what fits: the rest is on further pages, and nothing is shown twice.
    let all = pages(&app, "status=active").await;
    assert!(all.len() > 1 && all[0].len() > 200, "{:?}", all.iter().map(Vec::len).collect::<Vec<_>>());
    let distinct: BTreeSet<_> = all.concat().into_iter().collect();
    assert_eq!((distinct.len(), all.concat().len()), (3_000, 3_000));
}

#[tokio::test]
async fn a_history_is_shown_in_pages() {
    let app = TestApp::new().await;
    let row = app.insert(json!({"status": "active"})).await;
    let id = row["id"].as_str().unwrap();
    for change in 1..=450 {
        let rename = format!("update agency_phone_numbers set friendly_name = '{change}' where id = '{id}'");
        app.sql.execute(&rename, &[]).await.unwrap();
    }
    let query = format!("id={id}&include_history=true");
    let (mut names, mut sizes, mut after) = (Vec::new(), Vec::new(), String::new());
    loop {
        let page = shown(&app, &format!("{query}{after}")).await;
        let history = page.body["history"].as_array().unwrap();
        sizes.push(history.len());
        names.extend(history.iter().filter_map(|entry| entry["changes"]["friendly_name"]["to"].as_str().map(str::to_owned)));
        assert_eq!(page.body["pagination"]["limit"], 200);
        let Some(cursor) = page.body["pagination"]["next_cursor"].as_str() else { break };
        after = format!("&cursor={cursor}");
    }
    assert_eq!(sizes, [200, 200, 51]);
    assert_eq!(names, (1..=450).map(|change| change.to_string()).collect::<Vec<_>>());
    let three = shown(&app, &format!("{query}&limit=3")).await;
    assert_eq!((three.body["history"].as_array().unwrap().len(), &three.body["pagination"]["limit"]), (3, &json!(3)));

    // A cursor of a history continues that history only.
    let cursor = three.body["pagination"]["next_cursor"].as_str().unwrap();
    let other = app.insert(json!({})).await["id"].as_str().unwrap().to_owned();
    for query in [format!("id={other}&include_history=true&cursor={cursor}"), format!("cursor={cursor}")] {
        let reply = app.assign("member", Method::GET, &query, None).await.expect_problem(400, "invalid_request");
        assert_eq!(reply.fields(), ["cursor"], "{query}");
    }
    assert!(shown(&app, &format!("id={id}")).await.body.get("pagination").is_none());
}

#[tokio::test]
async fn an_entry_of_a_history_that_is_too_large_is_shown_without_its_changes() {
    let app = TestApp::new().await;
    let row = app.insert(json!({"status": "active", "friendly_name": "x"})).await;
    app.execute("alter table agency_phone_numbers add column notes text").await;
    for notes in ["short", "long"] {
        let text = if notes == "long" { "n".repeat(1_000_000) } else { notes.to_owned() };
        app.sql.execute("update agency_phone_numbers set notes = $1", &[&text]).await.unwrap();
    }
    let reply = shown(&app, &format!("id={}&include_history=true", row["id"].as_str().unwrap())).await;
    let changes: Vec<&Value> = reply.body["history"].as_array().unwrap().iter().map(|entry| &entry["changes"]).collect();
    assert_eq!(changes[1..], [&json!({"notes": {"from": null, "to": "short"}}), &json!({})]);
}
