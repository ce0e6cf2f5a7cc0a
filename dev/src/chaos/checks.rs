//! The checks after every run: the invariants, and whether callers' answers are true.

use std::collections::HashSet;

use anyhow::Result;
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use super::agencies;
use super::client::{Answer, Call};
use super::harness::Harness;
use super::plan::{ASSIGN, LIST, PURCHASE, Plan, RELEASE};
use crate::invariants;
use crate::postgres::describe;

const OPEN_FINDINGS: &str = "select to_json(f)::text from phone_number_findings f where f.state = 'open'";

const OVER_QUOTA: &str = "\
select a.slug
from agencies a
join agency_phone_numbers n on n.agency_id = a.id and n.status <> 'released'
group by a.id
having count(*) > (a.settings ->> 'max_phone_numbers')::bigint";

const AGE_KEYS: &str = "\
update phone_number_idempotency_keys
set created_at = created_at - interval '25 hours',
    expires_at = expires_at - interval '25 hours'";

const KEYS_WITH_PURCHASES: &str = "select distinct key from phone_number_idempotency_purchases where purchase_id is not null";

/// A row, current or archived.
const ROW_BY_ID: &str = "\
select n.agency_id, n.status::text
from agency_phone_numbers n
where n.id = $1 /* row_id */
union all
select a.agency_id, a.record ->> 'status'
from agency_phone_numbers_archive a
where a.id = $1";

/// Whether the history shows that a row ever had a value in a column. The history of a number that was never bought does not
/// show it.
const HAD_VALUE: &str = "\
with told as (
  select h.changes ? 'status' and h.changes -> 'status' ->> 'from' is null as begins,
         h.changes ? $2 /* column */ as names,
         h.changes -> $2 ->> 'from' as was,
         h.changes -> $2 ->> 'to' as became
  from phone_number_history h
  where h.agency_phone_number_id = $1 /* row_id */
)
select not exists (select from told t where t.begins)
       or exists (select from told t where t.names and t.became is not distinct from $3 /* value */)
       or exists (select from told t where t.names and not t.begins and t.was is not distinct from $3)
       or ($3 is null and exists (select from told t where t.begins and t.became is null))";

/// Violations, each with a description.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations {
    /// Numbers that are billed and in no live row, or in a live row and not billed, or that contradict an answer to a caller.
    pub orphans: Vec<String>,
    /// Numbers paid for twice, keyed requests with different answers, and agencies above their quota.
    pub double_buys: Vec<String>,
    /// Numbers in the row of another agency than the one that bought them, or shown to another.
    pub wrong_owner: Vec<String>,
    /// Unfinished work, and findings that nobody decided.
    pub stuck: Vec<String>,
    /// Rows that do not match their history or the counts of their agency, and changes that the history lacks.
    pub history_gaps: Vec<String>,
}

impl Violations {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    /// All violations.
    pub fn all(&self) -> impl Iterator<Item = &String> {
        [&self.orphans, &self.double_buys, &self.wrong_owner, &self.stuck, &self.history_gaps].into_iter().flatten()
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.orphans.extend(other.orphans);
        self.double_buys.extend(other.double_buys);
        self.wrong_owner.extend(other.wrong_owner);
        self.stuck.extend(other.stuck);
        self.history_gaps.extend(other.history_gaps);
    }
}

impl Harness {
    /// The current violations.
    ///
    /// # Errors
    /// If the state of Telnyx or the database cannot be read.
    pub async fn check(&self) -> Result<Violations> {
        self.check_over(&self.sql().await?).await
    }

    /// The violations as one connection sees them. It may have changed rows in an open transaction.
    ///
    /// # Errors
    /// As [`Harness::check`].
    pub async fn check_over(&self, sql: &Client) -> Result<Violations> {
        let invariants::Violations { orphans, double_buys, wrong_owner, mut history_gaps, wrong_counts } =
            invariants::violations(sql, &self.telnyx().await?).await?;
        history_gaps.extend(wrong_counts);
        let mut violations = Violations { orphans, double_buys, wrong_owner, history_gaps, stuck: invariants::unfinished(sql).await? };
        violations.stuck.extend(texts(sql, OPEN_FINDINGS, "is an open finding").await?);
        violations.double_buys.extend(texts(sql, OVER_QUOTA, "has more numbers than it may have").await?);
        Ok(violations)
    }

    /// Checks that a repeated request whose key has a final answer gets that answer again, and that all requests with one key got
    /// the same. After a day, only keys that list purchases which ended since still have their answer.
    pub(super) async fn check_replays(&self, plan: &Plan, calls: &[Call]) -> Result<Violations> {
        let mut violations = Violations::default();
        let mut seen = HashSet::new();
        let listing = if plan.a_day_later { Some(self.let_a_day_pass().await?) } else { None };
        for call in calls.iter().filter(|call| call.end().is_some()) {
            let Some(key) = &call.key else { continue };
            let is_known = listing.as_ref().is_none_or(|keys| call.function == PURCHASE && keys.contains(key));
            if !is_known || !seen.insert((call.agency, call.function, key)) {
                continue;
            }
            let again = self.call_until_final(call.clone(), true).await;
            if again.gave_up {
                violations.stuck.push(format!("the final answer is lost: {again:?}"));
            }
            let same = |other: &&Call| (other.agency, other.function, &other.key) == (call.agency, call.function, &call.key);
            let answers: Vec<_> = calls.iter().chain([&again]).filter(same).filter_map(Call::end).collect();
            if answers.iter().any(|answer| *answer != answers[0]) {
                let Call { function, agency, .. } = call;
                violations.double_buys.push(format!("{function} gave agency {agency} different answers to {key}: {answers:?}"));
            }
        }
        Ok(violations)
    }

