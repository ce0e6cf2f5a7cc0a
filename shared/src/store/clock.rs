//! The database's clock. Every time in the database is read from it.

use chrono::{DateTime, Utc};

use crate::error::Error;
use crate::store::{Store, column};

const NOW: &str = "\
-- clock.now
select now() as now";

pub(super) const STATEMENTS: &[&str] = &[NOW];

impl Store {
    /// The time on the database's clock. The cheapest proof that the database answers.
    ///
    /// # Errors
    /// `Unavailable` if the database does not answer.
    pub async fn now(&self) -> Result<DateTime<Utc>, Error> {
        let row = self.row(NOW, &[]).await?.ok_or_else(|| Error::Internal("clock.now returned no row".into()))?;
        column(&row, "now")
    }
}
