//! `cargo dev chaos`, a few runs.

use std::collections::HashSet;
use std::sync::Arc;

use dev::chaos::{Fixture, Harness, Plan, Totals, Violations};
use dev::lambda::functions::{Logs, build};
use dev::lambda::template::Template;
use dev::postgres::connect;
use dev::workspace;

const SEED: u64 = 1;
const RUNS: u64 = 8;

/// The violations of one kind.
type Kind = fn(&Violations) -> &Vec<String>;

async fn fixture() -> Arc<Fixture> {
    let template = Template::read(&workspace::root().join("template.yaml")).unwrap();
    let names: Vec<&str> = template.functions.iter().map(|function| function.name.as_str()).collect();
    let programs = build::build(&names, false).await.unwrap();
    Arc::new(Fixture::start(template, programs, Logs::File("/dev/null".into())).await.unwrap())
}

#[test]
fn the_same_seed_is_the_same_plan() {
    let drawn = |seed: u64| -> Vec<String> { (0..100).map(|run| plan_without_its_name(seed, run)).collect() };
    assert_eq!(drawn(SEED), drawn(SEED));
    let distinct: HashSet<_> = drawn(SEED).into_iter().chain(drawn(SEED + 1)).collect();
    assert_eq!(distinct.len(), 200, "another seed, or another run of it, is another plan");
}

/// The lines of a plan below the first.
fn plan_without_its_name(seed: u64, run: u64) -> String {
    let plan = Plan::draw(seed, run);
    assert_eq!((plan.seed, plan.run), (seed, run));
    plan.to_string().split_once('\n').unwrap().1.to_owned()
}

#[tokio::test]
async fn nothing_is_lost_while_everything_breaks_and_what_is_lost_is_counted() {
    let harness = Harness::start(&fixture().await).await.unwrap();
    let mut totals = Totals::default();
    for run in 0..RUNS {
        let plan = Plan::draw(SEED, run);
        let outcome = harness.run(&plan).await.unwrap();
        assert_eq!(outcome.violations, Violations::default(), "{plan}");
        totals.add(&outcome);
    }
    assert!(totals.is_clean() && totals.runs == RUNS, "{totals:?}");
    let happened = [totals.requests, totals.kills, totals.faults, totals.bought, totals.released];
    assert!(happened.iter().all(|count| *count > 0), "{totals:?}");

    let sql = connect(harness.database_url()).await.unwrap();
    let live: i64 = sql.query_one("select count(*) from agency_phone_numbers where status = 'active'", &[]).await.unwrap().get(0);
    assert!(live > 0, "the last run leaves something to be lost");
    let effect: [(&str, Kind); 6] = [
        ("delete from agency_phone_numbers where status = 'active'", |violations| &violations.orphans),
        ("update phone_number_purchases set phase = 'failed', failure_code = 'none' where phase = 'completed'", |violations| {
            &violations.double_buys
        }),
        ("update agencies set settings = '{\"max_phone_numbers\": 0}'", |violations| &violations.double_buys),
        ("update agency_phone_numbers set agency_id = (select min(id::text)::uuid from agencies), agent_mapping_id = null", |violations| {
            &violations.wrong_owner
        }),
        ("update phone_number_purchases set phase = 'ordered' where phase = 'completed'", |violations| &violations.stuck),
        (
            "alter table agency_phone_numbers disable trigger agency_phone_numbers_history; \
             update agency_phone_numbers set friendly_name = 'Nobody knows'",
            |violations| &violations.history_gaps,
        ),
    ];
    for (change, violations) in effect {
        sql.batch_execute(&format!("begin; {change}")).await.unwrap();
        let found = harness.check_over(&sql).await.unwrap();
        sql.batch_execute("rollback").await.unwrap();
        assert!(!violations(&found).is_empty(), "{change}: {found:?}");
    }
    assert_eq!(harness.check().await.unwrap(), Violations::default());
    harness.stop().await.unwrap();
}
