//! The Telnyx accounts that the database names, and how one is renamed.

use crate::error::Error;
use crate::store::{Store, Undone, column};

/// The distinct accounts of a ledger, as a recursive part of a statement: of each account one row is read, by the index.
macro_rules! accounts_in {
    ($name:literal, $table:literal) => {
        concat!(
            $name,
            " as (
  (
    select l.telnyx_account
    from ",
            $table,
            " l
    order by l.telnyx_account
    limit 1
  )
  union all
  select (
    select l.telnyx_account
    from ",
            $table,
            " l
    where l.telnyx_account > a.telnyx_account
    order by l.telnyx_account
    limit 1
  )
  from ",
            $name,
            " a
  where a.telnyx_account is not null
)"
        )
    };
}

pub(in crate::store) use accounts_in;

const NAMES: &str = concat!(
    "-- reconcile.accounts.names
with recursive ",
    accounts_in!("bought_in", "phone_number_purchases"),
    ", ",
    accounts_in!("released_in", "phone_number_releases"),
    "
select a.telnyx_account
from (
  select b.telnyx_account
  from bought_in b
  union
  select r.telnyx_account
  from released_in r
  union
  select w.telnyx_account
  from phone_number_inventory_walks w
  union
  select f.telnyx_account
  from phone_number_findings f
) a
where a.telnyx_account is not null
order by a.telnyx_account"
);

const RENAME_PURCHASES: &str = "\
-- reconcile.accounts.rename_purchases
update phone_number_purchases p
set telnyx_account = $2 /* to */
where p.id in (
  select o.id
  from phone_number_purchases o
  where o.telnyx_account = $1 /* from */
  order by o.id
  limit $3 /* limit */
  for update
)
returning p.id";

const RENAME_RELEASES: &str = "\
-- reconcile.accounts.rename_releases
update phone_number_releases r
set telnyx_account = $2 /* to */
where r.id in (
  select o.id
  from phone_number_releases o
  where o.telnyx_account = $1 /* from */
  order by o.id
  limit $3 /* limit */
  for update
)
returning r.id";

/// The findings under both names, in the order in which reports write them.
const LOCK_FINDINGS: &str = "\
-- reconcile.accounts.lock_findings
select f.id
from phone_number_findings f
where f.telnyx_account in ($1 /* from */, $2 /* to */)
order by f.kind, f.telnyx_account, f.phone_number
for update";

/// A walk only saves work: the one under the old name is dropped, and the next run walks again.
const DROP_WALK: &str = "\
-- reconcile.accounts.drop_walk
delete from phone_number_inventory_walks w
where w.telnyx_account = $1 /* from */
returning w.telnyx_account";

/// What the walks under the old name have seen belongs to them.
const DROP_SIGHTINGS: &str = "\
-- reconcile.accounts.drop_sightings
delete from phone_number_sightings s
where s.telnyx_account = $1 /* from */
returning s.agency_phone_number_id";

const DROP_STRANGERS: &str = "\
-- reconcile.accounts.drop_strangers
delete from phone_number_strangers s
where (s.telnyx_account, s.phone_number) in (
  select o.telnyx_account, o.phone_number
  from phone_number_strangers o
  where o.telnyx_account = $1 /* from */
  order by o.phone_number
  for update
)
returning s.phone_number";

/// If both names have the same finding, the one under the new name stays.
const MERGE_FINDINGS: &str = "\
-- reconcile.accounts.merge_findings
update phone_number_findings f
set state = 'gone',
    resolved_at = coalesce(f.resolved_at, now()),
    resolved_by = coalesce(f.resolved_by, 'reconcile')
where f.telnyx_account = $1 /* from */
  and f.state in ('open', 'dismissed')
  and exists (
    select
    from phone_number_findings o
    where o.telnyx_account = $2 /* to */
      and o.state in ('open', 'dismissed')
      and o.kind = f.kind
      and o.phone_number is not distinct from f.phone_number
  )
returning f.id";

const RENAME_FINDINGS: &str = "\
-- reconcile.accounts.rename_findings
update phone_number_findings f
set telnyx_account = $2 /* to */
where f.telnyx_account = $1 /* from */
returning f.id";

pub(in crate::store) const STATEMENTS: &[&str] =
    &[NAMES, RENAME_PURCHASES, RENAME_RELEASES, LOCK_FINDINGS, DROP_WALK, DROP_SIGHTINGS, DROP_STRANGERS, MERGE_FINDINGS, RENAME_FINDINGS];

/// How many rows one statement renames, so that each is over well within its time limit.
const AT_A_TIME: i64 = 5_000;

impl Store {
    /// The accounts that the database names, in whatever form it has them.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn account_names(&self) -> Result<Vec<String>, Error> {
        self.rows(NAMES, &[]).await?.iter().map(|row| column(row, "telnyx_account")).collect()
    }

    /// Renames an account wherever the database names it, and returns how many purchases and releases that concerned. If it is
    /// interrupted, doing it again does the rest.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if a statement fails.
    pub async fn rename_account(&self, from: &str, to: &str) -> Result<usize, Error> {
        let mut renamed = 0;
        for statement in [RENAME_PURCHASES, RENAME_RELEASES] {
            loop {
                let count = self.rows(statement, &[&from, &to, &AT_A_TIME]).await?.len();
                renamed += count;
                if count == 0 {
                    break;
                }
            }
        }
        self.transaction(|| self.try_to_rename_findings(from, to)).await?;
        Ok(renamed)
    }

    async fn try_to_rename_findings(&self, from: &str, to: &str) -> Result<(), Undone> {
        let mut session = self.connections.get().await?;
        let transaction = session.begin().await?;
        transaction.rows(LOCK_FINDINGS, &[&from, &to]).await?;
        for drop in [DROP_WALK, DROP_SIGHTINGS, DROP_STRANGERS] {
            transaction.rows(drop, &[&from]).await?;
        }
        for merge in [MERGE_FINDINGS, RENAME_FINDINGS] {
            transaction.rows(merge, &[&from, &to]).await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}
