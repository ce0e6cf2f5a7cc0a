//! How the domain's types are read from and written to columns.

use std::error::Error;

use bytes::BytesMut;
use rust_decimal::Decimal;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::model::{Direction, E164, KeyDigest, Money, Role, Status};
use crate::store::FindingKind;

/// Types that are text in a column or parameter. Text that the type does not know is an error when the row is read.
///
/// Columns of enum types have to be cast to text in the statement: enums have no fixed type id, and `tokio-postgres` would
/// query the catalogue for each of them on every new connection (docs/decisions/0017).
macro_rules! as_text {
    ($($type:ty),+) => {
        $(
            impl<'a> FromSql<'a> for $type {
                fn from_sql(sql_type: &Type, bytes: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
                    let text = <&str as FromSql>::from_sql(sql_type, bytes)?;
                    text.parse().map_err(|reason| format!("{reason}, and is {text}").into())
                }

                fn accepts(sql_type: &Type) -> bool {
                    <&str as FromSql>::accepts(sql_type)
                }
            }

            impl ToSql for $type {
                fn to_sql(&self, sql_type: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
                    self.as_str().to_sql(sql_type, out)
                }

                fn accepts(sql_type: &Type) -> bool {
                    <&str as ToSql>::accepts(sql_type)
                }

                to_sql_checked!();
            }
        )+
    };
}

as_text!(Direction, Status, E164, FindingKind, Role);

impl<'a> FromSql<'a> for Money {
    fn from_sql(sql_type: &Type, bytes: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Decimal::from_sql(sql_type, bytes).map(Self)
    }

    fn accepts(sql_type: &Type) -> bool {
        <Decimal as FromSql>::accepts(sql_type)
    }
}

impl ToSql for Money {
    fn to_sql(&self, sql_type: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        self.0.to_sql(sql_type, out)
    }

    fn accepts(sql_type: &Type) -> bool {
        <Decimal as ToSql>::accepts(sql_type)
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for KeyDigest {
    fn from_sql(sql_type: &Type, bytes: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let bytes = <&[u8] as FromSql>::from_sql(sql_type, bytes)?;
        Ok(Self::from(<[u8; 32]>::try_from(bytes)?))
    }

    fn accepts(sql_type: &Type) -> bool {
        <&[u8] as FromSql>::accepts(sql_type)
    }
}

impl ToSql for KeyDigest {
    fn to_sql(&self, sql_type: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        self.as_bytes().as_slice().to_sql(sql_type, out)
    }

    fn accepts(sql_type: &Type) -> bool {
        <&[u8] as ToSql>::accepts(sql_type)
    }

    to_sql_checked!();
}
