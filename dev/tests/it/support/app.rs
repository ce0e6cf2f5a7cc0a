//! The product for one test: its own database, its own Telnyx simulator, and the handlers in this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dev::demo;
use dev::fault_proxy::FaultProxy;
use dev::loopback;
use dev::migrations;
use dev::postgres::TestDatabase;
use dev::postgres::logins::Login;
use dev::telnyx_simulator::{Exchange, Options, Simulator};
use dev::token::Issuer;
use lambda_http::http::{HeaderMap, Method, Request, Response};
use lambda_http::{Body, Context, LambdaEvent, RequestExt as _};
use phone_numbers_reconcile::Reconcile;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use shared::config::{Config, Invalid};
use shared::lambda::{BackgroundService, EventAnswer, Function, Service};
use shared::secrets::Secrets;
use shared::store::Store;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::support::foreign_client::Watch;
use crate::support::openapi::Spec;

/// A page of the web app.
pub(crate) const ORIGIN: &str = "http://localhost:3000";

/// The setting for how long a request may take.
const BUDGET: &str = "REQUEST_BUDGET_MS";
/// The setting with which statements have no names.
const UNNAMED: &str = "DATABASE_PREPARED_STATEMENTS";

/// A migrated and seeded database, a Telnyx simulator, and what it takes to call the handlers with them.
pub(crate) struct TestApp {
    pub(crate) telnyx: Simulator,
    pub(crate) database: TestDatabase,
    pub(crate) sql: Client,
    pub(crate) issuer: Issuer,
    environment: Vec<(&'static str, String)>,
    pub(crate) http: reqwest::Client,
    _foreign: Option<Watch>,
}

/// What a function answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    /// The body as it was sent.
    pub(crate) text: String,
}

impl Reply {
    /// What a service has answered.
    pub(crate) fn of(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let bytes: &[u8] = body.as_ref();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(bytes).unwrap() };
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Self { status: parts.status.as_u16(), headers: parts.headers, body, text }
    }

    /// What a function has answered to an event.
    pub(crate) fn to_event(answer: &EventAnswer) -> Self {
        let answer = serde_json::to_value(answer).unwrap();
        let text = answer["body"].as_str().unwrap_or_default().to_owned();
        let headers = answer["headers"].as_object().unwrap().iter();
        Self {
            status: answer["statusCode"].as_u64().unwrap().try_into().unwrap(),
            headers: headers.map(|(name, value)| (name.parse().unwrap(), value.as_str().unwrap().parse().unwrap())).collect(),
            body: if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() },
            text,
        }
    }

    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// The fields that a problem names.
    pub(crate) fn fields(&self) -> Vec<&str> {
        self.body["errors"].as_array().map(|errors| errors.iter().filter_map(|error| error["field"].as_str()).collect()).unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The only number of a purchase or a list.
    pub(crate) fn number(&self) -> &Value {
        let numbers = self.body["phone_numbers"].as_array().unwrap_or_else(|| panic!("no numbers: {self:?}"));
        assert_eq!(numbers.len(), 1, "{self:?}");
        &numbers[0]
    }

    /// Insists on a status, and shows the answer where it is another.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:#}", self.body);
        self
    }

    /// Insists on a problem, complete as the contract has it.
    #[track_caller]
    pub(crate) fn expect_problem(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.code()), (status, code), "{:#}", self.body);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.body["status"], status);
        assert_eq!(self.body["error"], self.body["detail"]);
        assert!(self.body["title"].is_string() && self.body["retryable"].is_boolean() && self.body["request_id"].is_string());
        assert!(self.body["type"].as_str().unwrap().ends_with(code));
        self
    }
}

