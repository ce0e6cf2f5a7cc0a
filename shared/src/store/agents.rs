//! The platform's agents, to which numbers are assigned.

use uuid::Uuid;

use crate::error::Error;
use crate::model::AvailableAgent;
use crate::store::Store;
use crate::store::tenant::{Tenant, TenantRow};

/// The agents of the caller's agency, by name, if wanted; the first two thousand.
pub(super) const AVAILABLE: &str = "\
-- agents.available
select m.agency_id,
       m.id,
       m.ultravox_agent_id,
       m.ultravox_agent_name,
       m.voice
from agent_mappings m
join users u on u.agency_id = m.agency_id
where u.id = $1 /* user_id */
  and u.role::text = any($2::text[] /* roles */)
  and $3 /* wanted */
order by m.ultravox_agent_name nulls last, m.id
limit 2000";

const OF_AGENCY: &str = "\
-- agents.of_agency
select m.agency_id,
       m.id
from agent_mappings m
where m.agency_id = $1 /* agency_id */
  and m.id = any($2::uuid[] /* ids */)";

pub(super) const STATEMENTS: &[&str] = &[AVAILABLE, OF_AGENCY];

impl Store {
    /// Those of `ids` that are agents of the agency.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if a query fails.
    pub async fn agents_of(&self, agency_id: Uuid, ids: &[Uuid]) -> Result<Vec<Uuid>, Error> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.rows(OF_AGENCY, &[&agency_id, &ids]).await?;
        Tenant::from(agency_id).read(&rows, |row| row.column("id"))
    }
}

pub(super) fn available(row: TenantRow<'_>) -> Result<AvailableAgent, Error> {
    Ok(AvailableAgent {
        id: row.column("id")?,
        ultravox_agent_id: row.column("ultravox_agent_id")?,
        ultravox_agent_name: row.column("ultravox_agent_name")?,
        voice: row.column("voice")?,
    })
}
