//! Keys, the database's address and the tokens' key out of Secrets Manager, and what happens when it will not tell.

use std::time::Duration;

use dev::demo;
use dev::vault::{self, Kept, Vault};
use lambda_http::http::Method;
use phone_numbers_list::List;
use phone_numbers_purchase::Purchase;
use phone_numbers_search::Search;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::actions::{assigned, balance, order_of, orders_sent, release_of, telnyx, unsold};
use crate::support::app::{World, send};

pub(crate) const PLATFORM: &str = "telnyx/platform";
const SEARCH: &str = "country_code=US&limit=1";

/// From here on, the functions of `world` read their keys from a vault and have none in their environment.
pub(crate) async fn vault(world: &mut World) -> Vault {
    let vault = Vault::start().await.unwrap();
    for (name, value) in vault::environment(&vault.url()) {
        world.set(name, value);
    }
    world.set("TELNYX_API_KEY", "");
    world.set("TELNYX_AGENCY_SECRET_ID", "telnyx/{agency_id}");
    world.set("TELNYX_PLATFORM_SECRET_ID", PLATFORM);
    vault
}

/// The name of an agency's own secret.
fn own(agency: &demo::Agency) -> String {
    format!("telnyx/{}", agency.id)
}

/// A world with a second account at Telnyx, and no keys yet. The platform's would be the account it starts with.
async fn world() -> (World, Vault) {
    let mut world = World::new().await;
    world.telnyx_settings(json!({"accounts": {"their own": "KEYTHEIROWN"}})).await;
    let vault = vault(&mut world).await;
    (world, vault)
}

