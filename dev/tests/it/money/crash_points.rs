//! Every crash point: a purchase, a release and a reconciliation have effects only through requests to Postgres, Telnyx and
//! Secrets Manager. The process is killed at each of these interactions, just before and just after its effect, and the recovery
//! must then repair whatever state it left.

use std::collections::HashSet;
use std::time::Duration;

use dev::demo::{self, Agency, User};
use dev::fault_proxy::{Fault, FaultProxy, Moment};
use dev::invariants::{unfinished, violations};
use dev::postgres::logins::Login;
use dev::secrets_manager::{self, SecretsManager};
use dev::stack::Options;
use dev::telnyx_simulator::Keys;
use futures_util::future::join_all;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::support::accounts::{OWN, OWN_KEY, own_secret};
use crate::support::product::Product;

/// The number of harnesses that the points are divided among. Each takes its points in sequence. More would not be faster, since each
/// keeps a core busy, and would slow down the tests beside this one.
const PRODUCTS: usize = 2;
/// So long that no process loses or renews it even on a slow machine. The leases of a dead process are ended by
/// [`Harness::expire_leases`]; without that, a recovery would exceed [`RECOVERY_TIMEOUT`].
const LEASE_MS: &str = "10000";
/// How many reads see an order pending.
const POLLS: usize = 2;
/// The message about unfinished work.
const NOT_BEGUN: &str = "it is not";
/// How long a request may be repeated.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(30);

/// The work that is interrupted.
#[derive(Clone, Copy, Debug)]
enum Subject {
    Purchase,
    Release,
    /// The release of a number that is still being ordered: its order is cancelled.
    Cancellation,
    /// The release of a number that Telnyx does not delete.
    RefusedRelease,
    /// The release of a number that Telnyx has moved to the agency's own account.
    MovedRelease,
    /// A run that has a purchase and a release to finish, and a number without a row to adopt.
    Reconcile,
    /// A run that has an order to cancel whose agency was deleted, and a number to follow to another account.
    ReconcileChanges,
}

/// The recovery after a crash.
#[derive(Clone, Copy, Debug)]
enum Recovery {
    /// The same request is repeated until it succeeds.
    Retry,
    /// Only the schedule recovers.
    Reconcile,
}

/// The crash point: the index of an interaction, and whether it is before or after its effect.
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
async fn a_cancellation_that_dies_at_any_point_is_made_good_by_asking_again() {
    survives(Subject::Cancellation, Recovery::Retry).await;
}

#[tokio::test]
async fn a_release_that_is_refused_leaves_the_row_as_it_was_wherever_it_dies() {
    survives(Subject::RefusedRelease, Recovery::Retry).await;
}

#[tokio::test]
async fn the_release_of_a_moved_number_that_dies_at_any_point_is_made_good_by_the_schedule_alone() {
    survives(Subject::MovedRelease, Recovery::Reconcile).await;
}

#[tokio::test]
async fn a_reconciliation_that_dies_at_any_point_is_made_good_by_the_next_one() {
    survives(Subject::Reconcile, Recovery::Reconcile).await;
}

#[tokio::test]
async fn a_reconciliation_that_dies_while_it_takes_note_of_changes_is_made_good_by_the_next_one() {
    survives(Subject::ReconcileChanges, Recovery::Reconcile).await;
}

/// Crashes `subject` at every point.
async fn survives(subject: Subject, recovery: Recovery) {
    let interactions = undisturbed(subject).await;
    let points: Vec<Point> = (0..interactions).flat_map(|index| [(index, Moment::Before), (index, Moment::After)]).collect();
    let shares = (0..PRODUCTS).map(|first| points.iter().copied().skip(first).step_by(PRODUCTS));
    let outcomes = join_all(shares.map(async |share| {
        let mut harness = Harness::start().await;
        let mut outcomes = Vec::new();
        for point in share {
            outcomes.push(harness.crash(subject, recovery, point).await);
        }
        (outcomes, harness)
    }));
    // The harnesses are dropped together: dropping a database blocks this thread, and would wait for connections of others that
    // this thread has to serve.
    let (outcomes, _harnesses): (Vec<_>, Vec<_>) = outcomes.await.into_iter().unzip();
    let outcomes = outcomes.concat();
    let wrong: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    assert!(wrong.is_empty(), "{} of {} crash points: {wrong:#?}", wrong.len(), outcomes.len());
    assert_eq!(outcomes.len(), 2 * interactions);
    // Concurrent work may open one connection more or less, which changes the number of interactions.
    let crashed = outcomes.iter().flatten().filter(|crashed| **crashed).count();
    assert!(crashed * 10 >= outcomes.len() * 9, "only {crashed} of {} points were reached", outcomes.len());
    println!("{subject:?}, {recovery:?}: {crashed} crash points, before and after each of {interactions} interactions");
}

