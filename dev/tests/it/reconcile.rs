//! The schedule: it finishes abandoned work of every kind, in bounded runs.

mod account_names;
mod findings;
mod findings_of_work;
mod moved_numbers;
mod nothing_forever;
mod reconcile_backfill;
mod reconcile_closing;
mod reconcile_fairness;
pub(crate) mod reconcile_inventory;
mod reconcile_locks;
mod reconcile_missing;
mod reconcile_retention;
mod reconcile_strangers;
mod reconcile_walks;
mod reconcile_webhook;
mod reconcile_windows;
mod whose_key;
mod whose_number;

use dev::demo;
use dev::fault_proxy::{Fault, Moment};
use dev::invariants::unfinished;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::money::purchase_crashes;
use crate::money::release_failures;
use crate::support::actions::{assigned, balance, clear_faults, decide, order_of, order_of_all, orders_sent, release_of};
use crate::support::app::{Reply, TestApp, event, eventually};

const ORDERS: &str = "/v2/number_orders";
const INVENTORY: &str = "/v2/phone_numbers";

/// An app with short leases, so that the work of a dead process is soon taken over.
async fn app() -> TestApp {
    let mut app = TestApp::new().await;
    app.set("LEASE_MS", "150");
    app
}

/// Waits until every lease has expired.
pub(crate) async fn leases_run_out(app: &TestApp) {
    let held = "\
select exists (select from phone_number_purchases where leased_until > now())
    or exists (select from phone_number_releases where leased_until > now())
    or exists (select from phone_number_inventory_walks where leased_until > now()) as held";
    eventually(async || (!app.sql.query_one(held, &[]).await.unwrap().get::<_, bool>("held")).then_some(())).await;
}

/// Runs the schedule until nothing is unfinished. Returns the number of runs.
async fn finished(app: &TestApp) -> usize {
    let mut runs = 0;
    eventually(async || {
        leases_run_out(app).await;
        app.reconcile().await;
        runs += 1;
        unfinished(&app.sql).await.unwrap().is_empty().then_some(())
    })
    .await;
    balance(app).await;
    runs
}

/// Buys numbers, then resets the database to the state right after their orders.
async fn ordered(app: &TestApp, numbers: &[String]) {
    for numbers in numbers.chunks(10) {
        app.purchase("owner", order_of_all(numbers)).await.expect(200);
    }
    let forget = "\
update phone_number_purchases set phase = 'ordered', completed_at = null, telnyx_phone_number_id = null;
update agency_phone_numbers set status = 'pending', phone_number_id = null, purchased_at = null;";
    app.execute(forget).await;
}

/// How many purchases are in a phase.
async fn in_phase(app: &TestApp, phase: &str) -> usize {
    app.ledger().await.iter().filter(|purchase| purchase["phase"] == phase).count()
}

#[tokio::test]
async fn whatever_a_dead_process_has_left_of_a_purchase_is_finished_with_one_order() {
    for (statement, moment) in [
        ("purchases.order.ordering", Moment::Before),
        ("purchases.order.ordering", Moment::After),
        ("purchases.order.ordered", Moment::Before),
        ("purchases.order.ordered", Moment::After),
        ("purchases.finish.complete", Moment::Before),
    ] {
        let mut app = app().await;
        let number = app.offer().await;
        let proxy = app.with_fault_proxy().await;
        proxy.inject(statement, moment, Fault::Silence);
        purchase_crashes::dies(&app, &number, async || proxy.injected() == 1).await;
        finished(&app).await;
        let (row, purchase) = (&app.rows().await[0], &app.ledger().await[0]);
        assert_eq!((&row["status"], &purchase["phase"]), (&json!("active"), &json!("completed")), "{statement} {moment:?}");
        assert_eq!(row["phone_number_id"], purchase["telnyx_phone_number_id"]);
        assert_eq!(orders_sent(&app), 1, "{statement} {moment:?}");
        let history = app.history(row).await;
        assert_eq!((history.len(), &history[0]["event"], &history[0]["actor"]), (1, &json!("bought"), &purchase["caller_id"]));
    }
}

