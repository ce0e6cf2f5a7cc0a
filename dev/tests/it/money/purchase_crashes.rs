//! The end of a process at every point of a purchase, and what asking again makes of it.

use dev::wire::{Fault, Moment};
use phone_numbers_purchase::Purchase;
use serde_json::{Value, json};

use crate::support::actions::{balance, heal, order_of, orders_sent};
use crate::support::app::{World, eventually, send};

const ORDERS: &str = "/v2/number_orders";
/// Every statement of a purchase that writes, in their order.
const WRITES: [&str; 4] = ["purchases.begin.insert", "purchases.order.ordering", "purchases.order.ordered", "purchases.finish.complete"];
/// Those that read before, and after.
const READS: [&str; 2] = ["callers.authorize", "numbers.read.of_agency"];

/// A world in which a dead process is missed soon.
async fn world() -> World {
    let mut world = World::new().await;
    world.set("LEASE_MS", "150");
    world
}

/// Begins a purchase and ends its process once `there` says so: what has not happened by then never does.
pub(crate) async fn dies(world: &World, number: &str, there: impl AsyncFn() -> bool) {
    let function = world.function::<Purchase>();
    let token = world.token("owner");
    let reply = tokio::select! {
        biased;
        () = eventually(async || there().await.then_some(())) => None,
        reply = send(&function, &token, lambda_http::http::Method::POST, "", Some(order_of(number))) => Some(reply),
    };
    assert!(reply.is_none(), "it was to die before it could answer: {reply:#?}");
}

/// Asks again, as a new process.
async fn recovers(world: &World, number: &str) -> Value {
    let reply = world.purchase("owner", order_of(number)).await.expect(200);
    assert_eq!(reply.number()["status"], "active");
    let ledger = world.ledger().await;
    assert_eq!(ledger.iter().filter(|purchase| purchase["phone_number"] == number).count(), 1, "the purchase was taken up");
    balance(world).await;
    reply.number().clone()
}

#[tokio::test]
async fn a_process_that_dies_while_telnyx_works_is_replaced_by_whoever_asks_again() {
    let world = world().await;
    let calls = [
        ("GET", "/v2/available_phone_numbers"),
        ("POST", "/v2/number_orders"),
        ("GET", "/v2/number_orders/"),
        ("GET", "/v2/phone_numbers"),
    ];
    world.telnyx_settings(json!({"order_delay_ms": 60})).await;
    let numbers = world.offers("312", calls.len()).await;
    for ((method, path), number) in calls.into_iter().zip(&numbers) {
        let sent = orders_sent(&world);
        let before = world.asked(method, path);
        world.fault(json!({"method": method, "path_prefix": path, "kind": "delay", "delay_ms": 30_000})).await;
        dies(&world, number, async || world.asked(method, path) > before).await;
        recovers(&world, number).await;
        assert_eq!(orders_sent(&world) - sent, 1, "{method} {path}");
    }
}

#[tokio::test]
async fn a_process_that_dies_with_its_order_unsent_leaves_nothing_ordered() {
    let world = world().await;
    let number = world.offer().await;
    // The order is lost, and so is every attempt to find out.
    world.fault(json!({"method": "POST", "path_prefix": "/v2/number_orders", "kind": "drop_before"})).await;
    world.fault(json!({"method": "GET", "path_prefix": "/v2/number_orders", "kind": "delay", "delay_ms": 30_000})).await;
    dies(&world, &number, async || world.asked("GET", "/v2/number_orders") > 0).await;
    heal(&world).await;
    recovers(&world, &number).await;
    assert_eq!(orders_sent(&world), 2);
}

#[tokio::test]
async fn a_process_may_die_at_any_statement() {
    for statement in WRITES {
        for moment in [Moment::Before, Moment::After] {
            let mut world = world().await;
            let number = world.offer().await;
            let wire = world.wired().await;
            wire.strike(statement, moment, Fault::Silence);
            dies(&world, &number, async || wire.struck() == 1).await;
            balance(&world).await;
            recovers(&world, &number).await;
            assert_eq!(orders_sent(&world), 1, "{statement} {moment:?}");
        }
    }
}

