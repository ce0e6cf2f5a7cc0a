//! The statements that `cargo dev bench` recorded between phone-numbers-list and Postgres: sends them again with the same
//! parameters, and writes the rows as JSON.

mod json;

use std::error::Error;

use bytes::BytesMut;
use futures_util::future::try_join_all;
use serde::Deserialize;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Row, Statement};

/// A statement as it was recorded.
#[derive(Deserialize)]
struct Recorded {
    sql: String,
    parameters: Vec<Raw>,
}

/// A parameter in Postgres' binary format, whatever its type. None is null.
#[derive(Debug, Deserialize)]
struct Raw(Option<Vec<u8>>);

impl ToSql for Raw {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let Some(bytes) = &self.0 else { return Ok(IsNull::Yes) };
        out.extend_from_slice(bytes);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// The recorded statements, prepared on one connection.
pub struct Replay(Vec<(Statement, Vec<Raw>)>);

impl Replay {
    /// Prepares the statements in the file that the environment names, in one round trip.
    ///
    /// # Errors
    /// The file cannot be read, or Postgres refuses a statement.
    pub async fn prepare(client: &Client) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let recorded: Vec<Recorded> = serde_json::from_slice(&std::fs::read(std::env::var("BENCH_STATEMENTS")?)?)?;
        let prepared = recorded
            .into_iter()
            .map(async |Recorded { sql, parameters }| Ok::<_, tokio_postgres::Error>((client.prepare(&sql).await?, parameters)));
        Ok(Self(try_join_all(prepared).await?))
    }

    /// Sends the statements in one round trip, and returns their rows as JSON.
    ///
    /// # Errors
    /// Postgres refuses a statement, or a column has a type that is not known here.
    pub async fn body(&self, client: &Client) -> Result<String, Box<dyn Error + Sync + Send>> {
        Ok(json::text(&self.rows(client).await?)?)
    }

    async fn rows(&self, client: &Client) -> Result<Vec<Vec<Row>>, tokio_postgres::Error> {
        try_join_all(self.0.iter().map(async |(statement, parameters)| {
            let parameters: Vec<_> = parameters.iter().map(|parameter| parameter as &(dyn ToSql + Sync)).collect();
            client.query(statement, &parameters).await
        }))
        .await
    }
}
