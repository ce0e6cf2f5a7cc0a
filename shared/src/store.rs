//! Postgres: the pool, and every statement beside the mapping of its rows.
//!
//! Every step is one short transaction, most of them a single statement: none is ever open while Telnyx is being called.
//! Each can be sent again after its connection broke, because it either only reads or finds what it did the first time.
//!
//! What is written about a number's row is recorded in its history by a trigger, in the same transaction. Statements tell
//! it who writes in the setting `phone_numbers.actor`, and `phone_numbers.event` where the change itself does not.

mod agencies;
mod agents;
mod callers;
mod check;
mod clock;
mod deployment;
mod idempotency_keys;
mod lease;
mod numbers;
mod postgres;
mod purchases;
mod rates;
mod reconcile;
mod releases;
mod tenant;

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Object, Transaction};
use futures_util::future::try_join_all;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use crate::config::{Config, Rates};
use crate::error::Error;
use crate::meter::{self, Dependency};
use crate::secrets::Secrets;
use postgres::connection::{self, Connections};

pub use check::Access;
pub use deployment::{Clearance, Deployment};
pub use idempotency_keys::{IdempotencyKey, KeptAnswer, KeyEntry, KeyPosition, KeyState, Listed};
pub use lease::{Fenced, Lease, Leased};
pub use numbers::{Change, ListFilter, ListPage, Listing, NumbersAndAgents, Position, Reconciled, Summary};
pub use postgres::connection::connect;
pub use purchases::{
    Activation, Begun, BoughtNumber, Held, Holding, Intent, Offer, OrderNoted, OrderState, Phase, Purchase, PurchaseId, Quota, Sought, Turn,
};
pub use reconcile::{
    Adoptee, Adoption, Counterpart, CounterpartRow, Dismissal, Finding, FindingKind, KnownPurchase, LastRelease, LegacyRow, Missing,
    MissingRow, Observation, OpenFindings, Origin, Owner, Place, Seen, Stranger, Strangers, Stuck, Subject, UnseenFinding, UnseenStranger,
    Walk, WalkOf, Witness,
};
pub use releases::{HeldRelease, Release, ReleaseBegun, ReleaseId, ReleaseStart, ReleaseTarget};

/// The product's database. Its methods are in the submodules, by subject.
pub struct Store {
    connections: Connections,
    /// The setting `DEPLOYMENT`; None matches no database.
    deployment: Option<String>,
    rates: Rates,
}

