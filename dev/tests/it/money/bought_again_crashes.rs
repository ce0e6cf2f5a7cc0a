//! Released numbers that are bought again, with everything that can happen to a process and its connections meanwhile.

use dev::wire::{Fault, Moment};
use futures_util::future::join_all;
use lambda_http::http::Method;
use phone_numbers_purchase::Purchase;
use serde_json::{Value, json};

use crate::money::bought_again::{archived, given_back, given_back_again, number_of, stored};
use crate::support::actions::{balance, order_of, orders_sent, unsold};
use crate::support::app::{World, eventually, send};

/// What a purchase says to Postgres until its intent is committed.
const TRANSACTION: [&str; 6] =
    ["start", "purchases.begin.lock", "purchases.begin.quota", "numbers.archive.vacate", "purchases.begin.insert", "commit"];

/// Insists that an exchange of rows has happened whole, or not at all.
async fn all_or_nothing(world: &World, old: &Value) {
    let now = stored(world, number_of(old)).await;
    let ledger = world.ledger().await.into_iter().filter(|purchase| purchase["agency_phone_number_id"] == now["id"]).count();
    assert_eq!(ledger, 1, "{now}");
    if now["id"] == old["id"] {
        assert_eq!(now, *old);
        assert!(!world.archive().await.iter().any(|kept| kept["phone_number"] == old["phone_number"]));
    } else {
        assert_eq!(now["status"], "pending");
        archived(world, old, &now).await;
    }
}

#[tokio::test]
async fn a_connection_lost_anywhere_in_the_exchange_is_replaced() {
    let mut world = World::new().await;
    let wire = world.wired().await;
    for statement in TRANSACTION {
        for moment in [Moment::Before, Moment::After] {
            let number = unsold(&world).await;
            let old = given_back_again(&world, "other_owner", &number).await;
            let (sent, begun) = (orders_sent(&world), world.ledger().await.len());
            wire.restart();
            wire.strike(statement, moment, Fault::Cut);
            let reply = world.purchase("owner", order_of(&number)).await.expect(200);
            assert_eq!((wire.struck(), reply.header("idempotent-replayed")), (1, ""), "{statement} {moment:?}");
            archived(&world, &old, &stored(&world, &number).await).await;
            assert_eq!((orders_sent(&world) - sent, world.ledger().await.len() - begun), (1, 1), "{statement} {moment:?}");
        }
    }
    balance(&world).await;
}

#[tokio::test]
async fn a_connection_lost_twice_in_the_exchange_leaves_all_or_nothing() {
    let mut world = World::new().await;
    world.set("LEASE_MS", "150");
    let wire = world.wired().await;
    for statement in TRANSACTION {
        let number = unsold(&world).await;
        let old = given_back_again(&world, "other_owner", &number).await;
        wire.restart();
        for _ in 0..2 {
            wire.strike(statement, Moment::After, Fault::Cut);
        }
        let failed = world.purchase("owner", order_of(&number)).await;
        // A commit that came through is found out by the second attempt, which has none to lose.
        let committed = statement == "commit";
        assert_eq!((failed.status, wire.struck()), if committed { (200, 1) } else { (503, 2) }, "{statement}: {failed:#?}");
        wire.heal();
        if !committed {
            all_or_nothing(&world, &old).await;
            world.purchase("owner", order_of(&number)).await.expect(200);
        }
        archived(&world, &old, &stored(&world, &number).await).await;
    }
    balance(&world).await;
}

#[tokio::test]
async fn a_process_that_goes_silent_anywhere_in_the_exchange_holds_nobody_up_for_long() {
    let silent = async |statement: &str| {
        let mut world = World::new().await;
        world.set("LEASE_MS", "150");
        let old = given_back(&world, "other_owner").await;
        let (healthy, token) = (world.function::<Purchase>(), world.token("owner"));
        // The server gives up on a transaction that does not go on after five eighths of it.
        world.set("DATABASE_TIMEOUT_MS", "800");
        let wire = world.wired().await;
        wire.strike(statement, Moment::After, Fault::Silence);
        tokio::select! {
            biased;
            () = eventually(async || (wire.struck() == 1).then_some(())) => {}
            reply = world.purchase("owner", order_of(number_of(&old))) => panic!("{statement}: {reply:#?}"),
        }
        // Its connection is still there, and so are its locks, until the server has enough.
        let bought = send(&healthy, &token, Method::POST, "", Some(order_of(number_of(&old)))).await.expect(200);
        let new = stored(&world, number_of(&old)).await;
        assert_eq!(bought.number()["id"], new["id"], "{statement}");
        archived(&world, &old, &new).await;
        assert_eq!(orders_sent(&world), 2, "{statement}");
        balance(&world).await;
    };
    join_all(TRANSACTION[1..].iter().map(|statement| silent(statement))).await;
}

#[tokio::test]
async fn a_process_that_dies_while_it_puts_a_row_back_leaves_all_or_nothing() {
    for moment in [Moment::Before, Moment::After] {
        let mut world = World::new().await;
        world.set("LEASE_MS", "150");
        let old = given_back(&world, "other_owner").await;
        let number = number_of(&old).to_owned();
        world.telnyx_settings(json!({"insufficient_funds": true})).await;
        let wire = world.wired().await;
        wire.strike("purchases.finish.fail", moment, Fault::Silence);
        tokio::select! {
            biased;
            () = eventually(async || (wire.struck() == 1).then_some(())) => {}
            reply = world.purchase("owner", order_of(&number)) => panic!("{reply:#?}"),
        }
        if moment == Moment::Before {
            all_or_nothing(&world, &old).await;
        }
        world.purchase("owner", order_of(&number)).await.expect_problem(402, "insufficient_funds");
        assert_eq!(stored(&world, &number).await, old, "{moment:?}");
        assert!(world.archive().await.is_empty());
        balance(&world).await;
    }
}
