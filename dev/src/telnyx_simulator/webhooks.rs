//! `number_order.complete`: sent once an order has ended, signed with Ed25519.

use std::{sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::Utc;
use serde_json::json;

use super::{outbox::Delivery, progress, service::Service};

/// The interval at which the simulator checks what is due.
const TICK: Duration = Duration::from_millis(20);
/// The timeout of a receiver.
pub(super) const RECEIVER_TIMEOUT: Duration = Duration::from_secs(2);

/// Executes what is due and sends the events, until aborted.
pub(super) async fn run(shared: Arc<Service>) {
    let mut tick = tokio::time::interval(TICK);
    loop {
        tick.tick().await;
        let due = {
            let mut state = shared.state();
            progress::settle(&mut state);
            let (now, reorder) = (state.now(), state.settings.webhook_reorder);
            state.outbox.take_due(now, reorder)
        };
        for delivery in due {
            let status = send(&shared, &delivery).await;
            let mut state = shared.state();
            let now = state.now();
            state.outbox.note(delivery, status, now);
        }
    }
}

async fn send(shared: &Service, delivery: &Delivery) -> Option<u16> {
    let body = json!({ "data": delivery.event, "meta": { "attempt": delivery.attempt, "delivered_to": delivery.url } }).to_string();
    // By the wall clock instead of the simulator's: receivers compare it with theirs.
    let timestamp = Utc::now().timestamp().to_string();
    let signature = shared.signer.sign(format!("{timestamp}|{body}").as_bytes());
    let request = shared
        .http
        .post(&delivery.url)
        .header("content-type", "application/json")
        .header("user-agent", "telnyx-webhooks")
        .header("telnyx-timestamp", timestamp)
        .header("telnyx-signature-ed25519", BASE64_STANDARD.encode(signature))
        .body(body);
    request.send().await.ok().map(|response| response.status().as_u16())
}
