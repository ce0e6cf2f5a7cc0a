//! A purchase with a key whose process ends at each statement, and the repeated request with the same key.

use dev::fault_proxy::{Fault, FaultProxy, Moment};
use phone_numbers_purchase::Purchase;
use serde_json::{Value, json};

use crate::api::idempotency::{is_replay, purchase, written};
use crate::money::keyed_purchases::finished_by_the_schedule;
use crate::support::actions::{balance, order_of, orders_sent, release_of};
use crate::support::app::TestApp;

/// Statements that must occur. Otherwise crash points would be missing unnoticed.
const LANDMARKS: [&str; 10] = [
    "callers.authorize",
    "idempotency_keys.claim",
    "idempotency_keys.purchases.listed",
    "purchases.agency.get",
    "purchases.begin.insert",
    "purchases.order.ordering",
    "purchases.order.ordered",
    "purchases.finish.complete",
    "numbers.read.of_agency",
    "idempotency_keys.answer",
];

/// Every statement of a purchase with a key, in the order of their first appearance.
async fn statements(app: &TestApp, proxy: &FaultProxy, number: &str) -> Vec<String> {
    proxy.clear_log();
    purchase(app, "owner", "undisturbed", &order_of(number)).await.expect(200);
    let mut names: Vec<String> = Vec::new();
    for name in proxy.seen().into_iter().map(|interaction| interaction.name) {
        if !name.starts_with("prepare ")
            && !["idempotency_keys.renew", "purchases.ledger.renew"].contains(&name.as_str())
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    assert!(LANDMARKS.iter().all(|landmark| names.iter().any(|name| name == landmark)), "{names:?}");
    names
}

/// Ends the process of a request at a statement, and the leases that it held.
async fn dies(app: &TestApp, proxy: &FaultProxy, key: &str, number: &str, (statement, moment): (&str, Moment)) {
    let function = app.function::<Purchase>();
    let (token, key, body) = (app.token("owner"), key.to_owned(), order_of(number).to_string());
    let process = tokio::spawn(async move { written(&function, &token, &key, &body).await });
    let end = process.abort_handle();
    proxy.inject(statement, moment, Fault::call(async move { end.abort() }));
    let ended = process.await.expect_err(&format!("{statement} {moment:?}: it was to die before it could answer"));
    assert!(ended.is_cancelled(), "{ended}");
    let sql = "
update phone_number_purchases set leased_until = now() - interval '1 second' where leased_until is not null;
update phone_number_idempotency_keys set leased_until = now() - interval '1 second' where leased_until is not null";
    app.execute(sql).await;
}

/// An app with numbers for the crashes, all crash points, and the proxy.
async fn points() -> (TestApp, FaultProxy, Vec<String>, Vec<(String, Moment)>) {
    let mut app = TestApp::new().await;
    let proxy = app.with_fault_proxy().await;
    let mut offers = Vec::new();
    for area_code in ["212", "312", "415"] {
        offers.extend(app.offers(area_code, 15).await);
    }
    let statements = statements(&app, &proxy, &offers.pop().unwrap()).await;
    let points: Vec<_> = statements.into_iter().flat_map(|name| [(name.clone(), Moment::Before), (name, Moment::After)]).collect();
    assert!(offers.len() >= points.len(), "{} numbers for {} points", offers.len(), points.len());
    (app, proxy, offers, points)
}

/// The purchases of a number in the ledger.
async fn ledger_of(app: &TestApp, number: &str) -> Vec<Value> {
    app.ledger().await.into_iter().filter(|purchase| purchase["phone_number"] == number).collect()
}

#[tokio::test]
async fn a_process_may_die_at_any_statement_of_a_purchase_with_a_key() {
    let (app, proxy, mut numbers, points) = points().await;
    for (statement, moment) in &points {
        let point = format!("{statement}-{moment:?}");
        let number = numbers.pop().unwrap();
        let sent = orders_sent(&app);
        dies(&app, &proxy, &point, &number, (statement, *moment)).await;
        balance(&app).await;
        let done = purchase(&app, "owner", &point, &order_of(&number)).await.expect(200);
        assert_eq!((&done.number()["status"], &done.number()["outcome"]), (&json!("active"), &json!("purchased")), "{point}");
        let ledger = ledger_of(&app, &number).await;
        assert_eq!((ledger.len(), orders_sent(&app) - sent), (1, 1), "{point}");
        assert_eq!(ledger[0]["agency_phone_number_id"], done.number()["id"], "{point}");
        is_replay(&purchase(&app, "owner", &point, &order_of(&number)).await, &done);
    }
    balance(&app).await;
}

#[tokio::test]
async fn what_a_dead_process_has_begun_is_not_bought_again_after_the_schedule_finished_it_and_the_owner_released_it() {
    let (app, proxy, mut numbers, points) = points().await;
    for (statement, moment) in &points {
        let point = format!("{statement}-{moment:?}");
        let number = numbers.pop().unwrap();
        let sent = orders_sent(&app);
        dies(&app, &proxy, &point, &number, (statement, *moment)).await;
        finished_by_the_schedule(&app).await;
        let begun = app.rows().await.into_iter().find(|row| row["phone_number"] == *number);
        if let Some(row) = &begun {
            app.release("owner", release_of(row)).await.expect(200);
        }
        let again = purchase(&app, "owner", &point, &order_of(&number)).await.expect(200);
        assert_eq!((ledger_of(&app, &number).await.len(), orders_sent(&app) - sent), (1, 1), "{point}");
        assert_eq!(app.billed().await.contains(&number), begun.is_none(), "{point}");
        if let Some(row) = begun {
            assert_eq!((&again.number()["id"], again.header("idempotent-replayed")), (&row["id"], "true"), "{point}");
        }
    }
    balance(&app).await;
}

#[tokio::test]
async fn a_process_may_die_at_any_statement_of_a_new_attempt_under_the_same_key() {
    let (app, proxy, mut numbers, points) = points().await;
    for (statement, moment) in &points {
        let point = format!("{statement}-{moment:?}");
        let number = numbers.pop().unwrap();
        app.fault(json!({"method": "POST", "path_prefix": "/v2/number_orders", "kind": "status", "status": 429})).await;
        purchase(&app, "owner", &point, &order_of(&number)).await.expect(429);
        let sent = orders_sent(&app);
        dies(&app, &proxy, &point, &number, (statement, *moment)).await;
        let done = purchase(&app, "owner", &point, &order_of(&number)).await.expect(200);
        let ledger = ledger_of(&app, &number).await;
        assert_eq!((ledger.len(), orders_sent(&app) - sent), (2, 1), "{point}");
        assert_eq!(ledger[1]["agency_phone_number_id"], done.number()["id"], "{point}");
    }
    balance(&app).await;
}
