//! Which rows of an agency a list shows, in the order of their age, youngest first.
//!
//! Each kind of selection has a statement of its own, made of parts: the rows of each status, with an agent and without. A part reads the
//! places of its rows in the list from an index that has nothing else in them, in the order of the list, and no more of them than are
//! wanted. Only then are the rows at these places read. To read from the index alone is the cheapest way whatever the planner knows
//! about the agency: generic plans are made for one of average size, for which it would as soon read all rows and sort them. What is
//! not wanted is decided before a part is read.

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::model::{Caller, PhoneNumber, Status};
use crate::store::Parameter;

/// Whether a row is behind the position in the list: `$5` and `$6`, or the beginning.
macro_rules! is_behind {
    ($row:literal) => {
        concat!(
            "(",
            $row,
            ".created_at, ",
            $row,
            ".id) < (coalesce($5::timestamptz /* created_at */, 'infinity'), ",
            "coalesce($6::uuid /* id */, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))"
        )
    };
}

/// The places of the youngest rows in one status that fulfil a condition, `$limit` of them at most. The condition must be one that an
/// index has.
macro_rules! in_status {
    ($status:literal, $condition:literal, $limit:literal) => {
        concat!(
            "(
  select n.agency_id, n.created_at, n.id
  from agency_phone_numbers n
  where n.agency_id = c.agency_id
    and n.status = '",
            $status,
            "'
    and ",
            $condition,
            "
    and '",
            $status,
            "' = any($3::text[] /* statuses */)
    and ",
            is_behind!("n"),
            "
  order by n.created_at desc, n.id desc
  limit ",
            $limit,
            "
)"
        )
    };
}

/// The same of archived rows.
macro_rules! in_archive {
    ($condition:literal, $limit:literal) => {
        concat!(
            "(
  select a.agency_id, a.created_at, a.id
  from agency_phone_numbers_archive a
  where a.agency_id = c.agency_id
    and ",
            $condition,
            "
    and 'released' = any($3)
    and ",
            is_behind!("a"),
            "
  order by a.created_at desc, a.id desc
  limit ",
            $limit,
            "
)"
        )
    };
}

/// The places of the youngest rows, `$limit` of each part at most.
macro_rules! all_by_age {
    ($limit:literal) => {
        concat!(
            all_by_age!(@ "pending", $limit),
            all_by_age!(@ "active", $limit),
            all_by_age!(@ "inactive", $limit),
            all_by_age!(@ "released", $limit),
            in_archive!("a.record ->> 'agent_mapping_id' is not null and $4 is distinct from false", $limit),
            "\nunion all\n",
            in_archive!("a.record ->> 'agent_mapping_id' is null and $4 is distinct from true", $limit)
        )
    };
    (@ $status:literal, $limit:literal) => {
        concat!(
            in_status!($status, "n.agent_mapping_id is not null and $4::boolean /* assigned */ is distinct from false", $limit),
            "\nunion all\n",
            in_status!($status, "n.agent_mapping_id is null and $4 is distinct from true", $limit),
            "\nunion all\n"
        )
    };
}

/// The places of the youngest rows of an agent, `$limit` of each part at most. Archived rows have an agent only if another program left
/// it there: all of those are read.
macro_rules! of_agent_by_age {
    ($limit:literal) => {
        concat!(
            of_agent_by_age!(@ "pending", $limit),
            of_agent_by_age!(@ "active", $limit),
            of_agent_by_age!(@ "inactive", $limit),
            of_agent_by_age!(@ "released", $limit),
            "(
select a.agency_id, a.created_at, a.id
from ",
            in_archive!("a.record ->> 'agent_mapping_id' is not null and $4 is distinct from false", "all"),
            " k
cross join lateral (
  select a.agency_id, a.created_at, a.id
  from agency_phone_numbers_archive a
  where a.agency_id = c.agency_id
    and a.id = k.id
    and a.record ->> 'agent_mapping_id' = $9::text
  limit 1
) a
)"
        )
    };
    (@ $status:literal, $limit:literal) => {
        concat!(
            in_status!($status, "n.agent_mapping_id = $9::uuid /* agent_id */ and $4::boolean /* assigned */ is distinct from false", $limit),
            "\nunion all\n"
        )
    };
}

/// The places that are shown, of those in `$places`.
macro_rules! cut {
    ($places:expr) => {
        concat!(
            "select k.agency_id, k.created_at, k.id
from (
",
            $places,
            "
) k
order by k.created_at desc, k.id desc
limit $7::bigint /* limit */
offset $8::bigint /* offset */"
        )
    };
}

