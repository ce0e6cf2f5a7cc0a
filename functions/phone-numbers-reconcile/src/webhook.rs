//! Handles Telnyx's webhook `number_order.complete`: resumes the purchase that the order belongs to.
//!
//! The webhook only says that it is time to look: the state of the order is read from Telnyx. So a webhook that comes twice,
//! late, or out of order does no harm.

mod signature;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::{Value, json};
use shared::error::Error;
use shared::lambda::{Answer, Delivery};
use shared::saga::{Buyer, Sagas};
use shared::telnyx::usable_id;

const SIGNATURE: &str = "telnyx-signature-ed25519";
const TIMESTAMP: &str = "telnyx-timestamp";
const ORDER_COMPLETE: &str = "number_order.complete";
/// The time reserved for the answer.
const RESERVE: Duration = Duration::from_millis(200);

#[derive(Deserialize)]
struct Webhook {
    data: Event,
}

/// An event of any kind. The payload depends on the kind.
#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    event_type: Value,
    #[serde(default)]
    payload: Value,
}

/// What a webhook has led to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The purchase is over.
    Finished,
    /// The purchase is not over. A scheduled run resumes it.
    Unfinished,
    /// The webhook is about no purchase of ours.
    Ignored,
}

/// Answers a webhook. One that is about no purchase of ours is answered with 200, too, so that Telnyx does not send it again.
///
/// # Errors
/// `Unavailable` or `Unauthorized` if the signature is not accepted, `InvalidRequest` if the body is not an event, and the error
/// of the purchase if it may go away: Telnyx sends the webhook again.
pub(crate) async fn receive(sagas: &Sagas, public_keys: &[String], delivery: &Delivery) -> Result<Answer, Error> {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    signature::verify(public_keys, delivery.header(SIGNATURE), delivery.header(TIMESTAMP), delivery.body(), now_s)?;
    let Webhook { data: Event { event_type, payload } } =
        serde_json::from_slice(delivery.body()).map_err(|_| Error::invalid("body", "is not an event of Telnyx"))?;
    let outcome = if event_type == ORDER_COMPLETE { resume(sagas, delivery, &payload).await? } else { Outcome::Ignored };
    Answer::ok(&json!({"received": true, "finished": outcome == Outcome::Finished}))
}

/// Resumes the purchase that an order belongs to.
async fn resume(sagas: &Sagas, delivery: &Delivery, order: &Value) -> Result<Outcome, Error> {
    // JSON strings may contain NUL, which Postgres rejects.
    let text = |name: &str| order[name].as_str().and_then(usable_id).unwrap_or_default();
    let purchase = sagas.store.purchase_of_order(text("customer_reference"), text("id")).await?;
    let Some(id) = purchase else { return Ok(Outcome::Ignored) };
    let buyer = Buyer { sagas, deadline: delivery.deadline - RESERVE, is_patient: true };
    match buyer.resume(id).await {
        Ok(bought) => {
            let is_over = bought.and_then(|bought| bought.purchase).is_some_and(|purchase| purchase.is_over());
            Ok(if is_over { Outcome::Finished } else { Outcome::Unfinished })
        }
        Err(error) if error.retryable() => Err(error),
        // The order has failed: the purchase is over.
        Err(_) => Ok(Outcome::Finished),
    }
}
