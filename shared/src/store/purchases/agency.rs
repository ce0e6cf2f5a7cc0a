//! The agency that buys: what its intents are made of.

use tokio_postgres::Row;
use uuid::Uuid;

use crate::error::Error;
use crate::store::callers::{Lookup, caller};
use crate::store::tenant::Tenant;

/// The caller's agency, once for each of the wanted agents that it has, or once without one.
const GET: &str = concat!(
    "-- purchases.agency.get\n",
    caller!(),
    "
select a.id as agency_id,
       a.telnyx_application_id,
       m.agency_id as agent_agency_id,
       m.id as agent_id
from caller c
join agencies a on a.id = c.agency_id
left join agent_mappings m on m.agency_id = a.id and m.id = any($3::uuid[] /* agent_ids */)"
);

pub(in crate::store) const STATEMENTS: &[&str] = &[GET];

/// The agency of a caller who buys.
#[derive(Clone, Debug)]
pub struct BuyingAgency {
    /// The Telnyx application that calls to its numbers go to.
    pub connection_id: Option<String>,
    /// Those of the wanted agents that are its own.
    pub agents: Vec<Uuid>,
}

impl<'a> Lookup<'a, BuyingAgency> {
    /// The agency of a caller who buys numbers for these agents.
    #[must_use]
    pub const fn buying_agency(agent_ids: &'a [Uuid]) -> Self {
        Self { sql: GET, ids: agent_ids, read: buying_agency }
    }
}

fn buying_agency(tenant: Tenant, rows: &[Row]) -> Result<BuyingAgency, Error> {
    let read = tenant.read(rows, |row| {
        let agent = row.joined("agent_agency_id")?.map(|agent| agent.column("agent_id")).transpose()?;
        Ok((row.column::<Option<String>>("telnyx_application_id")?, agent))
    });
    let (connection_ids, agents): (Vec<_>, Vec<_>) = read?.into_iter().unzip();
    // Without a row, the caller has left the agency just now, or the agency is gone: nothing is known of its application.
    let connection_id = connection_ids.into_iter().next().ok_or_else(|| Error::Unavailable("the agency is gone".into()))?;
    Ok(BuyingAgency { connection_id: connection_id.filter(|id| !id.trim().is_empty()), agents: agents.into_iter().flatten().collect() })
}
