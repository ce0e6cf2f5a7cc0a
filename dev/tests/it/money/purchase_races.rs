//! Purchases of one number by several at once: by one agency, by two that share an account, and against a release.

use std::time::Duration;

use dev::demo;
use dev::fault_proxy::{Fault, Moment};
use futures_util::future::join_all;
use lambda_http::http::Method;
use phone_numbers_purchase::Purchase;
use serde_json::json;

use crate::support::actions::{balance, order_of, order_of_all, orders_sent, release_of};
use crate::support::app::{Reply, TestApp, eventually, send};

const ORDERS: &str = "/v2/number_orders";

fn count(replies: &[Reply], status: u16) -> usize {
    replies.iter().filter(|reply| reply.status == status).count()
}

#[tokio::test]
async fn eight_requests_of_one_agency_for_one_number_are_one_purchase() {
    let app = TestApp::new().await;
    let numbers = app.offers("312", 3).await;
    for (number, kind) in numbers.iter().zip(["delay", "drop_after", "drop_before"]) {
        let sent = orders_sent(&app);
        app.fault(json!({"method": "POST", "path_prefix": ORDERS, "kind": kind, "delay_ms": 300})).await;
        let replies = join_all((0..8).map(|_| app.purchase("owner", order_of(number)))).await;
        assert_eq!(count(&replies, 200), 8, "{replies:#?}");
        let row = replies[0].number();
        assert!(replies.iter().all(|reply| reply.number()["id"] == row["id"] && reply.number()["status"] == "active"));
        let first = replies.iter().filter(|reply| reply.header("idempotent-replayed").is_empty()).count();
        assert_eq!(first, 1, "one began it, seven repeat it");
        assert_eq!(orders_sent(&app) - sent, if kind == "drop_before" { 2 } else { 1 });
        balance(&app).await;
    }
    assert_eq!(app.ledger().await.len(), 3);
}

#[tokio::test]
async fn eight_requests_within_one_instance_are_one_purchase() {
    let app = TestApp::new().await;
    let number = app.offer().await;
    let (function, token) = (app.function::<Purchase>(), app.token("owner"));
    let replies = join_all((0..8).map(|_| send(&function, &token, Method::POST, "", Some(order_of(&number))))).await;
    assert_eq!(count(&replies, 200), 8, "{replies:#?}");
    assert_eq!(orders_sent(&app), 1);
    balance(&app).await;
}

#[tokio::test]
async fn of_two_agencies_that_share_an_account_one_gets_the_number() {
    let app = TestApp::new().await;
    for number in app.offers("312", 4).await {
        let requests = (0..6).map(|index| app.purchase(if index % 2 == 0 { "owner" } else { "other_owner" }, order_of(&number)));
        let replies = join_all(requests).await;
        assert_eq!((count(&replies, 200), count(&replies, 409)), (3, 3), "{replies:#?}");
        let row = app.rows().await.into_iter().find(|row| row["phone_number"] == number).unwrap();
        for (index, reply) in replies.iter().enumerate() {
            let agency = if index % 2 == 0 { demo::DEMO } else { demo::OTHER };
            assert_eq!(reply.status == 200, row["agency_id"] == json!(agency.id));
        }
    }
    assert_eq!(orders_sent(&app), 4);
    balance(&app).await;
}

#[tokio::test]
async fn requests_for_several_numbers_that_overlap_buy_each_once() {
    let app = TestApp::new().await;
    let numbers = app.offers("312", 6).await;
    let backwards: Vec<_> = numbers.iter().rev().cloned().collect();
    let bodies = [order_of_all(&numbers), order_of_all(&backwards), order_of_all(&numbers[2..4])];
    let replies = join_all(bodies.into_iter().map(|body| app.purchase("owner", body))).await;
    assert_eq!(count(&replies, 200), 3, "{replies:#?}");
    assert_eq!((orders_sent(&app), app.rows().await.len()), (6, 6));
    balance(&app).await;
}

#[tokio::test]
async fn a_number_that_is_refused_to_the_first_can_go_to_the_second() {
    let app = TestApp::new().await;
    for number in app.offers("312", 3).await {
        app.fault(json!({"method": "POST", "path_prefix": ORDERS, "kind": "status", "status": 403, "code": "20100"})).await;
        let users = ["owner", "other_owner", "owner", "other_owner"];
        let replies = join_all(users.map(|user| app.purchase(user, order_of(&number)))).await;
        let rows = app.rows().await;
        let bought = rows.iter().filter(|row| row["phone_number"] == number).count();
        assert_eq!(bought, usize::from(count(&replies, 200) > 0), "{replies:#?}");
        for reply in &replies {
            assert!(matches!(reply.status, 200 | 402 | 409), "{reply:#?}");
        }
        balance(&app).await;
    }
}

#[tokio::test]
async fn a_process_that_lost_its_lease_writes_nothing_and_answers_with_the_outcome() {
    let mut app = TestApp::new().await;
    // A lease far shorter than any call: the processes keep taking over from each other.
    app.set("LEASE_MS", "40");
    for number in app.offers("312", 3).await {
        let sent = orders_sent(&app);
        app.fault(json!({"method": "POST", "path_prefix": ORDERS, "kind": "delay", "delay_ms": 500})).await;
        app.fault(json!({"method": "GET", "path_prefix": "/v2/phone_numbers", "kind": "delay", "delay_ms": 300})).await;
        let replies = join_all((0..6).map(|_| app.purchase("owner", order_of(&number)))).await;
        assert_eq!(count(&replies, 200), 6, "{replies:#?}");
        assert_eq!(orders_sent(&app) - sent, 1);
        balance(&app).await;
    }
}

