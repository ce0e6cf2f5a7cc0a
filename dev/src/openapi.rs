//! `docs/openapi.json`: a description of the HTTP API in the format `OpenAPI` 3.1, made from what the functions declare.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use shared::document::schemars::generate::SchemaSettings;
use shared::document::{AnswerHeader, Link, Operation, RequestBody, RequestHeader, SchemaGenerator, Success};
use shared::error::KINDS;
use shared::input::{Field, Origin, Presence};
use shared::lambda::REGION;
use shared::model::permitted_roles;
use shared::problem::{self, Problem};

/// The path of the document in the gateway of `cargo dev`.
pub const PATH: &str = "/openapi.json";
/// The path of the page that shows it.
pub const PAGE_PATH: &str = "/docs";
/// The page that shows the document. It needs nothing but the document.
pub const PAGE: &str = include_str!("openapi/page.html");

/// The problems that every operation can be answered with.
const COMMON_PROBLEMS: [&str; 5] = ["invalid_request", "unauthorized", "forbidden", "internal", "unavailable"];
/// The problems of a request with a body.
const BODY_PROBLEMS: [&str; 2] = ["payload_too_large", "unsupported_media_type"];
/// The problems with a `Retry-After`.
const WAITING_PROBLEMS: [&str; 2] = ["request_in_progress", "rate_limited"];

const DESCRIPTION: &str = "Searches, buys, lists, assigns and releases Telnyx phone numbers for the agencies of a platform.\n\n\
    Input is strict: an unknown parameter or member, one that is given twice, a wrong type or a value out of range is answered with 400, \
    and `errors` names each field. What no schema expresses is in the `x-rules` of an operation: the name of the rule, the field that is \
    refused (`*` is any) and the message.\n\n\
    Every failure is an `application/problem+json` document (RFC 9457). Programs should depend on `code`. A method that a function does \
    not take is answered with 405 and `Allow`. API Gateway sends its own 413, 429, 503 and 504, which are no problem documents.\n\n\
    The `x-codes` of an answer are the codes that its problem can have. A user's agency and role are read on every request; `x-roles` lists the roles that an operation is permitted to. What belongs to \
    another agency is answered exactly like what does not exist.";

/// The document, as text. Characters that are not visible ASCII are escaped, but for those beyond the basic plane: their escapes in
/// JSON are pairs, which readers of YAML refuse.
#[must_use]
pub fn text() -> String {
    let pretty = format!("{:#}\n", document());
    let mut text = String::with_capacity(pretty.len());
    for character in pretty.chars() {
        if is_plain(character) {
            text.push(character);
        } else {
            // Writing to a string does not fail.
            let _ = write!(text, "\\u{:04x}", u32::from(character));
        }
    }
    text
}

const fn is_plain(character: char) -> bool {
    character.is_ascii_graphic() || matches!(character, ' ' | '\n') || character > '\u{ffff}'
}

/// Every operation of the five functions.
pub fn operations(schemas: &mut SchemaGenerator) -> Vec<Operation> {
    let mut operations = phone_numbers_search::document::operations(schemas);
    operations.extend(phone_numbers_purchase::document::operations(schemas));
    operations.extend(phone_numbers_list::document::operations(schemas));
    operations.extend(phone_numbers_assign::document::operations(schemas));
    operations.extend(phone_numbers_release::document::operations(schemas));
    operations
}

/// The document.
#[must_use]
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let problem = generator.subschema_for::<Problem>().to_value();
    let operations = operations(&mut generator);
    let mut schemas: Map<String, Value> = generator.take_definitions(true).into_iter().collect();
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for operation in &operations {
        if let Some(body) = &operation.body {
            schemas.insert(body.name.to_owned(), body.schema.clone());
        }
        let path = paths.entry(format!("/{}", operation.function)).or_default();
        path.insert(operation.method.to_ascii_lowercase(), described(operation, &problem));
    }
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Phone numbers", "version": env!("CARGO_PKG_VERSION"), "description": DESCRIPTION},
        "servers": [{"url": "/", "description": "The address that this document comes from."}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "headers": headers(),
            "examples": examples(),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A token as Supabase issues it: HS256, RS256 or ES256. `sub` is the user's id. `exp`, `iss` and `aud` \
                                    are required."
                }
            }
        }
    })
}

fn described(operation: &Operation, problem: &Value) -> Value {
    let mut parameters: Vec<_> = operation.query.iter().map(parameter).collect();
    parameters.extend(operation.headers.iter().map(|header| request_header(*header)));
    parameters.push(json!({
        "name": REGION,
        "in": "query",
        "required": false,
        "description": "What `supabase.functions.invoke` adds for its option `region`. It is accepted and ignored.",
        "schema": {"type": "string", "examples": ["us-east-1"]},
    }));
    let mut responses: BTreeMap<String, Value> = problems(operation, problem);
    for success in &operation.answers {
        responses.insert(success.status.to_string(), answer(success));
    }
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "description": operation.description,
        "parameters": parameters,
        "responses": responses,
        "x-roles": permitted_roles(operation.function, operation.method),
    });
    if let Some(RequestBody { name, required, example, .. }) = &operation.body {
        let schema = json!({"$ref": format!("#/components/schemas/{name}")});
        let media_type = json!({"schema": schema, "examples": {"example": {"value": example}}});
        described["requestBody"] = json!({"required": required, "content": {"application/json": media_type}});
    }
    if !operation.rules.is_empty() {
        let rules = operation.rules.iter().map(|rule| json!({"name": rule.name, "field": rule.field, "message": rule.message}));
        described["x-rules"] = rules.collect();
    }
    described
}

