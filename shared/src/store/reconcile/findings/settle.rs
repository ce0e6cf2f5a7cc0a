//! The end of findings that reconcile sees to be settled.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::error::Error;
use crate::model::KeyDigest;
use crate::store::numbers::history::Reconciled;
use crate::store::reconcile::finding_kinds::{FindingKind, Subject};
use crate::store::{Store, column};

/// Closes findings of an account that a whole walk, begun at that time, has seen to be settled: the number is in its row, or
/// something else is found about it; the rows of a drift have their numbers or are live no more; no stranger is left. None of
/// this rests on the absence of a number.
const INVENTORY: &str = "\
-- reconcile.findings.settle.inventory
with settled as (
  select f.id
  from phone_number_findings f
  where f.telnyx_account = $1 /* telnyx_account */
    and f.state = 'open'
    and f.last_seen_at < $2 /* started_at */
    and case
      when f.kind = 'not_ours' then not exists (
        select
        from phone_number_strangers s
        where s.telnyx_account = f.telnyx_account
      )
      when f.kind = 'inventory_drift' then f.phone_number is null and not exists (
        select
        from agency_phone_numbers n
        join phone_number_purchases p
          on p.agency_phone_number_id = n.id
          and p.telnyx_account = f.telnyx_account
        left join phone_number_sightings s
          on s.telnyx_account = f.telnyx_account
          and s.agency_phone_number_id = n.id
        where n.id = any(f.agency_phone_number_ids)
          and n.status = 'active'
          and n.is_active
          and (s.seen_at is null or s.seen_at < $2)
      )
      when f.kind = any($3::text[] /* kinds */) then exists (
        select
        from agency_phone_numbers n
        join phone_number_sightings s
          on s.telnyx_account = f.telnyx_account
          and s.agency_phone_number_id = n.id
        where n.phone_number = f.phone_number
          and n.phone_number_id = f.telnyx_phone_number_id
          and s.seen_at >= $2
      ) or exists (
        select
        from phone_number_strangers s
        where s.telnyx_account = f.telnyx_account
          and s.phone_number = f.phone_number
          and s.seen_at >= $2
      ) or exists (
        select
        from phone_number_findings o
        where o.telnyx_account = f.telnyx_account
          and o.phone_number = f.phone_number
          and o.state in ('open', 'dismissed')
          and o.kind <> f.kind
          and o.last_seen_at >= $2
      )
      else false
    end
  for update skip locked
)
update phone_number_findings f
set state = 'gone',
    resolved_at = now(),
    resolved_by = 'reconcile'
from settled
where f.id = settled.id
returning f.id";

/// Open findings about numbers that neither of the last two whole walks has seen, others each time.
const UNSEEN: &str = "\
-- reconcile.findings.settle.unseen
select f.id, f.telnyx_phone_number_id, f.key_sha256
from phone_number_findings f
where f.telnyx_account = $1 /* telnyx_account */
  and f.state = 'open'
  and f.kind = any($2::text[] /* kinds */)
  and f.telnyx_phone_number_id is not null
  and f.last_seen_at < $3 /* previous_started_at */
order by random()
limit $4 /* limit */";

/// Closes a finding about a number that is gone, unless it has been seen again.
const CLOSE: &str = "\
-- reconcile.findings.settle.close
update phone_number_findings f
set state = 'gone',
    resolved_at = now(),
    resolved_by = 'reconcile'
where f.id = $1 /* id */
  and f.state = 'open'
  and f.last_seen_at < $2 /* previous_started_at */
returning f.id";

/// Closes findings about rows that predate the ledger and are in it now, or are not live.
const LEGACY_ROWS: &str = "\
-- reconcile.findings.settle.legacy_rows
with settled as (
  select f.id
  from phone_number_findings f
  where f.state = 'open'
    and f.kind = 'inventory_drift'
    and f.phone_number is not null
    and not exists (
      select
      from agency_phone_numbers n
      where n.id = any(f.agency_phone_number_ids)
        and n.status = 'active'
        and n.is_active
        and not exists (
          select
          from phone_number_purchases p
          where p.agency_phone_number_id = n.id
        )
    )
  for update skip locked
)
update phone_number_findings f
set state = 'gone',
    resolved_at = now(),
    resolved_by = 'reconcile'
from settled
where f.id = settled.id
returning f.id";

/// Closes findings of an account that is another by name only, when neither of the last two whole walks has met it twice.
const SAME_ACCOUNT: &str = "\
-- reconcile.findings.settle.same_account
update phone_number_findings f
set state = 'gone',
    resolved_at = now(),
    resolved_by = 'reconcile'
where f.telnyx_account = $1 /* telnyx_account */
  and f.state = 'open'
  and f.kind = 'same_account'
  and f.last_seen_at < $2 /* previous_started_at */
returning f.id";

