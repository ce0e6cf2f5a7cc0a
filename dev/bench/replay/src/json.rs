//! Rows as JSON: one array for each statement, one object for each row.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::ser::{Error as _, Serialize, SerializeMap as _, Serializer};
use serde_json::Value;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};
use uuid::Uuid;

/// The rows of each statement.
///
/// # Errors
/// A column has a type that is not known here.
pub(crate) fn text(statements: &[Vec<Row>]) -> serde_json::Result<String> {
    let objects: Vec<Vec<_>> = statements.iter().map(|rows| rows.iter().map(Object).collect()).collect();
    serde_json::to_string(&objects)
}

struct Object<'a>(&'a Row);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (index, column) in self.0.columns().iter().enumerate() {
            map.serialize_entry(column.name(), &Cell { row: self.0, index, kind: column.type_() })?;
        }
        map.end()
    }
}

struct Cell<'a> {
    row: &'a Row,
    index: usize,
    kind: &'a Type,
}

impl<'a> Cell<'a> {
    fn write<T, S>(&self, serializer: S) -> Result<S::Ok, S::Error>
    where
        T: FromSql<'a> + Serialize,
        S: Serializer,
    {
        self.row.try_get::<_, Option<T>>(self.index).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self.kind {
            Type::BOOL => self.write::<bool, S>(serializer),
            Type::INT4 => self.write::<i32, S>(serializer),
            Type::INT8 => self.write::<i64, S>(serializer),
            Type::NUMERIC => self.write::<Decimal, S>(serializer),
            Type::TEXT | Type::VARCHAR => self.write::<&str, S>(serializer),
            Type::TIMESTAMPTZ => self.write::<DateTime<Utc>, S>(serializer),
            Type::UUID => self.write::<Uuid, S>(serializer),
            Type::JSON | Type::JSONB => self.write::<Value, S>(serializer),
            ref other => Err(S::Error::custom(format!("a column of type {other}"))),
        }
    }
}