#[tokio::test]
async fn an_order_whose_answer_is_lost_is_looked_for_before_another_is_placed() {
    for (kind, orders) in [("drop_after", 1), ("drop_before", 2)] {
        let app = app().await;
        let number = app.offer().await;
        app.fault(json!({"method": "POST", "path_prefix": ORDERS, "kind": kind})).await;
        app.fault(json!({"method": "GET", "path_prefix": ORDERS, "kind": "delay", "delay_ms": 30_000})).await;
        purchase_crashes::dies(&app, &number, async || app.asked("GET", ORDERS) == 1).await;
        clear_faults(&app).await;
        assert_eq!(in_phase(&app, "ordering").await, 1);
        finished(&app).await;
        assert_eq!(orders_sent(&app), orders, "{kind}");
        assert_eq!(app.rows().await[0]["status"], "active");
    }
}

#[tokio::test]
async fn a_purchase_that_was_answered_as_pending_is_finished_when_telnyx_is() {
    let mut app = app().await;
    let number = app.offer().await;
    app.telnyx_settings(json!({"order_outcome": "never"})).await;
    let row = app.pending_purchase(order_of(&number)).await.number().clone();
    app.reconcile().await;
    assert_eq!(app.now(&row).await["status"], "pending");
    decide(&app, "success").await;
    app.reconcile().await;
    assert_eq!(app.now(&row).await["status"], "active");
    assert_eq!(orders_sent(&app), 1);
    balance(&app).await;
}

#[tokio::test]
async fn an_order_that_fails_takes_the_row_with_it_and_puts_back_the_one_before() {
    let app = app().await;
    let before = assigned(&app).await;
    app.release("owner", release_of(&before)).await.expect(200);
    let before = app.now(&before).await;
    let number = before["phone_number"].as_str().unwrap();
    app.telnyx_settings(json!({"order_outcome": "never"})).await;
    purchase_crashes::dies(&app, number, async || in_phase(&app, "ordered").await == 1).await;
    decide(&app, "failure").await;
    finished(&app).await;
    assert_eq!(app.rows().await, [before]);
    let purchases = app.ledger().await;
    assert_eq!((&purchases[1]["phase"], &purchases[1]["failure_code"]), (&json!("failed"), &json!("number_unavailable")));
    assert!(app.billed().await.is_empty());
}

#[tokio::test]
async fn a_release_that_stopped_half_way_is_carried_through() {
    for (statement, moment) in [("releases.begin.insert", Moment::After), ("releases.finish.complete", Moment::Before)] {
        let mut app = app().await;
        let row = assigned(&app).await;
        let proxy = app.with_fault_proxy().await;
        proxy.inject(statement, moment, Fault::Silence);
        release_failures::dies(&app, &row, async || proxy.injected() == 1).await;
        assert_eq!(app.now(&row).await["status"], "inactive");
        finished(&app).await;
        assert_eq!(app.now(&row).await["status"], "released", "{statement} {moment:?}");
        assert!(app.billed().await.is_empty());
        let history = app.history(&row).await;
        assert_eq!(history.last().unwrap()["event"], "released");
        assert_eq!(history.last().unwrap()["actor"], history[0]["actor"], "by whom it was asked for");
    }
}

#[tokio::test]
async fn what_somebody_works_on_is_left_alone() {
    let app = app().await;
    let number = app.offer().await;
    ordered(&app, std::slice::from_ref(&number)).await;
    let hold = "update phone_number_purchases set lease_token = uuid_generate_v4(), leased_until = now() + interval '1 hour'";
    app.execute(hold).await;
    let ledger = app.ledger().await;
    app.reconcile().await;
    assert_eq!(app.ledger().await, ledger);
    app.execute("update phone_number_purchases set leased_until = now() - interval '1 second'").await;
    app.reconcile().await;
    assert_eq!(in_phase(&app, "completed").await, 1);

    let row = &app.rows().await[0];
    app.fault(json!({"method": "DELETE", "path_prefix": INVENTORY, "kind": "status", "status": 500, "times": 100})).await;
    release_failures::dies(&app, row, async || app.asked("DELETE", INVENTORY) > 0).await;
    clear_faults(&app).await;
    app.execute("update phone_number_releases set leased_until = now() + interval '1 hour'").await;
    let deletions = app.asked("DELETE", INVENTORY);
    app.reconcile().await;
    assert_eq!((app.asked("DELETE", INVENTORY), &app.now(row).await["status"]), (deletions, &json!("inactive")));
    app.execute("update phone_number_releases set leased_until = now() - interval '1 second'").await;
    app.reconcile().await;
    assert_eq!(app.now(row).await["status"], "released");
    balance(&app).await;
}

