//! Connections to the database that die between two requests, and a database that is not there.

use dev::fault_proxy::FaultProxy;
use lambda_http::http::Method;
use phone_numbers_assign::Assign;
use phone_numbers_list::List;
use phone_numbers_purchase::Purchase;
use phone_numbers_release::Release;
use serde_json::json;

use crate::support::actions::{assigned, balance, order_of, order_of_all, orders_sent, release_of};
use crate::support::app::{TestApp, agent, send};

/// How an idle connection ends.
enum Death {
    /// The server ends it with a message.
    Terminated,
    /// It is closed by the network.
    Cut,
}

impl Death {
    async fn inject(&self, app: &TestApp, proxy: &FaultProxy) {
        match self {
            Self::Terminated => {
                let sql = "select pg_terminate_backend(pid) from pg_stat_activity
                           where datname = current_database() and application_name = 'phone-numbers'";
                assert!(!app.sql.query(sql, &[]).await.unwrap().is_empty());
            }
            Self::Cut => proxy.cut_all(),
        }
    }
}

#[tokio::test]
async fn connections_that_died_between_two_requests_are_replaced_without_the_caller_noticing() {
    for death in [Death::Terminated, Death::Cut] {
        let mut app = TestApp::new().await;
        let row = assigned(&app).await;
        let numbers = app.offers("415", 8).await;
        let proxy = app.with_fault_proxy().await;
        let token = app.token("owner");
        let (list, assign) = (app.function::<List>(), app.function::<Assign>());
        let (purchase, release) = (app.function::<Purchase>(), app.function::<Release>());
        let to = json!({"phone_number_id": row["id"], "agent_mapping_id": agent(&dev::demo::DEMO, 1)});
        for number in numbers.chunks(4) {
            send(&list, &token, Method::GET, "", None).await.expect(200);
            send(&assign, &token, Method::POST, "", Some(to.clone())).await.expect(200);
            // Four concurrent requests use every connection of the pool.
            send(&purchase, &token, Method::POST, "", Some(order_of_all(number))).await.expect(200);
            send(&release, &token, Method::POST, "", Some(json!({"phone_number_ids": [row["id"]], "confirm": false}))).await.expect(400);
            death.inject(&app, &proxy).await;
        }
        send(&list, &token, Method::GET, "", None).await.expect(200);
        send(&purchase, &token, Method::POST, "", Some(order_of_all(&numbers))).await.expect(200);
        send(&release, &token, Method::POST, "", Some(release_of(&row))).await.expect(200);
        assert_eq!(orders_sent(&app), 9);
        balance(&app).await;
    }
}

#[tokio::test]
async fn without_a_database_nothing_is_asked_of_telnyx() {
    let mut app = TestApp::new().await;
    let row = assigned(&app).await;
    let number = app.offers("415", 1).await.remove(0);
    let proxy = app.with_fault_proxy().await;
    let (purchase, token) = (app.function::<Purchase>(), app.token("owner"));
    send(&purchase, &token, Method::POST, "", Some(order_of("+13125550123"))).await.expect(409);
    let heard = app.telnyx.exchanges().len();
    proxy.refuse_connections();
    let again = send(&purchase, &token, Method::POST, "", Some(order_of(&number))).await;
    again.expect_problem(503, "unavailable");
    app.purchase("owner", order_of(&number)).await.expect_problem(503, "unavailable");
    app.release("owner", release_of(&row)).await.expect_problem(503, "unavailable");
    assert_eq!(app.telnyx.exchanges().len(), heard);
    proxy.accept_connections();
    send(&purchase, &token, Method::POST, "", Some(order_of(&number))).await.expect(200);
    balance(&app).await;
}

#[tokio::test]
async fn a_database_that_goes_while_telnyx_searches_keeps_the_order_from_being_placed() {
    let mut app = TestApp::new().await;
    app.set("LEASE_MS", "200");
    let number = app.offer().await;
    let proxy = app.with_fault_proxy().await;
    let searches = app.asked("GET", "/v2/available_phone_numbers");
    app.fault(json!({"method": "GET", "path_prefix": "/v2/available_phone_numbers", "kind": "delay", "delay_ms": 500})).await;
    let goes = async {
        crate::support::app::eventually(async || (app.asked("GET", "/v2/available_phone_numbers") > searches).then_some(())).await;
        proxy.refuse_connections();
    };
    let (reply, ()) = tokio::join!(app.purchase("owner", order_of(&number)), goes);
    reply.expect_problem(503, "unavailable");
    assert_eq!(orders_sent(&app), 0);
    proxy.accept_connections();
    app.purchase("owner", order_of(&number)).await.expect(200);
    assert_eq!(orders_sent(&app), 1);
    balance(&app).await;
}
