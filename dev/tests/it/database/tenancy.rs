//! The second fence around each agency's rows: what remains if a statement lacks its condition on the agency.
//!
//! The functions reach the database through a relay that removes that condition. A row of another agency must then become no
//! value, and no change.

mod relay;
mod writers;

use std::collections::BTreeSet;
use std::time::Duration;

use dev::demo;
use lambda_http::http::Method;
use serde_json::{Value, json};
use shared::error::Error;
use shared::model::{Actor, Caller};
use shared::store::{KeyEntry, KeyPosition, KeyState, KeyUse, Lookup, ReleaseStart, Store, statements};
use uuid::Uuid;

use crate::support::app::{Reply, TestApp, agent};
use relay::Relay;

/// The conditions on the agency in each statement for an agency, in the form in which the statement has them.
const CONDITIONS: &[(&str, &[&str])] = &[
    ("agents.available", &["u.agency_id = m.agency_id"]),
    ("idempotency_keys.get", &["c.agency_id = k.agency_id"]),
    ("idempotency_keys.purchases.listed", &["c.agency_id = i.agency_id"]),
    ("numbers.change.update", &["c.agency_id = n.agency_id", "c.agency_id = a.agency_id", "m.agency_id = n.agency_id"]),
    ("numbers.history.entries", &["c.agency_id = h.agency_id"]),
    ("numbers.count.all", &["n.agency_id = c.agency_id", "a.agency_id = c.agency_id"]),
    ("numbers.count.of_agent", &["n.agency_id = c.agency_id", "a.agency_id = c.agency_id"]),
    ("numbers.count.searched", SEARCHED),
    ("numbers.count.summary", &["s.agency_id = c.agency_id"]),
    ("numbers.page.all", &["n.agency_id = c.agency_id", "a.agency_id = c.agency_id", "m.agency_id = n.agency_id"]),
    ("numbers.page.of_agent", &["n.agency_id = c.agency_id", "a.agency_id = c.agency_id", "m.agency_id = n.agency_id"]),
    ("numbers.page.searched", &[SEARCHED[0], SEARCHED[1], SEARCHED[2], SEARCHED[3], "m.agency_id = n.agency_id"]),
    ("numbers.read.of_agency", &["n.agency_id = $1", "a.agency_id = $1", "m.agency_id = n.agency_id"]),
    ("numbers.read.one", &["n.agency_id = c.agency_id", "a.agency_id = c.agency_id", "m.agency_id = n.agency_id"]),
    ("purchases.agency.get", &["a.id = c.agency_id", "m.agency_id = a.id"]),
    ("purchases.begin.quota", &["c.agency_id = a.id", "a.id = $1"]),
    ("releases.begin.insert", &["n.agency_id = $3"]),
    ("releases.begin.targets", &["n.agency_id = c.agency_id", "a.agency_id = c.agency_id"]),
];

/// Those of a search, which reads the rows in two ways.
const SEARCHED: &[&str] = &[
    "n.agency_id = c.agency_id",
    "a.agency_id = c.agency_id",
    "n.agency_id is not distinct from c.agency_id",
    "a.agency_id is not distinct from c.agency_id",
];

/// Statements that have such a condition, and whose rows are not an agency's.
const OTHERS: &[(&str, &str)] = &[
    ("agencies.exists", "an operator's"),
    ("idempotency_keys.answer", "fenced by the token of the key's lease"),
    ("idempotency_keys.claim", "returns the caller's own key"),
    ("idempotency_keys.expire", "reconcile's"),
    ("idempotency_keys.purchases.list", "fenced by the token of the key's lease"),
    ("idempotency_keys.renew", "fenced by the token of the key's lease"),
    ("idempotency_keys.yield", "fenced by the token of the key's lease"),
    ("releases.finish.refuse", "fenced by the token of the release's lease; the agent is checked by a trigger"),
];

fn name(statement: &str) -> &str {
    statement.lines().next().unwrap().strip_prefix("-- ").unwrap()
}

#[test]
fn every_statement_with_a_condition_on_the_agency_is_tested() {
    let has_condition = |statement: &&str| statement.contains(".agency_id = ") || statement.contains("where a.id = $1 /* agency_id */");
    let found: BTreeSet<_> = statements().filter(has_condition).map(name).filter(|name| !name.starts_with("reconcile.")).collect();
    let listed = CONDITIONS.iter().map(|(name, _)| *name).chain(OTHERS.iter().map(|(name, _)| *name));
    assert_eq!(found, listed.collect());
}

/// An app with a row of each agency, both with an agent and a history, whose functions lack the conditions of a statement.
struct Breach {
    app: TestApp,
    relay: Relay,
    ours: Value,
    theirs: Value,
}

