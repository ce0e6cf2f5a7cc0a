//! The types of statements' parameters.
//!
//! A prepared statement could leave them to the server. A statement without a name is sent together with its parameters, and so
//! has to say what they are.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use tokio_postgres::types::{Json, ToSql, Type};
use uuid::Uuid;

use crate::model::{E164, KeyDigest, Money, Role};
use crate::store::FindingKind;

/// A value that statements take as a parameter.
pub trait Parameter: ToSql + Sync {
    /// Its type in Postgres.
    fn sql_type(&self) -> Type;
}

impl<T: Typed> Parameter for T {
    fn sql_type(&self) -> Type {
        T::TYPE
    }
}

/// A Rust type that is always the same type in Postgres.
pub trait Typed: ToSql + Sync {
    /// That type.
    const TYPE: Type;
}

/// A Rust type whose arrays have a type in Postgres.
pub trait Element: ToSql + Sync {
    /// That type.
    const ARRAY: Type;
}

macro_rules! typed {
    ($($rust:ty => $sql:ident),+ $(,)?) => {
        $(
            impl Typed for $rust {
                const TYPE: Type = Type::$sql;
            }
        )+
    };
}

macro_rules! elements {
    ($($rust:ty => $array:ident),+ $(,)?) => {
        $(
            impl Element for $rust {
                const ARRAY: Type = Type::$array;
            }
        )+
    };
}

typed! {
    bool => BOOL,
    i16 => INT2,
    i32 => INT4,
    i64 => INT8,
    f64 => FLOAT8,
    String => TEXT,
    &str => TEXT,
    &[u8] => BYTEA,
    Uuid => UUID,
    DateTime<Utc> => TIMESTAMPTZ,
    Value => JSONB,
    E164 => TEXT,
    FindingKind => TEXT,
    KeyDigest => BYTEA,
    Money => NUMERIC,
}

elements! {
    String => TEXT_ARRAY,
    &str => TEXT_ARRAY,
    Uuid => UUID_ARRAY,
    DateTime<Utc> => TIMESTAMPTZ_ARRAY,
    E164 => TEXT_ARRAY,
    KeyDigest => BYTEA_ARRAY,
    Role => TEXT_ARRAY,
}

impl<T: Element> Element for Option<T> {
    const ARRAY: Type = T::ARRAY;
}

impl<T: Element> Element for &T {
    const ARRAY: Type = T::ARRAY;
}

impl<T: Element> Typed for Vec<T> {
    const TYPE: Type = T::ARRAY;
}

impl<T: Element> Typed for &[T] {
    const TYPE: Type = T::ARRAY;
}

impl<T: Serialize + std::fmt::Debug + Sync> Typed for Json<T> {
    const TYPE: Type = Type::JSONB;
}

impl<T: Typed> Typed for Option<T> {
    const TYPE: Type = T::TYPE;
}

impl<T: Typed> Typed for &T {
    const TYPE: Type = T::TYPE;
}
