//! Accounts have names of their own in the ledger: where their keys are kept may change.

use dev::demo;
use serde_json::{Value, json};

use crate::boundary::secrets::{PLATFORM, vault};
use crate::support::actions::{assigned, balance, order_of, release_of, unsold};
use crate::support::app::World;

/// The accounts that the ledger names.
async fn named(world: &World) -> Vec<String> {
    world.store().account_names().await.unwrap()
}

/// Gives an account the name that it had in the ledger when it was called by its secret.
async fn call_by_secret(world: &World, from: &str, to: &str) {
    world
        .execute(&format!(
            "update phone_number_purchases set telnyx_account = '{to}' where telnyx_account = '{from}';
             update phone_number_inventory_walks set telnyx_account = '{to}' where telnyx_account = '{from}';
             update phone_number_findings set telnyx_account = '{to}' where telnyx_account = '{from}'"
        ))
        .await;
}

#[tokio::test]
async fn a_key_that_moves_to_another_secret_strands_nothing() {
    let mut world = World::new().await;
    let row = assigned(&world).await;
    // From the environment to Secrets Manager, and from one secret to another.
    let vault = vault(&mut world).await;
    vault.keep_text(PLATFORM, world.telnyx.api_key());
    let second = assigned(&world).await;
    vault.keep_text("renamed", world.telnyx.api_key());
    world.set("TELNYX_PLATFORM_SECRET_ID", "renamed");
    for row in [row, second] {
        world.release("owner", release_of(&row)).await.expect(200);
    }
    assert!(world.billed().await.is_empty());
    balance(&world).await;
}

#[tokio::test]
async fn both_forms_of_a_name_are_read_and_the_schedule_leaves_the_new_one() {
    for by_secret in ["env:TELNYX_API_KEY", PLATFORM] {
        let mut world = World::new().await;
        let vault = vault(&mut world).await;
        vault.keep_text(PLATFORM, world.telnyx.api_key());
        let (row, other) = (assigned(&world).await, assigned(&world).await);
        world.reconcile().await;
        call_by_secret(&world, "platform", by_secret).await;
        world.release("owner", release_of(&row)).await.expect(200);
        world.reconcile().await;
        assert_eq!(named(&world).await, ["platform"]);
        world.release("owner", release_of(&other)).await.expect(200);
        assert!(world.billed().await.is_empty());
    }
}

#[tokio::test]
async fn an_agencys_own_account_is_known_by_its_secrets_name() {
    let mut world = World::new().await;
    world.telnyx_settings(json!({"accounts": {"their own": "KEYTHEIROWN"}})).await;
    let vault = vault(&mut world).await;
    let secret = format!("telnyx/{}", demo::DEMO.id);
    vault.keep_text(&secret, "KEYTHEIROWN");
    let row = assigned(&world).await;
    call_by_secret(&world, &format!("agency:{}", demo::DEMO.id), &secret).await;
    world.reconcile().await;
    assert_eq!(named(&world).await, [format!("agency:{}", demo::DEMO.id)]);
    world.release("owner", release_of(&row)).await.expect(200);
    balance(&world).await;
}

#[tokio::test]
async fn a_name_that_the_settings_do_not_name_stays_until_an_operator_renames_it() {
    let mut world = World::new().await;
    let vault = vault(&mut world).await;
    vault.keep_text(PLATFORM, world.telnyx.api_key());
    let row = assigned(&world).await;
    call_by_secret(&world, "platform", "a secret of old").await;
    world.reconcile().await;
    assert!(named(&world).await.contains(&"a secret of old".to_owned()));
    let failed = world.release("owner", release_of(&row)).await.expect(207).body["failed"][0].clone();
    assert_eq!(failed["problem"]["code"], "unavailable", "its key is not to be had");
    assert_eq!(world.store().rename_account("a secret of old", "platform").await.unwrap(), 1);
    world.release("owner", release_of(&row)).await.expect(200);
    balance(&world).await;
}

#[tokio::test]
async fn walks_that_collide_are_dropped_and_findings_are_merged() {
    let world = World::new().await;
    let number = json!(unsold(&world).await);
    let reference = format!("pn:{}:{}:{}", dev::migrations::DEPLOYMENT, uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
    crate::reconcile::reconcile_inventory::appear(&world, &number, &reference).await;
    let open = async |world: &World| world.findings().await.into_iter().filter(|finding| finding["state"] == "open").count();
    world.reconcile().await;
    call_by_secret(&world, "platform", "a secret of old").await;
    world.reconcile().await;
    assert_eq!((open(&world).await, world.walks().await.len()), (2, 2), "each name has a finding of its own");
    world.store().rename_account("a secret of old", "platform").await.unwrap();
    assert_eq!((open(&world).await, world.walks().await.len(), named(&world).await), (1, 1, vec!["platform".to_owned()]));
    world.reconcile().await;
    assert_eq!(open(&world).await, 1);
}

#[tokio::test]
async fn an_account_is_renamed_at_the_command_line() {
    let world = World::new().await;
    let row: Value = assigned(&world).await;
    call_by_secret(&world, "platform", "a secret of old").await;
    let run = |arguments: &[&str]| crate::stack::dev(&[arguments, &["--database-url", world.database.url()]].concat());
    assert_eq!(String::from_utf8(run(&["accounts"]).stdout).unwrap(), "a secret of old\n");
    assert!(!run(&["accounts", "rename", "nobody", "platform"]).status.success());
    assert!(!run(&["accounts", "rename", "a secret of old", "another secret"]).status.success());
    assert!(run(&["accounts", "rename", "a secret of old", "platform"]).status.success());
    world.release("owner", release_of(&row)).await.expect(200);
    let again = world.purchase("owner", order_of(row["phone_number"].as_str().unwrap())).await.expect(200);
    assert_eq!(again.number()["status"], "active");
    assert_eq!(String::from_utf8(run(&["deployment"]).stdout).unwrap(), "dev\n");
    assert!(run(&["deployment", "rename", "staging"]).status.success());
    assert_eq!(String::from_utf8(run(&["deployment"]).stdout).unwrap(), "staging\n");
}
