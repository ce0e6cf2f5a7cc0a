//! The functions against moto's Secrets Manager.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use dev::demo;
use dev::moto::Moto;
use lambda_http::http::Method;
use phone_numbers_list::List;
use phone_numbers_search::Search;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::boundary::rotation::Role;
use crate::support::app::{TestApp, send};

const SEARCH: &str = "country_code=US&area_code=312&limit=1";
/// The region of the secrets.
const REGION: &str = "eu-central-1";

/// The Secrets Manager, with secrets of one test.
struct Manager {
    server: Moto,
    http: reqwest::Client,
    /// The prefix of its secrets' names.
    prefix: String,
}

impl Manager {
    /// Configures the functions of `app` with its endpoint and the names of their secrets only.
    async fn of(app: &mut TestApp) -> Self {
        let server = Moto::start().await.unwrap();
        let prefix = Uuid::new_v4().to_string();
        for (name, value) in [
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", server.url()),
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "an example"),
            ("DATABASE_URL", ""),
            ("DATABASE_SECRET_ID", &format!("{prefix}/database")),
            ("DATABASE_SSLMODE", "disable"),
            ("JWT_SECRET", ""),
            ("JWT_SECRET_ID", &format!("{prefix}/tokens")),
            ("TELNYX_API_KEY", ""),
            ("TELNYX_AGENCY_SECRET_ID", &format!("{prefix}/{{agency_id}}")),
            ("TELNYX_PLATFORM_SECRET_ID", &format!("{prefix}/platform")),
        ] {
            app.set(name, value);
        }
        Self { server, http: dev::loopback::client().unwrap(), prefix }
    }

    async fn ask(&self, action: &str, name: &str, mut body: Value) -> Value {
        let named_by = if action == "CreateSecret" { "Name" } else { "SecretId" };
        body[named_by] = json!(format!("{}/{name}", self.prefix));
        let scope = format!("AKIDEXAMPLE/20250101/{REGION}/secretsmanager/aws4_request");
        let request = self.http.post(self.server.url()).header("x-amz-target", format!("secretsmanager.{action}"));
        let request = request.header("content-type", "application/x-amz-json-1.1");
        let request = request.header("authorization", format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"));
        let answer = request.body(body.to_string()).send().await.unwrap();
        assert!(answer.status().is_success(), "{action}: {}", answer.text().await.unwrap());
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    /// Creates a secret: its ARN.
    async fn create(&self, name: &str, text: &str) -> String {
        self.ask("CreateSecret", name, json!({ "SecretString": text })).await["ARN"].as_str().unwrap().to_owned()
    }

    /// Changes the value of a secret, like a rotation.
    async fn put(&self, name: &str, text: &str) {
        self.ask("PutSecretValue", name, json!({ "SecretString": text })).await;
    }
}

/// An app with all secrets in Secrets Manager. Its database role has the password `first`.
async fn app() -> (TestApp, Manager, Role) {
    let mut app = TestApp::new().await;
    let manager = Manager::of(&mut app).await;
    let role = Role::create(&app, "first").await;
    manager.create("database", &role.secret(&app, "first")).await;
    manager.create("tokens", &app.issuer.secret).await;
    app.telnyx_settings(json!({"accounts": {"the platform": "KEYFIRST"}})).await;
    manager.create("platform", &json!({"api_key": "KEYFIRST"}).to_string()).await;
    (app, manager, role)
}

#[tokio::test]
async fn a_function_works_with_secrets_manager_alone_and_through_a_rotation() {
    let (app, manager, role) = app().await;
    let (search, token) = (app.function::<Search>(), app.token("owner"));
    search.warm().await;
    send(&search, &token, Method::GET, SEARCH, None).await.expect(200);

    manager.put("database", &role.secret(&app, "second")).await;
    role.set_password(&app, "second").await;
    role.disconnect(&app).await;
    manager.put("platform", "KEYSECOND").await;
    app.telnyx_settings(json!({"accounts": {"the platform": "KEYSECOND"}})).await;
    send(&search, &token, Method::GET, SEARCH, None).await.expect(200);
    assert_eq!(app.telnyx.exchanges().iter().map(|exchange| exchange.status).collect::<Vec<_>>(), [Some(200), Some(401), Some(200)]);
    role.drop(&app).await;
}

#[tokio::test]
async fn a_secret_may_be_named_by_its_arn() {
    let (mut app, manager, role) = app().await;
    let arn = manager.create("the same database", &role.secret(&app, "first")).await;
    assert!(arn.starts_with("arn:aws:secretsmanager:"), "{arn}");
    app.set("DATABASE_SECRET_ID", &arn);
    let function = app.function::<List>();
    send(&function, &app.token("owner"), Method::GET, "", None).await.expect(200);
    role.drop(&app).await;
}

#[tokio::test]
async fn only_a_secret_that_is_not_there_is_replaced_by_the_platforms() {
    let (app, manager, role) = app().await;
    app.search("owner", SEARCH).await.expect(200);
    let own = demo::DEMO.id.to_string();
    manager.create(&own, "KEYTHEIROWN").await;
    manager.ask("DeleteSecret", &own, json!({"RecoveryWindowInDays": 7})).await;
    app.search("owner", SEARCH).await.expect_problem(503, "unavailable");
    manager.ask("RestoreSecret", &own, json!({})).await;
    app.telnyx_settings(json!({"accounts": {"their own": "KEYTHEIROWN"}})).await;
    app.search("owner", SEARCH).await.expect(200);
    manager.ask("PutSecretValue", &own, json!({"SecretBinary": BASE64_STANDARD.encode("KEYTHEIROWN")})).await;
    app.search("owner", SEARCH).await.expect_problem(503, "unavailable");
    manager.ask("DeleteSecret", &own, json!({"ForceDeleteWithoutRecovery": true})).await;
    app.search("owner", SEARCH).await.expect(200);
    role.drop(&app).await;
}
