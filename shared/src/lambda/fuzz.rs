//! What holds for any bytes as an event: the body of the fuzz target `event`, which property tests run on stable.

use lambda_http::{Context, RequestExt as _};
use serde_json::value::RawValue;
use url::form_urlencoded;

use super::event;
use super::input::fuzz::{check_refusal, request};

/// Reads any bytes as an event of Lambda, and what it carries as a request.
///
/// # Panics
/// If the event is neither a request nor refused with the name of a member, or as [`request`].
pub fn event(bytes: &[u8]) {
    let Ok(raw) = serde_json::from_slice::<&RawValue>(bytes) else { return };
    match event::parse(raw).and_then(|event| event::request(&event, Context::default())) {
        Ok(read) => {
            request(read.body().as_ref());
            let query = read.query_string_parameters_ref().into_iter().flat_map(|query| query.iter());
            let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
            request(query.as_bytes());
        }
        Err(malformed) => check_refusal(&malformed.error),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::event;

    fn members() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<String>().prop_map(Value::from),
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from)
        ]
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_request_or_are_refused(bytes in any::<Vec<u8>>()) {
            event(&bytes);
        }

        #[test]
        fn what_resembles_an_event_is_a_request_or_is_refused(
            method in "GET|POST|[ -~]{0,8}", query in members(), body in members(), base64 in members(), name in any::<String>(), value in members(),
        ) {
            let http = json!({"method": method});
            let text = json!({
                "requestContext": {"http": http}, "headers": {name: value}, "rawQueryString": query, "body": body, "isBase64Encoded": base64,
            });
            event(text.to_string().as_bytes());
        }
    }
}
