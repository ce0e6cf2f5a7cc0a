//! Every crash point: a purchase, a release and a reconciliation touch the world only by talking to Postgres, to Telnyx and
//! to Secrets Manager. The process is killed at each such interaction, just before it takes effect and just after, and what is done
//! then has to make good whatever it left.

use std::collections::HashSet;
use std::time::Duration;

use dev::books::{imbalance, unfinished};
use dev::stack::Options;
use dev::vault::{self, Vault};
use dev::wire::{Fault, Moment, Wire};
use futures_util::future::join_all;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;
use tokio::time::{Instant, sleep};
use tokio_postgres::Client;

use crate::product::Product;

/// How many products the points are shared out to, each of which takes its own one after the other.
const PRODUCTS: usize = 4;
/// How long a process that died is waited for by whoever comes next. It is renewed in a third of that, which is longer than
/// any of the work here takes.
const LEASE_MS: &str = "1200";
/// So long that no process loses it, however slow the machine is.
const UNDISTURBED_LEASE_MS: &str = "60000";
/// How many times an order is seen pending.
const POLLS: usize = 2;
/// How it is told that something has not come to its end.
const NOT_BEGUN: &str = "it is not";
/// How long the same request may have to be made again.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is killed in the middle of its work.
#[derive(Clone, Copy, Debug)]
enum Subject {
    Purchase,
    Release,
    /// A run that has a purchase and a release to finish, and a number without a row to adopt.
    Reconcile,
}

/// What is done about it.
#[derive(Clone, Copy, Debug)]
enum Recovery {
    /// The same request is made again until it succeeds.
    Retry,
    /// Nobody asks again: the schedule alone makes it good.
    Reconcile,
}

/// Where it is killed: the index of an interaction, and on which side of its effect.
type Point = (usize, Moment);

#[tokio::test]
async fn a_purchase_that_dies_at_any_point_is_made_good_by_asking_again() {
    survives(Subject::Purchase, Recovery::Retry).await;
}

#[tokio::test]
async fn a_release_that_dies_at_any_point_is_made_good_by_asking_again() {
    survives(Subject::Release, Recovery::Retry).await;
}

#[tokio::test]
async fn a_purchase_that_dies_at_any_point_is_made_good_by_the_schedule_alone() {
    survives(Subject::Purchase, Recovery::Reconcile).await;
}

#[tokio::test]
async fn a_release_that_dies_at_any_point_is_made_good_by_the_schedule_alone() {
    survives(Subject::Release, Recovery::Reconcile).await;
}

#[tokio::test]
async fn a_reconciliation_that_dies_at_any_point_is_made_good_by_the_next_one() {
    survives(Subject::Reconcile, Recovery::Reconcile).await;
}

/// Crashes `subject` at every point there is.
async fn survives(subject: Subject, recovery: Recovery) {
    let interactions = undisturbed(subject).await;
    let points: Vec<Point> = (0..interactions).flat_map(|index| [(index, Moment::Before), (index, Moment::After)]).collect();
    let shares = (0..PRODUCTS).map(|first| points.iter().copied().skip(first).step_by(PRODUCTS));
    let outcomes = join_all(shares.map(async |share| {
        let mut laboratory = Laboratory::start(LEASE_MS).await;
        let mut outcomes = Vec::new();
        for point in share {
            outcomes.push(laboratory.crash(subject, recovery, point).await);
        }
        (outcomes, laboratory)
    }));
    // Laboratories go together: dropping a database blocks this thread, and would wait for connections of the others that
    // this thread has to serve.
    let (outcomes, _laboratories): (Vec<_>, Vec<_>) = outcomes.await.into_iter().unzip();
    let outcomes = outcomes.concat();
    let wrong: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    assert!(wrong.is_empty(), "{} of {} crash points: {wrong:#?}", wrong.len(), outcomes.len());
    assert_eq!(outcomes.len(), 2 * interactions);
    // What goes on at the same time may take a connection more or less, and with it a few interactions.
    let crashed = outcomes.iter().flatten().filter(|crashed| **crashed).count();
    assert!(crashed * 10 >= outcomes.len() * 9, "only {crashed} of {} points were reached", outcomes.len());
    println!("{subject:?}, {recovery:?}: {crashed} crash points, before and after each of {interactions} interactions");
}

