//! A query string or a JSON body, read strictly into typed values.
//!
//! A request reads every field by its name. [`Input::build`] then refuses all other fields, reports everything that was wrong
//! with the name of its field, and builds the request only if nothing was wrong. A value that is wrong reads as None, like one
//! that is absent, and is never used. A filter that is silently ignored is the complaint that users file most.

mod json;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde_json::Value;
use uuid::Uuid;

use crate::error::{Error, FieldError};
use crate::model::{Patch, text};

/// Of a parameter or a member that is there a second time.
const REPEATED: &str = "is given more than once";

/// The source of the input: in a query string every value is text, in a body it has a JSON type.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Query,
    Body,
}

/// The input of one request, or one object within it.
///
/// ```
/// use shared::error::Error;
/// use shared::lambda::input::Input;
///
/// let mut input = Input::body(br#"{"limit": 0, "colour": "red"}"#)?;
/// assert_eq!(input.integer("limit", 1..=50), None);
/// let Err(Error::InvalidRequest(fields)) = input.finish() else { panic!("both members are wrong") };
/// assert_eq!(fields.len(), 2);
/// # Ok::<(), Error>(())
/// ```
pub struct Input {
    origin: Origin,
    prefix: String,
    fields: BTreeMap<String, Value>,
    errors: Vec<FieldError>,
}

impl Input {
    /// The parameters of a query string, decoded.
    #[must_use]
    pub fn query(parameters: &[(String, String)]) -> Self {
        let mut input = Self { origin: Origin::Query, prefix: String::new(), fields: BTreeMap::new(), errors: Vec::new() };
        for (name, value) in parameters {
            if input.fields.insert(name.clone(), Value::String(value.clone())).is_some() {
                input.refuse(name, REPEATED);
            }
        }
        input
    }

    /// A JSON body.
    ///
    /// # Errors
    /// `InvalidRequest` if it is not JSON or not an object.
    pub fn body(bytes: &[u8]) -> Result<Self, Error> {
        let document = json::read(bytes).map_err(|message| Error::invalid("body", message))?;
        let Value::Object(members) = document.root else { return Err(Error::invalid("body", "must be a JSON object")) };
        let mut input = Self { origin: Origin::Body, prefix: String::new(), fields: members.into_iter().collect(), errors: Vec::new() };
        for name in document.repeated {
            input.refuse(&name, REPEATED);
        }
        Ok(input)
    }

    /// Notes that a field is wrong. `message` is the end of a sentence that begins with the field.
    pub fn refuse(&mut self, field: &str, message: impl Into<String>) {
        let field = self.path(field);
        self.errors.push(FieldError { field, message: message.into() });
    }

    /// The full name of a field of this object.
    #[must_use]
    pub fn path(&self, field: &str) -> String {
        format!("{}{field}", self.prefix)
    }

    /// Whether a field was given at all.
    #[must_use]
    pub fn has(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }

    /// Notes each of `fields` that is null, for fields that null cannot clear.
    pub fn refuse_nulls(&mut self, fields: &[&str]) {
        for field in fields {
            if self.fields.get(*field).is_some_and(Value::is_null) {
                self.refuse(field, "cannot be null");
            }
        }
    }

    /// Text of 1 to `longest` characters, as [`text`] permits it. Spaces around it are left out.
    pub fn text(&mut self, field: &str, longest: usize) -> Option<String> {
        let value = self.take(field)?;
        self.checked_text(field, value, longest)
    }

    /// Text, or null to clear the present value.
    pub fn patch_text(&mut self, field: &str, longest: usize) -> Patch<String> {
        match self.fields.remove(field) {
            None => Patch::Keep,
            Some(Value::Null) => Patch::Clear,
            Some(value) => self.checked_text(field, value, longest).map_or(Patch::Keep, Patch::Set),
        }
    }

