//! The rows of `agency_phone_numbers`: read, assigned, changed.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::Value;
use tokio_postgres::Row;
use uuid::Uuid;

use super::callers::{AUTHORIZE, actor};
use super::{Query, Store, agents, column, word};
use crate::error::Error;
use crate::model::{
    Actor, AgentMapping, AvailableAgent, Direction, HistoryEntry, Money, Patch, PendingPurchase, Permission, PhoneNumber, Status,
};

/// The caller `$1`, if one of the roles `$2` is theirs: what every statement on behalf of a user begins with.
macro_rules! caller {
    () => {
        "with caller as (
  select u.agency_id
  from users u
  where u.id = $1 /* user_id */
    and u.agency_id is not null
    and u.role::text = any($2::text[] /* roles */)
)"
    };
}

/// Every column of a row `n`.
macro_rules! columns {
    () => {
        "n.id,
       n.agency_id,
       n.phone_number,
       n.phone_number_id,
       n.friendly_name,
       n.number_type,
       n.country_code,
       n.voice_enabled,
       n.sms_enabled,
       n.mms_enabled,
       n.agent_mapping_id,
       n.direction::text as direction,
       n.monthly_cost,
       n.setup_cost,
       n.currency,
       n.status::text as status,
       n.is_active,
       n.purchased_at,
       n.released_at,
       n.created_at,
       n.updated_at"
    };
}

/// The columns of the purchase `o` that a pending row waits for.
macro_rules! purchase_columns {
    () => {
        "o.id as purchase_id,
       o.requirements_met,
       o.requirements_deadline"
    };
}

macro_rules! purchase_join {
    () => {
        "left join phone_number_purchases o
  on o.agency_phone_number_id = n.id
  and n.status = 'pending'
  and o.phase in ('intended', 'ordering', 'ordered')"
    };
}

/// Every column of a row as it is stored.
macro_rules! stored_columns {
    () => {
        "n.id, n.agency_id, n.phone_number, n.phone_number_id, n.friendly_name, n.number_type, n.country_code,
         n.voice_enabled, n.sms_enabled, n.mms_enabled, n.agent_mapping_id, n.direction, n.monthly_cost, n.setup_cost,
         n.currency, n.status, n.is_active, n.purchased_at, n.released_at, n.created_at, n.updated_at"
    };
}

/// The rows `n` of an agency `c`: those there are, and those of numbers that were bought again since.
macro_rules! lives {
    () => {
        concat!(
            "cross join lateral (
  select ",
            stored_columns!(),
            "
  from agency_phone_numbers n
  where n.agency_id = c.agency_id
  union all
  select ",
            stored_columns!(),
            "
  from agency_phone_numbers_archive a
  cross join lateral jsonb_populate_record(null::agency_phone_numbers, a.record) n
  where a.agency_id = c.agency_id
) n"
        )
    };
}

/// The columns of a row's agent `m`, which is joined by its agency too: should the platform move an agent to another
/// agency, the row shows no agent rather than another tenant's.
macro_rules! agent_columns {
    () => {
        "m.id as agent_id,
       m.ultravox_agent_id,
       m.ultravox_agent_name,
       m.voice,
       m.language_hint,
       m.recording_enabled"
    };
}

