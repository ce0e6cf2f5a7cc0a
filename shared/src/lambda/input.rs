//! A query string or a JSON body, read strictly into typed values.
//!
//! [`input!`](macro@crate::input) declares what a request consists of: the name, type, default and meaning of each field. The reader and
//! the schema in `docs/openapi.json` are both made from that declaration.
//!
//! A request reads every field by its name. [`Input::finish`] then refuses all other fields, reports everything that was wrong
//! with the name of its field, and returns the request only if nothing was wrong. A value that is wrong reads as None, like one
//! that is absent, and is never used. A filter that is silently ignored is the complaint that users file most.

mod declaration;
#[cfg(any(test, feature = "fuzz"))]
#[allow(clippy::panic, reason = "a fuzz target reports by panicking")]
pub(crate) mod fuzz;
mod json;
mod types;

use std::collections::BTreeMap;

use serde_json::Value;

pub use self::declaration::{Declared, Parameter};
#[cfg(feature = "schema")]
pub use self::declaration::{Field, Presence, object_schema};
pub use self::types::{Digits, Flag, Id, Ids, Integer, Objects, Text, Words};
use crate::error::{Error, FieldError};
use crate::model::Patch;

/// Of a parameter or a member that is there a second time.
const REPEATED: &str = "is given more than once";

/// The source of the input: in a query string every value is text, in a body it has a JSON type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A query string.
    Query,
    /// A JSON body.
    Body,
}

/// A rule that no schema expresses, since it is about more than one field or about what only we know. The document lists the
/// rules of each request in `x-rules`.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// The name of the rule in the document.
    pub name: &'static str,
    /// The field that is refused; `[]` stands for each item of a list.
    pub field: &'static str,
    /// The end of a sentence that begins with the field.
    pub message: &'static str,
}

/// A filter for numbers with an agent and one for numbers without an agent exclude each other.
pub const ASSIGNED_OR_UNASSIGNED: Rule =
    Rule { name: "assigned_or_unassigned", field: "unassigned", message: "cannot be true together with assigned" };

