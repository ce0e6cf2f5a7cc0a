//! A purchase whose process ends at each point, and the repeated request.

use dev::fault_proxy::{Fault, Moment};
use phone_numbers_purchase::Purchase;
use serde_json::{Value, json};

use crate::support::actions::{balance, clear_faults, order_of, orders_sent};
use crate::support::app::{TestApp, eventually, send};

const ORDERS: &str = "/v2/number_orders";
/// Every statement of a purchase that writes, in order.
const WRITES: [&str; 4] = ["purchases.begin.insert", "purchases.order.ordering", "purchases.order.ordered", "purchases.finish.complete"];
/// Statements that read before, and after.
const READS: [&str; 2] = ["callers.authorize", "numbers.read.of_agency"];

/// An app with short leases, so that the work of a dead process is soon taken over.
async fn app() -> TestApp {
    let mut app = TestApp::new().await;
    app.set("LEASE_MS", "150");
    app
}

/// Begins a purchase and aborts it once `there` returns true.
pub(crate) async fn dies(app: &TestApp, number: &str, there: impl AsyncFn() -> bool) {
    let function = app.function::<Purchase>();
    let token = app.token("owner");
    let reply = tokio::select! {
        biased;
        () = eventually(async || there().await.then_some(())) => None,
        reply = send(&function, &token, lambda_http::http::Method::POST, "", Some(order_of(number))) => Some(reply),
    };
    assert!(reply.is_none(), "it was to die before it could answer: {reply:#?}");
}

/// Repeats the request in a new process.
async fn recovers(app: &TestApp, number: &str) -> Value {
    let reply = app.purchase("owner", order_of(number)).await.expect(200);
    assert_eq!(reply.number()["status"], "active");
    let ledger = app.ledger().await;
    assert_eq!(ledger.iter().filter(|purchase| purchase["phone_number"] == number).count(), 1, "the purchase was taken up");
    balance(app).await;
    reply.number().clone()
}

#[tokio::test]
async fn a_process_that_dies_while_telnyx_works_is_replaced_by_the_next_request() {
    let app = app().await;
    let calls = [
        ("GET", "/v2/available_phone_numbers"),
        ("POST", "/v2/number_orders"),
        ("GET", "/v2/number_orders/"),
        ("GET", "/v2/phone_numbers"),
    ];
    app.telnyx_settings(json!({"order_delay_ms": 60})).await;
    let numbers = app.offers("312", calls.len()).await;
    for ((method, path), number) in calls.into_iter().zip(&numbers) {
        let sent = orders_sent(&app);
        let before = app.asked(method, path);
        app.fault(json!({"method": method, "path_prefix": path, "kind": "delay", "delay_ms": 30_000})).await;
        dies(&app, number, async || app.asked(method, path) > before).await;
        recovers(&app, number).await;
        assert_eq!(orders_sent(&app) - sent, 1, "{method} {path}");
    }
}

#[tokio::test]
async fn a_process_that_dies_with_its_order_unsent_leaves_nothing_ordered() {
    let app = app().await;
    let number = app.offer().await;
    // The order is lost, and so is every look-up of it.
    app.fault(json!({"method": "POST", "path_prefix": "/v2/number_orders", "kind": "drop_before"})).await;
    app.fault(json!({"method": "GET", "path_prefix": "/v2/number_orders", "kind": "delay", "delay_ms": 30_000})).await;
    dies(&app, &number, async || app.asked("GET", "/v2/number_orders") > 0).await;
    clear_faults(&app).await;
    recovers(&app, &number).await;
    assert_eq!(orders_sent(&app), 2);
}

#[tokio::test]
async fn a_process_may_die_at_any_statement() {
    for statement in WRITES {
        for moment in [Moment::Before, Moment::After] {
            let mut app = app().await;
            let number = app.offer().await;
            let proxy = app.with_fault_proxy().await;
            proxy.inject(statement, moment, Fault::Silence);
            dies(&app, &number, async || proxy.injected() == 1).await;
            balance(&app).await;
            recovers(&app, &number).await;
            assert_eq!(orders_sent(&app), 1, "{statement} {moment:?}");
        }
    }
}

