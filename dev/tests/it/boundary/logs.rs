//! What the functions write: one line about each request, and never a secret, nor what another server has sent.

use std::fs;
use std::path::Path;

use dev::demo;
use dev::lambda::functions::Logs;
use dev::secrets_manager::{self, SecretResponse, SecretsManager};
use dev::token::Issuer;
use reqwest::{Method, Url};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::api::keys::Key;
use crate::support::app::eventually;
use crate::support::functions::calls;
use crate::support::product::{Product, web_functions};

/// What another server has sent, in places where a parser could repeat it.
const SENT: &str = "text-of-another-server";
/// What the fake Secrets Manager says where it answers with an error.
const REFUSAL: &str = "The fake Secrets Manager";

/// A product whose functions have secrets that are found again wherever they are written, and write all that they can.
struct Fixture {
    product: Product,
    manager: SecretsManager,
    sql: Client,
    role: String,
    password: String,
    log: NamedTempFile,
    secrets: Vec<String>,
}

fn secret(kind: &str) -> String {
    format!("{kind}-{}", Uuid::new_v4().simple())
}

impl Fixture {
    async fn start() -> Self {
        let manager = SecretsManager::start().await.unwrap();
        let (aws_key, aws_session) = (secret("aws-key"), secret("aws-session"));
        let issuer = Issuer::new(secret("jwt-secret"));
        let telnyx_key = secret("KEY");
        let keys = axum::Router::new().fallback(async || json!({"keys": SENT}).to_string());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let jwks_url = format!("http://{}/keys", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, keys).await });
        let log = NamedTempFile::new().unwrap();
        let mut environment: Vec<(String, String)> = Vec::new();
        let mut set = |name: &str, value: &str| environment.push((name.to_owned(), value.to_owned()));
        for (name, value) in secrets_manager::environment(&manager.url()) {
            set(name, value);
        }
        for (name, value) in [
            ("AWS_SECRET_ACCESS_KEY", aws_key.as_str()),
            ("AWS_SESSION_TOKEN", &aws_session),
            ("AWS_LAMBDA_LOG_LEVEL", "TRACE"),
            ("DATABASE_URL", ""),
            ("DATABASE_SECRET_ID", "database"),
            ("DATABASE_SSLMODE", "disable"),
            ("JWT_SECRET", ""),
            ("JWT_SECRET_ID", "tokens"),
            ("JWKS_URL", &jwks_url),
            ("TELNYX_API_KEY", ""),
            ("TELNYX_AGENCY_SECRET_ID", "telnyx/{agency_id}"),
            ("TELNYX_PLATFORM_SECRET_ID", "telnyx"),
            ("SECRETS_TTL_MS", "0"),
        ] {
            set(name, value);
        }
        manager.set_text("tokens", &issuer.secret);
        manager.set_text("telnyx", &telnyx_key);
        let (path, of_stack) = (log.path().to_owned(), issuer.clone());
        let product = Product::with(async move |options| {
            options.environment = environment.into_iter().collect();
            options.issuer = of_stack;
            options.logs = Logs::File(path);
        })
        .await;
        product.telnyx_settings(json!({"accounts": {"the platform's": telnyx_key}})).await;
        let (sql, role, password) =
            (product.database.connect().await.unwrap(), format!("app_{}", Uuid::new_v4().simple()), secret("password"));
        sql.batch_execute(&format!("create role {role} login in role current_user password '{password}'")).await.unwrap();
        let secrets = vec![aws_key, aws_session, issuer.secret, telnyx_key, password.clone()];
        let fixture = Self { product, manager, sql, role, password, log, secrets };
        fixture.log_in_with(&fixture.password);
        fixture
    }

    /// Sets the password in the secret with which functions log in to the database.
    fn log_in_with(&self, password: &str) {
        let url = Url::parse(self.product.database.url()).unwrap();
        let login = json!({
            "username": self.role,
            "password": password,
            "host": url.host_str(),
            "port": url.port().unwrap_or(5432),
            "dbname": url.path().trim_start_matches('/'),
        });
        self.manager.set_text("database", &login.to_string());
    }

    /// The right calls of all functions, with a token. Returns the statuses.
    async fn call_everything(&mut self, token: &str, number: &str) -> Vec<u16> {
        self.secrets.push(token.to_owned());
        let mut statuses = Vec::new();
        for mut call in calls("00000000-0000-4000-8000-000000000000", "00000000-0000-4000-8000-000000000000") {
            if call.function == "phone-numbers-purchase" {
                call.body = Some(json!({"phone_numbers": [{"phone_number": number}]}));
            }
            let url = format!("{}?{}", self.product.stack.routes()[call.function], call.query);
            let mut request = self.product.http.request(call.method, url).bearer_auth(token);
            if let Some(body) = &call.body {
                request = request.json(body);
            }
            statuses.push(request.send().await.unwrap().status().as_u16());
        }
        statuses
    }

    async fn fault(&self, fault: Value) {
        let url = format!("{}/faults", self.product.stack.telnyx().control_url());
        self.product.http.post(url).json(&fault).send().await.unwrap().error_for_status().unwrap();
    }

    fn token(&self, user: &str) -> String {
        let user = demo::USERS.iter().find(|known| known.key == user).unwrap();
        self.product.stack.issuer().token(user.id, user.email)
    }

    async fn disconnect(&self) {
        let sql = "select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = $1";
        let _: i64 = self.sql.query_one(sql, &[&self.role]).await.unwrap().get(0);
    }

    /// Ends everything and returns what was written, and what must not have been.
    async fn finish(self) -> (String, Vec<String>) {
        self.product.stack.stop().await;
        self.sql.batch_execute(&format!("drop role {}", self.role)).await.unwrap();
        (fs::read_to_string(self.log.path()).unwrap(), self.secrets)
    }
}

