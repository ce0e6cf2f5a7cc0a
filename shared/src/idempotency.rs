//! The `Idempotency-Key` header (draft-ietf-httpapi-idempotency-key-header): one key, one answer, and one set of purchases.
//!
//! The first final answer to a key, a success or a failure, is stored and returned to every repetition of the request. An answer
//! that may differ next time (202, 429, 5xx) is not stored: the same key does the work again. For a purchase that work
//! starts from what the key lists: each purchase that its requests have begun or joined, by the position of its number. So a
//! repetition resumes an unfinished purchase and reports one that has ended, and never buys the same number a second time.
//!
//! A key belongs to an agency and a function. It is leased while its request is processed, so that a process that dies blocks
//! it for the time of a lease at most. It expires a day after its first request, or after the end of the last purchase that it
//! lists, whichever is later.

use lambda_http::http::StatusCode;
use lambda_http::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use lambda_http::{Body, Response};
use ring::digest::{SHA256, digest};
use serde_json::Value;

use crate::config;
use crate::error::Error;
use crate::lambda::{Answer, Call};
use crate::model::{Actor, Caller};
use crate::problem;
use crate::store::{HeldKey, KeptAnswer, KeyState, KeyUse, Lookup, Store};

/// The header of an answer that repeats an earlier one, because nothing new was done.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

const HEADER: &str = "idempotency-key";
const LONGEST_KEY: usize = 255;

/// Does `work` for a permitted caller, once for each key. `work` gets what `lookup` found, and the key, whose lease is held meanwhile, or
/// None if the call has no such header. A failed look-up concerns `work` alone: an answer that is kept does not depend on it.
///
/// # Errors
/// `InvalidRequest` if the header is not a key; `Forbidden`; `IdempotencyKeyReused`; `RequestInProgress`; and those of `work`.
pub async fn once<T, W>(
    store: &Store,
    config: &config::Purchase,
    caller: &Caller,
    function: &'static str,
    call: &Call,
    lookup: Lookup<'_, T>,
    work: impl FnOnce(Actor, Result<T, Error>, Option<HeldKey>) -> W,
) -> Result<Answer, Error>
where
    W: Future<Output = Result<Answer, Error>>,
{
    let Some(key) = key(call)? else {
        let (actor, found) = store.authorize_with(caller, &lookup).await?;
        return work(actor, found, None).await;
    };
    let key_use = KeyUse { function, key, request_hash: hash(call.raw_body()), lease: config.lease, ttl: config.keys_ttl };
    let (actor, state, found) = store.claim_key(caller, &key_use, &lookup).await?;
    let held = match state {
        KeyState::Claimed(held) => held,
        KeyState::Answered(kept) => return replay(kept),
        KeyState::Busy(left) => return Err(Error::RequestInProgress(left)),
        KeyState::Reused => return Err(Error::IdempotencyKeyReused),
    };
    let lease = held.lease.clone();
    let outcome = store.renewing(&lease, work(actor, found, Some(held))).await;
    let Some(answer) = kept(&outcome, &call.request_id) else {
        if let Err(error) = store.give_back(&lease).await {
            tracing::warn!(error = %error, "an idempotency key is held until its lease ends");
        }
        return outcome;
    };
    // A final answer that is not kept may not be given, since a repetition could get another one. What was done is in the
    // ledger, where a repetition finds it. If another request holds the key now, its answer counts.
    if store.keep_answer(&lease, &answer).await?.is_done() { outcome } else { Err(Error::RequestInProgress(lease.duration)) }
}

/// The key of a call, if it has one.
///
/// # Errors
/// `InvalidRequest` if the header is not a key.
pub fn key(call: &Call) -> Result<Option<String>, Error> {
    let refused = || Error::invalid("Idempotency-Key", "must be 1 to 255 visible characters, in quotes or a token");
    call.header(HEADER).map(|header| read(header).ok_or_else(refused)).transpose()
}

/// The key: a quoted string as the draft has it (RFC 9651), or a bare token as most clients send it.
fn read(header: &str) -> Option<String> {
    let header = header.trim();
    let key = match header.strip_prefix('"') {
        Some(rest) => unquoted(rest.strip_suffix('"')?)?,
        None => Some(header.to_owned()).filter(|token| !token.contains(['"', '\\', ',', ';', ' ']))?,
    };
    let visible = key.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    (visible && (1..=LONGEST_KEY).contains(&key.len())).then_some(key)
}

/// The text of a quoted string. A backslash escapes a quote or a backslash, and nothing else.
fn unquoted(quoted: &str) -> Option<String> {
    let mut text = String::with_capacity(quoted.len());
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        text.push(match character {
            '\\' => characters.next().filter(|escaped| ['"', '\\'].contains(escaped))?,
            '"' => return None,
            character => character,
        });
    }
    Some(text)
}

