//! Findings that need an operator, and the effects of the decisions.

use dev::demo;
use dev::invariants::FOREIGN_REFERENCE;
use lambda_http::http::Method;
use serde_json::{Value, json};
use shared::store::{Adoption, Dismissal, Finding, FindingKind};
use uuid::Uuid;

use crate::reconcile::reconcile_inventory::{appear, bought, come_back, found, nothing_was_touched, reference_of, vanish};
use crate::support::actions::{balance, order_of, release_of, unsold};
use crate::support::app::TestApp;

const NUMBERS: &str = "/v2/phone_numbers";

/// The only open finding.
async fn only(app: &TestApp) -> Finding {
    let mut open = app.store().open_findings().await.unwrap();
    assert_eq!(open.len(), 1, "{open:#?}");
    open.remove(0)
}

async fn adopt(app: &TestApp, finding: &Finding, agency: Option<Uuid>) -> Adoption {
    app.store().adopt_finding(finding.id, None, agency).await.unwrap()
}

/// Adopts one number of a finding about several.
async fn adopt_one(app: &TestApp, finding: &Finding, number: &Value, agency: Option<Uuid>) -> Adoption {
    let number = number.as_str().unwrap().parse().unwrap();
    app.store().adopt_finding(finding.id, Some(&number), agency).await.unwrap()
}

/// Asserts that an adoption created a row: the row.
async fn row_of(app: &TestApp, adoption: Adoption) -> Value {
    let Adoption::Adopted(row_id) = adoption else { panic!("it was not adopted: {adoption:?}") };
    app.now(&json!({ "id": row_id })).await
}

/// Adopts a number and asserts that it got a row: the row.
async fn adopted(app: &TestApp, finding: &Finding, agency: Option<Uuid>) -> Value {
    row_of(app, adopt(app, finding, agency).await).await
}

/// A number that another program has bought in our account.
async fn strange(app: &TestApp) -> Value {
    let number = json!(unsold(app).await);
    appear(app, &number, FOREIGN_REFERENCE).await;
    number
}

/// A row whose number Telnyx has taken back and sold to another agency of ours, and what the comparison finds about it.
async fn bought_by_another_since(app: &TestApp) -> (Value, Finding) {
    let stale = bought(app, 1).await.remove(0);
    vanish(app, &stale["phone_number"]).await;
    appear(app, &stale["phone_number"], &reference_of(&demo::OTHER)).await;
    app.reconcile().await;
    (stale, only(app).await)
}

/// The history of a row that its agency sees: events and actors.
async fn shown(app: &TestApp, user: &str, row: &Value) -> Vec<(String, String)> {
    let query = format!("id={}&include_history=true", row["id"].as_str().unwrap());
    let shown = app.assign(user, Method::GET, &query, None).await.expect(200);
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap().to_owned();
    shown.body["history"].as_array().unwrap().iter().map(|entry| (text(entry, "event"), text(entry, "actor"))).collect()
}

fn by_operator() -> (String, String) {
    ("reconciled".to_owned(), "operator".to_owned())
}

/// The history of decisions that concern no row: kinds and outcomes.
async fn decisions(app: &TestApp) -> Vec<(Value, Value)> {
    let entries = app.history(&json!({"id": null})).await;
    assert!(entries.iter().all(|entry| entry["agency_id"].is_null() && entry["actor"] == "operator"), "{entries:#?}");
    entries.iter().map(|entry| (entry["changes"]["finding"]["kind"].clone(), entry["changes"]["finding"]["to"].clone())).collect()
}

#[tokio::test]
async fn a_number_that_is_not_ours_becomes_the_agencys_that_is_named() {
    let app = TestApp::new().await;
    let number = strange(&app).await;
    app.reconcile().await;
    let finding = only(&app).await;
    assert_eq!((finding.observation.kind, finding.observation.number_count), (FindingKind::NotOurs, 1));
    assert_eq!(adopt(&app, &finding, Some(demo::DEMO.id)).await, Adoption::NumberNeeded);
    assert_eq!(adopt_one(&app, &finding, &json!("+13125550123"), Some(demo::DEMO.id)).await, Adoption::NoSuchNumber);
    for nobody in [None, Some(Uuid::new_v4())] {
        assert_eq!(adopt_one(&app, &finding, &number, nobody).await, Adoption::AgencyNeeded);
    }
    assert!(app.rows().await.is_empty() && app.ledger().await.is_empty());

    let asked = app.telnyx.exchanges().len();
    let stranger = app.strangers().await.remove(0);
    let row = row_of(&app, adopt_one(&app, &finding, &number, Some(demo::DEMO.id)).await).await;
    assert_eq!(app.telnyx.exchanges().len(), asked, "Telnyx is asked for nothing");
    assert_eq!((&row["phone_number"], &row["agency_id"], &row["status"]), (&number, &json!(demo::DEMO.id), &json!("active")));
    assert_eq!(row["phone_number_id"], stranger["telnyx_phone_number_id"]);
    let purchase = app.purchase_of(&number).await;
    assert_eq!((&purchase["phase"], &purchase["origin"]), (&json!("completed"), &json!("adopted")));
    assert_ne!(purchase["telnyx_reference"], FOREIGN_REFERENCE);
    assert_eq!(shown(&app, "owner", &row).await, [by_operator()]);
    assert_eq!(decisions(&app).await, [(json!("not_ours"), json!("adopted"))]);

    assert_eq!(adopt_one(&app, &finding, &number, Some(demo::DEMO.id)).await, Adoption::NoSuchFinding);
    assert_eq!(app.store().dismiss_finding(finding.id).await.unwrap(), Dismissal::NoSuchFinding);
    app.reconcile().await;
    assert_eq!(found(&app).await, [[json!("not_ours"), json!(null), json!("adopted")]]);
    app.release("owner", release_of(&row)).await.expect(200);
    assert!(!app.billed().await.contains(&number.as_str().unwrap().to_owned()));
}

