//! Telnyx keys, the database login and the token key from Secrets Manager, and its failures.

use std::time::Duration;

use dev::demo;
use dev::invariants::FOREIGN_REFERENCE;
use dev::secrets_manager::{self, SecretResponse, SecretsManager};
use lambda_http::http::Method;
use phone_numbers_list::List;
use phone_numbers_purchase::Purchase;
use phone_numbers_search::Search;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::actions::{assigned, balance, order_of, orders_sent, release_of, telnyx, unsold};
use crate::support::app::{TestApp, send};

pub(crate) const PLATFORM: &str = "telnyx/platform";
const SEARCH: &str = "country_code=US&limit=1";

/// Makes the functions of `app` read their keys from Secrets Manager instead of their environment.
pub(crate) async fn secrets_manager(app: &mut TestApp) -> SecretsManager {
    let secrets_manager = SecretsManager::start().await.unwrap();
    for (name, value) in secrets_manager::environment(&secrets_manager.url()) {
        app.set(name, value);
    }
    app.set("TELNYX_API_KEY", "");
    app.set("TELNYX_AGENCY_SECRET_ID", "telnyx/{agency_id}");
    app.set("TELNYX_PLATFORM_SECRET_ID", PLATFORM);
    secrets_manager
}

/// The name of an agency's own secret.
fn own(agency: &demo::Agency) -> String {
    format!("telnyx/{}", agency.id)
}

/// An app with a second account at Telnyx, and no keys yet. The platform's account is the default one.
async fn app() -> (TestApp, SecretsManager) {
    let mut app = TestApp::new().await;
    app.telnyx_settings(json!({"accounts": {"their own": "KEYTHEIROWN"}})).await;
    let secrets_manager = secrets_manager(&mut app).await;
    (app, secrets_manager)
}

