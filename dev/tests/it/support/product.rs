//! A product of its own for a test: the binaries themselves, behind a gateway, with a database and a Telnyx.

use dev::lambda::functions::{self, Function, Logs, Programs};
use dev::lambda::template::Template;
use dev::postgres::TestDatabase;
use dev::stack::{Options, Stack};
use dev::{demo, loopback, workspace};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::support::app::{ORIGIN, agent};

pub(crate) fn template() -> Template {
    Template::read(&workspace::root().join("template.yaml")).unwrap()
}

/// The functions that web apps call: those to which the template routes every method.
pub(crate) fn web_functions() -> Vec<String> {
    let functions = template().functions.into_iter();
    functions.filter(|function| function.routes.iter().any(|route| route.method == "ANY")).map(|function| function.name).collect()
}

/// The binaries, built once for all tests.
pub(crate) async fn programs() -> Programs {
    static PROGRAMS: OnceCell<Programs> = OnceCell::const_new();
    let build = async || {
        let names = web_functions();
        functions::build::build(&names.iter().map(String::as_str).collect::<Vec<_>>(), false).await.unwrap()
    };
    PROGRAMS.get_or_init(build).await.clone()
}

/// A request of a page to a function of a stack, in the name of a user.
pub(crate) fn request_to(stack: &Stack, http: &Client, method: Method, function: &str, user: &str) -> RequestBuilder {
    let user = demo::USERS.iter().find(|known| known.key == user).unwrap();
    let token = stack.issuer().token(user.id, user.email);
    http.request(method, &stack.routes()[function]).bearer_auth(token).header("origin", ORIGIN)
}

/// The body of the answer, which must have a status.
pub(crate) async fn json_of(request: RequestBuilder, status: u16) -> Value {
    let response = request.send().await.unwrap();
    let (found, body) = (response.status().as_u16(), response.json::<Value>().await.unwrap());
    assert_eq!(found, status, "{body:#}");
    body
}

pub(crate) struct Product {
    pub(crate) stack: Stack,
    pub(crate) http: Client,
    pub(crate) database: TestDatabase,
}

impl Product {
    /// With variables of the functions' environment as a test wants them.
    pub(crate) async fn start(environment: &[(&str, &str)]) -> Self {
        let set = async |options: &mut Options| {
            options.environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        };
        Self::with(set).await
    }

    /// With options as a test wants them.
    pub(crate) async fn with(change: impl AsyncFnOnce(&mut Options)) -> Self {
        let database = TestDatabase::migrated().await.unwrap();
        demo::seed(database.url()).await.unwrap();
        let mut options = Options::new(template(), programs().await, database.url());
        options.telnyx.settings.order_delay_ms = 300;
        options.logs = Logs::File("/dev/null".into());
        change(&mut options).await;
        Self { stack: Stack::start(options).await.unwrap(), http: loopback::client().unwrap(), database }
    }

    pub(crate) fn request(&self, method: Method, function: &str, user: &str) -> RequestBuilder {
        request_to(&self.stack, &self.http, method, function, user)
    }

    pub(crate) async fn json(&self, request: RequestBuilder, status: u16) -> Value {
        json_of(request, status).await
    }

    pub(crate) async fn list(&self, user: &str) -> Vec<Value> {
        let request = self.request(Method::GET, "phone-numbers-list", user).query(&[("include_released", "true")]);
        self.json(request, 200).await["phone_numbers"].as_array().unwrap().clone()
    }

    pub(crate) async fn offers(&self) -> Vec<String> {
        self.offers_in("312").await
    }

    pub(crate) async fn offers_in(&self, area_code: &str) -> Vec<String> {
        let query = [("country_code", "US"), ("area_code", area_code), ("limit", "100")];
        let found = self.json(self.request(Method::GET, "phone-numbers-search", "owner").query(&query), 200).await;
        found["phone_numbers"].as_array().unwrap().iter().map(|offer| offer["phone_number"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn purchase(&self, number: &str) -> RequestBuilder {
        let body = json!({"phone_numbers": [{"phone_number": number, "agent_mapping_id": agent(&demo::DEMO, 0)}]});
        self.request(Method::POST, "phone-numbers-purchase", "owner").json(&body)
    }

    pub(crate) fn release(&self, id: &str) -> RequestBuilder {
        self.request(Method::POST, "phone-numbers-release", "owner").json(&json!({"phone_number_ids": [id], "confirm": true}))
    }

    pub(crate) fn function(&self, name: &str) -> &Function {
        self.stack.functions().iter().find(|known| known.definition().name == name).unwrap()
    }

    /// Changes settings of the simulator.
    pub(crate) async fn telnyx_settings(&self, settings: Value) {
        let put = self.http.put(format!("{}/settings", self.stack.telnyx().control_url())).json(&settings);
        put.send().await.unwrap().error_for_status().unwrap();
    }

    /// What Telnyx knows.
    pub(crate) async fn telnyx(&self) -> Value {
        let state = self.http.get(format!("{}/state", self.stack.telnyx().control_url()));
        state.send().await.unwrap().json().await.unwrap()
    }
}
