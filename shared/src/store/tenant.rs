//! The second fence around an agency's rows, behind the conditions of the statements.
//!
//! A statement on behalf of an agency returns the agency of everything that it reads, of sums and counts too. A row becomes a
//! value only as a [`TenantRow`], and a row of another agency is never one: the request fails with `Internal`, which is logged
//! as an error and raises the alarm. So a wrong condition shows an agency nothing of another one.

use std::cell::Cell;

use tokio_postgres::Row;
use tokio_postgres::types::FromSql;
use uuid::Uuid;

use crate::error::Error;
use crate::model::Actor;
use crate::store::column;

/// The agency that statements are run for.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Tenant {
    agency_id: Uuid,
}

/// A row that belongs to the agency that its statement was run for.
#[derive(Clone, Copy)]
pub(in crate::store) struct TenantRow<'r> {
    row: &'r Row,
    tenant: Tenant,
}

impl From<Uuid> for Tenant {
    fn from(agency_id: Uuid) -> Self {
        Self { agency_id }
    }
}

impl From<&Actor> for Tenant {
    fn from(actor: &Actor) -> Self {
        Self { agency_id: actor.agency_id }
    }
}

impl Tenant {
    /// A row whose column `agency_id` names the agency. `Internal` for every other row.
    pub(in crate::store) fn row(self, row: &Row) -> Result<TenantRow<'_>, Error> {
        self.part(row, "agency_id")?.ok_or_else(|| Error::Internal("a row of a tenant names no agency".into()))
    }

    /// A row whose column `agency` names the agency. None if the column is null. `Internal` for every other row.
    pub(in crate::store) fn part<'r>(self, row: &'r Row, agency: &str) -> Result<Option<TenantRow<'r>>, Error> {
        Ok(self.owns(column(row, agency)?)?.then_some(TenantRow { row, tenant: self }))
    }

    /// True for the agency, false for none. `Internal` for another one.
    fn owns(self, agency: Option<Uuid>) -> Result<bool, Error> {
        match agency {
            None => Ok(false),
            Some(agency_id) if agency_id == self.agency_id => Ok(true),
            Some(_) => Err(Error::Internal("a statement returned a row of another agency".into())),
        }
    }

    /// Reads rows, each of which must be the agency's.
    pub(in crate::store) fn read<T>(self, rows: &[Row], read: impl Fn(TenantRow<'_>) -> Result<T, Error>) -> Result<Vec<T>, Error> {
        rows.iter().map(|row| read(self.row(row)?)).collect()
    }

    /// Whether an agency is this one.
    pub(in crate::store) fn is(self, agency_id: Uuid) -> bool {
        self.agency_id == agency_id
    }
}

impl<'r> TenantRow<'r> {
    /// The value of a column.
    pub(in crate::store) fn column<T: FromSql<'r>>(self, name: &str) -> Result<T, Error> {
        column(self.row, name)
    }

    /// The columns of another table that the row is joined with, whose agency is in the column `agency`. None if it is joined
    /// with nothing. `Internal` if that is another agency's.
    pub(in crate::store) fn joined(self, agency: &str) -> Result<Option<Self>, Error> {
        self.tenant.part(self.row, agency)
    }

    /// The same row, to read many of its columns in their order.
    pub(in crate::store) const fn in_order(self) -> InOrder<'r> {
        InOrder { row: self, next: Cell::new(0) }
    }

    /// The row for the mapping of a ledger, which sagas use without an agency too.
    pub(in crate::store) const fn ledger(self) -> &'r Row {
        self.row
    }
}

/// A row whose columns are read in about the order in which the statement names them: each is looked for behind the last one, rather
/// than by comparing the names of all thirty.
pub(in crate::store) struct InOrder<'r> {
    row: TenantRow<'r>,
    next: Cell<usize>,
}

impl<'r> InOrder<'r> {
    /// The value of a column.
    pub(in crate::store) fn column<T: FromSql<'r>>(&self, name: &str) -> Result<T, Error> {
        let (row, next) = (self.row.row, self.next.get());
        let is_named = |at: &usize| row.columns().get(*at).is_some_and(|column| column.name() == name);
        let Some(at) = (next..row.len()).chain(0..next).find(is_named) else { return column(row, name) };
        self.next.set(at + 1);
        row.try_get(at).map_err(|error| Error::Internal(Box::new(error)))
    }

    /// Whether the row is joined with a row of another table, whose agency is in the column `agency`. `Internal` if that is another
    /// agency's.
    pub(in crate::store) fn is_joined(&self, agency: &str) -> Result<bool, Error> {
        self.row.tenant.owns(self.column(agency)?)
    }
}
