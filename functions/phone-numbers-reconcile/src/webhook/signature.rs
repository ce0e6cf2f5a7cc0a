//! Verifies the signature of a webhook.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::signature::{ED25519, UnparsedPublicKey};
use shared::error::Error;

/// The largest accepted difference between the sender's clock and ours, in seconds; the same as in Telnyx's own libraries.
const TOLERANCE_S: u64 = 300;

/// Verifies an Ed25519 signature over the timestamp, a `|` and the exact bytes of the body, as described in
/// <https://developers.telnyx.com/docs/messaging/webhooks>. `now_s` is in seconds since 1970, `timestamp` the same as text; keys
/// and signature are base64.
///
/// # Errors
/// `Unavailable` if no key is configured; `Unauthorized` if the webhook is too old or not signed with one of the keys.
pub(super) fn verify(keys: &[String], signature: &str, timestamp: &str, body: &[u8], now_s: u64) -> Result<(), Error> {
    if keys.is_empty() {
        return Err(Error::Unavailable("TELNYX_PUBLIC_KEY is not configured".into()));
    }
    let sent_s: u64 = timestamp.parse().map_err(|_| Error::Unauthorized("The webhook has no timestamp."))?;
    if sent_s.abs_diff(now_s) > TOLERANCE_S {
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

    /// The public key of the first test of RFC 8032, and a signature made with its private key.
    const KEY: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    const SIGNED: &str = "vdmYnVZpfi1YZJkSGuYSxbrTM5PQbC5VVCzJtBy+3CHV84YGIoYVtYF5PGVbmLX2jBtTyXdKTP39eMADwPBvBQ==";
    const BODY: &[u8] = br#"{"data":{"event_type":"number_order.complete"}}"#;
    const SENT: u64 = 1_767_225_600;

    fn outcome(keys: &[&str], signature: &str, timestamp: &str, body: &[u8], now: u64) -> Result<(), &'static str> {
        let keys: Vec<_> = keys.iter().map(|key| (*key).to_owned()).collect();
        verify(&keys, signature, timestamp, body, now).map_err(|error| error.code())
    }

    #[test]
    fn a_signed_webhook_is_taken_within_five_minutes() {
        for now in [SENT, SENT + TOLERANCE_S, SENT - TOLERANCE_S] {
            assert_eq!(outcome(&[KEY], SIGNED, "1767225600", BODY, now), Ok(()));
        }
        for now in [SENT + TOLERANCE_S + 1, SENT - TOLERANCE_S - 1, 0] {
            assert_eq!(outcome(&[KEY], SIGNED, "1767225600", BODY, now), Err("unauthorized"));
        }
    }

    #[test]
    fn a_webhook_is_taken_if_signed_with_any_of_the_keys() {
        let another = BASE64_STANDARD.encode([7; 32]);
        assert_eq!(outcome(&[&another, KEY], SIGNED, "1767225600", BODY, SENT), Ok(()));
        for keys in [&[another.as_str()][..], &["nonsense"], &[""]] {
            assert_eq!(outcome(keys, SIGNED, "1767225600", BODY, SENT), Err("unauthorized"));
        }
        assert_eq!(outcome(&[], SIGNED, "1767225600", BODY, SENT), Err("unavailable"));
    }

    #[test]
    fn a_webhook_that_was_changed_is_refused() {
        let changed = [br#"{"data":{"event_type":"number_order.complete"} }"#, &BODY[1..], b""];
        for body in changed {
            assert_eq!(outcome(&[KEY], SIGNED, "1767225600", body, SENT), Err("unauthorized"));
        }
        assert_eq!(outcome(&[KEY], SIGNED, "1767225601", BODY, SENT), Err("unauthorized"));
        for signature in ["", "nonsense", &SIGNED[4..]] {
            assert_eq!(outcome(&[KEY], signature, "1767225600", BODY, SENT), Err("unauthorized"));
        }
    }
}
