//! `/phone_numbers`, its settings and its jobs.

use serde_json::{Value, json};

use super::{Telnyx, code};

#[tokio::test]
async fn a_deleted_number_is_gone_and_only_its_account_can_have_it_back() {
    let telnyx = Telnyx::start().await;
    telnyx.set(json!({ "accounts": { "other": "KEYother" }, "hold_ms": 1000 })).await;
    let (number, id) = telnyx.own().await;
    let path = format!("/phone_numbers/{id}");
    let (status, body) = telnyx.delete(&path).await;
    assert_eq!((status, &body["data"]["status"]), (200, &json!("deleted")));
    let (status, body) = telnyx.delete(&path).await;
    assert_eq!((status, code(&body)), (404, "10005"));
    assert_eq!(telnyx.get(&path).await.0, 404);

    let chicago = "/available_phone_numbers?filter[national_destination_code]=312&filter[limit]=1";
    let others = || async {
        let found = telnyx.ask("KEYother", reqwest::Method::GET, chicago, None).await.unwrap();
        super::read(found).await.1["data"][0]["phone_number"].clone()
    };
    assert_ne!(others().await, number.as_str());
    let unheld = format!("{chicago}&filter[exclude_held_numbers]=true");
    assert_ne!(telnyx.get(&unheld).await.1["data"][0]["phone_number"], number.as_str());
    assert_eq!(telnyx.number().await, number);
    telnyx.advance(1000).await;
    assert_eq!(others().await, number.as_str());
    assert_eq!(telnyx.order(&number).await.0, 200);
    telnyx.finish();
}

#[tokio::test]
async fn a_deletion_can_take_a_few_reads_to_show() {
    let telnyx = Telnyx::start().await;
    telnyx.set(json!({ "delete_lag_reads": 3 })).await;
    let (_, id) = telnyx.own().await;
    let path = format!("/phone_numbers/{id}");
    assert_eq!(telnyx.delete(&path).await.0, 200);
    assert_eq!(telnyx.get(&path).await.0, 200);
    assert_eq!(telnyx.get("/phone_numbers").await.1["meta"]["total_results"], 1);
    assert_eq!(telnyx.delete(&path).await.0, 200);
    assert_eq!(telnyx.get(&path).await.0, 404);
    assert_eq!(telnyx.delete(&path).await.0, 404);
    telnyx.finish();
}

#[tokio::test]
async fn the_list_may_lag_behind_the_order() {
    let telnyx = Telnyx::start().await;
    telnyx.set(json!({ "number_lag_ms": 2000 })).await;
    let (number, _) = telnyx.own().await;
    let path = format!("/phone_numbers?filter[phone_number]={}", &number[1..]);
    assert_eq!(telnyx.get(&path).await.1["data"], json!([]));
    telnyx.advance(2000).await;
    assert_eq!(telnyx.get(&path).await.1["data"][0]["phone_number"], number.as_str());
    telnyx.finish();
}

#[tokio::test]
async fn a_number_is_found_by_any_three_of_its_digits() {
    let telnyx = Telnyx::start().await;
    let (number, _) = telnyx.own().await;
    let encoded = number.replace('+', "%2B");
    for (wanted, count) in [(&number[1..], 1), (&encoded, 1), (&number[3..6], 1), (&number[1..3], 0), ("999999", 0)] {
        let (_, body) = telnyx.get(&format!("/phone_numbers?filter[phone_number]={wanted}")).await;
        assert_eq!(body["meta"]["total_results"], count, "{wanted}");
    }
    assert_eq!(telnyx.get(&format!("/phone_numbers/{encoded}")).await.0, 200);
    telnyx.finish();
}

