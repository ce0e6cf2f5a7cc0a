//! The list of an agency's numbers: filters, pages, and the summary.

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::row::phone_number;
use crate::error::Error;
use crate::model::{AvailableAgent, Caller, Money, PhoneNumber, Status};
use crate::store::callers::{AUTHORIZE, actor, caller};
use crate::store::tenant::Tenant;
use crate::store::{Query, Store, agents};

/// The rows of an agency that the list shows. Members that are None do not restrict it.
///
/// A filter is declared here, with its type in `filter_record!` and its condition in `filter_conditions!`. Statements take
/// all filters as one JSON parameter. A cursor stores that JSON: members without effect are left out, so that cursors stay
/// valid if a filter is added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ListFilter {
    /// Rows in this status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Includes released rows. Otherwise they are left out, unless `status` asks for them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub include_released: bool,
    /// Rows with an agent, or rows without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned: Option<bool>,
    /// Rows with this agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<Uuid>,
    /// Rows with this text in number or name, in upper or lower case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<String>,
    /// Rows with these digits in the number instead of `search`, which is a number as people write it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
}

/// The members of the [`ListFilter`] in parameter `$3`, as a row `f`.
macro_rules! filter_record {
    () => {
        "cross join jsonb_to_record($3::jsonb /* filter */) as f
  (status phone_number_status, include_released boolean, assigned boolean, agent_id uuid, search text, number text)"
    };
}

/// Whether a [`ListFilter`] `f` shows a row `n`.
macro_rules! filter_conditions {
    () => {
        "(f.status is null or n.status = f.status)
  and (f.include_released or f.status is not null or n.status <> 'released')
  and (f.assigned is null or (n.agent_mapping_id is not null) = f.assigned)
  and (f.agent_id is null or n.agent_mapping_id = f.agent_id)
  and (f.search is null
    or strpos(n.phone_number, coalesce(f.number, f.search)) > 0
    or strpos(lower(n.friendly_name), lower(f.search)) > 0)"
    };
}

const PAGE: &str = concat!(
    "-- numbers.list.page\n",
    caller!(),
    "\nselect ",
    shown_columns!(),
    "\nfrom caller c\n",
    filter_record!(),
    "\n",
    current_and_archived!(),
    "\n",
    shown_joins!(),
    "\nwhere ",
    filter_conditions!(),
    "
  and ($4::timestamptz is null or (n.created_at, n.id) < ($4, $5::uuid)) /* after */
order by n.created_at desc, n.id desc
limit $6::bigint
offset $7::bigint"
);

const COUNT: &str = concat!(
    "-- numbers.list.count\n",
    caller!(),
    "\nselect n.agency_id,\n       count(*) as total\nfrom caller c\n",
    filter_record!(),
    "\n",
    current_and_archived!(),
    "\nwhere ",
    filter_conditions!(),
    "\ngroup by n.agency_id"
);

const SUMMARY: &str = concat!(
    "-- numbers.list.summary\n",
    caller!(),
    "
select n.agency_id,
       n.currency,
       count(*) filter (where n.status <> 'released') as total,
       count(*) filter (where n.status = 'active') as active,
       count(*) filter (where n.status = 'pending') as pending,
       count(*) filter (where n.status = 'inactive') as inactive,
       count(*) filter (where n.status = 'released') as released,
       count(*) filter (where n.status <> 'released' and n.agent_mapping_id is not null) as assigned,
       count(*) filter (where n.status <> 'released' and n.agent_mapping_id is null) as unassigned,
       sum(n.monthly_cost) filter (where n.status in ('active', 'inactive')) as monthly_cost
from caller c
",
    current_and_archived!(),
    "
group by n.agency_id, n.currency
order by n.currency"
);

pub(in crate::store) const STATEMENTS: &[&str] = &[PAGE, COUNT, SUMMARY];

/// A place in the list, which is ordered by age, youngest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The row's `created_at`.
    pub created_at: DateTime<Utc>,
    /// The row's id.
    pub id: Uuid,
}

/// Which part of the list is wanted.
#[derive(Clone, Copy, Debug)]
pub struct ListPage {
    /// How many rows at the most.
    pub limit: i64,
    /// How many to leave out first.
    pub offset: i64,
    /// Only those behind this place.
    pub after: Option<Position>,
}

