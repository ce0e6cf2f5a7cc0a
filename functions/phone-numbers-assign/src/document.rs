//! The function's part of `docs/openapi.json`.

use shared::cursor::{CURSOR_OF_AN_ANSWER, CURSOR_WITH_ITS_FILTERS};
use shared::document::{AnswerHeader, Link, Operation, RequestBody, RequestHeader, SchemaGenerator, Success, Value, example_row, json};
use shared::input::{ASSIGNED_OR_UNASSIGNED, Declared as _, Field};
use shared::lambda::{Function as _, QUERY_OR_BODY};

use crate::answer::{All, Changed, One};
use crate::request::{
    A_NUMBER_IS_NAMED, Assigned, HISTORY_OF_ONE, NO_FILTER_FOR_ONE, NO_PAGE_FOR_ONE, ONE_NUMBER, SETTINGS, Settings, Shown, Unassigned,
};

/// What the function does.
pub fn operations(schemas: &mut SchemaGenerator) -> Vec<Operation> {
    vec![show(schemas), assign(schemas), change_settings(schemas), unassign(schemas)]
}

fn show(schemas: &mut SchemaGenerator) -> Operation {
    let example = json!({
        "phone_number": example_row(),
        "history": [{
            "at": "2026-01-05T09:30:00Z",
            "event": "bought",
            "actor": "7d9f6c1e-1a52-4b8e-9c61-2f1d9d6f7a10",
            "changes": {"status": {"from": "pending", "to": "active"}}
        }],
        "pagination": {"limit": 200, "next_cursor": null}
    });
    let description =
        "With `id`: the number, and its history if it was asked for. Without: the numbers, and the agents that they could be assigned to.";
    let one = Success::of::<One>(schemas, 200, description, example);
    let all = schemas.subschema_for::<All>().to_value();
    let links = vec![Link {
        name: "changeSettings",
        operation: "changePhoneNumberSettings",
        parameters: &[("If-Match", "$response.header.ETag")],
        body: Some(json!({"phone_number_id": "$response.body#/phone_number/id", "friendly_name": "Day line"})),
    }];
    Operation {
        function: crate::Assign::NAME,
        method: "GET",
        id: "showPhoneNumbers",
        summary: "Show one number, or all numbers with the agents that they could have",
        description: "Shows one number, or all numbers and the agents that they could be assigned to. Without `limit`, as many numbers \
                      as 4 MB have room for; `pagination.next_cursor` leads to the rest.",
        query: Shown::fields(),
        body: None,
        headers: &[],
        answers: vec![Success { schema: json!({"oneOf": [one.schema, all]}), headers: &[AnswerHeader::ETag], links, ..one }],
        problems: &["not_found"],
        rules: NO_FILTER_FOR_ONE
            .iter()
            .chain(&NO_PAGE_FOR_ONE)
            .chain([&HISTORY_OF_ONE, &ONE_NUMBER, &ASSIGNED_OR_UNASSIGNED, &CURSOR_WITH_ITS_FILTERS, &CURSOR_OF_AN_ANSWER])
            .collect(),
    }
}

fn assign(schemas: &mut SchemaGenerator) -> Operation {
    let mut body = RequestBody::of::<Assigned>("AssignRequest");
    body.schema["not"] = without_row();
    changing(
        body,
        Operation {
            function: crate::Assign::NAME,
            method: "POST",
            id: "assignPhoneNumber",
            summary: "Assign a number to an agent",
            description: "Assigns a number to an agent of the agency.",
            query: vec![],
            body: None,
            headers: &[RequestHeader::IfMatch],
            answers: vec![changed(schemas, "The number is assigned.", "The phone number is assigned.")],
            problems: &["not_found", "phone_number_released", "precondition_failed"],
            rules: vec![&ONE_NUMBER],
        },
    )
}

fn change_settings(schemas: &mut SchemaGenerator) -> Operation {
    let mut body = RequestBody::of::<Settings>("SettingsRequest");
    let settings: Vec<_> = SETTINGS.iter().map(|setting| json!({"required": [setting]})).collect();
    body.schema["not"] = json!({"anyOf": [without_row(), {"not": {"anyOf": settings}}]});
    changing(
        body,
        Operation {
            function: crate::Assign::NAME,
            method: "PATCH",
            id: "changePhoneNumberSettings",
            summary: "Change a number's settings",
            description: "Changes the settings of a number. A member that is absent stays as it is.",
            query: vec![],
            body: None,
            headers: &[RequestHeader::IfMatch],
            answers: vec![changed(schemas, "The settings are changed.", "The phone number's settings are changed.")],
            problems: &["not_found", "phone_number_released", "purchase_in_progress", "precondition_failed"],
            rules: vec![&ONE_NUMBER],
        },
    )
}

fn unassign(schemas: &mut SchemaGenerator) -> Operation {
    // The example is the body: examples of both would be a request that names the number twice.
    let query = Unassigned::fields().into_iter().map(|field| Field { example: None, ..field }).collect();
    let mut body = RequestBody::of::<Unassigned>("UnassignRequest");
    body.required = false;
    body.schema["not"] = without_row();
    changing(
        body,
        Operation {
            function: crate::Assign::NAME,
            method: "DELETE",
            id: "unassignPhoneNumber",
            summary: "Take a number from its agent",
            description: "Takes a number from its agent. The number is named in the query or in a body, not in both.",
            query,
            body: None,
            headers: &[RequestHeader::IfMatch],
            answers: vec![changed(schemas, "The number has no agent.", "The phone number is unassigned.")],
            problems: &["not_found", "phone_number_released", "precondition_failed"],
            rules: vec![&A_NUMBER_IS_NAMED, &ONE_NUMBER, &QUERY_OR_BODY],
        },
    )
}

/// An operation with its body. The example names the number once.
fn changing(mut body: RequestBody, operation: Operation) -> Operation {
    if let Some(example) = body.example.as_object_mut() {
        example.remove("id");
    }
    Operation { body: Some(body), ..operation }
}

/// A body that names no row: both names are absent or null. With `not`, a generated client has one type for the body, which it
/// has not with the alternatives of an `anyOf`.
fn without_row() -> Value {
    json!({"properties": {"phone_number_id": {"type": "null"}, "id": {"type": "null"}}})
}

fn changed(schemas: &mut SchemaGenerator, description: &'static str, message: &str) -> Success {
    let example = json!({"success": true, "phone_number": example_row(), "message": message});
    Success { headers: &[AnswerHeader::ETag], ..Success::of::<Changed>(schemas, 200, description, example) }
}
