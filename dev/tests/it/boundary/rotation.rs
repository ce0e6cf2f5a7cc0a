//! Credentials that are changed while functions run: the database's, Telnyx's and the tokens'.

use std::cell::Cell;
use std::time::Duration;

use dev::demo;
use dev::secrets_manager::{SecretResponse, SecretsManager};
use dev::token::Issuer;
use futures_util::future::join_all;
use lambda_http::http::Method;
use phone_numbers_list::List;
use phone_numbers_purchase::Purchase;
use phone_numbers_release::Release;
use phone_numbers_search::Search;
use reqwest::Url;
use serde_json::json;
use shared::lambda::Service;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use uuid::Uuid;

use crate::api::keys::pass;
use crate::boundary::secrets::{PLATFORM, secrets_manager};
use crate::support::actions::{balance, order_of, order_of_all, orders_sent, release_of};
use crate::support::app::{TestApp, eventually, in_virtual_time, send};

const DATABASE: &str = "the database";
const TOKENS: &str = "the tokens";
const SEARCH: &str = "country_code=US&area_code=312&limit=5";
/// Longer than the pause after a read without success.
const A_WHILE: Duration = Duration::from_secs(4);

/// A database role of one test. The functions log in as it with the secret.
pub(crate) struct Role {
    name: String,
}

impl Role {
    pub(crate) async fn create(app: &TestApp, password: &str) -> Self {
        let name = format!("app_{}", Uuid::new_v4().simple());
        app.sql.batch_execute(&format!("create role {name} login in role current_user")).await.unwrap();
        let role = Self { name };
        role.set_password(app, password).await;
        role
    }

    pub(crate) async fn set_password(&self, app: &TestApp, password: &str) {
        let password = password.replace('\'', "''");
        app.sql.batch_execute(&format!("alter role {} password '{password}'", self.name)).await.unwrap();
    }

    /// Ends its connections.
    pub(crate) async fn disconnect(&self, app: &TestApp) {
        let sql = "select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = $1";
        let ended: i64 = app.sql.query_one(sql, &[&self.name]).await.unwrap().get(0);
        assert!(ended > 0, "there was no connection");
    }

    /// The secret of its login, in the format of RDS.
    pub(crate) fn secret(&self, app: &TestApp, password: &str) -> String {
        let url = Url::parse(app.database.url()).unwrap();
        let name = url.path().trim_start_matches('/');
        json!({
            "username": self.name,
            "password": password,
            "engine": "postgres",
            "host": url.host_str(),
            "port": url.port().unwrap_or(5432),
            "dbname": name,
            "dbInstanceIdentifier": "phone-numbers",
        })
        .to_string()
    }

    pub(crate) async fn drop(self, app: &TestApp) {
        app.sql.batch_execute(&format!("drop role {}", self.name)).await.unwrap();
    }
}

/// An app whose functions log in as a role of the test, with the password `first`.
async fn app_with_role() -> (TestApp, SecretsManager, Role) {
    let mut app = TestApp::new().await;
    let manager = secrets_manager(&mut app).await;
    manager.set_text(PLATFORM, app.telnyx.api_key());
    let role = Role::create(&app, "first").await;
    manager.set_text(DATABASE, &role.secret(&app, "first"));
    for (name, value) in [("DATABASE_URL", ""), ("DATABASE_SECRET_ID", DATABASE), ("DATABASE_SSLMODE", "disable")] {
        app.set(name, value);
    }
    (app, manager, role)
}

async fn list(app: &TestApp, function: &Service<List>) -> u16 {
    send(function, &app.token("owner"), Method::GET, "", None).await.status
}

async fn lists(app: &TestApp, function: &Service<List>, count: usize) -> Vec<u16> {
    join_all((0..count).map(|_| list(app, function))).await
}

