//! Changes as in Telnyx's portal or by its support.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Telnyx, code, order_of, read};

impl Telnyx {
    async fn change(&self, number: &str, change: Value) -> super::Answer {
        self.control(Method::PATCH, &format!("/numbers/{number}"), change).await
    }

    async fn as_other(&self, method: Method, path: &str) -> super::Answer {
        read(self.ask("KEYother", method, path, None).await.unwrap()).await
    }
}

#[tokio::test]
async fn a_number_removed_in_the_portal_is_gone_at_once_and_held_for_its_account() {
    let telnyx = Telnyx::start().await;
    telnyx.set(json!({ "accounts": { "other": "KEYother" }, "delete_lag_reads": 3 })).await;
    for by_id in [true, false] {
        let (number, id) = telnyx.own().await;
        telnyx.change(&id, json!({ "deletion_lock_enabled": true })).await;
        let path = format!("/numbers/{}", if by_id { id.clone() } else { number.replace('+', "%2B") });
        let (status, removed) = telnyx.control(Method::DELETE, &path, Value::Null).await;
        assert_eq!((status, &removed["id"], &removed["account"]), (200, &json!(id), &json!("default")));
        assert_eq!(telnyx.get(&format!("/phone_numbers/{id}")).await.0, 404);
        assert_eq!(telnyx.get("/phone_numbers").await.1["data"], json!([]));
        assert_eq!(telnyx.get("/number_orders").await.1["data"][0]["status"], "success");
        let chicago = "/available_phone_numbers?filter[national_destination_code]=312&filter[limit]=1";
        assert_ne!(telnyx.as_other(Method::GET, chicago).await.1["data"][0]["phone_number"], number.as_str());
        assert_eq!(telnyx.number().await, number);
        assert_eq!(telnyx.control(Method::DELETE, &path, Value::Null).await.0, 404);
    }
    telnyx.finish();
}

#[tokio::test]
async fn a_number_moved_to_another_account_gets_a_new_id_and_leaves_its_order_behind() {
    let telnyx = Telnyx::start().await;
    telnyx.set(json!({ "accounts": { "other": "KEYother" } })).await;
    let (number, id) = telnyx.own().await;
    let (status, moved) = telnyx.change(&number.replace('+', "%2B"), json!({ "account": "other" })).await;
    assert_eq!((status, &moved["account"]), (200, &json!("other")));
    let new_id = moved["id"].as_str().unwrap();
    assert_ne!(new_id, id);
    for id in [&id, new_id] {
        assert_eq!(telnyx.get(&format!("/phone_numbers/{id}")).await.0, 404);
    }
    assert_eq!(telnyx.as_other(Method::GET, &format!("/phone_numbers/{id}")).await.0, 404);
    let (_, theirs) = telnyx.as_other(Method::GET, "/phone_numbers").await;
    assert_eq!((&theirs["data"][0]["id"], &theirs["data"][0]["phone_number"]), (&json!(new_id), &json!(number)));
    assert_eq!(theirs["data"][0]["status"], "active");
    assert_eq!(telnyx.get("/number_orders").await.1["data"][0]["phone_numbers"][0]["phone_number"], number.as_str());
    assert_eq!(telnyx.as_other(Method::GET, "/number_orders").await.1["data"], json!([]));

    let (status, back) = telnyx.change(new_id, json!({ "account": "default" })).await;
    assert_eq!((status, &back["account"]), (200, &json!("default")));
    assert!(![id.as_str(), new_id].contains(&back["id"].as_str().unwrap()));
    telnyx.finish();
}

#[tokio::test]
async fn a_number_can_be_locked_and_unlocked_and_its_reference_edited_in_the_portal() {
    let telnyx = Telnyx::start().await;
    let (_, id) = telnyx.own().await;
    let path = format!("/phone_numbers/{id}");
    telnyx.change(&id, json!({ "deletion_lock_enabled": true, "customer_reference": "by hand" })).await;
    let (status, body) = telnyx.delete(&path).await;
    assert_eq!((status, code(&body)), (422, "10035"));
    let (_, number) = telnyx.get(&path).await;
    assert_eq!((&number["data"]["deletion_lock_enabled"], &number["data"]["customer_reference"]), (&json!(true), &json!("by hand")));
    telnyx.change(&id, json!({ "customer_reference": null })).await;
    let (_, number) = telnyx.get(&path).await;
    assert_eq!((&number["data"]["deletion_lock_enabled"], &number["data"]["customer_reference"]), (&json!(true), &Value::Null));
    telnyx.change(&id, json!({ "deletion_lock_enabled": false })).await;
    assert_eq!(telnyx.delete(&path).await.0, 200);
    telnyx.finish();
}

#[tokio::test]
async fn an_invalid_change_in_the_portal_changes_nothing() {
    let telnyx = Telnyx::start().await;
    let (_, id) = telnyx.own().await;
    for change in [
        json!({ "customer_reference": "by hand", "account": "nobody" }),
        json!({ "customer_reference": "by hand", "account": null }),
        json!({ "customer_reference": "by hand", "status": "deleted" }),
        json!({ "customer_reference": 5 }),
        json!({ "deletion_lock_enabled": null }),
    ] {
        assert_eq!(telnyx.change(&id, change.clone()).await.0, 400, "{change}");
    }
    assert_eq!(telnyx.get(&format!("/phone_numbers/{id}")).await.1["data"]["customer_reference"], Value::Null);
    for unknown in ["2000000000000000000", "%2B13125550123"] {
        assert_eq!(telnyx.change(unknown, json!({})).await.0, 404);
    }
    telnyx.finish();
}

#[tokio::test]
async fn a_removed_order_is_in_no_list_and_its_number_stays() {
    let telnyx = Telnyx::start().await;
    telnyx.set(json!({ "number_lag_ms": 5000 })).await;
    let number = telnyx.number().await;
    let mut order = order_of(&number);
    order["customer_reference"] = json!("op-1");
    let (_, order) = telnyx.post("/number_orders", order).await;
    telnyx.advance(1400).await;
    let [id, item, sub_order] = ["/data/id", "/data/phone_numbers/0/id", "/data/sub_number_orders_ids/0"]
        .map(|pointer| order.pointer(pointer).unwrap().as_str().unwrap().to_owned());
    let forget = format!("/orders/{id}");
    let (status, forgotten) = telnyx.control(Method::DELETE, &forget, Value::Null).await;
    assert_eq!((status, &forgotten["status"]), (200, &json!("success")));
    for path in [format!("/number_orders/{id}"), format!("/number_order_phone_numbers/{item}"), format!("/sub_number_orders/{sub_order}")] {
        assert_eq!(telnyx.get(&path).await.0, 404, "{path}");
    }
    for path in ["/number_orders", "/number_orders?filter[customer_reference]=op-1", "/number_order_phone_numbers", "/sub_number_orders"] {
        assert_eq!(telnyx.get(path).await.1["data"], json!([]), "{path}");
    }
    let (_, numbers) = telnyx.get("/phone_numbers?filter[customer_reference]=op-1").await;
    assert_eq!((&numbers["data"][0]["phone_number"], &numbers["data"][0]["status"]), (&json!(number), &json!("active")));
    assert_eq!(telnyx.control(Method::DELETE, &forget, Value::Null).await.0, 404);
    telnyx.finish();
}