/// The input of one request, or one object within it.
///
/// ```
/// use shared::error::Error;
/// use shared::lambda::input::{Input, Integer};
///
/// let mut input = Input::body(br#"{"limit": 0, "colour": "red"}"#)?;
/// let limit = input.optional::<Integer<1, 50>>("limit");
/// let Err(Error::InvalidRequest(fields)) = input.finish(limit) else { panic!("both members are wrong") };
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
        let mut input = Self::new(Origin::Query, String::new(), []);
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
        let mut input = Self::new(Origin::Body, String::new(), members);
        for name in document.repeated {
            input.refuse(&name, REPEATED);
        }
        Ok(input)
    }

    fn new(origin: Origin, prefix: String, fields: impl IntoIterator<Item = (String, Value)>) -> Self {
        Self { origin, prefix, fields: fields.into_iter().collect(), errors: Vec::new() }
    }

    /// Notes that a field is wrong. `message` is the end of a sentence that begins with the field.
    pub fn refuse(&mut self, field: &str, message: impl Into<String>) {
        let field = self.path(field);
        self.errors.push(FieldError { field, message: message.into() });
    }

    /// Notes that a rule is broken.
    pub fn breaks(&mut self, rule: &Rule) {
        self.refuse(rule.field, rule.message);
    }

    /// Notes that an item of the rule's list breaks it.
    pub fn item_breaks(&mut self, rule: &Rule, index: usize) {
        self.refuse(&rule.field.replacen("[]", &format!("[{index}]"), 1), rule.message);
    }

    /// The full name of a field of this object.
    #[must_use]
    pub fn path(&self, field: &str) -> String {
        format!("{}{field}", self.prefix)
    }

    /// Whether a field was given at all, and has not been read yet.
    #[must_use]
    pub fn has(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }

    /// Whether a field is absent or null, and has not been read yet.
    #[must_use]
    pub fn lacks(&self, field: &str) -> bool {
        self.fields.get(field).is_none_or(Value::is_null)
    }

    /// Reads everything that a declaration names. None if a required field is absent or wrong.
    pub fn read<T: Declared>(&mut self) -> Option<T> {
        T::read(self)
    }

    /// A field that may be absent. A null in a body counts as absent; an empty value in a query string does not.
    pub fn optional<T: Parameter>(&mut self, field: &str) -> Option<T::Value> {
        let value = self.fields.remove(field).filter(|value| !value.is_null())?;
        T::read(self, field, value)
    }

    /// A field whose absence is noted.
    pub fn required<T: Parameter>(&mut self, field: &str) -> Option<T::Value> {
        if self.lacks(field) {
            self.fields.remove(field);
            self.refuse(field, "is required");
            return None;
        }
        self.optional::<T>(field)
    }

    /// A field that may be absent, and that null cannot clear.
    pub fn setting<T: Parameter>(&mut self, field: &str) -> Option<T::Value> {
        if self.fields.get(field).is_some_and(Value::is_null) {
            self.refuse(field, "cannot be null");
        }
        self.optional::<T>(field)
    }

    /// A field that may be absent, and null to clear the present value.
    pub fn clearable<T: Parameter>(&mut self, field: &str) -> Patch<T::Value> {
        match self.fields.remove(field) {
            None => Patch::Keep,
            Some(Value::Null) => Patch::Clear,
            Some(value) => T::read(self, field, value).map_or(Patch::Keep, Patch::Set),
        }
    }

    /// Ends the reading, and returns what was read.
    ///
    /// # Errors
    /// `InvalidRequest` with everything that was wrong, and every field that was not read. `Internal` if there is no request
    /// although nothing was refused, which is a defect.
    pub fn finish<T>(mut self, read: Option<T>) -> Result<T, Error> {
        self.refuse_the_rest();
        if !self.errors.is_empty() {
            return Err(Error::InvalidRequest(self.errors));
        }
        read.ok_or_else(|| Error::Internal("a required field was neither read nor refused".into()))
    }

    /// Ends the reading of an input that must be empty. `message` is what is wrong with each field.
    ///
    /// # Errors
    /// `InvalidRequest` if it is not empty.
    pub fn empty(mut self, message: &str) -> Result<(), Error> {
        for field in std::mem::take(&mut self.fields).into_keys() {
            self.refuse(&field, message);
        }
        self.finish(Some(()))
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
pub fn assigned(input: &mut Input, assigned: bool, unassigned: bool) -> Option<bool> {
    match (assigned, unassigned) {
        (true, true) => {
            input.breaks(&ASSIGNED_OR_UNASSIGNED);
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
    use serde_json::json;

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
        match input.finish(Some(())) {
            Ok(()) => Vec::new(),
            Err(Error::InvalidRequest(errors)) => errors.into_iter().map(|error| error.field).collect(),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let mut input = query("limit=5&areacode=312");
        assert_eq!(input.optional::<Integer<1, 100>>("limit"), Some(5));
        assert_eq!(fields(input), ["areacode"]);
    }

    #[test]
    fn a_parameter_given_twice_is_refused() {
        let mut input = query("limit=5&limit=6");
        input.optional::<Integer<1, 100>>("limit");
        assert_eq!(fields(input), ["limit"]);
    }

    #[test]
    fn everything_wrong_is_reported_at_once() {
        let mut input = query("limit=many&status=gone&assigned=yes&features=voice,telepathy&contains=12a&agent_id=7");
        input.optional::<Integer<1, 100>>("limit");
        input.optional::<Status>("status");
        input.optional::<Flag>("assigned");
        input.optional::<Words<Feature>>("features");
        input.optional::<Digits<15>>("contains");
        input.optional::<Id>("agent_id");
        assert_eq!(fields(input), ["limit", "status", "assigned", "features", "contains", "agent_id"]);
    }

    #[test]
    fn a_body_has_json_types() {
        let mut input = body(&json!({"voice_enabled": "true", "limit": "5", "friendly_name": 7}));
        input.optional::<Flag>("voice_enabled");
        input.optional::<Integer<1, 100>>("limit");
        input.optional::<Text<255>>("friendly_name");
        assert_eq!(fields(input), ["voice_enabled", "limit", "friendly_name"]);
    }

    crate::input! {
        /// A number of a list.
        struct Item {
            /// The number.
            required phone_number: E164, example "+13125550123";
        }
    }

    #[test]
    fn an_error_within_a_list_carries_its_position() {
        let mut input = body(&json!({"phone_numbers": [{"phone_number": "+13125550123"}, {"phone_number": "312", "colour": "red"}]}));
        let numbers = input.optional::<Objects<Item, 1, 10>>("phone_numbers").unwrap();
        assert_eq!(numbers.iter().map(|item| item.phone_number.as_str()).collect::<Vec<_>>(), ["+13125550123"]);
        assert_eq!(fields(input), ["phone_numbers[1].phone_number", "phone_numbers[1].colour"]);
    }

    #[test]
    fn what_is_required_and_missing_or_null_is_named() {
        for value in [json!({}), json!({"phone_number_ids": null})] {
            let mut input = body(&value);
            assert_eq!(input.required::<Ids<1, 3>>("phone_number_ids"), None);
            assert_eq!(fields(input), ["phone_number_ids"]);
        }
    }

    #[test]
    fn a_null_clears_and_an_absent_member_keeps() {
        let mut input = body(&json!({"a": null, "b": "new"}));
        assert_eq!(input.clearable::<Text<9>>("a"), Patch::Clear);
        assert_eq!(input.clearable::<Text<9>>("b"), Patch::Set("new".to_owned()));
        assert_eq!(input.clearable::<Text<9>>("c"), Patch::Keep);
    }

    #[test]
    fn a_body_that_is_no_object_is_refused() {
        for text in ["", "[]", "\"x\"", "{", "{\"a\":1}x"] {
            assert!(matches!(Input::body(text.as_bytes()), Err(Error::InvalidRequest(_))), "{text}");
        }
    }
}
