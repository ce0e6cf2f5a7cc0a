//! `DATABASE_TIMEOUT_MS`: every limit on the database is a share of it.

use std::time::Duration;

use lambda_http::http::Method;
use phone_numbers_list::List;
use tokio::net::TcpListener;

use crate::support::app::{TestApp, in_virtual_time, send};

#[tokio::test]
async fn a_silent_or_locked_database_is_given_up_after_the_configured_time() {
    let mut app = TestApp::new().await;
    app.set("REQUEST_BUDGET_MS", "25000");
    app.set("DATABASE_TIMEOUT_MS", "20000");
    let patient = app.function::<List>();
    app.set("DATABASE_TIMEOUT_MS", "800");
    let impatient = app.function::<List>();
    let token = app.token("owner");
    let list = async |function| send(function, &token, Method::GET, "", None).await;
    for function in [&patient, &impatient] {
        list(function).await.expect(200);
    }
    app.sql.batch_execute("begin; lock table agency_phone_numbers").await.unwrap();
    let waiting = list(&patient);
    tokio::pin!(waiting);
    tokio::select! {
        biased;
        reply = &mut waiting => panic!("{reply:?}"),
        reply = list(&impatient) => {
            reply.expect_problem(503, "unavailable");
        }
    }
    app.sql.batch_execute("rollback").await.unwrap();
    waiting.await.expect(200);

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    app.set("DATABASE_URL", &format!("postgres://app:hunter2@{}/app?sslmode=disable", silent.local_addr().unwrap()));
    let (reply, took) = in_virtual_time(app.list("owner", "")).await;
    reply.expect_problem(503, "unavailable");
    // Less than the shortest default limit.
    assert!(took < Duration::from_millis(2_500), "{took:?}");
}
