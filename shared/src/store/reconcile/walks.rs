//! Walks through the inventory of each account at Telnyx: how far each has come, and which rows and strangers it has seen.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::error::Error;
use crate::store::lease::{Fenced, Lease, Leased};
use crate::store::reconcile::accounts::accounts_in;
use crate::store::reconcile::strangers::Stranger;
use crate::store::{Parameter, Store, column};

/// The accounts that numbers were ever bought in, those first that were last walked longest ago. Whether a walk ends
/// does not decide it: an account that cannot be read would come first for ever.
const ACCOUNTS: &str = concat!(
    "-- reconcile.walks.accounts
with recursive ",
    accounts_in!("bought_in", "phone_number_purchases"),
    "
select a.telnyx_account
from (
  select b.telnyx_account
  from bought_in b
  where b.telnyx_account is not null
  union
  select w.telnyx_account
  from phone_number_inventory_walks w
) a
left join phone_number_inventory_walks w on w.telnyx_account = a.telnyx_account
order by w.visited_at nulls first, a.telnyx_account"
);

/// Begins a walk through an account, or continues the one that stopped; for one at a time.
const BEGIN: &str = "\
-- reconcile.walks.begin
insert into phone_number_inventory_walks as w (telnyx_account, started_at, lease_token, leased_until)
values ($1 /* telnyx_account */, now(), $2 /* lease_token */, now() + $3::bigint /* lease_ms */ * interval '1 millisecond')
on conflict (telnyx_account) do update
set started_at = case when w.window_digits = '' and w.next_page = 1 then excluded.started_at else w.started_at end,
    visited_at = excluded.visited_at,
    lease_token = excluded.lease_token,
    leased_until = excluded.leased_until
where w.leased_until is null
  or w.leased_until < now()
  or w.lease_token = excluded.lease_token
returning w.window_digits, w.next_page, w.refused_page, w.page_limit, w.failed_runs, w.is_whole, w.started_at, w.previous_started_at";

const RENEW: &str = "\
-- reconcile.walks.renew
update phone_number_inventory_walks w
set leased_until = now() + $3::bigint /* lease_ms */ * interval '1 millisecond'
where w.telnyx_account = $1 /* telnyx_account */
  and w.lease_token = $2 /* lease_token */
returning w.telnyx_account";

/// Notes what a page has shown and the next place of the walk, both or neither. A walk that starts over gets a new start time.
const ADVANCE: &str = "\
-- reconcile.walks.advance
with before as (
  select w.telnyx_account, w.started_at
  from phone_number_inventory_walks w
  where w.telnyx_account = $1 /* telnyx_account */
    and w.lease_token = $2 /* lease_token */
  for update
), advanced as (
  update phone_number_inventory_walks w
  set window_digits = $3 /* window_digits */,
      next_page = $4 /* next_page */,
      refused_page = $5 /* refused_page */,
      page_limit = $6 /* page_limit */,
      failed_runs = $7 /* failed_runs */,
      is_whole = $8 /* is_whole */,
      started_at = case when $9 /* starts_over */ then now() else w.started_at end
  from before b
  where w.telnyx_account = b.telnyx_account
  returning w.window_digits, w.next_page, w.refused_page, w.page_limit, w.failed_runs, w.is_whole, w.started_at,
            w.previous_started_at
), sighted as (
  insert into phone_number_sightings as s (telnyx_account, agency_phone_number_id, seen_at)
  select distinct b.telnyx_account, i.row_id, b.started_at
  from before b
  cross join unnest($10::uuid[] /* row_ids */) as i (row_id)
  on conflict (telnyx_account, agency_phone_number_id) do update
  set seen_at = excluded.seen_at
), met as (
  insert into phone_number_strangers as s
    (telnyx_account, phone_number, telnyx_phone_number_id, telnyx_reference, key_sha256, seen_at)
  select distinct on (i.phone_number) b.telnyx_account, i.phone_number, i.phone_number_id, i.reference, i.key_sha256, b.started_at
  from before b
  cross join unnest(
    $11::text[] /* phone_numbers */, $12::text[] /* phone_number_ids */, $13::text[] /* references */, $14::bytea[] /* key_sha256s */
  ) as i (phone_number, phone_number_id, reference, key_sha256)
  order by i.phone_number
  on conflict (telnyx_account, phone_number) do update
  set telnyx_phone_number_id = excluded.telnyx_phone_number_id,
      telnyx_reference = excluded.telnyx_reference,
      key_sha256 = excluded.key_sha256,
      seen_at = excluded.seen_at
)
select a.*
from advanced a";

const PAUSE: &str = "\
-- reconcile.walks.pause
update phone_number_inventory_walks w
set lease_token = null,
    leased_until = null
where w.telnyx_account = $1 /* telnyx_account */
  and w.lease_token = $2 /* lease_token */
returning w.telnyx_account";

/// Ends a walk. One that has skipped nothing counts as a whole walk. What was seen by neither of the last two whole walks is
/// no longer known to have been seen.
const FINISH: &str = "\
-- reconcile.walks.finish
with finished as (
  update phone_number_inventory_walks w
  set window_digits = '',
      next_page = 1,
      refused_page = null,
      failed_runs = 0,
      is_whole = true,
      previous_started_at = case when w.is_whole then w.started_at else w.previous_started_at end,
      finished_at = case when w.is_whole then now() else w.finished_at end,
      lease_token = null,
      leased_until = null
  where w.telnyx_account = $1 /* telnyx_account */
    and w.lease_token = $2 /* lease_token */
  returning w.telnyx_account
), forgotten as (
  delete from phone_number_sightings s
  using finished f, phone_number_inventory_walks before
  where before.telnyx_account = f.telnyx_account
    and s.telnyx_account = f.telnyx_account
    and s.seen_at < before.previous_started_at
    and before.is_whole
)
select f.telnyx_account
from finished f";

