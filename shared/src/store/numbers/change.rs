//! The rows of `agency_phone_numbers`, one by one: how they are read, shown and changed.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::error::Error;
use crate::model::{Actor, AgentMapping, Direction, Money, Patch, PendingPurchase, Permission, PhoneNumber, Status};
use crate::store::callers::{AUTHORIZE, actor};
use crate::store::{Query, Store, column, word};

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

/// Every column that [`phone_number`] reads: the row's, those of its agent `m`, and those of the purchase `o` that a pending
/// row waits for.
macro_rules! shown_columns {
    () => {
        concat!(
            columns!(),
            ",
       m.id as agent_id,
       m.ultravox_agent_id,
       m.ultravox_agent_name,
       m.voice,
       m.language_hint,
       m.recording_enabled,
       o.id as purchase_id,
       o.requirements_met,
       o.requirements_deadline"
        )
    };
}

/// What [`shown_columns`] takes beside the row. An agent is joined by its agency too: should the platform move one to
/// another agency, the row shows no agent rather than another tenant's.
macro_rules! shown_joins {
    () => {
        "left join phone_number_purchases o
  on o.agency_phone_number_id = n.id
  and n.status = 'pending'
  and o.phase in ('intended', 'ordering', 'ordered')
left join agent_mappings m on m.id = n.agent_mapping_id and m.agency_id = n.agency_id"
    };
}

pub(in crate::store) use {caller, columns, lives, shown_columns, shown_joins, stored_columns};

pub(in crate::store) const GET: &str = concat!(
    "-- numbers.get\n",
    caller!(),
    "\nselect ",
    shown_columns!(),
    "
from caller c
",
    lives!(),
    "\n",
    shown_joins!(),
    "
where n.id = $3 /* id */"
);

/// Rows by their ids, in the table or in the archive. Each part has its own condition, so that it uses its own index.
const OF_AGENCY: &str = concat!(
    "-- numbers.of_agency\n",
    "select ",
    shown_columns!(),
    "
from (
  select ",
    stored_columns!(),
    "
  from agency_phone_numbers n
  where n.agency_id = $1 /* agency_id */
    and n.id = any($2::uuid[] /* ids */)
  union all
  select ",
    stored_columns!(),
    "
  from agency_phone_numbers_archive a
  cross join lateral jsonb_populate_record(null::agency_phone_numbers, a.record) n
  where a.agency_id = $1
    and a.id = any($2)
) n
",
    shown_joins!()
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
         $13::timestamptz[] /* expected */ is null or n.updated_at = any($13) as expected,
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
    and t.expected
    and ($5::uuid is null or exists (select from agent))
    and ($12::text is null or t.status in ('active', 'inactive'))
  returning ",
    columns!(),
    "
)
select coalesce(t.released, true) as released,
       t.status in ('active', 'inactive') as has_status_to_choose,
       exists (select from agent) as agent_found,
       n.id is not null as changed,
       ",
    // The columns are those of the changed row, whose words are text already.
    shown_columns!(),
    "
from (select t.id from target t union all select a.id from archived a) f
left join target t on t.id = f.id
left join changed n on n.id = f.id
",
    shown_joins!()
);

pub(in crate::store) const STATEMENTS: &[&str] = &[GET, OF_AGENCY, CHANGE];

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

impl Store {
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

    /// Those of `ids` that are the agency's, archived rows included, for a caller already permitted, in no particular order.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` if the query fails.
    pub async fn numbers_of(&self, actor: &Actor, ids: &[Uuid]) -> Result<Vec<PhoneNumber>, Error> {
        let rows = self.rows(OF_AGENCY, &[&actor.agency_id, &ids]).await?;
        rows.iter().map(phone_number).collect()
    }

    /// Changes one of the caller's numbers and returns it as it is then; where times are `expected`, only if it was last
    /// changed at one of them. A change that had to be asked for twice, because the connection died over it, may have been
    /// made and meet itself the second time.
    ///
    /// # Errors
    /// `Forbidden`; `NotFound`: no such number or agent; `PhoneNumberReleased`; `PurchaseInProgress`: a number that is
    /// not bought yet has no status to choose; `PreconditionFailed`: nothing but the time was against it; and the database's
    /// own.
    pub async fn change(&self, user_id: Uuid, id: Uuid, change: &Change, expected: Option<&[DateTime<Utc>]>) -> Result<PhoneNumber, Error> {
        let roles = Permission::Change.roles();
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
                        &expected,
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
        if status.is_some() && !column::<bool>(row, "has_status_to_choose")? {
            return Err(Error::PurchaseInProgress);
        }
        Err(Error::PreconditionFailed)
    }
}

/// A row of another agency does not exist: the words are the same.
pub(in crate::store) fn no_such_number(field: &str) -> Error {
    Error::NotFound { what: "phone number", field: field.to_owned() }
}

fn parts<T>(patch: &Patch<T>) -> (bool, Option<&T>) {
    match patch {
        Patch::Keep => (false, None),
        Patch::Clear => (true, None),
        Patch::Set(value) => (true, Some(value)),
    }
}

pub(in crate::store) fn phone_number(row: &Row) -> Result<PhoneNumber, Error> {
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
