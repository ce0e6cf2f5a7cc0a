//! The plans of the statements that read an agency's rows, on a database with one large agency among many: index plans, for custom
//! and for generic plans alike, that read no more rows than a request needs.
//!
//! Time is not measured, but the rows that a plan reads: a plan that reads as many for an agency of any size takes as long for one of
//! any size.

use dev::populate::{self, Scale};
use dev::postgres::TestDatabase;
use serde_json::Value;
use shared::store::statements;
use tokio_postgres::Client;

/// Large enough for every plan to be that of a large table; filled in some seconds.
const SCALE: Scale = Scale { agencies: 2_000, rows: 60_000, largest: 40_000, archive: 50, history: 2 };

/// The most that a page of 50 rows reads: the places of one row more in each of ten parts, and the rows with agent and purchase.
const PAGE: u32 = 700;

/// The most that a count to a thousand reads: the places in each part that is wanted, of which two are large.
const COUNT: u32 = 2_500;

/// The tables that may be read as a whole: there is one row, whatever the number of agencies.
const ONE_ROW: [&str; 1] = ["phone_number_deployment"];

/// The two kinds of plans that Postgres makes for a prepared statement.
pub(super) const MODES: [&str; 2] = ["force_custom_plan", "force_generic_plan"];

/// A database with one large agency, the first, among many, and a connection to it.
pub(super) async fn populated() -> (TestDatabase, Client) {
    let database = TestDatabase::migrated().await.unwrap();
    populate::populate(database.url(), SCALE, |_| ()).await.unwrap();
    let sql = database.connect().await.unwrap();
    (database, sql)
}

/// A statement with its parameters, as SQL, and how many rows it may read, those that a filter refuses included.
struct Case {
    statement: &'static str,
    parameters: String,
    rows: f64,
}

fn case(statement: &'static str, parameters: &[&str], rows: u32) -> Case {
    Case { statement, parameters: parameters.join(", "), rows: f64::from(rows) }
}

fn text(value: &str) -> String {
    format!("'{value}'")
}

/// The statements of each operation, for the largest agency.
fn cases() -> Vec<Case> {
    let (owner, agency) = (text(&populate::owner(1).to_string()), text(&populate::agency(1).to_string()));
    let agent = text(&populate::agent(1, 1).to_string());
    let (roles, live, every) = ("'{agency_owner}'", "'{pending,active,inactive}'", "'{pending,active,inactive,released}'");
    let mut cases = Vec::new();
    let caller = [owner.as_str(), roles];
    let mut page = |selection: &[&str], position: &[&str]| {
        let parameters = [&caller, selection, position, &["51", "0"]].concat();
        cases.push(case("numbers.page.all", &parameters, PAGE));
        let parameters = [&caller, selection, &["null", "null", "1001", "0"]].concat();
        cases.push(case("numbers.count.all", &parameters, COUNT));
        let parameters = [&caller, selection, position, &["51", "0", &agent]].concat();
        cases.push(case("numbers.page.of_agent", &parameters, PAGE));
        let parameters = [&caller, selection, &["null", "null", "1001", "0", &agent]].concat();
        cases.push(case("numbers.count.of_agent", &parameters, COUNT));
    };
    let first = ["null", "null"];
    let far = ["'2025-01-02'", "'00000000-0000-4000-8000-000000000000'"];
    for position in [first, far] {
        page(&[live, "null"], &position);
        page(&[every, "null"], &position);
        page(&[live, "true"], &position);
        page(&[live, "false"], &position);
        for status in ["'{pending}'", "'{active}'", "'{inactive}'", "'{released}'"] {
            page(&[status, "null"], &position);
        }
    }
    // A number that one row has, a name that one has, one that none has, one that many have, and digits that all have.
    for (search, number) in [
        ("'316955010'", "null"),
        ("'(200) 079-190'", "'200079190'"),
        ("'desk 4001'", "null"),
        ("'nowhere'", "null"),
        ("'front desk'", "null"),
        ("'+12'", "null"),
    ] {
        let searched = [&caller[..], &[every, "null", "null", "null", "51", "0", "null", search, number, "1200", "true"]].concat();
        cases.push(case("numbers.page.searched", &searched, 4_500));
        let searched = [&caller[..], &[every, "null", "null", "null", "1001", "0", "null", search, number, "1200", "true"]].concat();
        cases.push(case("numbers.count.searched", &searched, 7_000));
    }
    let row = "(select n.id from agency_phone_numbers n where n.status = 'active' limit 1)";
    cases.push(case("numbers.count.summary", &caller, 20));
    cases.push(case("agents.available", &[&owner, roles, "true"], 20));
    cases.push(case("callers.authorize", &caller, 5));
    cases.push(case("numbers.read.one", &[&owner, roles, row], 10));
    cases.push(case("numbers.history.entries", &[&owner, roles, row, "null", "201"], 10));
    cases.push(case("numbers.change.update", &[&owner, roles, row, "'{\"friendly_name\": \"x\"}'", "null"], 20));
    cases.push(case("numbers.archive.vacate", &["'+12000000001'", "md5('')::uuid"], 10));
    cases.push(case("purchases.agency.get", &[&owner, roles, &format!("array[{agent}::uuid]")], 10));
    cases.push(case("purchases.begin.quota", &[&agency], 20));
    let own = format!("select n.id from agency_phone_numbers n where n.agency_id = {agency} and n.status = 'active' limit 50");
    let rows = format!("(select array_agg(n.id) from ({own}) n)");
    cases.push(case("releases.begin.targets", &[&owner, roles, &rows], 110));
    cases.push(case("numbers.read.of_agency", &[&agency, &rows], 160));
    let (numbers, nulls) = (
        "(select array_agg(n.phone_number::text) from (select n.phone_number from agency_phone_numbers n where n.status = 'active' limit 250) n)",
        "array_fill(null::text, array[250])",
    );
    cases.push(case("reconcile.compare.counterparts", &[numbers, nulls, "array_fill(null::uuid, array[250])", "1000", nulls], 6_000));
    cases
}

