//! A pooler in transaction mode before the database: PgBouncer of Debian 12, which does not follow prepared statements.

use std::convert::Infallible;
use std::pin::pin;

use dev::fault_proxy::{Fault, Moment};
use dev::invariants::{unfinished, violations};
use dev::postgres::Pooler;
use dev::stack::Stack;
use futures_util::future::{Either, select};
use lambda_http::http::Method;
use phone_numbers_assign::Assign;
use phone_numbers_list::List;
use phone_numbers_purchase::Purchase;
use phone_numbers_release::Release;
use phone_numbers_search::Search;
use reqwest::Url;
use serde_json::{Value, json};
use tokio::io::{self, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::actions::{balance, order_of, release_of};
use crate::support::app::{TestApp, eventually, send};
use crate::support::foreign_client::ForeignClient;
use crate::support::product::{Product, json_of, request_to};

/// Does some work while a foreign client of the same pools insists, again and again, that nothing of ours is set in its sessions.
async fn beside_a_foreign_client<T>(url: &str, work: impl Future<Output = T>) -> T {
    let foreign = ForeignClient::connect(url).await.unwrap();
    let looks = async || -> Infallible {
        loop {
            foreign.look().await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let done = match select(pin!(work), pin!(looks())).await {
        Either::Left((done, _)) => done,
        Either::Right((never, _)) => match never {},
    };
    foreign.look().await.unwrap();
    done
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
    app.set("DATABASE_URL", &format!("{url}{parameters}"));
    beside_a_foreign_client(&url, async { tokio::join!(works(&app, &numbers[0]), works(&app, &numbers[1])) }).await;
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

/// A way to a pooler that behaves as PgBouncer from 1.20 does: it reports a parameter of the client as the client has sent it.
async fn repeating(url: &str) -> String {
    let (mut url, listener) = (Url::parse(url).unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let port = url.port().unwrap();
    url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let pooler = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            // It fails when a side ends the connection.
            tokio::spawn(repeat(client, pooler));
        }
    });
    url.into()
}

async fn repeat(mut client: TcpStream, mut pooler: TcpStream) -> io::Result<()> {
    let (mut start, mut answer) = (vec![0; 4096], vec![0; 65_536]);
    let length = client.read(&mut start).await?;
    pooler.write_all(&start[..length]).await?;
    let sent = after(&mut start, b"IntervalStyle=").map(|value| value[.."ISO_8601".len()].to_vec());
    let ((mut from_client, mut to_client), (mut from_pooler, mut to_pooler)) = (client.split(), pooler.split());
    let answers = async {
        loop {
            let length = from_pooler.read(&mut answer).await?;
            if length == 0 {
                return to_client.shutdown().await;
            }
            if let Some((value, sent)) = after(&mut answer[..length], b"IntervalStyle\0").zip(sent.as_ref()) {
                value[..sent.len()].copy_from_slice(sent);
            }
            to_client.write_all(&answer[..length]).await?;
        }
    };
    tokio::try_join!(io::copy(&mut from_client, &mut to_pooler), answers).map(|_| ())
}

/// What comes after a text.
fn after<'a>(bytes: &'a mut [u8], text: &[u8]) -> Option<&'a mut [u8]> {
    let position = bytes.windows(text.len()).position(|part| part == text)?;
    Some(&mut bytes[position + text.len()..])
}

#[tokio::test]
async fn functions_notice_a_pooler_that_ignores_their_options_and_repeats_one_of_them() {
    let mut app = TestApp::new().await;
    let pooler = Pooler::start(app.database.url(), 1, "ignore_startup_parameters = options", "").await.unwrap();
    let url = pooler.url(app.database.url()).unwrap();
    let foreign = ForeignClient::connect(&url).await.unwrap();
    app.set("DATABASE_URL", &repeating(&url).await);
    app.list("owner", "").await.expect(200);
    // Among others, no statement with a name is left in the session that it shares.
    foreign.look().await.unwrap();
}

/// What the processes of a stack do with a number: one process of each function.
async fn works_as_processes(stack: &Stack, http: &reqwest::Client, number: &str) {
    let ask = async |method: Method, function: &str, query: &[(&str, &str)], body: Value| {
        let request = request_to(stack, http, method, function, "owner").query(query);
        json_of(if body.is_null() { request } else { request.json(&body) }, 200).await
    };
    for _ in 0..3 {
        ask(Method::GET, "phone-numbers-search", &[("country_code", "US"), ("limit", "1")], Value::Null).await;
        let bought = ask(Method::POST, "phone-numbers-purchase", &[], order_of(number)).await;
        let row = &bought["phone_numbers"][0];
        let id = row["id"].as_str().unwrap();
        stack.run_scheduled().await.unwrap();
        ask(Method::GET, "phone-numbers-list", &[("include_agents", "true")], Value::Null).await;
        ask(Method::PATCH, "phone-numbers-assign", &[], json!({"id": id, "friendly_name": "Front desk"})).await;
        ask(Method::GET, "phone-numbers-assign", &[("id", id), ("include_history", "true")], Value::Null).await;
        ask(Method::POST, "phone-numbers-release", &[], release_of(row)).await;
    }
    stack.run_scheduled().await.unwrap();
}

#[tokio::test]
async fn two_processes_of_each_function_share_the_connections_of_a_pooler() {
    let (mut pooler, mut options) = (None, None);
    let product = Product::with(async |product| {
        let started = Pooler::start(&product.database_url, 2, "", "").await.unwrap();
        product.database_url = started.url(&product.database_url).unwrap();
        product.telnyx.settings.order_delay_ms = 0;
        product.max_processes = 1;
        (pooler, options) = (Some(started), Some(product.clone()));
    })
    .await;
    // The same product once more, with the same Telnyx.
    let mut options = options.unwrap();
    options.environment.insert("TELNYX_API_URL".to_owned(), product.stack.telnyx().url());
    let other = Stack::start(options).await.unwrap();
    let numbers = product.offers_in("415").await;
    let work = async {
        tokio::join!(works_as_processes(&product.stack, &product.http, &numbers[0]), works_as_processes(&other, &product.http, &numbers[1]))
    };
    beside_a_foreign_client(product.stack.database_url(), work).await;
    let sql = product.database.connect().await.unwrap();
    assert_eq!(violations(&sql, &product.telnyx().await).await.unwrap().all(), Vec::<String>::new());
    assert_eq!(unfinished(&sql).await.unwrap(), Vec::<String>::new());
    other.stop().await;
}

/// A pool on whose connections the names of the next statements are taken, as a foreign client leaves them. Each connection begins
/// with the statements `first`.
async fn names_taken(first: &str) -> (TestApp, Pooler) {
    let mut app = TestApp::new().await;
    // To take so many names takes time on a busy machine.
    for (name, value) in [("DATABASE_TIMEOUT_MS", "20000"), ("REQUEST_BUDGET_MS", "25000")] {
        app.set(name, value);
    }
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