    /// Digits only, 1 to `longest` of them.
    pub fn digits(&mut self, field: &str, longest: usize) -> Option<String> {
        let text = self.text(field, longest)?;
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(text);
        }
        self.refuse(field, "must be digits");
        None
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, field: &str) -> Option<bool> {
        let value = self.take(field)?;
        let read = match (self.origin, &value) {
            (Origin::Body, Value::Bool(read)) => Some(*read),
            (Origin::Query, Value::String(text)) => text.parse().ok(),
            _ => None,
        };
        if read.is_none() {
            self.refuse(field, "must be true or false");
        }
        read
    }

    /// A whole number within `range`.
    pub fn integer(&mut self, field: &str, range: RangeInclusive<i64>) -> Option<i64> {
        let value = self.take(field)?;
        let read = match (self.origin, &value) {
            (Origin::Body, Value::Number(number)) => number.as_i64(),
            (Origin::Query, Value::String(text)) => text.parse().ok(),
            _ => None,
        };
        let read = read.filter(|number| range.contains(number));
        if read.is_none() {
            self.refuse(field, format!("must be a whole number from {} to {}", range.start(), range.end()));
        }
        read
    }

    /// A UUID.
    pub fn uuid(&mut self, field: &str) -> Option<Uuid> {
        let value = self.take(field)?;
        let read = value.as_str().and_then(|text| Uuid::try_parse(text).ok());
        if read.is_none() {
            self.refuse(field, "must be a UUID");
        }
        read
    }

    /// A string that is parsed; the error of its parser is the message.
    pub fn parsed<T: FromStr<Err = &'static str>>(&mut self, field: &str) -> Option<T> {
        let value = self.take(field)?;
        let read = value.as_str().ok_or("must be a string").and_then(T::from_str);
        match read {
            Ok(read) => Some(read),
            Err(message) => {
                self.refuse(field, message);
                None
            }
        }
    }

    /// A comma-separated list of words.
    pub fn comma_separated<T: FromStr<Err = &'static str>>(&mut self, field: &str) -> Vec<T> {
        let Some(value) = self.take(field) else { return Vec::new() };
        let Some(text) = value.as_str() else {
            self.refuse(field, "must be a string");
            return Vec::new();
        };
        let mut read = Vec::new();
        for word in text.split(',') {
            match T::from_str(word.trim()) {
                Ok(word) => read.push(word),
                Err(message) => {
                    self.refuse(field, message);
                    break;
                }
            }
        }
        read
    }

    /// A list of `count` objects, each read by `read`. The fields of errors contain the position: `phone_numbers[1].phone_number`.
    pub fn objects<T>(&mut self, field: &str, count: RangeInclusive<usize>, mut read: impl FnMut(&mut Self) -> Option<T>) -> Vec<T> {
        self.list(field, count, |input, name, value| {
            let Value::Object(members) = value else {
                input.refuse(name, "must be an object");
                return None;
            };
            let mut object = Self {
                origin: Origin::Body,
                prefix: format!("{}.", input.path(name)),
                fields: members.into_iter().collect(),
                errors: Vec::new(),
            };
            let read = read(&mut object);
            object.refuse_the_rest();
            input.errors.append(&mut object.errors);
            read
        })
    }

    /// A list of `count` UUIDs.
    pub fn uuids(&mut self, field: &str, count: RangeInclusive<usize>) -> Vec<Uuid> {
        self.list(field, count, |input, name, value| {
            let read = value.as_str().and_then(|text| Uuid::try_parse(text).ok());
            if read.is_none() {
                input.refuse(name, "must be a UUID");
            }
            read
        })
    }

    /// A required field. Its absence is noted.
    pub fn required<T>(&mut self, field: &str, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        if self.fields.get(field).is_none_or(Value::is_null) {
            self.fields.remove(field);
            self.refuse(field, "is required");
            return None;
        }
        read(self)
    }

    /// Ends the reading, and builds the request from the values that were read.
    ///
    /// # Errors
    /// As [`Input::finish`]. `Internal` if `build` lacks a value although nothing was refused, which is a defect.
    pub fn build<T>(self, build: impl FnOnce() -> Option<T>) -> Result<T, Error> {
        self.finish()?;
        build().ok_or_else(|| Error::Internal("a required field was neither read nor refused".into()))
    }

    /// Ends the reading of an input without values.
    ///
    /// # Errors
    /// `InvalidRequest` with everything that was wrong, and every field that was not read.
    pub fn finish(mut self) -> Result<(), Error> {
        self.refuse_the_rest();
        if self.errors.is_empty() { Ok(()) } else { Err(Error::InvalidRequest(self.errors)) }
    }

    fn list<T>(&mut self, field: &str, count: RangeInclusive<usize>, mut read: impl FnMut(&mut Self, &str, Value) -> Option<T>) -> Vec<T> {
        let Some(value) = self.take(field) else { return Vec::new() };
        let Value::Array(items) = value else {
            self.refuse(field, "must be a list");
            return Vec::new();
        };
        if !count.contains(&items.len()) {
            self.refuse(field, format!("must have {} to {} items", count.start(), count.end()));
            return Vec::new();
        }
        let items = items.into_iter().enumerate();
        items.filter_map(|(index, item)| read(self, &format!("{field}[{index}]"), item)).collect()
    }

    /// The value of a field. A null in a body counts as absent; an empty value in a query string does not.
    fn take(&mut self, field: &str) -> Option<Value> {
        self.fields.remove(field).filter(|value| !value.is_null())
    }

    fn checked_text(&mut self, field: &str, value: Value, longest: usize) -> Option<String> {
        let Value::String(text) = value else {
            self.refuse(field, "must be a string");
            return None;
        };
        if text.is_empty() || text.chars().count() > longest {
            self.refuse(field, format!("must have 1 to {longest} characters"));
            return None;
        }
        if let Some(fault) = text::fault(&text) {
            self.refuse(field, fault);
            return None;
        }
        Some(text.trim().to_owned())
    }

    fn refuse_the_rest(&mut self) {
        let what = if self.origin == Origin::Query { "is not a parameter of this function" } else { "is not a member of this request" };
        for field in std::mem::take(&mut self.fields).into_keys() {
            self.refuse(&field, what);
        }
    }
}

