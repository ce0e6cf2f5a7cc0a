//! The history of a row, as its agency sees it, and the signature that reconcile and operators leave in it.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::read::{GET, no_such_number};
use super::row::phone_number;
use crate::error::Error;
use crate::model::{Caller, HistoryEntry, Money, PhoneNumber};
use crate::store::callers::{AUTHORIZE, actor, caller};
use crate::store::tenant::{Tenant, TenantRow};
use crate::store::{Parameter, Query, Store, Transaction, Undone};

/// Says, within a transaction, who changes a row for which reason.
const SIGN: &str = "\
-- numbers.history.sign
select phone_numbers_sign($1 /* actor */, event => 'reconciled') as signature";

/// What happened to one of the caller's rows, in the order it happened. The columns of the table as documented take less than ten
/// thousand bytes. What is larger has columns that the platform has added, and would take the room of other entries.
const HISTORY: &str = concat!(
    "-- numbers.history.entries\n",
    caller!(),
    "
select h.agency_id,
       h.id,
       h.at,
       h.event,
       h.actor,
       case when octet_length(h.changes::text) <= 10000 then h.changes else '{}' end as changes
from phone_number_history h
join caller c on c.agency_id = h.agency_id
where h.agency_phone_number_id = $3 /* id */
  and h.id > coalesce($4::bigint /* after */, 0)
order by h.id
limit $5::bigint /* limit */"
);

pub(in crate::store) const STATEMENTS: &[&str] = &[SIGN, HISTORY];

/// Who changes rows after a comparison with Telnyx.
pub(in crate::store) const RECONCILE: &str = "reconcile";

/// The outcome of a write that follows from a comparison with Telnyx.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reconciled {
    /// It is written.
    Done,
    /// What was compared has changed since, and nothing was written.
    Outdated,
}

/// A part of a history.
#[derive(Debug)]
pub struct History {
    /// What happened, in order.
    pub entries: Vec<HistoryEntry>,
    /// The last of these entries, if there are more behind it.
    pub next: Option<i64>,
}

impl Store {
    /// A change that follows from a comparison with Telnyx, as the history is to have it.
    pub(in crate::store) async fn reconciled(&self, sql: &'static str, parameters: &[&dyn Parameter]) -> Result<Reconciled, Error> {
        self.transaction(|| self.try_to_reconcile(sql, parameters)).await
    }

    async fn try_to_reconcile(&self, sql: &'static str, parameters: &[&dyn Parameter]) -> Result<Reconciled, Undone> {
        let mut session = self.connections.get().await?;
        let transaction = session.begin().await?;
        sign(&transaction, RECONCILE).await?;
        let changed = transaction.rows(sql, parameters).await?;
        transaction.commit().await?;
        Ok(if changed.is_empty() { Reconciled::Outdated } else { Reconciled::Done })
    }

    /// One of the caller's numbers, and what happened to it: `limit` entries at most, those after the entry `after` if that is given.
    ///
    /// # Errors
    /// `Forbidden`; `NotFound`; `Unavailable` or `Internal` if a query fails.
    pub async fn number_with_history(
        &self,
        caller: &Caller,
        id: Uuid,
        after: Option<i64>,
        limit: i64,
    ) -> Result<(PhoneNumber, History), Error> {
        let Caller { user_id, roles } = caller;
        let one_more = limit.saturating_add(1);
        let [callers, rows, history] = self
            .run([
                Query::new(AUTHORIZE, &[user_id, roles]),
                Query::new(GET, &[user_id, roles, &id]),
                Query::new(HISTORY, &[user_id, roles, &id, &after, &one_more]),
            ])
            .await?;
        let tenant = Tenant::from(&actor(caller, &callers)?);
        let row = rows.first().ok_or_else(|| no_such_number("id"))?;
        let mut history = tenant.read(&history, |row| Ok((row.column::<i64>("id")?, history_entry(row)?)))?;
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = history.len() > wanted;
        history.truncate(wanted);
        let next = history.last().filter(|_| more).map(|(id, _)| *id);
        let entries = history.into_iter().map(|(_, entry)| entry).collect();
        Ok((phone_number(tenant.row(row)?)?, History { entries, next }))
    }
}

/// Sets who makes the changes of a transaction, an operator or reconcile, for the history.
pub(in crate::store) async fn sign(transaction: &Transaction<'_>, actor: &str) -> Result<(), Undone> {
    transaction.rows(SIGN, &[&actor]).await?;
    Ok(())
}

fn history_entry(row: TenantRow<'_>) -> Result<HistoryEntry, Error> {
    let mut changes: Value = row.column("changes")?;
    for (name, change) in changes.as_object_mut().into_iter().flatten() {
        for value in change.as_object_mut().into_iter().flat_map(|sides| sides.values_mut()) {
            if let Some(shown) = as_shown(name, value) {
                *value = shown;
            }
        }
    }
    Ok(HistoryEntry { at: row.column("at")?, event: row.column("event")?, actor: row.column("actor")?, changes })
}

/// A value of the history in the form that the row has. The history has amounts as numbers, and times in the zone of the
/// session that wrote them.
fn as_shown(name: &str, value: &Value) -> Option<Value> {
    match (name, value) {
        ("monthly_cost" | "setup_cost", Value::Number(amount)) => Some(Money(amount.to_string().parse().ok()?).to_string().into()),
        ("purchased_at" | "released_at" | "created_at", Value::String(time)) => {
            serde_json::to_value(time.parse::<DateTime<Utc>>().ok()?).ok()
        }
        _ => None,
    }
}