#[tokio::test]
async fn a_password_rotated_while_requests_are_under_way_costs_one_read_and_no_failed_request() {
    let (app, manager, role) = app_with_role().await;
    let function = app.function::<List>();
    let (answered, rotated) = (Cell::new(0), Cell::new(false));
    let requests = async {
        while !rotated.get() {
            assert_eq!(lists(&app, &function, 4).await, [200; 4]);
            answered.set(answered.get() + 4);
        }
    };
    let some_more = async || {
        let before = answered.get();
        eventually(async || (answered.get() >= before + 12).then_some(())).await;
    };
    let rotations = async {
        for password in ["second", "third"] {
            some_more().await;
            let reads = manager.reads(DATABASE);
            manager.set_text(DATABASE, &role.secret(&app, password));
            role.set_password(&app, password).await;
            some_more().await;
            assert_eq!(manager.reads(DATABASE), reads, "open connections still work");
            role.disconnect(&app).await;
            some_more().await;
            assert_eq!(manager.reads(DATABASE), reads + 1);
        }
        rotated.set(true);
    };
    tokio::join!(requests, rotations);
    assert_eq!(manager.reads(DATABASE), 3);
    role.drop(&app).await;
}

#[tokio::test]
async fn a_purchase_goes_on_with_a_rotated_password() {
    let (app, manager, role) = app_with_role().await;
    let numbers = app.offers("312", 4).await;
    let function = app.function::<Purchase>();
    let searches = app.asked("GET", "/v2/available_phone_numbers");
    app.fault(json!({"path_prefix": "/v2/available_phone_numbers", "kind": "delay", "delay_ms": 500, "times": 4})).await;
    let token = app.token("owner");
    let buys = send(&function, &token, Method::POST, "", Some(order_of_all(&numbers)));
    let rotates = async {
        eventually(async || (app.asked("GET", "/v2/available_phone_numbers") == searches + 4).then_some(())).await;
        manager.set_text(DATABASE, &role.secret(&app, "second"));
        role.set_password(&app, "second").await;
        role.disconnect(&app).await;
    };
    let reads = manager.reads(DATABASE);
    let (reply, ()) = tokio::join!(buys, rotates);
    reply.expect(200);
    assert_eq!((orders_sent(&app), manager.reads(DATABASE) - reads), (4, 2));
    balance(&app).await;
    role.drop(&app).await;
}

#[tokio::test]
async fn while_the_secret_lags_behind_new_connections_fail_and_then_all_is_well() {
    let (app, manager, role) = app_with_role().await;
    let function = app.function::<List>();
    assert_eq!(list(&app, &function).await, 200);
    role.set_password(&app, "second").await;
    assert_eq!((list(&app, &function).await, manager.reads(DATABASE)), (200, 1), "an open connection still works");
    role.disconnect(&app).await;
    for _ in 0..3 {
        send(&function, &app.token("owner"), Method::GET, "", None).await.expect_problem(503, "unavailable");
    }
    assert_eq!(manager.reads(DATABASE), 2);
    manager.set_text(DATABASE, &role.secret(&app, "second"));
    pass(A_WHILE).await;
    assert_eq!(lists(&app, &function, 4).await, [200; 4]);
    assert_eq!(manager.reads(DATABASE), 3);
    role.drop(&app).await;
}

#[tokio::test]
async fn a_password_that_is_really_wrong_is_not_read_again_and_again() {
    let (app, manager, role) = app_with_role().await;
    manager.set_text(DATABASE, &role.secret(&app, "wrong"));
    let function = app.function::<List>();
    for reads in 2..5 {
        assert_eq!(lists(&app, &function, 8).await, [503; 8]);
        assert_eq!(manager.reads(DATABASE), reads);
        pass(A_WHILE).await;
    }
    role.drop(&app).await;
}

