//! How long the database may take: one setting, of which everything else is a share.

use std::time::{Duration, Instant};

use tokio::net::TcpListener;

use crate::support::app::TestApp;

/// Less than the shortest of the limits takes that apply when nothing is set.
const SOON: Duration = Duration::from_millis(2_500);

#[tokio::test]
async fn a_database_that_is_silent_or_locked_is_given_up_as_soon_as_it_is_said() {
    let mut app = TestApp::new().await;
    app.set("DATABASE_TIMEOUT_MS", "800");
    app.list("owner", "").await.expect(200);
    app.sql.batch_execute("begin; lock table agency_phone_numbers").await.unwrap();
    let started = Instant::now();
    app.list("owner", "").await.expect_problem(503, "unavailable");
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    app.sql.batch_execute("rollback").await.unwrap();

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    app.set("DATABASE_URL", &format!("postgres://app:hunter2@{}/app?sslmode=disable", silent.local_addr().unwrap()));
    let started = Instant::now();
    app.list("owner", "").await.expect_problem(503, "unavailable");
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
}
