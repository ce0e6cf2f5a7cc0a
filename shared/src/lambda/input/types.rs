//! The types of fields.

use std::marker::PhantomData;

use serde_json::Value;
#[cfg(feature = "schema")]
use serde_json::json;
use uuid::Uuid;

#[cfg(feature = "schema")]
use super::object_schema;
use super::{Declared, Input, Origin, Parameter};
use crate::model::{Written, text};

/// A string with a syntax of its own; the error of its parser is the message.
impl<T: Written> Parameter for T {
    type Value = T;

    fn read(input: &mut Input, field: &str, value: Value) -> Option<T> {
        let read = value.as_str().ok_or("must be a string").and_then(T::from_str);
        read.map_err(|message| input.refuse(field, message)).ok()
    }

    #[cfg(feature = "schema")]
    fn schema() -> Value {
        <T as Written>::schema()
    }
}

/// Text of 1 to `LONGEST` characters, as [`text`] permits it. Spaces around it are left out.
pub struct Text<const LONGEST: usize>;

impl<const LONGEST: usize> Parameter for Text<LONGEST> {
    type Value = String;

    fn read(input: &mut Input, field: &str, value: Value) -> Option<String> {
        let Value::String(text) = value else {
            input.refuse(field, "must be a string");
            return None;
        };
        if text.is_empty() || text.chars().count() > LONGEST {
            input.refuse(field, format!("must have 1 to {LONGEST} characters"));
            return None;
        }
        if let Some(fault) = text::fault(&text) {
            input.refuse(field, fault);
            return None;
        }
        Some(text.trim().to_owned())
    }

    #[cfg(feature = "schema")]
    fn schema() -> Value {
        json!({"type": "string", "minLength": 1, "maxLength": LONGEST, "pattern": text::pattern()})
    }
}

/// Digits only, 1 to `LONGEST` of them.
pub struct Digits<const LONGEST: usize>;

impl<const LONGEST: usize> Parameter for Digits<LONGEST> {
    type Value = String;

    fn read(input: &mut Input, field: &str, value: Value) -> Option<String> {
        let digits = |text: &str| (1..=LONGEST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        match value {
            Value::String(text) if digits(&text) => Some(text),
            _ => {
                input.refuse(field, format!("must be 1 to {LONGEST} digits"));
                None
            }
        }
    }

    #[cfg(feature = "schema")]
    fn schema() -> Value {
        json!({"type": "string", "pattern": format!("^[0-9]{{1,{LONGEST}}}$")})
    }
}

/// `true` or `false`.
pub struct Flag;

impl Parameter for Flag {
    type Value = bool;

    fn read(input: &mut Input, field: &str, value: Value) -> Option<bool> {
        let read = match (input.origin, &value) {
            (Origin::Body, Value::Bool(read)) => Some(*read),
            (Origin::Query, Value::String(text)) => text.parse().ok(),
            _ => None,
        };
        if read.is_none() {
            input.refuse(field, "must be true or false");
        }
        read
    }

    #[cfg(feature = "schema")]
    fn schema() -> Value {
        json!({"type": "boolean"})
    }
}

/// A whole number from `LEAST` to `MOST`.
pub struct Integer<const LEAST: i64, const MOST: i64>;

impl<const LEAST: i64, const MOST: i64> Parameter for Integer<LEAST, MOST> {
    type Value = i64;

    fn read(input: &mut Input, field: &str, value: Value) -> Option<i64> {
        let read = match (input.origin, &value) {
            (Origin::Body, Value::Number(number)) => number.as_i64(),
            // As JSON writes it: without a plus sign or leading zeros.
            (Origin::Query, Value::String(text)) => text.parse::<i64>().ok().filter(|number| number.to_string() == *text),
            _ => None,
        };
        let read = read.filter(|number| (LEAST..=MOST).contains(number));
        if read.is_none() {
            input.refuse(field, format!("must be a whole number from {LEAST} to {MOST}"));
        }
        read
    }

