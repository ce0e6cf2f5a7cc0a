//! Holds what passes between us and Telnyx against Telnyx's own specification (`dev/telnyx-openapi.json`).

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex},
};

use dev::telnyx_simulator::Exchange;
use jsonschema::Validator;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

/// Telnyx's specification of its number endpoints.
pub(crate) struct Spec {
    document: Value,
    /// By JSON pointer of the schema: compiling one takes longer than using it.
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

impl Spec {
    /// The one copy, read once.
    pub(crate) fn load() -> &'static Self {
        static SPEC: LazyLock<Spec> = LazyLock::new(|| Spec {
            document: serde_json::from_str(include_str!("../../../telnyx-openapi.json")).unwrap(),
            validators: Mutex::default(),
        });
        &SPEC
    }

    /// Everything wrong with a request and its answer; nothing is wrong if this is empty.
    pub(crate) fn check(&self, exchange: &Exchange) -> Vec<String> {
        let mut wrong = self.check_request(exchange);
        wrong.extend(self.check_response(exchange));
        wrong
    }

    /// What our side got wrong: an unknown path, parameter or member of the body, or a value of the wrong kind.
    pub(crate) fn check_request(&self, exchange: &Exchange) -> Vec<String> {
        let Some(operation) = self.operation(exchange) else {
            return vec![format!("{} {} is not in the specification", exchange.method, exchange.path)];
        };
        let mut wrong = self.check_query(&operation, &exchange.query);
        wrong.extend(self.check_body(&operation, &exchange.request_body));
        labelled(exchange, "request", wrong)
    }

    /// What the other side got wrong. A connection that was cut has nothing to check.
    pub(crate) fn check_response(&self, exchange: &Exchange) -> Vec<String> {
        let Some(status) = exchange.status else {
            return Vec::new();
        };
        let wrong = self.validate(&self.response_schema(exchange, status), &exchange.response_body);
        // Telnyx answers null for ids that are not set although the schemas say string, and has done so for years:
        // a null counts as an absent member.
        let wrong = wrong.into_iter().filter(|(_, found)| !found.is_null());
        labelled(exchange, "response", wrong.map(|(message, _)| message).collect())
    }

    /// What is wrong with the body of a `number_order.complete` webhook.
    pub(crate) fn check_webhook(&self, body: &Value) -> Vec<String> {
        let schema = "/components/schemas/NumberOrderWebhookEvent";
        let wrong = self.validate(schema, body).into_iter().filter(|(_, found)| !found.is_null());
        wrong.map(|(message, _)| format!("webhook: {message}")).collect()
    }

    /// JSON pointer of the operation a request addresses.
    fn operation(&self, exchange: &Exchange) -> Option<String> {
        let path = exchange.path.strip_prefix("/v2")?;
        let paths = self.document["paths"].as_object()?;
        let templates = paths.keys().filter(|template| fits(template, path));
        // A literal path before one with parameters: /phone_numbers/slim is no id.
        let template = templates.min_by_key(|template| template.matches('{').count())?;
        let pointer = format!("/paths/{}/{}", escape(template), exchange.method.to_ascii_lowercase());
        self.document.pointer(&pointer).map(|_| pointer)
    }

    /// The schema for a status; where none is declared (409, 429, an unknown path) that of the error envelope.
    fn response_schema(&self, exchange: &Exchange, status: u16) -> String {
        let class = format!("{}XX", status / 100);
        let declared = self.operation(exchange).and_then(|operation| {
            [status.to_string(), class].into_iter().find_map(|status| {
                let response = self.resolve(&format!("{operation}/responses/{status}"))?;
                let schema = format!("{response}/content/application~1json/schema");
                self.document.pointer(&schema).map(|_| schema)
            })
        });
        declared.unwrap_or_else(|| "/components/schemas/numbers_Errors".to_owned())
    }

    /// Where a pointer leads once its `$ref` is followed.
    fn resolve(&self, pointer: &str) -> Option<String> {
        let found = self.document.pointer(pointer)?;
        match found["$ref"].as_str() {
            Some(reference) => self.resolve(reference.strip_prefix('#')?),
            None => Some(pointer.to_owned()),
        }
    }