pub(in crate::store) const STATEMENTS: &[&str] = &[ACCOUNTS, BEGIN, RENEW, ADVANCE, PAUSE, FINISH];

/// The walk through the inventory of an account, as what a lease is of.
#[derive(Clone, Debug)]
pub struct WalkOf {
    /// The account's name.
    pub account: String,
}

impl Leased for WalkOf {
    const RENEW: &'static str = RENEW;
    const YIELD: &'static str = PAUSE;

    fn key(&self) -> Vec<&dyn Parameter> {
        vec![&self.account]
    }
}

/// A walk through the inventory of an account, with its lease.
#[derive(Clone, Debug)]
pub struct Walk {
    /// The lease.
    pub lease: Lease<WalkOf>,
    /// How far it has come.
    pub place: Place,
    /// When the walk began, on the database's clock.
    pub started_at: DateTime<Utc>,
    /// When the last whole walk before it began.
    pub previous_started_at: Option<DateTime<Utc>>,
}

impl Walk {
    /// The account's name.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.lease.of.account
    }
}

/// How far a walk has come. The inventory is read page by page; where Telnyx does not serve so many pages, through windows:
/// lists of the numbers that contain certain digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The digits of the window; empty for the whole account.
    pub window: String,
    /// The page to read next, from 1.
    pub page: u32,
    /// The page of this window that could not be read and has not been read since.
    pub refused_page: Option<u32>,
    /// Telnyx does not serve pages of this account from this one on.
    pub page_limit: Option<u32>,
    /// In how many runs in a row the page failed.
    pub failed_runs: u32,
    /// Whether the walk has skipped nothing so far.
    pub is_whole: bool,
}

impl Place {
    /// The beginning of a walk.
    #[must_use]
    pub const fn start(page_limit: Option<u32>) -> Self {
        Self { window: String::new(), page: 1, refused_page: None, page_limit, failed_runs: 0, is_whole: true }
    }

    /// Whether it is the beginning of a walk.
    #[must_use]
    pub const fn is_start(&self) -> bool {
        self.window.is_empty() && self.page == 1
    }
}

/// What a page has shown.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The rows whose numbers are there.
    pub row_ids: Vec<Uuid>,
    /// The numbers that no purchase of this deployment names.
    pub strangers: Vec<Stranger>,
}

impl Store {
    /// The names of the accounts that numbers were ever bought in, those first that were last visited longest ago.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn telnyx_accounts(&self) -> Result<Vec<String>, Error> {
        self.rows(ACCOUNTS, &[]).await?.iter().map(|row| column(row, "telnyx_account")).collect()
    }

    /// Begins a walk through an account's inventory, or continues the one that stopped. None: another process walks.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn walk(&self, account: &str, duration: Duration) -> Result<Option<Walk>, Error> {
        let lease = Lease::new(WalkOf { account: account.to_owned() }, duration);
        let row = self.row(BEGIN, &[&account, &lease.token, &lease.millis()]).await?;
        row.map(|row| walk(&row, lease)).transpose()
    }

    /// Notes what a page has shown and the next place of the walk. A walk that goes back to its beginning counts from now on.
    /// Returns the walk as it is now.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn advance_walk(&self, held: &Walk, place: &Place, seen: &Seen) -> Result<Fenced<Walk>, Error> {
        let starts_over = place.is_start() && !held.place.is_start();
        let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
        let numbers: Vec<_> = seen.strangers.iter().map(|stranger| &stranger.number).collect();
        let ids: Vec<_> = seen.strangers.iter().map(|stranger| stranger.phone_number_id.as_str()).collect();
        let references: Vec<_> = seen.strangers.iter().map(|stranger| stranger.reference.as_deref()).collect();
        let keys: Vec<_> = seen.strangers.iter().map(|stranger| stranger.key_digest).collect();
        let advanced = self
            .fenced(
                ADVANCE,
                &[
                    &held.lease.of.account,
                    &held.lease.token,
                    &place.window,
                    &number(place.page),
                    &place.refused_page.map(number),
                    &place.page_limit.map(number),
                    &number(place.failed_runs),
                    &place.is_whole,
                    &starts_over,
                    &seen.row_ids,
                    &numbers,
                    &ids,
                    &references,
                    &keys,
                ],
            )
            .await?;
        advanced.read(|row| walk(row, held.lease.clone()))
    }

    /// Ends a walk, which counts as a whole one if it has skipped nothing.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn finish_walk(&self, walk: &Walk) -> Result<Fenced, Error> {
        self.fenced(FINISH, &[&walk.lease.of.account, &walk.lease.token]).await?.read(|_| Ok(()))
    }
}

fn walk(row: &Row, lease: Lease<WalkOf>) -> Result<Walk, Error> {
    let number =
        |name: &str| -> Result<Option<u32>, Error> { Ok(column::<Option<i32>>(row, name)?.and_then(|number| u32::try_from(number).ok())) };
    Ok(Walk {
        lease,
        place: Place {
            window: column(row, "window_digits")?,
            page: number("next_page")?.unwrap_or(1),
            refused_page: number("refused_page")?,
            page_limit: number("page_limit")?,
            failed_runs: number("failed_runs")?.unwrap_or(0),
            is_whole: column(row, "is_whole")?,
        },
        started_at: column(row, "started_at")?,
        previous_started_at: column(row, "previous_started_at")?,
    })
}
