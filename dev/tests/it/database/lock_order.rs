//! The order in which statements lock rows: see "The order of locks" in docs/architecture.md.
//!
//! Another session locks what has to be locked first. The statement waits for it, and must not hold anything that comes later in
//! the order: the other session could be waiting for that.

use std::time::Duration;

use dev::demo;
use serde_json::{Value, json};
use shared::error::Error;
use shared::model::Actor;
use shared::store::{BoughtNumber, Lease, Purchase, PurchaseId, Reconciled, ReleaseBegun, ReleaseStart, Store};
use uuid::Uuid;

use crate::support::actions::assigned;
use crate::support::app::{TestApp, eventually};

/// Longer than any of these tests takes.
const LEASE: Duration = Duration::from_mins(1);

async fn app() -> TestApp {
    let mut app = TestApp::new().await;
    // A statement waits for the other session as long as that needs.
    app.set("DATABASE_TIMEOUT_MS", "20000");
    app
}

/// Runs `work` while another session holds the locks of `first`. Insists that `work` waits in the statement of this name and has
/// locked none of the rows of `later`.
async fn waits_without_locks(app: &TestApp, first: &str, later: &[String], statement: &str, work: impl Future) {
    let other = app.database.connect().await.unwrap();
    other.batch_execute(&format!("begin; {first} for update")).await.unwrap();
    let is_waiting = format!(
        "select from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock' and starts_with(query, '-- {statement}')"
    );
    let looks = async {
        eventually(async || app.sql.query_opt(&is_waiting, &[]).await.unwrap()).await;
        for rows in later {
            let found = other.query(&format!("{rows} for update nowait"), &[]).await;
            let found = found.unwrap_or_else(|error| panic!("{statement} locks too early: {rows}: {:?}", error.as_db_error()));
            assert!(!found.is_empty(), "{rows}");
        }
        other.batch_execute("rollback").await.unwrap();
    };
    tokio::join!(work, looks);
}

/// A number that is bought, with its row and its purchase.
struct Bought {
    app: TestApp,
    store: Store,
    row_id: Uuid,
    purchase_id: Uuid,
}

impl Bought {
    async fn new() -> Self {
        let app = app().await;
        let row = assigned(&app).await;
        let purchase = app.purchase_of(&row["phone_number"]).await;
        let id = |value: &Value| value.as_str().unwrap().parse().unwrap();
        Self { store: app.store(), row_id: id(&row["id"]), purchase_id: id(&purchase["id"]), app }
    }

    /// A number whose purchase is unfinished, with the lease of it.
    async fn unfinished() -> (Self, Lease<PurchaseId>, Purchase) {
        let bought = Self::new().await;
        bought
            .app
            .execute(
                "update phone_number_purchases set phase = 'ordered', completed_at = null, telnyx_phone_number_id = null;
                 update agency_phone_numbers set status = 'pending', phone_number_id = null, purchased_at = null",
            )
            .await;
        let lease = Lease::new(PurchaseId(bought.purchase_id), LEASE);
        let purchase = bought.store.claim_purchase(&lease).await.unwrap().unwrap();
        (bought, lease, purchase)
    }

    /// An open finding about the row.
    async fn finding(&self, kind: &str) -> Uuid {
        let insert = "\
insert into phone_number_findings
  (kind, telnyx_account, phone_number, telnyx_phone_number_id, key_sha256, agency_id, agency_phone_number_ids, detail)
select $1, case $1 when 'number_moved' then 'agency:' || n.agency_id else 'platform' end, n.phone_number, '42',
       sha256('key'), n.agency_id, array[n.id], ''
from agency_phone_numbers n
returning id";
        self.app.sql.query_one(insert, &[&kind]).await.unwrap().get(0)
    }

    async fn begin_release(&self) -> ReleaseBegun {
        let actor = Actor { user_id: demo::USERS[0].id, agency_id: demo::DEMO.id };
        let start = ReleaseStart { row_id: self.row_id, account: "platform".to_owned(), lease: LEASE };
        self.store.begin_release(&actor, &start).await.unwrap()
    }

    /// Insists that `work` locks the row before the ledgers.
    async fn locks_the_row_first(&self, statement: &str, ledgers: &[&str], work: impl Future) {
        let row = format!("select from agency_phone_numbers where id = '{}'", self.row_id);
        let entries = |ledger: &&str| format!("select from phone_number_{ledger} where agency_phone_number_id = '{}'", self.row_id);
        let later: Vec<_> = ledgers.iter().map(entries).collect();
        waits_without_locks(&self.app, &row, &later, statement, work).await;
    }
}

#[tokio::test]
async fn the_end_of_a_purchase_locks_its_row_before_the_ledger() {
    let (bought, lease, ordered) = Bought::unfinished().await;
    let number = BoughtNumber { phone_number_id: "42", number_type: None, country_code: None, key_digest: [7; 32].into() };
    let complete = async { assert!(bought.store.complete_purchase(&lease, &ordered, &number).await.unwrap().is_done()) };
    bought.locks_the_row_first("purchases.finish.complete", &["purchases"], complete).await;

    let (bought, lease, _) = Bought::unfinished().await;
    let fail = async { assert!(bought.store.fail_purchase(&lease, &Error::NumberUnavailable).await.unwrap().is_done()) };
    bought.locks_the_row_first("purchases.finish.fail", &["purchases"], fail).await;

    let (bought, lease, _) = Bought::unfinished().await;
    let cancel = async { assert!(bought.store.cancel_purchase(&lease, "operator").await.unwrap().is_done()) };
    bought.locks_the_row_first("purchases.finish.cancel", &["purchases"], cancel).await;
}