#[tokio::test]
async fn processes_may_die_one_after_the_other_at_every_statement() {
    let mut world = world().await;
    let number = world.offer().await;
    let wire = world.wired().await;
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
        wire.strike(statement, moment, Fault::Silence);
        dies(&world, &number, async || wire.struck() == died + 1).await;
        balance(&world).await;
    }
    recovers(&world, &number).await;
    assert_eq!(orders_sent(&world), 1);
}

#[tokio::test]
async fn a_connection_lost_at_any_statement_is_replaced_without_the_caller_noticing() {
    for statement in WRITES.into_iter().chain(READS) {
        for moment in [Moment::Before, Moment::After] {
            let mut world = World::new().await;
            let number = world.offer().await;
            let wire = world.wired().await;
            wire.strike(statement, moment, Fault::Cut);
            let reply = world.purchase("owner", order_of(&number)).await.expect(200);
            assert_eq!(wire.struck(), 1, "{statement} {moment:?}");
            assert_eq!(reply.header("idempotent-replayed"), "", "{statement} {moment:?}: it is the first");
            assert_eq!((orders_sent(&world), world.ledger().await.len()), (1, 1), "{statement} {moment:?}");
            balance(&world).await;
        }
    }
}

#[tokio::test]
async fn a_database_lost_in_the_middle_is_unavailable_and_the_purchase_is_taken_up_when_it_is_back() {
    for statement in WRITES {
        let mut world = world().await;
        let number = world.offer().await;
        let wire = world.wired().await;
        // The statement and its repetition.
        for _ in 0..2 {
            wire.strike(statement, Moment::After, Fault::Cut);
        }
        let reply = world.purchase("owner", order_of(&number)).await;
        assert_eq!((wire.struck(), reply.code()), (2, "unavailable"), "{statement}: {reply:#?}");
        balance(&world).await;
        recovers(&world, &number).await;
        assert_eq!(orders_sent(&world), 1, "{statement}");
    }
}

#[tokio::test]
async fn a_refusal_that_cannot_be_noted_is_found_out_again() {
    for moment in [Moment::Before, Moment::After] {
        let mut world = world().await;
        let number = world.offer().await;
        let wire = world.wired().await;
        world.telnyx_settings(json!({"insufficient_funds": true})).await;
        wire.strike("purchases.finish.fail", moment, Fault::Silence);
        dies(&world, &number, async || wire.struck() == 1).await;
        let again = world.purchase("owner", order_of(&number)).await;
        again.expect_problem(402, "insufficient_funds");
        assert!(world.rows().await.is_empty());
        world.telnyx_settings(json!({"insufficient_funds": false})).await;
        world.purchase("owner", order_of(&number)).await.expect(200);
        balance(&world).await;
    }
}

#[tokio::test]
async fn an_order_is_looked_for_before_it_is_placed_again_even_by_somebody_who_did_not_miss_it() {
    let mut world = world().await;
    let number = world.offer().await;
    world.set("REQUEST_BUDGET_MS", "2500");
    world.set("PURCHASE_ORDER_MISSING_AFTER_MS", "60000");
    world.fault(json!({"method": "POST", "path_prefix": ORDERS, "kind": "drop_before"})).await;
    world.purchase("owner", order_of(&number)).await.expect(202);
    // Whoever found it missing died right after writing that down.
    world.sql.batch_execute("update phone_number_purchases set phase = 'intended'").await.unwrap();
    let before = world.telnyx.exchanges().len();
    world.set("REQUEST_BUDGET_MS", "8000");
    world.purchase("owner", order_of(&number)).await.expect(200);
    let since = world.telnyx.exchanges().split_off(before);
    let looked = since.iter().position(|exchange| exchange.path == ORDERS && exchange.query.contains("customer_reference"));
    let ordered = since.iter().position(|exchange| exchange.path == ORDERS && exchange.method == "POST");
    assert!(looked.unwrap() < ordered.unwrap());
    balance(&world).await;
}
