//! The five binaries themselves, as Lambda would run them: processes behind the Runtime API and the gateway.

use dev::functions::{self, Logs, Programs};
use dev::postgres::TestDatabase;
use dev::stack::{Options, Stack};
use dev::template::Template;
use dev::{demo, stack, workspace};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::world::{ORIGIN, agent, eventually};

const NAMES: [&str; 5] =
    ["phone-numbers-assign", "phone-numbers-list", "phone-numbers-purchase", "phone-numbers-release", "phone-numbers-search"];

/// The binaries, built once for all tests.
async fn programs() -> Programs {
    static PROGRAMS: OnceCell<Programs> = OnceCell::const_new();
    PROGRAMS.get_or_init(async || functions::build::build(&NAMES, false).await.unwrap()).await.clone()
}

/// A whole product of its own.
struct Product {
    stack: Stack,
    http: reqwest::Client,
    _database: TestDatabase,
}

impl Product {
    async fn start(environment: &[(&str, &str)]) -> Self {
        let database = TestDatabase::migrated().await.unwrap();
        demo::seed(database.url()).await.unwrap();
        let template = Template::read(&workspace::root().join("template.yaml")).unwrap();
        let mut options = Options::new(template, programs().await, database.url());
        options.telnyx.settings.order_delay_ms = 300;
        options.logs = Logs::File("/dev/null".into());
        options.environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { stack: Stack::start(options).await.unwrap(), http: stack::client().unwrap(), _database: database }
    }

    fn request(&self, method: Method, function: &str, user: &str) -> RequestBuilder {
        let user = demo::USERS.iter().find(|known| known.key == user).unwrap();
        let token = self.stack.issuer().token(user.id, user.email);
        self.http.request(method, &self.stack.routes()[function]).bearer_auth(token).header("origin", ORIGIN)
    }

    async fn json(&self, request: RequestBuilder, status: u16) -> Value {
        let response = request.send().await.unwrap();
        let (found, body) = (response.status().as_u16(), response.json::<Value>().await.unwrap());
        assert_eq!(found, status, "{body:#}");
        body
    }

    async fn list(&self, user: &str) -> Vec<Value> {
        let request = self.request(Method::GET, "phone-numbers-list", user).query(&[("include_released", "true")]);
        self.json(request, 200).await["phone_numbers"].as_array().unwrap().clone()
    }

    async fn offers(&self) -> Vec<String> {
        let request = self.request(Method::GET, "phone-numbers-search", "owner").query(&[("country_code", "US"), ("area_code", "312")]);
        let found = self.json(request, 200).await;
        found["phone_numbers"].as_array().unwrap().iter().map(|offer| offer["phone_number"].as_str().unwrap().to_owned()).collect()
    }

    fn purchase(&self, number: &str) -> RequestBuilder {
        let body = json!({"phone_numbers": [{"phone_number": number, "agent_mapping_id": agent(&demo::DEMO, 0)}]});
        self.request(Method::POST, "phone-numbers-purchase", "owner").json(&body)
    }

    /// Ends every process of a function at once, whatever it is doing.
    async fn kill(&self, function: &str) {
        let function = self.stack.functions().iter().find(|known| known.definition().name == function).unwrap();
        function.kill().await;
    }

    /// What Telnyx knows.
    async fn telnyx(&self) -> Value {
        let state = self.http.get(format!("{}/state", self.stack.telnyx().control_url()));
        state.send().await.unwrap().json().await.unwrap()
    }
}