#[tokio::test]
async fn a_purchase_that_goes_on_meanwhile_is_not_disturbed() {
    let app = TestApp::new().await;
    let number = app.offer().await;
    app.fault(json!({"method": "POST", "path_prefix": ORDERS, "kind": "delay", "delay_ms": 800})).await;
    let runs = async {
        eventually(async || (orders_sent(&app) == 1).then_some(())).await;
        join_all((0..3).map(|_| app.reconcile())).await;
    };
    let (bought, ()) = tokio::join!(app.purchase("owner", order_of(&number)), runs);
    assert_eq!(bought.expect(200).header("idempotent-replayed"), "");
    assert_eq!((orders_sent(&app), app.findings().await), (1, Vec::new()));
    balance(&app).await;
}

#[tokio::test]
async fn while_buying_is_switched_off_nothing_is_ordered_and_what_is_ordered_is_finished() {
    let mut app = app().await;
    let numbers = app.offers("312", 2).await;
    ordered(&app, &numbers[..1]).await;
    let proxy = app.with_fault_proxy().await;
    proxy.inject("purchases.order.ordering", Moment::Before, Fault::Silence);
    purchase_crashes::dies(&app, &numbers[1], async || proxy.injected() == 1).await;
    leases_run_out(&app).await;
    app.set("PURCHASES_ENABLED", "false");
    app.reconcile().await;
    app.reconcile().await;
    assert_eq!((in_phase(&app, "completed").await, in_phase(&app, "intended").await, orders_sent(&app)), (1, 1, 1));
    app.set("PURCHASES_ENABLED", "true");
    finished(&app).await;
    assert_eq!((in_phase(&app, "completed").await, orders_sent(&app)), (2, 2));
}

#[tokio::test]
async fn a_run_begins_nothing_that_it_has_no_time_for_and_the_next_goes_on() {
    let mut app = app().await;
    let numbers = app.offers("312", 9).await;
    ordered(&app, &numbers).await;
    app.set("REQUEST_BUDGET_MS", "2000");
    // Purchases have three tenths of those two seconds, in which one batch of four begins.
    app.fault(json!({"method": "GET", "path_prefix": ORDERS, "kind": "delay", "delay_ms": 700, "times": 1_000})).await;
    app.reconcile().await;
    assert!(in_phase(&app, "completed").await <= 4);
    clear_faults(&app).await;
    finished(&app).await;
    assert_eq!(in_phase(&app, "completed").await, 9);
}

#[tokio::test]
async fn a_run_ends_by_its_deadline_though_telnyx_hangs() {
    let mut app = app().await;
    let number = app.offer().await;
    ordered(&app, &[number]).await;
    app.set("REQUEST_BUDGET_MS", "300");
    app.set("TELNYX_TIMEOUT_MS", "600000");
    app.fault(json!({"method": "GET", "path_prefix": ORDERS, "kind": "delay", "delay_ms": 600_000})).await;
    let asked = app.asked("GET", ORDERS);
    // If the run waited for Telnyx, the look-up would be answered and the purchase completed.
    app.reconcile().await;
    assert_eq!((app.asked("GET", ORDERS) - asked, in_phase(&app, "ordered").await), (1, 1));
    app.set("REQUEST_BUDGET_MS", "8000");
    finished(&app).await;
}

