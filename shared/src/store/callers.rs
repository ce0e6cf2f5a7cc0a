//! The caller: the platform's `users`, read on every request, so that a revoked user loses access at once.

use tokio_postgres::Row;
use uuid::Uuid;

use crate::error::Error;
use crate::meter;
use crate::model::{Actor, Caller};
use crate::store::tenant::Tenant;
use crate::store::{Query, Store, column};

/// The caller `$1`, if one of the roles `$2` is theirs: what every statement on behalf of a user begins with.
macro_rules! caller {
    () => {
        "with caller as (
  select u.agency_id
  from users u
  where u.id = $1 /* user_id */
    and u.agency_id is not null
    and u.role::text = any($2::text[] /* roles */)
)"
    };
}

pub(in crate::store) use caller;

/// The caller's agency, if the caller has one and a role that permits what is asked.
///
/// Statements that read or change an agency's rows repeat the condition themselves, so that they can be sent in the
/// same round trip as this one.
pub(super) const AUTHORIZE: &str = "\
-- callers.authorize
select u.agency_id,
       u.role::text = any($2::text[] /* roles */) as permitted
from users u
where u.id = $1 /* user_id */
  and u.agency_id is not null";

pub(in crate::store) const STATEMENTS: &[&str] = &[AUTHORIZE];

/// What a function has to know of the caller's agency before it can begin, read in the round trip in which the caller is.
pub struct Lookup<'a, T> {
    /// Begins with [`caller`], so that it finds nothing for a caller who is not permitted.
    pub(super) sql: &'static str,
    /// The statement's third parameter.
    pub(super) ids: &'a [Uuid],
    pub(super) read: fn(Tenant, &[Row]) -> Result<T, Error>,
}

impl<T> Lookup<'_, T> {
    /// What the statement found for a permitted caller.
    pub(super) fn found(&self, tenant: Tenant, outcome: Result<Vec<Row>, Error>) -> Result<T, Error> {
        (self.read)(tenant, &outcome?)
    }
}

impl Store {
    /// The caller, if permitted, and what is looked up or why that failed. One round trip.
    ///
    /// # Errors
    /// `Forbidden`: no such user, no agency, or not the role; `Unavailable` or `Internal` if the caller cannot be read.
    pub async fn authorize_with<T>(&self, caller: &Caller, lookup: &Lookup<'_, T>) -> Result<(Actor, Result<T, Error>), Error> {
        let Caller { user_id, roles } = caller;
        let [callers, found] =
            self.run_each([Query::new(AUTHORIZE, &[user_id, roles]), Query::new(lookup.sql, &[user_id, roles, &lookup.ids])]).await?;
        let actor = actor(caller, &callers?)?;
        Ok((actor, lookup.found(Tenant::from(&actor), found)))
    }

    /// The caller, if permitted.
    ///
    /// # Errors
    /// `Forbidden`: no such user, no agency, or not the role.
    pub async fn authorize(&self, caller: &Caller) -> Result<Actor, Error> {
        let [rows] = self.run([Query::new(AUTHORIZE, &[&caller.user_id, &caller.roles])]).await?;
        actor(caller, &rows)
    }
}

/// The caller that [`AUTHORIZE`] returned, if permitted.
pub(super) fn actor(caller: &Caller, rows: &[Row]) -> Result<Actor, Error> {
    let row = rows.first().ok_or(Error::Forbidden("Phone numbers are for users of an agency."))?;
    let agency_id = column(row, "agency_id")?;
    meter::note_agency(agency_id);
    if column::<Option<bool>>(row, "permitted")? != Some(true) {
        return Err(Error::Forbidden("Your role does not permit this."));
    }
    Ok(Actor { user_id: caller.user_id, agency_id })
}