impl TestApp {
    /// Orders succeed at once, and waiting is short: what a test wants slow, it makes slow.
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::migrated().await.unwrap();
        demo::seed(database.url()).await.unwrap();
        let telnyx = Simulator::start(Options::default()).await.unwrap();
        let issuer = Issuer::default();
        let mut environment = vec![
            ("DEPLOYMENT", migrations::DEPLOYMENT.to_owned()),
            ("DATABASE_URL", database.url_of_functions().to_owned()),
            ("JWT_SECRET", issuer.secret.clone()),
            ("JWT_ISSUER", issuer.issuer.clone()),
            ("ALLOWED_ORIGINS", "http://localhost:*,https://*.example.com".to_owned()),
            ("TELNYX_API_URL", telnyx.url()),
            ("TELNYX_API_KEY", telnyx.api_key().to_owned()),
            ("TELNYX_TIMEOUT_MS", "1500".to_owned()),
            (BUDGET, "8000".to_owned()),
            ("PURCHASE_POLL_MS", "20".to_owned()),
            ("PURCHASE_ORDER_MISSING_AFTER_MS", "300".to_owned()),
        ];
        // `DATABASE_PREPARED_STATEMENTS=false cargo test` runs all tests as behind a pooler.
        environment.extend(std::env::var(UNNAMED).ok().map(|value| (UNNAMED, value)));
        let sql = database.connect().await.unwrap();
        // `DATABASE_POOLER=pgbouncer cargo test` has the functions share their connections with this client.
        let foreign = (database.url_of_functions() != database.url()).then(|| Watch::start(database.url_of_functions()));
        let app = Self { telnyx, database, sql, issuer, environment, http: loopback::client().unwrap(), _foreign: foreign };
        app.telnyx_settings(json!({"order_delay_ms": 0, "number_delay_ms": 0})).await;
        app
    }

    /// Sets a variable of the functions' environment; an empty one is unset.
    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.environment.retain(|(known, _)| *known != name);
        self.environment.push((name, value.to_owned()));
    }

    /// From here on, the functions reach the database by a way that can break.
    pub(crate) async fn with_fault_proxy(&mut self) -> FaultProxy {
        let proxy = FaultProxy::new();
        let url = proxy.postgres(self.database.url()).await.unwrap();
        self.set("DATABASE_URL", &url);
        proxy
    }

    /// The settings as a function reads them, except that their relations are not checked: many tests shorten the lease alone.
    pub(crate) fn settings(&self) -> Result<Config, Invalid> {
        Config::read(|name| self.value(name))
    }

    fn value(&self, name: &str) -> Option<String> {
        self.environment.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    }

    /// The same as one function reads them, which has a login of its own.
    fn settings_of(&self, function: &str) -> Result<Config, Invalid> {
        let login = Login::of(function).unwrap();
        // A URL with another user is that of a test about logins.
        let owner = self.database.url().split('@').next().unwrap();
        Config::read(|name| match (name, login, self.value(name)) {
            ("DATABASE_URL", Some(login), Some(url)) if url.starts_with(owner) => Some(login.url(&url).unwrap()),
            (_, _, value) => value,
        })
    }

    pub(crate) fn config(&self) -> Config {
        self.settings().unwrap()
    }

    /// A function that has just started.
    pub(crate) fn function<F: Function>(&self) -> Service<F> {
        Service::new(self.settings_of(F::NAME))
    }

    pub(crate) fn token(&self, user: &str) -> String {
        let user = demo::USERS.iter().find(|known| known.key == user).unwrap_or_else(|| panic!("no user {user}"));
        self.issuer.token(user.id, user.email)
    }

    /// A request of a page in the name of a user.
    pub(crate) async fn call<F: Function>(&self, user: &str, method: Method, query: &str, body: Option<Value>) -> Reply {
        send(&self.function::<F>(), &self.token(user), method, query, body).await
    }

    pub(crate) async fn search(&self, user: &str, query: &str) -> Reply {
        self.call::<phone_numbers_search::Search>(user, Method::GET, query, None).await
    }

    pub(crate) async fn purchase(&self, user: &str, body: Value) -> Reply {
        self.call::<phone_numbers_purchase::Purchase>(user, Method::POST, "", Some(body)).await
    }

    /// A purchase that Telnyx does not decide. It waits in vain, for a shorter time than other requests have.
    pub(crate) async fn pending_purchase(&mut self, body: Value) -> Reply {
        let usual = self.value(BUDGET).unwrap();
        self.set(BUDGET, "4000");
        let reply = self.purchase("owner", body).await.expect(202);
        self.set(BUDGET, &usual);
        reply
    }

    pub(crate) async fn list(&self, user: &str, query: &str) -> Reply {
        self.call::<phone_numbers_list::List>(user, Method::GET, query, None).await
    }

    pub(crate) async fn assign(&self, user: &str, method: Method, query: &str, body: Option<Value>) -> Reply {
        self.call::<phone_numbers_assign::Assign>(user, method, query, body).await
    }

    pub(crate) async fn release(&self, user: &str, body: Value) -> Reply {
        self.call::<phone_numbers_release::Release>(user, Method::POST, "", Some(body)).await
    }

    /// `phone-numbers-reconcile`, as a process that has just started.
    pub(crate) fn reconciler(&self) -> BackgroundService<Reconcile> {
        BackgroundService::new(self.settings_of("phone-numbers-reconcile"))
    }

    /// What the schedule does.
    pub(crate) async fn reconcile(&self) {
        self.reconciler().run(&Context::default()).await.unwrap();
    }

    /// What an operator works with.
    pub(crate) fn store(&self) -> Store {
        let config = self.settings_of("phone-numbers-reconcile").unwrap();
        Store::new(&config, Arc::new(Secrets::new(&config.aws, config.secrets_ttl)))
    }

    /// Numbers on offer in an area code.
    pub(crate) async fn offers(&self, area_code: &str, count: usize) -> Vec<String> {
        let found =
            self.search("owner", &format!("country_code=US&phone_number_type=local&area_code={area_code}&limit=100")).await.expect(200);
        let numbers: Vec<_> = found.body["phone_numbers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|offer| offer["phone_number"].as_str().unwrap().to_owned())
            .collect();
        assert!(numbers.len() >= count, "{numbers:?}");
        numbers.into_iter().take(count).collect()
    }

    /// One number on offer.
    pub(crate) async fn offer(&self) -> String {
        self.offers("312", 1).await.remove(0)
    }

    /// The rows of the table, as JSON, youngest last.
    pub(crate) async fn rows(&self) -> Vec<Value> {
        let sql = "select to_json(n)::text as row from agency_phone_numbers n order by n.created_at, n.id";
        self.json(sql).await
    }

    /// The ledger of purchases, as JSON.
    pub(crate) async fn ledger(&self) -> Vec<Value> {
        self.json("select to_json(p)::text as row from phone_number_purchases p order by p.created_at, p.id").await
    }

    /// The released rows whose numbers were bought again.
    pub(crate) async fn archive(&self) -> Vec<Value> {
        self.json("select to_json(a)::text as row from agency_phone_numbers_archive a order by a.archived_at, a.id").await
    }

    /// Every row of every table, by table.
    pub(crate) async fn everything(&self) -> Value {
        let tables = "select table_name::text from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'";
        let mut everything = json!({});
        for table in self.sql.query(tables, &[]).await.unwrap() {
            let table: &str = table.get(0);
            let rows = self.json(&format!("select to_json(t)::text as row from {table} t order by to_json(t)::text")).await;
            everything[table] = json!(rows);
        }
        everything
    }

    /// The only purchase of a number.
    pub(crate) async fn purchase_of(&self, number: &Value) -> Value {
        let mut purchases: Vec<_> = self.ledger().await.into_iter().filter(|purchase| purchase["phone_number"] == *number).collect();
        assert_eq!(purchases.len(), 1, "{purchases:#?}");
        purchases.remove(0)
    }

    /// The row as it is now.
    pub(crate) async fn now(&self, row: &Value) -> Value {
        self.rows().await.into_iter().find(|now| now["id"] == row["id"]).unwrap_or_else(|| panic!("{row:#} is gone"))
    }

    /// What happened to a row, in the order it happened.
    pub(crate) async fn history(&self, row: &Value) -> Vec<Value> {
        let all = self.json("select to_json(h)::text as row from phone_number_history h order by h.id").await;
        all.into_iter().filter(|entry| entry["agency_phone_number_id"] == row["id"]).collect()
    }

    /// Everything that was ever left to a person, oldest first.
    pub(crate) async fn findings(&self) -> Vec<Value> {
        self.json("select to_json(f)::text as row from phone_number_findings f order by f.first_seen_at, f.id").await
    }

    /// What the comparison remembers of each account.
    pub(crate) async fn walks(&self) -> Vec<Value> {
        self.json("select to_json(w)::text as row from phone_number_inventory_walks w order by w.telnyx_account").await
    }

    /// The ids of the active rows whose numbers the last walk through their account has not seen, though they were bought
    /// before it began.
    pub(crate) async fn missed(&self) -> Vec<Value> {
        self.json(
            "select to_json(n.id)::text as row
             from agency_phone_numbers n
             join phone_number_purchases p on p.agency_phone_number_id = n.id
             join phone_number_inventory_walks w on w.telnyx_account = p.telnyx_account and w.started_at > p.completed_at
             left join phone_number_sightings s on s.telnyx_account = w.telnyx_account and s.agency_phone_number_id = n.id
             where n.status = 'active' and n.is_active and (s.seen_at is null or s.seen_at < w.started_at)
             order by n.id",
        )
        .await
    }

    /// What the walks have seen that no purchase of ours names.
    pub(crate) async fn strangers(&self) -> Vec<Value> {
        self.json("select to_json(s)::text as row from phone_number_strangers s order by s.phone_number").await
    }

    /// Changes the database past the functions.
    pub(crate) async fn execute(&self, sql: &str) {
        self.sql.batch_execute(sql).await.unwrap();
    }

    async fn json(&self, sql: &str) -> Vec<Value> {
        let rows = self.sql.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| serde_json::from_str(row.get("row")).unwrap()).collect()
    }

    /// Changes how the simulator behaves.
    pub(crate) async fn telnyx_settings(&self, settings: Value) {
        self.control(Method::PUT, "/settings", Some(settings)).await;
    }

    /// Makes the simulator misbehave.
    pub(crate) async fn fault(&self, fault: Value) {
        self.control(Method::POST, "/faults", Some(fault)).await;
    }

    /// What the simulator knows.
    pub(crate) async fn telnyx_state(&self) -> Value {
        self.http.get(format!("{}/state", self.telnyx.control_url())).send().await.unwrap().json().await.unwrap()
    }

    /// Sends a request to the simulator's controls.
    pub(crate) async fn control(&self, method: Method, path: &str, body: Option<Value>) {
        let mut request = self.http.request(method, format!("{}{path}", self.telnyx.control_url()));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }

    /// The numbers that an account at Telnyx has and is billed for.
    pub(crate) async fn billed(&self) -> Vec<String> {
        let state = self.telnyx_state().await;
        let numbers = state["numbers"].as_array().unwrap().iter().filter(|number| number["status"] != "deleted");
        numbers.map(|number| number["phone_number"].as_str().unwrap().to_owned()).collect()
    }

    /// How many requests of a kind Telnyx has had.
    pub(crate) fn asked(&self, method: &str, path: &str) -> usize {
        self.telnyx.exchanges().iter().filter(|exchange| exchange.method == method && exchange.path.starts_with(path)).count()
    }

    /// Requests and answers conform to Telnyx's specification.
    pub(crate) fn wire_is_valid(&self) {
        let spec = Spec::load();
        for exchange in self.telnyx.exchanges() {
            let Exchange { faulted, .. } = &exchange;
            let wrong = if *faulted { spec.check_request(&exchange) } else { spec.check(&exchange) };
            assert!(wrong.is_empty(), "{exchange:#?}: {wrong:#?}");
        }
    }

    /// A row put into the table as it stands, for tests in which buying is not the point: an active number of the demo
    /// agency unless `columns` say otherwise.
    pub(crate) async fn insert(&self, columns: Value) -> Value {
        static NEXT: AtomicU32 = AtomicU32::new(2_000_000);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut row = json!({"agency_id": demo::DEMO.id, "phone_number": format!("+1217{number}"), "status": "active"});
        row.as_object_mut().unwrap().extend(columns.as_object().unwrap().clone());
        let names: Vec<_> = row.as_object().unwrap().keys().map(String::as_str).collect();
        let names = names.join(", ");
        let sql = format!(
            "insert into agency_phone_numbers as n ({names})
             select {names} from json_populate_record(null::agency_phone_numbers, $1)
             returning to_json(n)::text as row"
        );
        let inserted = self.sql.query_one(&sql, &[&tokio_postgres::types::Json(&row)]).await.unwrap();
        serde_json::from_str(inserted.get("row")).unwrap()
    }

    /// Makes the database fail at every change of a row, in words that are nobody's business.
    pub(crate) async fn refuse_updates(&self) {
        let refuse = "\
create function refuse() returns trigger language plpgsql as $$ begin raise exception 'hunter2 in secret_table'; end $$;
create trigger refuse before update on agency_phone_numbers for each row execute function refuse();";
        self.sql.batch_execute(refuse).await.unwrap();
    }
}

