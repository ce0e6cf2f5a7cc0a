//! Connections to the database that die between two requests, and a database that is not there.

use dev::wire::Wire;
use lambda_http::http::Method;
use phone_numbers_assign::Assign;
use phone_numbers_list::List;
use phone_numbers_purchase::Purchase;
use phone_numbers_release::Release;
use serde_json::json;

use crate::support::actions::{assigned, balance, order_of, order_of_all, orders_sent, release_of};
use crate::support::app::{World, agent, send};

/// How a connection dies while nobody looks.
enum Death {
    /// The server ends it, and says so.
    Terminated,
    /// It is closed on the way.
    Cut,
}

impl Death {
    async fn strike(&self, world: &World, wire: &Wire) {
        match self {
            Self::Terminated => {
                let sql = "select pg_terminate_backend(pid) from pg_stat_activity
                           where datname = current_database() and application_name = 'phone-numbers'";
                assert!(!world.sql.query(sql, &[]).await.unwrap().is_empty());
            }
            Self::Cut => wire.cut_all(),
        }
    }
}

#[tokio::test]
async fn connections_that_died_between_two_requests_are_replaced_without_the_caller_noticing() {
    for death in [Death::Terminated, Death::Cut] {
        let mut world = World::new().await;
        let row = assigned(&world).await;
        let numbers = world.offers("415", 8).await;
        let wire = world.wired().await;
        let token = world.token("owner");
        let (list, assign) = (world.function::<List>(), world.function::<Assign>());
        let (purchase, release) = (world.function::<Purchase>(), world.function::<Release>());
        let to = json!({"phone_number_id": row["id"], "agent_mapping_id": agent(&dev::demo::DEMO, 1)});
        for number in numbers.chunks(4) {
            send(&list, &token, Method::GET, "", None).await.expect(200);
            send(&assign, &token, Method::POST, "", Some(to.clone())).await.expect(200);
            // Four at a time take every connection of the pool.
            send(&purchase, &token, Method::POST, "", Some(order_of_all(number))).await.expect(200);
            send(&release, &token, Method::POST, "", Some(json!({"phone_number_ids": [row["id"]], "confirm": false}))).await.expect(400);
            death.strike(&world, &wire).await;
        }
        send(&list, &token, Method::GET, "", None).await.expect(200);
        send(&purchase, &token, Method::POST, "", Some(order_of_all(&numbers))).await.expect(200);
        send(&release, &token, Method::POST, "", Some(release_of(&row))).await.expect(200);
        assert_eq!(orders_sent(&world), 9);
        balance(&world).await;
    }
}

#[tokio::test]
async fn without_a_database_nothing_is_asked_of_telnyx() {
    let mut world = World::new().await;
    let row = assigned(&world).await;
    let number = world.offers("415", 1).await.remove(0);
    let wire = world.wired().await;
    let (purchase, token) = (world.function::<Purchase>(), world.token("owner"));
    send(&purchase, &token, Method::POST, "", Some(order_of("+13125550123"))).await.expect(409);
    let heard = world.telnyx.exchanges().len();
    wire.shut();
    let again = send(&purchase, &token, Method::POST, "", Some(order_of(&number))).await;
    again.expect_problem(503, "unavailable");
    world.purchase("owner", order_of(&number)).await.expect_problem(503, "unavailable");
    world.release("owner", release_of(&row)).await.expect_problem(503, "unavailable");
    assert_eq!(world.telnyx.exchanges().len(), heard);
    wire.open();
    send(&purchase, &token, Method::POST, "", Some(order_of(&number))).await.expect(200);
    balance(&world).await;
}

#[tokio::test]
async fn a_database_that_goes_while_telnyx_searches_keeps_the_order_from_being_placed() {
    let mut world = World::new().await;
    world.set("LEASE_MS", "200");
    let number = world.offer().await;
    let wire = world.wired().await;
    let searches = world.asked("GET", "/v2/available_phone_numbers");
    world.fault(json!({"method": "GET", "path_prefix": "/v2/available_phone_numbers", "kind": "delay", "delay_ms": 500})).await;
    let goes = async {
        crate::support::app::eventually(async || (world.asked("GET", "/v2/available_phone_numbers") > searches).then_some(())).await;
        wire.shut();
    };
    let (reply, ()) = tokio::join!(world.purchase("owner", order_of(&number)), goes);
    reply.expect_problem(503, "unavailable");
    assert_eq!(orders_sent(&world), 0);
    wire.open();
    world.purchase("owner", order_of(&number)).await.expect(200);
    assert_eq!(orders_sent(&world), 1);
    balance(&world).await;
}
