//! What `docs/openapi.json` says of a function: its operations, made from the declarations of its input and from the types of its
//! answers. Only `cargo dev` is built with it (feature `schema`).

pub use schemars::{self, JsonSchema, SchemaGenerator};
pub use serde_json::{Value, json};

use super::input::{Declared, Field, Rule, object_schema};

/// What a function does with one method.
pub struct Operation {
    /// The function.
    pub function: &'static str,
    /// The method.
    pub method: &'static str,
    /// A name for the operation in a generated client.
    pub id: &'static str,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// All that a caller needs to know.
    pub description: &'static str,
    /// The parameters.
    pub query: Vec<Field>,
    /// The body, if it takes one.
    pub body: Option<RequestBody>,
    /// The headers that it reads, besides those that all functions read.
    pub headers: &'static [RequestHeader],
    /// The answers that are not problems.
    pub answers: Vec<Success>,
    /// The codes of its problems, besides those that all functions have.
    pub problems: &'static [&'static str],
    /// The rules that the schemas do not express.
    pub rules: Vec<&'static Rule>,
}

/// The body of a request.
pub struct RequestBody {
    /// The name of its schema.
    pub name: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// Its schema.
    pub schema: Value,
    /// A body.
    pub example: Value,
}

impl RequestBody {
    /// The body that `T` declares.
    #[must_use]
    pub fn of<T: Declared>(name: &'static str) -> Self {
        let fields = T::fields();
        let members = fields.iter().filter_map(|field| Some((field.name.to_owned(), example(field)?)));
        let example = Value::Object(members.collect());
        Self { name, required: true, schema: object_schema(&fields), example }
    }
}

/// A value of a field: its own example or, for a list of objects, one made of the examples of their members.
fn example(field: &Field) -> Option<Value> {
    let of_member = |member: &Value| member["examples"].get(0).cloned();
    let of_item = |items: &Value| -> Option<Value> {
        let members = items["properties"].as_object()?.iter();
        Some(members.filter_map(|(name, member)| Some((name.clone(), of_member(member)?))).collect())
    };
    field.example.clone().or_else(|| Some(json!([of_item(&field.schema["items"])?])))
}

/// An answer that is no problem.
pub struct Success {
    /// The status.
    pub status: u16,
    /// When it is given.
    pub description: &'static str,
    /// The schema of the body.
    pub schema: Value,
    /// A body.
    pub example: Value,
    /// The headers that it carries, besides those of every answer.
    pub headers: &'static [AnswerHeader],
    /// What can be done next with what the answer contains.
    pub links: Vec<Link>,
}

impl Success {
    /// An answer with a body of the type `T`.
    pub fn of<T: JsonSchema>(generator: &mut SchemaGenerator, status: u16, description: &'static str, example: Value) -> Self {
        let schema = generator.subschema_for::<T>().to_value();
        Self { status, description, schema, example, headers: &[], links: Vec::new() }
    }
}

/// An operation that takes something of an answer: a link of the document.
pub struct Link {
    /// The name of the link.
    pub name: &'static str,
    /// The `id` of the operation.
    pub operation: &'static str,
    /// The parameters, by name: runtime expressions such as `$response.body#/phone_numbers/0/id`.
    pub parameters: &'static [(&'static str, &'static str)],
    /// The body, with runtime expressions in it.
    pub body: Option<Value>,
}

/// A header of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestHeader {
    /// `Idempotency-Key`
    IdempotencyKey,
    /// `If-Match`
    IfMatch,
}

/// A header of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerHeader {
    /// `ETag`
    ETag,
    /// `Idempotent-Replayed`
    IdempotentReplayed,
}

/// A row as answers show it.
#[must_use]
pub fn example_row() -> Value {
    json!({
        "id": "9c1f3d0e-52a4-4b8e-9c61-2f1d9d6f7a10",
        "agency_id": "de300000-0000-4000-8000-000000000001",
        "phone_number": "+13125550123",
        "phone_number_id": "1293384261075731499",
        "friendly_name": "Front desk",
        "number_type": "local",
        "country_code": "US",
        "voice_enabled": true,
        "sms_enabled": true,
        "mms_enabled": false,
        "agent_mapping_id": "0d3c5c6a-6b61-4a7e-8d0a-0f6f3f0c9b55",
        "direction": "inbound",
        "monthly_cost": "1.00",
        "setup_cost": "1.00",
        "currency": "USD",
        "status": "active",
        "is_active": true,
        "purchased_at": "2026-01-05T09:30:00Z",
        "released_at": null,
        "created_at": "2026-01-05T09:29:58.123456Z",
        "updated_at": "2026-01-05T09:30:00.000001Z",
        "agent_mappings": {
            "id": "0d3c5c6a-6b61-4a7e-8d0a-0f6f3f0c9b55",
            "ultravox_agent_id": "agent-1",
            "ultravox_agent_name": "Reception",
            "voice": "Mark",
            "language_hint": "en",
            "recording_enabled": true
        }
    })
}

/// An agent as answers show it.
#[must_use]
pub fn example_agent() -> Value {
    json!({
        "id": "0d3c5c6a-6b61-4a7e-8d0a-0f6f3f0c9b55",
        "ultravox_agent_id": "agent-1",
        "ultravox_agent_name": "Reception",
        "voice": "Mark"
    })
}
