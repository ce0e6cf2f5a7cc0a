//! Two accounts at Telnyx: the platform's, and one that the demo agency has of its own.

use dev::demo;
use dev::secrets_manager::SecretsManager;
use serde_json::{Value, json};

use crate::boundary::secrets::{PLATFORM, secrets_manager};
use crate::support::actions::by_hand;
use crate::support::app::TestApp;

/// The key of the agency's own account.
pub(crate) const OWN_KEY: &str = "KEYTHEIROWN";
/// What the simulator calls that account.
pub(crate) const OWN: &str = "their own";

/// The name of the secret that holds that key.
pub(crate) fn own_secret() -> String {
    format!("telnyx/{}", demo::DEMO.id)
}

/// What the ledger calls that account.
pub(crate) fn own_account() -> String {
    format!("agency:{}", demo::DEMO.id)
}

/// An app with both accounts. The agency buys in the platform's until its secret is kept.
pub(crate) async fn two_accounts() -> (TestApp, SecretsManager) {
    let mut app = TestApp::new().await;
    app.telnyx_settings(json!({"accounts": {OWN: OWN_KEY}})).await;
    let secrets_manager = secrets_manager(&mut app).await;
    secrets_manager.set_text(PLATFORM, app.telnyx.api_key());
    (app, secrets_manager)
}

/// From here on, the agency has its own account.
pub(crate) fn keep_own_key(secrets_manager: &SecretsManager) {
    secrets_manager.set_text(&own_secret(), OWN_KEY);
}

/// Telnyx's support moves a number into the agency's own account, where it has another id.
pub(crate) async fn moved_to_own(app: &TestApp, number: &Value) {
    by_hand(app, number, json!({"account": OWN})).await;
}