    #[cfg(feature = "schema")]
    fn schema() -> Value {
        json!({"type": "integer", "format": "int64", "minimum": LEAST, "maximum": MOST})
    }
}

/// A UUID with hyphens, in small or capital letters.
pub struct Id;

impl Parameter for Id {
    type Value = Uuid;

    fn read(input: &mut Input, field: &str, value: Value) -> Option<Uuid> {
        // Of the forms that the parser reads, only this one has that length.
        let read = value.as_str().filter(|text| text.len() == uuid::fmt::Hyphenated::LENGTH).and_then(|text| Uuid::try_parse(text).ok());
        if read.is_none() {
            input.refuse(field, "must be a UUID");
        }
        read
    }

    #[cfg(feature = "schema")]
    fn schema() -> Value {
        let pattern = "^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$";
        json!({"type": "string", "format": "uuid", "pattern": pattern})
    }
}

/// A list of words, separated by commas. Spaces around them are left out.
pub struct Words<T>(PhantomData<T>);

impl<T: Written> Parameter for Words<T> {
    type Value = Vec<T>;

    fn read(input: &mut Input, field: &str, value: Value) -> Option<Vec<T>> {
        let words = value
            .as_str()
            .ok_or("must be a string")
            .and_then(|text| text.split(',').map(|word| T::from_str(word.trim_matches(' '))).collect());
        words.map_err(|message| input.refuse(field, message)).ok()
    }

    #[cfg(feature = "schema")]
    fn schema() -> Value {
        let words = T::schema();
        let words: Vec<_> = words["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let word = format!(" *({}) *", words.join("|"));
        json!({"type": "string", "pattern": format!("^{word}(,{word})*$")})
    }
}

/// A list of `LEAST` to `MOST` objects. The fields of errors contain the position: `phone_numbers[1].phone_number`.
pub struct Objects<T, const LEAST: usize, const MOST: usize>(PhantomData<T>);

impl<T: Declared, const LEAST: usize, const MOST: usize> Parameter for Objects<T, LEAST, MOST> {
    type Value = Vec<T>;

    fn read(input: &mut Input, field: &str, value: Value) -> Option<Vec<T>> {
        list(input, field, value, LEAST, MOST, |input, name, value| {
            let Value::Object(members) = value else {
                input.refuse(name, "must be an object");
                return None;
            };
            let mut object = Input::new(Origin::Body, format!("{}.", input.path(name)), members);
            let read = object.read::<T>();
            object.refuse_the_rest();
            input.errors.append(&mut object.errors);
            read
        })
    }

    #[cfg(feature = "schema")]
    fn schema() -> Value {
        json!({"type": "array", "minItems": LEAST, "maxItems": MOST, "items": object_schema(&T::fields())})
    }
}

/// A list of `LEAST` to `MOST` UUIDs.
pub struct Ids<const LEAST: usize, const MOST: usize>;

impl<const LEAST: usize, const MOST: usize> Parameter for Ids<LEAST, MOST> {
    type Value = Vec<Uuid>;

    fn read(input: &mut Input, field: &str, value: Value) -> Option<Vec<Uuid>> {
        list(input, field, value, LEAST, MOST, Id::read)
    }

    #[cfg(feature = "schema")]
    fn schema() -> Value {
        json!({"type": "array", "minItems": LEAST, "maxItems": MOST, "items": Id::schema()})
    }
}

/// A list without the items that are wrong, each of which is noted.
fn list<T>(
    input: &mut Input,
    field: &str,
    value: Value,
    least: usize,
    most: usize,
    mut read: impl FnMut(&mut Input, &str, Value) -> Option<T>,
) -> Option<Vec<T>> {
    let Value::Array(items) = value else {
        input.refuse(field, "must be a list");
        return None;
    };
    if !(least..=most).contains(&items.len()) {
        input.refuse(field, format!("must have {least} to {most} items"));
        return None;
    }
    let items = items.into_iter().enumerate();
    Some(items.filter_map(|(index, item)| read(input, &format!("{field}[{index}]"), item)).collect())
}
