//! What holds for any bytes as a request: the body of the fuzz target `request`, which property tests run on stable.

use super::{Digits, Flag, Id, Ids, Input, Integer, Objects, Text, Words};
use crate::error::Error;
use crate::model::{CountryCode, Currency, E164, Feature, Money, Patch, Status, text};

crate::input! {
    /// A request with a field of every type.
    struct Everything {
        /// Text.
        optional text: Text<8>;
        /// Text that null clears.
        clearable name: Text<8>;
        /// Digits.
        optional digits: Digits<8>;
        /// A flag that null does not clear.
        setting flag: Flag;
        /// A whole number.
        optional integer: Integer<-5, 5> = 0;
        /// A UUID.
        optional id: Id;
        /// Words.
        optional words: Words<Feature>;
        /// A word.
        optional word: Status;
        /// A number.
        optional number: E164;
        /// An amount.
        optional amount: Money;
        /// A currency.
        optional currency: Currency;
        /// A country.
        optional country: CountryCode;
        /// UUIDs.
        optional ids: Ids<1, 3>;
        /// Objects.
        optional items: Objects<Item, 1, 3>;
    }
}

crate::input! {
    /// An object in a list.
    struct Item {
        /// Text.
        required text: Text<8>;
    }
}

/// Reads any bytes as a body and as a query.
///
/// # Panics
/// If a value is read that breaks the rule of its type, or if a refusal names no field.
pub fn request(bytes: &[u8]) {
    match Input::body(bytes) {
        Ok(input) => check(input),
        Err(error) => check_refusal(&error),
    }
    let pairs: Vec<_> = url::form_urlencoded::parse(bytes).into_owned().collect();
    check(Input::query(&pairs));
}

fn check(mut input: Input) {
    let read = input.read::<Everything>();
    match input.finish(read) {
        Ok(everything) => check_values(&everything),
        Err(error) => check_refusal(&error),
    }
}

fn check_values(read: &Everything) {
    let name = if let Patch::Set(name) = &read.name { Some(name) } else { None };
    let items = read.items.iter().flatten().map(|item| &item.text);
    for value in read.text.iter().chain(name).chain(items) {
        assert!((1..=8).contains(&value.chars().count()) && text::fault(value).is_none() && value.trim() == value, "{value:?}");
    }
    assert!(read.digits.iter().all(|digits| digits.len() <= 8 && digits.parse::<u64>().is_ok()));
    assert!((-5..=5).contains(&read.integer));
    assert!(read.ids.iter().all(|ids| (1..=3).contains(&ids.len())) && read.items.iter().all(|items| (1..=3).contains(&items.len())));
    assert!(read.words.iter().all(|words| !words.is_empty()));
    assert!(read.number.iter().all(|number| number.digits().len() <= 15));
    assert!(read.currency.iter().all(|currency| String::from(currency.clone()).len() == 3));
    assert!(read.country.iter().all(|country| String::from(country.clone()).len() == 2));
    assert!(format!("{:?}", (read.flag, read.id, read.word)).is_ascii());
    // What the columns hold: numeric(10,4).
    assert!(
        read.amount.iter().all(|amount| amount.0.scale() <= 4 && amount.0.trunc().to_string().len() <= 6 && !amount.0.is_sign_negative())
    );
}

pub(crate) fn check_refusal(error: &Error) {
    let Error::InvalidRequest(fields) = error else { panic!("{error}") };
    assert!(!fields.is_empty() && fields.iter().all(|field| !field.message.is_empty()));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::request;

    /// Bodies and queries that have the fields of [`super::Everything`], with values of every kind.
    fn near() -> impl Strategy<Value = String> {
        let name = "text|name|digits|flag|integer|id|words|word|number|amount|currency|country|ids|items|other";
        let value = prop_oneof![
            any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
            "-?[0-9]{1,3}(\\.[0-9]{1,5})?|true|false|null|\\[\\]|\\[\\{\"text\": ?\"[a-z ]{0,9}\"\\}\\]",
            "\"([+]?[0-9.]{0,17}|[A-Z]{2,3}|voice, ?sms|active|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})\"",
        ];
        let pairs = proptest::collection::vec((name, value), 0..6);
        let body = pairs.clone().prop_map(|pairs| {
            let members: Vec<_> = pairs.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
            format!("{{{}}}", members.join(","))
        });
        let query = pairs.prop_map(|pairs| {
            let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={}", value.trim_matches('"'))).collect();
            pairs.join("&")
        });
        prop_oneof![body, query]
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_by_name(bytes in any::<Vec<u8>>()) {
            request(&bytes);
        }

        #[test]
        fn what_resembles_a_request_is_read_or_refused_by_name(text in near()) {
            request(text.as_bytes());
        }
    }
}
