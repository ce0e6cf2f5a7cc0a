//! The list of an agency's numbers: pages, totals and sums.

use tokio_postgres::Row;
use uuid::Uuid;

use super::count::{COUNTS, EXACT_TOTAL, SUMMARY, Summary, Total, summary};
use super::page::PAGES;
use super::row::phone_number;
use super::selection::{ListFilter, Position, Selection};
use crate::error::Error;
use crate::model::{AvailableAgent, Caller, PhoneNumber};
use crate::store::callers::{AUTHORIZE, actor};
use crate::store::tenant::Tenant;
use crate::store::{Parameter, Query, Store, agents};

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
    pub total: Total,
    /// The agency's rows in sum.
    pub summary: Summary,
    /// The agency's agents, if wanted.
    pub agents: Vec<AvailableAgent>,
}

/// The rows to assign agents to, and the agents.
#[derive(Debug)]
pub struct NumbersAndAgents {
    /// The caller's agency.
    pub agency_id: Uuid,
    /// The rows.
    pub numbers: Vec<PhoneNumber>,
    /// Where the rows behind these begin, if there are any.
    pub next: Option<Position>,
    /// The agency's agents, if wanted.
    pub agents: Vec<AvailableAgent>,
}

impl Store {
    /// A page of the caller's numbers, how many there are in all, their summary and, if wanted, the agents, in one round trip.
    ///
    /// # Errors
    /// `Forbidden`; `Unavailable` or `Internal` if a query fails.
    pub async fn list(&self, caller: &Caller, filter: &ListFilter, page: ListPage, with_agents: bool) -> Result<Listing, Error> {
        let Caller { user_id, roles } = caller;
        let selection = Selection::new(caller, filter, page.after, one_more(page.limit), page.offset);
        let counted = Selection::new(caller, filter, None, one_more(EXACT_TOTAL), 0);
        let (rows_of_page, rows_of_count) = (selection.parameters(), counted.parameters());
        let callers: [&dyn Parameter; 3] = [user_id, roles, &with_agents];
        let queries = [
            Query::new(AUTHORIZE, &callers[..2]),
            Query::new(selection.statement(&PAGES), &rows_of_page),
            Query::new(SUMMARY, &callers[..2]),
            Query::new(agents::AVAILABLE, &callers),
        ];
        let ([callers, rows, sums, agents], count) = if filter.is_counted() {
            (self.run(queries).await?, None)
        } else {
            let [authorize, page, sums, agents] = queries;
            let count = Query::new(counted.statement(&COUNTS), &rows_of_count);
            let [callers, rows, sums, agents, count] = self.run([authorize, page, sums, agents, count]).await?;
            ([callers, rows, sums, agents], Some(count))
        };
        let actor = actor(caller, &callers)?;
        let tenant = Tenant::from(&actor);
        let summary = summary(tenant, &sums)?;
        let (numbers, next) = cut(tenant, &rows, page.limit)?;
        let total = count.map_or_else(|| Ok(Total::in_sum(&summary, filter)), |count| Total::counted(tenant, &count))?;
        let agents = tenant.read(&agents, agents::available)?;
        Ok(Listing { agency_id: actor.agency_id, numbers, next, total, summary, agents })
    }

    /// The caller's numbers that a filter shows, `limit` of them at most, those behind `after` if that is given, and, if wanted, the
    /// caller's agents.
    ///
    /// # Errors
    /// `Forbidden`; `Unavailable` or `Internal` if a query fails.
    pub async fn numbers_and_agents(
        &self,
        caller: &Caller,
        filter: &ListFilter,
        after: Option<Position>,
        limit: i64,
        with_agents: bool,
    ) -> Result<NumbersAndAgents, Error> {
        let Caller { user_id, roles } = caller;
        let selection = Selection::new(caller, filter, after, one_more(limit), 0);
        let [callers, rows, agents] = self
            .run([
                Query::new(AUTHORIZE, &[user_id, roles]),
                Query::new(selection.statement(&PAGES), &selection.parameters()),
                Query::new(agents::AVAILABLE, &[user_id, roles, &with_agents]),
            ])
            .await?;
        let actor = actor(caller, &callers)?;
        let tenant = Tenant::from(&actor);
        let (numbers, next) = cut(tenant, &rows, limit)?;
        Ok(NumbersAndAgents { agency_id: actor.agency_id, numbers, next, agents: tenant.read(&agents, agents::available)? })
    }
}

/// One more row than asked for shows whether there is a next page.
const fn one_more(limit: i64) -> i64 {
    limit.saturating_add(1)
}

/// The rows of a page, and where the next one begins.
fn cut(tenant: Tenant, rows: &[Row], limit: i64) -> Result<(Vec<PhoneNumber>, Option<Position>), Error> {
    let mut numbers = tenant.read(rows, phone_number)?;
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = numbers.len() > wanted;
    numbers.truncate(wanted);
    let next = numbers.last().filter(|_| more).map(Position::of);
    Ok((numbers, next))
}