    fn check_query(&self, operation: &str, query: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut parameters = Map::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name), decode(value));
            if value.starts_with(' ') {
                wrong.push(format!("{name} begins with a space: is its plus sign not encoded?"));
            }
            let parts: Vec<_> = name.split('[').map(|part| part.trim_end_matches(']').to_owned()).collect();
            match self.parameter_schema(operation, &parts[0]) {
                Some(schema) => {
                    let target = parameters.entry(parts[0].clone()).or_insert(Value::Null);
                    if !self.put(target, &schema, &parts[1..], &value) {
                        wrong.push(format!("unknown parameter {name}"));
                    }
                }
                None => wrong.push(format!("unknown parameter {name}")),
            }
        }
        for (name, value) in &parameters {
            if let Some(schema) = self.parameter_schema(operation, name) {
                let errors = self.validate(&schema, value);
                wrong.extend(errors.into_iter().map(|(message, _)| format!("{name}: {message}")));
            }
        }
        wrong
    }

    fn parameter_schema(&self, operation: &str, name: &str) -> Option<String> {
        let count = self.document.pointer(&format!("{operation}/parameters"))?.as_array()?.len();
        (0..count).find_map(|index| {
            let pointer = self.resolve(&format!("{operation}/parameters/{index}"))?;
            let parameter = self.document.pointer(&pointer)?;
            (parameter["in"] == "query" && parameter["name"] == name).then(|| format!("{pointer}/schema"))
        })
    }

    /// Puts a value where the parts of its name say, typed as the schema there says; false if there is no such place.
    fn put(&self, target: &mut Value, schema: &str, parts: &[String], text: &str) -> bool {
        let Some(schema) = self.resolve(schema) else {
            return false;
        };
        let Some(found) = self.document.pointer(&schema) else {
            return false;
        };
        let is_index = |part: &String| part.chars().all(|c| c.is_ascii_digit());
        match parts {
            [] => self.put_leaf(target, &schema, text),
            [index] if is_index(index) => self.array_schema(&schema).is_some_and(|array| self.extend(target, &array, text)),
            [member, rest @ ..] => {
                let inner = format!("{schema}/properties/{}", escape(member));
                if found["properties"].get(member).is_none() {
                    return false;
                }
                if target.is_null() {
                    *target = json!({});
                }
                self.put(&mut target[member], &inner, rest, text)
            }
        }
    }

    fn put_leaf(&self, target: &mut Value, schema: &str, text: &str) -> bool {
        let several = text.contains(',') || !target.is_null();
        match self.array_schema(schema) {
            // Where one value or several are allowed, only several make an array.
            Some(array) if several || self.document.pointer(schema).unwrap()["type"] == "array" => self.extend(target, &array, text),
            _ => {
                *target = typed(&self.document.pointer(schema).unwrap()["type"], text);
                true
            }
        }
    }

    fn extend(&self, target: &mut Value, array: &str, text: &str) -> bool {
        let kind = &self.document.pointer(array).unwrap()["items"]["type"];
        let before = std::mem::take(target);
        let mut items = match before {
            Value::Array(items) => items,
            Value::Null => Vec::new(),
            single => vec![single],
        };
        items.extend(text.split(',').map(|item| typed(kind, item)));
        *target = Value::Array(items);
        true
    }

    /// The schema itself if it is of an array, or the one of its alternatives that is.
    fn array_schema(&self, schema: &str) -> Option<String> {
        let found = self.document.pointer(schema)?;
        if found["type"] == "array" {
            return Some(schema.to_owned());
        }
        let alternatives = found["oneOf"].as_array()?;
        let index = alternatives.iter().position(|one| one["type"] == "array")?;
        Some(format!("{schema}/oneOf/{index}"))
    }

    fn check_body(&self, operation: &str, body: &Value) -> Vec<String> {
        let schema = format!("{operation}/requestBody/content/application~1json/schema");
        match (self.document.pointer(&schema), body) {
            (None, Value::Null) => Vec::new(),
            (None, _) => vec!["no body is expected".to_owned()],
            (Some(_), body) => {
                let mut wrong: Vec<_> = self.validate(&schema, body).into_iter().map(|(message, _)| message).collect();
                self.find_unknown(&schema, body, "", &mut wrong);
                wrong
            }
        }
    }

    /// Schemas are open, yet a member they do not declare is a misspelling, and one that is read-only does nothing.
    fn find_unknown(&self, schema: &str, value: &Value, at: &str, wrong: &mut Vec<String>) {
        let Some(schema) = self.resolve(schema) else {
            return;
        };
        let Some(found) = self.document.pointer(&schema) else {
            return;
        };
        if let (Some(members), Some(declared)) = (value.as_object(), found["properties"].as_object()) {
            for (name, member) in members {
                match declared.get(name) {
                    None => wrong.push(format!("unknown member {at}/{name}")),
                    Some(known) if known["readOnly"] == true => {
                        wrong.push(format!("read-only member {at}/{name}"));
                    }
                    Some(_) => {
                        let inner = format!("{schema}/properties/{}", escape(name));
                        self.find_unknown(&inner, member, &format!("{at}/{name}"), wrong);
                    }
                }
            }
        }
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            self.find_unknown(&format!("{schema}/items"), item, &format!("{at}/{index}"), wrong);
        }
    }

    /// Each violation, with the value that is at fault.
    fn validate(&self, schema: &str, value: &Value) -> Vec<(String, Value)> {
        let validator = self.validator(schema);
        validator
            .iter_errors(value)
            .map(|error| {
                let instance = error.instance().clone().into_owned();
                (format!("{error} at {}", error.instance_path()), instance)
            })
            .collect()
    }

    fn validator(&self, schema: &str) -> Arc<Validator> {
        let mut validators = self.validators.lock().unwrap();
        let build = || {
            // The components come along, so that references of the form #/components/… resolve.
            let mut root = self.document.pointer(schema).unwrap().clone();
            root["components"] = self.document["components"].clone();
            let options = jsonschema::draft202012::options().should_validate_formats(true);
            Arc::new(options.build(&root).unwrap())
        };
        Arc::clone(validators.entry(schema.to_owned()).or_insert_with(build))
    }
}

