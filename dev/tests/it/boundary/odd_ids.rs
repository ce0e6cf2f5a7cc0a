//! Telnyx's ids are opaque text: a call addresses exactly the stored id.

use serde_json::json;

use crate::support::actions::{balance, release_of};
use crate::support::app::TestApp;

const NUMBERS: &str = "/v2/phone_numbers";

/// The paths of all calls about one number that were sent.
fn sent(app: &TestApp) -> Vec<String> {
    let paths = app.telnyx.exchanges().into_iter().map(|exchange| exchange.path);
    paths.filter(|path| path.starts_with(NUMBERS) && path != NUMBERS).collect()
}

#[tokio::test]
async fn what_is_no_id_is_never_sent() {
    let mut app = TestApp::new().await;
    app.set("REQUEST_BUDGET_MS", "1500");
    for id in ["", ".", "..", "\t", "a\nb"] {
        let row = app.insert(json!({ "phone_number_id": id })).await;
        let reply = app.release("owner", release_of(&row)).await;
        assert!([200, 207].contains(&reply.status), "{id:?}: {reply:#?}");
        assert_eq!(sent(&app), Vec::<String>::new(), "{id:?}");
    }
    let others = |path: &String| !path.starts_with(NUMBERS) && path != "/v2/number_orders";
    let paths: Vec<_> = app.telnyx.exchanges().into_iter().map(|exchange| exchange.path).filter(others).collect();
    assert!(paths.is_empty(), "{paths:?}");
}

#[tokio::test]
async fn an_id_goes_into_a_path_percent_encoded() {
    let app = TestApp::new().await;
    let ids = [
        ("../number_orders?x=1", "..%2Fnumber_orders%3Fx%3D1"),
        ("a b+c#d", "a%20b%2Bc%23d"),
        ("%2e%2e", "%252e%252e"),
        ("...", "..."),
        ("é", "%C3%A9"),
    ];
    for (id, encoded) in ids {
        let row = app.insert(json!({ "phone_number_id": id })).await;
        // Nothing proves that the key is the account's, so it stays open.
        app.release("owner", release_of(&row)).await.expect(207);
        assert_eq!(sent(&app).last(), Some(&format!("{NUMBERS}/{encoded}")));
    }
    balance(&app).await;
}

#[tokio::test]
async fn the_longest_id_is_sent_whole() {
    let app = TestApp::new().await;
    let id = "é".repeat(255);
    let row = app.insert(json!({ "phone_number_id": id })).await;
    app.release("owner", release_of(&row)).await.expect(207);
    assert_eq!(sent(&app), [format!("{NUMBERS}/{}", "%C3%A9".repeat(255))]);
}
