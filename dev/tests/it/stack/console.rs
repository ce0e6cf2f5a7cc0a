//! The console's listener: what its page may do, and that no other page may do it.

use dev::console::Console;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::support::app::eventually;
use crate::support::product::Product;

/// A product and its console.
struct Page {
    product: Product,
    console: Console,
}

impl Page {
    async fn open() -> Self {
        Self::with(&[]).await
    }

    /// With variables of the functions' environment.
    async fn with(environment: &[(&str, &str)]) -> Self {
        let product = Product::start(environment).await;
        let console = Console::start(0, &product.stack).await.unwrap();
        Self { product, console }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.product.http.request(method, format!("{}{path}", self.console.url()))
    }

    /// A request as the page sends it.
    fn own(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.request(method, path).header("origin", self.console.url());
        request.header("sec-fetch-site", "same-origin").header("content-type", "application/json")
    }

    async fn json(&self, method: Method, path: &str, body: Value) -> Value {
        let request = self.own(method, path);
        let request = if body.is_null() { request } else { request.json(&body) };
        request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
    }

    fn port(&self) -> u16 {
        reqwest::Url::parse(&self.console.url()).unwrap().port().unwrap()
    }
}

/// Requests that the page sends, of each kind.
const REQUESTS: [(Method, &str); 6] = [
    (Method::GET, "/api/session"),
    (Method::GET, "/api/findings"),
    (Method::PUT, "/api/kill"),
    (Method::GET, "/api/telnyx/state"),
    (Method::POST, "/api/telnyx/reset"),
    (Method::DELETE, "/api/telnyx/faults"),
];

async fn fault(page: &Page) {
    page.json(Method::POST, "/api/telnyx/faults", json!({"path_prefix": "/v2/number_orders", "kind": "drop_after"})).await;
}

async fn is_refused(response: Response, status: u16) {
    assert_eq!(response.status().as_u16(), status, "{response:?}");
    assert!(!response.headers().keys().any(|name| name.as_str().starts_with("access-control-")), "{response:?}");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["error"], "{body}");
}

#[tokio::test]
async fn the_page_gets_a_token_of_each_demo_user_that_the_functions_accept_from_its_origin() {
    let page = Page::open().await;
    let session = page.json(Method::GET, "/api/session", Value::Null).await;
    assert_eq!(session["base_url"], page.product.stack.base_url());
    for user in session["users"].as_array().unwrap() {
        let list = page.product.http.get(&page.product.stack.routes()["phone-numbers-list"]);
        let list = list.bearer_auth(user["token"].as_str().unwrap()).header("origin", page.console.url()).send().await.unwrap();
        let is_agency_user = user["role"].as_str().unwrap().starts_with("agency_");
        assert_eq!(list.status().as_u16(), if is_agency_user { 200 } else { 403 }, "{user}");
        assert_eq!(list.headers()["access-control-allow-origin"], page.console.url());
    }
}

#[tokio::test]
async fn a_page_of_another_site_reaches_nothing_whatever_address_it_uses() {
    let page = Page::open().await;
    fault(&page).await;
    let port = page.port();
    let own_host = format!("127.0.0.1:{port}");
    let (other_name, other_port, no_port) = (format!("attacker.example:{port}"), "127.0.0.1:1".to_owned(), "127.0.0.1".to_owned());
    let own = page.console.url();
    for (method, path) in REQUESTS {
        for host in [&other_name, &other_port, &no_port] {
            // The browser takes such a page for the console's own.
            let request = page.request(method.clone(), path).header("host", host).header("origin", format!("http://{host}"));
            is_refused(request.header("content-type", "application/json").body("{}").send().await.unwrap(), 403).await;
        }
        for origin in ["http://attacker.example", "https://127.0.0.1", "http://localhost:5173", "null", ""] {
            let request = page.request(method.clone(), path).header("host", &own_host).header("origin", origin);
            is_refused(request.header("content-type", "application/json").body("{}").send().await.unwrap(), 403).await;
        }
        for site in ["cross-site", "same-site"] {
            let request = page.own(method.clone(), path).header("sec-fetch-site", site);
            is_refused(request.body("{}").send().await.unwrap(), 403).await;
        }
        let twice = page.own(method.clone(), path).header("origin", "http://attacker.example").body("{}").send().await.unwrap();
        is_refused(twice, 403).await;
        let preflight = page.request(Method::OPTIONS, path).header("origin", "http://attacker.example");
        is_refused(preflight.header("access-control-request-method", method.as_str()).send().await.unwrap(), 403).await;
    }
    let state = page.product.telnyx().await;
    assert_eq!(state["faults"].as_array().unwrap().len(), 1, "nothing was changed");
    // The page's own address, by either name.
    for host in [own_host, format!("localhost:{port}")] {
        let request = page.request(Method::GET, "/api/session").header("host", &host).header("origin", format!("http://{host}"));
        assert_eq!(request.send().await.unwrap().status(), 200, "{host} {own}");
    }
}

