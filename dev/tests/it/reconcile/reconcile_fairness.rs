//! The order of work in a run: work at risk comes first, and waiting work delays nothing else.

use std::collections::HashMap;

use dev::demo;
use dev::fault_proxy::{Fault, Moment};
use lambda_http::http::Method;
use serde_json::{Value, json};

use crate::money::purchase_crashes;
use crate::money::release_failures;
use crate::reconcile::leases_run_out;
use crate::support::actions::{assigned, balance, clear_faults, telnyx};
use crate::support::app::TestApp;

const ORDERS: &str = "/v2/number_orders";
const NUMBERS: &str = "/v2/phone_numbers";

/// Purchases whose orders wait for documents, without a lease.
async fn waiting(app: &TestApp, count: usize) {
    let key = app.telnyx.api_key();
    let search = format!("/available_phone_numbers?filter[country_code]=DE&filter[limit]={count}");
    let offers = telnyx(app, key, Method::GET, &search, None).await;
    let mut orders = Vec::new();
    for offer in offers["data"].as_array().unwrap() {
        let (number, id) = (&offer["phone_number"], uuid::Uuid::new_v4());
        let reference = format!("pn:{}:{id}", demo::DEMO.id);
        let body = json!({"phone_numbers": [{"phone_number": number}], "customer_reference": reference});
        let order = telnyx(app, key, Method::POST, "/number_orders", Some(body)).await;
        orders.push(json!({"id": id, "number": number, "reference": reference, "order": order["data"]["id"]}));
    }
    assert_eq!(orders.len(), count);
    let insert = "\
with o as (
  select * from jsonb_to_recordset($1::jsonb) as o (id uuid, number text, reference text, \"order\" text)
), rows as (
  insert into agency_phone_numbers (id, agency_id, phone_number, status)
  select o.id, $2, o.number, 'pending' from o
)
insert into phone_number_purchases
  (id, order_id, agency_id, agency_phone_number_id, phone_number, telnyx_account, telnyx_reference, telnyx_order_id, caller_id, phase,
   order_attempts)
select o.id, o.id, $2, o.id, o.number, 'env:TELNYX_API_KEY', o.reference, o.\"order\", o.id, 'ordered', 1 from o";
    app.sql.execute(insert, &[&json!(orders), &demo::DEMO.id]).await.unwrap();
}

/// How often each order was read by id, since a number of exchanges.
fn looks(app: &TestApp, since: usize) -> HashMap<String, usize> {
    let mut looks = HashMap::new();
    for exchange in app.telnyx.exchanges().split_off(since) {
        if let Some(id) = exchange.path.strip_prefix("/v2/number_orders/").filter(|_| exchange.method == "GET") {
            *looks.entry(id.to_owned()).or_default() += 1;
        }
    }
    looks
}

#[tokio::test]
async fn hundreds_of_orders_that_wait_for_documents_do_not_delay_a_crashed_purchase_nor_anything_else() {
    let mut app = TestApp::new().await;
    app.set("LEASE_MS", "150");
    app.set("RECONCILE_BATCH", "10");
    app.set("REQUEST_BUDGET_MS", "120000");
    waiting(&app, 200).await;
    let number = app.offer().await;
    let proxy = app.with_fault_proxy().await;
    proxy.inject("purchases.order.ordered", Moment::Before, Fault::Silence);
    purchase_crashes::dies(&app, &number, async || proxy.injected() == 1).await;
    leases_run_out(&app).await;

    let since = app.telnyx.exchanges().len();
    app.reconcile().await;
    assert_eq!(app.purchase_of(&json!(number)).await["phase"], "completed");
    let looks = looks(&app, since);
    // The crashed one is found by its reference, before any other is read.
    assert_eq!((looks.len(), looks.values().max()), (200, Some(&1)), "each is looked at once");
    let first = app.telnyx.exchanges().split_off(since).into_iter().find(|exchange| exchange.path.starts_with(ORDERS)).unwrap();
    assert!(first.query.contains("customer_reference"), "{first:?}");
    assert!(app.walks().await[0]["finished_at"].is_string(), "the account is compared in the same run");
    balance(&app).await;
}

