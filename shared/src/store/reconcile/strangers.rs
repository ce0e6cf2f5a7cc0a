//! Strangers: the numbers of an account that no purchase of this deployment names. An account that is also used otherwise has many of them,
//! which are one finding. Walks note them page by page.

use chrono::{DateTime, Utc};

use crate::error::Error;
use crate::model::{E164, KeyDigest};
use crate::store::{Store, column};

/// Forgets the strangers of an account that the walk that began at that time has seen as something else: in a row, or as a
/// finding of their own.
const IDENTIFY: &str = "\
-- reconcile.strangers.identify
delete from phone_number_strangers s
where (s.telnyx_account, s.phone_number) in (
  select o.telnyx_account, o.phone_number
  from phone_number_strangers o
  where o.telnyx_account = $1 /* telnyx_account */
    and o.seen_at < $2 /* started_at */
    and (
      exists (
        select
        from agency_phone_numbers n
        join phone_number_sightings g on g.agency_phone_number_id = n.id
        where g.telnyx_account = o.telnyx_account
          and g.seen_at >= $2
          and n.phone_number = o.phone_number
      )
      or exists (
        select
        from phone_number_findings f
        where f.telnyx_account = o.telnyx_account
          and f.phone_number = o.phone_number
          and f.state in ('open', 'dismissed')
          and f.last_seen_at >= $2
      )
    )
  order by o.phone_number
  for update
)
returning s.phone_number";

/// How many strangers of an account a walk has seen since a time, and one of those that none has seen.
const COUNT: &str = "\
-- reconcile.strangers.count
select c.seen,
       u.telnyx_phone_number_id,
       u.key_sha256
from (
  select count(*) filter (where s.seen_at >= $2 /* since */) as seen
  from phone_number_strangers s
  where s.telnyx_account = $1 /* telnyx_account */
) c
left join lateral (
  select s.telnyx_phone_number_id, s.key_sha256
  from phone_number_strangers s
  where s.telnyx_account = $1
    and s.seen_at < $2
  order by s.phone_number
  limit 1
) u on true";

/// Forgets the strangers of an account that no walk has seen since a time.
const FORGET: &str = "\
-- reconcile.strangers.forget
delete from phone_number_strangers s
where (s.telnyx_account, s.phone_number) in (
  select o.telnyx_account, o.phone_number
  from phone_number_strangers o
  where o.telnyx_account = $1 /* telnyx_account */
    and o.seen_at < $2 /* since */
  order by o.phone_number
  for update
)
returning s.phone_number";

/// How many strangers an account has, and the first of them.
const SAMPLE: &str = "\
-- reconcile.strangers.sample
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

pub(in crate::store) const STATEMENTS: &[&str] = &[IDENTIFY, COUNT, FORGET, SAMPLE];

/// A number of an account that no purchase of this deployment names.
#[derive(Clone, Debug)]
pub struct Stranger {
    /// The number.
    pub number: E164,
    /// Telnyx's id of it.
    pub phone_number_id: String,
    /// Its `customer_reference`.
    pub reference: Option<String>,
    /// The SHA-256 of the API key that showed it.
    pub key_digest: KeyDigest,
}

/// The strangers of an account, seen and unseen.
#[derive(Clone, Debug)]
pub struct Strangers {
    /// How many were seen.
    pub seen: i64,
    /// One that was not, if there is any.
    pub unseen: Option<UnseenStranger>,
}

/// A stranger that the walks have not seen again.
#[derive(Clone, Debug)]
pub struct UnseenStranger {
    /// Telnyx's id of the number.
    pub phone_number_id: String,
    /// The SHA-256 of the API key that showed it.
    pub key_digest: Option<KeyDigest>,
}

impl Store {
    /// Forgets the strangers of an account that a walk, begun at `started_at`, has seen as something else; how many.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn identify_strangers(&self, account: &str, started_at: DateTime<Utc>) -> Result<usize, Error> {
        Ok(self.rows(IDENTIFY, &[&account, &started_at]).await?.len())
    }

    /// The strangers of an account that a walk has seen since `since`, counted, and one of the others.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn strangers(&self, account: &str, since: DateTime<Utc>) -> Result<Strangers, Error> {
        let row = self.row(COUNT, &[&account, &since]).await?;
        let row = row.ok_or_else(|| Error::Internal("reconcile.strangers.count returned no row".into()))?;
        let unseen: Option<String> = column(&row, "telnyx_phone_number_id")?;
        let key_digest = column(&row, "key_sha256")?;
        let unseen = unseen.map(|phone_number_id| UnseenStranger { phone_number_id, key_digest });
        Ok(Strangers { seen: column(&row, "seen")?, unseen })
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
        let row = row.ok_or_else(|| Error::Internal("reconcile.strangers.sample returned no row".into()))?;
        Ok((column(&row, "strangers")?, column(&row, "sample")?))
    }
}
