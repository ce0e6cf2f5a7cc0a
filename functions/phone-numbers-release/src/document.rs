//! The function's part of `docs/openapi.json`.

use shared::document::{AnswerHeader, Operation, RequestBody, RequestHeader, SchemaGenerator, Success, json};
use shared::lambda::Function as _;

use crate::answer::Body as Answered;
use crate::request::{Body, EACH_ID_ONCE};

/// What the function does.
pub fn operations(schemas: &mut SchemaGenerator) -> Vec<Operation> {
    let id = "9c1f3d0e-52a4-4b8e-9c61-2f1d9d6f7a11";
    let all = json!({
        "success": true,
        "released": [{"id": id, "phone_number": "+13125550123"}],
        "failed": [],
        "summary": {"total_requested": 1, "released_count": 1, "failed_count": 0},
        "message": "1 of 1 phone numbers released."
    });
    let none = json!({
        "success": false,
        "released": [],
        "failed": [{
            "id": id,
            "phone_number": null,
            "error": "There is no such phone number.",
            "problem": {
                "type": "urn:problem-type:phone-numbers:not_found",
                "title": "Not found",
                "status": 404,
                "detail": "There is no such phone number.",
                "code": "not_found",
                "retryable": false,
                "errors": [{"field": "phone_number_ids", "message": "names no phone number"}],
                "error": "There is no such phone number."
            }
        }],
        "summary": {"total_requested": 1, "released_count": 0, "failed_count": 1},
        "message": "0 of 1 phone numbers released."
    });
    let mut body = RequestBody::of::<Body>("ReleaseRequest");
    body.schema["properties"]["confirm"]["const"] = true.into();
    let headers = &[AnswerHeader::IdempotentReplayed];
    vec![Operation {
        function: crate::Release::NAME,
        method: "POST",
        id: "releasePhoneNumbers",
        summary: "Give numbers back to Telnyx",
        description: "Releases numbers, which cannot be undone. A `pending` number's order is cancelled while Telnyx permits that; \
                      otherwise the number is in `failed` with `purchase_in_progress`. A repeated request resumes a release that is not \
                      finished.",
        query: vec![],
        body: Some(body),
        headers: &[RequestHeader::IdempotencyKey],
        answers: vec![
            Success { headers, ..Success::of::<Answered>(schemas, 200, "Every number is released.", all) },
            Success { headers, ..Success::of::<Answered>(schemas, 207, "At least one number is not released.", none) },
        ],
        problems: &["confirmation_required", "request_in_progress", "idempotency_key_reused"],
        rules: vec![&EACH_ID_ONCE],
    }]
}
