//! The books: what Telnyx has and bills must be what the rows say, whatever went wrong on the way.
//!
//! Each rule is one function, which tells every breach of it in words.

use std::collections::HashSet;

use anyhow::{Context, Result};
use serde_json::Value;
use tokio_postgres::Client;

use crate::postgres::describe;

/// The reference under which somebody else orders from the same account: what carries it is none of our business.
pub const SOMEBODY_ELSE: &str = "somebody else's";

/// What must hold at any time and does not: nothing is lost and nothing is bought twice. `telnyx` is the simulator's
/// `/_control/state`, read before.
///
/// # Errors
/// The database's, or `telnyx` is something else.
pub async fn imbalance(database: &Client, telnyx: &Value) -> Result<Vec<String>> {
    let books = Books::read(database, telnyx).await?;
    let rules =
        [Books::billed_twice, Books::billed_without_a_row, Books::rows_without_a_number, Books::orders_too_many, Books::orders_unknown];
    Ok(rules.iter().flat_map(|rule| rule(&books)).collect())
}

/// What is on its way, and must not be once everything had the time and the retries to come to its end.
///
/// # Errors
/// The database's.
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

/// Both sides, as JSON.
struct Books {
    /// The numbers that Telnyx has and bills.
    numbers: Vec<Value>,
    /// The orders that have not failed.
    orders: Vec<Value>,
    /// The rows of the agencies.
    rows: Vec<Value>,
    /// The ledger of purchases.
    purchases: Vec<Value>,
}

impl Books {
    async fn read(database: &Client, telnyx: &Value) -> Result<Self> {
        Ok(Self {
            numbers: ours(telnyx, "numbers", "deleted")?,
            orders: ours(telnyx, "orders", "failure")?,
            rows: read(database, "select to_json(n)::text from agency_phone_numbers n").await?,
            purchases: read(database, "select to_json(p)::text from phone_number_purchases p").await?,
        })
    }

    fn billed_twice(&self) -> Vec<String> {
        let mut seen = HashSet::new();
        let again = self.numbers.iter().filter(|number| !seen.insert(text(number, "phone_number")));
        again.map(|number| format!("{} is billed twice", number["phone_number"])).collect()
    }

    /// A number that is billed is a live row's, or its order is still being found out.
    fn billed_without_a_row(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for number in &self.numbers {
            let row = self.rows.iter().find(|row| row["phone_number"] == number["phone_number"]);
            let explained = row.is_some_and(|row| match text(row, "status") {
                "active" | "inactive" => row["phone_number_id"].is_null() || row["phone_number_id"] == number["id"],
                "pending" => self.may_be_ordered(row),
                _ => false,
            });
            if !explained {
                wrong.push(format!("{} is billed, and its row is {}", number["phone_number"], row.unwrap_or(&Value::Null)));
            }
        }
        wrong
    }

    fn rows_without_a_number(&self) -> Vec<String> {
        let live = self.rows.iter().filter(|row| ["active", "inactive"].contains(&text(row, "status")));
        let missing = live.filter(|row| !self.numbers.iter().any(|number| number["phone_number"] == row["phone_number"]));
        missing.map(|row| format!("Telnyx does not have {row}")).collect()
    }

    /// Of the orders of one purchase one counts at most, and none where it came to nothing.
    fn orders_too_many(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for purchase in &self.purchases {
            let orders = self.orders.iter().filter(|order| order["customer_reference"] == purchase["telnyx_reference"]).count();
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

/// Those of what Telnyx has that are ours, but for the ones with `over` as their status.
fn ours(telnyx: &Value, what: &str, over: &str) -> Result<Vec<Value>> {
    let all = telnyx[what].as_array().with_context(|| format!("the state of the simulator has no {what}"))?;
    Ok(all.iter().filter(|thing| thing["customer_reference"] != SOMEBODY_ELSE && thing["status"] != over).cloned().collect())
}

/// A query whose rows are each one JSON text.
async fn read(database: &Client, query: &str) -> Result<Vec<Value>> {
    let rows = database.query(query, &[]).await.map_err(|error| describe(&error))?;
    rows.iter().map(|row| Ok(serde_json::from_str(row.try_get(0)?)?)).collect()
}

fn text<'a>(thing: &'a Value, name: &str) -> &'a str {
    thing[name].as_str().unwrap_or_default()
}
