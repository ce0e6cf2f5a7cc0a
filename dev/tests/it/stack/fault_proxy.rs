//! The fault proxy: its log and its faults.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use dev::fault_proxy::{Fault, FaultProxy, Moment};
use dev::listener::Listener;
use dev::loopback;
use dev::postgres::{TestDatabase, connect};
use tokio::time::timeout;
use tokio_postgres::Client;

use crate::support::app::eventually;

const NOTE: &str = "-- notes.add\ninsert into notes (text) values ($1)";
/// How long a test waits for an answer that must not come.
const A_WHILE: Duration = Duration::from_millis(200);

/// A database with one table, and two connections: through the proxy, and direct.
struct Notes {
    proxy: FaultProxy,
    through: Client,
    straight: Client,
    database: TestDatabase,
}

impl Notes {
    async fn new() -> Self {
        let database = TestDatabase::empty().await.unwrap();
        let straight = database.connect().await.unwrap();
        straight.batch_execute("create table notes (text text not null)").await.unwrap();
        let proxy = FaultProxy::new();
        let through = connect(&proxy.postgres(database.url()).await.unwrap()).await.unwrap();
        Self { proxy, through, straight, database }
    }

    async fn count(&self) -> i64 {
        self.straight.query_one("select count(*) from notes", &[]).await.unwrap().get(0)
    }

    /// Whether an advisory lock is free.
    async fn is_free(&self) -> bool {
        self.straight.query_one("select pg_try_advisory_xact_lock(7)", &[]).await.unwrap().get(0)
    }

    fn names(&self) -> Vec<String> {
        self.proxy.seen().into_iter().map(|interaction| interaction.name).collect()
    }
}

/// A server that counts requests, and its URL through a proxy.
async fn counter(proxy: &FaultProxy) -> (Listener, String, Arc<AtomicUsize>) {
    async fn count(State(asked): State<Arc<AtomicUsize>>) -> String {
        asked.fetch_add(1, Ordering::SeqCst).to_string()
    }
    let asked = Arc::new(AtomicUsize::new(0));
    let server = Listener::start(0, Router::new().fallback(count).with_state(Arc::clone(&asked))).await.unwrap();
    let url = proxy.http(&format!("{}/v2", server.url())).await.unwrap();
    (server, url, asked)
}

#[tokio::test]
async fn each_sync_with_postgres_is_counted_and_named_after_its_statement() {
    let mut notes = Notes::new().await;
    notes.through.batch_execute("SET lock_timeout = '1s'; select 1").await.unwrap();
    let add = notes.through.prepare(NOTE).await.unwrap();
    for text in ["one", "two"] {
        notes.through.execute(&add, &[&text]).await.unwrap();
    }
    let transaction = notes.through.transaction().await.unwrap();
    transaction.query("select text from notes", &[]).await.unwrap();
    transaction.commit().await.unwrap();
    let names = ["set", "prepare notes.add", "notes.add", "notes.add", "start", "prepare select", "select"];
    assert_eq!(notes.names()[..names.len()], names);
    let seen = notes.proxy.seen();
    assert!(seen.iter().enumerate().all(|(place, interaction)| interaction.index == place));
    assert!(notes.names().contains(&"commit".to_owned()));
    assert_eq!(notes.count().await, 2);

    notes.proxy.clear_log();
    assert!(notes.proxy.seen().is_empty());
    notes.through.simple_query("select 2").await.unwrap();
    assert_eq!((notes.proxy.seen()[0].index, notes.names()), (0, vec!["select".to_owned()]));
}

#[tokio::test]
async fn a_statement_with_a_fault_before_it_never_takes_effect_and_after_it_does() {
    for (moment, written) in [(Moment::Before, 0), (Moment::After, 1)] {
        let notes = Notes::new().await;
        let add = notes.through.prepare(NOTE).await.unwrap();
        notes.proxy.inject("notes.add", moment, Fault::Cut);
        let lost = notes.through.execute(&add, &[&"one"]).await.unwrap_err();
        assert!(lost.as_db_error().is_none(), "{lost}");
        assert_eq!((notes.proxy.injected(), notes.count().await), (1, written), "{moment:?}");
        assert!(notes.through.is_closed());
        let again = connect(&notes.proxy.postgres(notes.database.url()).await.unwrap()).await.unwrap();
        again.execute(NOTE, &[&"two"]).await.unwrap();
        assert_eq!(notes.count().await, written + 1, "a fault comes once");
    }
}

#[tokio::test]
async fn a_fault_finds_its_interaction_by_index() {
    let notes = Notes::new().await;
    notes.proxy.inject(2, Moment::Before, Fault::Cut);
    let add = notes.through.prepare(NOTE).await.unwrap();
    notes.through.execute(&add, &[&"one"]).await.unwrap();
    notes.through.execute(&add, &[&"two"]).await.unwrap_err();
    assert_eq!((notes.proxy.injected(), notes.count().await, notes.proxy.seen().len()), (1, 1, 3));
}

#[tokio::test]
async fn what_was_asked_ahead_of_a_fault_is_answered_and_what_comes_behind_it_is_not_asked() {
    for (moment, written) in [(Moment::Before, 1), (Moment::After, 2)] {
        let notes = Notes::new().await;
        let add = notes.through.prepare(NOTE).await.unwrap();
        notes.proxy.inject(2, moment, Fault::Cut);
        // Sent together, in the order in which they are polled.
        let outcomes = tokio::join!(
            notes.through.execute(&add, &[&"ahead"]),
            notes.through.execute(&add, &[&"faulted"]),
            notes.through.execute(&add, &[&"behind"]),
        );
        assert!(outcomes.0.is_ok() && outcomes.1.is_err() && outcomes.2.is_err(), "{outcomes:?}");
        assert_eq!((notes.count().await, notes.proxy.seen().len()), (written, 3), "{moment:?}");
    }
}