#[tokio::test]
async fn what_changes_anything_must_be_json_which_a_form_cannot_send() {
    let page = Page::open().await;
    for (method, path) in REQUESTS.into_iter().filter(|(method, _)| *method != Method::GET) {
        for content_type in [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("multipart/form-data; boundary=x")] {
            let request = page.request(method.clone(), path).header("origin", page.console.url()).body("{}");
            let request = content_type.into_iter().fold(request, |request, content_type| request.header("content-type", content_type));
            is_refused(request.send().await.unwrap(), 415).await;
        }
    }
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere_and_cannot_be_framed() {
    let page = Page::open().await;
    let index = page.request(Method::GET, "/").send().await.unwrap();
    assert_eq!(index.status(), 200);
    let headers = index.headers().clone();
    let policy = headers["content-security-policy"].to_str().unwrap();
    for rule in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'none'", "base-uri 'none'"] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(policy.contains(&format!("connect-src 'self' {};", page.product.stack.base_url())), "{policy}");
    assert_eq!(headers["cross-origin-resource-policy"], "same-origin");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    let html = index.text().await.unwrap();
    let mut files: Vec<_> = html.split('"').filter(|text| [".js", ".css", ".svg"].iter().any(|end| text.ends_with(end))).collect();
    assert!(files.len() >= 3, "{html}");
    files.dedup();
    for file in files {
        let answer = page.request(Method::GET, &format!("/{file}")).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{file}");
    }
    for path in ["/Cargo.toml", "/..%2f..%2fCargo.toml", "/%2e%2e/src/lib.rs", "/none.js"] {
        assert_eq!(page.request(Method::GET, path).send().await.unwrap().status(), 404, "{path}");
    }
}

#[tokio::test]
async fn the_page_reaches_every_control_of_the_simulator_and_nothing_else_of_it() {
    let page = Page::open().await;
    fault(&page).await;
    assert_eq!(page.json(Method::GET, "/api/telnyx/faults", Value::Null).await["faults"][0]["kind"], "drop_after");
    page.json(Method::PUT, "/api/telnyx/settings", json!({"insufficient_funds": true})).await;
    assert_eq!(page.product.telnyx().await["settings"]["insufficient_funds"], true);
    page.json(Method::DELETE, "/api/telnyx/faults", Value::Null).await;
    assert_eq!(page.product.telnyx().await["faults"], json!([]));
    assert_eq!(page.own(Method::GET, "/api/telnyx/nothing").send().await.unwrap().status(), 404);
    for path in ["/api/telnyx/%2e%2e/v2/phone_numbers", "/api/telnyx/..%2fv2%2fphone_numbers"] {
        let answer = page.own(Method::GET, path).send().await.unwrap();
        assert!([404, 502].contains(&answer.status().as_u16()), "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn an_armed_kill_ends_the_purchase_after_its_order_and_the_same_key_finishes_it() {
    let page = Page::with(&[("LEASE_MS", "2000"), ("TELNYX_TIMEOUT_MS", "1500")]).await;
    let number = page.product.offers().await.remove(0);
    let purchase = || page.product.purchase(&number).header("idempotency-key", "attempt-1");
    fault_that_stays(&page).await;
    for armed in [true, false, true] {
        assert_eq!(page.json(Method::PUT, "/api/kill", json!({"armed": armed})).await["armed"], armed);
    }
    let faults = page.product.telnyx().await["faults"].clone();
    assert_eq!(faults.as_array().unwrap().len(), 2, "disarming leaves other faults: {faults}");

    assert_eq!(purchase().send().await.unwrap().status(), 502);
    let orders = async || page.product.telnyx().await["orders"].as_array().unwrap().len();
    assert_eq!(orders().await, 1, "Telnyx has the order");
    assert_eq!(page.json(Method::GET, "/api/kill", Value::Null).await["armed"], false, "it happens once");

    eventually(async || (purchase().send().await.unwrap().status() == 200).then_some(())).await;
    assert_eq!(orders().await, 1, "nothing is bought twice");
    assert_eq!(page.product.list("owner").await[0]["status"], "active");
}

/// A fault that no request of the test meets.
async fn fault_that_stays(page: &Page) {
    page.json(Method::POST, "/api/telnyx/faults", json!({"path_prefix": "/v2/number_reservations", "kind": "drop_before"})).await;
}

#[tokio::test]
async fn the_simulators_own_controls_take_no_requests_of_web_pages() {
    let page = Page::open().await;
    let url = page.product.stack.telnyx().control_url();
    let port = reqwest::Url::parse(&url).unwrap().port().unwrap();
    for (name, value) in [
        ("origin", "http://attacker.example".to_owned()),
        ("origin", "null".to_owned()),
        ("origin", page.console.url()),
        ("host", format!("attacker.example:{port}")),
        ("host", "127.0.0.1:1".to_owned()),
    ] {
        for (method, control) in [(Method::GET, "state"), (Method::POST, "reset"), (Method::DELETE, "faults")] {
            let request = page.product.http.request(method, format!("{url}/{control}")).header(name, &value);
            is_refused(request.send().await.unwrap(), 403).await;
        }
    }
    assert_eq!(page.product.http.get(format!("{url}/settings")).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn the_page_shows_the_findings_that_are_open() {
    let page = Page::open().await;
    let findings = page.json(Method::GET, "/api/findings", Value::Null).await;
    assert_eq!(findings, json!({"findings": []}));
    let database = dev::postgres::connect(page.product.database.url()).await.unwrap();
    let insert = "insert into phone_number_findings (kind, telnyx_account, phone_number, telnyx_phone_number_id, detail)
                  values ('released_but_billed', 'default', '+13125550123', '1', 'It was released.')";
    database.batch_execute(insert).await.unwrap();
    let findings = page.json(Method::GET, "/api/findings", Value::Null).await;
    assert_eq!(findings["findings"][0]["number"], "+13125550123");
    assert_eq!(findings["findings"][0]["detail"], "It was released.");
}