#[tokio::test]
async fn a_number_that_only_reads_like_ours_gets_a_purchase_of_its_own() {
    let app = TestApp::new().await;
    let first = bought(&app, 1).await.remove(0);
    let purchase = app.purchase_of(&first["phone_number"]).await;
    let number = json!(unsold(&app).await);
    appear(&app, &number, purchase["telnyx_reference"].as_str().unwrap()).await;
    app.reconcile().await;
    let finding = only(&app).await;
    assert_eq!((finding.observation.kind, finding.observation.agency_id), (FindingKind::UnprovenClaim, None));
    assert_eq!(adopt_one(&app, &finding, &first["phone_number"], Some(demo::OTHER.id)).await, Adoption::NoSuchNumber);
    adopted(&app, &finding, Some(demo::OTHER.id)).await;
    assert_eq!(app.purchase_of(&first["phone_number"]).await, purchase);
    app.reconcile().await;
    assert_eq!((app.now(&first).await, app.rows().await.len()), (first, 2));
    assert!(app.store().open_findings().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_number_of_an_agency_that_is_gone_goes_to_another() {
    let app = TestApp::new().await;
    let before = bought(&app, 1).await.remove(0);
    app.execute(&format!("delete from agencies where id = '{}'", demo::DEMO.id)).await;
    app.reconcile().await;
    let finding = only(&app).await;
    assert_eq!(finding.observation.kind, FindingKind::AgencyGone);
    for nobody in [None, Some(demo::DEMO.id)] {
        assert_eq!(adopt(&app, &finding, nobody).await, Adoption::AgencyNeeded);
    }
    let row = adopted(&app, &finding, Some(demo::OTHER.id)).await;
    assert_eq!((&row["agency_id"], &row["phone_number_id"]), (&json!(demo::OTHER.id), &before["phone_number_id"]));
    let purchases: Vec<_> =
        app.ledger().await.into_iter().map(|purchase| (purchase["agency_id"].clone(), purchase["origin"].clone())).collect();
    let of = |agency: &demo::Agency, origin: &str| (json!(agency.id), json!(origin));
    assert_eq!(purchases, [of(&demo::DEMO, "requested"), of(&demo::OTHER, "adopted")], "the ledger still names the buyer");
    assert_eq!(shown(&app, "other_owner", &row).await, [by_operator()], "nothing of the life before");
    app.reconcile().await;
    assert_eq!(found(&app).await, [[json!("agency_gone"), row["phone_number"].clone(), json!("adopted")]]);
    balance(&app).await;
    app.release("other_owner", release_of(&row)).await.expect(200);
    balance(&app).await;
}

#[tokio::test]
async fn a_row_whose_number_is_anothers_gives_way() {
    let app = TestApp::new().await;
    let (stale, finding) = bought_by_another_since(&app).await;
    assert_eq!((finding.observation.kind, finding.observation.agency_id), (FindingKind::HeldByAnother, Some(demo::OTHER.id)));
    let row = adopted(&app, &finding, None).await;
    assert_eq!((&row["agency_id"], &row["status"]), (&json!(demo::OTHER.id), &json!("active")));
    assert_eq!(row["phone_number_id"].as_str(), finding.observation.phone_number_id.as_deref());

    let released = app.list("owner", "include_released=true").await.expect(200);
    assert_eq!((&released.number()["id"], &released.number()["status"]), (&stale["id"], &json!("released")));
    let history = shown(&app, "owner", &stale).await;
    assert_eq!((history.len(), history.last()), (2, Some(&by_operator())));
    assert_eq!(shown(&app, "other_owner", &row).await, [by_operator()]);
    app.assign("other_owner", Method::GET, &format!("id={}", stale["id"].as_str().unwrap()), None).await.expect(404);
    assert_eq!(decisions(&app).await, [(json!("held_by_another"), json!("adopted"))]);
    app.reconcile().await;
    assert!(app.store().open_findings().await.unwrap().is_empty());
    assert_eq!(app.now(&row).await, row);
}

#[tokio::test]
async fn a_row_that_has_come_since_does_not_give_way() {
    let app = TestApp::new().await;
    let (stale, finding) = bought_by_another_since(&app).await;
    app.release("owner", release_of(&stale)).await.expect(200);
    // Before the next comparison, the agency has got the number in another way.
    app.execute("delete from agency_phone_numbers").await;
    let right = app.insert(json!({"phone_number": stale["phone_number"], "agency_id": demo::OTHER.id})).await;
    assert_eq!(adopt(&app, &finding, None).await, Adoption::Held);
    assert_eq!(app.now(&right).await, right);
}

#[tokio::test]
async fn a_number_that_was_given_back_and_is_billed_is_the_agencys_again() {
    let mut app = TestApp::new().await;
    app.set("PURCHASE_ORDER_MISSING_AFTER_MS", "0");
    let before = bought(&app, 1).await.remove(0);
    app.fault(json!({"method": "DELETE", "path_prefix": NUMBERS, "kind": "status", "status": 404})).await;
    app.fault(json!({"method": "GET", "path_prefix": NUMBERS, "kind": "empty"})).await;
    app.release("owner", release_of(&before)).await.expect(200);
    app.reconcile().await;
    let finding = only(&app).await;
    assert_eq!((finding.observation.kind, finding.observation.agency_id), (FindingKind::ReleasedButBilled, Some(demo::DEMO.id)));
    let row = adopted(&app, &finding, None).await;
    assert_ne!(row["id"], before["id"], "another life");
    assert_eq!((&row["agency_id"], &row["phone_number_id"]), (&json!(demo::DEMO.id), &before["phone_number_id"]));
    assert_eq!(row["monthly_cost"], before["monthly_cost"]);
    app.reconcile().await;
    assert!(app.store().open_findings().await.unwrap().is_empty());
    balance(&app).await;
    app.release("owner", release_of(&row)).await.expect(200);
    app.reconcile().await;
    assert!(app.billed().await.is_empty() && app.store().open_findings().await.unwrap().is_empty());
    let lives = app.list("owner", "include_released=true").await.expect(200);
    assert_eq!(lives.body["phone_numbers"].as_array().unwrap().len(), 2);
}

/// Two rows whose numbers are missing: more than a walk deactivates.
async fn drift(app: &TestApp) -> (Vec<Value>, Finding) {
    let rows = bought(app, 4).await;
    for row in &rows[..2] {
        vanish(app, &row["phone_number"]).await;
    }
    for _ in 0..2 {
        app.reconcile().await;
    }
    (rows, only(app).await)
}

#[tokio::test]
async fn the_rows_of_a_drift_are_switched_off_and_on_again_when_their_numbers_are_back() {
    let app = TestApp::new().await;
    let (rows, finding) = drift(&app).await;
    assert_eq!((finding.observation.kind, finding.observation.row_ids.len()), (FindingKind::InventoryDrift, 2));
    assert_eq!(adopt(&app, &finding, None).await, Adoption::Deactivated(2));
    for row in &rows[..2] {
        let now = app.now(row).await;
        assert_eq!((&now["status"], &now["is_active"]), (&json!("inactive"), &json!(true)));
        assert_eq!(shown(&app, "owner", row).await.last(), Some(&by_operator()));
    }
    assert_eq!(decisions(&app).await, [(json!("inventory_drift"), json!("adopted"))]);
    for _ in 0..2 {
        app.reconcile().await;
    }
    assert!(app.store().open_findings().await.unwrap().is_empty());
    come_back(&app, &rows[0]["phone_number"]).await;
    app.reconcile().await;
    assert_eq!((&app.now(&rows[0]).await["status"], &app.now(&rows[1]).await["status"]), (&json!("active"), &json!("inactive")));
}

#[tokio::test]
async fn a_drift_switches_off_nothing_that_has_changed_since() {
    let app = TestApp::new().await;
    let (rows, finding) = drift(&app).await;
    app.release("owner", release_of(&rows[0])).await.expect(200);
    assert_eq!(adopt(&app, &finding, None).await, Adoption::Deactivated(1));
    assert_eq!(app.now(&rows[0]).await["status"], "released");
    assert!(rows[2..].iter().all(|row| row["status"] == "active"));
}

#[tokio::test]
async fn a_row_from_before_the_ledger_without_a_number_is_switched_off_and_found_no_more() {
    let app = TestApp::new().await;
    let row = app.insert(json!({"created_at": "2025-12-24T12:00:00Z"})).await;
    app.reconcile().await;
    assert_eq!(adopt(&app, &only(&app).await, None).await, Adoption::Deactivated(1));
    for _ in 0..2 {
        app.reconcile().await;
    }
    assert_eq!((&app.now(&row).await["status"], app.findings().await.len()), (&json!("inactive"), 1));
}

#[tokio::test]
async fn what_is_dismissed_stays_so_however_often_it_is_seen() {
    let app = TestApp::new().await;
    let number = strange(&app).await;
    app.reconcile().await;
    let finding = only(&app).await;
    assert_eq!(app.store().dismiss_finding(finding.id).await.unwrap(), Dismissal::Dismissed);
    for id in [finding.id, Uuid::new_v4()] {
        assert_eq!(app.store().dismiss_finding(id).await.unwrap(), Dismissal::NoSuchFinding);
    }
    assert_eq!(adopt_one(&app, &finding, &number, Some(demo::DEMO.id)).await, Adoption::NoSuchFinding);
    assert_eq!(decisions(&app).await, [(json!("not_ours"), json!("dismissed"))]);
    let asked = app.telnyx.exchanges().len();
    for _ in 0..3 {
        app.reconcile().await;
        assert_eq!(found(&app).await, [[json!("not_ours"), json!(null), json!("dismissed")]]);
    }
    nothing_was_touched(&app, asked);
    assert!(app.rows().await.is_empty());
    assert_eq!(app.findings().await[0]["resolved_by"], "operator");
}

#[tokio::test]
async fn a_number_that_has_a_live_row_by_now_is_held() {
    let app = TestApp::new().await;
    let number = strange(&app).await;
    app.reconcile().await;
    let finding = only(&app).await;
    let row = app.insert(json!({"phone_number": number, "agency_id": demo::OTHER.id})).await;
    assert_eq!(adopt_one(&app, &finding, &number, Some(demo::DEMO.id)).await, Adoption::Held);
    assert_eq!((app.now(&row).await, app.ledger().await.len(), decisions(&app).await.len()), (row, 0, 0));
    assert_eq!(only(&app).await.id, finding.id);
}

#[tokio::test]
async fn of_several_who_decide_at_once_one_does() {
    let app = TestApp::new().await;
    let number = strange(&app).await.as_str().unwrap().parse().unwrap();
    app.reconcile().await;
    let finding = only(&app).await;
    let stores = [app.store(), app.store(), app.store()];
    let (one, other, dismissed) = tokio::join!(
        stores[0].adopt_finding(finding.id, Some(&number), Some(demo::DEMO.id)),
        stores[1].adopt_finding(finding.id, Some(&number), Some(demo::OTHER.id)),
        stores[2].dismiss_finding(finding.id),
    );
    let adoptions = [one.unwrap(), other.unwrap()];
    let adopted = adoptions.iter().filter(|adoption| matches!(adoption, Adoption::Adopted(_))).count();
    assert_eq!(adopted + usize::from(dismissed.unwrap() == Dismissal::Dismissed), 1, "{adoptions:?}");
    assert_eq!((app.rows().await.len(), decisions(&app).await.len()), (adopted, 1));
}

#[tokio::test]
async fn what_a_person_decides_of_one_agency_no_other_is_shown() {
    let app = TestApp::new().await;
    let number = strange(&app).await;
    app.reconcile().await;
    let row = row_of(&app, adopt_one(&app, &only(&app).await, &number, Some(demo::DEMO.id)).await).await;
    let query = format!("id={}&include_history=true", row["id"].as_str().unwrap());
    app.assign("other_owner", Method::GET, &query, None).await.expect_problem(404, "not_found");
    app.purchase("other_owner", order_of(number.as_str().unwrap())).await.expect_problem(409, "number_unavailable");
    let seen = app.assign("owner", Method::GET, &query, None).await.expect(200).body.to_string();
    assert!(!seen.contains("finding"), "{seen}");
}

#[tokio::test]
async fn a_drift_that_was_dismissed_is_found_again_when_it_grows() {
    let app = TestApp::new().await;
    let (rows, finding) = drift(&app).await;
    assert_eq!(app.store().dismiss_finding(finding.id).await.unwrap(), Dismissal::Dismissed);
    app.reconcile().await;
    assert!(app.store().open_findings().await.unwrap().is_empty(), "it is what it was");
    vanish(&app, &rows[2]["phone_number"]).await;
    for _ in 0..2 {
        app.reconcile().await;
    }
    let again = only(&app).await;
    assert_eq!((again.id, again.observation.row_ids.len()), (finding.id, 3));
    assert!(again.first_seen_at > finding.first_seen_at, "it is news");
    assert!(app.rows().await.iter().all(|row| row["status"] == "active"));
}