/// How many interactions it takes when nothing goes wrong.
async fn undisturbed(subject: Subject) -> usize {
    let mut laboratory = Laboratory::start(UNDISTURBED_LEASE_MS).await;
    let work = laboratory.prepare(subject).await;
    let (status, answer) = laboratory.ask(&work).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let seen: Vec<_> = laboratory.wire.seen().into_iter().map(|interaction| interaction.name).collect();
    for (name, times) in subject.landmarks() {
        assert_eq!(seen.iter().filter(|seen| *seen == name).count(), *times, "{name} in {seen:#?}");
    }
    assert_eq!(laboratory.wrong(&work).await, Vec::<String>::new());
    seen.len()
}

impl Subject {
    fn function(self) -> &'static str {
        match self {
            Self::Purchase => "phone-numbers-purchase",
            Self::Release => "phone-numbers-release",
            Self::Reconcile => "phone-numbers-reconcile",
        }
    }

    /// Interactions that there have to be, and how many of each: what is not seen is not crashed.
    fn landmarks(self) -> &'static [(&'static str, usize)] {
        match self {
            Self::Purchase => &[
                // The secrets of the tokens, the database, the agency and the platform.
                ("POST /", 4),
                ("callers.authorize", 1),
                ("purchases.lock", 1),
                ("purchases.vacate", 1),
                ("purchases.begin", 1),
                ("commit", 1),
                ("GET /v2/available_phone_numbers", 1),
                ("purchases.ordering", 1),
                ("POST /v2/number_orders", 1),
                ("purchases.ordered", 1),
                ("GET /v2/number_orders/{id}", POLLS + 1),
                ("GET /v2/phone_numbers", 1),
                ("purchases.complete", 1),
            ],
            Self::Release => &[
                // The secrets of the tokens, the database and the platform.
                ("POST /", 3),
                ("callers.authorize", 1),
                ("releases.targets", 1),
                ("releases.begin", 1),
                ("releases.renew", 1),
                ("DELETE /v2/phone_numbers/{id}", 1),
                ("releases.complete", 1),
            ],
            Self::Reconcile => &[
                ("purchases.unattended", 1),
                ("purchases.complete", 1),
                ("releases.unattended", 1),
                ("releases.complete", 1),
                ("walks.begin", 1),
                ("GET /v2/phone_numbers/{id}", 1),
                ("inventory.adopt", 1),
                ("walks.advance", 1),
                ("walks.finish", 1),
            ],
        }
    }
}

/// Some work for a subject.
struct Work {
    request: Request,
    /// What it is about, and the status of each row in the end.
    ends: Vec<(String, &'static str)>,
}

enum Request {
    Http(Box<RequestBuilder>),
    /// The template's own.
    Schedule,
}

/// A product whose functions reach everything through one wire.
struct Laboratory {
    product: Product,
    wire: Wire,
    sql: Client,
    /// Those that no work has been about yet.
    numbers: Vec<String>,
    /// What was found wrong.
    told: HashSet<String>,
    _vault: Vault,
}

impl Laboratory {
    async fn start(lease_ms: &str) -> Self {
        let (wire, vault) = (Wire::new(), Vault::start().await.unwrap());
        let wired = async |options: &mut Options| {
            vault.keep_text("database", &wire.postgres(&options.database_url).await.unwrap());
            vault.keep_text("tokens", &options.issuer.secret);
            vault.keep_text("telnyx", &options.telnyx.api_key);
            let secrets = [
                ("DATABASE_URL", ""),
                ("DATABASE_SECRET_ID", "database"),
                ("JWT_SECRET", ""),
                ("JWT_SECRET_ID", "tokens"),
                ("TELNYX_API_KEY", ""),
                ("TELNYX_AGENCY_SECRET_ID", "telnyx/{agency_id}"),
                ("TELNYX_PLATFORM_SECRET_ID", "telnyx"),
            ];
            let pace = [("PURCHASE_LEASE_MS", lease_ms), ("PURCHASE_POLL_MS", "20"), ("PURCHASE_ORDER_MISSING_AFTER_MS", "300")];
            let vault = wire.http(&vault.url()).await.unwrap();
            let variables = secrets.into_iter().chain(pace).chain(vault::environment(&vault));
            options.environment = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            options.wire = Some(wire.clone());
            options.telnyx.settings.order_delay_ms = 0;
            options.telnyx.settings.order_delay_reads = u32::try_from(POLLS).unwrap();
            options.telnyx.settings.number_delay_ms = 0;
        };
        let product = Product::with(wired).await;
        let sql = product.database.connect().await.unwrap();
        let mut numbers = Vec::new();
        for area_code in ["212", "312", "415"] {
            numbers.extend(product.offers_in(area_code).await);
        }
        Self { product, wire, sql, numbers, told: HashSet::new(), _vault: vault }
    }

