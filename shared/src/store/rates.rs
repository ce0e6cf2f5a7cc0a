//! Limits on how often users search and agencies begin purchases: an allowance that grows back evenly (`sql/V09__rates.sql`).

use std::time::Duration;

use tokio_postgres::Row;

use crate::config::Rate;
use crate::error::Error;
use crate::model::{Actor, Caller};
use crate::store::callers::{AUTHORIZE, actor, caller};
use crate::store::{Query, Store, column};

/// Takes one search from the caller's allowance, or returns how long there is none.
const SEARCH: &str = concat!(
    "-- rates.search\n",
    caller!(),
    ", taken as (
  insert into phone_number_search_rates as r (user_id, whole_at)
  select $1, now() + $3::float8 /* share_s */ * interval '1 second' from caller
  on conflict (user_id) do update
  set whole_at = greatest(r.whole_at, now()) + $3 * interval '1 second'
  where greatest(r.whole_at, now()) + $3 * interval '1 second' <= now() + $4::float8 /* whole_s */ * interval '1 second'
  returning r.user_id
)
select exists (select from taken) as is_taken,
       (
         select extract(epoch from r.whole_at - now())::float8 + $3 - $4
         from phone_number_search_rates r
         where r.user_id = $1
       ) as wait_s"
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

pub(super) const STATEMENTS: &[&str] = &[SEARCH, FORGET_SEARCHES, FORGET_PURCHASES];

impl Store {
    /// The caller, if permitted to search and not too often. One round trip.
    ///
    /// # Errors
    /// `Forbidden`; `RateLimited`; `Unavailable` or `Internal` if a query fails.
    pub async fn authorize_search(&self, caller: &Caller) -> Result<Actor, Error> {
        let Some(rate) = self.rates.searches else { return self.authorize(caller).await };
        let Caller { user_id, roles } = caller;
        let Allowance { share_s, whole_s } = Allowance::from(rate);
        let [callers, counted] =
            self.run([Query::new(AUTHORIZE, &[user_id, roles]), Query::new(SEARCH, &[user_id, roles, &share_s, &whole_s])]).await?;
        let actor = actor(caller, &callers)?;
        let counted = counted.first().ok_or_else(|| Error::Internal("rates.search returned no row".into()))?;
        if column(counted, "is_taken")? { Ok(actor) } else { Err(Error::RateLimited(wait(counted)?)) }
    }

    /// How many purchases an agency may begin, if that is limited.
    pub(super) fn purchase_rate(&self) -> Option<Allowance> {
        self.rates.purchases.map(Allowance::from)
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

/// A rate as the statements take it.
#[derive(Clone, Copy)]
pub(super) struct Allowance {
    /// The time in which one request grows back, in seconds.
    pub(super) share_s: f64,
    /// The time in which all do.
    pub(super) whole_s: f64,
}

impl From<Rate> for Allowance {
    fn from(rate: Rate) -> Self {
        let whole_s = rate.per.as_secs_f64();
        Self { share_s: whole_s / f64::from(rate.most), whole_s }
    }
}

/// How long a request that was not counted has to wait.
pub(super) fn wait(row: &Row) -> Result<Duration, Error> {
    let seconds: f64 = column::<Option<f64>>(row, "wait_s")?.unwrap_or_default();
    Ok(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}