/// The flags `assigned` and `unassigned`: `Some(true)` selects numbers with an agent, `Some(false)` those without. A flag that is
/// false counts as absent.
pub fn assigned(input: &mut Input) -> Option<bool> {
    let assigned = input.boolean("assigned").unwrap_or(false);
    let unassigned = input.boolean("unassigned").unwrap_or(false);
    match (assigned, unassigned) {
        (true, true) => {
            input.refuse("unassigned", "cannot be true together with assigned");
            None
        }
        (true, false) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::model::{E164, Feature, Status};

    fn query(text: &str) -> Input {
        let pairs: Vec<_> = url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
        Input::query(&pairs)
    }

    fn body(value: &Value) -> Input {
        Input::body(value.to_string().as_bytes()).unwrap()
    }

    fn fields(input: Input) -> Vec<String> {
        match input.finish() {
            Ok(()) => Vec::new(),
            Err(Error::InvalidRequest(errors)) => errors.into_iter().map(|error| error.field).collect(),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let mut input = query("limit=5&areacode=312");
        assert_eq!(input.integer("limit", 1..=100), Some(5));
        assert_eq!(fields(input), ["areacode"]);
    }

    #[test]
    fn a_parameter_given_twice_is_refused() {
        let mut input = query("limit=5&limit=6");
        input.integer("limit", 1..=100);
        assert_eq!(fields(input), ["limit"]);
    }

    #[test]
    fn everything_wrong_is_reported_at_once() {
        let mut input = query("limit=many&status=gone&assigned=yes&features=voice,telepathy&contains=12a&agent_id=7");
        input.integer("limit", 1..=100);
        input.parsed::<Status>("status");
        input.boolean("assigned");
        input.comma_separated::<Feature>("features");
        input.digits("contains", 15);
        input.uuid("agent_id");
        assert_eq!(fields(input), ["limit", "status", "assigned", "features", "contains", "agent_id"]);
    }

    #[test]
    fn a_body_has_json_types() {
        let mut input = body(&serde_json::json!({"voice_enabled": "true", "limit": "5", "friendly_name": 7}));
        input.boolean("voice_enabled");
        input.integer("limit", 1..=100);
        input.text("friendly_name", 255);
        assert_eq!(fields(input), ["voice_enabled", "limit", "friendly_name"]);
    }

    #[test]
    fn an_error_within_a_list_carries_its_position() {
        let mut input =
            body(&serde_json::json!({"phone_numbers": [{"phone_number": "+13125550123"}, {"phone_number": "312", "colour": "red"}]}));
        let numbers =
            input.objects("phone_numbers", 1..=10, |item| item.required("phone_number", |item| item.parsed::<E164>("phone_number")));
        assert_eq!(numbers.len(), 1);
        assert_eq!(fields(input), ["phone_numbers[1].phone_number", "phone_numbers[1].colour"]);
    }

    #[test]
    fn what_is_required_and_missing_or_null_is_named() {
        for value in [serde_json::json!({}), serde_json::json!({"phone_numbers": null})] {
            let mut input = body(&value);
            input.required("phone_numbers", |input| Some(input.uuids("phone_numbers", 1..=3)));
            assert_eq!(fields(input), ["phone_numbers"]);
        }
    }

    #[test]
    fn a_null_clears_and_an_absent_member_keeps() {
        let mut input = body(&serde_json::json!({"a": null, "b": "new"}));
        assert_eq!(input.patch_text("a", 9), Patch::Clear);
        assert_eq!(input.patch_text("b", 9), Patch::Set("new".to_owned()));
        assert_eq!(input.patch_text("c", 9), Patch::Keep);
    }

    #[test]
    fn text_that_postgres_cannot_hold_is_refused() {
        let mut input = body(&serde_json::json!({"friendly_name": "a\u{0}b"}));
        assert_eq!(input.text("friendly_name", 255), None);
        assert_eq!(fields(input), ["friendly_name"]);
    }

    #[test]
    fn a_body_that_is_no_object_is_refused() {
        for text in ["", "[]", "\"x\"", "{", "{\"a\":1}x"] {
            assert!(matches!(Input::body(text.as_bytes()), Err(Error::InvalidRequest(_))), "{text}");
        }
    }
}
