//! The platform's agents, to which numbers are assigned.

use crate::error::Error;
use crate::model::AvailableAgent;
use crate::store::tenant::TenantRow;

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

pub(super) const STATEMENTS: &[&str] = &[AVAILABLE];

pub(super) fn available(row: TenantRow<'_>) -> Result<AvailableAgent, Error> {
    Ok(AvailableAgent {
        id: row.column("id")?,
        ultravox_agent_id: row.column("ultravox_agent_id")?,
        ultravox_agent_name: row.column("ultravox_agent_name")?,
        voice: row.column("voice")?,
    })
}