fn parameter(field: &Field) -> Value {
    let mut schema = field.described(Origin::Query);
    let meaning = schema.as_object_mut().and_then(|schema| schema.remove("description"));
    json!({
        "name": field.name,
        "in": "query",
        "required": field.presence == Presence::Required,
        "description": meaning,
        "schema": schema,
    })
}

fn request_header(header: RequestHeader) -> Value {
    let (name, description, pattern, examples): (_, _, _, &[&str]) = match header {
        RequestHeader::IdempotencyKey => (
            "Idempotency-Key",
            "A key of this request: 1 to 255 visible ASCII characters, as a quoted string or as a token. The first final answer to a key is \
             returned again to every repetition.",
            r#"^("([ !#-\[\]-~]|\\["\\]){1,255}"|[!#-+\x2d-:<-\[\]-~]{1,255})$"#,
            &["4b1e4b0e-6f0c-4f57-9a0e-c8b5a4bfb1a1"],
        ),
        RequestHeader::IfMatch => (
            "If-Match",
            "Changes the row only if its `ETag` is one of these; otherwise the answer is 412. `*` permits every row.",
            r#"^(\*|(W/)?"[ !#-+\x2d-~]*"( *, *(W/)?"[ !#-+\x2d-~]*")*)$"#,
            &["*", "\"1767605400000001\""],
        ),
    };
    let schema = json!({"type": "string", "minLength": 1, "pattern": pattern, "examples": examples});
    json!({"name": name, "in": "header", "required": false, "description": description, "schema": schema})
}

/// The headers of answers.
fn headers() -> Value {
    json!({
        "Cache-Control": {
            "description": "Answers are not stored.",
            "required": true,
            "schema": {"type": "string", "enum": ["no-store"]}
        },
        "ETag": {
            "description": "The version of the row in the answer, for `If-Match`.",
            "schema": {"type": "string", "pattern": "^\"-?[0-9]+\"$", "examples": ["\"1767605400000001\""]}
        },
        "Idempotent-Replayed": {
            "description": "`true`: nothing was done, since an earlier request did it.",
            "schema": {"type": "string", "enum": ["true"]}
        },
        "Retry-After": {
            "description": "In how many seconds the request may be repeated.",
            "required": true,
            "schema": {"type": "integer", "minimum": 1, "examples": [5]}
        },
        "WWW-Authenticate": {
            "description": "The scheme that the request must use.",
            "required": true,
            "schema": {"type": "string", "enum": ["Bearer"]}
        },
        "X-Content-Type-Options": {
            "description": "`Content-Type` is what the body is.",
            "required": true,
            "schema": {"type": "string", "enum": ["nosniff"]}
        },
        "X-Request-Id": {
            "description": "The request's id, to find it in the log.",
            "required": true,
            "schema": {"type": "string", "minLength": 1}
        }
    })
}

/// References to the headers with these names, and to those of every answer.
fn header_references<'name>(names: impl IntoIterator<Item = &'name str>) -> Value {
    let names = names.into_iter().chain(["Cache-Control", "X-Content-Type-Options", "X-Request-Id"]);
    names.map(|name| (name.to_owned(), json!({"$ref": format!("#/components/headers/{name}")}))).collect()
}

fn answer(success: &Success) -> Value {
    let names = success.headers.iter().map(|header| match header {
        AnswerHeader::ETag => "ETag",
        AnswerHeader::IdempotentReplayed => "Idempotent-Replayed",
    });
    let mut answer = json!({
        "description": success.description,
        "headers": header_references(names),
        "content": {"application/json": {"schema": success.schema, "examples": {"example": {"value": success.example}}}},
    });
    if !success.links.is_empty() {
        answer["links"] = success.links.iter().map(|link| (link.name.to_owned(), link_object(link))).collect();
    }
    answer
}

fn link_object(link: &Link) -> Value {
    let mut object = json!({"operationId": link.operation});
    if !link.parameters.is_empty() {
        object["parameters"] = link.parameters.iter().map(|(name, expression)| ((*name).to_owned(), Value::from(*expression))).collect();
    }
    if let Some(body) = &link.body {
        object["requestBody"] = body.clone();
    }
    object
}

/// An example of every problem.
fn examples() -> Value {
    let problems = problem::examples().into_iter();
    problems.map(|problem| (problem.code.to_owned(), json!({"summary": problem.title, "value": problem}))).collect()
}

/// The problems of an operation, by status.
fn problems(operation: &Operation, problem: &Value) -> BTreeMap<String, Value> {
    let body_problems = operation.body.iter().flat_map(|_| BODY_PROBLEMS);
    let codes: Vec<_> = COMMON_PROBLEMS.into_iter().chain(body_problems).chain(operation.problems.iter().copied()).collect();
    let mut statuses: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for kind in KINDS.iter().filter(|kind| codes.contains(&kind.code)) {
        statuses.entry(kind.status).or_default().push(kind.code);
    }
    let response = |(status, codes): (u16, Vec<&str>)| {
        let titles = KINDS.iter().filter(|kind| codes.contains(&kind.code)).map(|kind| format!("`{}`: {}", kind.code, kind.title));
        let shown: Map<_, _> =
            codes.iter().map(|code| ((*code).to_owned(), json!({"$ref": format!("#/components/examples/{code}")}))).collect();
        let names = ["WWW-Authenticate"].into_iter().filter(|_| status == 401);
        // Only a status whose every problem has a `Retry-After` promises one.
        let names = names.chain(["Retry-After"].into_iter().filter(|_| codes.iter().all(|code| WAITING_PROBLEMS.contains(code))));
        let response = json!({
            "description": titles.collect::<Vec<_>>().join("; "),
            "headers": header_references(names),
            "content": {"application/problem+json": {"schema": problem, "examples": shown}},
            "x-codes": codes,
        });
        (status.to_string(), response)
    };
    statuses.into_iter().map(response).collect()
}
