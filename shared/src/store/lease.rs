//! Leases: the right of one process to work on a purchase, a release, an idempotency key or a walk.
//!
//! A lease is a token of the holder's own, and a time on the database's clock until which no other process may take it. Every
//! write of the holder is fenced by the token: a process that lost its lease, however late it resumes, writes nothing.

use std::convert::Infallible;
use std::time::Duration;

use tokio_postgres::Row;
use uuid::Uuid;

use crate::error::Error;
use crate::store::{Parameter, Store, millis};

/// A lease of `T`, which names what it is a lease of.
#[derive(Clone, Debug)]
pub struct Lease<T> {
    /// What the holder may work on.
    pub of: T,
    /// The holder's token.
    pub(in crate::store) token: Uuid,
    /// How long the lease lasts after it was taken or renewed.
    pub duration: Duration,
}

impl<T> Lease<T> {
    /// A lease with a new token, to be taken by a statement.
    #[must_use]
    pub fn new(of: T, duration: Duration) -> Self {
        Self { of, token: Uuid::new_v4(), duration }
    }

    /// The same token for something else.
    #[must_use]
    pub fn with<U>(self, of: U) -> Lease<U> {
        Lease { of, token: self.token, duration: self.duration }
    }

    /// The duration as the statements take it.
    pub(in crate::store) fn millis(&self) -> i64 {
        millis(self.duration)
    }
}

/// What can be leased: a row with a `lease_token` and a `leased_until`.
pub trait Leased: Sync {
    /// Renews a lease. Its parameters are the key, the token and the duration in milliseconds.
    const RENEW: &'static str;
    /// Gives a lease back. Its parameters are the key and the token.
    const YIELD: &'static str;

    /// The key of the row.
    fn key(&self) -> Vec<&dyn Parameter>;
}

/// The outcome of a write that only the holder of a lease may do.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fenced<T = ()> {
    /// It is written. The value is the row as it is now, where the statement returns it.
    Done(T),
    /// The lease is lost, and nothing was written.
    Lost,
}

impl<T> Fenced<T> {
    /// Whether it is written.
    pub const fn is_done(&self) -> bool {
        matches!(self, Self::Done(_))
    }
}

impl Fenced<Row> {
    pub(in crate::store) fn read<T>(self, read: impl FnOnce(&Row) -> Result<T, Error>) -> Result<Fenced<T>, Error> {
        match self {
            Self::Done(row) => read(&row).map(Fenced::Done),
            Self::Lost => Ok(Fenced::Lost),
        }
    }
}

impl Store {
    /// A write that only the holder of a lease may do.
    pub(in crate::store) async fn fenced(&self, sql: &'static str, parameters: &[&dyn Parameter]) -> Result<Fenced<Row>, Error> {
        Ok(self.row(sql, parameters).await?.map_or(Fenced::Lost, Fenced::Done))
    }

    /// Renews a lease.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn renew<T: Leased>(&self, lease: &Lease<T>) -> Result<Fenced, Error> {
        let duration = lease.millis();
        let mut parameters = lease.of.key();
        parameters.extend([&lease.token as &dyn Parameter, &duration]);
        self.fenced(T::RENEW, &parameters).await?.read(|_| Ok(()))
    }

    /// Gives a lease back, so that the next process does not have to wait for its end. A lost lease is left as it is.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn give_back<T: Leased>(&self, lease: &Lease<T>) -> Result<(), Error> {
        let mut parameters = lease.of.key();
        parameters.push(&lease.token);
        self.row(T::YIELD, &parameters).await.map(|_| ())
    }

    /// Does `work` and renews its lease three times in the time that the lease lasts. A lost lease does not stop the work, whose
    /// writes are fenced. A process that hangs or has died does not renew.
    pub fn renewing<T: Leased, W>(&self, lease: &Lease<T>, work: impl Future<Output = W>) -> impl Future<Output = W> {
        // The future of the work is large. On the heap it does not enlarge every future around it.
        let work = Box::pin(work);
        async move {
            tokio::select! {
                biased;
                outcome = work => outcome,
                never = self.keep(lease) => match never {},
            }
        }
    }

    async fn keep<T: Leased>(&self, lease: &Lease<T>) -> Infallible {
        loop {
            tokio::time::sleep(lease.duration / 3).await;
            match self.renew(lease).await {
                Ok(Fenced::Done(())) => {}
                Ok(Fenced::Lost) => return std::future::pending().await,
                Err(error) => tracing::warn!(error = %error, "a lease could not be renewed"),
            }
        }
    }
}