#[tokio::test]
async fn a_login_may_change_to_another_role_and_back() {
    let (app, manager, role) = app_with_role().await;
    let other = Role::create(&app, "other").await;
    let function = app.function::<List>();
    assert_eq!(list(&app, &function).await, 200);
    for (old, new, password) in [(&role, &other, "other"), (&other, &role, "first")] {
        manager.set_text(DATABASE, &new.secret(&app, password));
        app.sql.batch_execute(&format!("alter role {} nologin; alter role {} login", old.name, new.name)).await.unwrap();
        old.disconnect(&app).await;
        assert_eq!(list(&app, &function).await, 200);
    }
    assert_eq!(manager.reads(DATABASE), 3);
    role.drop(&app).await;
    other.drop(&app).await;
}

#[tokio::test]
async fn a_password_may_be_anything() {
    let (app, manager, role) = app_with_role().await;
    for password in ["p@ss/w:rd?#[]%25 &=+", "%41", "'; drop table agencies; --", "\"\\{}$1", "pässwörd 🔑"] {
        role.set_password(&app, password).await;
        manager.set_text(DATABASE, &role.secret(&app, password));
        app.list("owner", "").await.expect(200);
    }
    role.drop(&app).await;
}

#[tokio::test]
async fn a_database_that_moved_is_found_when_the_secrets_time_is_over() {
    let (mut app, manager, role) = app_with_role().await;
    // No server listens on this port, which was just released.
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let right = role.secret(&app, "first");
    let mut wrong: serde_json::Value = serde_json::from_str(&right).unwrap();
    wrong["port"] = json!(port);
    manager.set_text(DATABASE, &wrong.to_string());
    app.set("SECRETS_TTL_MS", "60000");
    let function = app.function::<List>();
    assert_eq!(list(&app, &function).await, 503);
    manager.set_text(DATABASE, &right);
    assert_eq!((list(&app, &function).await, manager.reads(DATABASE)), (503, 1));
    pass(Duration::from_secs(61)).await;
    assert_eq!((list(&app, &function).await, manager.reads(DATABASE)), (200, 2));
    role.drop(&app).await;
}

