//! Numbers in an agency's own account can belong to that agency only.

use dev::demo;
use lambda_http::http::Method;
use serde_json::json;
use uuid::Uuid;

use crate::reconcile::reconcile_inventory::reference_of;
use crate::support::accounts::{OWN_KEY, keep_own_key, own_account, two_accounts};
use crate::support::actions::{balance, only_finding, telnyx};
use crate::support::app::TestApp;

/// Orders a number in the agency's own account, not through the product, with a reference.
async fn appears_in_their_own(app: &TestApp, reference: &str) -> serde_json::Value {
    let search = "/available_phone_numbers?filter[national_destination_code]=415";
    let number = telnyx(app, OWN_KEY, Method::GET, search, None).await["data"][0]["phone_number"].clone();
    let body = json!({"phone_numbers": [{"phone_number": number}], "customer_reference": reference});
    telnyx(app, OWN_KEY, Method::POST, "/number_orders", Some(body)).await;
    number
}

#[tokio::test]
async fn a_tenants_account_makes_no_row_of_another_agency() {
    for known in [false, true] {
        let (app, secrets_manager) = two_accounts().await;
        keep_own_key(&secrets_manager);
        let reference = if known {
            // The reference of a number that the other agency had bought, and whose row is deleted.
            let number = crate::support::actions::unsold(&app).await;
            app.purchase("other_owner", crate::support::actions::order_of(&number)).await.expect(200);
            app.purchase_of(&json!(number)).await["telnyx_reference"].as_str().unwrap().to_owned()
        } else {
            reference_of(&demo::OTHER)
        };
        let rows = app.rows().await;
        let number = appears_in_their_own(&app, &reference).await;
        for _ in 0..3 {
            app.reconcile().await;
        }
        assert_eq!(app.rows().await, rows);
        assert_eq!(only_finding(&app).await, ("unproven_claim".to_owned(), own_account(), number));
        let listed = app.list("other_owner", "").await.expect(200);
        assert_eq!(listed.body["phone_numbers"].as_array().unwrap().len(), usize::from(known));
    }
}

#[tokio::test]
async fn a_tenants_account_speaks_for_its_own_agency() {
    let (app, secrets_manager) = two_accounts().await;
    keep_own_key(&secrets_manager);
    let number = appears_in_their_own(&app, &reference_of(&demo::DEMO)).await;
    app.reconcile().await;
    assert_eq!((&app.rows().await[0]["phone_number"], &app.rows().await[0]["agency_id"]), (&number, &json!(demo::DEMO.id)));
    balance(&app).await;
}

#[tokio::test]
async fn an_operator_assigns_an_unproven_number_to_an_agency_and_the_ledger_stays() {
    let (app, secrets_manager) = two_accounts().await;
    keep_own_key(&secrets_manager);
    let number = crate::support::actions::unsold(&app).await;
    app.purchase("other_owner", crate::support::actions::order_of(&number)).await.expect(200);
    let reference = app.purchase_of(&json!(number)).await["telnyx_reference"].as_str().unwrap().to_owned();
    let before = app.ledger().await;
    let claimed = appears_in_their_own(&app, &reference).await;
    app.reconcile().await;
    let finding = app.store().open_findings().await.unwrap().remove(0);
    assert_eq!(app.store().adopt_finding(finding.id, None, None).await.unwrap(), shared::store::Adoption::AgencyNeeded);
    app.store().adopt_finding(finding.id, None, Some(demo::DEMO.id)).await.unwrap();
    let adopted = app.purchase_of(&claimed).await;
    assert_eq!((&adopted["agency_id"], &adopted["telnyx_account"]), (&json!(demo::DEMO.id), &json!(own_account())));
    assert!(app.ledger().await.contains(&before[0]), "whose purchase it was stays as it was");
    assert_ne!(adopted["telnyx_reference"], json!(reference));
    assert!(adopted["id"].as_str().unwrap().parse::<Uuid>().is_ok());
}