/// The lines about requests.
fn answered(log: &str) -> Vec<Value> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.map(|line| line["fields"].clone()).filter(|fields| fields["message"] == "request answered").collect()
}

#[track_caller]
fn has_none(log: &str, secrets: &[String]) {
    for secret in secrets {
        // A token is given away by any of its parts.
        for part in secret.split('.') {
            let line = log.lines().find(|line| line.contains(part));
            assert!(part.len() < 20 || line.is_none(), "{}", line.unwrap_or_default());
        }
    }
    for sent in [SENT, REFUSAL] {
        let line = log.lines().find(|line| line.contains(sent));
        assert!(line.is_none(), "{}", line.unwrap_or_default());
    }
}

#[tokio::test]
async fn at_no_level_do_functions_write_a_secret_or_what_another_server_has_sent() {
    let mut fixture = Fixture::start().await;
    let owner = fixture.token("owner");
    let found = fixture.product.offers().await;
    let bought = fixture.call_everything(&owner, &found[0]).await;
    assert!(bought.iter().all(|status| *status < 500), "{bought:?}");
    fixture.call_everything(&fixture.token("member"), &found[1]).await;
    fixture.call_everything(&fixture.token("client_viewer"), &found[1]).await;

    // Tokens that are refused, and keys that are nonsense.
    let forged = Issuer { issuer: fixture.product.stack.issuer().issuer.clone(), ..Issuer::default() };
    let forged = forged.token(demo::USERS[0].id, demo::USERS[0].email);
    assert!(fixture.call_everything(&forged, &found[1]).await.iter().all(|status| *status == 401));
    let published = Key::ec("one").token();
    assert!(fixture.call_everything(&published, &found[1]).await.iter().all(|status| *status == 503));
    let garbage = secret("not-a-token");
    assert!(fixture.call_everything(&garbage, &found[1]).await.iter().all(|status| *status == 401));

    // Telnyx, with answers that cannot be read and a key that it refuses.
    for (kind, member) in [("malformed", "patch"), ("patched", "patch")] {
        let mut fault = json!({"path_prefix": "/v2", "kind": kind, "times": 3});
        if kind == "patched" {
            fault[member] = json!({"/data": SENT});
        }
        fixture.fault(fault).await;
        fixture.call_everything(&owner, &found[2]).await;
    }
    fixture.fault(json!({"path_prefix": "/v2", "kind": "status", "status": 401, "times": 2})).await;
    fixture.call_everything(&owner, &found[3]).await;
    let refused = secret("KEYREFUSED");
    fixture.manager.set_text("telnyx", &refused);
    fixture.secrets.push(refused);
    fixture.call_everything(&owner, &found[3]).await;

    // Secrets Manager, with errors and with content that is no secret of the kind.
    let no_object = format!("{{\"api_key\": [\"{SENT}\"]}}");
    for response in [SecretResponse::Error(400, "AccessDeniedException"), SecretResponse::Text(no_object)] {
        fixture.manager.set("telnyx", response);
        fixture.call_everything(&owner, &found[4]).await;
    }

    // Reconcile, its webhook, and migrate.
    let _ = fixture.product.stack.run_scheduled().await;
    let webhook = json!({"data": {"event_type": SENT, "payload": {"id": SENT}}});
    let url = &fixture.product.stack.routes()["phone-numbers-reconcile"];
    let request = fixture.product.http.post(url).json(&webhook).header("telnyx-signature-ed25519", SENT).header("telnyx-timestamp", "0");
    assert_eq!(request.send().await.unwrap().status(), 401);
    for event in [json!({}), json!({SENT: SENT}), json!(SENT)] {
        let migrate = fixture.product.function("phone-numbers-migrate");
        let _ = migrate.invoke(Uuid::new_v4().to_string(), event.to_string().into()).await;
    }

    // The database: a refused login, and a login that is no login.
    let wrong = secret("password");
    fixture.secrets.push(wrong.clone());
    fixture.log_in_with(&wrong);
    fixture.disconnect().await;
    assert!(fixture.call_everything(&owner, &found[5]).await.contains(&503));
    fixture.manager.set_text("database", &format!("{{\"username\": [\"{SENT}\"]}}"));
    for function in fixture.product.stack.functions() {
        function.kill().await;
    }
    assert!(fixture.call_everything(&owner, &found[5]).await.contains(&503));

    let (log, secrets) = fixture.finish().await;
    has_none(&log, &secrets);
    for function in web_functions() {
        assert!(
            answered(&log).iter().any(|line| line["function"] == function && line["version"] == "$LATEST" && line["status"] == 503),
            "{function}"
        );
    }
}