fn labelled(exchange: &Exchange, side: &str, wrong: Vec<String>) -> Vec<String> {
    let label = |wrong| format!("{} {} {side}: {wrong}", exchange.method, exchange.path);
    wrong.into_iter().map(label).collect()
}

fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template.iter().zip(&path).all(|(wanted, found)| (wanted.starts_with('{') && !found.is_empty()) || wanted == found)
}

/// A JSON pointer's segment.
fn escape(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}

fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// A parameter's text as JSON; what cannot be read as the type stays text, which the schema then refuses.
fn typed(kind: &Value, text: &str) -> Value {
    match kind.as_str() {
        Some("integer" | "boolean") => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        _ => json!(text),
    }
}

fn exchange(method: &str, path: &str, query: &str, body: Value) -> Exchange {
    Exchange {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        request_body: body,
        status: None,
        response_body: Value::Null,
        faulted: false,
    }
}

#[test]
fn a_request_in_any_spelling_of_the_specification_is_valid() {
    for query in [
        "filter[features]=sms,voice&filter[limit]=5&filter[best_effort]=true",
        "filter%5Bfeatures%5D%5B%5D=sms&filter%5Bfeatures%5D%5B%5D=voice",
        "filter[phone_number][contains]=555&filter[country_code]=US",
    ] {
        let search = exchange("GET", "/v2/available_phone_numbers", query, Value::Null);
        assert_eq!(Spec::load().check(&search), Vec::<String>::new(), "{query}");
    }
    for query in ["filter[country_iso_alpha2]=US", "filter[country_iso_alpha2]=US,CA&page[size]=250"] {
        let list = exchange("GET", "/v2/phone_numbers", query, Value::Null);
        assert_eq!(Spec::load().check(&list), Vec::<String>::new(), "{query}");
    }
}

#[test]
fn a_misspelt_parameter_is_found() {
    for query in [
        "country_code=US",
        "filter[contry_code]=US",
        "filter[phone_number]=555",
        "filter[phone_number][like]=555",
        "filter[features]=sms,telepathy",
        "filter[limit]=many",
    ] {
        let search = exchange("GET", "/v2/available_phone_numbers", query, Value::Null);
        assert_ne!(Spec::load().check(&search), Vec::<String>::new(), "{query}");
    }
    let bare_plus = exchange("GET", "/v2/phone_numbers", "filter[phone_number]=+1312", Value::Null);
    assert_ne!(Spec::load().check(&bare_plus), Vec::<String>::new());
}

#[test]
fn a_misspelt_or_mistyped_body_is_found() {
    for body in [
        json!({ "phone_numbers": [{ "number": "+13125550123" }] }),
        json!({ "phone_numbers": [{ "phone_number": "+13125550123", "features": [] }] }),
        json!({ "phone_numbers": [{ "phone_number": "+13125550123" }], "reference": "x" }),
        json!({ "phone_numbers": [{ "phone_number": "+13125550123" }], "connection_id": 7 }),
        Value::Null,
    ] {
        let order = exchange("POST", "/v2/number_orders", "", body.clone());
        assert_ne!(Spec::load().check(&order), Vec::<String>::new(), "{body}");
    }
}

#[test]
fn a_path_or_method_that_does_not_exist_is_found() {
    for (method, path) in [("GET", "/v2/numbers"), ("PUT", "/v2/number_orders"), ("GET", "/phone_numbers")] {
        assert_ne!(Spec::load().check(&exchange(method, path, "", Value::Null)), Vec::<String>::new());
    }
}

#[test]
fn an_answer_of_the_wrong_type_is_found_and_an_unset_id_is_not() {
    let mut get = exchange("GET", "/v2/number_orders/x", "", Value::Null);
    get.status = Some(200);
    get.response_body = json!({ "data": { "status": "done", "connection_id": null } });
    assert_eq!(Spec::load().check(&get).len(), 1);
    get.status = Some(409);
    get.response_body = json!({ "errors": [{ "code": 85001 }] });
    assert_eq!(Spec::load().check(&get).len(), 1);
}
