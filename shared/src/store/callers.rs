//! Who calls: the platform's `users`, read on every request so that a revoked user is out at once.

use tokio_postgres::Row;
use uuid::Uuid;

use crate::error::Error;
use crate::model::{Actor, Permission};
use crate::store::{Query, Store, column};

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

const CONNECTION: &str = "\
-- callers.connection
select a.telnyx_application_id
from agencies a
where a.id = $1 /* agency_id */";

pub(super) const STATEMENTS: &[&str] = &[AUTHORIZE, CONNECTION];

impl Store {
    /// The caller, if permitted.
    ///
    /// # Errors
    /// `Forbidden`: no such user, no agency, or not the role.
    pub async fn authorize(&self, user_id: Uuid, permission: Permission) -> Result<Actor, Error> {
        let [rows] = self.run([Query::new(AUTHORIZE, &[&user_id, &permission.roles()])]).await?;
        actor(user_id, &rows)
    }

    /// The Telnyx application that calls to an agency's numbers go to.
    ///
    /// # Errors
    /// The database's own.
    pub async fn telnyx_application(&self, agency_id: Uuid) -> Result<Option<String>, Error> {
        let row = self.row(CONNECTION, &[&agency_id]).await?;
        let id: Option<String> = row.as_ref().map(|row| column(row, "telnyx_application_id")).transpose()?.flatten();
        Ok(id.filter(|id| !id.trim().is_empty()))
    }
}

/// What [`AUTHORIZE`] answered.
pub(super) fn actor(user_id: Uuid, rows: &[Row]) -> Result<Actor, Error> {
    let row = rows.first().ok_or(Error::Forbidden("Phone numbers are for users of an agency."))?;
    if column::<Option<bool>>(row, "permitted")? != Some(true) {
        return Err(Error::Forbidden("Your role does not permit this."));
    }
    Ok(Actor { user_id, agency_id: column(row, "agency_id")? })
}
