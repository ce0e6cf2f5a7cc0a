//! Reads single rows, from the table or the archive.

use uuid::Uuid;

use super::row::phone_number;
use crate::error::Error;
use crate::model::{Actor, Caller, PhoneNumber};
use crate::store::callers::{AUTHORIZE, actor, caller};
use crate::store::tenant::Tenant;
use crate::store::{Query, Store};

pub(in crate::store) const GET: &str = concat!(
    "-- numbers.read.one\n",
    caller!(),
    "\nselect ",
    shown_columns!(),
    "
from caller c
cross join lateral (
  select ",
    stored_columns!(),
    "
  from agency_phone_numbers n
  where n.agency_id = c.agency_id
    and n.id = $3 /* id */
  union all
  select ",
    stored_columns!(),
    "
  from agency_phone_numbers_archive a
  cross join lateral jsonb_populate_record(null::agency_phone_numbers, a.record) n
  where a.agency_id = c.agency_id
    and a.id = $3
) n
",
    shown_joins!()
);

/// Rows by their ids, in the table or in the archive. Each is looked up by itself: with all ids in one condition, a generic plan would
/// as soon read all rows of the agency.
pub(in crate::store) const OF_AGENCY: &str = concat!(
    "-- numbers.read.of_agency\n",
    "select ",
    shown_columns!(),
    "
from unnest($2::uuid[] /* ids */) k (id)
cross join lateral (
  select ",
    stored_columns!(),
    "
  from agency_phone_numbers n
  where n.agency_id = $1 /* agency_id */
    and n.id = k.id
  union all
  select ",
    stored_columns!(),
    "
  from agency_phone_numbers_archive a
  cross join lateral jsonb_populate_record(null::agency_phone_numbers, a.record) n
  where a.agency_id = $1
    and a.id = k.id
  limit 1
) n
",
    shown_joins!()
);

pub(in crate::store) const STATEMENTS: &[&str] = &[GET, OF_AGENCY];

impl Store {
    /// One of the caller's numbers.
    ///
    /// # Errors
    /// `Forbidden`; `NotFound`; `Unavailable` or `Internal` if a query fails.
    pub async fn number(&self, caller: &Caller, id: Uuid) -> Result<PhoneNumber, Error> {
        let Caller { user_id, roles } = caller;
        let [callers, rows] = self.run([Query::new(AUTHORIZE, &[user_id, roles]), Query::new(GET, &[user_id, roles, &id])]).await?;
        let tenant = Tenant::from(&actor(caller, &callers)?);
        let row = rows.first().ok_or_else(|| no_such_number("id"))?;
        phone_number(tenant.row(row)?)
    }

    /// Those of `ids` that are the agency's, archived rows included, for a caller already permitted, in no particular order.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn numbers_of(&self, actor: &Actor, ids: &[Uuid]) -> Result<Vec<PhoneNumber>, Error> {
        let rows = self.rows(OF_AGENCY, &[&actor.agency_id, &ids]).await?;
        Tenant::from(actor).read(&rows, phone_number)
    }
}

/// A row of another agency does not exist: the words are the same.
pub(in crate::store) fn no_such_number(field: &str) -> Error {
    Error::NotFound { what: "phone number", field: field.to_owned() }
}
