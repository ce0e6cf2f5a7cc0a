//! A connection of the pool while it is used, and a transaction on it.
//!
//! A connection goes back to the pool only if everything that was sent on it was answered. If it was not, because of a timeout or
//! because nobody waits any more, what the server does with it is unknown: the connection is closed, and a transaction that is open
//! ends with it.

use std::sync::atomic::{AtomicUsize, Ordering};

use deadpool_postgres::Object;
use futures_util::future::join_all;
use tokio_postgres::Row;

use super::parameter::Parameter;
use crate::error::Error;
use crate::store::{Query, Undone};

/// How statements are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Statements {
    /// Prepared once for each connection, under a name.
    Prepared,
    /// Parsed each time, without a name: behind a pooler, the next transaction may run on another connection of the server's, where
    /// a name is unknown or stands for a statement of another client.
    Unnamed,
}

/// The rows of each of several statements, or why it was refused.
pub(in crate::store) type Outcomes = Vec<Result<Vec<Row>, Undone>>;

/// A connection of the pool.
pub(in crate::store) struct Session {
    /// None once it is given up.
    client: Option<Object>,
    statements: Statements,
    unanswered: AtomicUsize,
}

impl Session {
    pub(super) const fn new(client: Object, statements: Statements) -> Self {
        Self { client: Some(client), statements, unanswered: AtomicUsize::new(0) }
    }

    /// Whether nobody has used it before.
    pub(super) fn is_new(&self) -> bool {
        self.client.as_ref().is_some_and(|client| Object::metrics(client).recycled.is_none())
    }

    /// Waits for an answer of the server that needs no work. Sent before statements, it is answered in their round trip.
    pub(super) async fn echo(&self) -> Result<(), Undone> {
        let client = self.client()?;
        answered(&self.unanswered, client.simple_query("")).await?;
        Ok(())
    }

    /// Sends statements together, in one round trip, and returns the outcome of each. They are executed in their order, and succeed or
    /// fail one by one, not as a transaction.
    ///
    /// # Errors
    /// The connection is of no use.
    pub(super) async fn outcomes(&self, queries: &[Query<'_>]) -> Result<Outcomes, Undone> {
        let client = self.client()?;
        // Each is waited for, also after an error: only then is the connection free.
        let outcomes = match self.statements {
            Statements::Prepared => {
                // All of them before the first is executed: one that is prepared already would overtake one that is not.
                let prepared = join_all(queries.iter().map(|query| answered(&self.unanswered, client.prepare_cached(query.sql)))).await;
                let executed = queries.iter().zip(unless_lost(prepared)?).map(|(query, statement)| {
                    answered(&self.unanswered, async move { Ok(client.query(&statement?, &query.values()).await?) })
                });
                join_all(executed).await
            }
            Statements::Unnamed => {
                let executed = queries.iter().map(|query| {
                    answered(&self.unanswered, async move { Ok(client.query_typed(query.sql, &query.typed_values()).await?) })
                });
                join_all(executed).await
            }
        };
        unless_lost::<_, Undone>(outcomes)
    }

    /// Begins a transaction. Dropped without a commit, it is rolled back.
    pub(in crate::store) async fn begin(&mut self) -> Result<Transaction<'_>, Undone> {
        let Self { client, statements, unanswered } = self;
        let client = client.as_mut().ok_or_else(given_up)?;
        let transaction = answered(unanswered, client.transaction()).await?;
        Ok(Transaction { inner: transaction, statements: *statements, unanswered })
    }

    /// Closes the connection.
    pub(super) fn close(mut self) {
        drop(self.client.take().map(Object::take));
    }

    fn client(&self) -> Result<&Object, Undone> {
        self.client.as_ref().ok_or_else(given_up)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if *self.unanswered.get_mut() > 0 {
            drop(self.client.take().map(Object::take));
        }
    }
}

/// A transaction of several statements, each of which is answered before the next is sent.
pub(in crate::store) struct Transaction<'a> {
    inner: deadpool_postgres::Transaction<'a>,
    statements: Statements,
    unanswered: &'a AtomicUsize,
}

impl Transaction<'_> {
    /// The rows of a statement.
    pub(in crate::store) async fn rows(&self, sql: &'static str, parameters: &[&dyn Parameter]) -> Result<Vec<Row>, Undone> {
        let (query, transaction) = (Query::new(sql, parameters), &self.inner);
        let rows = async {
            match self.statements {
                Statements::Prepared => transaction.query(&transaction.prepare_cached(sql).await?, &query.values()).await,
                Statements::Unnamed => transaction.query_typed(sql, &query.typed_values()).await,
            }
        };
        Ok(answered(self.unanswered, rows).await?)
    }

    /// Commits. After an error it is unknown whether that has happened.
    pub(in crate::store) async fn commit(self) -> Result<(), Undone> {
        Ok(answered(self.unanswered, self.inner.commit()).await?)
    }
}

/// The outcomes, unless one of them shows that the connection is of no use.
fn unless_lost<T, E: Into<Undone>>(outcomes: Vec<Result<T, E>>) -> Result<Vec<Result<T, Undone>>, Undone> {
    let outcomes = outcomes.into_iter().map(|outcome| match outcome.map_err(E::into) {
        Err(undone) if undone.is_loss() => Err(undone),
        outcome => Ok(outcome),
    });
    outcomes.collect()
}

/// Waits for an answer, and counts it as missing until it is there.
async fn answered<T>(unanswered: &AtomicUsize, answer: impl Future<Output = T>) -> T {
    unanswered.fetch_add(1, Ordering::Relaxed);
    let answer = answer.await;
    unanswered.fetch_sub(1, Ordering::Relaxed);
    answer
}

fn given_up() -> Undone {
    Undone::Ours(Error::Internal("the connection was given up".into()))
}