#[tokio::test]
async fn processes_may_die_one_after_the_other_at_every_statement() {
    let mut app = app().await;
    let number = app.offer().await;
    let proxy = app.with_fault_proxy().await;
    let deaths = [
        ("purchases.begin.insert", Moment::Before),
        ("purchases.begin.insert", Moment::After),
        ("purchases.order.ordering", Moment::Before),
        ("purchases.order.ordering", Moment::After),
        ("purchases.order.ordered", Moment::Before),
        ("purchases.order.ordered", Moment::After),
        ("purchases.finish.complete", Moment::Before),
    ];
    for (died, (statement, moment)) in deaths.into_iter().enumerate() {
        proxy.inject(statement, moment, Fault::Silence);
        dies(&app, &number, async || proxy.injected() == died + 1).await;
        balance(&app).await;
    }
    recovers(&app, &number).await;
    assert_eq!(orders_sent(&app), 1);
}

#[tokio::test]
async fn a_connection_lost_at_any_statement_is_replaced_without_the_caller_noticing() {
    for statement in WRITES.into_iter().chain(READS) {
        for moment in [Moment::Before, Moment::After] {
            let mut app = TestApp::new().await;
            let number = app.offer().await;
            let proxy = app.with_fault_proxy().await;
            proxy.inject(statement, moment, Fault::Cut);
            let reply = app.purchase("owner", order_of(&number)).await.expect(200);
            assert_eq!(proxy.injected(), 1, "{statement} {moment:?}");
            assert_eq!(reply.header("idempotent-replayed"), "", "{statement} {moment:?}: it is the first");
            assert_eq!((orders_sent(&app), app.ledger().await.len()), (1, 1), "{statement} {moment:?}");
            balance(&app).await;
        }
    }
}

#[tokio::test]
async fn a_database_lost_in_the_middle_is_unavailable_and_the_purchase_is_taken_up_when_it_is_back() {
    for statement in WRITES {
        let mut app = app().await;
        let number = app.offer().await;
        let proxy = app.with_fault_proxy().await;
        // The statement and its repetition.
        for _ in 0..2 {
            proxy.inject(statement, Moment::After, Fault::Cut);
        }
        let reply = app.purchase("owner", order_of(&number)).await;
        assert_eq!((proxy.injected(), reply.code()), (2, "unavailable"), "{statement}: {reply:#?}");
        balance(&app).await;
        recovers(&app, &number).await;
        assert_eq!(orders_sent(&app), 1, "{statement}");
    }
}

#[tokio::test]
async fn a_refusal_that_cannot_be_noted_is_found_out_again() {
    for moment in [Moment::Before, Moment::After] {
        let mut app = app().await;
        let number = app.offer().await;
        let proxy = app.with_fault_proxy().await;
        app.telnyx_settings(json!({"insufficient_funds": true})).await;
        proxy.inject("purchases.finish.fail", moment, Fault::Silence);
        dies(&app, &number, async || proxy.injected() == 1).await;
        let again = app.purchase("owner", order_of(&number)).await;
        again.expect_problem(402, "insufficient_funds");
        assert!(app.rows().await.is_empty());
        app.telnyx_settings(json!({"insufficient_funds": false})).await;
        app.purchase("owner", order_of(&number)).await.expect(200);
        balance(&app).await;
    }
}

#[tokio::test]
async fn an_order_is_looked_up_before_it_is_placed_again_by_any_process() {
    let mut app = app().await;
    let number = app.offer().await;
    app.set("PURCHASE_ORDER_MISSING_AFTER_MS", "60000");
    app.fault(json!({"method": "POST", "path_prefix": ORDERS, "kind": "drop_before"})).await;
    app.pending_purchase(order_of(&number)).await;
    // The process that found it missing died right after recording that.
    app.sql.batch_execute("update phone_number_purchases set phase = 'intended'").await.unwrap();
    let before = app.telnyx.exchanges().len();
    app.purchase("owner", order_of(&number)).await.expect(200);
    let since = app.telnyx.exchanges().split_off(before);
    let looked = since.iter().position(|exchange| exchange.path == ORDERS && exchange.query.contains("customer_reference"));
    let ordered = since.iter().position(|exchange| exchange.path == ORDERS && exchange.method == "POST");
    assert!(looked.unwrap() < ordered.unwrap());
    balance(&app).await;
}
