//! Keys, the database's address and the tokens' key out of Secrets Manager, and what happens when it will not tell.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use axum::{Json, Router};
use dev::demo;
use lambda_http::http::Method;
use phone_numbers_list::List;
use phone_numbers_purchase::Purchase;
use phone_numbers_search::Search;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use uuid::Uuid;

use crate::books::{assigned, balance, order_of, orders_sent, release_of, telnyx, unsold};
use crate::world::{World, send};

pub(crate) const PLATFORM: &str = "telnyx/platform";
const SEARCH: &str = "country_code=US&limit=1";

/// How a secret answers.
#[derive(Clone)]
pub(crate) enum Kept {
    Text(String),
    /// An error by its name, with its status.
    Error(u16, &'static str),
    /// Nothing comes.
    Silence,
}

#[derive(Default)]
struct Vault {
    kept: Mutex<HashMap<String, Kept>>,
    reads: Mutex<Vec<String>>,
}

/// A Secrets Manager that knows what a test tells it: AWS JSON 1.1 over HTTP.
pub(crate) struct Manager {
    vault: Arc<Vault>,
    task: AbortHandle,
}

impl Manager {
    /// From here on, the functions of `world` read their keys from it and have none in their environment.
    pub(crate) async fn of(world: &mut World) -> Self {
        let vault = Arc::new(Vault::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        world.set("AWS_ENDPOINT_URL_SECRETS_MANAGER", &format!("http://{}", listener.local_addr().unwrap()));
        world.set("AWS_REGION", "eu-central-1");
        world.set("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
        world.set("AWS_SECRET_ACCESS_KEY", "an example");
        world.set("TELNYX_API_KEY", "");
        world.set("TELNYX_AGENCY_SECRET_ID", "telnyx/{agency_id}");
        world.set("TELNYX_PLATFORM_SECRET_ID", PLATFORM);
        let router = Router::new().fallback(answer).with_state(Arc::clone(&vault));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { vault, task: task.abort_handle() }
    }

    pub(crate) fn keep(&self, name: &str, kept: Kept) {
        self.vault.kept.lock().unwrap().insert(name.to_owned(), kept);
    }

    pub(crate) fn keep_text(&self, name: &str, text: &str) {
        self.keep(name, Kept::Text(text.to_owned()));
    }

    fn lose(&self, name: &str) {
        self.vault.kept.lock().unwrap().remove(name);
    }

    /// How often a secret was asked for.
    pub(crate) fn reads(&self, name: &str) -> usize {
        self.vault.reads.lock().unwrap().iter().filter(|read| *read == name).count()
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(vault): State<Arc<Vault>>, headers: HeaderMap, body: Bytes) -> axum::response::Response {
    assert_eq!(headers["x-amz-target"], "secretsmanager.GetSecretValue");
    assert_eq!(headers["content-type"], "application/x-amz-json-1.1");
    assert!(headers["authorization"].to_str().unwrap().starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"));
    let body: Value = serde_json::from_slice(&body).unwrap();
    let id = body["SecretId"].as_str().unwrap().to_owned();
    vault.reads.lock().unwrap().push(id.clone());
    let kept = vault.kept.lock().unwrap().get(&id).cloned();
    let error = |status: u16, name: &str| {
        let body = json!({"__type": name, "Message": "as the test told"});
        (StatusCode::from_u16(status).unwrap(), [("content-type", "application/x-amz-json-1.1")], body.to_string()).into_response()
    };
    match kept {
        Some(Kept::Text(text)) => Json(json!({"Name": id, "SecretString": text})).into_response(),
        Some(Kept::Error(status, name)) => error(status, name),
        Some(Kept::Silence) => std::future::pending().await,
        None => error(400, "ResourceNotFoundException"),
    }
}

/// The name of an agency's own secret.
fn own(agency: &demo::Agency) -> String {
    format!("telnyx/{}", agency.id)
}

/// A world with a second account at Telnyx, and no keys yet. The platform's would be the account it starts with.
async fn world() -> (World, Manager) {
    let mut world = World::new().await;
    world.telnyx_settings(json!({"accounts": {"their own": "KEYTHEIROWN"}})).await;
    let manager = Manager::of(&mut world).await;
    (world, manager)
}

/// The account at Telnyx that has a number.
async fn account_of(world: &World, number: &Value) -> String {
    let state = world.telnyx_state().await;
    let owned = state["numbers"].as_array().unwrap().iter().find(|owned| owned["phone_number"] == *number);
    owned.unwrap()["account"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_agencys_own_key_goes_before_the_platforms() {
    let (world, manager) = world().await;
    manager.keep_text(PLATFORM, world.telnyx.api_key());
    manager.keep_text(&own(&demo::DEMO), "KEYTHEIROWN");
    let ours = assigned(&world).await;
    assert_eq!(account_of(&world, &ours["phone_number"]).await, "their own");
    let number = unsold(&world).await;
    world.search("other_owner", "country_code=US&area_code=312&limit=100").await.expect(200);
    let others = world.purchase("other_owner", order_of(&number)).await.expect(200).number().clone();
    assert_eq!(account_of(&world, &others["phone_number"]).await, "default");
    let accounts: Vec<_> = world.ledger().await.iter().map(|purchase| purchase["telnyx_account"].clone()).collect();
    assert_eq!(accounts, [json!(own(&demo::DEMO)), json!(PLATFORM)]);
    balance(&world).await;
}

#[tokio::test]
async fn a_key_may_be_wrapped_in_an_object() {
    let (world, manager) = world().await;
    manager.keep_text(&own(&demo::DEMO), " {\"api_key\": \"KEYTHEIROWN\"}\n");
    assert_eq!(account_of(&world, &assigned(&world).await["phone_number"]).await, "their own");
    for text in ["{\"key\": \"KEYTHEIROWN\"}", "{", "", "a key\nof two lines"] {
        manager.keep_text(&own(&demo::DEMO), text);
        manager.keep_text(PLATFORM, world.telnyx.api_key());
        world.search("owner", SEARCH).await.expect_problem(503, "unavailable");
    }
}

#[tokio::test]
async fn an_agency_without_a_key_where_there_is_no_other_is_told_so() {
    let (world, _manager) = world().await;
    world.search("owner", SEARCH).await.expect_problem(400, "telnyx_not_configured");
    world.purchase("owner", order_of("+13125550123")).await.expect_problem(400, "telnyx_not_configured");
    assert!(world.rows().await.is_empty() && world.ledger().await.is_empty());
}

#[tokio::test]
async fn a_key_that_cannot_be_read_is_not_replaced_by_the_platforms() {
    let (world, manager) = world().await;
    manager.keep_text(PLATFORM, world.telnyx.api_key());
    let failures = [
        Kept::Error(400, "AccessDeniedException"),
        Kept::Error(400, "DecryptionFailure"),
        Kept::Error(400, "InvalidRequestException"),
        Kept::Error(500, "InternalServiceError"),
        Kept::Silence,
    ];
    for failure in failures {
        manager.keep(&own(&demo::DEMO), failure);
        world.purchase("owner", order_of("+13125550123")).await.expect_problem(503, "unavailable");
    }
    manager.keep(&own(&demo::DEMO), Kept::Error(400, "AccessDeniedException"));
    world.search("owner", SEARCH).await.expect_problem(503, "unavailable");
    assert_eq!(manager.reads(PLATFORM), 0);
    assert!(world.telnyx.exchanges().is_empty(), "Telnyx has heard nothing");
    assert!(world.rows().await.is_empty() && world.ledger().await.is_empty());
}

#[tokio::test]
async fn an_instance_reads_a_secret_once_and_keeps_no_failure() {
    let (world, manager) = world().await;
    manager.keep(PLATFORM, Kept::Error(400, "AccessDeniedException"));
    let (function, token) = (world.function::<Search>(), world.token("owner"));
    let search = async || send(&function, &token, Method::GET, SEARCH, None).await;
    search().await.expect_problem(503, "unavailable");
    manager.keep_text(PLATFORM, world.telnyx.api_key());
    let refused = manager.reads(PLATFORM);
    for _ in 0..5 {
        search().await.expect(200);
    }
    assert_eq!((manager.reads(PLATFORM) - refused, manager.reads(&own(&demo::DEMO))), (1, 1));
    let (one, other) = tokio::join!(search(), search());
    assert_eq!((one.status, other.status, manager.reads(PLATFORM) - refused), (200, 200, 1));
    world.search("owner", SEARCH).await.expect(200);
    assert_eq!(manager.reads(PLATFORM) - refused, 2, "another instance reads it anew");
}

#[tokio::test]
async fn a_secret_is_read_again_after_its_time() {
    let (mut world, manager) = world().await;
    manager.keep_text(PLATFORM, world.telnyx.api_key());
    world.set("SECRETS_TTL_MS", "1");
    let (function, token) = (world.function::<Search>(), world.token("owner"));
    for reads in 1..=3 {
        send(&function, &token, Method::GET, SEARCH, None).await.expect(200);
        assert_eq!(manager.reads(PLATFORM), reads);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn the_database_and_the_tokens_key_may_be_secrets_too() {
    let (mut world, manager) = world().await;
    manager.keep_text("the database", world.database.url());
    manager.keep_text("the tokens", &world.issuer.secret);
    let settings = [("DATABASE_URL", ""), ("DATABASE_SECRET_ID", "the database"), ("JWT_SECRET", ""), ("JWT_SECRET_ID", "the tokens")];
    for (name, value) in settings {
        world.set(name, value);
    }
    let (function, token) = (world.function::<List>(), world.token("owner"));
    for _ in 0..5 {
        send(&function, &token, Method::GET, "", None).await.expect(200);
    }
    assert_eq!((manager.reads("the database"), manager.reads("the tokens")), (1, 1));
    for lost in ["the database", "the tokens"] {
        manager.lose(lost);
        world.list("owner", "").await.expect_problem(503, "unavailable");
        manager.keep_text(lost, if lost == "the database" { world.database.url() } else { &world.issuer.secret });
    }
    world.list("owner", "").await.expect(200);
}

#[tokio::test]
async fn a_purchase_goes_on_in_the_account_it_was_begun_in() {
    let (mut world, manager) = world().await;
    manager.keep_text(PLATFORM, world.telnyx.api_key());
    world.telnyx_settings(json!({"order_outcome": "never"})).await;
    world.set("REQUEST_BUDGET_MS", "3500");
    let number = world.offer().await;
    world.purchase("owner", order_of(&number)).await.expect(202);
    manager.keep_text(&own(&demo::DEMO), "KEYTHEIROWN");
    world.telnyx_settings(json!({"order_outcome": "success"})).await;
    let row = world.purchase("owner", order_of(&number)).await.expect(200).number().clone();
    assert_eq!((orders_sent(&world), account_of(&world, &row["phone_number"]).await), (1, "default".to_owned()));
    balance(&world).await;
}

#[tokio::test]
async fn a_number_is_released_in_the_account_that_bought_it_or_not_at_all() {
    let (world, manager) = world().await;
    manager.keep_text(PLATFORM, world.telnyx.api_key());
    let (first, second) = (assigned(&world).await, assigned(&world).await);
    manager.keep_text(&own(&demo::DEMO), "KEYTHEIROWN");
    world.release("owner", release_of(&first)).await.expect(200);
    assert_eq!(world.billed().await, [second["phone_number"].as_str().unwrap()]);

    manager.lose(PLATFORM);
    let before = (world.rows().await, world.asked("DELETE", "/v2/phone_numbers"));
    let reply = world.release("owner", release_of(&second)).await.expect(207);
    let problem = &reply.body["failed"][0]["problem"];
    assert_eq!((&problem["code"], &problem["status"]), (&json!("unavailable"), &json!(503)));
    assert_eq!((world.rows().await, world.asked("DELETE", "/v2/phone_numbers")), before, "nothing was written, nothing deleted");

    manager.keep_text(PLATFORM, world.telnyx.api_key());
    world.release("owner", release_of(&second)).await.expect(200);
    assert!(world.billed().await.is_empty());
    balance(&world).await;
}

#[tokio::test]
async fn a_release_under_way_goes_on_in_the_account_it_was_begun_in() {
    let (mut world, manager) = world().await;
    manager.keep_text(PLATFORM, world.telnyx.api_key());
    // A row from before the ledger, which names no account.
    let number = world.offer().await;
    let body = json!({"phone_numbers": [{"phone_number": number}], "customer_reference": "somebody else's"});
    telnyx(&world, world.telnyx.api_key(), Method::POST, "/number_orders", Some(body)).await;
    let sql = "insert into agency_phone_numbers (agency_id, phone_number, status) values ($1, $2, 'active') returning id";
    let id: Uuid = world.sql.query_one(sql, &[&demo::DEMO.id, &number]).await.unwrap().get(0);
    world.set("REQUEST_BUDGET_MS", "1500");
    world.fault(json!({"method": "DELETE", "path_prefix": "/v2/phone_numbers", "kind": "status", "status": 500, "times": 1_000})).await;
    let release = json!({"phone_number_ids": [id], "confirm": true});
    world.release("owner", release.clone()).await.expect(207);
    crate::books::heal(&world).await;

    manager.keep_text(&own(&demo::DEMO), "KEYTHEIROWN");
    world.release("owner", release).await.expect(200);
    assert!(world.billed().await.is_empty(), "it was released where it is, not where it never was");
}

#[tokio::test]
async fn what_is_configured_later_needs_no_new_instance() {
    let (mut world, manager) = world().await;
    manager.keep_text(PLATFORM, world.telnyx.api_key());
    manager.keep_text("the database", "not a database");
    world.set("DATABASE_SECRET_ID", "the database");
    world.set("SECRETS_TTL_MS", "1");
    let number = world.offer().await;
    world.set("DATABASE_URL", "");
    let (function, token) = (world.function::<Purchase>(), world.token("owner"));
    let buy = async || send(&function, &token, Method::POST, "", Some(order_of(&number))).await;
    buy().await.expect_problem(503, "unavailable");
    manager.keep_text("the database", world.database.url());
    tokio::time::sleep(Duration::from_millis(2)).await;
    buy().await.expect(200);
    balance(&world).await;
}