#[tokio::test]
async fn a_silent_connection_keeps_its_locks_until_the_proxy_is_reset() {
    for moment in [Moment::Before, Moment::After] {
        let notes = Notes::new().await;
        notes.through.batch_execute("begin; select pg_advisory_xact_lock(7)").await.unwrap();
        notes.proxy.inject("select", moment, Fault::Silence);
        let mut asking = std::pin::pin!(notes.through.simple_query("select 1"));
        tokio::select! {
            answer = &mut asking => panic!("{answer:?}"),
            () = eventually(async || (notes.proxy.injected() == 1).then_some(())) => {}
        }
        assert!(timeout(A_WHILE, &mut asking).await.is_err(), "nothing comes");
        assert!(!notes.is_free().await);
        notes.proxy.reset();
        asking.await.unwrap_err();
        eventually(async || notes.is_free().await.then_some(())).await;
    }
}

#[tokio::test]
async fn a_call_has_ended_when_its_connection_closes() {
    let notes = Notes::new().await;
    let called = Arc::new(AtomicBool::new(false));
    let call = Arc::clone(&called);
    let work = async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        call.store(true, Ordering::SeqCst);
    };
    notes.proxy.inject("select", Moment::Before, Fault::call(work));
    notes.through.simple_query("select 1").await.unwrap_err();
    assert!(called.load(Ordering::SeqCst));
}

#[tokio::test]
async fn connections_are_cut_and_refused_and_end_with_the_proxy() {
    let notes = Notes::new().await;
    let url = notes.proxy.postgres(notes.database.url()).await.unwrap();
    notes.proxy.accept_connections();
    notes.through.simple_query("select 1").await.unwrap();
    notes.proxy.cut_all();
    notes.through.simple_query("select 1").await.unwrap_err();
    let second = connect(&url).await.unwrap();
    notes.proxy.refuse_connections();
    second.simple_query("select 1").await.unwrap_err();
    connect(&url).await.unwrap_err();
    notes.proxy.reset();
    let third = connect(&url).await.unwrap();
    let clone = notes.proxy.clone();
    drop(notes.proxy);
    third.simple_query("select 1").await.unwrap();
    drop(clone);
    third.simple_query("select 1").await.unwrap_err();
    connect(&url).await.unwrap_err();
}

#[tokio::test]
async fn a_way_to_postgres_is_without_tls() {
    assert!(FaultProxy::new().postgres("postgres://u@127.0.0.1/db?sslmode=require").await.is_err());
}

#[tokio::test]
async fn each_exchange_of_http_is_counted_and_named_without_its_ids() {
    let proxy = FaultProxy::new();
    let (_server, url, asked) = counter(&proxy).await;
    let http = loopback::client().unwrap();
    assert_eq!(http.post(format!("{url}/number_orders")).body("{}").send().await.unwrap().text().await.unwrap(), "0");
    http.get(format!("{url}/number_orders/4e1dbf2c-6cf2-4d3b-9a8a-1f6ee8ac2a41?page=1")).send().await.unwrap();
    http.delete(format!("{url}/phone_numbers/1293384261075731499")).send().await.unwrap();
    let names: Vec<_> = proxy.seen().into_iter().map(|interaction| interaction.name).collect();
    assert_eq!(names, ["POST /v2/number_orders", "GET /v2/number_orders/{id}", "DELETE /v2/phone_numbers/{id}"]);
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn an_exchange_with_a_fault_before_it_never_takes_effect_and_after_it_does() {
    for (moment, happened) in [(Moment::Before, 0), (Moment::After, 1)] {
        let proxy = FaultProxy::new();
        let (_server, url, asked) = counter(&proxy).await;
        let http = loopback::client().unwrap();
        proxy.inject("GET /v2", moment, Fault::Cut);
        http.get(&url).send().await.unwrap_err();
        assert_eq!((proxy.injected(), asked.load(Ordering::SeqCst)), (1, happened), "{moment:?}");

        proxy.inject("GET /v2", moment, Fault::Silence);
        let asking = tokio::spawn(http.get(&url).send());
        eventually(async || (proxy.injected() == 2).then_some(())).await;
        tokio::time::sleep(A_WHILE).await;
        assert!(!asking.is_finished(), "nothing comes");
        assert_eq!(asked.load(Ordering::SeqCst), 2 * happened, "{moment:?}");
        proxy.reset();
        asking.await.unwrap().unwrap_err();
        assert!(http.get(&url).send().await.unwrap().status().is_success());
    }
}

#[tokio::test]
async fn an_exchange_takes_effect_even_if_its_client_goes_away() {
    let proxy = FaultProxy::new();
    let (_server, url, asked) = counter(&proxy).await;
    let http = loopback::client().unwrap();
    let request = tokio::spawn(http.get(&url).send());
    let client = request.abort_handle();
    proxy.inject("GET /v2", Moment::After, Fault::call(async move { client.abort() }));
    assert!(request.await.unwrap_err().is_cancelled());
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    eventually(async || (proxy.injected() == 1).then_some(())).await;
}
