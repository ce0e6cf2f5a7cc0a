//! Listing: rows, filters, pages, sums, and no rows of other agencies.

use std::collections::BTreeSet;

use dev::demo;
use serde_json::{Value, json};

use crate::support::app::{Reply, TestApp, agent};

/// The ids of the rows in an answer, in order.
fn ids(reply: &Reply) -> Vec<String> {
    reply.body["phone_numbers"].as_array().unwrap().iter().map(id).collect()
}

fn id(row: &Value) -> String {
    row["id"].as_str().unwrap().to_owned()
}

/// The ids that a query lists, as a set.
async fn listed(app: &TestApp, query: &str) -> BTreeSet<String> {
    ids(&app.list("member", query).await.expect(200)).into_iter().collect()
}

fn set<'a>(rows: impl IntoIterator<Item = &'a Value>) -> BTreeSet<String> {
    rows.into_iter().map(id).collect()
}

#[tokio::test]
async fn a_row_has_every_column_of_the_table_and_its_agent() {
    let app = TestApp::new().await;
    let inserted = app
        .insert(json!({
            "phone_number": "+442071838750",
            "phone_number_id": "1293384261075731499",
            "friendly_name": "Büro ☎",
            "number_type": "local",
            "country_code": "GB",
            "voice_enabled": false,
            "sms_enabled": true,
            "mms_enabled": true,
            "agent_mapping_id": agent(&demo::DEMO, 1),
            "direction": "outbound",
            "monthly_cost": 0.0035,
            "setup_cost": 1200,
            "currency": "EUR",
            "status": "inactive",
            "is_active": false,
            "purchased_at": "2026-01-02T03:04:05.678901Z",
            "released_at": "2026-02-03T05:05:06+02:00",
            "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-03-04T05:06:07Z",
        }))
        .await;
    let expected = json!({
        "id": inserted["id"],
        "agency_id": demo::DEMO.id,
        "phone_number": "+442071838750",
        "phone_number_id": "1293384261075731499",
        "friendly_name": "Büro ☎",
        "number_type": "local",
        "country_code": "GB",
        "voice_enabled": false,
        "sms_enabled": true,
        "mms_enabled": true,
        "agent_mapping_id": agent(&demo::DEMO, 1),
        "direction": "outbound",
        "monthly_cost": "0.0035",
        "setup_cost": "1200.00",
        "currency": "EUR",
        "status": "inactive",
        "is_active": false,
        "purchased_at": "2026-01-02T03:04:05.678901Z",
        "released_at": "2026-02-03T03:05:06Z",
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-03-04T05:06:07Z",
        "agent_mappings": {
            "id": agent(&demo::DEMO, 1),
            "ultravox_agent_id": demo::AGENTS[1].ultravox_agent_id,
            "ultravox_agent_name": "Ventas",
            "voice": "Lucia",
            "language_hint": "es",
            "recording_enabled": true,
        },
    });
    assert_eq!(*app.list("member", "").await.expect(200).number(), expected);

    let columns = "select column_name::text from information_schema.columns where table_name = 'agency_phone_numbers'";
    let columns = app.sql.query(columns, &[]).await.unwrap();
    let columns: BTreeSet<String> = columns.iter().map(|row| row.get(0)).chain(["agent_mappings".to_owned()]).collect();
    assert_eq!(expected.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>(), columns);
}

