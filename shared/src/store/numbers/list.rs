//! The list of an agency's numbers: filtered, a page at a time, and in sum.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::Serialize;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::error::Error;
use crate::model::{AvailableAgent, Money, Permission, PhoneNumber, Status};
use crate::store::callers::{AUTHORIZE, actor};
use crate::store::numbers::change::{caller, columns, lives, phone_number, shown_columns, shown_joins, stored_columns};
use crate::store::{Query, Store, agents, column};

/// The rows that a [`ListFilter`] lets through.
macro_rules! filter {
    () => {
        "where ($3::text is null or n.status = $3::text::phone_number_status) /* status */
  and ($4::boolean or n.status <> 'released') /* include_released */
  and ($5::boolean is null or (n.agent_mapping_id is not null) = $5) /* assigned */
  and ($6::uuid is null or n.agent_mapping_id = $6) /* agent_id */
  and ($7::text is null
    or strpos(n.phone_number, $7) > 0
    or strpos(lower(n.friendly_name), lower($7)) > 0) /* search */"
    };
}

const LIST: &str = concat!(
    "-- numbers.list\n",
    caller!(),
    "\nselect ",
    shown_columns!(),
    "\nfrom caller c\n",
    lives!(),
    "\n",
    shown_joins!(),
    "\n",
    filter!(),
    "
  and ($8::timestamptz is null or (n.created_at, n.id) < ($8, $9::uuid)) /* after */
order by n.created_at desc, n.id desc
limit $10::bigint
offset $11::bigint"
);

const COUNT: &str = concat!("-- numbers.count\n", caller!(), "\nselect count(*) as total\nfrom caller c\n", lives!(), "\n", filter!());

const SUMMARY: &str = concat!(
    "-- numbers.summary\n",
    caller!(),
    "
select n.currency,
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
    lives!(),
    "
group by n.currency
order by n.currency"
);

pub(in crate::store) const STATEMENTS: &[&str] = &[LIST, COUNT, SUMMARY];

/// Which of an agency's rows are wanted; what is None does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListFilter {
    /// In this status.
    pub status: Option<Status>,
    /// Released ones too. Without it they are left out, unless `status` asks for them.
    pub include_released: bool,
    /// With an agent, or without one.
    pub assigned: Option<bool>,
    /// With this agent.
    pub agent_id: Option<Uuid>,
    /// With this text in number or name, whatever its case.
    pub search: Option<String>,
}

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
pub struct Cost {
    /// ISO 4217.
    pub currency: String,
    /// The amount.
    pub amount: Money,
}

/// The rows to assign agents to, and the agents.
#[derive(Debug)]
pub struct Assignment {
    /// The rows.
    pub numbers: Vec<PhoneNumber>,
    /// The agency's agents.
    pub agents: Vec<AvailableAgent>,
}

impl Store {
    /// A page of the caller's numbers with what surrounds it, in one round trip.
    ///
    /// # Errors
    /// `Forbidden`, and the database's own.
    pub async fn list(&self, user_id: Uuid, filter: &ListFilter, page: ListPage, with_agents: bool) -> Result<Listing, Error> {
        let roles = Permission::List.roles();
        let ListFilter { status, include_released, assigned, agent_id, search } = filter;
        let status = status.map(Status::as_str);
        let include_released = *include_released || status.is_some();
        let (created_at, id) = (page.after.map(|after| after.created_at), page.after.map(|after| after.id));
        // One more than asked for tells whether there are more.
        let limit = page.limit.saturating_add(1);
        let [caller, rows, count, sums, agents] = self
            .run([
                Query::new(AUTHORIZE, &[&user_id, &roles]),
                Query::new(
                    LIST,
                    &[&user_id, &roles, &status, &include_released, assigned, agent_id, search, &created_at, &id, &limit, &page.offset],
                ),
                Query::new(COUNT, &[&user_id, &roles, &status, &include_released, assigned, agent_id, search]),
                Query::new(SUMMARY, &[&user_id, &roles]),
                Query::new(agents::AVAILABLE, &[&user_id, &roles, &with_agents]),
            ])
            .await?;
        let agency_id = actor(user_id, &caller)?.agency_id;
        let mut numbers = rows.iter().map(phone_number).collect::<Result<Vec<_>, _>>()?;
        let wanted = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let more = numbers.len() > wanted;
        numbers.truncate(wanted);
        let next = numbers.last().filter(|_| more).map(|last| Position { created_at: last.created_at, id: last.id });
        Ok(Listing {
            agency_id,
            numbers,
            next,
            total: count.first().map_or(Ok(0), |row| column(row, "total"))?,
            summary: summary(&sums)?,
            agents: agents.iter().map(agents::available).collect::<Result<_, _>>()?,
        })
    }

    /// All of the caller's numbers that the filter lets through, and the caller's agents.
    ///
    /// # Errors
    /// `Forbidden`, and the database's own.
    pub async fn assignment(&self, user_id: Uuid, status: Option<Status>, assigned: Option<bool>) -> Result<Assignment, Error> {
        let roles = Permission::Read.roles();
        let status = status.map(Status::as_str);
        let none = (None::<Uuid>, None::<String>, None::<DateTime<Utc>>, None::<i64>);
        let [caller, rows, agents] = self
            .run([
                Query::new(AUTHORIZE, &[&user_id, &roles]),
                Query::new(
                    LIST,
                    &[&user_id, &roles, &status, &status.is_some(), &assigned, &none.0, &none.1, &none.2, &none.0, &none.3, &0_i64],
                ),
                Query::new(agents::AVAILABLE, &[&user_id, &roles, &true]),
            ])
            .await?;
        actor(user_id, &caller)?;
        Ok(Assignment {
            numbers: rows.iter().map(phone_number).collect::<Result<_, _>>()?,
            agents: agents.iter().map(agents::available).collect::<Result<_, _>>()?,
        })
    }
}

fn summary(rows: &[Row]) -> Result<Summary, Error> {
    let mut summary = Summary::default();
    for row in rows {
        summary.total += column::<i64>(row, "total")?;
        summary.active += column::<i64>(row, "active")?;
        summary.pending += column::<i64>(row, "pending")?;
        summary.inactive += column::<i64>(row, "inactive")?;
        summary.released += column::<i64>(row, "released")?;
        summary.assigned += column::<i64>(row, "assigned")?;
        summary.unassigned += column::<i64>(row, "unassigned")?;
        if let Some(amount) = column::<Option<Decimal>>(row, "monthly_cost")? {
            summary.monthly_cost.push(Cost { currency: column(row, "currency")?, amount: Money(amount) });
        }
    }
    Ok(summary)
}
