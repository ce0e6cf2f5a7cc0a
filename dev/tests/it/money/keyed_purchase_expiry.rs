//! The time to live of a key that lists purchases: a day after the last of them ended.

use serde_json::json;

use crate::api::idempotency::{KEY, is_replay, keys, later, listed, purchase};
use crate::money::keyed_purchases::finished_by_the_schedule;
use crate::support::actions::{balance, decide, order_of, order_of_all, orders_sent, release_of};
use crate::support::app::TestApp;

/// An id without an agent.
const NO_AGENT: &str = "00000000-0000-4000-8000-000000000000";

/// An app whose orders stay pending, with a short request budget.
async fn undecided() -> TestApp {
    let mut app = TestApp::new().await;
    app.telnyx_settings(json!({"order_outcome": "never"})).await;
    app.set("REQUEST_BUDGET_MS", "4000");
    app
}

/// Runs the schedule, which deletes expired keys. Returns the number of keys, and of the purchases that they list.
async fn left(app: &TestApp) -> (usize, usize) {
    app.reconcile().await;
    (keys(app).await.len(), listed(app).await.len())
}

#[tokio::test]
async fn a_key_does_not_expire_while_a_purchase_of_it_is_unfinished() {
    let app = undecided().await;
    let numbers = app.offers("312", 2).await;
    let row = purchase(&app, "owner", KEY, &order_of(&numbers[0])).await.expect(202).number().clone();
    later(&app, "30 days").await;
    assert_eq!(left(&app).await, (1, 1));
    purchase(&app, "owner", KEY, &order_of(&numbers[1])).await.expect_problem(422, "idempotency_key_reused");
    let again = purchase(&app, "owner", KEY, &order_of(&numbers[0])).await.expect(202);
    assert_eq!((&again.number()["id"], orders_sent(&app)), (&row["id"], 1));
    balance(&app).await;
}

#[tokio::test]
async fn a_key_lives_until_a_day_after_its_last_purchase_ended_however_it_ended() {
    for end in ["completed", "cancelled", "failed"] {
        let app = undecided().await;
        let number = app.offer().await;
        let row = purchase(&app, "owner", KEY, &order_of(&number)).await.expect(202).number().clone();
        later(&app, "30 days").await;
        match end {
            "completed" => decide(&app, "success").await,
            "cancelled" => _ = app.release("owner", release_of(&row)).await.expect(200),
            _ => decide(&app, "failure").await,
        }
        finished_by_the_schedule(&app).await;
        if end == "completed" {
            app.release("owner", release_of(&row)).await.expect(200);
        }
        app.telnyx_settings(json!({"order_outcome": "success"})).await;

        later(&app, "23 hours 59 minutes").await;
        assert_eq!(left(&app).await, (1, 1), "{end}");
        let again = purchase(&app, "owner", KEY, &order_of(&number)).await;
        let expected = match end {
            "completed" => (200, ""),
            "cancelled" => (409, "phone_number_released"),
            _ => (409, "number_unavailable"),
        };
        assert_eq!((again.status, again.code()), expected, "{again:#?}");
        assert_eq!(orders_sent(&app), 1, "{end}");
        // The answer is stored, and replayed until the key expires.
        is_replay(&purchase(&app, "owner", KEY, &order_of(&number)).await, &again);

        later(&app, "1 minute").await;
        let bought = purchase(&app, "owner", KEY, &order_of(&number)).await.expect(200);
        assert_eq!((bought.header("idempotent-replayed"), orders_sent(&app)), ("", 2), "{end}: it is a new key");
        let (listed, ledger) = (listed(&app).await, app.ledger().await);
        assert_eq!((listed.len(), &listed[0]["purchase_id"]), (1, &ledger[1]["id"]), "{end}");
        balance(&app).await;
    }
}

#[tokio::test]
async fn the_last_of_several_purchases_counts() {
    let app = undecided().await;
    let numbers = app.offers("312", 2).await;
    app.purchase("owner", order_of(&numbers[0])).await.expect(202);
    decide(&app, "success").await;
    finished_by_the_schedule(&app).await;
    purchase(&app, "owner", KEY, &order_of_all(&numbers)).await.expect(202);
    later(&app, "2 days").await;
    assert_eq!(left(&app).await, (1, 2), "one is unfinished");
    decide(&app, "success").await;
    finished_by_the_schedule(&app).await;
    later(&app, "23 hours 59 minutes").await;
    assert_eq!(left(&app).await, (1, 2), "the other ended three days ago");
    later(&app, "1 minute").await;
    assert_eq!(left(&app).await, (0, 0));
    balance(&app).await;
}

#[tokio::test]
async fn a_reused_key_lists_nothing_of_its_earlier_use() {
    let app = undecided().await;
    let numbers = app.offers("312", 3).await;
    app.telnyx_settings(json!({"order_outcome": "success"})).await;
    purchase(&app, "owner", KEY, &order_of_all(&numbers)).await.expect(200);
    purchase(&app, "owner", "another", &order_of(&numbers[0])).await.expect(200);
    assert_eq!(listed(&app).await.len(), 4);
    later(&app, "1 day").await;
    // Another request, which fails before anything is bought.
    let stranger = json!({"phone_numbers": [{"phone_number": numbers[0], "agent_mapping_id": NO_AGENT}]});
    purchase(&app, "owner", KEY, &stranger).await.expect_problem(404, "not_found");
    let listed = listed(&app).await;
    assert_eq!((listed.len(), &listed[0]["key"]), (1, &json!("another")));
    assert_eq!(left(&app).await, (1, 0), "the schedule deletes the other one, and what it lists");
    balance(&app).await;
}