    /// Makes ready for a subject: with a fresh number, and no process yet. The wire counts from here.
    async fn prepare(&mut self, subject: Subject) -> Work {
        let number = self.number();
        let (request, ends) = match subject {
            Subject::Purchase => (Request::Http(Box::new(self.product.purchase(&number))), vec![(number, "active")]),
            Subject::Release => {
                let id = self.bought(&number).await;
                (Request::Http(Box::new(self.product.release(&id))), vec![(number, "released")])
            }
            Subject::Reconcile => (Request::Schedule, self.backlog(number).await),
        };
        self.product.function(subject.function()).kill().await;
        self.wire.restart();
        Work { request, ends }
    }

    fn number(&mut self) -> String {
        self.numbers.pop().expect("more numbers than points")
    }

    /// Buys a number: its row.
    async fn bought(&self, number: &str) -> String {
        let bought = self.product.json(self.product.purchase(number), 200).await;
        bought["phone_numbers"][0]["id"].as_str().unwrap().to_owned()
    }

    /// A purchase and a release whose processes died with the last step undone, and a number of a time that the database has
    /// forgotten.
    async fn backlog(&mut self, forgotten: String) -> Vec<(String, &'static str)> {
        let (buying, releasing) = (self.number(), self.number());
        let id = self.bought(&forgotten).await;
        let forget = format!(
            "delete from agency_phone_numbers where id = '{id}';
             delete from phone_number_purchases where agency_phone_number_id = '{id}'"
        );
        self.sql.batch_execute(&forget).await.unwrap();
        self.dies_at("phone-numbers-purchase", "purchases.complete", self.product.purchase(&buying)).await;
        let id = self.bought(&releasing).await;
        self.dies_at("phone-numbers-release", "releases.complete", self.product.release(&id)).await;
        let expire = "update phone_number_purchases set leased_until = now() - interval '1 second' where leased_until is not null;
                      update phone_number_releases set leased_until = now() - interval '1 second' where leased_until is not null";
        self.sql.batch_execute(expire).await.unwrap();
        vec![(forgotten, "active"), (buying, "active"), (releasing, "released")]
    }

    async fn dies_at(&self, function: &str, statement: &str, request: RequestBuilder) {
        let process = self.product.function(function).clone();
        self.wire.strike(statement, Moment::Before, Fault::call(async move { process.kill().await }));
        assert_eq!(request.send().await.unwrap().status(), StatusCode::BAD_GATEWAY);
    }

    async fn ask(&self, work: &Work) -> (StatusCode, Value) {
        match &work.request {
            Request::Http(request) => {
                let response = request.try_clone().unwrap().send().await.unwrap();
                (response.status(), response.json().await.unwrap_or_default())
            }
            Request::Schedule => match self.product.stack.run_scheduled().await {
                Ok(()) => (StatusCode::OK, Value::Null),
                Err(failure) => (StatusCode::BAD_GATEWAY, Value::String(format!("{failure:?}"))),
            },
        }
    }

