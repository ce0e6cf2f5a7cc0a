//! The platform's `agencies`.

use uuid::Uuid;

use crate::error::Error;
use crate::store::{Store, column};

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

pub(in crate::store) const STATEMENTS: &[&str] = &[AGENCIES, AGENCY];

impl Store {
    /// Some of the agencies there are, `limit` at the most and others each time.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if a query fails.
    pub async fn agencies(&self, limit: i64) -> Result<Vec<Uuid>, Error> {
        self.rows(AGENCIES, &[&limit]).await?.iter().map(|row| column(row, "id")).collect()
    }
}
