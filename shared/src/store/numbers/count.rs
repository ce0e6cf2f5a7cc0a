//! How many rows an agency has: of a selection, up to a limit, and in all, as the triggers of `sql/V11__flat.sql` have counted them.

use serde::Serialize;
use tokio_postgres::Row;

use super::search::{is_listed, matches, searched, with_terms};
use super::selection::{ByKind, ListFilter, all_by_age, any, cut, in_archive, in_status, is_behind, of_agent_by_age, row_at, selected};
use crate::error::Error;
use crate::model::Money;
use crate::store::callers::caller;
use crate::store::tenant::Tenant;

/// Up to so many rows of a filtered list are counted.
pub const EXACT_TOTAL: i64 = 1_000;

macro_rules! count {
    ($name:literal, $places:expr) => {
        concat!(
            $name,
            "\n",
            caller!(),
            "\nselect k.agency_id,\n       count(*) as total\nfrom caller c\ncross join lateral (\n",
            $places,
            "\n) k\ngroup by k.agency_id"
        )
    };
}

/// The rows of each kind of selection, as far as they are counted.
pub(super) const COUNTS: ByKind = ByKind {
    all: count!("-- numbers.count.all", selected!(all)),
    of_agent: count!("-- numbers.count.of_agent", selected!(of_agent)),
    searched: count!("-- numbers.count.searched", searched!(any)),
};

pub(super) const SUMMARY: &str = concat!(
    "-- numbers.count.summary\n",
    caller!(),
    "
select s.agency_id,
       s.currency,
       sum(s.pending)::bigint as pending,
       sum(s.active)::bigint as active,
       sum(s.inactive)::bigint as inactive,
       sum(s.released)::bigint as released,
       sum(s.assigned)::bigint as assigned,
       case when sum(s.priced) > 0 then sum(s.monthly_cost) end as monthly_cost
from caller c
join phone_number_counts s on s.agency_id = c.agency_id
group by s.agency_id, s.currency
order by s.currency"
);

pub(in crate::store) const STATEMENTS: &[&str] = &[COUNTS.all, COUNTS.of_agent, COUNTS.searched, SUMMARY];

/// An agency's rows in sum, whatever the filter.
#[derive(Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Summary {
    /// All but the released.
    pub total: i64,
    /// In status `active`.
    pub active: i64,
    /// In status `pending`.
    pub pending: i64,
    /// In status `inactive`.
    pub inactive: i64,
    /// In status `released`.
    pub released: i64,
    /// With an agent, the released left out.
    pub assigned: i64,
    /// Without an agent, the released left out.
    pub unassigned: i64,
    /// What the active and inactive ones cost each month, by currency.
    pub monthly_cost: Vec<Cost>,
}

/// An amount in a currency.
#[derive(Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Cost {
    /// ISO 4217.
    pub currency: String,
    /// The amount.
    pub amount: Money,
}

/// How many rows a list has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Total {
    /// So many, or at least so many.
    pub rows: i64,
    /// Whether there are no more.
    pub is_exact: bool,
}

impl Total {
    /// Of a list whose rows [`COUNTS`] has counted, up to one more than [`EXACT_TOTAL`].
    pub(super) fn counted(tenant: Tenant, rows: &[Row]) -> Result<Self, Error> {
        let counted: i64 = tenant.read(rows, |row| row.column::<i64>("total"))?.into_iter().sum();
        Ok(Self { rows: counted.min(EXACT_TOTAL), is_exact: counted <= EXACT_TOTAL })
    }

    /// Of a list that no filter restricts.
    pub(super) const fn in_sum(summary: &Summary, filter: &ListFilter) -> Self {
        let released = if filter.include_released { summary.released } else { 0 };
        Self { rows: summary.total + released, is_exact: true }
    }
}

/// The sum of the rows that [`SUMMARY`] has returned.
pub(super) fn summary(tenant: Tenant, rows: &[Row]) -> Result<Summary, Error> {
    let mut summary = Summary::default();
    for row in rows {
        let row = tenant.row(row)?;
        summary.active += row.column::<i64>("active")?;
        summary.pending += row.column::<i64>("pending")?;
        summary.inactive += row.column::<i64>("inactive")?;
        summary.released += row.column::<i64>("released")?;
        summary.assigned += row.column::<i64>("assigned")?;
        if let Some(amount) = row.column("monthly_cost")? {
            summary.monthly_cost.push(Cost { currency: row.column("currency")?, amount });
        }
    }
    summary.total = summary.active + summary.pending + summary.inactive;
    summary.unassigned = summary.total - summary.assigned;
    Ok(summary)
}
