//! Two accounts at Telnyx: the platform's, and one that the demo agency has of its own.

use dev::demo;
use dev::vault::Vault;
use serde_json::{Value, json};

use crate::boundary::secrets::{PLATFORM, vault};
use crate::support::actions::by_hand;
use crate::support::app::World;

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

/// A world with both accounts. The agency buys in the platform's until its secret is kept.
pub(crate) async fn two_accounts() -> (World, Vault) {
    let mut world = World::new().await;
    world.telnyx_settings(json!({"accounts": {OWN: OWN_KEY}})).await;
    let vault = vault(&mut world).await;
    vault.keep_text(PLATFORM, world.telnyx.api_key());
    (world, vault)
}

/// From here on, the agency has its own account.
pub(crate) fn keep_own_key(vault: &Vault) {
    vault.keep_text(&own_secret(), OWN_KEY);
}

/// Telnyx's support moves a number into the agency's own account, where it has another id.
pub(crate) async fn moved_to_own(world: &World, number: &Value) {
    by_hand(world, number, json!({"account": OWN})).await;
}