/// A part of the list, and what surrounds it.
#[derive(Debug)]
pub struct Listing {
    /// The caller's agency.
    pub agency_id: Uuid,
    /// The rows.
    pub numbers: Vec<PhoneNumber>,
    /// Where the rows behind these begin, if there are any.
    pub next: Option<Position>,
    /// How many rows the filter lets through in all.
    pub total: i64,
    /// The agency's rows in sum.
    pub summary: Summary,
    /// The agency's agents, if wanted.
    pub agents: Vec<AvailableAgent>,
}

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

/// The rows to assign agents to, and the agents.
#[derive(Debug)]
pub struct NumbersAndAgents {
    /// The rows.
    pub numbers: Vec<PhoneNumber>,
    /// The agency's agents.
    pub agents: Vec<AvailableAgent>,
}

impl Store {
    /// A page of the caller's numbers, how many there are in all, their summary and, if wanted, the agents, in one round trip.
    ///
    /// # Errors
    /// `Forbidden`; `Unavailable` or `Internal` if a query fails.
    pub async fn list(&self, caller: &Caller, filter: &ListFilter, page: ListPage, with_agents: bool) -> Result<Listing, Error> {
        let Caller { user_id, roles } = caller;
        let filter = Json(filter);
        let (created_at, id) = (page.after.map(|after| after.created_at), page.after.map(|after| after.id));
        // One more row than asked for shows whether there is a next page.
        let limit = page.limit.saturating_add(1);
        let [callers, rows, count, sums, agents] = self
            .run([
                Query::new(AUTHORIZE, &[user_id, roles]),
                Query::new(PAGE, &[user_id, roles, &filter, &created_at, &id, &limit, &page.offset]),
                Query::new(COUNT, &[user_id, roles, &filter]),
                Query::new(SUMMARY, &[user_id, roles]),
                Query::new(agents::AVAILABLE, &[user_id, roles, &with_agents]),
            ])
            .await?;
        let actor = actor(caller, &callers)?;
        let tenant = Tenant::from(&actor);
        let mut numbers = tenant.read(&rows, phone_number)?;
        let wanted = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let more = numbers.len() > wanted;
        numbers.truncate(wanted);
        let next = numbers.last().filter(|_| more).map(|last| Position { created_at: last.created_at, id: last.id });
        Ok(Listing {
            agency_id: actor.agency_id,
            numbers,
            next,
            total: tenant.read(&count, |row| row.column::<i64>("total"))?.into_iter().sum(),
            summary: summary(tenant, &sums)?,
            agents: tenant.read(&agents, agents::available)?,
        })
    }

    /// All of the caller's numbers that a filter shows, and the caller's agents.
    ///
    /// # Errors
    /// `Forbidden`; `Unavailable` or `Internal` if a query fails.
    pub async fn numbers_and_agents(&self, caller: &Caller, filter: &ListFilter) -> Result<NumbersAndAgents, Error> {
        let Caller { user_id, roles } = caller;
        let (filter, after, no_limit, offset) = (Json(filter), (None::<DateTime<Utc>>, None::<Uuid>), None::<i64>, 0_i64);
        let [callers, rows, agents] = self
            .run([
                Query::new(AUTHORIZE, &[user_id, roles]),
                Query::new(PAGE, &[user_id, roles, &filter, &after.0, &after.1, &no_limit, &offset]),
                Query::new(agents::AVAILABLE, &[user_id, roles, &true]),
            ])
            .await?;
        let tenant = Tenant::from(&actor(caller, &callers)?);
        Ok(NumbersAndAgents { numbers: tenant.read(&rows, phone_number)?, agents: tenant.read(&agents, agents::available)? })
    }
}

fn summary(tenant: Tenant, rows: &[Row]) -> Result<Summary, Error> {
    let mut summary = Summary::default();
    for row in rows {
        let row = tenant.row(row)?;
        summary.total += row.column::<i64>("total")?;
        summary.active += row.column::<i64>("active")?;
        summary.pending += row.column::<i64>("pending")?;
        summary.inactive += row.column::<i64>("inactive")?;
        summary.released += row.column::<i64>("released")?;
        summary.assigned += row.column::<i64>("assigned")?;
        summary.unassigned += row.column::<i64>("unassigned")?;
        if let Some(amount) = row.column("monthly_cost")? {
            summary.monthly_cost.push(Cost { currency: row.column("currency")?, amount });
        }
    }
    Ok(summary)
}