#[tokio::test]
async fn pages_have_bounds_and_one_past_the_end_is_empty() {
    let telnyx = Telnyx::start().await;
    for _ in 0..3 {
        telnyx.own().await;
    }
    let (_, body) = telnyx.get("/phone_numbers?page[size]=2&page[number]=2&sort=phone_number").await;
    assert_eq!(body["data"].as_array().unwrap().len(), 1);
    let meta = json!({ "page_number": 2, "page_size": 2, "total_pages": 2, "total_results": 3 });
    assert_eq!(body["meta"], meta);
    let (status, body) = telnyx.get("/phone_numbers?page[number]=9").await;
    assert_eq!((status, &body["data"]), (200, &json!([])));
    let meta = json!({ "page_number": 9, "page_size": 20, "total_pages": 1, "total_results": 3 });
    assert_eq!(body["meta"], meta);
    for query in ["page[size]=251", "page[size]=0", "page[number]=0", "page[number]=x"] {
        let (status, body) = telnyx.get(&format!("/phone_numbers?{query}")).await;
        assert_eq!((status, code(&body)), (400, "10015"), "{query}");
    }
    telnyx.finish_checking_answers();
}

#[tokio::test]
async fn pages_beyond_the_last_one_served_are_refused() {
    let telnyx = Telnyx::start().await;
    for _ in 0..3 {
        telnyx.own().await;
    }
    telnyx.set(json!({ "last_page": 2 })).await;
    for path in ["/phone_numbers", "/phone_numbers/slim", "/number_orders", "/number_reservations", "/phone_numbers/jobs"] {
        let mut answers = Vec::new();
        for number in 1..=3 {
            answers.push(telnyx.get(&format!("{path}?page[size]=1&page[number]={number}")).await);
        }
        assert_eq!((answers[0].0, answers[1].0), (200, 200), "{path}");
        assert_eq!((answers[2].0, code(&answers[2].1)), (400, "10015"), "{path}");
    }
    assert_eq!(telnyx.get("/phone_numbers?page[size]=1").await.1["meta"]["total_pages"], 3);
    let (status, body) = telnyx.get("/phone_numbers?page[number]=2").await;
    assert_eq!((status, &body["data"]), (200, &json!([])));
    telnyx.finish();
}

#[tokio::test]
async fn a_page_can_be_smaller_than_what_is_asked_for() {
    let telnyx = Telnyx::start().await;
    for _ in 0..3 {
        telnyx.own().await;
    }
    telnyx.set(json!({ "largest_page": 2 })).await;
    for path in ["/phone_numbers", "/number_orders"] {
        let (_, body) = telnyx.get(&format!("{path}?page[size]=250&page[number]=2")).await;
        assert_eq!(body["data"].as_array().unwrap().len(), 1, "{path}");
        assert_eq!(body["meta"], json!({ "page_number": 2, "page_size": 2, "total_pages": 2, "total_results": 3 }), "{path}");
    }
    telnyx.finish();
}

#[tokio::test]
async fn every_filter_of_the_list_narrows_it() {
    let telnyx = Telnyx::start().await;
    let (_, id) = telnyx.own().await;
    let settings = json!({ "connection_id": "1234567890", "tags": ["front desk"], "customer_reference": "op-1" });
    telnyx.patch(&format!("/phone_numbers/{id}"), settings).await;
    for (query, count) in [
        ("filter[status]=active&filter[tag]=front+desk&filter[source]=purchased", 1),
        ("filter[customer_reference]=op-1&filter[connection_id]=1234567890", 1),
        ("filter[customer_reference]=op-2", 0),
        ("filter[voice.connection_name][contains]=12345&filter[number_type][eq]=local", 1),
        ("filter[country_iso_alpha2]=US,CA&filter[billing_group_id]=null", 1),
        ("filter[country_iso_alpha2]=CA", 0),
        ("filter[without_tags]=true", 0),
        ("filter[voice.usage_payment_method]=channel", 0),
    ] {
        let (_, body) = telnyx.get(&format!("/phone_numbers?{query}")).await;
        assert_eq!(body["meta"]["total_results"], count, "{query}");
    }
    let (_, slim) = telnyx.get("/phone_numbers/slim?include_tags=true").await;
    assert_eq!(slim["data"][0]["tags"], json!(["front desk"]));
    assert_eq!(slim["data"][0].get("messaging_profile_id"), None);
    telnyx.finish();
}