/// Closes findings about blocked work that has continued or is not needed any more: an unproven key, while no
/// row of the finding waits for a purchase, for a release or to be looked for; a missing order or number, while no purchase misses
/// it; a refused release, when the row is no longer live; a moved number, when the ledger has followed it, its own account shows it
/// again, or no live row is left.
const WORK: &str = "\
-- reconcile.findings.settle.work
with settled as (
  select f.id
  from phone_number_findings f
  where f.state = 'open'
    and case f.kind
      when 'key_unproven' then not exists (
        select
        from phone_number_purchases p
        where p.agency_phone_number_id = any(f.agency_phone_number_ids)
          and p.phase in ('intended', 'ordering', 'ordered')
      ) and not exists (
        select
        from agency_phone_numbers n
        where n.id = any(f.agency_phone_number_ids)
          and n.status in ('pending', 'inactive')
      )
      when 'order_missing' then not exists (
        select
        from phone_number_purchases p
        where p.agency_phone_number_id = any(f.agency_phone_number_ids)
          and p.phase in ('ordering', 'ordered')
          and p.order_missed_at is not null
      )
      when 'number_missing' then not exists (
        select
        from phone_number_purchases p
        where p.agency_phone_number_id = any(f.agency_phone_number_ids)
          and p.phase = 'ordered'
          and p.number_missed_at is not null
      )
      when 'release_refused' then not exists (
        select
        from agency_phone_numbers n
        where n.id = any(f.agency_phone_number_ids)
          and n.status in ('active', 'inactive')
      )
      when 'number_moved' then not exists (
        select
        from agency_phone_numbers n
        join lateral (
          select p.telnyx_account
          from phone_number_purchases p
          where p.agency_phone_number_id = n.id
          order by p.created_at desc
          limit 1
        ) p on p.telnyx_account <> f.telnyx_account
        left join phone_number_sightings s
          on s.telnyx_account = p.telnyx_account
          and s.agency_phone_number_id = n.id
        where n.id = any(f.agency_phone_number_ids)
          and n.status <> 'released'
          and (s.seen_at is null or s.seen_at < f.last_seen_at)
      )
      else false
    end
  for update skip locked
)
update phone_number_findings f
set state = 'gone',
    resolved_at = now(),
    resolved_by = 'reconcile'
from settled
where f.id = settled.id
returning f.id";

pub(in crate::store) const STATEMENTS: &[&str] = &[INVENTORY, UNSEEN, CLOSE, LEGACY_ROWS, SAME_ACCOUNT, WORK];

/// A finding about a number that the walks have not seen again.
#[derive(Clone, Debug)]
pub struct UnseenFinding {
    /// The finding.
    pub id: Uuid,
    /// Telnyx's id of the number.
    pub phone_number_id: String,
    /// The SHA-256 of the API key that showed it, if that was noted.
    pub key_digest: Option<KeyDigest>,
}

impl Store {
    /// Closes the open findings of an account that a whole walk, begun at `started_at`, has seen to be settled; how many.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn settle_findings(&self, account: &str, started_at: DateTime<Utc>) -> Result<usize, Error> {
        Ok(self.rows(INVENTORY, &[&account, &started_at, &of_inventory()]).await?.len())
    }

    /// Closes an account's open findings that another name stands for it, unless one was seen since `since`; how many.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn settle_same_account(&self, account: &str, since: DateTime<Utc>) -> Result<usize, Error> {
        Ok(self.rows(SAME_ACCOUNT, &[&account, &since]).await?.len())
    }

    /// Closes the open findings about purchases and releases that have continued or are not needed any more. Returns how many.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn settle_work(&self) -> Result<usize, Error> {
        Ok(self.rows(WORK, &[]).await?.len())
    }

    /// At most `limit` open findings about numbers of an account that no walk has seen since `since`, others each time.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn unseen_findings(&self, account: &str, since: DateTime<Utc>, limit: i64) -> Result<Vec<UnseenFinding>, Error> {
        let rows = self.rows(UNSEEN, &[&account, &of_inventory(), &since, &limit]).await?;
        rows.iter()
            .map(|row| {
                Ok(UnseenFinding {
                    id: column(row, "id")?,
                    phone_number_id: column(row, "telnyx_phone_number_id")?,
                    key_digest: column(row, "key_sha256")?,
                })
            })
            .collect()
    }

    /// Closes a finding about a number that is gone, unless it has been seen since `since` or is closed already.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn close_finding(&self, finding: &UnseenFinding, since: DateTime<Utc>) -> Result<Reconciled, Error> {
        let closed = self.row(CLOSE, &[&finding.id, &since]).await?;
        Ok(closed.map_or(Reconciled::Outdated, |_| Reconciled::Done))
    }

    /// Closes the findings about rows that predate the ledger and are settled now. Returns how many.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn close_legacy_row_findings(&self) -> Result<usize, Error> {
        Ok(self.rows(LEGACY_ROWS, &[]).await?.len())
    }
}

/// The words of the kinds that are about numbers of an inventory.
fn of_inventory() -> Vec<&'static str> {
    FindingKind::ALL.iter().filter(|kind| kind.subject() == Subject::Inventory).map(|kind| kind.as_str()).collect()
}
