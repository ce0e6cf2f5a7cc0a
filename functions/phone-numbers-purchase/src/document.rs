//! The function's part of `docs/openapi.json`.

use shared::document::{AnswerHeader, Link, Operation, RequestBody, RequestHeader, SchemaGenerator, Success, Value, example_row, json};
use shared::lambda::Function as _;

use crate::answer::Body as Answered;
use crate::request::{Body, EACH_NUMBER_ONCE};

/// What the function does.
pub fn operations(schemas: &mut SchemaGenerator) -> Vec<Operation> {
    let headers = &[AnswerHeader::IdempotentReplayed];
    let success = |schemas: &mut SchemaGenerator, status, description, example| Success {
        headers,
        links: links(),
        ..Success::of::<Answered>(schemas, status, description, example)
    };
    vec![Operation {
        function: crate::Purchase::NAME,
        method: "POST",
        id: "purchasePhoneNumbers",
        summary: "Buy numbers",
        description: "Buys numbers, or with `validate_only` checks whether they could be bought. A number that the agency already holds or \
                      is buying is not bought again: its purchase is resumed. A problem that all numbers share is the answer itself.",
        query: vec![],
        body: Some(RequestBody::of::<Body>("PurchaseRequest")),
        headers: &[RequestHeader::IdempotencyKey],
        answers: vec![
            success(schemas, 200, "Every number is bought or, with `validate_only`, could be.", bought("success", "purchased")),
            success(
                schemas,
                202,
                "Telnyx has not confirmed at least one order yet. The number is `pending`, and the purchase is finished by a repeated \
                 request or by itself.",
                bought("pending", "pending"),
            ),
            success(schemas, 207, "The outcomes differ: each number has its own.", mixed()),
        ],
        problems: &[
            "telnyx_not_configured",
            "insufficient_funds",
            "quota_exceeded",
            "not_found",
            "number_unavailable",
            "price_exceeded",
            "phone_number_released",
            "purchase_expired",
            "request_in_progress",
            "idempotency_key_reused",
            "upstream_rejected",
            "rate_limited",
            "upstream_error",
            "purchases_disabled",
        ],
        rules: vec![&EACH_NUMBER_ONCE],
    }]
}

fn links() -> Vec<Link> {
    let row = "$response.body#/phone_numbers/0/id";
    vec![
        Link { name: "show", operation: "showPhoneNumbers", parameters: &[("id", "$response.body#/phone_numbers/0/id")], body: None },
        Link {
            name: "changeSettings",
            operation: "changePhoneNumberSettings",
            parameters: &[],
            body: Some(json!({"phone_number_id": row, "friendly_name": "Night line", "sms_enabled": false})),
        },
        Link {
            name: "unassign",
            operation: "unassignPhoneNumber",
            parameters: &[("id", "$response.body#/phone_numbers/0/id")],
            body: None,
        },
        Link {
            name: "release",
            operation: "releasePhoneNumbers",
            parameters: &[],
            body: Some(json!({"phone_number_ids": [row], "confirm": true})),
        },
    ]
}

fn bought(status: &str, outcome: &str) -> Value {
    let mut item = example_row();
    item["order_id"] = "4b1e4b0e-6f0c-4f57-9a0e-c8b5a4bfb1a1".into();
    item["outcome"] = outcome.into();
    if outcome == "pending" {
        for member in ["phone_number_id", "purchased_at", "number_type", "country_code"] {
            item[member] = Value::Null;
        }
        item["status"] = "pending".into();
        item["requirements_met"] = true.into();
        item["requirements_deadline"] = Value::Null;
    }
    json!({
        "success": true,
        "order": {
            "id": "5b0c1f0e-3a52-4b8e-9c61-2f1d9d6f7a10",
            "status": status,
            "phone_numbers_count": 1,
            "requirements_met": true,
            "created_at": "2026-01-05T09:29:58.123456Z"
        },
        "phone_numbers": [item],
        "customer_reference": "order 7",
        "message": format!("Phone numbers: 1 {outcome}.")
    })
}

fn mixed() -> Value {
    let mut answer = bought("success", "purchased");
    answer["success"] = false.into();
    answer["message"] = "Phone numbers: 1 purchased, 1 failed.".into();
    if let Some(items) = answer["phone_numbers"].as_array_mut() {
        items.push(json!({
            "phone_number": "+13125550124",
            "outcome": "failed",
            "problem": {
                "type": "urn:problem-type:phone-numbers:number_unavailable",
                "title": "Number unavailable",
                "status": 409,
                "detail": "This number cannot be bought: it is not on offer, or another agency or customer has it.",
                "code": "number_unavailable",
                "retryable": false,
                "error": "This number cannot be bought: it is not on offer, or another agency or customer has it."
            }
        }));
    }
    answer
}