impl Breach {
    /// Removes the conditions of the statement `name` that `chosen` says.
    async fn of(name: &'static str, chosen: impl Fn(&str) -> bool) -> Self {
        let mut app = TestApp::new().await;
        let theirs = app.insert(json!({"agent_mapping_id": agent(&demo::DEMO, 0)})).await;
        let ours = app.insert(json!({"agency_id": demo::OTHER.id, "agent_mapping_id": agent(&demo::OTHER, 0)})).await;
        let (_, conditions) = CONDITIONS.iter().find(|(known, _)| *known == name).unwrap();
        let relay =
            Relay::start(app.database.url(), name, conditions.iter().copied().filter(|condition| chosen(condition)).collect()).await;
        app.set("DATABASE_URL", relay.url());
        Self { app, relay, ours, theirs }
    }

    /// Without any of its conditions.
    async fn whole(name: &'static str) -> Self {
        Self::of(name, |_| true).await
    }

    fn store(&self) -> Store {
        self.app.store()
    }

    /// Insists that a request was answered as one that met a defect, and that it met this one.
    fn refused(&self, reply: Reply) {
        let text = reply.text.clone();
        reply.expect_problem(500, "internal");
        let (number, id) = (self.theirs["phone_number"].as_str().unwrap(), self.theirs["id"].as_str().unwrap());
        assert!(!text.contains(number) && !text.contains(id), "{text}");
        self.relay.is_used();
    }

    fn failed<T>(&self, outcome: Result<T, Error>) {
        match outcome {
            Err(Error::Internal(_)) => self.relay.is_used(),
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("another agency's row became a value"),
        }
    }
}

const OTHER: Actor = Actor { user_id: demo::USERS[4].id, agency_id: demo::OTHER.id };