    /// Kills the process of a subject at a point, recovers, and tells what is wrong then; or else whether it came so far.
    async fn crash(&mut self, subject: Subject, recovery: Recovery, (index, moment): Point) -> Result<bool, String> {
        let work = self.prepare(subject).await;
        let function = self.product.function(subject.function()).clone();
        self.wire.strike(index, moment, Fault::call(async move { function.kill().await }));
        let (status, answer) = self.ask(&work).await;
        let name = self.wire.seen().into_iter().nth(index).map(|interaction| interaction.name);
        let told = |wrong: &str| format!("{moment:?} #{index} {name:?}, {}: {wrong}", work.ends[0].0);
        let came_so_far = self.wire.seen().len() > index;
        if !came_so_far && status == StatusCode::OK {
            self.wire.heal();
        } else if self.wire.struck() != 1 || status != StatusCode::BAD_GATEWAY {
            self.wire.heal();
            return Err(told(&format!("it was not killed, and answered {status} {answer}")));
        }
        let mut wrong: Vec<_> = self.recover(recovery, &work).await.err().into_iter().collect();
        // What was never written down is nobody's to finish, unless somebody asks again.
        let begun = !matches!((subject, recovery), (Subject::Purchase | Subject::Release, Recovery::Reconcile));
        wrong.extend(self.wrong(&work).await.into_iter().filter(|wrong| begun || !wrong.starts_with(NOT_BEGUN)));
        // What an earlier point has left is told there.
        wrong.retain(|wrong| self.told.insert(wrong.clone()));
        if wrong.is_empty() { Ok(came_so_far) } else { Err(told(&wrong.join("; "))) }
    }

    async fn recover(&self, recovery: Recovery, work: &Work) -> Result<(), String> {
        match recovery {
            Recovery::Retry => {
                let deadline = Instant::now() + PATIENCE;
                loop {
                    let (status, answer) = self.ask(work).await;
                    if status == StatusCode::OK {
                        return Ok(());
                    }
                    if answer["retryable"] == false || Instant::now() > deadline {
                        return Err(format!("asked again, it answered {status} {answer}"));
                    }
                    sleep(Duration::from_millis(50)).await;
                }
            }
            Recovery::Reconcile => {
                let deadline = Instant::now() + PATIENCE;
                // Once at the least: what is to be adopted is not unfinished.
                self.product.stack.run_scheduled().await.map_err(|failure| format!("the next run failed: {failure:?}"))?;
                while !unfinished(&self.sql).await.unwrap().is_empty() || self.is_lost(work).await {
                    if Instant::now() > deadline {
                        return Err("the schedule does not finish it".to_owned());
                    }
                    sleep(Duration::from_millis(100)).await;
                    let _ = self.product.stack.run_scheduled().await;
                }
                Ok(())
            }
        }
    }

    /// Whether a number that is to be active has no row yet: the walk of whoever died has to be over first.
    async fn is_lost(&self, work: &Work) -> bool {
        let query = "select count(*) from agency_phone_numbers where phone_number = any($1)";
        let numbers: Vec<_> = work.ends.iter().map(|(number, _)| number.as_str()).collect();
        let found: i64 = self.sql.query_one(query, &[&numbers]).await.unwrap().get(0);
        matches!(work.request, Request::Schedule) && usize::try_from(found).unwrap() < numbers.len()
    }

    /// What is lost, bought twice, stuck, or not as the caller was told.
    async fn wrong(&self, work: &Work) -> Vec<String> {
        let mut wrong = imbalance(&self.sql, &self.product.telnyx().await).await.unwrap().all();
        wrong.extend(unfinished(&self.sql).await.unwrap());
        let query = "select status::text from agency_phone_numbers where phone_number = $1";
        for (number, end) in &work.ends {
            let status: Option<String> = self.sql.query_opt(query, &[number]).await.unwrap().map(|row| row.get(0));
            if status.as_deref() != Some(end) {
                wrong.push(format!("{NOT_BEGUN} {end}: {number} is {status:?}"));
            }
        }
        wrong
    }
}
