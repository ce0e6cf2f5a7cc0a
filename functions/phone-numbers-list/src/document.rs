//! The function's part of `docs/openapi.json`.

use shared::cursor::{CURSOR_OF_AN_ANSWER, CURSOR_WITH_ITS_FILTERS};
use shared::document::{Link, Operation, SchemaGenerator, Success, example_agent, example_row, json};
use shared::input::{ASSIGNED_OR_UNASSIGNED, Declared as _};
use shared::lambda::Function as _;

use crate::answer::Page;
use crate::request::{CURSOR_OR_OFFSET, Query};

/// What the function does.
pub fn operations(schemas: &mut SchemaGenerator) -> Vec<Operation> {
    let example = json!({
        "phone_numbers": [example_row()],
        "available_agents": [example_agent()],
        "summary": {
            "total": 1,
            "active": 1,
            "pending": 0,
            "inactive": 0,
            "released": 0,
            "assigned": 1,
            "unassigned": 0,
            "monthly_cost": [{"currency": "USD", "amount": "1.00"}]
        },
        "pagination": {"limit": 50, "offset": 0, "total": 1, "total_is_exact": true, "next_cursor": null}
    });
    let row = "$response.body#/phone_numbers/0/id";
    let links = vec![
        Link {
            name: "nextPage",
            operation: "listPhoneNumbers",
            parameters: &[("cursor", "$response.body#/pagination/next_cursor"), ("limit", "$request.query.limit")],
            body: None,
        },
        Link { name: "show", operation: "showPhoneNumbers", parameters: &[("id", "$response.body#/phone_numbers/0/id")], body: None },
        Link {
            name: "assign",
            operation: "assignPhoneNumber",
            parameters: &[],
            body: Some(json!({"phone_number_id": row, "agent_mapping_id": "$response.body#/available_agents/0/id"})),
        },
        Link {
            name: "release",
            operation: "releasePhoneNumbers",
            parameters: &[],
            body: Some(json!({"phone_number_ids": [row], "confirm": true})),
        },
    ];
    vec![Operation {
        function: crate::List::NAME,
        method: "GET",
        id: "listPhoneNumbers",
        summary: "List the agency's numbers",
        description: "Lists the agency's numbers, newest first. Pages by `cursor` neither skip nor repeat a row when rows are added or \
                      removed meanwhile.",
        query: Query::fields(),
        body: None,
        headers: &[],
        answers: vec![Success { links, ..Success::of::<Page>(schemas, 200, "A page of the list, and the agency's rows in sum.", example) }],
        problems: &[],
        rules: vec![&ASSIGNED_OR_UNASSIGNED, &CURSOR_OR_OFFSET, &CURSOR_WITH_ITS_FILTERS, &CURSOR_OF_AN_ANSWER],
    }]
}
