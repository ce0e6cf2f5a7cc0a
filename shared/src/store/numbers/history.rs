//! What happened to a number, as its agency is shown it.

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::error::Error;
use crate::model::{HistoryEntry, Money, Permission, PhoneNumber};
use crate::store::callers::{AUTHORIZE, actor};
use crate::store::numbers::change::{GET, caller, no_such_number, phone_number};
use crate::store::{Query, Store, column};

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

pub(in crate::store) const STATEMENTS: &[&str] = &[HISTORY];

impl Store {
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