fn id(row: &Value) -> Uuid {
    row["id"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_number_of_another_agency_is_not_shown() {
    let breach = Breach::whole("numbers.read.one").await;
    breach.refused(breach.app.assign("other_owner", Method::GET, &format!("id={}", id(&breach.theirs)), None).await);
    breach.app.assign("other_owner", Method::GET, &format!("id={}", Uuid::new_v4()), None).await.expect(404);
    let breach = Breach::whole("numbers.read.of_agency").await;
    breach.failed(breach.store().numbers_of(&OTHER, &[id(&breach.ours), id(&breach.theirs)]).await);
    let breach = Breach::whole("numbers.page.all").await;
    breach.refused(breach.app.list("other_owner", "").await);
    breach.refused(breach.app.assign("other_owner", Method::GET, "", None).await);
    let breach = Breach::whole("numbers.page.of_agent").await;
    breach.refused(breach.app.list("other_owner", &format!("agent_id={}", agent(&demo::DEMO, 0))).await);
    let breach = Breach::whole("numbers.page.searched").await;
    breach.refused(breach.app.list("other_owner", "search=1").await);
    // The index has nothing of another agency, whatever the statement asks for.
    let theirs = breach.theirs["phone_number"].as_str().unwrap();
    let found = breach.app.list("other_owner", &format!("search={}", &theirs[1..])).await.expect(200);
    assert!(!found.text.contains(theirs), "{}", found.text);
}

#[tokio::test]
async fn what_was_counted_of_another_agency_is_not_shown() {
    let of_agent = format!("agent_id={}", agent(&demo::DEMO, 0));
    for (statement, query) in [
        ("numbers.count.all", "status=active"),
        ("numbers.count.of_agent", &of_agent),
        ("numbers.count.searched", "search=1"),
        ("numbers.count.summary", ""),
    ] {
        let breach = Breach::whole(statement).await;
        breach.refused(breach.app.list("other_owner", query).await);
    }
    for condition in ["c.agency_id = a.id", "a.id = $1"] {
        let breach = Breach::of("purchases.begin.quota", |chosen| chosen == condition).await;
        breach.failed(breach.store().quota(demo::OTHER.id, Some(1)).await);
    }
}

#[tokio::test]
async fn a_released_row_of_another_agency_is_not_shown() {
    for statement in ["numbers.read.one", "numbers.page.all"] {
        let breach = Breach::of(statement, |condition| condition.starts_with("a.agency_id")).await;
        let archive = "\
with vacated as (delete from agency_phone_numbers n where n.id = $1 returning n.*)
insert into agency_phone_numbers_archive (id, agency_id, phone_number, replaced_by, record)
select v.id, v.agency_id, v.phone_number, gen_random_uuid(), to_jsonb(v) || '{\"status\": \"released\"}'
from vacated v";
        breach.app.sql.execute(archive, &[&id(&breach.theirs)]).await.unwrap();
        let reply = if statement == "numbers.read.one" {
            breach.app.assign("other_owner", Method::GET, &format!("id={}", id(&breach.theirs)), None).await
        } else {
            breach.app.list("other_owner", "include_released=true").await
        };
        breach.refused(reply);
    }
}

#[tokio::test]
async fn an_agent_of_another_agency_is_not_shown() {
    let breach = Breach::whole("agents.available").await;
    breach.refused(breach.app.list("other_owner", "include_agents=true").await);
    let breach = Breach::of("purchases.agency.get", |condition| condition == "m.agency_id = a.id").await;
    let item = json!({"phone_number": "+13125550123", "agent_mapping_id": agent(&demo::DEMO, 0)});
    breach.refused(breach.app.purchase("other_owner", json!({"phone_numbers": [item]})).await);
    // The platform has moved the agent of a row to another agency.
    for statement in ["numbers.read.one", "numbers.page.all", "numbers.read.of_agency"] {
        let breach = Breach::of(statement, |condition| condition == "m.agency_id = n.agency_id").await;
        let moved = "update agent_mappings set agency_id = $1 where id = $2";
        breach.app.sql.execute(moved, &[&demo::DEMO.id, &agent(&demo::OTHER, 0)]).await.unwrap();
        match statement {
            "numbers.read.one" => {
                breach.refused(breach.app.assign("other_owner", Method::GET, &format!("id={}", id(&breach.ours)), None).await);
            }
            "numbers.page.all" => breach.refused(breach.app.list("other_owner", "").await),
            _ => breach.failed(breach.store().numbers_of(&OTHER, &[id(&breach.ours)]).await),
        }
    }
}

#[tokio::test]
async fn what_happened_to_a_number_of_another_agency_is_not_shown() {
    let breach = Breach::whole("numbers.history.entries").await;
    let insert = "insert into phone_number_history (agency_id, agency_phone_number_id, event, actor) values ($1, $2, 'changed', 'nobody')";
    breach.app.sql.execute(insert, &[&demo::DEMO.id, &id(&breach.ours)]).await.unwrap();
    let query = format!("id={}&include_history=true", id(&breach.ours));
    breach.refused(breach.app.assign("other_owner", Method::GET, &query, None).await);
}

#[tokio::test]
async fn the_telnyx_application_of_another_agency_is_not_used() {
    let breach = Breach::of("purchases.agency.get", |condition| condition == "a.id = c.agency_id").await;
    let number = json!({"phone_number": "+13125550123"});
    breach.refused(breach.app.purchase("other_owner", json!({"phone_numbers": [number]})).await);
}

#[tokio::test]
async fn an_answer_and_the_purchases_of_another_agencys_key_are_not_given() {
    let function = "phone-numbers-purchase";
    let [theirs, ours] = [demo::USERS[0].id, OTHER.user_id].map(|user_id| Caller::new(user_id, function, "POST"));
    let minute = Duration::from_mins(1);
    let key_use = KeyUse { function, key: "the same".to_owned(), request_hash: [7; 32], lease: minute, ttl: minute };

    let breach = Breach::whole("idempotency_keys.get").await;
    let store = breach.store();
    store.claim_key(&theirs, &key_use, &Lookup::buying_agency(&[])).await.unwrap().2.unwrap();
    // The key of the agency itself is busy as well.
    store.claim_key(&ours, &key_use, &Lookup::buying_agency(&[])).await.unwrap().2.unwrap();
    breach.failed(store.claim_key(&ours, &key_use, &Lookup::buying_agency(&[])).await);

    let breach = Breach::whole("idempotency_keys.purchases.listed").await;
    let store = breach.store();
    let (_, KeyState::Claimed(held), _) = store.claim_key(&theirs, &key_use, &Lookup::buying_agency(&[])).await.unwrap() else {
        panic!("the key is not free")
    };
    let place = KeyPosition { key: &held.lease, position: 0 };
    assert!(store.list_purchase(place, KeyEntry::Row(id(&breach.theirs))).await.unwrap().is_done());
    breach.failed(store.claim_key(&ours, &key_use, &Lookup::buying_agency(&[])).await);
}

#[tokio::test]
async fn a_number_of_another_agency_is_not_changed() {
    let breach = Breach::whole("numbers.change.update").await;
    let rename = json!({"id": breach.theirs["id"], "friendly_name": "Ours now"});
    breach.refused(breach.app.assign("other_owner", Method::PATCH, "", Some(rename)).await);
    let unassign = format!("id={}", id(&breach.theirs));
    breach.refused(breach.app.assign("other_owner", Method::DELETE, &unassign, None).await);
    assert_eq!(breach.app.now(&breach.theirs).await, breach.theirs);
    // The agency's own number is changed.
    let rename = json!({"id": breach.ours["id"], "friendly_name": "Ours"});
    breach.app.assign("other_owner", Method::PATCH, "", Some(rename)).await.expect(200);
}

#[tokio::test]
async fn a_number_of_another_agency_is_not_released() {
    let breach = Breach::whole("releases.begin.targets").await;
    let release = json!({"phone_number_ids": [breach.theirs["id"]], "confirm": true});
    breach.refused(breach.app.release("other_owner", release).await);
    let breach = Breach::whole("releases.begin.insert").await;
    let start = ReleaseStart { row_id: id(&breach.theirs), account: "platform".to_owned(), lease: Duration::from_secs(1) };
    breach.failed(breach.store().begin_release(&OTHER, &start).await);
    assert_eq!(breach.app.now(&breach.theirs).await, breach.theirs);
    let releases = breach.app.sql.query("select from phone_number_releases", &[]).await.unwrap();
    assert!(releases.is_empty());
}