#[tokio::test]
async fn what_an_agency_was_buying_that_is_gone_is_brought_to_its_end() {
    let mut app = app().await;
    let numbers = app.offers("312", 2).await;
    app.telnyx_settings(json!({"order_outcome": "never"})).await;
    purchase_crashes::dies(&app, &numbers[0], async || in_phase(&app, "ordered").await == 1).await;
    let proxy = app.with_fault_proxy().await;
    proxy.inject("purchases.order.ordering", Moment::Before, Fault::Silence);
    purchase_crashes::dies(&app, &numbers[1], async || proxy.injected() == 1).await;
    app.execute(&format!("delete from agencies where id = '{}'", demo::DEMO.id)).await;
    decide(&app, "success").await;
    eventually(async || {
        leases_run_out(&app).await;
        app.reconcile().await;
        unfinished(&app.sql).await.unwrap().is_empty().then_some(())
    })
    .await;
    let phases: Vec<_> = app.ledger().await.iter().map(|purchase| purchase["phase"].clone()).collect();
    assert_eq!((phases, orders_sent(&app)), (vec![json!("completed"), json!("failed")], 1), "nothing is ordered for a deleted agency");
    app.reconcile().await;
    let findings = app.findings().await;
    assert_eq!((findings.len(), &findings[0]["kind"], &findings[0]["phone_number"]), (1, &json!("agency_gone"), &json!(numbers[0])));
    assert_eq!((app.billed().await, app.asked("DELETE", INVENTORY)), (vec![numbers[0].clone()], 0));
}

#[tokio::test]
async fn runs_at_once_do_what_one_does() {
    let app = app().await;
    let numbers = app.offers("312", 4).await;
    for number in &numbers {
        app.fault(json!({"method": "POST", "path_prefix": ORDERS, "kind": "drop_after"})).await;
        app.fault(json!({"method": "GET", "path_prefix": ORDERS, "kind": "delay", "delay_ms": 30_000})).await;
        let looked = app.asked("GET", ORDERS);
        purchase_crashes::dies(&app, number, async || app.asked("GET", ORDERS) > looked).await;
    }
    clear_faults(&app).await;
    eventually(async || {
        leases_run_out(&app).await;
        join_all((0..4).map(|_| app.reconcile())).await;
        unfinished(&app.sql).await.unwrap().is_empty().then_some(())
    })
    .await;
    assert_eq!((orders_sent(&app), in_phase(&app, "completed").await), (4, 4));
    for row in &app.rows().await {
        assert_eq!(app.history(row).await.len(), 1);
    }
    balance(&app).await;
}

/// Invokes the function like `EventBridge` on a schedule.
fn schedule() -> Value {
    json!({
        "version": "0",
        "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "123456789012",
        "time": "2026-01-01T00:00:00Z",
        "region": "eu-central-1",
        "resources": ["arn:aws:events:eu-central-1:123456789012:rule/reconcile"],
        "detail": {},
    })
}

#[tokio::test]
async fn an_event_of_the_schedule_is_a_run_and_one_of_the_gateway_a_webhook() {
    let mut app = app().await;
    let number = app.offer().await;
    ordered(&app, &[number]).await;
    let reconciler = app.reconciler();
    let webhook = json!({
        "version": "2.0",
        "routeKey": "ANY /phone-numbers-reconcile",
        "rawPath": "/phone-numbers-reconcile",
        "rawQueryString": "",
        "headers": {"content-type": "application/json", "host": "api.example.com"},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api",
            "domainName": "api.example.com",
            "domainPrefix": "api",
            "http": {
                "method": "POST", "path": "/phone-numbers-reconcile", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "x"
            },
            "requestId": "a-request",
            "routeKey": "ANY /phone-numbers-reconcile",
            "stage": "$default",
            "time": "01/Jan/2026:00:00:00 +0000",
            "timeEpoch": 1_767_225_600_000_u64,
        },
        "body": "{}",
        "isBase64Encoded": false,
    });
    let answer = reconciler.handle(event(&webhook)).await.unwrap().unwrap();
    Reply::to_event(&answer).expect_problem(503, "unavailable");
    assert_eq!(in_phase(&app, "completed").await, 0, "a webhook that is refused does nothing");
    assert!(reconciler.handle(event(&schedule())).await.unwrap().is_none());
    assert_eq!(in_phase(&app, "completed").await, 1);

    app.set("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none?sslmode=disable");
    app.set("DATABASE_TIMEOUT_MS", "400");
    assert!(app.reconciler().handle(event(&schedule())).await.is_err(), "the runtime counts it as an error");
}
