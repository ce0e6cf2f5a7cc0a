//! `input!`: what a request consists of, said once for its reader and for its schema.

use serde_json::Value;

use super::Input;
#[cfg(feature = "schema")]
use super::Origin;

/// A type of fields: how a value is read, and which values are accepted.
pub trait Parameter {
    /// The value that was read.
    type Value;

    /// Reads the value of a field. Notes what is wrong with it, and is None then.
    fn read(input: &mut Input, field: &str, value: Value) -> Option<Self::Value>;

    /// The JSON Schema of the values that [`Self::read`] accepts, and of no others.
    #[cfg(feature = "schema")]
    fn schema() -> Value;
}

/// A request, or an object within one, that was declared with [`input!`](macro@crate::input).
pub trait Declared: Sized {
    /// Reads every field. None if a required one is absent or wrong.
    fn read(input: &mut Input) -> Option<Self>;

    /// Every field, in the order of the declaration.
    #[cfg(feature = "schema")]
    fn fields() -> Vec<Field>;
}

/// A field, for the document.
#[cfg(feature = "schema")]
#[derive(Clone, Debug)]
pub struct Field {
    /// The name of the parameter or member.
    pub name: &'static str,
    /// What it means.
    pub meaning: String,
    /// Whether it can be absent or null.
    pub presence: Presence,
    /// The schema of its values.
    pub schema: Value,
    /// The value that an absent one stands for.
    pub default: Option<Value>,
    /// A value; None if the schema of the value has examples of its own.
    pub example: Option<Value>,
}

/// Whether a field can be absent or null.
#[cfg(feature = "schema")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Neither.
    Required,
    /// Absent. In a body it can be null, which means the same.
    Optional,
    /// Absent, and never null.
    Setting,
    /// Absent, or null with a meaning of its own.
    Clearable,
}

/// The schema of a JSON object with `fields`, and no others.
#[cfg(feature = "schema")]
#[must_use]
pub fn object_schema(fields: &[Field]) -> Value {
    let properties: serde_json::Map<_, _> = fields.iter().map(|field| (field.name.to_owned(), field.described(Origin::Body))).collect();
    let required: Vec<_> = fields.iter().filter(|field| field.presence == Presence::Required).map(|field| field.name).collect();
    let mut schema = serde_json::json!({"type": "object", "properties": properties, "additionalProperties": false});
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    schema
}

#[cfg(feature = "schema")]
impl Field {
    /// The schema with everything that is known about the field.
    #[must_use]
    pub fn described(&self, origin: Origin) -> Value {
        let mut schema = self.schema.clone();
        if origin == Origin::Body && matches!(self.presence, Presence::Optional | Presence::Clearable) {
            schema["type"] = serde_json::json!([schema["type"], "null"]);
            if let Some(words) = schema.get_mut("enum").and_then(Value::as_array_mut) {
                words.push(Value::Null);
            }
        }
        schema["description"] = self.meaning.clone().into();
        if let Some(default) = &self.default {
            schema["default"] = default.clone();
        }
        if let Some(example) = &self.example {
            schema["examples"] = serde_json::json!([example]);
        }
        schema
    }
}

/// Declares a request, or an object within one: for each field its meaning, whether it may be absent, its name, its type (a
/// [`Parameter`]), its default and an example.
///
/// | word | the field | value |
/// |---|---|---|
/// | `required` | must be there | `T` |
/// | `optional` | can be absent; in a body, null means absent | `Option<T>`, or `T` with a default |
/// | `expected` | must be there, which the function itself checks | `Option<T>` |
/// | `setting` | can be absent, never null | `Option<T>` |
/// | `clearable` | can be absent, or null to clear what it names | [`Patch<T>`](crate::model::Patch) |
///
/// ```
/// use shared::lambda::input::{Input, Integer, Text};
///
/// shared::input! {
///     /// The query of a list.
///     pub struct Query {
///         /// Part of the name.
///         optional search: Text<255>, example "desk";
///         /// How many rows.
///         optional limit: Integer<1, 200> = 50;
///     }
/// }
///
/// let mut input = Input::query(&[("search".to_owned(), "front".to_owned())]);
/// let query = input.read::<Query>();
/// let query = input.finish(query)?;
/// assert_eq!((query.search.as_deref(), query.limit), (Some("front"), 50));
/// # Ok::<(), shared::error::Error>(())
/// ```
#[macro_export]
macro_rules! input {
    ($(#[$meta:meta])* $visibility:vis struct $name:ident {
        $($(#[doc = $doc:literal])+ $presence:ident $field:ident : $type:ty $(= $default:expr)? $(, example $example:expr)? ;)+
    }) => {
        $(#[$meta])*
        $visibility struct $name {
            $($(#[doc = $doc])+ $visibility $field: $crate::input!(@type $presence $type $(= $default)?),)+
        }

        impl $crate::lambda::input::Declared for $name {
            fn read(input: &mut $crate::lambda::input::Input) -> Option<Self> {
                $(let $field = $crate::input!(@read input, $presence, stringify!($field), $type);)+
                Some(Self { $($field: $crate::input!(@value $presence $field $(= $default)?)),+ })
            }

            #[cfg(feature = "schema")]
            fn fields() -> Vec<$crate::lambda::input::Field> {
                vec![$($crate::lambda::input::Field {
                    name: stringify!($field),
                    meaning: concat!($($doc),+).trim().to_owned(),
                    presence: $crate::input!(@presence $presence),
                    schema: <$type as $crate::lambda::input::Parameter>::schema(),
                    default: $crate::input!(@json $($default)?),
                    example: $crate::input!(@json $($example)?),
                }),+]
            }
        }
    };

    (@type required $type:ty) => { <$type as $crate::lambda::input::Parameter>::Value };
    (@type optional $type:ty = $default:expr) => { <$type as $crate::lambda::input::Parameter>::Value };
    (@type clearable $type:ty) => { $crate::model::Patch<<$type as $crate::lambda::input::Parameter>::Value> };
    (@type $presence:ident $type:ty) => { Option<<$type as $crate::lambda::input::Parameter>::Value> };

    (@read $input:ident, expected, $name:expr, $type:ty) => { $input.optional::<$type>($name) };
    (@read $input:ident, $presence:ident, $name:expr, $type:ty) => { $input.$presence::<$type>($name) };

    (@value required $field:ident) => { $field? };
    (@value optional $field:ident = $default:expr) => { $field.unwrap_or_else(|| $default) };
    (@value $presence:ident $field:ident) => { $field };

    (@presence required) => { $crate::lambda::input::Presence::Required };
    (@presence expected) => { $crate::lambda::input::Presence::Required };
    (@presence optional) => { $crate::lambda::input::Presence::Optional };
    (@presence setting) => { $crate::lambda::input::Presence::Setting };
    (@presence clearable) => { $crate::lambda::input::Presence::Clearable };

    (@json) => { None };
    (@json $value:expr) => { Some($crate::lambda::document::json!($value)) };
}
