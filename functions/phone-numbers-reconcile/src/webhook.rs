//! Telnyx's `number_order.complete`: the purchase that the order belongs to is finished at once.
//!
//! Nothing is believed but that it is time to look: what has become of the order is asked of Telnyx. So a webhook that
//! comes twice, late, or after a younger one does no harm.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::error::Error;
use shared::lambda::{Answer, Delivery};
use shared::saga::Buyer;
use shared::telnyx::usable_id;

use crate::Reconcile;

const SIGNATURE: &str = "telnyx-signature-ed25519";
const TIMESTAMP: &str = "telnyx-timestamp";
const ORDER_COMPLETE: &str = "number_order.complete";
/// How far the sender's clock may be from ours, in seconds: as in Telnyx's own libraries.
const TOLERANCE_S: u64 = 300;
/// Kept back to answer in time.
const RESERVE: Duration = Duration::from_millis(200);

#[derive(Deserialize)]
struct Webhook {
    data: Event,
}

/// An event of any kind: only of some is it known what the payload is.
#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    event_type: Value,
    #[serde(default)]
    payload: Value,
}

/// Takes a webhook. One that tells of nothing of ours is taken, too: it need not be delivered again.
pub(crate) async fn receive(reconcile: &Reconcile, delivery: &Delivery) -> Result<Answer, Error> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    verify(&reconcile.config.public_keys, delivery.header(SIGNATURE), delivery.header(TIMESTAMP), delivery.body(), now)?;
    let Webhook { data: Event { event_type, payload } } =
        serde_json::from_slice(delivery.body()).map_err(|_| Error::invalid("body", "is not an event of Telnyx"))?;
    let finished = event_type == ORDER_COMPLETE && finish(reconcile, delivery, &payload).await?;
    Answer::ok(&json!({"received": true, "finished": finished}))
}

/// Whether the purchase is finished now. One that is not is the schedule's.
async fn finish(reconcile: &Reconcile, delivery: &Delivery, payload: &Value) -> Result<bool, Error> {
    // Postgres takes no NUL, which JSON may have.
    let text = |name: &str| payload[name].as_str().and_then(usable_id).unwrap_or_default();
    let purchase = reconcile.sagas.store.purchase_of_order(text("customer_reference"), text("id")).await?;
    let Some(id) = purchase else { return Ok(false) };
    let buyer = Buyer { sagas: &reconcile.sagas, deadline: delivery.deadline - RESERVE, is_patient: true };
    match buyer.resume(id).await {
        Ok(bought) => Ok(bought.and_then(|bought| bought.purchase).is_some_and(|purchase| purchase.is_over())),
        // The order has failed: that is an end, too.
        Err(error) if !error.retryable() => Ok(true),
        Err(error) => Err(error),
    }
}

/// Ed25519 over the timestamp, a bar and the very bytes of the body (<https://developers.telnyx.com/docs/messaging/webhooks>).
fn verify(keys: &[String], signature: &str, timestamp: &str, body: &[u8], now: u64) -> Result<(), Error> {
    if keys.is_empty() {
        return Err(Error::Unavailable("TELNYX_PUBLIC_KEY is not configured".into()));
    }
    let sent: u64 = timestamp.parse().map_err(|_| Error::Unauthorized("The webhook has no timestamp."))?;
    if sent.abs_diff(now) > TOLERANCE_S {
        return Err(Error::Unauthorized("The webhook's timestamp is too far from now."));
    }
    let message = [timestamp.as_bytes(), b"|", body].concat();
    let signature = BASE64_STANDARD.decode(signature).unwrap_or_default();
    let signed_by = |key: &String| {
        let key = BASE64_STANDARD.decode(key).unwrap_or_default();
        UnparsedPublicKey::new(&ED25519, key).verify(&message, &signature).is_ok()
    };
    if keys.iter().any(signed_by) { Ok(()) } else { Err(Error::Unauthorized("The webhook's signature is not Telnyx's.")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The public key of RFC 8032's first test, and a signature made with its private key.
    const KEY: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    const SIGNED: &str = "vdmYnVZpfi1YZJkSGuYSxbrTM5PQbC5VVCzJtBy+3CHV84YGIoYVtYF5PGVbmLX2jBtTyXdKTP39eMADwPBvBQ==";
    const BODY: &[u8] = br#"{"data":{"event_type":"number_order.complete"}}"#;
    const SENT: u64 = 1_767_225_600;

    fn verdict(keys: &[&str], signature: &str, timestamp: &str, body: &[u8], now: u64) -> Result<(), &'static str> {
        let keys: Vec<_> = keys.iter().map(|key| (*key).to_owned()).collect();
        verify(&keys, signature, timestamp, body, now).map_err(|error| error.code())
    }

    #[test]
    fn a_webhook_signed_by_telnyx_is_taken_within_five_minutes() {
        for now in [SENT, SENT + TOLERANCE_S, SENT - TOLERANCE_S] {
            assert_eq!(verdict(&[KEY], SIGNED, "1767225600", BODY, now), Ok(()));
        }
        for now in [SENT + TOLERANCE_S + 1, SENT - TOLERANCE_S - 1, 0] {
            assert_eq!(verdict(&[KEY], SIGNED, "1767225600", BODY, now), Err("unauthorized"));
        }
    }

    #[test]
    fn the_key_of_any_account_will_do_and_no_other() {
        let another = BASE64_STANDARD.encode([7; 32]);
        assert_eq!(verdict(&[&another, KEY], SIGNED, "1767225600", BODY, SENT), Ok(()));
        for keys in [&[another.as_str()][..], &["nonsense"], &[""]] {
            assert_eq!(verdict(keys, SIGNED, "1767225600", BODY, SENT), Err("unauthorized"));
        }
        assert_eq!(verdict(&[], SIGNED, "1767225600", BODY, SENT), Err("unavailable"));
    }

    #[test]
    fn a_webhook_that_was_changed_on_its_way_is_refused() {
        let changed = [br#"{"data":{"event_type":"number_order.complete"} }"#, &BODY[1..], b""];
        for body in changed {
            assert_eq!(verdict(&[KEY], SIGNED, "1767225600", body, SENT), Err("unauthorized"));
        }
        assert_eq!(verdict(&[KEY], SIGNED, "1767225601", BODY, SENT), Err("unauthorized"));
        for signature in ["", "nonsense", &SIGNED[4..]] {
            assert_eq!(verdict(&[KEY], signature, "1767225600", BODY, SENT), Err("unauthorized"));
        }
    }
}
