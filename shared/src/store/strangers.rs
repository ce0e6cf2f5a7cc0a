//! Strangers: the numbers of an account that no purchase of ours names. An account with a life of its own has many of them,
//! which are one finding. Walks note them page by page.

use chrono::{DateTime, Utc};

use super::{Store, column};
use crate::error::Error;
use crate::model::E164;

/// How many strangers of an account a walk has seen since a time, and one of those that none has seen.
const COUNT: &str = "\
-- strangers.count
select count(*) filter (where s.seen_at >= $2 /* since */) as seen,
       min(s.telnyx_phone_number_id) filter (where s.seen_at < $2) as unseen
from phone_number_strangers s
where s.telnyx_account = $1 /* telnyx_account */";

/// Forgets the strangers of an account that no walk has seen since a time.
const FORGET: &str = "\
-- strangers.forget
delete from phone_number_strangers s
where s.telnyx_account = $1 /* telnyx_account */
  and s.seen_at < $2 /* since */
returning s.phone_number";

/// How many strangers an account has, and the first of them.
const SAMPLE: &str = "\
-- strangers.sample
select count(*) as strangers,
       array(
         select s.phone_number::text
         from phone_number_strangers s
         where s.telnyx_account = $1
         order by s.phone_number
         limit $2 /* limit */
       ) as sample
from phone_number_strangers s
where s.telnyx_account = $1 /* telnyx_account */";

pub(super) const STATEMENTS: &[&str] = &[COUNT, FORGET, SAMPLE];

/// A number of an account that no purchase of ours names.
#[derive(Clone, Debug)]
pub struct Stranger {
    /// The number.
    pub number: E164,
    /// Telnyx's id of it.
    pub phone_number_id: String,
    /// Its `customer_reference`.
    pub reference: Option<String>,
}

/// The strangers of an account, seen and unseen.
#[derive(Clone, Debug)]
pub struct Strangers {
    /// How many were seen.
    pub seen: i64,
    /// Telnyx's id of one that was not, if there is any.
    pub unseen: Option<String>,
}

impl Store {
    /// The strangers of an account that a walk has seen since `since`, counted, and one of the others.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn strangers(&self, account: &str, since: DateTime<Utc>) -> Result<Strangers, Error> {
        let row = self.row(COUNT, &[&account, &since]).await?;
        let row = row.ok_or_else(|| Error::Internal("strangers.count returned no row".into()))?;
        Ok(Strangers { seen: column(&row, "seen")?, unseen: column(&row, "unseen")? })
    }

    /// Forgets the strangers of an account that no walk has seen since `since`; how many.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn forget_strangers(&self, account: &str, since: DateTime<Utc>) -> Result<usize, Error> {
        Ok(self.rows(FORGET, &[&account, &since]).await?.len())
    }

    /// How many strangers an account has, and the first `limit` numbers of them.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn sample_strangers(&self, account: &str, limit: i64) -> Result<(i64, Vec<String>), Error> {
        let row = self.row(SAMPLE, &[&account, &limit]).await?;
        let row = row.ok_or_else(|| Error::Internal("strangers.sample returned no row".into()))?;
        Ok((column(&row, "strangers")?, column(&row, "sample")?))
    }
}
