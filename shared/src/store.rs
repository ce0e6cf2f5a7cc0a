//! Postgres: the pool, and every statement beside the mapping of its rows.
//!
//! Every step is one short transaction, most of them a single statement: none is ever open while Telnyx is being called.
//! Each can be sent again after its connection broke, because it either only reads or finds what it did the first time.
//!
//! What is written about a number's row is recorded in its history by a trigger, in the same transaction. Statements tell
//! it who writes through the function `phone_numbers_sign`.

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

use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};

use crate::config::{Config, Rates};
use crate::error::Error;
use crate::meter::{self, Dependency};
use crate::secrets::Secrets;
use postgres::connection::{self, Connections};
use postgres::parameter::Parameter;
use postgres::session::Transaction;

pub use callers::Lookup;
pub use check::Access;
pub use deployment::{Clearance, Deployment};
pub use idempotency_keys::{HeldKey, IdempotencyKey, KeptAnswer, KeyEntry, KeyPosition, KeyState, KeyUse, Listed};
pub use lease::{Fenced, Lease, Leased};
pub use numbers::{Change, EXACT_TOTAL, History, ListFilter, ListPage, Listing, NumbersAndAgents, Position, Reconciled, Summary, Total};
pub use postgres::connection::connect;
pub use purchases::{
    Activation, Begun, BoughtNumber, BuyingAgency, Held, Holding, Intent, Offer, OrderNoted, OrderState, Phase, Purchase, PurchaseId,
    Quota, Sought, Turn,
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
        numbers::count::STATEMENTS,
        numbers::history::STATEMENTS,
        numbers::page::STATEMENTS,
        numbers::read::STATEMENTS,
        numbers::switched_off::STATEMENTS,
        purchases::agency::STATEMENTS,
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
    parameters: &'a [&'a dyn Parameter],
}

impl<'a> Query<'a> {
    const fn new(sql: &'static str, parameters: &'a [&'a dyn Parameter]) -> Self {
        Self { sql, parameters }
    }

    fn values(&self) -> Vec<&'a (dyn ToSql + Sync)> {
        self.parameters.iter().map(|parameter| *parameter as &(dyn ToSql + Sync)).collect()
    }

    fn typed_values(&self) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
        self.parameters.iter().map(|parameter| (*parameter as &(dyn ToSql + Sync), parameter.sql_type())).collect()
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

    /// Sends statements together, in one round trip, and returns the rows of each, or the first error.
    /// They are executed in their order, and succeed or fail one by one, not as a transaction.
    async fn run<const N: usize>(&self, queries: [Query<'_>; N]) -> Result<[Vec<Row>; N], Error> {
        let outcomes = self.run_each(queries).await?;
        let rows = outcomes.into_iter().collect::<Result<Vec<_>, _>>()?;
        rows.try_into().map_err(|_| missing_rows())
    }

    /// The same with the outcome of each, for statements whose effect counts even if another one is refused.
    async fn run_each<const N: usize>(&self, queries: [Query<'_>; N]) -> Result<[Result<Vec<Row>, Error>; N], Error> {
        let outcomes = self.in_time(self.connections.run(&queries)).await?;
        let outcomes: Vec<_> = outcomes.into_iter().map(|outcome| outcome.map_err(Error::from)).collect();
        outcomes.try_into().map_err(|_| missing_rows())
    }

    /// Runs a transaction of several statements, and a second time if its connection breaks, also during the commit: the second
    /// `attempt` must recognize what the first one did.
    async fn transaction<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Undone>>,
    {
        let attempts = async {
            match attempt().await {
                Err(undone) if undone.is_loss() => {
                    self.connections.replace(undone);
                    attempt().await
                }
                outcome => outcome,
            }
        };
        self.in_time(attempts).await
    }

    /// Runs `work` within the time limit. After a timeout, the connections are not used again.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Undone>>) -> Result<T, Error> {
        // On the heap: it is part of the future of every step that uses the database.
        let work = tokio::time::timeout(self.connections.timeouts.whole(), Box::pin(work));
        let outcome = meter::wait_for(Dependency::Postgres, work).await;
        let Ok(outcome) = outcome else {
            self.connections.close_idle();
            return Err(Error::Unavailable("the database did not answer in time".into()));
        };
        outcome.map_err(Error::from)
    }

    async fn rows(&self, sql: &'static str, parameters: &[&dyn Parameter]) -> Result<Vec<Row>, Error> {
        let [rows] = self.run([Query::new(sql, parameters)]).await?;
        Ok(rows)
    }

    async fn row(&self, sql: &'static str, parameters: &[&dyn Parameter]) -> Result<Option<Row>, Error> {
        Ok(self.rows(sql, parameters).await?.into_iter().next())
    }
}

/// Why statements were not executed or a transaction was not committed, or may not have been.
enum Undone {
    /// The connection does not answer.
    Silence,
    /// The database or the connection failed.
    Postgres(tokio_postgres::Error),
    /// The code that ran the transaction failed.
    Ours(Error),
}

impl Undone {
    /// Whether the connection is of no use, rather than the statement refused: it can be sent again over another one.
    fn is_loss(&self) -> bool {
        match self {
            Self::Silence => true,
            Self::Postgres(error) => connection::is_lost(error) || connection::is_name_clash(error),
            Self::Ours(_) => false,
        }
    }

    fn is_name_clash(&self) -> bool {
        matches!(self, Self::Postgres(error) if connection::is_name_clash(error))
    }
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
            Undone::Silence => Self::Unavailable("the database connection does not answer".into()),
            Undone::Postgres(error) => failure(error),
            Undone::Ours(error) => error,
        }
    }
}

fn missing_rows() -> Error {
    Error::Internal("a statement's rows are missing".into())
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
        _ if connection::is_name_clash(&error) => Error::Unavailable(Box::new(error)),
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

/// Whether the database refused a statement with this SQLSTATE.
fn is_violation(error: &Error, state: &SqlState) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<tokio_postgres::Error>());
    source.is_some_and(|source| source.code() == Some(state))
}

/// The value of a column. If the column is missing or has another type, that is a defect of this code.
fn column<'row, T: tokio_postgres::types::FromSql<'row>>(row: &'row Row, name: &str) -> Result<T, Error> {
    row.try_get(name).map_err(|error| Error::Internal(Box::new(error)))
}

/// An interval's parameter: milliseconds as Postgres' bigint.
fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
