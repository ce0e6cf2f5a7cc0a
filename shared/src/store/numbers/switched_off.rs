//! Rows that reconcile switches off because Telnyx does not have their number, switches on again, or releases.

use uuid::Uuid;

use super::history::{RECONCILE, Reconciled};
use crate::error::Error;
use crate::store::Store;
use crate::store::reconcile::missing::MissingRow;

/// Whether a row `n` is inactive because a comparison with Telnyx did not find its number.
macro_rules! switched_off {
    () => {
        "n.status = 'inactive' and (
         select h.event = 'reconciled' and h.changes #>> '{status,to}' = 'inactive'
         from phone_number_history h
         where h.agency_phone_number_id = n.id
           and h.changes ? 'status'
         order by h.id desc
         limit 1
       )"
    };
}

pub(in crate::store) use switched_off;

/// A row whose number Telnyx does not have: it takes no calls.
const DEACTIVATE: &str = "\
-- numbers.switched_off.deactivate
update agency_phone_numbers n
set status = 'inactive'
where n.id = $1 /* row_id */
  and n.status = 'active'
  and n.is_active
  and n.phone_number_id = $2 /* phone_number_id */
returning n.id";

/// A row whose number Telnyx has: under this id, and again if we said that it had not.
const CORRECT: &str = "\
-- numbers.switched_off.correct
update agency_phone_numbers n
set phone_number_id = $2 /* phone_number_id */,
    status = case when $3 /* reactivate */ and n.status = 'inactive' then 'active' else n.status end
where n.id = $1 /* row_id */
  and n.status in ('active', 'inactive')
  and n.is_active
returning n.id";

/// Ends the life of a row that is switched off, unless it has changed meanwhile. Its history says why.
const END: &str = concat!(
    "-- numbers.switched_off.release
with ended as (
  update agency_phone_numbers n
  set status = 'released',
      is_active = false,
      released_at = now(),
      agent_mapping_id = null
  where n.id = $1 /* row_id */
    and n.is_active
    and ",
    switched_off!(),
    "
  returning n.id, n.agency_id, n.phone_number, n.phone_number_id
)
insert into phone_number_history (agency_id, agency_phone_number_id, phone_number, event, actor, changes)
select e.agency_id,
       e.id,
       e.phone_number,
       'reconciled',
       $2 /* actor */,
       jsonb_build_object('number_at_telnyx', jsonb_build_object('from', e.phone_number_id, 'to', null))
from ended e
returning id"
);

pub(in crate::store) const STATEMENTS: &[&str] = &[DEACTIVATE, CORRECT, END];

impl Store {
    /// Switches off a row whose number Telnyx does not have, unless the row has changed since.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if a query fails.
    pub async fn deactivate(&self, missing: &MissingRow) -> Result<Reconciled, Error> {
        self.reconciled(DEACTIVATE, &[&missing.row_id, &missing.phone_number_id]).await
    }

    /// Gives a row the id under which Telnyx has its number, and switches it on again where a comparison had switched it off,
    /// unless the row is not live any more.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if a query fails.
    pub async fn correct(&self, row_id: Uuid, phone_number_id: &str, reactivate: bool) -> Result<Reconciled, Error> {
        self.reconciled(CORRECT, &[&row_id, &phone_number_id, &reactivate]).await
    }

    /// Releases a row that is switched off, unless the row has changed since.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if a statement fails.
    pub async fn end_life(&self, row_id: Uuid) -> Result<Reconciled, Error> {
        self.reconciled(END, &[&row_id, &RECONCILE]).await
    }
}
