//! The Telnyx simulator, tested over HTTP.

mod accounts;
mod faults;
mod numbers;
mod orders;
mod portal;
mod search;
mod webhooks;

use dev::loopback;
use dev::telnyx_simulator::{ClockMode, Options, Settings, Simulator};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::support::openapi::Spec;

/// A status and a body.
type Answer = (u16, Value);

/// A simulator for one test, and a client with the key of its default account.
struct Telnyx {
    simulator: Simulator,
    http: Client,
    api_key: String,
}

impl Telnyx {
    /// Starts a simulator whose clock moves only by `advance`.
    async fn start() -> Self {
        Self::with(Settings { clock: ClockMode::Manual, ..Settings::default() }).await
    }

    async fn with(settings: Settings) -> Self {
        let simulator = Simulator::start(Options { settings, ..Options::default() }).await.unwrap();
        let http = loopback::client_builder().unwrap().pool_max_idle_per_host(0).build().unwrap();
        Self { api_key: simulator.api_key().to_owned(), simulator, http }
    }

    async fn ask(&self, api_key: &str, method: Method, path: &str, body: Option<Value>) -> reqwest::Result<reqwest::Response> {
        let url = format!("{}{path}", self.simulator.url());
        let request = self.http.request(method, url).bearer_auth(api_key);
        match body {
            Some(body) => request.json(&body),
            None => request,
        }
        .send()
        .await
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        read(self.ask(&self.api_key, method, path, body).await.unwrap()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, Some(body)).await
    }

    async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    async fn control(&self, method: Method, path: &str, body: Value) -> Answer {
        let url = format!("{}{path}", self.simulator.control_url());
        read(self.http.request(method, url).json(&body).send().await.unwrap()).await
    }

    async fn set(&self, settings: Value) {
        let (status, body) = self.control(Method::PUT, "/settings", settings).await;
        assert_eq!(status, 200, "{body}");
    }

    async fn fault(&self, fault: Value) {
        let (status, body) = self.control(Method::POST, "/faults", fault).await;
        assert_eq!(status, 201, "{body}");
    }

    async fn advance(&self, ms: u64) {
        let (status, body) = self.control(Method::POST, "/clock", json!({ "advance_ms": ms })).await;
        assert_eq!(status, 200, "{body}");
    }

    async fn state(&self) -> Value {
        self.control(Method::GET, "/state", Value::Null).await.1
    }

    /// The results of a search with these filters.
    async fn found(&self, query: &str) -> Vec<String> {
        let (status, body) = self.get(&format!("/available_phone_numbers?{query}")).await;
        assert_eq!(status, 200, "{body}");
        let numbers = body["data"].as_array().unwrap().iter();
        numbers.map(|number| number["phone_number"].as_str().unwrap().to_owned()).collect()
    }

    /// A number that can be ordered.
    async fn number(&self) -> String {
        self.found("filter[national_destination_code]=312&filter[limit]=1").await.remove(0)
    }

    async fn order(&self, phone_number: &str) -> Answer {
        self.post("/number_orders", order_of(phone_number)).await
    }

    /// Buys a number: its E.164 and its id.
    async fn own(&self) -> (String, String) {
        let number = self.number().await;
        assert_eq!(self.order(&number).await.0, 200);
        self.advance(1400).await;
        let id = self.get(&format!("/phone_numbers/{number}")).await.1["data"]["id"].clone();
        (number, id.as_str().unwrap().to_owned())
    }

    /// Validates all requests and answers against Telnyx's specification.
    fn finish(self) {
        let exchanges = self.simulator.exchanges();
        let wrong: Vec<_> =
            exchanges.iter().filter(|exchange| !exchange.faulted).flat_map(|exchange| Spec::load().check(exchange)).collect();
        assert_eq!(wrong, Vec::<String>::new());
    }

    /// The same, for a test that sends invalid requests on purpose.
    fn finish_checking_answers(self) {
        let exchanges = self.simulator.exchanges();
        let wrong: Vec<_> = exchanges.iter().flat_map(|exchange| Spec::load().check_response(exchange)).collect();
        assert_eq!(wrong, Vec::<String>::new());
    }
}

async fn read(response: reqwest::Response) -> Answer {
    let status = response.status().as_u16();
    (status, response.json().await.unwrap())
}

fn order_of(phone_number: &str) -> Value {
    json!({ "phone_numbers": [{ "phone_number": phone_number }] })
}

/// The code of an error answer.
fn code(body: &Value) -> &str {
    body["errors"][0]["code"].as_str().unwrap()
}