#[tokio::test]
async fn the_end_of_a_release_locks_its_row_before_the_ledger() {
    for refused in [false, true] {
        let bought = Bought::new().await;
        let ReleaseBegun::Held(held) = bought.begin_release().await else { panic!("it is busy") };
        let end = async {
            let ended = if refused {
                bought.store.refuse_release(&held.lease, "number_locked", "locked").await
            } else {
                bought.store.complete_release(&held.lease).await
            };
            assert!(ended.unwrap().is_done());
        };
        let statement = if refused { "releases.finish.refuse" } else { "releases.finish.complete" };
        bought.locks_the_row_first(statement, &["releases"], end).await;
    }
}

#[tokio::test]
async fn a_number_that_is_followed_to_another_account_has_its_row_locked_before_both_ledgers() {
    let bought = Bought::new().await;
    bought.begin_release().await;
    let follow = async {
        let moved = bought.store.move_number(bought.purchase_id, "platform", "agency:x", "42", [7; 32].into()).await;
        assert_eq!(moved.unwrap(), Reconciled::Done);
    };
    bought.locks_the_row_first("reconcile.moves.follow", &["purchases", "releases"], follow).await;
    assert_eq!(bought.app.ledger().await[0]["telnyx_account"], "agency:x");
}

#[tokio::test]
async fn what_an_operator_decides_locks_the_finding_then_its_rows_then_the_ledgers() {
    for kind in ["key_unproven", "order_missing", "number_moved"] {
        let bought = Bought::new().await;
        bought.begin_release().await;
        let finding = bought.finding(kind).await;
        let decide = async { bought.store.adopt_finding(finding, None, None).await.unwrap() };
        bought.locks_the_row_first("reconcile.decisions.rows", &["purchases", "releases"], decide).await;

        let finding = bought.finding(kind).await;
        let rows = [format!("select from agency_phone_numbers where id = '{}'", bought.row_id)];
        let of_finding = format!("select from phone_number_findings where id = '{finding}'");
        let decide = async { bought.store.adopt_finding(finding, None, None).await.unwrap() };
        waits_without_locks(&bought.app, &of_finding, &rows, "reconcile.decisions.lock", decide).await;
    }
}

#[tokio::test]
async fn an_account_that_is_renamed_has_its_findings_locked_before_its_walk_and_its_strangers() {
    let app = app().await;
    app.execute(
        "insert into phone_number_findings (kind, telnyx_account, detail) values ('not_ours', 'old', '');
         insert into phone_number_inventory_walks (telnyx_account) values ('old');
         insert into phone_number_strangers (telnyx_account, phone_number, telnyx_phone_number_id, key_sha256, seen_at)
         values ('old', '+13125550123', '1', sha256('key'), now())",
    )
    .await;
    let later = ["inventory_walks", "strangers"].map(|table| format!("select from phone_number_{table}"));
    let store = app.store();
    let rename = async { store.rename_account("old", "new").await.unwrap() };
    waits_without_locks(&app, "select from phone_number_findings", &later, "reconcile.accounts.lock_findings", rename).await;
}

/// The second of two entries is the first in the table.
#[tokio::test]
async fn several_entries_are_locked_in_the_order_of_their_keys() {
    let app = app().await;
    let store = app.store();
    app.execute(
        "insert into phone_number_strangers (telnyx_account, phone_number, telnyx_phone_number_id, key_sha256, seen_at)
         select 'old', number, '1', sha256('key'), '-infinity'
         from (values ('+13125550124'), ('+13125550123')) as n (number)",
    )
    .await;
    let stranger = |number: &str| format!("select from phone_number_strangers where phone_number = '{number}'");
    let forget = async { assert_eq!(store.forget_strangers("old", chrono::Utc::now()).await.unwrap(), 2) };
    let later = [stranger("+13125550124")];
    waits_without_locks(&app, &stranger("+13125550123"), &later, "reconcile.strangers.forget", forget).await;

    let ids = [Uuid::from_u128(2), Uuid::from_u128(1)];
    for id in ids {
        let insert = "\
insert into phone_number_purchases
  (id, order_id, agency_id, agency_phone_number_id, phone_number, telnyx_account, telnyx_reference, caller_id)
values ($1, $1, $1, $1, '+13125550123', 'old', $1::uuid::text, $1)";
        app.sql.execute(insert, &[&id]).await.unwrap();
    }
    let purchase = |id: Uuid| format!("select from phone_number_purchases where id = '{id}'");
    let rename = async { assert_eq!(store.rename_account("old", "new").await.unwrap(), 2) };
    let (later, first) = ([purchase(ids[0])], purchase(ids[1]));
    waits_without_locks(&app, &first, &later, "reconcile.accounts.rename_purchases", rename).await;
    assert!(app.ledger().await.iter().all(|purchase| purchase["telnyx_account"] == json!("new")));
}
