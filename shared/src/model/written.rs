//! Values that callers write as strings.

use std::str::FromStr;

/// A value that callers write as a string with a syntax of its own. The error of the parser is the end of a sentence that begins
/// with the name of the field.
pub trait Written: FromStr<Err = &'static str> {
    /// The JSON Schema of the strings that are read, and of no others.
    #[cfg(feature = "schema")]
    fn schema() -> serde_json::Value;
}

/// Gives a value that is written as a string the schema `$schema` in answers. With `false`, the document has it under its name.
macro_rules! schema_of {
    ($type:ty, $name:expr, $schema:expr) => {
        $crate::model::schema_of!($type, $name, $schema, true);
    };
    ($type:ty, $name:expr, $schema:expr, $inline:literal) => {
        #[cfg(feature = "schema")]
        impl ::schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                $inline
            }

            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut ::schemars::SchemaGenerator) -> ::schemars::Schema {
                ::schemars::Schema::try_from($schema).unwrap_or_default()
            }
        }
    };
}

pub(crate) use schema_of;