/// A proxy before the database that refuses one user like pgbouncer.
async fn pooler_that_refuses(app: &TestApp, user: String) -> (u16, AbortHandle) {
    const REFUSAL: &[u8] = b"E\0\0\0\x36SFATAL\0VFATAL\0C08P01\0MSASL authentication failed\0\0";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let database = Url::parse(app.database.url()).unwrap().port().unwrap_or(5432);
    let task = tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut first = vec![0; 4096];
            let count = client.read(&mut first).await.unwrap();
            if first[..count].windows(user.len()).any(|window| window == user.as_bytes()) {
                client.write_all(REFUSAL).await.unwrap();
                continue;
            }
            tokio::spawn(async move {
                let mut server = TcpStream::connect(("127.0.0.1", database)).await.unwrap();
                server.write_all(&first[..count]).await.unwrap();
                tokio::io::copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    (port, task.abort_handle())
}

#[tokio::test]
async fn a_poolers_own_refusal_is_recognised() {
    let (mut app, manager, role) = app_with_role().await;
    let other = Role::create(&app, "other").await;
    let (port, pooler) = pooler_that_refuses(&app, role.name.clone()).await;
    // The settings of host and port override the secret.
    app.set("DATABASE_PORT", &port.to_string());
    let function = app.function::<List>();
    assert_eq!((list(&app, &function).await, manager.reads(DATABASE)), (503, 2));
    pass(A_WHILE).await;
    manager.set_text(DATABASE, &other.secret(&app, "other"));
    assert_eq!((list(&app, &function).await, manager.reads(DATABASE)), (200, 3));
    pooler.abort();
    role.drop(&app).await;
    other.drop(&app).await;
}

/// An app with the platform's key `KEYFIRST`.
async fn world_with_key() -> (TestApp, SecretsManager) {
    let mut app = TestApp::new().await;
    let manager = secrets_manager(&mut app).await;
    app.telnyx_settings(json!({"accounts": {"the platform": "KEYFIRST"}})).await;
    manager.set_text(PLATFORM, "{\"api_key\": \"KEYFIRST\"}");
    (app, manager)
}

/// Makes this the only valid key at Telnyx.
async fn rotate_key(app: &TestApp, manager: &SecretsManager, key: &str) {
    app.telnyx_settings(json!({"accounts": {"the platform": key}})).await;
    manager.set_text(PLATFORM, &json!({ "api_key": key }).to_string());
}

/// How many requests Telnyx answered 401.
fn refused(app: &TestApp) -> usize {
    app.telnyx.exchanges().iter().filter(|exchange| exchange.status == Some(401)).count()
}

#[tokio::test]
async fn a_rotated_key_costs_one_call_one_read_and_no_failed_request() {
    let (app, manager) = world_with_key().await;
    let (function, token) = (app.function::<Search>(), app.token("owner"));
    let search = async || send(&function, &token, Method::GET, SEARCH, None).await.status;
    assert_eq!(search().await, 200);
    for (rotations, key) in [(1, "KEYSECOND"), (2, "KEYTHIRD")] {
        rotate_key(&app, &manager, key).await;
        for _ in 0..3 {
            assert_eq!(search().await, 200);
        }
        assert_eq!((refused(&app), manager.reads(PLATFORM)), (rotations, 1 + rotations));
    }
}

#[tokio::test]
async fn concurrent_calls_with_a_rotated_key_read_it_once() {
    let (app, manager) = world_with_key().await;
    let (function, token) = (app.function::<Search>(), app.token("owner"));
    let search = async || send(&function, &token, Method::GET, SEARCH, None).await.status;
    assert_eq!(search().await, 200);
    rotate_key(&app, &manager, "KEYSECOND").await;
    assert_eq!(join_all((0..8).map(|_| search())).await, [200; 8]);
    assert_eq!(manager.reads(PLATFORM), 2);
}

#[tokio::test]
async fn an_order_refused_for_its_key_is_placed_once_with_the_new_one() {
    let (app, manager) = world_with_key().await;
    let number = app.offer().await;
    let (function, token) = (app.function::<Purchase>(), app.token("owner"));
    let searches = app.asked("GET", "/v2/available_phone_numbers");
    // Answered with the old key, but late: the order is what meets the new one.
    app.fault(json!({"path_prefix": "/v2/available_phone_numbers", "kind": "delay", "delay_ms": 500})).await;
    let buys = send(&function, &token, Method::POST, "", Some(order_of(&number)));
    let rotates = async {
        eventually(async || (app.asked("GET", "/v2/available_phone_numbers") > searches).then_some(())).await;
        rotate_key(&app, &manager, "KEYSECOND").await;
    };
    let (reply, ()) = tokio::join!(buys, rotates);
    let row = reply.expect(200).number().clone();
    let orders: Vec<_> = app.telnyx.exchanges().into_iter().filter(|exchange| exchange.method == "POST").collect();
    assert_eq!(orders.iter().map(|order| order.status).collect::<Vec<_>>(), [Some(401), Some(200)]);
    assert_eq!(orders[0].request_body, orders[1].request_body);
    assert_eq!((refused(&app), app.billed().await.len()), (1, 1));
    balance(&app).await;

    let (function, reads) = (app.function::<Release>(), manager.reads(PLATFORM));
    function.warm().await;
    rotate_key(&app, &manager, "KEYTHIRD").await;
    send(&function, &token, Method::POST, "", Some(release_of(&row))).await.expect(200);
    assert_eq!((refused(&app), manager.reads(PLATFORM) - reads), (2, 2));
    balance(&app).await;
}

#[tokio::test]
async fn a_wrong_key_is_reported_as_telnyxs_failure_and_not_read_repeatedly() {
    let (app, manager) = world_with_key().await;
    manager.set_text(PLATFORM, "KEYWRONG");
    let (search, purchase, token) = (app.function::<Search>(), app.function::<Purchase>(), app.token("owner"));
    for reads in 2..4 {
        for _ in 0..5 {
            send(&search, &token, Method::GET, SEARCH, None).await.expect_problem(502, "upstream_error");
        }
        assert_eq!(manager.reads(PLATFORM), reads);
        pass(A_WHILE).await;
    }
    assert_eq!((refused(&app), app.telnyx.exchanges().len()), (10, 10), "it is not repeated if another key cannot help");
    // A newer key that is also wrong is tried once.
    manager.set_text(PLATFORM, "KEYWRONGTOO");
    send(&search, &token, Method::GET, SEARCH, None).await.expect_problem(502, "upstream_error");
    assert_eq!((refused(&app), manager.reads(PLATFORM)), (12, 4));
    send(&purchase, &token, Method::POST, "", Some(order_of("+13125550123"))).await.expect_problem(502, "upstream_error");
    assert_eq!((orders_sent(&app), app.rows().await.len()), (0, 0));
}

#[tokio::test]
async fn a_key_that_cannot_be_read_again_is_reported_as_telnyxs_failure() {
    let (app, manager) = world_with_key().await;
    let (function, token) = (app.function::<Search>(), app.token("owner"));
    send(&function, &token, Method::GET, SEARCH, None).await.expect(200);
    rotate_key(&app, &manager, "KEYSECOND").await;
    let ask = || send(&function, &token, Method::GET, SEARCH, None);
    manager.set(PLATFORM, SecretResponse::Error(400, "AccessDeniedException"));
    ask().await.expect_problem(502, "upstream_error");
    pass(A_WHILE).await;

    manager.set(PLATFORM, SecretResponse::Silence);
    let (reads, reply) = (manager.reads(PLATFORM), ask());
    tokio::pin!(reply);
    tokio::select! {
        () = eventually(async || (manager.reads(PLATFORM) > reads).then_some(())) => {}
        reply = &mut reply => panic!("{reply:?}"),
    }
    // All of it takes no longer than one call may, after which another process may take the purchase over.
    let (reply, took) = in_virtual_time(reply).await;
    reply.expect_problem(502, "upstream_error");
    assert!(took < Duration::from_secs(4), "{took:?}");
    pass(A_WHILE).await;

    manager.set_text(PLATFORM, "KEYSECOND");
    send(&function, &token, Method::GET, SEARCH, None).await.expect(200);
}

#[tokio::test]
async fn a_rotated_secret_of_tokens_is_read_once_and_forged_tokens_do_not_make_us_read_it_on_and_on() {
    let mut app = TestApp::new().await;
    let manager = secrets_manager(&mut app).await;
    manager.set_text(TOKENS, &app.issuer.secret);
    for (name, value) in [("JWT_SECRET", ""), ("JWT_SECRET_ID", TOKENS)] {
        app.set(name, value);
    }
    let function = app.function::<List>();
    let ask = async |issuer: &Issuer| {
        let owner = demo::USERS[0];
        send(&function, &issuer.token(owner.id, owner.email), Method::GET, "", None).await.status
    };
    assert_eq!(ask(&app.issuer).await, 200);
    let (rotated, forger) = (Issuer::default(), Issuer::default());
    manager.set_text(TOKENS, &rotated.secret);
    assert_eq!((ask(&rotated).await, manager.reads(TOKENS)), (200, 2));
    for reads in 3..5 {
        for _ in 0..5 {
            assert_eq!((ask(&forger).await, ask(&app.issuer).await, ask(&rotated).await), (401, 401, 200));
        }
        assert_eq!(manager.reads(TOKENS), reads);
        pass(A_WHILE).await;
    }
    // A token with a valid signature that is refused for another reason does not cause a read of the secret.
    let mut claims = rotated.claims(demo::USERS[0].id, demo::USERS[0].email);
    claims["exp"] = json!(1);
    send(&function, &rotated.sign(&claims), Method::GET, "", None).await.expect(401);
    assert_eq!(manager.reads(TOKENS), 4);
}