/// The number of interactions without a crash.
async fn undisturbed(subject: Subject) -> usize {
    let mut harness = Harness::start().await;
    let work = harness.prepare(subject).await;
    let (status, answer) = harness.ask(&work).await;
    assert_eq!(status, subject.status(), "{answer}");
    let seen: Vec<_> = harness.proxy.seen().into_iter().map(|interaction| interaction.name).collect();
    for (name, times) in subject.landmarks() {
        assert_eq!(seen.iter().filter(|seen| *seen == name).count(), *times, "{name} in {seen:#?}");
    }
    if matches!(subject, Subject::ReconcileChanges) {
        // A cancelled order is read again in the next run.
        harness.recover(Recovery::Reconcile, &work).await.unwrap();
    }
    assert_eq!(harness.wrong(&work).await, Vec::<String>::new());
    seen.len()
}

impl Subject {
    fn function(self) -> &'static str {
        match self {
            Self::Purchase => "phone-numbers-purchase",
            Self::Release | Self::Cancellation | Self::RefusedRelease | Self::MovedRelease => "phone-numbers-release",
            Self::Reconcile | Self::ReconcileChanges => "phone-numbers-reconcile",
        }
    }

    /// The final answer.
    fn status(self) -> StatusCode {
        if matches!(self, Self::RefusedRelease) { StatusCode::MULTI_STATUS } else { StatusCode::OK }
    }

    /// Interactions that must occur, with their number. Otherwise crash points would be missing unnoticed.
    fn landmarks(self) -> &'static [(&'static str, usize)] {
        match self {
            Self::Purchase => &[
                // The secrets of the token key, the database, the agency and the platform.
                ("POST /", 4),
                ("callers.authorize", 1),
                ("purchases.begin.insert", 1),
                ("GET /v2/available_phone_numbers", 1),
                ("purchases.order.ordering", 1),
                ("POST /v2/number_orders", 1),
                ("purchases.order.ordered", 1),
                ("GET /v2/number_orders/{id}", POLLS + 1),
                ("GET /v2/phone_numbers", 1),
                ("purchases.finish.complete", 1),
            ],
            Self::Release => &[
                // The secrets of the token key, the database and the platform.
                ("POST /", 3),
                ("callers.authorize", 1),
                ("releases.begin.targets", 1),
                ("releases.begin.insert", 1),
                ("releases.ledger.deleting", 1),
                ("DELETE /v2/phone_numbers/{id}", 1),
                ("releases.finish.complete", 1),
            ],
            Self::Cancellation => {
                &[("purchases.finish.cancel", 1), ("GET /v2/number_orders", 2), ("PATCH /v2/sub_number_orders/{id}/cancel", 1)]
            }
            Self::RefusedRelease => &[("releases.ledger.deleting", 1), ("DELETE /v2/phone_numbers/{id}", 1), ("releases.finish.refuse", 1)],
            Self::MovedRelease => &[
                ("releases.ledger.deleting", 2),
                ("DELETE /v2/phone_numbers/{id}", 2),
                ("reconcile.moves.follow", 1),
                ("releases.finish.complete", 1),
            ],
            Self::Reconcile => &[
                ("purchases.ledger.unattended", 1),
                ("purchases.finish.complete", 1),
                ("releases.ledger.unattended", 1),
                ("releases.finish.complete", 1),
                ("reconcile.walks.begin", 1),
                ("GET /v2/phone_numbers/{id}", 1),
                ("reconcile.adopt.insert", 1),
                ("reconcile.walks.advance", 1),
                ("reconcile.walks.finish", 1),
            ],
            Self::ReconcileChanges => &[
                ("purchases.order.cancelling", 1),
                ("PATCH /v2/sub_number_orders/{id}/cancel", 1),
                ("reconcile.walks.begin", 2),
                ("GET /v2/phone_numbers/{id}", 2),
                ("reconcile.moves.follow", 1),
                ("reconcile.walks.advance", 2),
                ("reconcile.walks.finish", 2),
            ],
        }
    }
}