/// As many of the places in `$places` as are counted, in no order: for a text that many rows have, the index returns all of them, and
/// not all need be read.
macro_rules! any {
    ($places:expr) => {
        concat!(
            "select k.agency_id, k.created_at, k.id
from (
",
            $places,
            "
) k
limit $7::bigint /* limit */
offset $8::bigint /* offset */"
        )
    };
}

/// The row `n` at a place `k`, archived or not.
macro_rules! row_at {
    () => {
        concat!(
            "select ",
            stored_columns!(),
            "
from agency_phone_numbers n
where n.agency_id = c.agency_id
  and n.id = k.id
union all
select ",
            stored_columns!(),
            "
from agency_phone_numbers_archive a
cross join lateral jsonb_populate_record(null::agency_phone_numbers, a.record) n
where a.agency_id = c.agency_id
  and a.id = k.id
limit 1"
        )
    };
}

/// The places of a selection, in the order of the list.
macro_rules! selected {
    (all) => {
        cut!(all_by_age!("$7::bigint + $8::bigint"))
    };
    (of_agent) => {
        cut!(of_agent_by_age!("$7::bigint + $8::bigint"))
    };
    (searched) => {
        searched!(cut)
    };
}

pub(super) use {all_by_age, any, cut, in_archive, in_status, is_behind, of_agent_by_age, row_at, selected};

/// The rows of an agency that the list shows. Members that are None do not restrict it.
///
/// A cursor stores it as JSON: members without effect are left out, so that cursors stay valid if a filter is added.
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

impl ListFilter {
    fn statuses(&self) -> Vec<&'static str> {
        let released = self.include_released.then_some(Status::Released);
        let statuses: Vec<_> = match self.status {
            Some(status) => vec![status],
            None => [Status::Pending, Status::Active, Status::Inactive].into_iter().chain(released).collect(),
        };
        statuses.into_iter().map(Status::as_str).collect()
    }

    /// Whether the sums of the agency tell how many rows it lets through.
    pub(super) const fn is_counted(&self) -> bool {
        self.status.is_none() && self.assigned.is_none() && self.agent_id.is_none() && self.search.is_none()
    }
}

/// A place in the list, which is ordered by age, youngest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The row's `created_at`.
    pub created_at: DateTime<Utc>,
    /// The row's id.
    pub id: Uuid,
}

impl Position {
    /// The place of a row.
    #[must_use]
    pub const fn of(number: &PhoneNumber) -> Self {
        Self { created_at: number.created_at, id: number.id }
    }
}

/// A statement for each kind of selection.
pub(super) struct ByKind {
    pub(super) all: &'static str,
    pub(super) of_agent: &'static str,
    pub(super) searched: &'static str,
}

/// The parameters of a selection.
pub(super) struct Selection<'a> {
    caller: &'a Caller,
    statuses: Vec<&'static str>,
    filter: &'a ListFilter,
    created_at: Option<DateTime<Utc>>,
    id: Option<Uuid>,
    limit: i64,
    offset: i64,
    scanned: i64,
    is_indexed: bool,
}

impl<'a> Selection<'a> {
    pub(super) fn new(caller: &'a Caller, filter: &'a ListFilter, after: Option<Position>, limit: i64, offset: i64) -> Self {
        let is_indexed = super::search::is_indexed(filter);
        Self {
            caller,
            statuses: filter.statuses(),
            filter,
            created_at: after.map(|after| after.created_at),
            id: after.map(|after| after.id),
            limit,
            offset,
            scanned: if is_indexed { super::search::SCANNED } else { i64::MAX },
            is_indexed,
        }
    }

    /// The statement for this selection.
    pub(super) const fn statement(&self, statements: &ByKind) -> &'static str {
        match self.filter {
            ListFilter { search: Some(_), .. } => statements.searched,
            ListFilter { agent_id: Some(_), .. } => statements.of_agent,
            _ => statements.all,
        }
    }

    /// The parameters of that statement.
    pub(super) fn parameters(&self) -> Vec<&dyn Parameter> {
        let filter = self.filter;
        let mut parameters: Vec<&dyn Parameter> = vec![
            &self.caller.user_id,
            &self.caller.roles,
            &self.statuses,
            &filter.assigned,
            &self.created_at,
            &self.id,
            &self.limit,
            &self.offset,
        ];
        if filter.search.is_some() || filter.agent_id.is_some() {
            parameters.push(&filter.agent_id);
        }
        if filter.search.is_some() {
            parameters.extend([&filter.search as &dyn Parameter, &filter.number, &self.scanned, &self.is_indexed]);
        }
        parameters
    }
}
