//! `words!`: enums that are written alike in JSON, in query strings and in Postgres.

/// A closed set of words, written alike in JSON, in query strings and in Postgres.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $(
                #[doc = concat!("`", $word, "`")]
                $(#[doc = ""] #[$doc])*
                $variant
            ),+
        }

        impl $name {
            /// The word itself.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = &'static str;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(concat!("must be one of:" $(, " ", $word)+)),
                }
            }
        }

        impl $crate::model::Written for $name {
            #[cfg(feature = "schema")]
            fn schema() -> ::serde_json::Value {
                ::serde_json::json!({"type": "string", "enum": [$($word),+]})
            }
        }

        $crate::model::schema_of!($name, stringify!($name), <$name as $crate::model::Written>::schema(), false);

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}

pub(crate) use words;