/// The work of a subject.
struct Work {
    request: Request,
    /// The final answer.
    status: StatusCode,
    /// Its numbers, and the final status of each row; `None` if there is no row.
    ends: Vec<(String, Option<&'static str>)>,
}

enum Request {
    Http(Box<RequestBuilder>),
    /// The value in the template.
    Schedule,
}

/// The product, with its functions behind one proxy.
struct Harness {
    product: Product,
    proxy: FaultProxy,
    sql: Client,
    /// Numbers that no work has used yet.
    numbers: Vec<String>,
    /// The violations.
    told: HashSet<String>,
    secrets_manager: SecretsManager,
}

impl Harness {
    async fn start() -> Self {
        let (proxy, secrets_manager) = (FaultProxy::new(), SecretsManager::start().await.unwrap());
        let wired = async |options: &mut Options| {
            // One secret for all functions: the login that permits the most.
            let database_url = proxy.postgres(&options.database_url).await.unwrap();
            secrets_manager.set_text("database", &Login::Spend.url(&database_url).unwrap());
            secrets_manager.set_text("tokens", &options.issuer.secret);
            secrets_manager.set_text("telnyx", &options.telnyx.api_key);
            let secrets = [
                ("DATABASE_URL", ""),
                ("DATABASE_SECRET_ID", "database"),
                ("JWT_SECRET", ""),
                ("JWT_SECRET_ID", "tokens"),
                ("TELNYX_API_KEY", ""),
                ("TELNYX_AGENCY_SECRET_ID", "telnyx/{agency_id}"),
                ("TELNYX_PLATFORM_SECRET_ID", "telnyx"),
            ];
            let pace = [("LEASE_MS", LEASE_MS), ("PURCHASE_POLL_MS", "20"), ("PURCHASE_ORDER_MISSING_AFTER_MS", "300")];
            let secrets_manager = proxy.http(&secrets_manager.url()).await.unwrap();
            let variables = secrets.into_iter().chain(pace).chain(secrets_manager::environment(&secrets_manager));
            options.environment = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            options.proxy = Some(proxy.clone());
            options.telnyx.settings.order_delay_ms = 0;
            options.telnyx.settings.order_delay_reads = u32::try_from(POLLS).unwrap();
            options.telnyx.settings.number_delay_ms = 0;
            options.telnyx.settings.accounts = [(OWN.to_owned(), Keys::One(OWN_KEY.to_owned()))].into();
        };
        let product = Product::with(wired).await;
        let sql = product.database.connect().await.unwrap();
        let mut numbers = Vec::new();
        for area_code in ["212", "312", "415", "646", "773", "628"] {
            numbers.extend(product.offers_in(area_code).await);
        }
        Self { product, proxy, sql, numbers, told: HashSet::new(), secrets_manager }
    }

    /// Prepares a subject with an unused number and without processes. Clears the proxy's log.
    async fn prepare(&mut self, subject: Subject) -> Work {
        // Until the agency has an account of its own, it buys in the platform's.
        self.secrets_manager.remove(&own_secret());
        self.kill_all().await;
        let number = self.number();
        let (request, ends) = match subject {
            Subject::Purchase => (Request::Http(Box::new(self.product.purchase(&number))), vec![(number, Some("active"))]),
            Subject::Release => (self.release_of(&number).await, vec![(number, Some("released"))]),
            Subject::Cancellation => {
                // It can be cancelled while it is pending.
                self.product.telnyx_settings(json!({"order_outcome": "never"})).await;
                let id = self.ordered(&number, self.product.purchase(&number)).await;
                (Request::Http(Box::new(self.product.release(&id))), vec![(number, Some("released"))])
            }
            Subject::RefusedRelease => {
                let release = self.release_of(&number).await;
                self.by_hand(&number, json!({"deletion_lock_enabled": true})).await;
                (release, vec![(number, Some("active"))])
            }
            Subject::MovedRelease => {
                let release = self.release_of(&number).await;
                self.move_to_own(&number).await;
                (release, vec![(number, Some("released"))])
            }
            Subject::Reconcile => (Request::Schedule, self.backlog(number).await),
            Subject::ReconcileChanges => (Request::Schedule, self.changes(number).await),
        };
        self.kill_all().await;
        self.proxy.clear_log();
        Work { request, ends, status: subject.status() }
    }