/// The nodes of a plan.
fn nodes(plan: &Value) -> Vec<&Value> {
    let below = plan["Plans"].as_array().into_iter().flatten().flat_map(nodes);
    std::iter::once(plan).chain(below).collect()
}

/// The rows that a node has read itself: those it returned and those it refused.
fn read(node: &Value) -> f64 {
    let number = |name: &str| node[name].as_f64().unwrap_or_default();
    let is_scan = node["Relation Name"].is_string();
    let rows = number("Actual Rows") + number("Rows Removed by Filter") + number("Rows Removed by Index Recheck");
    if is_scan { rows * number("Actual Loops") } else { 0.0 }
}

async fn explain(sql: &Client, case: &Case, mode: &str) -> Value {
    let named = format!("-- {}", case.statement);
    let statement = statements().find(|statement| statement.lines().next() == Some(&named)).unwrap_or_else(|| panic!("{named}"));
    let script = format!("begin; set local plan_cache_mode = {mode}; prepare tested as {statement}");
    sql.batch_execute(&script).await.unwrap_or_else(|error| panic!("{named}: {:?}", error.as_db_error()));
    // EXECUTE takes no subqueries: what the parameters are is asked first.
    let parameters = sql.query_one(&format!("select {}", quoted(&case.parameters)), &[]).await.unwrap();
    let parameters: Vec<String> = (0..parameters.len()).map(|at| parameters.get(at)).collect();
    let explain = format!("explain (analyze, timing off, costs off, format json) execute tested({})", parameters.join(", "));
    let plan = sql.query_one(&explain, &[]).await.unwrap_or_else(|error| panic!("{explain}: {:?}", error.as_db_error()));
    let plan: Value = plan.get(0);
    sql.batch_execute("rollback; deallocate tested").await.unwrap();
    plan[0]["Plan"].clone()
}

/// Each parameter as a literal.
fn quoted(parameters: &str) -> String {
    let literal = |parameter: &str| format!("quote_nullable({parameter})");
    split(parameters).into_iter().map(literal).collect::<Vec<_>>().join(", ")
}

/// The parts between the commas that are in no brackets and no quotes.
fn split(parameters: &str) -> Vec<&str> {
    let (mut depth, mut quoted, mut start, mut parts) = (0, false, 0, Vec::new());
    for (at, character) in parameters.char_indices() {
        match character {
            '\'' => quoted = !quoted,
            '(' | '[' if !quoted => depth += 1,
            ')' | ']' if !quoted => depth -= 1,
            ',' if depth == 0 && !quoted => {
                parts.push(&parameters[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&parameters[start..]);
    parts
}

#[tokio::test]
async fn every_plan_for_a_large_agency_reads_by_index_what_is_shown_and_little_more() {
    let (_database, sql) = populated().await;
    let mut wrong = Vec::new();
    for case in cases() {
        for mode in MODES {
            let plan = explain(&sql, &case, mode).await;
            let what = format!("{mode}: {}({})", case.statement, case.parameters);
            for node in nodes(&plan) {
                let table = node["Relation Name"].as_str().unwrap_or_default();
                // A node below a condition that does not hold is planned and never executed.
                if node["Node Type"] == "Seq Scan" && !ONE_ROW.contains(&table) {
                    wrong.push(format!("{what} reads all of {table}"));
                }
            }
            let rows: f64 = nodes(&plan).into_iter().map(read).sum();
            if rows > case.rows {
                let nodes = nodes(&plan).into_iter().filter(|node| read(node) > 0.0);
                let read: Vec<_> = nodes.map(|node| format!("{} {}: {}", node["Node Type"], node["Index Name"], read(node))).collect();
                wrong.push(format!("{what} reads {rows} rows, more than {}: {read:?}", case.rows));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
