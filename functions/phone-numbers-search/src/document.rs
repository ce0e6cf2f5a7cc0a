//! The function's part of `docs/openapi.json`.

use shared::document::{Link, Operation, SchemaGenerator, Success, json};
use shared::input::Declared as _;
use shared::lambda::Function as _;

use crate::answer::Found;
use crate::request::Query;

/// What the function does.
pub fn operations(schemas: &mut SchemaGenerator) -> Vec<Operation> {
    let example = json!({
        "phone_numbers": [{
            "phone_number": "+13125550123",
            "phone_number_type": "local",
            "features": ["sms", "voice"],
            "voice_enabled": true,
            "sms_enabled": true,
            "mms_enabled": false,
            "fax_enabled": false,
            "emergency_enabled": false,
            "region_information": [{"region_type": "country_code", "region_name": "US"}],
            "country_code": "US",
            "monthly_cost": "1.00",
            "upfront_cost": "1.00",
            "currency": "USD",
            "reservable": true,
            "quickship": true,
            "best_effort": false
        }],
        "meta": {"total_results": 1, "best_effort_results": 0, "country_code": "US", "limit": 20}
    });
    let links = vec![
        Link {
            name: "purchase",
            operation: "purchasePhoneNumbers",
            parameters: &[],
            body: Some(json!({"phone_numbers": [{"phone_number": "$response.body#/phone_numbers/0/phone_number"}]})),
        },
        Link {
            name: "validate",
            operation: "purchasePhoneNumbers",
            parameters: &[],
            body: Some(json!({
                "phone_numbers": [{"phone_number": "$response.body#/phone_numbers/0/phone_number"}],
                "max_monthly_cost": "5.00",
                "validate_only": true
            })),
        },
    ];
    vec![Operation {
        function: crate::Search::NAME,
        method: "GET",
        id: "searchPhoneNumbers",
        summary: "Search for numbers on offer",
        description: "Searches Telnyx for numbers that can be bought.",
        query: Query::fields(),
        body: None,
        headers: &[],
        answers: vec![Success {
            links,
            ..Success::of::<Found>(schemas, 200, "The numbers on offer, as many as `limit` at most.", example)
        }],
        problems: &["telnyx_not_configured", "upstream_rejected", "rate_limited", "upstream_error"],
        rules: vec![],
    }]
}