#[tokio::test]
async fn a_row_that_was_just_begun_has_nulls_where_nothing_is_known() {
    let app = TestApp::new().await;
    app.insert(json!({"status": "pending", "direction": null})).await;
    let listed = app.list("member", "").await.expect(200);
    let row = listed.number();
    for column in [
        "phone_number_id",
        "friendly_name",
        "number_type",
        "country_code",
        "agent_mapping_id",
        "direction",
        "monthly_cost",
        "setup_cost",
        "purchased_at",
        "released_at",
        "agent_mappings",
    ] {
        assert_eq!(row.get(column), Some(&Value::Null), "{column}");
    }
    assert_eq!((&row["voice_enabled"], &row["sms_enabled"], &row["mms_enabled"]), (&json!(true), &json!(false), &json!(false)));
    assert_eq!((&row["currency"], &row["status"], &row["is_active"]), (&json!("USD"), &json!("pending"), &json!(true)));
    assert!(row["created_at"].as_str().unwrap().ends_with('Z') && row["updated_at"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn an_agent_without_a_name_or_voice_is_shown_all_the_same() {
    let app = TestApp::new().await;
    let insert =
        "insert into agent_mappings (agency_id, ultravox_agent_id, recording_enabled) values ($1, 'nameless', false) returning id::text";
    let nameless: String = app.sql.query_one(insert, &[&demo::DEMO.id]).await.unwrap().get(0);
    app.insert(json!({"agent_mapping_id": nameless})).await;
    let listed = app.list("member", "include_agents=true").await.expect(200);
    let expected = json!({
        "id": nameless, "ultravox_agent_id": "nameless", "ultravox_agent_name": null, "voice": null, "language_hint": "en",
        "recording_enabled": false,
    });
    assert_eq!(listed.number()["agent_mappings"], expected);
    let last = listed.body["available_agents"].as_array().unwrap().last().unwrap();
    assert_eq!(*last, json!({"id": nameless, "ultravox_agent_id": "nameless", "ultravox_agent_name": null, "voice": null}));
}

#[tokio::test]
async fn each_filter_lets_through_what_it_names() {
    let app = TestApp::new().await;
    let (first, second) = (agent(&demo::DEMO, 0), agent(&demo::DEMO, 1));
    let pending = app.insert(json!({"status": "pending"})).await;
    let active = app.insert(json!({"status": "active", "agent_mapping_id": first})).await;
    let inactive = app.insert(json!({"status": "inactive", "agent_mapping_id": second})).await;
    let released = app.insert(json!({"status": "released", "is_active": false})).await;
    app.insert(json!({"agency_id": demo::OTHER.id, "agent_mapping_id": agent(&demo::OTHER, 0)})).await;
    let (p, a, i, r) = (&pending, &active, &inactive, &released);
    let cases: [(String, Vec<&Value>); 25] = [
        (String::new(), vec![p, a, i]),
        ("status=pending".into(), vec![p]),
        ("status=active".into(), vec![a]),
        ("status=inactive".into(), vec![i]),
        ("status=released".into(), vec![r]),
        ("include_released=true".into(), vec![p, a, i, r]),
        ("include_released=false".into(), vec![p, a, i]),
        ("status=released&include_released=false".into(), vec![r]),
        ("status=active&include_released=true".into(), vec![a]),
        ("assigned=true".into(), vec![a, i]),
        ("assigned=false".into(), vec![p, a, i]),
        ("unassigned=true".into(), vec![p]),
        ("unassigned=false".into(), vec![p, a, i]),
        ("assigned=true&unassigned=false".into(), vec![a, i]),
        ("unassigned=true&include_released=true".into(), vec![p, r]),
        ("assigned=true&status=active".into(), vec![a]),
        ("assigned=true&status=pending".into(), vec![]),
        (format!("agent_id={first}"), vec![a]),
        (format!("agent_id={second}"), vec![i]),
        (format!("agent_id={second}&status=active"), vec![]),
        (format!("agent_id={first}&unassigned=true"), vec![]),
        (format!("agent_id={first}&assigned=true"), vec![a]),
        (format!("agent_id={}", agent(&demo::OTHER, 0)), vec![]),
        ("agent_id=00000000-0000-4000-8000-000000000000".into(), vec![]),
        (format!("search={}", &a["phone_number"].as_str().unwrap()[3..]), vec![a]),
    ];
    for (query, expected) in cases {
        assert_eq!(listed(&app, &query).await, set(expected.iter().copied()), "{query}");
        let reply = app.list("member", &query).await.expect(200);
        assert_eq!(reply.body["pagination"]["total"], expected.len(), "{query}");
    }
}

#[tokio::test]
async fn assigned_and_unassigned_at_once_ask_for_nothing() {
    let app = TestApp::new().await;
    let reply = app.list("member", "assigned=true&unassigned=true").await.expect_problem(400, "invalid_request");
    assert_eq!(reply.fields(), ["unassigned"]);
}

#[tokio::test]
async fn a_search_finds_parts_of_numbers_and_names_and_nothing_is_a_wildcard() {
    let app = TestApp::new().await;
    let mut rows = Vec::new();
    for (number, name) in [
        ("+13125550100", json!("Front Desk")),
        ("+13125550101", json!("100% off")),
        ("+13125550102", json!("front_office")),
        ("+442071838750", json!("Büro ÄÖÜ")),
        ("+14155550103", json!(null)),
        ("+14155550104", json!("back\\slash 'quoted'")),
        ("+16465550105", json!("Desks 1-4")),
    ] {
        rows.push(app.insert(json!({"phone_number": number, "friendly_name": name})).await);
    }
    for (search, found) in [
        ("front", vec![0, 2]),
        ("FRONT", vec![0, 2]),
        ("ront d", vec![0]),
        ("%25", vec![1]),
        ("0%25", vec![1]),
        ("_", vec![2]),
        ("%25%25", vec![]),
        ("1_off", vec![]),
        ("b%C3%BCro", vec![3]),
        ("%C3%A4%C3%B6%C3%BC", vec![3]),
        ("%5C", vec![5]),
        ("'", vec![5]),
        ("555010", vec![0, 1, 2, 4, 5, 6]),
        ("%2B1312", vec![0, 1, 2]),
        ("%2B44", vec![3]),
        ("+415", vec![4, 5]),
        ("2071838750", vec![3]),
        ("(312) 555-0100", vec![0]),
        ("312.555.0101", vec![1]),
        ("312%C2%A0555%E2%80%AF0102", vec![2]),
        ("tel:%2B1-312-555-0100;ext=7", vec![0]),
        ("tel:312-555", vec![0, 1, 2]),
        ("%2B44 (0)20 7183 8750", vec![3]),
        ("%2B1 415", vec![4, 5]),
        ("%2B415", vec![]),
        ("1-4", vec![4, 5, 6]),
        ("nothing like it", vec![]),
        ("null", vec![]),
    ] {
        assert_eq!(
            listed(&app, &format!("search={}", search.replace(' ', "%20"))).await,
            set(found.iter().map(|at| &rows[*at])),
            "{search}"
        );
    }
    assert_eq!(listed(&app, "search=front&unassigned=true&status=active").await, set([&rows[0], &rows[2]]));
}

#[tokio::test]
async fn agents_come_along_when_asked_for_ordered_by_name() {
    let app = TestApp::new().await;
    for (at, name) in ["Zoe", "Anna", "Mia"].iter().enumerate() {
        let insert = "insert into agent_mappings (agency_id, ultravox_agent_id, ultravox_agent_name) values ($1, $2, $3)";
        app.sql.execute(insert, &[&demo::DEMO.id, &format!("agent {at}"), name]).await.unwrap();
    }
    let with = app.list("member", "include_agents=true").await.expect(200);
    let agents = with.body["available_agents"].as_array().unwrap();
    let names: Vec<_> = agents.iter().map(|agent| agent["ultravox_agent_name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Anna", "Mia", "Reception", "Ventas", "Zoe"]);
    let reception = json!({
        "id": agent(&demo::DEMO, 0), "ultravox_agent_id": demo::AGENTS[0].ultravox_agent_id, "ultravox_agent_name": "Reception", "voice": "Mark",
    });
    assert_eq!(agents[2], reception);
    for query in ["", "include_agents=false"] {
        assert!(app.list("member", query).await.expect(200).body.get("available_agents").is_none(), "{query}");
    }
}

#[tokio::test]
async fn the_sums_are_those_of_the_agencys_rows_whatever_the_filter() {
    let app = TestApp::new().await;
    let agent = agent(&demo::DEMO, 0);
    for row in [
        json!({"status": "active", "monthly_cost": 1, "agent_mapping_id": agent}),
        json!({"status": "active", "monthly_cost": 2.5}),
        json!({"status": "inactive", "monthly_cost": 0.0035, "agent_mapping_id": agent}),
        json!({"status": "inactive", "monthly_cost": 3, "currency": "EUR"}),
        json!({"status": "pending", "monthly_cost": 100, "agent_mapping_id": agent}),
        json!({"status": "pending"}),
        json!({"status": "pending", "currency": "GBP", "monthly_cost": 50}),
        json!({"status": "released", "monthly_cost": 1000}),
        json!({"status": "released", "currency": "EUR", "monthly_cost": 1000}),
        json!({"status": "active", "monthly_cost": 777, "agency_id": demo::OTHER.id}),
    ] {
        app.insert(row).await;
    }
    let expected = json!({
        "total": 7, "active": 2, "pending": 3, "inactive": 2, "released": 2, "assigned": 3, "unassigned": 4,
        "monthly_cost": [{"currency": "EUR", "amount": "3.00"}, {"currency": "USD", "amount": "3.5035"}],
    });
    for query in ["", "status=released", "limit=1", "search=nothing", "limit=1&offset=5", "assigned=true"] {
        assert_eq!(app.list("member", query).await.expect(200).body["summary"], expected, "{query}");
    }
}

#[tokio::test]
async fn an_agency_without_numbers_has_an_empty_list() {
    let app = TestApp::new().await;
    app.insert(json!({"agency_id": demo::OTHER.id})).await;
    let reply = app.list("member", "").await.expect(200);
    let expected = json!({
        "phone_numbers": [],
        "summary": {"total": 0, "active": 0, "pending": 0, "inactive": 0, "released": 0, "assigned": 0, "unassigned": 0, "monthly_cost": []},
        "pagination": {"limit": 50, "offset": 0, "total": 0, "total_is_exact": true, "next_cursor": null},
    });
    assert_eq!(reply.body, expected);
}

#[tokio::test]
async fn an_agency_sees_its_own_rows_and_agents_and_no_others() {
    let app = TestApp::new().await;
    let ours = app.insert(json!({"agent_mapping_id": agent(&demo::DEMO, 0), "friendly_name": "Front desk"})).await;
    let theirs =
        app.insert(json!({"agency_id": demo::OTHER.id, "agent_mapping_id": agent(&demo::OTHER, 0), "friendly_name": "Front desk"})).await;
    for (user, row, agency) in [("owner", &ours, &demo::DEMO), ("member", &ours, &demo::DEMO), ("other_owner", &theirs, &demo::OTHER)] {
        for query in ["", "search=front", "include_released=true", "assigned=true"] {
            let reply = app.list(user, &format!("include_agents=true&{query}")).await.expect(200);
            assert_eq!(ids(&reply), [id(row)], "{user} {query}");
            assert_eq!(reply.body["summary"]["total"], 1);
            assert_eq!(reply.body["pagination"]["total"], 1);
            let agents: BTreeSet<_> = reply.body["available_agents"].as_array().unwrap().iter().map(id).collect();
            assert_eq!(agents, demo::agents_of(agency.id).iter().map(ToString::to_string).collect());
        }
    }
}

#[tokio::test]
async fn an_agents_name_never_crosses_from_one_agency_to_another() {
    let app = TestApp::new().await;
    app.insert(json!({"agent_mapping_id": agent(&demo::DEMO, 0)})).await;
    let filtered = app.list("other_owner", &format!("agent_id={}", agent(&demo::DEMO, 0))).await.expect(200);
    assert_eq!((filtered.body["phone_numbers"].clone(), filtered.body["pagination"]["total"].clone()), (json!([]), json!(0)));
}
