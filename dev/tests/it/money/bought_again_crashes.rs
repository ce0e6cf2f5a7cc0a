//! Released numbers that are bought again while processes crash and connections break.

use dev::fault_proxy::{Fault, Moment};
use futures_util::future::join_all;
use lambda_http::http::Method;
use phone_numbers_purchase::Purchase;
use serde_json::{Value, json};

use crate::money::bought_again::{archived, given_back, given_back_again, number_of, stored};
use crate::support::actions::{balance, order_of, orders_sent, unsold};
use crate::support::app::{TestApp, eventually, send};

/// The statement that exchanges the rows.
const EXCHANGE: &str = "purchases.begin.insert";

/// Asserts that rows were exchanged completely or not at all.
async fn all_or_nothing(app: &TestApp, old: &Value) {
    let now = stored(app, number_of(old)).await;
    let ledger = app.ledger().await.into_iter().filter(|purchase| purchase["agency_phone_number_id"] == now["id"]).count();
    assert_eq!(ledger, 1, "{now}");
    if now["id"] == old["id"] {
        assert_eq!(now, *old);
        assert!(!app.archive().await.iter().any(|kept| kept["phone_number"] == old["phone_number"]));
    } else {
        assert_eq!(now["status"], "pending");
        archived(app, old, &now).await;
    }
}

#[tokio::test]
async fn a_connection_lost_in_the_exchange_is_replaced() {
    let mut app = TestApp::new().await;
    let proxy = app.with_fault_proxy().await;
    for moment in [Moment::Before, Moment::After] {
        let number = unsold(&app).await;
        let old = given_back_again(&app, "other_owner", &number).await;
        let (sent, begun) = (orders_sent(&app), app.ledger().await.len());
        proxy.clear_log();
        proxy.inject(EXCHANGE, moment, Fault::Cut);
        let reply = app.purchase("owner", order_of(&number)).await.expect(200);
        assert_eq!((proxy.injected(), reply.header("idempotent-replayed")), (1, ""), "{moment:?}");
        archived(&app, &old, &stored(&app, &number).await).await;
        assert_eq!((orders_sent(&app) - sent, app.ledger().await.len() - begun), (1, 1), "{moment:?}");
    }
    balance(&app).await;
}

#[tokio::test]
async fn a_connection_lost_twice_in_the_exchange_leaves_all_or_nothing() {
    let mut app = TestApp::new().await;
    app.set("LEASE_MS", "150");
    let proxy = app.with_fault_proxy().await;
    for moment in [Moment::Before, Moment::After] {
        let number = unsold(&app).await;
        let old = given_back_again(&app, "other_owner", &number).await;
        proxy.clear_log();
        for _ in 0..2 {
            proxy.inject(EXCHANGE, moment, Fault::Cut);
        }
        app.purchase("owner", order_of(&number)).await.expect_problem(503, "unavailable");
        assert_eq!(proxy.injected(), 2, "{moment:?}");
        proxy.reset();
        all_or_nothing(&app, &old).await;
        app.purchase("owner", order_of(&number)).await.expect(200);
        archived(&app, &old, &stored(&app, &number).await).await;
    }
    balance(&app).await;
}

#[tokio::test]
async fn a_process_that_hangs_in_the_exchange_delays_others_only_briefly() {
    let silent = async |moment: Moment| {
        let mut app = TestApp::new().await;
        app.set("LEASE_MS", "150");
        let old = given_back(&app, "other_owner").await;
        // The others wait as long as a slow machine needs.
        app.set("DATABASE_TIMEOUT_MS", "20000");
        let (healthy, token) = (app.function::<Purchase>(), app.token("owner"));
        app.set("DATABASE_TIMEOUT_MS", "800");
        let proxy = app.with_fault_proxy().await;
        proxy.inject(EXCHANGE, moment, Fault::Silence);
        tokio::select! {
            biased;
            () = eventually(async || (proxy.injected() == 1).then_some(())) => {}
            reply = app.purchase("owner", order_of(number_of(&old))) => panic!("{moment:?}: {reply:#?}"),
        }
        let bought = send(&healthy, &token, Method::POST, "", Some(order_of(number_of(&old)))).await.expect(200);
        let new = stored(&app, number_of(&old)).await;
        assert_eq!(bought.number()["id"], new["id"], "{moment:?}");
        archived(&app, &old, &new).await;
        assert_eq!(orders_sent(&app), 2, "{moment:?}");
        balance(&app).await;
    };
    join_all([Moment::Before, Moment::After].map(silent)).await;
}

#[tokio::test]
async fn a_process_that_dies_while_it_puts_a_row_back_leaves_all_or_nothing() {
    for moment in [Moment::Before, Moment::After] {
        let mut app = TestApp::new().await;
        app.set("LEASE_MS", "150");
        let old = given_back(&app, "other_owner").await;
        let number = number_of(&old).to_owned();
        app.telnyx_settings(json!({"insufficient_funds": true})).await;
        let proxy = app.with_fault_proxy().await;
        proxy.inject("purchases.finish.fail", moment, Fault::Silence);
        tokio::select! {
            biased;
            () = eventually(async || (proxy.injected() == 1).then_some(())) => {}
            reply = app.purchase("owner", order_of(&number)) => panic!("{reply:#?}"),
        }
        if moment == Moment::Before {
            all_or_nothing(&app, &old).await;
        }
        app.purchase("owner", order_of(&number)).await.expect_problem(402, "insufficient_funds");
        assert_eq!(stored(&app, &number).await, old, "{moment:?}");
        assert!(app.archive().await.is_empty());
        balance(&app).await;
    }
}
