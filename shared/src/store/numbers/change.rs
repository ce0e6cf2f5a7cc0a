//! The change of one row on behalf of its agency.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::read::no_such_number;
use super::row::phone_number;
use crate::error::Error;
use crate::model::{Direction, Patch, Permission, PhoneNumber, Status};
use crate::store::callers::{AUTHORIZE, actor, caller};
use crate::store::{Query, Store, column};

/// Changes a row if everything holds, and tells in the same answer what did not. That a release has begun is read from
/// the row itself, which is locked: another table would be seen as it was when the statement began.
const CHANGE: &str = concat!(
    "-- numbers.change.update\n",
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

pub(in crate::store) const STATEMENTS: &[&str] = &[CHANGE];

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
    /// Changes one of the caller's numbers and returns it as it is then; where times are `expected`, only if it was last
    /// changed at one of them. A change that had to be asked for twice, because the connection died over it, may have been
    /// made and meet itself the second time.
    ///
    /// # Errors
    /// `Forbidden`; `NotFound`: no such number or agent; `PhoneNumberReleased`; `PurchaseInProgress`: a number that is
    /// not bought yet has no status to choose; `PreconditionFailed`: nothing but the time was against it; and the database's
    /// own.
    pub async fn change(&self, user_id: Uuid, id: Uuid, change: &Change, expected: Option<&[DateTime<Utc>]>) -> Result<PhoneNumber, Error> {
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

fn parts<T>(patch: &Patch<T>) -> (bool, Option<&T>) {
    match patch {
        Patch::Keep => (false, None),
        Patch::Clear => (true, None),
        Patch::Set(value) => (true, Some(value)),
    }
}