/// The account at Telnyx that has a number.
async fn account_of(app: &TestApp, number: &Value) -> String {
    let state = app.telnyx_state().await;
    let owned = state["numbers"].as_array().unwrap().iter().find(|owned| owned["phone_number"] == *number);
    owned.unwrap()["account"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_agencys_own_key_goes_before_the_platforms() {
    let (app, secrets_manager) = app().await;
    secrets_manager.set_text(PLATFORM, app.telnyx.api_key());
    secrets_manager.set_text(&own(&demo::DEMO), "KEYTHEIROWN");
    let ours = assigned(&app).await;
    assert_eq!(account_of(&app, &ours["phone_number"]).await, "their own");
    let number = unsold(&app).await;
    app.search("other_owner", "country_code=US&area_code=312&limit=100").await.expect(200);
    let others = app.purchase("other_owner", order_of(&number)).await.expect(200).number().clone();
    assert_eq!(account_of(&app, &others["phone_number"]).await, "default");
    let accounts: Vec<_> = app.ledger().await.iter().map(|purchase| purchase["telnyx_account"].clone()).collect();
    assert_eq!(accounts, [json!(format!("agency:{}", demo::DEMO.id)), json!("platform")]);
    balance(&app).await;
}

#[tokio::test]
async fn a_key_may_be_wrapped_in_an_object() {
    let (app, secrets_manager) = app().await;
    secrets_manager.set_text(&own(&demo::DEMO), " {\"api_key\": \"KEYTHEIROWN\"}\n");
    assert_eq!(account_of(&app, &assigned(&app).await["phone_number"]).await, "their own");
    for text in ["{\"key\": \"KEYTHEIROWN\"}", "{", "", "a key\nof two lines"] {
        secrets_manager.set_text(&own(&demo::DEMO), text);
        secrets_manager.set_text(PLATFORM, app.telnyx.api_key());
        app.search("owner", SEARCH).await.expect_problem(503, "unavailable");
    }
}

#[tokio::test]
async fn an_agency_without_a_key_is_told_so_if_there_is_no_platform_key() {
    let (app, _vault) = app().await;
    app.search("owner", SEARCH).await.expect_problem(400, "telnyx_not_configured");
    app.purchase("owner", order_of("+13125550123")).await.expect_problem(400, "telnyx_not_configured");
    assert!(app.rows().await.is_empty() && app.ledger().await.is_empty());
}

#[tokio::test]
async fn a_key_that_cannot_be_read_is_not_replaced_by_the_platforms() {
    let (app, secrets_manager) = app().await;
    secrets_manager.set_text(PLATFORM, app.telnyx.api_key());
    let failures = [
        SecretResponse::Error(400, "AccessDeniedException"),
        SecretResponse::Error(400, "DecryptionFailure"),
        SecretResponse::Error(400, "InvalidRequestException"),
        SecretResponse::Error(500, "InternalServiceError"),
        SecretResponse::Silence,
    ];
    for failure in failures {
        secrets_manager.set(&own(&demo::DEMO), failure);
        app.purchase("owner", order_of("+13125550123")).await.expect_problem(503, "unavailable");
    }
    secrets_manager.set(&own(&demo::DEMO), SecretResponse::Error(400, "AccessDeniedException"));
    app.search("owner", SEARCH).await.expect_problem(503, "unavailable");
    assert_eq!(secrets_manager.reads(PLATFORM), 0);
    assert!(app.telnyx.exchanges().is_empty(), "nothing was sent to Telnyx");
    assert!(app.rows().await.is_empty() && app.ledger().await.is_empty());
}

#[tokio::test]
async fn an_instance_reads_a_secret_once_and_keeps_no_failure() {
    let (app, secrets_manager) = app().await;
    secrets_manager.set(PLATFORM, SecretResponse::Error(400, "AccessDeniedException"));
    let (function, token) = (app.function::<Search>(), app.token("owner"));
    let search = async || send(&function, &token, Method::GET, SEARCH, None).await;
    search().await.expect_problem(503, "unavailable");
    secrets_manager.set_text(PLATFORM, app.telnyx.api_key());
    let refused = secrets_manager.reads(PLATFORM);
    for _ in 0..5 {
        search().await.expect(200);
    }
    assert_eq!((secrets_manager.reads(PLATFORM) - refused, secrets_manager.reads(&own(&demo::DEMO))), (1, 1));
    let (one, other) = tokio::join!(search(), search());
    assert_eq!((one.status, other.status, secrets_manager.reads(PLATFORM) - refused), (200, 200, 1));
    app.search("owner", SEARCH).await.expect(200);
    assert_eq!(secrets_manager.reads(PLATFORM) - refused, 2, "another instance reads it again");
}

#[tokio::test]
async fn a_secret_is_read_again_after_its_time() {
    let (mut app, secrets_manager) = app().await;
    secrets_manager.set_text(PLATFORM, app.telnyx.api_key());
    app.set("SECRETS_TTL_MS", "1");
    let (function, token) = (app.function::<Search>(), app.token("owner"));
    for reads in 1..=3 {
        send(&function, &token, Method::GET, SEARCH, None).await.expect(200);
        assert_eq!(secrets_manager.reads(PLATFORM), reads);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn the_database_and_the_tokens_key_may_be_secrets_too() {
    let (mut app, secrets_manager) = app().await;
    secrets_manager.set_text("the database", app.database.url());
    secrets_manager.set_text("the tokens", &app.issuer.secret);
    let settings = [("DATABASE_URL", ""), ("DATABASE_SECRET_ID", "the database"), ("JWT_SECRET", ""), ("JWT_SECRET_ID", "the tokens")];
    for (name, value) in settings {
        app.set(name, value);
    }
    let (function, token) = (app.function::<List>(), app.token("owner"));
    for _ in 0..5 {
        send(&function, &token, Method::GET, "", None).await.expect(200);
    }
    assert_eq!((secrets_manager.reads("the database"), secrets_manager.reads("the tokens")), (1, 1));
    for lost in ["the database", "the tokens"] {
        secrets_manager.remove(lost);
        app.list("owner", "").await.expect_problem(503, "unavailable");
        secrets_manager.set_text(lost, if lost == "the database" { app.database.url() } else { &app.issuer.secret });
    }
    app.list("owner", "").await.expect(200);
}

#[tokio::test]
async fn a_purchase_goes_on_in_the_account_it_was_begun_in() {
    let (mut app, secrets_manager) = app().await;
    secrets_manager.set_text(PLATFORM, app.telnyx.api_key());
    app.telnyx_settings(json!({"order_outcome": "never"})).await;
    let number = app.offer().await;
    app.pending_purchase(order_of(&number)).await;
    secrets_manager.set_text(&own(&demo::DEMO), "KEYTHEIROWN");
    app.telnyx_settings(json!({"order_outcome": "success"})).await;
    let row = app.purchase("owner", order_of(&number)).await.expect(200).number().clone();
    assert_eq!((orders_sent(&app), account_of(&app, &row["phone_number"]).await), (1, "default".to_owned()));
    balance(&app).await;
}

#[tokio::test]
async fn a_number_is_released_in_the_account_that_bought_it_or_not_at_all() {
    let (app, secrets_manager) = app().await;
    secrets_manager.set_text(PLATFORM, app.telnyx.api_key());
    let (first, second) = (assigned(&app).await, assigned(&app).await);
    secrets_manager.set_text(&own(&demo::DEMO), "KEYTHEIROWN");
    app.release("owner", release_of(&first)).await.expect(200);
    assert_eq!(app.billed().await, [second["phone_number"].as_str().unwrap()]);

    secrets_manager.remove(PLATFORM);
    let before = (app.rows().await, app.asked("DELETE", "/v2/phone_numbers"));
    let reply = app.release("owner", release_of(&second)).await.expect(207);
    let problem = &reply.body["failed"][0]["problem"];
    assert_eq!((&problem["code"], &problem["status"]), (&json!("unavailable"), &json!(503)));
    assert_eq!((app.rows().await, app.asked("DELETE", "/v2/phone_numbers")), before, "nothing was written, nothing deleted");

    secrets_manager.set_text(PLATFORM, app.telnyx.api_key());
    app.release("owner", release_of(&second)).await.expect(200);
    assert!(app.billed().await.is_empty());
    balance(&app).await;
}

#[tokio::test]
async fn a_release_under_way_goes_on_in_the_account_it_was_begun_in() {
    let (mut app, secrets_manager) = app().await;
    secrets_manager.set_text(PLATFORM, app.telnyx.api_key());
    // A row that predates the ledger and names no account.
    let number = app.offer().await;
    let body = json!({"phone_numbers": [{"phone_number": number}], "customer_reference": FOREIGN_REFERENCE});
    telnyx(&app, app.telnyx.api_key(), Method::POST, "/number_orders", Some(body)).await;
    let sql = "insert into agency_phone_numbers (agency_id, phone_number, status) values ($1, $2, 'active') returning id";
    let id: Uuid = app.sql.query_one(sql, &[&demo::DEMO.id, &number]).await.unwrap().get(0);
    app.set("REQUEST_BUDGET_MS", "1500");
    app.fault(json!({"method": "DELETE", "path_prefix": "/v2/phone_numbers", "kind": "status", "status": 500, "times": 1_000})).await;
    let release = json!({"phone_number_ids": [id], "confirm": true});
    app.release("owner", release.clone()).await.expect(207);
    crate::support::actions::clear_faults(&app).await;

    secrets_manager.set_text(&own(&demo::DEMO), "KEYTHEIROWN");
    app.release("owner", release).await.expect(200);
    assert!(app.billed().await.is_empty(), "it was released in its own account");
}

#[tokio::test]
async fn what_is_configured_later_needs_no_new_instance() {
    let (mut app, secrets_manager) = app().await;
    secrets_manager.set_text(PLATFORM, app.telnyx.api_key());
    secrets_manager.set_text("the database", "not a database");
    app.set("DATABASE_SECRET_ID", "the database");
    app.set("SECRETS_TTL_MS", "1");
    let number = app.offer().await;
    app.set("DATABASE_URL", "");
    let (function, token) = (app.function::<Purchase>(), app.token("owner"));
    let buy = async || send(&function, &token, Method::POST, "", Some(order_of(&number))).await;
    buy().await.expect_problem(503, "unavailable");
    secrets_manager.set_text("the database", app.database.url());
    tokio::time::sleep(Duration::from_millis(2)).await;
    buy().await.expect(200);
    balance(&app).await;
}
