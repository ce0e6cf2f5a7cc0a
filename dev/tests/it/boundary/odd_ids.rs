//! Ids of Telnyx's are opaque text: whatever is stored as one, a call addresses that and nothing else.

use serde_json::json;

use crate::support::actions::{balance, release_of};
use crate::support::app::World;

const NUMBERS: &str = "/v2/phone_numbers";

/// The paths of all calls about one number that were sent.
fn sent(world: &World) -> Vec<String> {
    let paths = world.telnyx.exchanges().into_iter().map(|exchange| exchange.path);
    paths.filter(|path| path.starts_with(NUMBERS) && path != NUMBERS).collect()
}

#[tokio::test]
async fn what_is_no_id_is_never_sent() {
    let mut world = World::new().await;
    world.set("REQUEST_BUDGET_MS", "1500");
    for id in ["", ".", "..", "\t", "a\nb"] {
        let row = world.insert(json!({ "phone_number_id": id })).await;
        let reply = world.release("owner", release_of(&row)).await;
        assert!([200, 207].contains(&reply.status), "{id:?}: {reply:#?}");
        assert_eq!(sent(&world), Vec::<String>::new(), "{id:?}");
    }
    let others = |path: &String| !path.starts_with(NUMBERS) && path != "/v2/number_orders";
    let paths: Vec<_> = world.telnyx.exchanges().into_iter().map(|exchange| exchange.path).filter(others).collect();
    assert!(paths.is_empty(), "{paths:?}");
}

#[tokio::test]
async fn an_id_goes_into_a_path_percent_encoded() {
    let world = World::new().await;
    let ids = [
        ("../number_orders?x=1", "..%2Fnumber_orders%3Fx%3D1"),
        ("a b+c#d", "a%20b%2Bc%23d"),
        ("%2e%2e", "%252e%252e"),
        ("...", "..."),
        ("é", "%C3%A9"),
    ];
    for (id, encoded) in ids {
        let row = world.insert(json!({ "phone_number_id": id })).await;
        // Nothing shows that the key is the account's: it stays open.
        world.release("owner", release_of(&row)).await.expect(207);
        assert_eq!(sent(&world).last(), Some(&format!("{NUMBERS}/{encoded}")));
    }
    balance(&world).await;
}

#[tokio::test]
async fn the_longest_id_is_sent_whole() {
    let world = World::new().await;
    let id = "é".repeat(255);
    let row = world.insert(json!({ "phone_number_id": id })).await;
    world.release("owner", release_of(&row)).await.expect(207);
    assert_eq!(sent(&world), [format!("{NUMBERS}/{}", "%C3%A9".repeat(255))]);
}
