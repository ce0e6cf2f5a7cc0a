//! How often a warm function waits for Postgres, counted on the wire.

use dev::fault_proxy::FaultProxy;
use lambda_http::http::Method;
use phone_numbers_assign::Assign;
use phone_numbers_list::List;
use phone_numbers_purchase::Purchase;
use phone_numbers_release::Release;
use phone_numbers_search::Search;
use serde_json::{Value, json};
use shared::lambda::{Function, Service};

use crate::api::idempotency::written;
use crate::support::actions::{assigned, balance, order_of, release_of};
use crate::support::app::{Reply, TestApp, agent, send};

/// The round trips of a call, and what it answers.
async fn counted<F: Function>(
    (app, proxy): (&TestApp, &FaultProxy),
    function: &Service<F>,
    (method, query, body): (Method, &str, Option<Value>),
) -> (usize, Reply) {
    proxy.clear_log();
    let reply = send(function, &app.token("owner"), method, query, body).await.expect(200);
    (proxy.round_trips(), reply)
}

/// The same of the second of two calls: the first one prepares the statements.
async fn warm<F: Function>(way: (&TestApp, &FaultProxy), call: (Method, &str, Option<Value>)) -> usize {
    let function = way.0.function::<F>();
    counted(way, &function, call.clone()).await;
    counted(way, &function, call).await.0
}

#[tokio::test]
async fn a_search_a_list_and_an_assignment_wait_for_the_database_once() {
    let mut app = TestApp::new().await;
    let row = assigned(&app).await;
    let proxy = app.with_fault_proxy().await;
    app.set("MAX_SEARCHES_PER_MINUTE", "100");
    let way = (&app, &proxy);
    assert_eq!(warm::<Search>(way, (Method::GET, "country_code=US&limit=1", None)).await, 1);
    assert_eq!(warm::<List>(way, (Method::GET, "include_agents=true", None)).await, 1);
    assert_eq!(warm::<Assign>(way, (Method::GET, "", None)).await, 1);
    let to = json!({"phone_number_id": row["id"], "agent_mapping_id": agent(&dev::demo::DEMO, 1)});
    assert_eq!(warm::<Assign>(way, (Method::POST, "", Some(to))).await, 1);
}

#[tokio::test]
async fn a_purchase_and_a_release_wait_for_the_database_once_for_each_state_of_a_number() {
    let mut app = TestApp::new().await;
    let numbers = app.offers("415", 2).await;
    let proxy = app.with_fault_proxy().await;
    let way = (&app, &proxy);
    let (purchase, release) = (app.function::<Purchase>(), app.function::<Release>());
    let mut round_trips = Vec::new();
    for number in &numbers {
        let (buying, bought) = counted(way, &purchase, (Method::POST, "", Some(order_of(number)))).await;
        let (releasing, _) = counted(way, &release, (Method::POST, "", Some(release_of(bought.number())))).await;
        round_trips = vec![buying, releasing];
    }
    // The caller, with what is asked about; begun, ordering, ordered, completed. The caller, with the rows; begun, deleting, completed.
    assert_eq!(round_trips, [5, 4]);
    balance(&app).await;
}

#[tokio::test]
async fn a_key_is_taken_in_the_round_trip_of_its_caller_and_kept_in_one_of_its_own() {
    let mut app = TestApp::new().await;
    let numbers = app.offers("415", 2).await;
    let proxy = app.with_fault_proxy().await;
    let (purchase, release, token) = (app.function::<Purchase>(), app.function::<Release>(), app.token("owner"));
    let mut round_trips = Vec::new();
    for number in &numbers {
        proxy.clear_log();
        let bought = written(&purchase, &token, number, &order_of(number).to_string()).await.expect(200);
        let buying = proxy.round_trips();
        proxy.clear_log();
        written(&release, &token, number, &release_of(bought.number()).to_string()).await.expect(200);
        round_trips = vec![buying, proxy.round_trips()];
    }
    assert_eq!(round_trips, [6, 5]);
    balance(&app).await;
}

#[tokio::test]
async fn a_statement_that_is_prepared_already_does_not_overtake_the_one_that_it_is_sent_behind() {
    let app = TestApp::new().await;
    let numbers = app.offers("415", 2).await;
    app.purchase("owner", order_of(&numbers[0])).await.expect(200);
    let (purchase, token) = (app.function::<Purchase>(), app.token("owner"));
    // This one is held: its row is read, and nothing completed.
    send(&purchase, &token, Method::POST, "", Some(order_of(&numbers[0]))).await.expect(200);
    let bought = send(&purchase, &token, Method::POST, "", Some(order_of(&numbers[1]))).await.expect(200);
    assert_eq!(bought.number()["status"], "active");
}

#[tokio::test]
async fn statements_without_names_need_no_round_trip_to_be_prepared() {
    let mut app = TestApp::new().await;
    app.set("DATABASE_PREPARED_STATEMENTS", "false");
    let proxy = app.with_fault_proxy().await;
    let list = app.function::<List>();
    assert_eq!(counted((&app, &proxy), &list, (Method::GET, "", None)).await.0, 1);
}

#[tokio::test]
async fn a_connection_that_may_be_dead_is_tried_in_the_round_trip_of_the_statement() {
    let mut app = TestApp::new().await;
    // A connection is trusted for ten eighths of it.
    app.set("DATABASE_TIMEOUT_MS", "800");
    let proxy = app.with_fault_proxy().await;
    let list = app.function::<List>();
    counted((&app, &proxy), &list, (Method::GET, "", None)).await;
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let (round_trips, _) = counted((&app, &proxy), &list, (Method::GET, "", None)).await;
    assert_eq!((proxy.seen()[0].name.as_str(), round_trips), ("empty", 1));
}