#[tokio::test]
async fn a_process_that_sleeps_before_its_order_and_wakes_too_late_buys_nothing_twice() {
    let mut app = TestApp::new().await;
    app.set("LEASE_MS", "100");
    app.set("PURCHASE_ORDER_MISSING_AFTER_MS", "50");
    let number = app.offer().await;
    // The first process is delayed in the search before its order.
    app.fault(json!({"method": "GET", "path_prefix": "/v2/available_phone_numbers", "kind": "delay", "delay_ms": 1_200})).await;
    let searches = app.asked("GET", "/v2/available_phone_numbers");
    let second = async {
        eventually(async || (app.asked("GET", "/v2/available_phone_numbers") > searches).then_some(())).await;
        app.purchase("owner", order_of(&number)).await
    };
    let (first, second) = tokio::join!(app.purchase("owner", order_of(&number)), second);
    let (first, second) = (first.expect(200), second.expect(200));
    assert_eq!(first.number()["id"], second.number()["id"]);
    assert_eq!(orders_sent(&app), 1, "the lease fenced off the delayed process's write and order");
    balance(&app).await;
}

#[tokio::test]
async fn a_process_that_hangs_on_the_database_is_overtaken() {
    let mut app = TestApp::new().await;
    app.set("LEASE_MS", "200");
    let number = app.offer().await;
    let healthy = app.function::<Purchase>();
    // While it waits for an answer, it renews its lease over another connection.
    app.set("DATABASE_TIMEOUT_MS", "800");
    let proxy = app.with_fault_proxy().await;
    proxy.inject("purchases.order.ordering", Moment::After, Fault::Silence);
    let hung = app.purchase("owner", order_of(&number));
    let overtaking = async {
        eventually(async || (proxy.injected() == 1).then_some(())).await;
        send(&healthy, &app.token("owner"), Method::POST, "", Some(order_of(&number))).await
    };
    let (hung, overtaking) = tokio::join!(hung, overtaking);
    let row = overtaking.expect(200).number().clone();
    assert!(matches!(hung.status, 200 | 503), "{hung:#?}");
    assert_eq!(app.purchase("owner", order_of(&number)).await.expect(200).number()["id"], row["id"]);
    assert_eq!(orders_sent(&app), 1);
    balance(&app).await;
}

#[tokio::test]
async fn buying_and_releasing_at_once_ends_with_one_truth() {
    let app = TestApp::new().await;
    for number in app.offers("312", 3).await {
        let row = app.purchase("owner", order_of(&number)).await.expect(200).number().clone();
        let purchases = join_all((0..3).map(|_| app.purchase("owner", order_of(&number))));
        let (released, bought) = tokio::join!(app.release("owner", release_of(&row)), purchases);
        released.expect(200);
        balance(&app).await;
        // Requests before the release have the old row, those after it the new one.
        let rows = app.rows().await;
        let now = rows.iter().find(|row| row["phone_number"] == number).unwrap();
        for reply in &bought {
            assert!(matches!(reply.status, 200 | 409), "{reply:#?}");
            assert!(reply.status == 409 || [&row["id"], &now["id"]].contains(&&reply.number()["id"]), "{reply:#?}");
        }
        assert_eq!(now["status"], if now["id"] == row["id"] { "released" } else { "active" });
        assert_eq!(app.billed().await.contains(&number), now["id"] != row["id"]);
    }
}

#[tokio::test]
async fn giving_up_a_purchase_while_it_goes_on_never_loses_the_number() {
    let mut app = TestApp::new().await;
    app.telnyx_settings(json!({"order_delay_ms": 60})).await;
    for (index, number) in app.offers("312", 6).await.into_iter().enumerate() {
        app.set("LEASE_MS", "30");
        let path = if index % 2 == 0 { ORDERS } else { "/v2/phone_numbers" };
        app.fault(json!({"path_prefix": path, "kind": "delay", "delay_ms": 200})).await;
        let giving_up = async {
            let row = eventually(async || app.rows().await.into_iter().find(|row| row["phone_number"] == number)).await;
            for _ in 0..5 {
                tokio::time::sleep(Duration::from_millis(30)).await;
                app.release("owner", release_of(&row)).await.expect_either(200, 207);
            }
        };
        let (bought, ()) = tokio::join!(app.purchase("owner", order_of(&number)), giving_up);
        assert!(matches!(bought.status, 200 | 202 | 409), "{bought:#?}");
        balance(&app).await;
        // On a slow machine, a lease of 30 ms is lost before any purchase is finished.
        app.set("LEASE_MS", "10000");
        eventually(async || {
            let bought = app.purchase("owner", order_of(&number)).await;
            (bought.status == 200 && app.release("owner", release_of(bought.number())).await.status == 200).then_some(())
        })
        .await;
        balance(&app).await;
    }
    assert!(app.billed().await.is_empty());
}

impl Reply {
    /// Asserts one of two statuses.
    #[track_caller]
    fn expect_either(self, one: u16, other: u16) -> Self {
        assert!(self.status == one || self.status == other, "{self:#?}");
        self
    }
}