/// The SHA-256 of a JSON body, which does not depend on the order of its members or on white space.
fn hash(body: &[u8]) -> [u8; 32] {
    let canonical = serde_json::from_slice::<Value>(body).map(|value| value.to_string().into_bytes());
    let hash = digest(&SHA256, canonical.as_deref().unwrap_or(body));
    let mut bytes = [0; 32];
    bytes.copy_from_slice(hash.as_ref());
    bytes
}

/// The answer that is stored of an outcome; None if it is not final.
fn kept(outcome: &Result<Answer, Error>, request_id: &str) -> Option<KeptAnswer> {
    let (status, content_type, body) = match outcome {
        Ok(answer) if answer.is_final() => (answer.status(), "application/json".to_owned(), answer.body().to_owned()),
        Err(error) if !error.retryable() => {
            let response: Response<Body> = problem::response(error, request_id);
            let content_type = response.headers().get(CONTENT_TYPE)?.to_str().ok()?.to_owned();
            let Body::Text(body) = response.body() else { return None };
            (response.status(), content_type, body.clone())
        }
        _ => return None,
    };
    Some(KeptAnswer { status: i16::try_from(status.as_u16()).ok()?, content_type, body })
}

fn replay(kept: KeptAnswer) -> Result<Answer, Error> {
    let unreadable = || Error::Internal("a kept answer cannot be read".into());
    let status = u16::try_from(kept.status).ok().and_then(|status| StatusCode::from_u16(status).ok()).ok_or_else(unreadable)?;
    let content_type = kept.content_type.parse().map_err(|_| unreadable())?;
    Ok(Answer::again(status, content_type, kept.body).with_header(REPLAYED, HeaderValue::from_static("true")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_visible_text_is_the_same_key_when_it_is_quoted(key in "[ -~]{1,255}") {
            let quoted = format!("\"{}\"", key.replace('\\', r"\\").replace('"', r#"\""#));
            prop_assert_eq!(read(&quoted), Some(key.clone()));
            // White space around a value is no part of it (RFC 9110, 5.5).
            let value = key.trim();
            let is_token = !value.is_empty() && !value.contains(['"', '\\', ',', ';', ' ']);
            prop_assert_eq!(read(&key), is_token.then(|| value.to_owned()));
        }

        #[test]
        fn whatever_is_read_is_a_key_that_can_be_stored(header in any::<String>()) {
            if let Some(key) = read(&header) {
                prop_assert!((1..=LONGEST_KEY).contains(&key.len()) && key.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            }
        }

        #[test]
        fn the_order_of_members_does_not_change_the_hash(members in proptest::collection::btree_map("[a-z]{1,8}", any::<i64>(), 0..6)) {
            let written = |members: Vec<(&String, &i64)>| {
                let members: Vec<_> = members.into_iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
                format!("{{{}}}", members.join(", "))
            };
            let (forwards, backwards) = (members.iter().collect(), members.iter().rev().collect());
            prop_assert_eq!(hash(written(forwards).as_bytes()), hash(written(backwards).as_bytes()));
        }
    }

    #[test]
    fn a_key_is_the_same_with_quotes_and_without() {
        for header in
            ["8e03978e-40d5-43e8-bc93-6894a57f9324", "\"8e03978e-40d5-43e8-bc93-6894a57f9324\"", " 8e03978e-40d5-43e8-bc93-6894a57f9324 "]
        {
            assert_eq!(read(header).as_deref(), Some("8e03978e-40d5-43e8-bc93-6894a57f9324"), "{header}");
        }
        assert_eq!(read(r#""say \"yes\" \\ no""#).as_deref(), Some(r#"say "yes" \ no"#));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let long = "k".repeat(LONGEST_KEY + 1);
        for header in ["", "\"\"", "\"open", "a b", "a,b", "a;b", "\"a\"b\"", r#""a\n""#, "\"ü\"", "ü", &long] {
            assert_eq!(read(header), None, "{header}");
        }
        assert!(read(&long[1..]).is_some());
    }

    #[test]
    fn bodies_that_say_the_same_hash_alike() {
        assert_eq!(hash(br#"{"a":1,"b":[2,{"c":3,"d":4}]}"#), hash(b"{ \"b\": [2, {\"d\":4, \"c\":3}], \"a\": 1 }"));
        assert_ne!(hash(br#"{"a":1}"#), hash(br#"{"a":2}"#));
        assert_ne!(hash(b"[1,2]"), hash(b"[2,1]"));
    }
}