#[tokio::test]
async fn a_look_that_learns_nothing_counts_as_a_look() {
    let mut app = TestApp::new().await;
    app.set("RECONCILE_BATCH", "2");
    waiting(&app, 5).await;
    app.fault(json!({"method": "GET", "path_prefix": ORDERS, "kind": "status", "status": 500, "times": 1_000})).await;
    for _ in 0..2 {
        let since = app.telnyx.exchanges().len();
        app.reconcile().await;
        let looks = looks(&app, since);
        assert_eq!((looks.len(), looks.values().max()), (5, Some(&1)));
    }
}

#[tokio::test]
async fn a_share_that_is_spent_leaves_the_rest_to_the_next_run_and_the_other_parts_to_this_one() {
    let mut app = TestApp::new().await;
    app.set("LEASE_MS", "150");
    app.set("REQUEST_BUDGET_MS", "12000");
    waiting(&app, 60).await;
    let row = assigned(&app).await;
    app.fault(json!({"method": "DELETE", "path_prefix": NUMBERS, "kind": "delay", "delay_ms": 30_000})).await;
    release_failures::dies(&app, &row, async || app.asked("DELETE", NUMBERS) == 1).await;
    leases_run_out(&app).await;

    // Purchases have 3.6 s, which is enough for 40 at most, four at a time.
    app.fault(json!({"method": "GET", "path_prefix": ORDERS, "kind": "delay", "delay_ms": 400, "times": 1_000})).await;
    let since = app.telnyx.exchanges().len();
    app.reconcile().await;
    let first = looks(&app, since);
    assert!(!first.is_empty() && first.len() < 60, "{}", first.len());
    assert_eq!(app.now(&row).await["status"], "released");
    assert!(app.walks().await[0]["finished_at"].is_string());

    clear_faults(&app).await;
    let since = app.telnyx.exchanges().len();
    app.reconcile().await;
    let second: Vec<_> = app.telnyx.exchanges().split_off(since).into_iter().filter(|exchange| exchange.path.starts_with(ORDERS)).collect();
    let id = |path: &str| path.trim_start_matches(ORDERS).trim_start_matches('/').to_owned();
    let before: Vec<_> = second.iter().take(60 - first.len()).map(|exchange| id(&exchange.path)).collect();
    // The four that were under way when the time was up have had no turn either.
    let again = before.iter().filter(|id| first.contains_key(*id)).count();
    assert!(again <= 4, "those that had no turn come first, and {again} of {} had one", before.len());
}

#[tokio::test]
async fn a_run_goes_on_from_batch_to_batch() {
    let mut app = TestApp::new().await;
    app.set("LEASE_MS", "150");
    app.set("RECONCILE_BATCH", "2");
    let numbers = app.offers("312", 5).await;
    app.purchase("owner", crate::support::actions::order_of_all(&numbers)).await.expect(200);
    let forget = "\
update phone_number_purchases set phase = 'ordered', completed_at = null, telnyx_phone_number_id = null;
update agency_phone_numbers set status = 'pending', phone_number_id = null, purchased_at = null;";
    app.execute(forget).await;
    app.reconcile().await;
    assert!(app.ledger().await.iter().all(|purchase| purchase["phase"] == "completed"));
    balance(&app).await;
    for row in &app.rows().await {
        app.fault(json!({"method": "DELETE", "path_prefix": NUMBERS, "kind": "delay", "delay_ms": 30_000})).await;
        let deletions = app.asked("DELETE", NUMBERS);
        release_failures::dies(&app, row, async || app.asked("DELETE", NUMBERS) > deletions).await;
    }
    leases_run_out(&app).await;
    app.reconcile().await;
    assert!(app.rows().await.iter().all(|row: &Value| row["status"] == "released"));
    assert!(app.billed().await.is_empty());
}