    /// New processes have not read any secrets.
    async fn kill_all(&self) {
        for function in self.product.stack.functions() {
            function.kill().await;
        }
    }

    /// Buys a number to release.
    async fn release_of(&self, number: &str) -> Request {
        let id = self.bought(number).await;
        Request::Http(Box::new(self.product.release(&id)))
    }

    /// Orders a number and kills the process right after the order is recorded: the row.
    async fn ordered(&self, number: &str, purchase: RequestBuilder) -> String {
        self.dies_at("phone-numbers-purchase", "GET /v2/number_orders/{id}", purchase).await;
        self.expire_leases().await;
        let row = self.sql.query_one("select id::text from agency_phone_numbers where phone_number = $1", &[&number]).await.unwrap();
        row.get(0)
    }

    /// Changes a number as in Telnyx's portal.
    async fn by_hand(&self, number: &str, change: Value) {
        let url = format!("{}/numbers/{number}", self.product.stack.telnyx().control_url());
        self.product.http.patch(url).json(&change).send().await.unwrap().error_for_status().unwrap();
    }

    /// Moves a number to the agency's own account at Telnyx and sets the secret with its key.
    async fn move_to_own(&self, number: &str) {
        self.by_hand(number, json!({"account": OWN})).await;
        self.secrets_manager.set_text(&own_secret(), OWN_KEY);
    }

    fn number(&mut self) -> String {
        self.numbers.pop().expect("more numbers than points")
    }

    /// Buys a number: its row.
    async fn bought(&self, number: &str) -> String {
        let bought = self.product.json(self.product.purchase(number), 200).await;
        bought["phone_numbers"][0]["id"].as_str().unwrap().to_owned()
    }

    /// A purchase and a release whose last step is missing, and a number without a row.
    async fn backlog(&mut self, forgotten: String) -> Vec<(String, Option<&'static str>)> {
        let (buying, releasing) = (self.number(), self.number());
        let id = self.bought(&forgotten).await;
        let forget = format!(
            "delete from agency_phone_numbers where id = '{id}';
             delete from phone_number_purchases where agency_phone_number_id = '{id}'"
        );
        self.sql.batch_execute(&forget).await.unwrap();
        self.dies_at("phone-numbers-purchase", "purchases.finish.complete", self.product.purchase(&buying)).await;
        let id = self.bought(&releasing).await;
        self.dies_at("phone-numbers-release", "releases.finish.complete", self.product.release(&id)).await;
        self.expire_leases().await;
        vec![(forgotten, Some("active")), (buying, Some("active")), (releasing, Some("released"))]
    }

    /// An order of a deleted agency, and a number that was moved to another account.
    async fn changes(&mut self, moved: String) -> Vec<(String, Option<&'static str>)> {
        let orphaned = self.number();
        self.bought(&moved).await;
        self.ordered_by_an_agency_that_goes(&orphaned).await;
        self.move_to_own(&moved).await;
        vec![(moved, Some("active")), (orphaned, None)]
    }

    async fn ordered_by_an_agency_that_goes(&self, number: &str) {
        let agency = Agency { key: "goes", id: Uuid::new_v4(), name: "Goes", telnyx_application_id: demo::OTHER.telnyx_application_id };
        let owner = User { key: "goes", id: Uuid::new_v4(), agency: Some(agency.id), role: "agency_owner", email: "owner@goes.example" };
        demo::insert(self.product.database.url(), &[agency], &[owner], &[]).await.unwrap();
        let purchase = self.product.http.request(Method::POST, &self.product.stack.routes()["phone-numbers-purchase"]);
        let token = self.product.stack.issuer().token(owner.id, owner.email);
        let purchase = purchase.bearer_auth(token).json(&json!({"phone_numbers": [{"phone_number": number}]}));
        self.ordered(number, purchase).await;
        self.sql.execute("delete from agencies where id = $1", &[&agency.id]).await.unwrap();
    }

    /// Makes the leases of all processes expire.
    async fn expire_leases(&self) {
        for table in ["purchases", "releases", "inventory_walks"] {
            let expire = format!(
                "update phone_number_{table}
                 set leased_until = now() - interval '1 second'
                 where leased_until is not null"
            );
            self.sql.batch_execute(&expire).await.unwrap();
        }
    }