#[tokio::test]
async fn the_whole_story_goes_through_the_gateway() {
    let product = Product::start(&[]).await;
    let number = product.offers().await.remove(0);
    let buying = tokio::spawn(product.purchase(&number).send());
    let pending = eventually(async || product.list("member").await.pop()).await;
    assert_eq!(pending["phone_number"], number);
    let bought: Value = buying.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(bought["phone_numbers"][0]["status"], "active", "{bought:#}");
    let listed = product.list("member").await.remove(0);
    assert_eq!(listed["agent_mappings"]["voice"], "Mark");
    let id = listed["id"].as_str().unwrap();

    let assign = json!({"phone_number_id": id, "agent_mapping_id": agent(&demo::DEMO, 1)});
    let assigned = product.json(product.request(Method::POST, "phone-numbers-assign", "admin").json(&assign), 200).await;
    assert_eq!(assigned["phone_number"]["agent_mappings"]["voice"], "Lucia");
    let unassign = product.request(Method::DELETE, "phone-numbers-assign", "admin").query(&[("phone_number_id", id)]);
    assert_eq!(product.json(unassign, 200).await["phone_number"]["agent_mapping_id"], Value::Null);
    let release = product.request(Method::POST, "phone-numbers-release", "owner").json(&json!({"phone_number_ids": [id], "confirm": true}));
    assert_eq!(product.json(release, 200).await["released"][0]["id"], id);
    assert_eq!(product.list("owner").await[0]["status"], "released");
    assert!(product.list("other_owner").await.is_empty());
    product.stack.stop().await;
}

#[tokio::test]
async fn each_function_answers_preflights_on_its_own_url() {
    let product = Product::start(&[]).await;
    for (name, url) in product.stack.function_urls() {
        let preflight = product.http.request(Method::OPTIONS, url).header("origin", ORIGIN);
        let response = preflight.header("access-control-request-method", "POST").send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NO_CONTENT, "{name}");
        assert_eq!(response.headers()["access-control-allow-origin"], ORIGIN, "{name}");
    }
    product.stack.stop().await;
}

#[tokio::test]
async fn without_any_configuration_every_function_answers_503() {
    let unset = ["DATABASE_URL", "JWT_SECRET", "JWT_ISSUER", "TELNYX_API_KEY", "TELNYX_API_URL", "AWS_REGION"].map(|name| (name, ""));
    let product = Product::start(&unset).await;
    for name in NAMES {
        let method = if name.ends_with("purchase") || name.ends_with("release") { Method::POST } else { Method::GET };
        let problem = product.json(product.request(method, name, "owner"), 503).await;
        assert_eq!(problem["code"], "unavailable", "{name}");
    }
    product.stack.stop().await;
}

#[tokio::test]
async fn eight_processes_that_buy_one_number_place_one_order() {
    let product = Product::start(&[]).await;
    let number = product.offers().await.remove(0);
    let calls: Vec<_> = (0..8).map(|_| tokio::spawn(product.purchase(&number).send())).collect();
    let mut rows = Vec::new();
    for call in calls {
        let response: Response = call.await.unwrap().unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        rows.push(response.json::<Value>().await.unwrap()["phone_numbers"][0]["id"].clone());
    }
    rows.dedup();
    assert_eq!(rows.len(), 1);
    assert_eq!(product.telnyx().await["orders"].as_array().unwrap().len(), 1);
    product.stack.stop().await;
}

#[tokio::test]
async fn a_purchase_whose_process_is_killed_is_finished_by_the_next_one() {
    let product = Product::start(&[("PURCHASE_LEASE_MS", "1000")]).await;
    let settings = product.http.put(format!("{}/settings", product.stack.telnyx().control_url()));
    settings.json(&json!({"order_outcome": "never"})).send().await.unwrap();
    let number = product.offers().await.remove(0);
    let buying = tokio::spawn(product.purchase(&number).send());
    eventually(async || product.telnyx().await["orders"].as_array().filter(|orders| !orders.is_empty()).cloned()).await;
    product.kill("phone-numbers-purchase").await;
    assert_eq!(buying.await.unwrap().unwrap().status(), StatusCode::BAD_GATEWAY);

    let settings = product.http.put(format!("{}/settings", product.stack.telnyx().control_url()));
    settings.json(&json!({"order_outcome": "success"})).send().await.unwrap();
    let bought = product.json(product.purchase(&number), 200).await;
    assert_eq!(bought["phone_numbers"][0]["status"], "active");
    assert_eq!(product.telnyx().await["orders"].as_array().unwrap().len(), 1);
    product.stack.stop().await;
}
