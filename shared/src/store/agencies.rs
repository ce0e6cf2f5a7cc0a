//! The platform's `agencies`.

use uuid::Uuid;

use crate::error::Error;
use crate::store::tenant::Tenant;
use crate::store::{Store, column};

const CONNECTION: &str = "\
-- agencies.telnyx_application
select a.id as agency_id,
       a.telnyx_application_id
from agencies a
where a.id = $1 /* agency_id */";

/// Some agencies, others each time.
const AGENCIES: &str = "\
-- agencies.sample
select a.id
from agencies a
order by random()
limit $1 /* limit */";

pub(in crate::store) const AGENCY: &str = "\
-- agencies.exists
select a.id
from agencies a
where a.id = $1 /* agency_id */";

pub(in crate::store) const STATEMENTS: &[&str] = &[CONNECTION, AGENCIES, AGENCY];

impl Store {
    /// The Telnyx application that calls to an agency's numbers go to.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if a query fails.
    pub async fn telnyx_application(&self, agency_id: Uuid) -> Result<Option<String>, Error> {
        let rows = self.rows(CONNECTION, &[&agency_id]).await?;
        let ids = Tenant::from(agency_id).read(&rows, |row| row.column::<Option<String>>("telnyx_application_id"))?;
        Ok(ids.into_iter().flatten().next().filter(|id| !id.trim().is_empty()))
    }

    /// Some of the agencies there are, `limit` at the most and others each time.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if a query fails.
    pub async fn agencies(&self, limit: i64) -> Result<Vec<Uuid>, Error> {
        self.rows(AGENCIES, &[&limit]).await?.iter().map(|row| column(row, "id")).collect()
    }
}
