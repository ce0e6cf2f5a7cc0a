//! `cargo dev chaos`, for as long as a test may take.

use std::collections::HashSet;
use std::sync::Arc;

use dev::chaos::{Breaches, Grounds, Laboratory, Plan, Totals};
use dev::functions::{Logs, build};
use dev::postgres::connect;
use dev::template::Template;
use dev::workspace;

const SEED: u64 = 1;
const RUNS: u64 = 8;

/// The breaches of one kind.
type Kind = fn(&Breaches) -> &Vec<String>;

async fn grounds() -> Arc<Grounds> {
    let template = Template::read(&workspace::root().join("template.yaml")).unwrap();
    let names: Vec<&str> = template.functions.iter().map(|function| function.name.as_str()).collect();
    let programs = build::build(&names, false).await.unwrap();
    Arc::new(Grounds::start(template, programs, Logs::File("/dev/null".into())).await.unwrap())
}

#[test]
fn the_same_seed_is_the_same_plan() {
    let drawn = |seed: u64| -> Vec<String> { (0..100).map(|run| plan_without_its_name(seed, run)).collect() };
    assert_eq!(drawn(SEED), drawn(SEED));
    let distinct: HashSet<_> = drawn(SEED).into_iter().chain(drawn(SEED + 1)).collect();
    assert_eq!(distinct.len(), 200, "another seed, or another run of it, is another plan");
}

/// What a plan says below its first line.
fn plan_without_its_name(seed: u64, run: u64) -> String {
    let plan = Plan::draw(seed, run);
    assert_eq!((plan.seed, plan.run), (seed, run));
    plan.to_string().split_once('\n').unwrap().1.to_owned()
}

#[tokio::test]
async fn nothing_is_lost_while_everything_breaks_and_what_is_lost_is_counted() {
    let laboratory = Laboratory::start(&grounds().await).await.unwrap();
    let mut totals = Totals::default();
    for run in 0..RUNS {
        let plan = Plan::draw(SEED, run);
        let outcome = laboratory.run(&plan).await.unwrap();
        assert_eq!(outcome.breaches, Breaches::default(), "{plan}");
        totals.add(&outcome);
    }
    assert!(totals.is_clean() && totals.runs == RUNS, "{totals:?}");
    let happened = [totals.requests, totals.kills, totals.faults, totals.bought, totals.released];
    assert!(happened.iter().all(|count| *count > 0), "{totals:?}");

    let sql = connect(laboratory.database_url()).await.unwrap();
    let live: i64 = sql.query_one("select count(*) from agency_phone_numbers where status = 'active'", &[]).await.unwrap().get(0);
    assert!(live > 0, "the last run leaves something to be lost");
    let harm: [(&str, Kind); 6] = [
        ("delete from agency_phone_numbers where status = 'active'", |breaches| &breaches.orphans),
        ("update phone_number_purchases set phase = 'failed', failure_code = 'none' where phase = 'completed'", |breaches| {
            &breaches.double_buys
        }),
        ("update agencies set settings = '{\"max_phone_numbers\": 0}'", |breaches| &breaches.double_buys),
        ("update agency_phone_numbers set agency_id = (select min(id::text)::uuid from agencies), agent_mapping_id = null", |breaches| {
            &breaches.wrong_owner
        }),
        ("update phone_number_purchases set phase = 'ordered' where phase = 'completed'", |breaches| &breaches.stuck),
        (
            "alter table agency_phone_numbers disable trigger agency_phone_numbers_history; \
             update agency_phone_numbers set friendly_name = 'Nobody knows'",
            |breaches| &breaches.history_gaps,
        ),
    ];
    for (change, breaches) in harm {
        sql.batch_execute(&format!("begin; {change}")).await.unwrap();
        let found = laboratory.check_over(&sql).await.unwrap();
        sql.batch_execute("rollback").await.unwrap();
        assert!(!breaches(&found).is_empty(), "{change}: {found:?}");
    }
    assert_eq!(laboratory.check().await.unwrap(), Breaches::default());
    laboratory.stop().await.unwrap();
}
