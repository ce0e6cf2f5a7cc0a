//! The trigger that refuses a user's change to a row of another agency, and what a purchase or release may do after its user
//! has gone.

use dev::demo;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::actions::{assigned, balance, clear_faults, decide, order_of, release_of};
use crate::support::app::{TestApp, eventually};

fn owner() -> Uuid {
    demo::USERS[0].id
}

/// Runs a statement in a user's name, with the authority of a ledger entry if there is one: the message of the refusal, if it
/// is refused.
async fn write(app: &TestApp, user: &str, ledger: &str, statement: &str) -> Option<String> {
    let set = "select set_config('phone_numbers.actor', $1, true), set_config('phone_numbers.ledger', $2, true)";
    app.execute("begin").await;
    app.sql.query(set, &[&user, &ledger]).await.unwrap();
    let outcome = app.sql.batch_execute(statement).await;
    app.execute("rollback").await;
    outcome.err().map(|error| {
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code().code(), "23000", "{error}");
        error.message().to_owned()
    })
}

const WRITES: [&str; 3] = [
    "update agency_phone_numbers set friendly_name = 'New'",
    "delete from agency_phone_numbers",
    "update agency_phone_numbers set status = 'inactive', is_active = false",
];

#[tokio::test]
async fn a_user_writes_rows_of_the_users_agency_alone() {
    let app = TestApp::new().await;
    app.insert(json!({})).await;
    let user = |index: usize| demo::USERS[index].id.to_string();
    let insert = "insert into agency_phone_numbers (agency_id, phone_number)
                  select a.id, '+13125550100' from agencies a where a.slug = 'demo'";
    for statement in WRITES.into_iter().chain([insert]) {
        assert_eq!(write(&app, &user(0), "", statement).await, None, "{statement}");
        for stranger in [user(4), user(6), Uuid::new_v4().to_string()] {
            let refusal = write(&app, &stranger, "", statement).await.unwrap();
            assert!(refusal.ends_with(&format!("is not of the agency of user {stranger}")), "{refusal}");
        }
        for other in ["", "reconcile", "operator"] {
            assert_eq!(write(&app, other, "", statement).await, None, "{other}: {statement}");
        }
    }
    let moved = "update agency_phone_numbers n set agency_id = a.id from agencies a where a.slug = 'other'";
    assert!(write(&app, &user(0), "", moved).await.unwrap().contains("may not move row"));
    assert!(write(&app, &user(4), "", moved).await.unwrap().contains("may not move row"));
}

#[tokio::test]
async fn a_ledger_entry_has_authority_over_its_own_row_alone() {
    let app = TestApp::new().await;
    let row = assigned(&app).await;
    let purchase = app.purchase_of(&row["phone_number"]).await;
    let ledger = purchase["id"].as_str().unwrap();
    let nobody = Uuid::new_v4().to_string();
    assert_eq!(write(&app, &nobody, ledger, WRITES[0]).await, None);
    let unknown = Uuid::new_v4().to_string();
    assert!(write(&app, &owner().to_string(), &unknown, WRITES[0]).await.unwrap().contains("is not that of the purchase or release"));
    app.insert(json!({"agency_id": demo::OTHER.id})).await;
    assert!(write(&app, &owner().to_string(), ledger, WRITES[0]).await.unwrap().contains("is not that of the purchase or release"));
    app.execute(&format!("update phone_number_purchases set agency_id = '{}'", demo::OTHER.id)).await;
    let this = format!("{} where id = '{}'", WRITES[0], row["id"].as_str().unwrap());
    assert!(write(&app, &nobody, ledger, &this).await.unwrap().contains("is not that of the purchase or release"));
}

/// What may happen to a user at any time.
const DEPARTURES: [&str; 3] = [
    "delete from users where id = $1",
    "update users set agency_id = null where id = $1",
    "update users set agency_id = (select a.id from agencies a where a.slug = 'other') where id = $1",
];

/// The actor of the last entry of a row's history.
async fn last_actor(app: &TestApp, row: &Value) -> Value {
    app.history(row).await.last().unwrap()["actor"].clone()
}

#[tokio::test]
async fn a_purchase_ends_whatever_has_become_of_its_user() {
    for (index, departure) in DEPARTURES.into_iter().enumerate() {
        for (outcome, status) in [("success", "active"), ("failure", "gone")] {
            let mut app = TestApp::new().await;
            app.telnyx_settings(json!({"order_outcome": "never"})).await;
            app.set("REQUEST_BUDGET_MS", "4000");
            let row = app.purchase("owner", order_of(&app.offers("312", index + 1).await[index])).await.expect(202).number().clone();
            app.sql.execute(departure, &[&owner()]).await.unwrap();
            decide(&app, outcome).await;
            eventually(async || {
                app.reconcile().await;
                (app.ledger().await[0]["completed_at"].is_string() || app.ledger().await[0]["phase"] == "failed").then_some(())
            })
            .await;
            let left = app.rows().await;
            match status {
                "active" => {
                    assert_eq!((&left[0]["status"], last_actor(&app, &row).await), (&json!("active"), json!(owner())));
                }
                _ => assert!(left.is_empty(), "{left:#?}"),
            }
            balance(&app).await;
        }
    }
}

#[tokio::test]
async fn a_purchase_is_given_up_whatever_becomes_of_the_user_who_gives_it_up() {
    let mut app = TestApp::new().await;
    app.telnyx_settings(json!({"order_outcome": "never"})).await;
    let row = app.pending_purchase(order_of(&app.offer().await)).await.number().clone();
    app.fault(json!({"method": "GET", "path_prefix": "/v2/number_orders", "kind": "delay", "delay_ms": 300})).await;
    let goes = async {
        eventually(async || (app.asked("PATCH", "/v2/sub_number_orders") > 0).then_some(())).await;
        app.sql.execute(DEPARTURES[0], &[&owner()]).await.unwrap();
    };
    let (reply, ()) = tokio::join!(app.release("owner", release_of(&row)), goes);
    reply.expect(200);
    assert_eq!((app.now(&row).await["status"].clone(), last_actor(&app, &row).await), (json!("released"), json!(owner())));
}

#[tokio::test]
async fn a_release_ends_whatever_has_become_of_its_user() {
    for departure in DEPARTURES {
        for refused in [false, true] {
            let mut app = TestApp::new().await;
            let row = assigned(&app).await;
            let deletion = |status: u16| json!({"method": "DELETE", "path_prefix": "/v2/phone_numbers", "kind": "status", "status": status, "times": 100});
            app.fault(deletion(500)).await;
            app.set("REQUEST_BUDGET_MS", "600");
            app.release("owner", release_of(&row)).await.expect(207);
            assert_eq!(app.now(&row).await["is_active"], false, "the release is under way");
            app.set("REQUEST_BUDGET_MS", "8000");
            app.sql.execute(departure, &[&owner()]).await.unwrap();
            clear_faults(&app).await;
            if refused {
                app.fault(deletion(403)).await;
            }
            app.reconcile().await;
            let status = if refused { "active" } else { "released" };
            assert_eq!((app.now(&row).await["status"].clone(), last_actor(&app, &row).await), (json!(status), json!(owner())));
            balance(&app).await;
        }
    }
}
