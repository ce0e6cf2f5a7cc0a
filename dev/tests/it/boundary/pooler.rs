//! A pooler in transaction mode before the database: PgBouncer of Debian 12, which does not follow prepared statements.

use std::convert::Infallible;
use std::pin::pin;

use dev::fault_proxy::{Fault, Moment};
use dev::postgres::logins::Login;
use dev::postgres::{Pooler, connect};
use futures_util::future::{Either, select, try_join_all};
use lambda_http::http::Method;
use phone_numbers_assign::Assign;
use phone_numbers_list::List;
use phone_numbers_purchase::Purchase;
use phone_numbers_release::Release;
use phone_numbers_search::Search;
use serde_json::json;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::support::actions::{balance, order_of, release_of};
use crate::support::app::{TestApp, eventually, send};

/// What a client finds set in its session.
async fn session(client: &Client) -> String {
    let sql = "select concat_ws(' ', current_setting('statement_timeout'), current_setting('lock_timeout'),
                                current_setting('idle_in_transaction_session_timeout'), current_setting('phone_numbers.actor', true))";
    let messages = client.simple_query(sql).await.unwrap();
    let row = messages.iter().find_map(|message| if let SimpleQueryMessage::Row(row) = message { Some(row) } else { None });
    row.unwrap().get(0).unwrap().trim().to_owned()
}

/// A foreign client of the same pools insists, again and again, that nothing of ours is set in its sessions.
async fn looks_around(foreign: &[Client]) -> Infallible {
    loop {
        for client in foreign {
            assert_eq!(session(client).await, "7s 5s 5s");
        }
        tokio::task::yield_now().await;
    }
}

/// What a process of each function does with a number.
async fn works(app: &TestApp, number: &str) {
    let (search, list, assign) = (app.function::<Search>(), app.function::<List>(), app.function::<Assign>());
    let (purchase, release, token) = (app.function::<Purchase>(), app.function::<Release>(), app.token("owner"));
    for _ in 0..3 {
        send(&search, &token, Method::GET, "country_code=US&limit=1", None).await.expect(200);
        let row = send(&purchase, &token, Method::POST, "", Some(order_of(number))).await.expect(200).number().clone();
        send(&list, &token, Method::GET, "include_agents=true", None).await.expect(200);
        let rename = json!({"id": row["id"], "friendly_name": "Front desk"});
        send(&assign, &token, Method::PATCH, "", Some(rename)).await.expect(200);
        send(&assign, &token, Method::GET, &format!("id={}&include_history=true", row["id"].as_str().unwrap()), None).await.expect(200);
        send(&release, &token, Method::POST, "", Some(release_of(&row))).await.expect(200);
    }
    app.reconcile().await;
}

/// Two processes of each function share pools of two connections with a foreign client.
async fn shared(settings: &str, parameters: &str) {
    let mut app = TestApp::new().await;
    let numbers = app.offers("415", 2).await;
    let pooler = Pooler::start(app.database.url(), 2, settings, "").await.unwrap();
    let url = pooler.url(app.database.url()).unwrap();
    let logins = Login::ALL.map(|login| login.url(&url).unwrap());
    let foreign = try_join_all(logins.iter().map(|url| connect(url))).await.unwrap();
    app.set("DATABASE_URL", &format!("{url}{parameters}"));
    let work = pin!(async { tokio::join!(works(&app, &numbers[0]), works(&app, &numbers[1])) });
    match select(work, pin!(looks_around(&foreign))).await {
        Either::Left(_) => {}
        Either::Right((never, _)) => match never {},
    }
    balance(&app).await;
}

#[tokio::test]
async fn functions_share_the_connections_of_a_pooler_that_they_are_told_about() {
    shared("", "&pgbouncer=true&connection_limit=1").await;
}

#[tokio::test]
async fn functions_notice_a_pooler_that_refuses_their_options() {
    shared("", "").await;
}

#[tokio::test]
async fn functions_notice_a_pooler_that_ignores_their_options() {
    shared("ignore_startup_parameters = options", "").await;
}

/// A pool on whose connections the names of the next statements are taken, as a foreign client leaves them. Each connection begins
/// with the statements `first`.
async fn names_taken(first: &str) -> (TestApp, Pooler) {
    let mut app = TestApp::new().await;
    // The names are counted through all connections of a process.
    let statement = app.sql.prepare("select name from pg_prepared_statements order by prepare_time desc limit 1").await.unwrap();
    let next: String = app.sql.query_one(&statement, &[]).await.unwrap().get(0);
    let next: u32 = next.trim_start_matches('s').parse().unwrap();
    let take =
        format!("do $$ begin for i in {next}..{} loop execute format('prepare s%s as select 1', i); end loop; end $$", next + 50_000);
    let begin = format!("connect_query='{}'", format!("{first} {take}").replace('\'', "''"));
    let pooler = Pooler::start(app.database.url(), 1, "ignore_startup_parameters = options", &begin).await.unwrap();
    let url = pooler.url(app.database.url()).unwrap();
    app.set("DATABASE_URL", &url);
    (app, pooler)
}

#[tokio::test]
async fn a_name_that_is_taken_is_an_outage_and_no_defect_of_the_function() {
    let (mut app, _pooler) = names_taken("").await;
    app.set("DATABASE_PREPARED_STATEMENTS", "true");
    app.list("owner", "").await.expect_problem(503, "unavailable");
}

#[tokio::test]
async fn a_name_that_is_taken_makes_a_pooler_known_that_nothing_else_shows() {
    // With this, options seem to have arrived.
    let (app, _pooler) = names_taken("set IntervalStyle to iso_8601;").await;
    app.list("owner", "").await.expect(200);
}

#[tokio::test]
async fn a_connection_on_which_a_transaction_was_not_answered_is_closed() {
    let mut app = TestApp::new().await;
    app.set("DATABASE_TIMEOUT_MS", "800");
    let proxy = app.with_fault_proxy().await;
    let store = app.store();
    store.rename_account("old", "new").await.unwrap();
    for statement in ["start", "reconcile.accounts.lock_findings", "reconcile.accounts.rename_findings", "commit"] {
        for moment in [Moment::Before, Moment::After] {
            proxy.inject(statement, moment, Fault::Silence);
            store.rename_account("old", "new").await.unwrap_err();
            // The next one is made over another connection, and is not a part of the transaction that was open.
            store.rename_account("old", "new").await.unwrap();
            proxy.reset();
        }
    }
    let open = "select from pg_stat_activity where datname = current_database() and application_name = 'phone-numbers' and state <> 'idle'";
    eventually(async || app.sql.query(open, &[]).await.unwrap().is_empty().then_some(())).await;
}
