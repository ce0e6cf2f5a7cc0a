//! The invariants: the numbers that Telnyx bills must match the rows, whatever faults occurred.
//!
//! Each rule is one function that describes every violation of it.

use std::collections::HashSet;

use anyhow::{Context, Result};
use serde_json::Value;
use tokio_postgres::Client;

use crate::postgres::describe;

/// The reference of orders that another program places in the same account. The invariants ignore them.
pub const FOREIGN_REFERENCE: &str = "another program";

/// The counts that differ from what a recount finds.
const WRONG_COUNTS: &str = "\
with counted as (
  select c.agency_id, c.currency, sum(c.pending) as pending, sum(c.active) as active, sum(c.inactive) as inactive,
         sum(c.released) as released, sum(c.assigned) as assigned, sum(c.priced) as priced, sum(c.monthly_cost) as monthly_cost
  from phone_number_counts c
  group by c.agency_id, c.currency
), recounted as (
  select n.agency_id,
         n.currency,
         count(*) filter (where n.status = 'pending') as pending,
         count(*) filter (where n.status = 'active') as active,
         count(*) filter (where n.status = 'inactive') as inactive,
         count(*) filter (where n.status = 'released') as released,
         count(*) filter (where n.status <> 'released' and n.agent_mapping_id is not null) as assigned,
         count(*) filter (where n.status in ('active', 'inactive') and n.monthly_cost is not null) as priced,
         coalesce(sum(n.monthly_cost) filter (where n.status in ('active', 'inactive')), 0) as monthly_cost
  from (
    select r.agency_id, r.currency, r.status::text, r.agent_mapping_id, r.monthly_cost
    from agency_phone_numbers r
    union all
    select a.agency_id, a.record ->> 'currency', 'released', null, null
    from agency_phone_numbers_archive a
  ) n
  group by n.agency_id, n.currency
)
select concat_ws(' ', 'counted:', row_to_json(c), 'rows:', row_to_json(r))
from counted c
full join recounted r on (r.agency_id, r.currency) = (c.agency_id, c.currency)
where (c.pending, c.active, c.inactive, c.released, c.assigned, c.priced, c.monthly_cost)
  is distinct from (r.pending, r.active, r.inactive, r.released, r.assigned, r.priced, r.monthly_cost)";

/// Violations of what must hold at any time, by kind, each with a description.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations {
    /// Numbers that are billed and in no live row, or in a live row and not billed.
    pub orphans: Vec<String>,
    /// Numbers that are paid for twice.
    pub double_buys: Vec<String>,
    /// Numbers in the row of another agency than the one that bought them.
    pub wrong_owner: Vec<String>,
    /// Rows that do not match their history.
    pub history_gaps: Vec<String>,
    /// Agencies whose counts are not those of their rows.
    pub wrong_counts: Vec<String>,
}

impl Violations {
    /// All violations.
    #[must_use]
    pub fn all(self) -> Vec<String> {
        [self.orphans, self.double_buys, self.wrong_owner, self.history_gaps, self.wrong_counts].concat()
    }
}

/// Checks that no number is lost, bought twice or owned by another agency, and that the history is complete. `telnyx` is the
/// simulator's `/_control/state`, read before.
///
/// # Errors
/// If a query fails, or `telnyx` is not such a state.
pub async fn violations(database: &Client, telnyx: &Value) -> Result<Violations> {
    let books = Books::read(database, telnyx).await?;
    Ok(Violations {
        orphans: [books.billed_without_a_row(), books.rows_without_a_number(), books.orders_unknown()].concat(),
        double_buys: [books.billed_twice(), books.orders_too_many()].concat(),
        wrong_owner: books.wrong_owner(),
        history_gaps: books.history_gaps(),
        wrong_counts: wrong_counts(database).await?,
    })
}