/// The rows that a [`ListFilter`] lets through.
macro_rules! filter {
    () => {
        "left join agent_mappings m on m.id = n.agent_mapping_id and m.agency_id = n.agency_id
where ($3::text is null or n.status = $3::text::phone_number_status) /* status */
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
    columns!(),
    ",\n       ",
    agent_columns!(),
    ",\n       ",
    purchase_columns!(),
    "\nfrom caller c\n",
    lives!(),
    "\n",
    purchase_join!(),
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

const GET: &str = concat!(
    "-- numbers.get\n",
    caller!(),
    "\nselect ",
    columns!(),
    ",\n       ",
    agent_columns!(),
    ",\n       ",
    purchase_columns!(),
    "
from caller c
",
    lives!(),
    "\n",
    purchase_join!(),
    "
left join agent_mappings m on m.id = n.agent_mapping_id and m.agency_id = n.agency_id
where n.id = $3 /* id */"
);

/// What happened to one of the caller's rows, in the order it happened.
const HISTORY: &str = concat!(
    "-- numbers.history\n",
    caller!(),
    "
select h.at,
       h.event,
       h.actor,
       h.changes
from phone_number_history h
join caller c on c.agency_id = h.agency_id
where h.agency_phone_number_id = $3 /* id */
order by h.id"
);

const OF_AGENCY: &str = concat!(
    "-- numbers.of_agency\n",
    "select ",
    columns!(),
    ",\n       ",
    agent_columns!(),
    ",\n       ",
    purchase_columns!(),
    "
from agency_phone_numbers n
",
    purchase_join!(),
    "
left join agent_mappings m on m.id = n.agent_mapping_id and m.agency_id = n.agency_id
where n.agency_id = $1 /* agency_id */
  and n.id = any($2::uuid[] /* ids */)"
);

/// Changes a row if everything holds, and tells in the same answer what did not. That a release has begun is read from
/// the row itself, which is locked: another table would be seen as it was when the statement began.
const CHANGE: &str = concat!(
    "-- numbers.change\n",
    caller!(),
    ", target as (
  select n.id,
         n.status,
         n.status = 'released' or not n.is_active as released,
         set_config('phone_numbers.actor', $1::text, true) as actor
  from agency_phone_numbers n
  join caller c on c.agency_id = n.agency_id
  where n.id = $3 /* id */
  for update of n
), archived as (
  select a.id
  from agency_phone_numbers_archive a
  join caller c on c.agency_id = a.agency_id
  where a.id = $3
), agent as (
  select m.id
  from agent_mappings m
  join caller c on c.agency_id = m.agency_id
  where m.id = $5 /* agent */
), changed as (
  update agency_phone_numbers n
  set agent_mapping_id = case when $4 /* set_agent */ then $5 else n.agent_mapping_id end,
      direction = coalesce($6::text::call_direction, n.direction),
      friendly_name = case when $7 /* set_name */ then $8::text else n.friendly_name end,
      voice_enabled = coalesce($9::boolean, n.voice_enabled),
      sms_enabled = coalesce($10::boolean, n.sms_enabled),
      mms_enabled = coalesce($11::boolean, n.mms_enabled),
      status = coalesce($12::text::phone_number_status, n.status)
  from target t
  where n.id = t.id
    and not t.released
    and ($5::uuid is null or exists (select from agent))
    and ($12::text is null or t.status in ('active', 'inactive'))
  returning ",
    columns!(),
    "
)
select coalesce(t.released, true) as released,
       exists (select from agent) as agent_found,
       n.id is not null as changed,
       ",
    // The columns are those of the changed row, whose words are text already.
    columns!(),
    ",\n       ",
    agent_columns!(),
    ",\n       ",
    purchase_columns!(),
    "
from (select t.id from target t union all select a.id from archived a) f
left join target t on t.id = f.id
left join changed n on n.id = f.id
",
    purchase_join!(),
    "
left join agent_mappings m on m.id = n.agent_mapping_id and m.agency_id = n.agency_id"
);

pub(super) const STATEMENTS: &[&str] = &[LIST, COUNT, SUMMARY, GET, HISTORY, OF_AGENCY, CHANGE];

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

/// What to change in a row; what is None or `Keep` stays as it is.
#[derive(Clone, Debug)]
pub struct Change {
    /// The agent.
    pub agent: Patch<Uuid>,
    /// The default direction.
    pub direction: Option<Direction>,
    /// The label.
    pub friendly_name: Patch<String>,
    /// Calls.
    pub voice_enabled: Option<bool>,
    /// SMS.
    pub sms_enabled: Option<bool>,
    /// MMS.
    pub mms_enabled: Option<bool>,
    /// `active` or `inactive`.
    pub status: Option<Status>,
}

impl Default for Change {
    fn default() -> Self {
        Self {
            agent: Patch::Keep,
            direction: None,
            friendly_name: Patch::Keep,
            voice_enabled: None,
            sms_enabled: None,
            mms_enabled: None,
            status: None,
        }
    }
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
        let roles = Permission::Read.roles();
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

    /// One of the caller's numbers.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, and the database's own.
    pub async fn number(&self, user_id: Uuid, id: Uuid) -> Result<PhoneNumber, Error> {
        let roles = Permission::Read.roles();
        let [caller, rows] = self.run([Query::new(AUTHORIZE, &[&user_id, &roles]), Query::new(GET, &[&user_id, &roles, &id])]).await?;
        actor(user_id, &caller)?;
        rows.first().map_or_else(|| Err(no_such_number("id")), phone_number)
    }

    /// One of the caller's numbers, and what happened to it.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, and the database's own.
    pub async fn number_with_history(&self, user_id: Uuid, id: Uuid) -> Result<(PhoneNumber, Vec<HistoryEntry>), Error> {
        let roles = Permission::Read.roles();
        let [caller, rows, history] = self
            .run([
                Query::new(AUTHORIZE, &[&user_id, &roles]),
                Query::new(GET, &[&user_id, &roles, &id]),
                Query::new(HISTORY, &[&user_id, &roles, &id]),
            ])
            .await?;
        actor(user_id, &caller)?;
        let number = rows.first().map_or_else(|| Err(no_such_number("id")), phone_number)?;
        Ok((number, history.iter().map(history_entry).collect::<Result<_, _>>()?))
    }

    /// Those of `ids` that are the agency's, for a caller already permitted, in no particular order.
    ///
    /// # Errors
    /// The database's own.
    pub async fn numbers_of(&self, actor: &Actor, ids: &[Uuid]) -> Result<Vec<PhoneNumber>, Error> {
        let rows = self.rows(OF_AGENCY, &[&actor.agency_id, &ids]).await?;
        rows.iter().map(phone_number).collect()
    }

    /// Changes one of the caller's numbers and returns it as it is then.
    ///
    /// # Errors
    /// `Forbidden`; `NotFound`: no such number or agent; `PhoneNumberReleased`; `PurchaseInProgress`: a number that is
    /// not bought yet has no status to choose; and the database's own.
    pub async fn change(&self, user_id: Uuid, id: Uuid, change: &Change) -> Result<PhoneNumber, Error> {
        let roles = Permission::Manage.roles();
        let (set_agent, agent) = parts(&change.agent);
        let (set_name, name) = parts(&change.friendly_name);
        let direction = change.direction.map(Direction::as_str);
        let status = change.status.map(Status::as_str);
        let [caller, rows] = self
            .run([
                Query::new(AUTHORIZE, &[&user_id, &roles]),
                Query::new(
                    CHANGE,
                    &[
                        &user_id,
                        &roles,
                        &id,
                        &set_agent,
                        &agent,
                        &direction,
                        &set_name,
                        &name,
                        &change.voice_enabled,
                        &change.sms_enabled,
                        &change.mms_enabled,
                        &status,
                    ],
                ),
            ])
            .await?;
        actor(user_id, &caller)?;
        let row = rows.first().ok_or_else(|| no_such_number("phone_number_id"))?;
        if column(row, "changed")? {
            return phone_number(row);
        }
        if column(row, "released")? {
            return Err(Error::PhoneNumberReleased);
        }
        if agent.is_some() && !column::<bool>(row, "agent_found")? {
            return Err(Error::NotFound { what: "agent", field: "agent_mapping_id".to_owned() });
        }
        Err(Error::PurchaseInProgress)
    }
}

/// A row of another agency does not exist: the words are the same.
fn no_such_number(field: &str) -> Error {
    Error::NotFound { what: "phone number", field: field.to_owned() }
}

fn parts<T>(patch: &Patch<T>) -> (bool, Option<&T>) {
    match patch {
        Patch::Keep => (false, None),
        Patch::Clear => (true, None),
        Patch::Set(value) => (true, Some(value)),
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

pub(super) fn phone_number(row: &Row) -> Result<PhoneNumber, Error> {
    let direction: Option<&str> = column(row, "direction")?;
    Ok(PhoneNumber {
        id: column(row, "id")?,
        agency_id: column(row, "agency_id")?,
        phone_number: column(row, "phone_number")?,
        phone_number_id: column(row, "phone_number_id")?,
        friendly_name: column(row, "friendly_name")?,
        number_type: column(row, "number_type")?,
        country_code: column(row, "country_code")?,
        voice_enabled: column(row, "voice_enabled")?,
        sms_enabled: column(row, "sms_enabled")?,
        mms_enabled: column(row, "mms_enabled")?,
        agent_mapping_id: column(row, "agent_mapping_id")?,
        direction: direction.map(|_| word(row, "direction")).transpose()?,
        monthly_cost: column::<Option<Decimal>>(row, "monthly_cost")?.map(Money),
        setup_cost: column::<Option<Decimal>>(row, "setup_cost")?.map(Money),
        currency: column(row, "currency")?,
        status: word(row, "status")?,
        is_active: column(row, "is_active")?,
        purchased_at: column(row, "purchased_at")?,
        released_at: column(row, "released_at")?,
        created_at: column(row, "created_at")?,
        updated_at: column(row, "updated_at")?,
        agent_mappings: agent_mapping(row)?,
        purchase: pending_purchase(row)?,
    })
}

fn pending_purchase(row: &Row) -> Result<Option<PendingPurchase>, Error> {
    let Some(_) = column::<Option<Uuid>>(row, "purchase_id")? else { return Ok(None) };
    Ok(Some(PendingPurchase {
        requirements_met: column(row, "requirements_met")?,
        requirements_deadline: column(row, "requirements_deadline")?,
    }))
}

fn history_entry(row: &Row) -> Result<HistoryEntry, Error> {
    let mut changes: Value = column(row, "changes")?;
    for (name, change) in changes.as_object_mut().into_iter().flatten() {
        for value in change.as_object_mut().into_iter().flat_map(|sides| sides.values_mut()) {
            if let Some(shown) = as_shown(name, value) {
                *value = shown;
            }
        }
    }
    Ok(HistoryEntry { at: column(row, "at")?, event: column(row, "event")?, actor: column(row, "actor")?, changes })
}

/// The history has amounts as numbers, and times in the zone of whoever wrote them: callers see them as in the row.
fn as_shown(name: &str, value: &Value) -> Option<Value> {
    match (name, value) {
        ("monthly_cost" | "setup_cost", Value::Number(amount)) => Some(Money(amount.to_string().parse().ok()?).to_string().into()),
        ("purchased_at" | "released_at" | "created_at", Value::String(time)) => {
            serde_json::to_value(time.parse::<DateTime<Utc>>().ok()?).ok()
        }
        _ => None,
    }
}

fn agent_mapping(row: &Row) -> Result<Option<AgentMapping>, Error> {
    let Some(id) = column(row, "agent_id")? else { return Ok(None) };
    Ok(Some(AgentMapping {
        id,
        ultravox_agent_id: column(row, "ultravox_agent_id")?,
        ultravox_agent_name: column(row, "ultravox_agent_name")?,
        voice: column(row, "voice")?,
        language_hint: column(row, "language_hint")?,
        recording_enabled: column(row, "recording_enabled")?,
    }))
}
