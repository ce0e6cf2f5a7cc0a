//! The end of a release: completed or refused.

use crate::error::Error;
use crate::store::Store;
use crate::store::lease::{Fenced, Lease};
use crate::store::numbers::row_lock::{row_is_locked, row_lock};
use crate::store::releases::ledger::ReleaseId;

/// Telnyx has let go: the release is done and the row is released, both or neither.
const COMPLETE: &str = concat!(
    "-- releases.finish.complete
with ",
    row_lock!("phone_number_releases", "l.id = $1 and l.lease_token = $2"),
    ", done as (
  update phone_number_releases r
  set phase = 'completed',
      completed_at = now(),
      lease_token = null,
      leased_until = null
  where r.id = $1 /* id */
    and r.lease_token = $2 /* lease_token */
    and r.phase = 'requested'
    and ",
    row_is_locked!(),
    "
  returning r.id, r.agency_phone_number_id, phone_numbers_sign(r.caller_id::text, r.id) as signature
), released as (
  update agency_phone_numbers n
  set status = 'released',
      is_active = false,
      released_at = now(),
      agent_mapping_id = null
  from done d
  where n.id = d.agency_phone_number_id
)
select d.id
from done d"
);

/// Telnyx will not let go: the row is what it was before, with its agent if that is still there.
const REFUSE: &str = concat!(
    "-- releases.finish.refuse
with ",
    row_lock!("phone_number_releases", "l.id = $1 and l.lease_token = $2"),
    ", refused as (
  update phone_number_releases r
  set phase = 'refused',
      failure_code = $3 /* failure_code */,
      failure_detail = $4 /* failure_detail */,
      lease_token = null,
      leased_until = null
  where r.id = $1 /* id */
    and r.lease_token = $2 /* lease_token */
    and r.phase = 'requested'
    and ",
    row_is_locked!(),
    "
  returning r.id, r.agency_id, r.agency_phone_number_id, r.previous_status, r.previous_agent_mapping_id,
            phone_numbers_sign(r.caller_id::text, r.id) as signature
), restored as (
  update agency_phone_numbers n
  set status = f.previous_status,
      is_active = true,
      agent_mapping_id = (
        select m.id
        from agent_mappings m
        where m.id = f.previous_agent_mapping_id
          and m.agency_id = f.agency_id
      )
  from refused f
  where n.id = f.agency_phone_number_id
)
select f.id
from refused f"
);

pub(in crate::store) const STATEMENTS: &[&str] = &[COMPLETE, REFUSE];

impl Store {
    /// Completes a release and its row.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn complete_release(&self, lease: &Lease<ReleaseId>) -> Result<Fenced, Error> {
        self.fenced(COMPLETE, &[&lease.of.0, &lease.token]).await?.read(|_| Ok(()))
    }

    /// Undoes a release that Telnyx refused.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn refuse_release(&self, lease: &Lease<ReleaseId>, code: &str, detail: &str) -> Result<Fenced, Error> {
        self.fenced(REFUSE, &[&lease.of.0, &lease.token, &code, &detail]).await?.read(|_| Ok(()))
    }
}