/// Whatever a test is about, what passed between us and Telnyx was valid.
impl Drop for TestApp {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.wire_is_valid();
        }
    }
}

/// One request to a function that is running already.
pub(crate) async fn send<F: Function>(function: &Service<F>, token: &str, method: Method, query: &str, body: Option<Value>) -> Reply {
    let mut request = Request::builder().method(method).uri(format!("https://api.example.com/?{query}")).header("origin", ORIGIN);
    if !token.is_empty() {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let body = match body {
        Some(body) => {
            request = request.header("content-type", "application/json");
            Body::from(body.to_string())
        }
        None => Body::Empty,
    };
    raw(function, request.body(body).unwrap()).await
}

/// A request as it is.
pub(crate) async fn raw<F: Function>(function: &Service<F>, request: Request<Body>) -> Reply {
    deliver(function, with_query(request)).await
}

/// A request whose query string is parsed, as Lambda's runtime does it.
pub(crate) fn with_query(request: Request<Body>) -> Request<Body> {
    let query: Vec<(String, String)> = request
        .uri()
        .query()
        .map(|query| reqwest::Url::parse(&format!("http://x/?{query}")).unwrap().query_pairs().into_owned().collect())
        .unwrap_or_default();
    let mut parameters = std::collections::HashMap::<String, Vec<String>>::new();
    for (name, value) in query {
        parameters.entry(name).or_default().push(value);
    }
    request.with_query_string_parameters(parameters)
}

/// A request as Lambda's runtime hands it over.
pub(crate) async fn deliver<F: Function>(function: &Service<F>, request: Request<Body>) -> Reply {
    let response = function.answer(request).await;
    Reply::of(response)
}

/// An event as Lambda's runtime hands it over.
pub(crate) fn event(payload: &Value) -> LambdaEvent<Box<RawValue>> {
    LambdaEvent::new(to_raw_value(payload).unwrap(), Context::default())
}

/// An agent of an agency of the demo.
pub(crate) fn agent(agency: &demo::Agency, index: usize) -> Uuid {
    demo::AGENTS.iter().filter(|agent| agent.agency == agency.id).nth(index).unwrap().id
}

/// Runs `work` with a clock that jumps to the next timer whenever nothing else can happen, and measures by that clock. Only for
/// work that waits for a peer in this process, or for one that never answers: the clock does not wait for another process.
pub(crate) async fn in_virtual_time<T>(work: impl Future<Output = T>) -> (T, Duration) {
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    let done = work.await;
    let took = started.elapsed();
    tokio::time::resume();
    (done, took)
}

/// Waits until something holds, for as long as a machine that is busy may need.
pub(crate) async fn eventually<T>(mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..1_500 {
        if let Some(found) = probe().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it never came to be");
}
