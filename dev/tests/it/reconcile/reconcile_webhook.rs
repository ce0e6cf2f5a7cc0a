//! Telnyx's `number_order.complete`: the purchase of that order is finished at once. Nothing else in the event is trusted.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use dev::fault_proxy::{Fault, Moment};
use lambda_http::Body;
use lambda_http::http::Request;
use phone_numbers_reconcile::Reconcile;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use shared::lambda::BackgroundService;

use crate::money::purchase_crashes;
use crate::reconcile::reconcile_inventory::bought;
use crate::support::actions::{balance, clear_faults, decide, orders_sent, release_of, unsold};
use crate::support::app::{self, Reply, TestApp, eventually};

const ORDERS: &str = "/v2/number_orders";

/// A signer of webhooks, like an account at Telnyx.
struct Signer(Ed25519KeyPair);

/// The headers and body of a webhook.
#[derive(Clone)]
struct Hook {
    signature: String,
    timestamp: String,
    body: String,
}

impl Signer {
    fn new() -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap())
    }

    fn public_key(&self) -> String {
        BASE64_STANDARD.encode(self.0.public_key())
    }

    fn sign_at(&self, timestamp: u64, body: &str) -> Hook {
        let signature = BASE64_STANDARD.encode(self.0.sign(format!("{timestamp}|{body}").as_bytes()));
        Hook { signature, timestamp: timestamp.to_string(), body: body.to_owned() }
    }

    fn sign(&self, event: &Value) -> Hook {
        self.sign_at(now(), &event.to_string())
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The event of an order, with the members that are read.
fn complete(payload: &Value) -> Value {
    json!({"data": {"event_type": "number_order.complete", "id": "e", "record_type": "event", "payload": payload}, "meta": {"attempt": 1}})
}

async fn answer(reconciler: &BackgroundService<Reconcile>, request: Request<Body>) -> Reply {
    Reply::of(reconciler.answer(request).await)
}

fn request(hook: &Hook) -> Request<Body> {
    Request::post("https://api.example.com/phone-numbers-reconcile")
        .header("content-type", "application/json")
        .header("telnyx-signature-ed25519", &hook.signature)
        .header("telnyx-timestamp", &hook.timestamp)
        .body(Body::from(hook.body.clone()))
        .unwrap()
}

async fn deliver(app: &TestApp, hook: &Hook) -> Reply {
    answer(&app.reconciler(), request(hook)).await
}

/// Forwards the simulator's webhooks to the function, like a gateway.
async fn connect(app: &mut TestApp) {
    async fn forward(
        State(reconciler): State<Arc<BackgroundService<Reconcile>>>,
        method: Method,
        headers: HeaderMap,
        body: Bytes,
    ) -> Response {
        let mut request = Request::builder().method(method).uri("https://api.example.com/").body(Body::from(body.to_vec())).unwrap();
        *request.headers_mut() = headers;
        let (parts, body) = reconciler.answer(request).await.into_parts();
        (StatusCode::from_u16(parts.status.as_u16()).unwrap(), body.to_vec()).into_response()
    }
    let key = app.telnyx_state().await["webhook_public_key"].as_str().unwrap().to_owned();
    app.set("TELNYX_PUBLIC_KEY", &key);
    let router = axum::Router::new().fallback(forward).with_state(Arc::new(app.reconciler()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    app.telnyx_settings(json!({ "webhook_url": url })).await;
}

/// The outcome of each delivery so far.
async fn deliveries(app: &TestApp) -> Vec<Value> {
    app.telnyx_state().await["webhooks"].as_array().unwrap().iter().map(|attempt| attempt["status"].clone()).collect()
}

/// An app that accepts webhooks of `signer`, with short leases.
async fn app(signer: &Signer) -> TestApp {
    let mut app = TestApp::new().await;
    app.set("LEASE_MS", "150");
    // Every account at Telnyx has a key of its own.
    app.set("TELNYX_PUBLIC_KEY", &format!("{}, {}", Signer::new().public_key(), signer.public_key()));
    app
}

/// A purchase whose order is pending, without a lease: its row in the ledger.
async fn ordered(app: &TestApp) -> Value {
    app.telnyx_settings(json!({"order_outcome": "never"})).await;
    let number = unsold(app).await;
    let is_ordered =
        async || app.ledger().await.iter().any(|purchase| purchase["phone_number"] == number && purchase["phase"] == "ordered");
    purchase_crashes::dies(app, &number, is_ordered).await;
    leases_run_out(app).await;
    app.purchase_of(&json!(number)).await
}

async fn leases_run_out(app: &TestApp) {
    let held = "select exists (select from phone_number_purchases where leased_until > now()) as held";
    eventually(async || (!app.sql.query_one(held, &[]).await.unwrap().get::<_, bool>("held")).then_some(())).await;
}

async fn phase(app: &TestApp, purchase: &Value) -> String {
    app.purchase_of(&purchase["phone_number"]).await["phase"].as_str().unwrap().to_owned()
}

/// The event of a purchase's order.
fn event_of(purchase: &Value) -> Value {
    complete(&json!({"id": purchase["telnyx_order_id"], "customer_reference": purchase["telnyx_reference"], "status": "success"}))
}

#[tokio::test]
async fn the_end_of_an_order_finishes_its_purchase_and_no_other() {
    let mut app = app(&Signer::new()).await;
    let other = ordered(&app).await;
    decide(&app, "success").await;
    let ours = ordered(&app).await;
    connect(&mut app).await;
    decide(&app, "success").await;
    eventually(async || (!deliveries(&app).await.is_empty()).then_some(())).await;
    assert_eq!(deliveries(&app).await, [200]);
    assert_eq!((phase(&app, &ours).await, phase(&app, &other).await), ("completed".to_owned(), "ordered".to_owned()));
    assert_eq!(orders_sent(&app), 2);
    balance(&app).await;
}

#[tokio::test]
async fn an_order_that_fails_ends_its_purchase() {
    let mut app = app(&Signer::new()).await;
    let purchase = ordered(&app).await;
    connect(&mut app).await;
    decide(&app, "failure").await;
    eventually(async || (!deliveries(&app).await.is_empty()).then_some(())).await;
    assert_eq!((deliveries(&app).await, phase(&app, &purchase).await), (vec![json!(200)], "failed".to_owned()));
    assert!(app.rows().await.is_empty());
}

#[tokio::test]
async fn webhooks_that_come_twice_and_in_another_order_do_no_harm() {
    let mut app = app(&Signer::new()).await;
    connect(&mut app).await;
    app.telnyx_settings(json!({"webhook_copies": 2, "webhook_reorder": true, "order_outcome": "success"})).await;
    // Beside the purchases themselves.
    let rows = bought(&app, 3).await;
    eventually(async || (deliveries(&app).await.len() >= 6).then_some(())).await;
    assert!(deliveries(&app).await.iter().all(|status| *status == 200), "{:?}", deliveries(&app).await);
    for row in &rows {
        assert_eq!(app.history(row).await.len(), 1);
    }
    assert_eq!((orders_sent(&app), app.findings().await), (3, Vec::new()));
    balance(&app).await;
    // Late, too.
    app.release("owner", release_of(&rows[0])).await.expect(200);
    let signer = Signer::new();
    app.set("TELNYX_PUBLIC_KEY", &signer.public_key());
    let late = event_of(&app.purchase_of(&rows[0]["phone_number"]).await);
    let reply = deliver(&app, &signer.sign(&late)).await.expect(200);
    assert_eq!((reply.body, app.now(&rows[0]).await["status"].clone()), (json!({"received": true, "finished": false}), json!("released")));
    balance(&app).await;
}

#[tokio::test]
async fn a_webhook_that_telnyx_did_not_sign_just_now_does_nothing() {
    let signer = Signer::new();
    let mut app = app(&signer).await;
    let purchase = ordered(&app).await;
    decide(&app, "success").await;
    let good = signer.sign(&event_of(&purchase));
    let with = |change: &dyn Fn(&mut Hook)| {
        let mut hook = good.clone();
        change(&mut hook);
        hook
    };
    let refused = [
        with(&|hook| hook.signature = String::new()),
        with(&|hook| hook.signature = "nonsense".to_owned()),
        with(&|hook| hook.timestamp = String::new()),
        with(&|hook| hook.timestamp = "yesterday".to_owned()),
        with(&|hook| hook.timestamp = (now() + 1).to_string()),
        with(&|hook| hook.body.push(' ')),
        with(&|hook| hook.body = hook.body.replace("success", "failure")),
        Signer::new().sign(&event_of(&purchase)),
        signer.sign_at(now() - 310, &good.body),
        signer.sign_at(now() + 310, &good.body),
    ];
    for hook in &refused {
        deliver(&app, hook).await.expect_problem(401, "unauthorized");
    }
    let mut unsigned = request(&good);
    unsigned.headers_mut().clear();
    answer(&app.reconciler(), unsigned).await.expect_problem(401, "unauthorized");

    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let mut odd = request(&good);
        *odd.method_mut() = method;
        let reply = answer(&app.reconciler(), odd).await.expect_problem(405, "method_not_allowed");
        assert_eq!(reply.header("allow"), "POST");
    }
    let keys = app.config().reconcile.public_keys.join(",");
    app.set("TELNYX_PUBLIC_KEY", "");
    deliver(&app, &good).await.expect_problem(503, "unavailable");
    assert_eq!(phase(&app, &purchase).await, "ordered");

    app.set("TELNYX_PUBLIC_KEY", &keys);
    let reply = deliver(&app, &good).await.expect(200);
    assert_eq!(reply.body, json!({"received": true, "finished": true}));
    assert_eq!(phase(&app, &purchase).await, "completed");
}

#[tokio::test]
async fn the_status_in_a_webhook_is_not_trusted() {
    let signer = Signer::new();
    let app = app(&signer).await;
    let purchase = ordered(&app).await;
    // The event says that the order has succeeded, the API that it is pending.
    let reply = deliver(&app, &signer.sign(&event_of(&purchase))).await.expect(200);
    assert_eq!((reply.body, phase(&app, &purchase).await), (json!({"received": true, "finished": false}), "ordered".to_owned()));
    balance(&app).await;
}

#[tokio::test]
async fn an_order_is_known_by_its_id_or_by_its_reference() {
    for known_by in ["id", "customer_reference"] {
        let signer = Signer::new();
        let app = app(&signer).await;
        let purchase = ordered(&app).await;
        decide(&app, "success").await;
        if known_by == "customer_reference" {
            // The answer to the order was lost.
            app.execute("update phone_number_purchases set phase = 'ordering', telnyx_order_id = null").await;
        }
        let mut event = event_of(&purchase);
        let payload = event["data"]["payload"].as_object_mut().unwrap();
        payload.retain(|name, _| name == known_by);
        deliver(&app, &signer.sign(&event)).await.expect(200);
        assert_eq!(phase(&app, &purchase).await, "completed", "{known_by}");
        balance(&app).await;
    }
}

#[tokio::test]
async fn a_webhook_that_the_database_cannot_take_comes_again() {
    let mut app = app(&Signer::new()).await;
    let purchase = ordered(&app).await;
    let proxy = app.with_fault_proxy().await;
    connect(&mut app).await;
    proxy.refuse_connections();
    decide(&app, "success").await;
    eventually(async || (!deliveries(&app).await.is_empty()).then_some(())).await;
    assert_eq!(deliveries(&app).await, [503]);
    proxy.reset();
    // Telnyx repeats the delivery.
    eventually(async || (deliveries(&app).await.len() == 2).then_some(())).await;
    assert_eq!((deliveries(&app).await, phase(&app, &purchase).await), (vec![json!(503), json!(200)], "completed".to_owned()));
    balance(&app).await;
}

#[tokio::test]
async fn a_webhook_is_answered_in_time_though_telnyx_hangs() {
    let signer = Signer::new();
    let mut app = app(&signer).await;
    let purchase = ordered(&app).await;
    decide(&app, "success").await;
    let hook = signer.sign(&event_of(&purchase));
    // Without a limit of its own, the webhook would wait as long as these.
    app.set("TELNYX_TIMEOUT_MS", "600000");
    app.set("DATABASE_TIMEOUT_MS", "600000");
    app.fault(json!({"method": "GET", "path_prefix": ORDERS, "kind": "delay", "delay_ms": 600_000, "times": 100})).await;
    let reply = deliver(&app, &hook).await.expect(200);
    assert_eq!((reply.body, phase(&app, &purchase).await), (json!({"received": true, "finished": false}), "ordered".to_owned()));
    clear_faults(&app).await;

    let proxy = app.with_fault_proxy().await;
    for statement in ["purchases.order.find", "purchases.finish.complete"] {
        proxy.inject(statement, Moment::Before, Fault::Silence);
        deliver(&app, &hook).await.expect_problem(503, "unavailable");
        proxy.reset();
        leases_run_out(&app).await;
    }
    assert_eq!((proxy.injected(), phase(&app, &purchase).await), (2, "ordered".to_owned()));
    app.reconcile().await;
    assert_eq!(phase(&app, &purchase).await, "completed");
    balance(&app).await;
}

#[tokio::test]
async fn a_purchase_that_somebody_works_on_is_left_to_them() {
    let signer = Signer::new();
    let app = app(&signer).await;
    let purchase = ordered(&app).await;
    decide(&app, "success").await;
    app.execute("update phone_number_purchases set lease_token = uuid_generate_v4(), leased_until = now() + interval '1 hour'").await;
    let reply = deliver(&app, &signer.sign(&event_of(&purchase))).await.expect(200);
    assert_eq!((reply.body, phase(&app, &purchase).await), (json!({"received": true, "finished": false}), "ordered".to_owned()));
}

#[tokio::test]
async fn a_webhook_never_places_an_order() {
    let signer = Signer::new();
    let app = app(&signer).await;
    let purchase = ordered(&app).await;
    app.execute("update phone_number_purchases set phase = 'intended', telnyx_order_id = null").await;
    // The look-up does not find the order, as if it had never been placed.
    app.telnyx_settings(json!({"reference_lag_ms": 600_000})).await;
    deliver(&app, &signer.sign(&event_of(&purchase))).await.expect(200);
    assert_eq!(orders_sent(&app), 1);
    assert_ne!(phase(&app, &purchase).await, "failed");
}

#[tokio::test]
async fn a_body_that_the_gateway_has_encoded_is_verified_as_it_was_sent() {
    let signer = Signer::new();
    let app = app(&signer).await;
    let purchase = ordered(&app).await;
    decide(&app, "success").await;
    let hook = signer.sign(&event_of(&purchase));
    let path = "/phone-numbers-reconcile";
    let event = json!({
        "version": "2.0",
        "routeKey": "ANY /phone-numbers-reconcile",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {
            "content-type": "application/json",
            "host": "api.example.com",
            "telnyx-signature-ed25519": hook.signature,
            "telnyx-timestamp": hook.timestamp,
        },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api",
            "domainName": "api.example.com",
            "domainPrefix": "api",
            "http": {"method": "POST", "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "telnyx-webhooks"},
            "requestId": "a-request",
            "routeKey": "ANY /phone-numbers-reconcile",
            "stage": "$default",
            "time": "01/Jan/2026:00:00:00 +0000",
            "timeEpoch": 1_767_225_600_000_u64,
        },
        "body": BASE64_STANDARD.encode(&hook.body),
        "isBase64Encoded": true,
    });
    let answer = app.reconciler().handle(app::event(&event)).await.unwrap().unwrap();
    let reply = Reply::to_event(&answer).expect(200);
    assert_eq!((reply.body, phase(&app, &purchase).await), (json!({"received": true, "finished": true}), "completed".to_owned()));
}

#[tokio::test]
async fn other_events_and_orders_of_others_are_taken_and_nothing_is_done() {
    let signer = Signer::new();
    let app = app(&signer).await;
    let purchase = ordered(&app).await;
    decide(&app, "success").await;
    let payload = event_of(&purchase)["data"]["payload"].clone();
    let asked = app.telnyx.exchanges().len();
    let events = [
        complete(&json!({"id": "10a3b9f6-3a50-4a39-9b0d-000000000000", "customer_reference": "op-42"})),
        complete(&json!({"id": "10a3b9f6-3a50-4a39-9b0d-000000000000", "customer_reference": null})),
        complete(&json!({"id": 7, "customer_reference": ["?"]})),
        complete(&json!({"id": "a NUL: \u{0}", "customer_reference": "another: \u{0}"})),
        complete(&json!({})),
        complete(&json!(null)),
        complete(&json!("?")),
        json!({"data": {"event_type": "number_order.updated", "payload": payload}}),
        json!({"data": {"event_type": "call.initiated", "payload": {"id": 7, "direction": "incoming"}}}),
        json!({"data": {"event_type": "message.received", "payload": [payload]}}),
        json!({"data": {"payload": payload}}),
        json!({"data": {}}),
    ];
    for event in &events {
        let reply = deliver(&app, &signer.sign(event)).await.expect(200);
        assert_eq!(reply.body, json!({"received": true, "finished": false}), "{event}");
    }
    assert_eq!((app.telnyx.exchanges().len(), phase(&app, &purchase).await), (asked, "ordered".to_owned()));
    for body in ["", "{", "[]", "{\"meta\": {}}"] {
        deliver(&app, &signer.sign_at(now(), body)).await.expect_problem(400, "invalid_request");
    }
}