#[tokio::test]
async fn a_number_is_assigned_by_its_connection_and_unassigned_by_an_empty_one() {
    let telnyx = Telnyx::start().await;
    let (_, id) = telnyx.own().await;
    let path = format!("/phone_numbers/{id}");
    telnyx.patch(&path, json!({ "connection_id": "1234567890" })).await;
    assert_eq!(telnyx.get(&format!("{path}/voice")).await.1["data"]["connection_id"], "1234567890");
    let (status, body) = telnyx.patch(&path, json!({ "connection_id": "none" })).await;
    assert_eq!((status, code(&body)), (422, "85004"));
    let (_, body) = telnyx.patch(&path, json!({ "connection_id": "" })).await;
    assert_eq!(body["data"]["connection_id"], Value::Null);
    telnyx.finish();
}

#[tokio::test]
async fn the_messaging_profile_is_set_under_messaging_only() {
    let telnyx = Telnyx::start().await;
    let (_, id) = telnyx.own().await;
    let path = format!("/phone_numbers/{id}");
    let profile = json!({ "messaging_profile_id": "7d3f6f6e-3a55-4a43-9d0c-3d0f8f1f6a10" });
    let (status, body) = telnyx.patch(&path, profile.clone()).await;
    assert_eq!((status, code(&body)), (422, "10027"));
    assert_eq!(telnyx.patch(&format!("{path}/messaging"), profile.clone()).await.0, 200);
    let (_, number) = telnyx.get(&path).await;
    assert_eq!(number["data"]["messaging_profile_id"], profile["messaging_profile_id"]);
    let (_, messaging) = telnyx.patch(&format!("{path}/messaging"), json!({ "messaging_profile_id": "" })).await;
    assert_eq!(messaging["data"]["messaging_profile_id"], Value::Null);
    // The only invalid request of the test.
    telnyx.finish_checking_answers();
}

#[tokio::test]
async fn voice_settings_keep_what_a_change_does_not_name() {
    let telnyx = Telnyx::start().await;
    let (_, id) = telnyx.own().await;
    let path = format!("/phone_numbers/{id}/voice");
    let change = json!({ "call_forwarding": { "forwards_to": "+13125550123" } });
    let (_, voice) = telnyx.patch(&path, change).await;
    assert_eq!(voice["data"]["call_forwarding"]["forwards_to"], "+13125550123");
    assert_eq!(voice["data"]["call_forwarding"]["call_forwarding_enabled"], true);
    telnyx.finish();
}

#[tokio::test]
async fn a_locked_number_cannot_be_deleted() {
    let telnyx = Telnyx::start().await;
    let (_, id) = telnyx.own().await;
    let lock = json!({ "phone_numbers": [id], "deletion_lock_enabled": true });
    assert_eq!(telnyx.post("/phone_numbers/jobs/update_phone_numbers", lock).await.0, 202);
    telnyx.advance(500).await;
    assert_eq!(telnyx.delete(&format!("/phone_numbers/{id}")).await.0, 422);
    telnyx.finish();
}

#[tokio::test]
async fn many_numbers_are_deleted_in_the_background() {
    let telnyx = Telnyx::start().await;
    let (one, id) = telnyx.own().await;
    let (other, _) = telnyx.own().await;
    let delete = "/phone_numbers/jobs/delete_phone_numbers";
    let (status, job) = telnyx.post(delete, json!({ "phone_numbers": [one, other] })).await;
    assert_eq!((status, &job["data"]["status"]), (202, &json!("pending")));
    telnyx.advance(500).await;
    let path = format!("/phone_numbers/jobs/{}", job["data"]["id"].as_str().unwrap());
    let (_, job) = telnyx.get(&path).await;
    assert_eq!(job["data"]["status"], "completed");
    assert_eq!(job["data"]["successful_operations"].as_array().unwrap().len(), 2);
    assert_eq!(telnyx.get("/phone_numbers").await.1["data"], json!([]));
    let (_, jobs) = telnyx.get("/phone_numbers/jobs?filter[type]=delete_phone_numbers").await;
    assert_eq!(jobs["meta"]["total_results"], 1);
    for numbers in [json!([]), json!([id]), json!([id, "+13125550123"])] {
        let (status, body) = telnyx.post(delete, json!({ "phone_numbers": numbers })).await;
        assert_eq!((status, code(&body)), (422, "10015"));
    }
    telnyx.finish();
}
