//! `number_order.complete`: sent once an order has ended, signed with Ed25519.

use std::{sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{clock::zulu_millis, orders::Order, server::Shared};

/// How often the simulator looks whether something is due.
const TICK: Duration = Duration::from_millis(20);
/// How long a receiver may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
const MOST_ATTEMPTS: u32 = 5;

/// Everything that has been or is to be sent.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: Vec<Delivery>,
    /// `{event_id, order_id, attempt, status}` of each attempt; the status is null where no answer came.
    pub(super) attempts: Vec<Value>,
}

#[derive(Debug, Clone)]
struct Delivery {
    order_id: Uuid,
    url: String,
    event: Value,
    due: DateTime<Utc>,
    attempt: u32,
}

impl Outbox {
    pub(super) fn put(&mut self, order_id: Uuid, url: String, event: Value, due: DateTime<Utc>) {
        self.waiting.push(Delivery { order_id, url, event, due, attempt: 1 });
    }

    /// What is due by now. Reordering waits for a second delivery and sends the later one first.
    fn take_due(&mut self, now: DateTime<Utc>, reorder: bool) -> Vec<Delivery> {
        let due = self.waiting.iter().filter(|delivery| delivery.due <= now).count();
        if due == 0 || (reorder && due < 2) {
            return Vec::new();
        }
        let (mut taken, waiting): (Vec<_>, Vec<_>) = self.waiting.drain(..).partition(|delivery| delivery.due <= now);
        self.waiting = waiting;
        if reorder {
            taken.reverse();
        }
        taken
    }

    fn note(&mut self, delivery: Delivery, status: Option<u16>, now: DateTime<Utc>) {
        self.attempts.push(
            json!({ "event_id": delivery.event["id"], "order_id": delivery.order_id, "attempt": delivery.attempt, "status": status }),
        );
        let accepted = status.is_some_and(|status| (200..300).contains(&status));
        if !accepted && delivery.attempt < MOST_ATTEMPTS {
            // One second, two, four, eight: Telnyx's own schedule is not published.
            let due = now + TimeDelta::seconds(1 << (delivery.attempt - 1));
            self.waiting.push(Delivery { due, attempt: delivery.attempt + 1, ..delivery });
        }
    }
}

/// The event of an order that has ended.
pub(super) fn order_complete(order: &Order, at: DateTime<Utc>) -> Value {
    json!({
        "event_type": "number_order.complete",
        "id": Uuid::new_v4(),
        "occurred_at": zulu_millis(at),
        "record_type": "event",
        "payload": order.detailed(),
    })
}

/// Lets time pass and sends what it brings, for as long as the simulator lives.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut tick = tokio::time::interval(TICK);
    loop {
        tick.tick().await;
        let due = {
            let mut state = shared.state();
            state.settle();
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

async fn send(shared: &Shared, delivery: &Delivery) -> Option<u16> {
    let body = json!({ "data": delivery.event, "meta": { "attempt": delivery.attempt, "delivered_to": delivery.url } }).to_string();
    // By the wall clock, whatever the simulator's says: receivers compare it with theirs.
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