/// Agencies whose counts are not those of their rows, one line for each currency.
///
/// # Errors
/// If the query fails.
pub async fn wrong_counts(database: &Client) -> Result<Vec<String>> {
    let rows = database.query(WRONG_COUNTS, &[]).await.map_err(|error| describe(&error))?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Unfinished work. There must be none after enough time and retries.
///
/// # Errors
/// If a query fails.
pub async fn unfinished(database: &Client) -> Result<Vec<String>> {
    let queries = [
        "select to_json(n)::text from agency_phone_numbers n where n.status = 'pending'",
        "select to_json(p)::text from phone_number_purchases p where p.phase in ('intended', 'ordering', 'ordered')",
        "select to_json(r)::text from phone_number_releases r where r.phase = 'requested'",
    ];
    let mut found = Vec::new();
    for query in queries {
        found.extend(read(database, query).await?.iter().map(|what| format!("{what} is not finished")));
    }
    Ok(found)
}

/// The state of Telnyx and of the database, as JSON.
struct Books {
    /// The numbers that Telnyx has and bills.
    numbers: Vec<Value>,
    /// Telnyx's orders that have not failed.
    orders: Vec<Value>,
    /// The rows of the agencies.
    rows: Vec<Value>,
    /// The rows of numbers that were bought again since.
    archived: Vec<Value>,
    /// The ledger of purchases.
    purchases: Vec<Value>,
    /// Unfinished releases.
    releases: Vec<Value>,
    /// The history of each row, in order.
    history: Vec<Value>,
    /// The findings.
    findings: Vec<Value>,
}

impl Books {
    async fn read(database: &Client, telnyx: &Value) -> Result<Self> {
        Ok(Self {
            numbers: ours(telnyx, "numbers", "deleted")?,
            orders: ours(telnyx, "orders", "failure")?,
            rows: read(database, "select to_jsonb(n)::text from agency_phone_numbers n").await?,
            archived: read(database, "select a.record::text from agency_phone_numbers_archive a").await?,
            purchases: read(database, "select to_json(p)::text from phone_number_purchases p").await?,
            releases: read(database, "select to_json(r)::text from phone_number_releases r where r.phase = 'requested'").await?,
            history: read(database, "select to_jsonb(h)::text from phone_number_history h order by h.id").await?,
            findings: read(database, "select to_json(f)::text from phone_number_findings f where f.state = 'open'").await?,
        })
    }

    fn billed_twice(&self) -> Vec<String> {
        let mut seen = HashSet::new();
        let again = self.numbers.iter().filter(|number| !seen.insert(text(number, "phone_number")));
        again.map(|number| format!("{} is billed twice", number["phone_number"])).collect()
    }

    /// A number that is billed is in a live row, or the outcome of its order is unknown, or there is a finding about it.
    fn billed_without_a_row(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for number in &self.numbers {
            let row = self.rows.iter().find(|row| row["phone_number"] == number["phone_number"]);
            let explained = row.is_some_and(|row| match text(row, "status") {
                "active" | "inactive" => row["phone_number_id"].is_null() || row["phone_number_id"] == number["id"],
                "pending" => self.may_be_ordered(row),
                _ => false,
            });
            let told = self.findings.iter().any(|finding| finding["phone_number"] == number["phone_number"]);
            if !explained && !told {
                wrong.push(format!("{} is billed, and its row is {}", number["phone_number"], row.unwrap_or(&Value::Null)));
            }
        }
        wrong
    }

    fn rows_without_a_number(&self) -> Vec<String> {
        // A row that is switched off records that its number is missing; a number that is being released may be deleted already.
        let under_way = |row: &Value| self.releases.iter().any(|release| release["agency_phone_number_id"] == row["id"]);
        let off = |row: &Value| text(row, "status") == "inactive" && self.last_event(row).is_some_and(|event| event == "reconciled");
        let live = self.rows.iter().filter(|row| ["active", "inactive"].contains(&text(row, "status")));
        let live = live.filter(|row| !under_way(row) && !off(row));
        let missing = live.filter(|row| !self.numbers.iter().any(|number| number["phone_number"] == row["phone_number"]));
        missing.map(|row| format!("Telnyx does not have {row}")).collect()
    }

    /// At most one order of a purchase counts, and none if the purchase failed. An order that succeeded and whose number was
    /// deleted since costs nothing.
    fn orders_too_many(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let number_of = |order: &Value| order["phone_numbers"][0]["phone_number"].clone();
        let is_billed = |order: &Value| {
            let latest = self.orders.iter().rfind(|other| number_of(other) == number_of(order));
            latest == Some(order) && self.numbers.iter().any(|number| number["phone_number"] == number_of(order))
        };
        for purchase in &self.purchases {
            let ours = self.orders.iter().filter(|order| order["customer_reference"] == purchase["telnyx_reference"]);
            let orders = ours.filter(|order| text(order, "status") == "pending" || is_billed(order)).count();
            let allowed = usize::from(!["failed", "cancelled"].contains(&text(purchase, "phase")));
            if orders > allowed {
                wrong.push(format!("{orders} orders count for {purchase}"));
            }
        }
        wrong
    }

    fn orders_unknown(&self) -> Vec<String> {
        let is_known = |order: &Value| self.purchases.iter().any(|purchase| purchase["telnyx_reference"] == order["customer_reference"]);
        let unknown = self.orders.iter().filter(|order| !is_known(order));
        unknown.map(|order| format!("the ledger does not know {order}")).collect()
    }

    /// A number whose reference names an agency is in a row of that agency, unless an operator assigned it to another. The lives
    /// of a number do not overlap.
    fn wrong_owner(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for row in self.rows.iter().filter(|row| ["active", "inactive"].contains(&text(row, "status"))) {
            let number = self.numbers.iter().find(|number| number["id"] == row["phone_number_id"]);
            let agency = number.and_then(|number| text(number, "customer_reference").strip_prefix("pn:")?.rsplit(':').nth(1));
            if agency.is_some_and(|agency| agency != text(row, "agency_id")) && !self.was_given_by_a_person(row) {
                wrong.push(format!("{row} is not the number's owner: {number:?}"));
            }
        }
        let twice = self.archived.iter().filter(|old| self.rows.iter().any(|row| row["id"] == old["id"]));
        wrong.extend(twice.map(|old| format!("{old} is archived and current at the same time")));
        wrong
    }

    /// The changes in a row's history, applied in order, result in the row.
    fn history_gaps(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for row in self.rows.iter().chain(&self.archived).filter(|row| text(row, "status") != "pending") {
            let entries: Vec<_> = self.history.iter().filter(|entry| entry["agency_phone_number_id"] == row["id"]).collect();
            let mut told = serde_json::Map::new();
            for change in entries.iter().filter_map(|entry| entry["changes"].as_object()) {
                told.extend(change.iter().map(|(column, change)| (column.clone(), change["to"].clone())));
            }
            let differs = |column: &&str| told.get(*column).unwrap_or(&Value::Null) != &row[*column];
            let columns = ["status", "phone_number_id", "agent_mapping_id", "friendly_name", "is_active", "released_at", "purchased_at"];
            let differing: Vec<_> = columns.iter().filter(|column| differs(column)).collect();
            let strangers = entries.iter().filter(|entry| entry["agency_id"] != row["agency_id"]).count();
            if !differing.is_empty() || strangers > 0 {
                wrong.push(format!("the history differs in {differing:?} of {row}: {entries:?}"));
            }
        }
        wrong
    }

    /// Whether an operator adopted the number for the agency that has the row.
    fn was_given_by_a_person(&self, row: &Value) -> bool {
        self.history.iter().any(|entry| entry["agency_phone_number_id"] == row["id"] && entry["actor"] == "operator")
    }

    fn last_event(&self, row: &Value) -> Option<&str> {
        let entry = self.history.iter().rfind(|entry| entry["agency_phone_number_id"] == row["id"])?;
        entry["event"].as_str()
    }

    /// Whether Telnyx may have an order for a pending row.
    fn may_be_ordered(&self, row: &Value) -> bool {
        let purchases = self.purchases.iter().filter(|purchase| purchase["agency_phone_number_id"] == row["id"]);
        purchases.map(|purchase| (text(purchase, "phase"), &purchase["order_attempts"])).any(|(phase, attempts)| match phase {
            "ordering" | "ordered" => true,
            "intended" => attempts.as_i64() > Some(0),
            _ => false,
        })
    }
}

/// Telnyx's objects of this deployment, without those whose status is `over`.
fn ours(telnyx: &Value, what: &str, over: &str) -> Result<Vec<Value>> {
    let all = telnyx[what].as_array().with_context(|| format!("the state of the simulator has no {what}"))?;
    Ok(all.iter().filter(|thing| thing["customer_reference"] != FOREIGN_REFERENCE && thing["status"] != over).cloned().collect())
}

/// A query whose rows are each one JSON text.
async fn read(database: &Client, query: &str) -> Result<Vec<Value>> {
    let rows = database.query(query, &[]).await.map_err(|error| describe(&error))?;
    rows.iter().map(|row| Ok(serde_json::from_str(row.try_get(0)?)?)).collect()
}

fn text<'a>(thing: &'a Value, name: &str) -> &'a str {
    thing[name].as_str().unwrap_or_default()
}
