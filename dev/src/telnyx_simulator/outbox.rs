//! Events that wait to be sent, and the attempts to send them.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{clock::zulu_millis, order::Order};

const MOST_ATTEMPTS: u32 = 5;

/// Events that wait, and all attempts so far.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: Vec<Delivery>,
    /// `{event_id, order_id, attempt, status}` of each attempt; the status is null if there was no answer.
    pub(super) attempts: Vec<Value>,
}

#[derive(Debug, Clone)]
pub(super) struct Delivery {
    order_id: Uuid,
    pub(super) url: String,
    pub(super) event: Value,
    due: DateTime<Utc>,
    pub(super) attempt: u32,
}

impl Outbox {
    pub(super) fn put(&mut self, order_id: Uuid, url: String, event: Value, due: DateTime<Utc>) {
        self.waiting.push(Delivery { order_id, url, event, due, attempt: 1 });
    }

    /// Takes the deliveries that are due. With `reorder`, waits until two are due and returns the later one first.
    pub(super) fn take_due(&mut self, now: DateTime<Utc>, reorder: bool) -> Vec<Delivery> {
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

    pub(super) fn note(&mut self, delivery: Delivery, status: Option<u16>, now: DateTime<Utc>) {
        self.attempts.push(
            json!({ "event_id": delivery.event["id"], "order_id": delivery.order_id, "attempt": delivery.attempt, "status": status }),
        );
        let accepted = status.is_some_and(|status| (200..300).contains(&status));
        if !accepted && delivery.attempt < MOST_ATTEMPTS {
            // Retries after 1, 2, 4 and 8 s. Telnyx does not publish its schedule.
            let due = now + TimeDelta::seconds(1 << (delivery.attempt - 1));
            self.waiting.push(Delivery { due, attempt: delivery.attempt + 1, ..delivery });
        }
    }
}

/// The event for a completed order.
pub(super) fn order_complete(order: &Order, at: DateTime<Utc>) -> Value {
    json!({
        "event_type": "number_order.complete",
        "id": Uuid::new_v4(),
        "occurred_at": zulu_millis(at),
        "record_type": "event",
        "payload": order.detailed(),
    })
}