    /// Makes every idempotency key more than a day older and runs the schedule. Returns the keys that list purchases.
    async fn let_a_day_pass(&self) -> Result<HashSet<String>> {
        let sql = self.sql().await?;
        sql.batch_execute(AGE_KEYS).await.map_err(|error| describe(&error))?;
        // A failure here is repeated once everything has settled.
        let _ = self.stack.run_scheduled().await;
        let listing = sql.query(KEYS_WITH_PURCHASES, &[]).await.map_err(|error| describe(&error))?;
        Ok(listing.iter().map(|row| row.get(0)).collect())
    }

    /// Checks the answers to callers against the rows.
    pub(super) async fn check_answers(&self, calls: &[Call]) -> Result<Violations> {
        let sql = self.sql().await?;
        let releases = calls.iter().filter(|call| call.function == RELEASE);
        let given_back: HashSet<_> = releases.flat_map(|call| items(&call.body, "phone_number_ids")).filter_map(id).collect();
        let mut violations = Violations::default();
        for call in calls {
            if call.gave_up {
                violations.stuck.push(format!("there is no final answer to {call:?}"));
            }
            let Some(Answer { status: 200 | 207, body }) = call.end() else { continue };
            match call.function {
                PURCHASE => {
                    for item in items(body, "phone_numbers").filter(|item| item["outcome"] == "purchased") {
                        let told = Told::of(&sql, item).await?;
                        let is_so = told.is_live(call.agency) || (told.is_released(call.agency) && given_back.contains(&told.id));
                        violations.orphans.extend((!is_so).then(|| format!("{told:?} is not bought, though {item} said so")));
                    }
                }
                RELEASE => {
                    for item in items(body, "released") {
                        let told = Told::of(&sql, item).await?;
                        let is_so = told.is_released(call.agency);
                        violations.orphans.extend((!is_so).then(|| format!("{told:?} is not released, though {item} said so")));
                    }
                }
                LIST => {
                    let others = items(body, "phone_numbers").filter(|row| row["agency_id"] != json!(agencies::agency(call.agency)));
                    violations.wrong_owner.extend(others.map(|row| format!("agency {} was shown {row}", call.agency)));
                }
                ASSIGN => violations.history_gaps.extend(untold(&sql, call).await?),
                _ => {}
            }
        }
        Ok(violations)
    }
}

/// A row that an answer named, as it is now, current or archived.
#[derive(Debug)]
struct Told {
    id: Uuid,
    row: Option<(Uuid, String)>,
}

impl Told {
    async fn of(sql: &Client, item: &Value) -> Result<Self> {
        let id = id(&item["id"]).unwrap_or_default();
        let row = sql.query_opt(ROW_BY_ID, &[&id]).await.map_err(|error| describe(&error))?;
        Ok(Self { id, row: row.map(|row| (row.get(0), row.get(1))) })
    }

    fn is(&self, status: &str, agency: usize) -> bool {
        self.row.as_ref().is_some_and(|(owner, is)| *owner == agencies::agency(agency) && is == status)
    }

    fn is_live(&self, agency: usize) -> bool {
        self.is("active", agency) || self.is("inactive", agency)
    }

    fn is_released(&self, agency: usize) -> bool {
        self.is("released", agency)
    }
}

/// A change that was answered with success and is not in the history.
async fn untold(sql: &Client, call: &Call) -> Result<Option<String>> {
    let id = id(&call.body["phone_number_id"]).unwrap_or_default();
    let column = if call.body.get("friendly_name").is_some() { "friendly_name" } else { "agent_mapping_id" };
    let value = call.body[column].as_str();
    let told: bool = sql.query_one(HAD_VALUE, &[&id, &column, &value]).await.map_err(|error| describe(&error))?.get(0);
    Ok((!told).then(|| format!("the history lacks {call:?}")))
}

fn items<'a>(body: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    body[name].as_array().into_iter().flatten()
}

fn id(value: &Value) -> Option<Uuid> {
    value.as_str()?.parse().ok()
}

/// The rows of a query, one text each, with a description of the violation.
async fn texts(sql: &Client, query: &str, wrong: &str) -> Result<Vec<String>> {
    let rows = sql.query(query, &[]).await.map_err(|error| describe(&error))?;
    rows.iter().map(|row| Ok(format!("{} {wrong}", row.try_get::<_, &str>(0)?))).collect()
}