/// Every statement of the store, for tests that prepare them all.
pub fn statements() -> impl Iterator<Item = &'static str> {
    let modules = [
        agencies::STATEMENTS,
        agents::STATEMENTS,
        callers::STATEMENTS,
        check::STATEMENTS,
        clock::STATEMENTS,
        deployment::STATEMENTS,
        idempotency_keys::STATEMENTS,
        idempotency_keys::purchases::STATEMENTS,
        numbers::archive::STATEMENTS,
        numbers::change::STATEMENTS,
        numbers::history::STATEMENTS,
        numbers::list::STATEMENTS,
        numbers::read::STATEMENTS,
        numbers::switched_off::STATEMENTS,
        purchases::begin::STATEMENTS,
        purchases::finish::STATEMENTS,
        purchases::holding::STATEMENTS,
        purchases::ledger::STATEMENTS,
        purchases::order::STATEMENTS,
        rates::STATEMENTS,
        reconcile::accounts::STATEMENTS,
        reconcile::adopt::STATEMENTS,
        reconcile::compare::STATEMENTS,
        reconcile::decisions::STATEMENTS,
        reconcile::findings::STATEMENTS,
        reconcile::findings::settle::STATEMENTS,
        reconcile::legacy_rows::STATEMENTS,
        reconcile::missing::STATEMENTS,
        reconcile::moves::STATEMENTS,
        reconcile::retention::STATEMENTS,
        reconcile::strangers::STATEMENTS,
        reconcile::stuck::STATEMENTS,
        reconcile::walks::STATEMENTS,
        reconcile::witnesses::STATEMENTS,
        releases::begin::STATEMENTS,
        releases::finish::STATEMENTS,
        releases::ledger::STATEMENTS,
    ];
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
    /// Performs no I/O.
    #[must_use]
    pub fn new(config: &Config, secrets: Arc<Secrets>) -> Self {
        Self { connections: Connections::new(&config.database, secrets), deployment: config.deployment.clone(), rates: config.rates }
    }

    /// Connects. A database that cannot be reached is tried again by the first request that needs it.
    pub async fn warm(&self) {
        if let Err(error) = self.connections.get().await {
            tracing::warn!(error = %error, "the database cannot be reached yet");
        }
    }

    /// Sends statements together, in one round trip, and returns the rows of each.
    /// They succeed or fail one by one, not as a transaction.
    async fn run<const N: usize>(&self, queries: [Query<'_>; N]) -> Result<[Vec<Row>; N], Error> {
        let work = async {
            let client = self.connections.get().await?;
            match execute(&client, &queries).await {
                Err(error) if connection::is_lost(&error) => {
                    // A function that is frozen between two requests does not notice that its connections end.
                    tracing::info!(error = %error, "a database connection was lost and is replaced");
                    self.connections.discard(client);
                    let client = self.connections.get().await?;
                    execute(&client, &queries).await.map_err(failure)
                }
                outcome => outcome.map_err(failure),
            }
        };
        let rows = self.in_time(work).await?;
        rows.try_into().map_err(|_| Error::Internal("a statement's rows are missing".into()))
    }

    /// Runs a transaction of several statements, and a second time if its connection breaks, also during the commit: the second
    /// `attempt` must recognize what the first one did.
    async fn transaction<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Undone>>,
    {
        let attempts = async {
            match attempt().await {
                Err(Undone::Postgres(error)) if connection::is_lost(&error) => {
                    tracing::info!(error = %error, "a database connection was lost in a transaction, which is done anew");
                    self.connections.discard_all();
                    attempt().await
                }
                outcome => outcome,
            }
        };
        self.in_time(async { attempts.await.map_err(Error::from) }).await
    }

    /// Runs `work` within the time limit. After a timeout, the connections are not used again.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        // On the heap: it is part of the future of every step that uses the database.
        let work = tokio::time::timeout(self.connections.timeouts.whole(), Box::pin(work));
        let outcome = meter::wait_for(Dependency::Postgres, work).await;
        outcome.unwrap_or_else(|_| {
            self.connections.discard_all();
            Err(Error::Unavailable("the database did not answer in time".into()))
        })
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

/// Why a transaction was not committed, or may not have been.
enum Undone {
    /// The database or the connection failed.
    Postgres(tokio_postgres::Error),
    /// The code that ran the transaction failed.
    Ours(Error),
}

impl From<tokio_postgres::Error> for Undone {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Postgres(error)
    }
}

impl From<Error> for Undone {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

impl From<Undone> for Error {
    fn from(undone: Undone) -> Self {
        match undone {
            Undone::Postgres(error) => failure(error),
            Undone::Ours(error) => error,
        }
    }
}

/// The rows of a statement within a transaction.
async fn rows_of(
    transaction: &Transaction<'_>,
    sql: &'static str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, tokio_postgres::Error> {
    let statement = transaction.prepare_cached(sql).await?;
    transaction.query(&statement, parameters).await
}

/// The error of a statement that failed, by the constraint that it violates or by its SQLSTATE.
fn failure(error: tokio_postgres::Error) -> Error {
    let Some(reason) = error.as_db_error() else { return Error::Unavailable(Box::new(error)) };
    match (reason.code(), reason.constraint()) {
        (_, Some("agency_phone_numbers_agent_same_agency" | "agency_phone_numbers_agent_mapping_id_fkey")) => {
            Error::NotFound { what: "agent", field: "agent_mapping_id".to_owned() }
        }
        // A table or column of the platform's is missing here, or may not be read: it needs an operator.
        (&SqlState::UNDEFINED_TABLE | &SqlState::UNDEFINED_COLUMN | &SqlState::INSUFFICIENT_PRIVILEGE, _) => {
            Error::Unavailable(Box::new(error))
        }
        // Class 40 is a deadlock or a serialization failure: the same request succeeds later.
        (code, _) if ["08", "40", "53", "55", "57", "58"].iter().any(|class| code.code().starts_with(class)) => {
            Error::Unavailable(Box::new(error))
        }
        _ => Error::Internal(Box::new(error)),
    }
}

/// Whether the database answered and refused one statement: a lock that another session holds, a statement timeout, a
/// deadlock, a constraint. Such a failure concerns the rows of that statement. Every other failure means that the database,
/// or the connection to it, is not usable.
#[must_use]
pub fn is_refusal(error: &Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<tokio_postgres::Error>());
    source.is_some_and(|source| source.as_db_error().is_some() && !connection::is_lost(source))
}

/// The value of a column. If the column is missing or has another type, that is a defect of this code.
fn column<'row, T: tokio_postgres::types::FromSql<'row>>(row: &'row Row, name: &str) -> Result<T, Error> {
    row.try_get(name).map_err(|error| Error::Internal(Box::new(error)))
}

/// An interval's parameter: milliseconds as Postgres' bigint.
fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