#[tokio::test]
async fn the_line_about_a_request_tells_whose_it_was_how_it_ended_and_what_it_waited_for() {
    let log = NamedTempFile::new().unwrap();
    let path = log.path().to_owned();
    let product = Product::with(async move |options| options.logs = Logs::File(path)).await;
    let number = product.offers().await.remove(0);
    assert_eq!(product.purchase(&number).send().await.unwrap().status(), 200);
    let refused = product.request(Method::GET, "phone-numbers-list", "member").query(&[("colour", "red")]);
    assert_eq!(refused.send().await.unwrap().status(), 400);
    let stranger = product.request(Method::GET, "phone-numbers-list", "client_viewer");
    assert_eq!(stranger.send().await.unwrap().status(), 403);
    assert_eq!(product.http.get(&product.stack.routes()["phone-numbers-list"]).send().await.unwrap().status(), 401);

    let lines = lines(log.path(), 5).await;
    let of = |status: u16, function: &str| {
        let mut found = lines.iter().filter(|line| line["status"] == status && line["function"] == function);
        found.next().unwrap_or_else(|| panic!("{lines:#?}"))
    };
    let purchase = of(200, "phone-numbers-purchase");
    assert_eq!((&purchase["agency_id"], &purchase["method"]), (&json!(demo::DEMO.id), &json!("POST")));
    assert_eq!((purchase.get("code"), purchase.get("secrets_ms"), purchase.get("jwks_ms")), (None, None, None));
    let ms = |name: &str| purchase[name].as_u64().unwrap_or_else(|| panic!("{purchase:#}"));
    // The simulator confirms an order after 300 ms, which are spent with waiting and not with Telnyx.
    assert!(ms("duration_ms") >= 300 && ms("telnyx_ms") < ms("duration_ms") && ms("postgres_ms") < ms("duration_ms"), "{purchase:#}");
    let search = of(200, "phone-numbers-search");
    assert!(search["telnyx_ms"].is_u64() && search["postgres_ms"].is_u64(), "{search:#}");
    assert_eq!(of(400, "phone-numbers-list")["code"], "invalid_request");
    let unauthorized = of(401, "phone-numbers-list");
    assert_eq!((&unauthorized["code"], unauthorized.get("agency_id")), (&json!("unauthorized"), None));
    let forbidden = of(403, "phone-numbers-list");
    assert_eq!((&forbidden["code"], forbidden["postgres_ms"].is_u64()), (&json!("forbidden"), true));
    product.stack.stop().await;
}

/// As many lines about requests as there must be.
async fn lines(log: &Path, count: usize) -> Vec<Value> {
    eventually(async || Some(answered(&fs::read_to_string(log).unwrap())).filter(|lines| lines.len() >= count)).await
}

#[tokio::test]
async fn every_line_of_a_request_has_its_id_and_the_traces_once_at_every_level() {
    for level in ["TRACE", "WARN"] {
        let log = NamedTempFile::new().unwrap();
        let path = log.path().to_owned();
        let product = Product::with(async move |options| {
            let level = ("AWS_LAMBDA_LOG_LEVEL", level);
            // Without keys, the request fails, which is logged at each of the levels.
            options.environment = [level, ("JWT_SECRET", "")].map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            options.logs = Logs::File(path);
        })
        .await;
        let problem = product.json(product.request(Method::GET, "phone-numbers-list", "owner"), 503).await;
        let id = problem["request_id"].as_str().unwrap();
        product.stack.stop().await;
        let log = fs::read_to_string(log.path()).unwrap();
        let lines: Vec<_> = log.lines().filter(|line| line.contains(id)).collect();
        assert!(lines.iter().any(|line| line.contains("request failed")), "{log}");
        for line in lines {
            assert_eq!((line.matches(id).count(), line.matches("Root=").count()), (1, 1), "{line}");
            let line: Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["span"]["request_id"], id);
        }
    }
}
