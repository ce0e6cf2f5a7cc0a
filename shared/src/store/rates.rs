//! Limits on how often users search and agencies begin purchases: an allowance that grows back evenly (`sql/V09__rates.sql`).

use std::time::Duration;

use deadpool_postgres::Transaction;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::config::Rate;
use crate::error::Error;
use crate::model::{Actor, Caller};
use crate::store::callers::{AUTHORIZE, actor, caller};
use crate::store::{Query, Store, Undone, column, rows_of};

/// Takes one request from an allowance, or returns how long there is none. The parameters are the time in which one grows back,
/// and the time in which all do, in seconds.
macro_rules! take {
    ($table:literal, $key:literal, $keys:literal, $share:literal, $whole:literal) => {
        concat!(
            "taken as (
  insert into ",
            $table,
            " as r (",
            $key,
            ", whole_at)
  ",
            $keys,
            "
  on conflict (",
            $key,
            ") do update
  set whole_at = greatest(r.whole_at, now()) + ",
            $share,
            " * interval '1 second'
  where greatest(r.whole_at, now()) + ",
            $share,
            " * interval '1 second' <= now() + ",
            $whole,
            " * interval '1 second'
  returning r.",
            $key,
            "
)
select exists (select from taken) as is_taken,
       (
         select extract(epoch from r.whole_at - now())::float8 + ",
            $share,
            " - ",
            $whole,
            "
         from ",
            $table,
            " r
         where r.",
            $key,
            " = $1
       ) as wait_s"
        )
    };
}

const SEARCH: &str = concat!(
    "-- rates.search\n",
    caller!(),
    ", ",
    take!(
        "phone_number_search_rates",
        "user_id",
        "select $1, now() + $3::float8 * interval '1 second' from caller",
        "$3::float8 /* share_s */",
        "$4::float8 /* whole_s */"
    )
);

const PURCHASE: &str = concat!(
    "-- rates.purchase\nwith ",
    take!(
        "phone_number_purchase_rates",
        "agency_id",
        "values ($1 /* agency_id */, now() + $2::float8 * interval '1 second')",
        "$2::float8 /* share_s */",
        "$3::float8 /* whole_s */"
    )
);

/// Deletes the allowances that have grown back.
const FORGET_SEARCHES: &str = "\
-- rates.forget_searches
delete from phone_number_search_rates r
where r.whole_at < now()
returning r.user_id";

const FORGET_PURCHASES: &str = "\
-- rates.forget_purchases
delete from phone_number_purchase_rates r
where r.whole_at < now()
returning r.agency_id";

pub(super) const STATEMENTS: &[&str] = &[SEARCH, PURCHASE, FORGET_SEARCHES, FORGET_PURCHASES];

impl Store {
    /// The caller, if permitted to search and not too often. One round trip.
    ///
    /// # Errors
    /// `Forbidden`; `RateLimited`; `Unavailable` or `Internal` if a query fails.
    pub async fn authorize_search(&self, caller: &Caller) -> Result<Actor, Error> {
        let Some(rate) = self.rates.searches else { return self.authorize(caller).await };
        let Caller { user_id, roles } = caller;
        let (share, whole) = (share(rate), rate.per.as_secs_f64());
        let [callers, counted] =
            self.run([Query::new(AUTHORIZE, &[user_id, roles]), Query::new(SEARCH, &[user_id, roles, &share, &whole])]).await?;
        let actor = actor(caller, &callers)?;
        wait(&counted)?.map_or(Ok(actor), |wait| Err(Error::RateLimited(wait)))
    }

    /// Counts a purchase that an agency begins: how long it must wait, if it has begun too many.
    pub(super) async fn count_purchase(&self, transaction: &Transaction<'_>, agency_id: Uuid) -> Result<Option<Duration>, Undone> {
        let Some(rate) = self.rates.purchases else { return Ok(None) };
        let counted = rows_of(transaction, PURCHASE, &[&agency_id, &share(rate), &rate.per.as_secs_f64()]).await?;
        Ok(wait(&counted)?)
    }

    /// Deletes what says no more than its absence; how many rows.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if a query fails.
    pub async fn forget_rates(&self) -> Result<usize, Error> {
        let [searches, purchases] = self.run([Query::new(FORGET_SEARCHES, &[]), Query::new(FORGET_PURCHASES, &[])]).await?;
        Ok(searches.len() + purchases.len())
    }
}

/// The time in which one request grows back, in seconds.
fn share(rate: Rate) -> f64 {
    rate.per.as_secs_f64() / f64::from(rate.most)
}

/// How long to wait; None if the request was counted.
fn wait(rows: &[Row]) -> Result<Option<Duration>, Error> {
    let row = rows.first().ok_or_else(|| Error::Internal("a rate returned no row".into()))?;
    if column(row, "is_taken")? {
        return Ok(None);
    }
    let seconds: f64 = column::<Option<f64>>(row, "wait_s")?.unwrap_or_default();
    Ok(Some(Duration::try_from_secs_f64(seconds).unwrap_or_default()))
}
