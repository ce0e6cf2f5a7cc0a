//! The change of one row on behalf of its agency.

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::read::no_such_number;
use super::row::phone_number;
use crate::error::Error;
use crate::model::{Caller, Direction, Patch, PhoneNumber, Status};
use crate::store::callers::{AUTHORIZE, actor, caller};
use crate::store::tenant::Tenant;
use crate::store::{Query, Store};

/// Changes a row if all conditions hold, and returns which of them did not. Whether a release has begun is read from
/// the row itself, which is locked: another table would be seen as it was when the statement began.
const UPDATE: &str = concat!(
    "-- numbers.change.update\n",
    caller!(),
    ", target as (
  select n.id,
         n.agency_id,
         n.status,
         n.status = 'released' or not n.is_active as released,
         $5::timestamptz[] /* expected */ is null or n.updated_at = any($5) as expected,
         phone_numbers_sign($1::text) as signature
  from agency_phone_numbers n
  join caller c on c.agency_id = n.agency_id
  where n.id = $3 /* id */
  for update of n
), archived as (
  select a.id,
         a.agency_id
  from agency_phone_numbers_archive a
  join caller c on c.agency_id = a.agency_id
  where a.id = $3
), agent as (
  select m.id
  from agent_mappings m
  join caller c on c.agency_id = m.agency_id
  where m.id = ($4::jsonb /* change */ ->> 'agent_mapping_id')::uuid
), changed as (
  update agency_phone_numbers n
  set agent_mapping_id = (jsonb_populate_record(n, $4)).agent_mapping_id,
      direction = (jsonb_populate_record(n, $4)).direction,
      friendly_name = (jsonb_populate_record(n, $4)).friendly_name,
      voice_enabled = (jsonb_populate_record(n, $4)).voice_enabled,
      sms_enabled = (jsonb_populate_record(n, $4)).sms_enabled,
      mms_enabled = (jsonb_populate_record(n, $4)).mms_enabled,
      status = (jsonb_populate_record(n, $4)).status
  from target t
  where n.id = t.id
    and not t.released
    and t.expected
    and ($4 ->> 'agent_mapping_id' is null or exists (select from agent))
    and ($4 ->> 'status' is null or t.status in ('active', 'inactive'))
  returning ",
    columns!(),
    "
)
select f.agency_id as found_agency_id,
       coalesce(t.released, true) as released,
       t.status in ('active', 'inactive') as has_status_to_choose,
       exists (select from agent) as agent_found,
       n.id is not null as changed,
       ",
    // The columns are those of the changed row, whose words are text already.
    shown_columns!(),
    "
from (select t.id, t.agency_id from target t union all select a.id, a.agency_id from archived a) f
left join target t on t.id = f.id
left join changed n on n.id = f.id
",
    shown_joins!()
);

pub(in crate::store) const STATEMENTS: &[&str] = &[UPDATE];

/// The changes to a row; members that are None or `Keep` stay as they are.
///
/// It is sent to the statement as JSON with the names of the columns, in which null clears a column.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Change {
    /// The agent.
    #[serde(rename = "agent_mapping_id", skip_serializing_if = "is_kept", serialize_with = "patch")]
    pub agent: Patch<Uuid>,
    /// The default direction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// The label.
    #[serde(skip_serializing_if = "is_kept", serialize_with = "patch")]
    pub friendly_name: Patch<String>,
    /// Whether the number takes calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voice_enabled: Option<bool>,
    /// Whether it takes SMS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sms_enabled: Option<bool>,
    /// Whether it takes MMS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mms_enabled: Option<bool>,
    /// `active` or `inactive`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
}

const fn is_kept<T>(patch: &Patch<T>) -> bool {
    matches!(patch, Patch::Keep)
}

fn patch<T: Serialize, S: Serializer>(patch: &Patch<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match patch {
        Patch::Keep | Patch::Clear => serializer.serialize_none(),
        Patch::Set(value) => value.serialize(serializer),
    }
}

impl Store {
    /// Changes one of the caller's numbers and returns it as it is then; where times are `expected`, only if it was last
    /// changed at one of them. A change that had to be asked for twice, because the connection died over it, may have been
    /// made and meet itself the second time.
    ///
    /// # Errors
    /// `Forbidden`; `NotFound`: no such number or agent; `PhoneNumberReleased`; `PurchaseInProgress`: a number that is
    /// not bought yet has no status to choose; `PreconditionFailed`: only the time was against it; `Unavailable` or `Internal` if a
    /// query fails.
    pub async fn change(
        &self,
        caller: &Caller,
        id: Uuid,
        change: &Change,
        expected: Option<&[DateTime<Utc>]>,
    ) -> Result<PhoneNumber, Error> {
        let Caller { user_id, roles } = caller;
        let [callers, rows] = self
            .run([Query::new(AUTHORIZE, &[user_id, roles]), Query::new(UPDATE, &[user_id, roles, &id, &Json(change), &expected])])
            .await?;
        let tenant = Tenant::from(&actor(caller, &callers)?);
        let row = rows.first().map(|row| tenant.part(row, "found_agency_id")).transpose()?.flatten();
        let row = row.ok_or_else(|| no_such_number("phone_number_id"))?;
        if row.column("changed")? {
            return phone_number(row);
        }
        if row.column("released")? {
            return Err(Error::PhoneNumberReleased);
        }
        if matches!(change.agent, Patch::Set(_)) && !row.column::<bool>("agent_found")? {
            return Err(Error::NotFound { what: "agent", field: "agent_mapping_id".to_owned() });
        }
        if change.status.is_some() && !row.column::<bool>("has_status_to_choose")? {
            return Err(Error::PurchaseInProgress);
        }
        Err(Error::PreconditionFailed)
    }
}
