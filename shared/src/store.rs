//! Postgres: the pool, and every statement beside the mapping of its rows.
//!
//! Every step is one statement, and so one transaction that is over when its answer arrives: none is ever open while
//! Telnyx is being called. Each can be sent again after its connection broke, because it either only reads or finds
//! what it did the first time.

mod agents;
mod callers;
mod connection;
mod numbers;
mod purchases;
mod releases;

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Object;
use futures_util::future::try_join_all;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use crate::config;
use crate::error::Error;
use crate::secrets::Secrets;
use connection::Connections;

pub use connection::connect;
pub use numbers::{Assignment, Change, ListFilter, ListPage, Listing, Position, Summary};
pub use purchases::{Begun, Claim, Holding, Intent, Offer, Phase, Purchase};
pub use releases::{Release, ReleaseStart, ReleaseTarget};

/// How long one statement and the connection it needs may take before the database counts as unreachable.
const TIMEOUT: Duration = Duration::from_secs(8);

/// The database, as the business' verbs. See the submodules for what it can do.
pub struct Store {
    connections: Connections,
}

/// Every statement there is, for tests that prepare them all.
pub fn statements() -> impl Iterator<Item = &'static str> {
    let modules = [agents::STATEMENTS, callers::STATEMENTS, numbers::STATEMENTS, purchases::STATEMENTS, releases::STATEMENTS];
    modules.into_iter().flatten().copied()
}

/// One statement with its parameters.
pub(crate) struct Query<'a> {
    sql: &'static str,
    parameters: &'a [&'a (dyn ToSql + Sync)],
}

impl<'a> Query<'a> {
    const fn new(sql: &'static str, parameters: &'a [&'a (dyn ToSql + Sync)]) -> Self {
        Self { sql, parameters }
    }
}

impl Store {
    /// Talks to nobody yet.
    #[must_use]
    pub fn new(config: &config::Database, secrets: Arc<Secrets>) -> Self {
        Self { connections: Connections::new(config, secrets) }
    }

    /// Sends statements together, so that however many they are they cost one round trip, and returns the rows of each.
    /// They succeed or fail one by one, not as a transaction.
    async fn run<const N: usize>(&self, queries: [Query<'_>; N]) -> Result<[Vec<Row>; N], Error> {
        let work = async {
            let client = self.connections.get().await?;
            match execute(&client, &queries).await {
                Err(error) if connection::is_lost(&error) => {
                    // Frozen between two requests, a function does not see its connections die.
                    tracing::info!(error = %error, "a database connection was lost and is replaced");
                    self.connections.discard(client);
                    let client = self.connections.get().await?;
                    execute(&client, &queries).await.map_err(failure)
                }
                outcome => outcome.map_err(failure),
            }
        };
        let rows = tokio::time::timeout(TIMEOUT, work).await;
        let rows = rows.unwrap_or_else(|_| Err(Error::Unavailable("the database did not answer in time".into())))?;
        rows.try_into().map_err(|_| Error::Internal("a statement's rows are missing".into()))
    }

    async fn rows(&self, sql: &'static str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Error> {
        let [rows] = self.run([Query::new(sql, parameters)]).await?;
        Ok(rows)
    }

    async fn row(&self, sql: &'static str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Option<Row>, Error> {
        Ok(self.rows(sql, parameters).await?.into_iter().next())
    }
}

async fn execute(client: &Object, queries: &[Query<'_>]) -> Result<Vec<Vec<Row>>, tokio_postgres::Error> {
    try_join_all(queries.iter().map(async |query| {
        let statement: Statement = client.prepare_cached(query.sql).await?;
        client.query(&statement, query.parameters).await
    }))
    .await
}

/// The database decides; what it objects to has a name, and the name has a meaning here.
fn failure(error: tokio_postgres::Error) -> Error {
    let Some(reason) = error.as_db_error() else { return Error::Unavailable(Box::new(error)) };
    match (reason.code(), reason.constraint()) {
        (_, Some("agency_phone_numbers_agent_same_agency" | "agency_phone_numbers_agent_mapping_id_fkey")) => {
            Error::NotFound { what: "agent", field: "agent_mapping_id".to_owned() }
        }
        // A table or column of the platform's is missing here, or may not be read: somebody has to see to it.
        (&SqlState::UNDEFINED_TABLE | &SqlState::UNDEFINED_COLUMN | &SqlState::INSUFFICIENT_PRIVILEGE, _) => {
            Error::Unavailable(Box::new(error))
        }
        (code, _) if ["08", "53", "55", "57", "58"].iter().any(|class| code.code().starts_with(class)) => {
            Error::Unavailable(Box::new(error))
        }
        _ => Error::Internal(Box::new(error)),
    }
}

/// A column, whose absence or other type is a defect of ours.
fn column<'row, T: tokio_postgres::types::FromSql<'row>>(row: &'row Row, name: &str) -> Result<T, Error> {
    row.try_get(name).map_err(|error| Error::Internal(Box::new(error)))
}

/// A column that holds one of a closed set of words.
fn word<T: std::str::FromStr<Err = &'static str>>(row: &Row, name: &str) -> Result<T, Error> {
    let text: &str = column(row, name)?;
    text.parse().map_err(|reason| Error::Internal(format!("column {name} {reason}, and is {text}").into()))
}

/// An interval's parameter: milliseconds as Postgres' bigint.
fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