    async fn dies_at(&self, function: &str, statement: &str, request: RequestBuilder) {
        let process = self.product.function(function).clone();
        self.proxy.inject(statement, Moment::Before, Fault::call(async move { process.kill().await }));
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

    /// Kills the process of a subject at a point, recovers, and records violations. Returns whether the point was reached.
    async fn crash(&mut self, subject: Subject, recovery: Recovery, (index, moment): Point) -> Result<bool, String> {
        let work = self.prepare(subject).await;
        let function = self.product.function(subject.function()).clone();
        self.proxy.inject(index, moment, Fault::call(async move { function.kill().await }));
        let (status, answer) = self.ask(&work).await;
        let name = self.proxy.seen().into_iter().nth(index).map(|interaction| interaction.name);
        let told = |wrong: &str| format!("{moment:?} #{index} {name:?}, {}: {wrong}", work.ends[0].0);
        let came_so_far = self.proxy.seen().len() > index;
        if !came_so_far && status == work.status {
            self.proxy.reset();
        } else if self.proxy.injected() != 1 || status != StatusCode::BAD_GATEWAY {
            self.proxy.reset();
            return Err(told(&format!("it was not killed, and answered {status} {answer}")));
        }
        self.expire_leases().await;
        let mut wrong: Vec<_> = self.recover(recovery, &work).await.err().into_iter().collect();
        // Work that was never recorded is finished only if the request is repeated.
        let begun = matches!(recovery, Recovery::Retry) || matches!(subject, Subject::Reconcile | Subject::ReconcileChanges);
        wrong.extend(self.wrong(&work).await.into_iter().filter(|wrong| begun || !wrong.starts_with(NOT_BEGUN)));
        // What an earlier point left was reported with that point.
        wrong.retain(|wrong| self.told.insert(wrong.clone()));
        if wrong.is_empty() { Ok(came_so_far) } else { Err(told(&wrong.join("; "))) }
    }

    async fn recover(&self, recovery: Recovery, work: &Work) -> Result<(), String> {
        match recovery {
            Recovery::Retry => {
                let deadline = Instant::now() + RECOVERY_TIMEOUT;
                loop {
                    let (status, answer) = self.ask(work).await;
                    if status == work.status && !is_retryable(&answer) {
                        return Ok(());
                    }
                    if !is_retryable(&answer) || Instant::now() > deadline {
                        return Err(format!("asked again, it answered {status} {answer}"));
                    }
                    sleep(Duration::from_millis(50)).await;
                }
            }
            Recovery::Reconcile => {
                let deadline = Instant::now() + RECOVERY_TIMEOUT;
                // At least once: a number to adopt does not count as unfinished.
                self.product.stack.run_scheduled().await.map_err(|failure| format!("the next run failed: {failure:?}"))?;
                while !unfinished(&self.sql).await.unwrap().is_empty() || self.is_left(work).await {
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

    /// Whether the schedule has more to do: the walk of a dead process must end first.
    async fn is_left(&self, work: &Work) -> bool {
        matches!(work.request, Request::Schedule) && !self.wrong(work).await.is_empty()
    }

    /// The violations: what is lost, bought twice, stuck, or contradicts the answer.
    async fn wrong(&self, work: &Work) -> Vec<String> {
        let mut wrong = violations(&self.sql, &self.product.telnyx().await).await.unwrap().all();
        wrong.extend(unfinished(&self.sql).await.unwrap());
        let query = "select status::text from agency_phone_numbers where phone_number = $1";
        for (number, end) in &work.ends {
            let status: Option<String> = self.sql.query_opt(query, &[number]).await.unwrap().map(|row| row.get(0));
            if status.as_deref() != *end {
                wrong.push(format!("{NOT_BEGUN} {end:?}: {number} is {status:?}"));
            }
        }
        wrong
    }
}

/// Whether the answer to the same request may change later; for an answer with several numbers, whether any may.
fn is_retryable(answer: &Value) -> bool {
    let failed = answer["failed"].as_array().into_iter().flatten();
    answer["retryable"] == true || answer.is_null() || failed.map(|item| &item["problem"]).any(|problem| problem["retryable"] == true)
}