/// The account at Telnyx that has a number.
async fn account_of(world: &World, number: &Value) -> String {
    let state = world.telnyx_state().await;
    let owned = state["numbers"].as_array().unwrap().iter().find(|owned| owned["phone_number"] == *number);
    owned.unwrap()["account"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_agencys_own_key_goes_before_the_platforms() {
    let (world, vault) = world().await;
    vault.keep_text(PLATFORM, world.telnyx.api_key());
    vault.keep_text(&own(&demo::DEMO), "KEYTHEIROWN");
    let ours = assigned(&world).await;
    assert_eq!(account_of(&world, &ours["phone_number"]).await, "their own");
    let number = unsold(&world).await;
    world.search("other_owner", "country_code=US&area_code=312&limit=100").await.expect(200);
    let others = world.purchase("other_owner", order_of(&number)).await.expect(200).number().clone();
    assert_eq!(account_of(&world, &others["phone_number"]).await, "default");
    let accounts: Vec<_> = world.ledger().await.iter().map(|purchase| purchase["telnyx_account"].clone()).collect();
    assert_eq!(accounts, [json!(format!("agency:{}", demo::DEMO.id)), json!("platform")]);
    balance(&world).await;
}

#[tokio::test]
async fn a_key_may_be_wrapped_in_an_object() {
    let (world, vault) = world().await;
    vault.keep_text(&own(&demo::DEMO), " {\"api_key\": \"KEYTHEIROWN\"}\n");
    assert_eq!(account_of(&world, &assigned(&world).await["phone_number"]).await, "their own");
    for text in ["{\"key\": \"KEYTHEIROWN\"}", "{", "", "a key\nof two lines"] {
        vault.keep_text(&own(&demo::DEMO), text);
        vault.keep_text(PLATFORM, world.telnyx.api_key());
        world.search("owner", SEARCH).await.expect_problem(503, "unavailable");
    }
}

#[tokio::test]
async fn an_agency_without_a_key_where_there_is_no_other_is_told_so() {
    let (world, _vault) = world().await;
    world.search("owner", SEARCH).await.expect_problem(400, "telnyx_not_configured");
    world.purchase("owner", order_of("+13125550123")).await.expect_problem(400, "telnyx_not_configured");
    assert!(world.rows().await.is_empty() && world.ledger().await.is_empty());
}

#[tokio::test]
async fn a_key_that_cannot_be_read_is_not_replaced_by_the_platforms() {
    let (world, vault) = world().await;
    vault.keep_text(PLATFORM, world.telnyx.api_key());
    let failures = [
        Kept::Error(400, "AccessDeniedException"),
        Kept::Error(400, "DecryptionFailure"),
        Kept::Error(400, "InvalidRequestException"),
        Kept::Error(500, "InternalServiceError"),
        Kept::Silence,
    ];
    for failure in failures {
        vault.keep(&own(&demo::DEMO), failure);
        world.purchase("owner", order_of("+13125550123")).await.expect_problem(503, "unavailable");
    }
    vault.keep(&own(&demo::DEMO), Kept::Error(400, "AccessDeniedException"));
    world.search("owner", SEARCH).await.expect_problem(503, "unavailable");
    assert_eq!(vault.reads(PLATFORM), 0);
    assert!(world.telnyx.exchanges().is_empty(), "Telnyx has heard nothing");
    assert!(world.rows().await.is_empty() && world.ledger().await.is_empty());
}

#[tokio::test]
async fn an_instance_reads_a_secret_once_and_keeps_no_failure() {
    let (world, vault) = world().await;
    vault.keep(PLATFORM, Kept::Error(400, "AccessDeniedException"));
    let (function, token) = (world.function::<Search>(), world.token("owner"));
    let search = async || send(&function, &token, Method::GET, SEARCH, None).await;
    search().await.expect_problem(503, "unavailable");
    vault.keep_text(PLATFORM, world.telnyx.api_key());
    let refused = vault.reads(PLATFORM);
    for _ in 0..5 {
        search().await.expect(200);
    }
    assert_eq!((vault.reads(PLATFORM) - refused, vault.reads(&own(&demo::DEMO))), (1, 1));
    let (one, other) = tokio::join!(search(), search());
    assert_eq!((one.status, other.status, vault.reads(PLATFORM) - refused), (200, 200, 1));
    world.search("owner", SEARCH).await.expect(200);
    assert_eq!(vault.reads(PLATFORM) - refused, 2, "another instance reads it anew");
}

#[tokio::test]
async fn a_secret_is_read_again_after_its_time() {
    let (mut world, vault) = world().await;
    vault.keep_text(PLATFORM, world.telnyx.api_key());
    world.set("SECRETS_TTL_MS", "1");
    let (function, token) = (world.function::<Search>(), world.token("owner"));
    for reads in 1..=3 {
        send(&function, &token, Method::GET, SEARCH, None).await.expect(200);
        assert_eq!(vault.reads(PLATFORM), reads);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn the_database_and_the_tokens_key_may_be_secrets_too() {
    let (mut world, vault) = world().await;
    vault.keep_text("the database", world.database.url());
    vault.keep_text("the tokens", &world.issuer.secret);
    let settings = [("DATABASE_URL", ""), ("DATABASE_SECRET_ID", "the database"), ("JWT_SECRET", ""), ("JWT_SECRET_ID", "the tokens")];
    for (name, value) in settings {
        world.set(name, value);
    }
    let (function, token) = (world.function::<List>(), world.token("owner"));
    for _ in 0..5 {
        send(&function, &token, Method::GET, "", None).await.expect(200);
    }
    assert_eq!((vault.reads("the database"), vault.reads("the tokens")), (1, 1));
    for lost in ["the database", "the tokens"] {
        vault.lose(lost);
        world.list("owner", "").await.expect_problem(503, "unavailable");
        vault.keep_text(lost, if lost == "the database" { world.database.url() } else { &world.issuer.secret });
    }
    world.list("owner", "").await.expect(200);
}

#[tokio::test]
async fn a_purchase_goes_on_in_the_account_it_was_begun_in() {
    let (mut world, vault) = world().await;
    vault.keep_text(PLATFORM, world.telnyx.api_key());
    world.telnyx_settings(json!({"order_outcome": "never"})).await;
    world.set("REQUEST_BUDGET_MS", "3500");
    let number = world.offer().await;
    world.purchase("owner", order_of(&number)).await.expect(202);
    vault.keep_text(&own(&demo::DEMO), "KEYTHEIROWN");
    world.telnyx_settings(json!({"order_outcome": "success"})).await;
    let row = world.purchase("owner", order_of(&number)).await.expect(200).number().clone();
    assert_eq!((orders_sent(&world), account_of(&world, &row["phone_number"]).await), (1, "default".to_owned()));
    balance(&world).await;
}

#[tokio::test]
async fn a_number_is_released_in_the_account_that_bought_it_or_not_at_all() {
    let (world, vault) = world().await;
    vault.keep_text(PLATFORM, world.telnyx.api_key());
    let (first, second) = (assigned(&world).await, assigned(&world).await);
    vault.keep_text(&own(&demo::DEMO), "KEYTHEIROWN");
    world.release("owner", release_of(&first)).await.expect(200);
    assert_eq!(world.billed().await, [second["phone_number"].as_str().unwrap()]);

    vault.lose(PLATFORM);
    let before = (world.rows().await, world.asked("DELETE", "/v2/phone_numbers"));
    let reply = world.release("owner", release_of(&second)).await.expect(207);
    let problem = &reply.body["failed"][0]["problem"];
    assert_eq!((&problem["code"], &problem["status"]), (&json!("unavailable"), &json!(503)));
    assert_eq!((world.rows().await, world.asked("DELETE", "/v2/phone_numbers")), before, "nothing was written, nothing deleted");

    vault.keep_text(PLATFORM, world.telnyx.api_key());
    world.release("owner", release_of(&second)).await.expect(200);
    assert!(world.billed().await.is_empty());
    balance(&world).await;
}

#[tokio::test]
async fn a_release_under_way_goes_on_in_the_account_it_was_begun_in() {
    let (mut world, vault) = world().await;
    vault.keep_text(PLATFORM, world.telnyx.api_key());
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
    crate::support::actions::heal(&world).await;

    vault.keep_text(&own(&demo::DEMO), "KEYTHEIROWN");
    world.release("owner", release).await.expect(200);
    assert!(world.billed().await.is_empty(), "it was released where it is, not where it never was");
}

#[tokio::test]
async fn what_is_configured_later_needs_no_new_instance() {
    let (mut world, vault) = world().await;
    vault.keep_text(PLATFORM, world.telnyx.api_key());
    vault.keep_text("the database", "not a database");
    world.set("DATABASE_SECRET_ID", "the database");
    world.set("SECRETS_TTL_MS", "1");
    let number = world.offer().await;
    world.set("DATABASE_URL", "");
    let (function, token) = (world.function::<Purchase>(), world.token("owner"));
    let buy = async || send(&function, &token, Method::POST, "", Some(order_of(&number))).await;
    buy().await.expect_problem(503, "unavailable");
    vault.keep_text("the database", world.database.url());
    tokio::time::sleep(Duration::from_millis(2)).await;
    buy().await.expect(200);
    balance(&world).await;
}
