//! What holds for any bytes as an answer of Telnyx: the body of the fuzz target `telnyx_answer`, which a property test runs on stable.

use super::json::{Object, Unread};
use super::{failure, inventory, offers, orders};

/// How many offers are read.
const LIMIT: usize = 5;

/// Reads any bytes as each of Telnyx's documents.
///
/// # Panics
/// If a value is read that no column or answer holds.
pub fn answer(bytes: &[u8]) {
    let (text, unread) = (String::from_utf8_lossy(bytes), Unread::default());
    let Some(document) = Object::parse(&text, &unread) else { return };
    if let Some(offers) = offers::offers(&document, LIMIT) {
        assert!(offers.numbers.len() <= LIMIT);
        for offer in &offers.numbers {
            assert!(offer.features.iter().all(|feature| !feature.contains('\0')));
            assert!(offer.monthly_cost.iter().chain(&offer.upfront_cost).all(|amount| !amount.0.is_sign_negative()));
        }
    }
    if let Some(order) = orders::one_order(&document) {
        assert!(!order.id.is_empty() && !order.id.contains('\0'));
    }
    let _ = (orders::deadline(&document), inventory::one_number(&document).is_some());
    assert!(failure::codes(&document).iter().all(|code| !code.contains('\0')));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::testing::any_json;
    use super::answer;

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_or_none(bytes in any::<Vec<u8>>()) {
            answer(&bytes);
        }

        #[test]
        fn any_document_is_an_answer_or_none(data in any_json(), errors in any_json()) {
            answer(json!({"data": data, "errors": errors}).to_string().as_bytes());
            answer(json!({"data": [data], "errors": [errors]}).to_string().as_bytes());
        }
    }
}
