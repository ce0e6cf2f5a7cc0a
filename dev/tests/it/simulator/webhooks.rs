//! `number_order.complete`.

use std::time::Duration;

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::Telnyx;
use crate::support::app::eventually;
use crate::support::openapi::Spec;

type Hook = (HeaderMap, Bytes);

/// A receiver of webhooks that refuses the first few.
struct Receiver {
    url: String,
    hooks: UnboundedReceiver<Hook>,
}

impl Receiver {
    async fn start(answer: StatusCode) -> Self {
        async fn take(State((sender, answer)): State<(UnboundedSender<Hook>, StatusCode)>, headers: HeaderMap, body: Bytes) -> StatusCode {
            sender.send((headers, body)).unwrap();
            answer
        }
        let (sender, hooks) = unbounded_channel();
        let router = Router::new().route("/hook", post(take)).with_state((sender, answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, hooks }
    }

    async fn next(&mut self) -> (HeaderMap, Bytes, Value) {
        let limit = Duration::from_secs(10);
        let (headers, body) = tokio::time::timeout(limit, self.hooks.recv()).await.unwrap().unwrap();
        let parsed = serde_json::from_slice(&body).unwrap();
        (headers, body, parsed)
    }
}

#[tokio::test]
async fn the_end_of_an_order_is_announced_and_signed() {
    let telnyx = Telnyx::start().await;
    let mut receiver = Receiver::start(StatusCode::OK).await;
    telnyx.set(json!({ "webhook_url": receiver.url })).await;
    let (number, _) = telnyx.own().await;
    let (headers, raw, event) = receiver.next().await;
    assert_eq!(event["data"]["event_type"], "number_order.complete");
    assert_eq!(event["data"]["payload"]["status"], "success");
    assert_eq!(event["data"]["payload"]["phone_numbers"][0]["phone_number"], number.as_str());
    assert_eq!(event["meta"], json!({ "attempt": 1, "delivered_to": receiver.url }));
    assert_eq!(Spec::load().check_webhook(&event), Vec::<String>::new());
    assert_eq!(headers["user-agent"], "telnyx-webhooks");

    let key = telnyx.state().await["webhook_public_key"].as_str().unwrap().to_owned();
    let signature = BASE64_STANDARD.decode(&headers["telnyx-signature-ed25519"]).unwrap();
    let signed = [headers["telnyx-timestamp"].as_bytes(), b"|", &raw].concat();
    let key = UnparsedPublicKey::new(&ED25519, BASE64_STANDARD.decode(key).unwrap());
    key.verify(&signed, &signature).unwrap();
    telnyx.finish();
}

#[tokio::test]
async fn an_event_can_be_lost_or_come_twice() {
    let telnyx = Telnyx::start().await;
    let mut receiver = Receiver::start(StatusCode::OK).await;
    telnyx.set(json!({ "webhook_url": receiver.url, "webhook_copies": 0 })).await;
    telnyx.own().await;
    telnyx.set(json!({ "webhook_copies": 2 })).await;
    let (number, _) = telnyx.own().await;
    let (_, _, one) = receiver.next().await;
    let (_, _, other) = receiver.next().await;
    assert_eq!(one["data"]["payload"]["phone_numbers"][0]["phone_number"], number.as_str());
    assert_eq!(one["data"]["id"], other["data"]["id"]);
    telnyx.finish();
}

#[tokio::test]
async fn events_can_overtake_each_other() {
    let telnyx = Telnyx::start().await;
    let mut receiver = Receiver::start(StatusCode::OK).await;
    telnyx.set(json!({ "webhook_url": receiver.url, "webhook_reorder": true })).await;
    let (first, _) = telnyx.own().await;
    let (second, _) = telnyx.own().await;
    for number in [second, first] {
        let (_, _, event) = receiver.next().await;
        assert_eq!(event["data"]["payload"]["phone_numbers"][0]["phone_number"], number.as_str());
    }
    telnyx.finish();
}

#[tokio::test]
async fn an_event_that_is_refused_is_sent_again() {
    let telnyx = Telnyx::start().await;
    let mut receiver = Receiver::start(StatusCode::SERVICE_UNAVAILABLE).await;
    telnyx.set(json!({ "webhook_url": receiver.url })).await;
    telnyx.own().await;
    let (_, _, first) = receiver.next().await;
    // The retry is due once the refusal is noted.
    eventually(async || telnyx.state().await["webhooks"].get(0).cloned()).await;
    telnyx.advance(1000).await;
    let (_, _, second) = receiver.next().await;
    assert_eq!((&first["meta"]["attempt"], &second["meta"]["attempt"]), (&json!(1), &json!(2)));
    assert_eq!(first["data"], second["data"]);
    telnyx.finish();
}
