//! The caller: the platform's `users`, read on every request, so that a revoked user loses access at once.

use tokio_postgres::Row;

use crate::error::Error;
use crate::meter;
use crate::model::{Actor, Caller};
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

impl Store {
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
