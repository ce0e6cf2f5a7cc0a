//! `docs/openapi.json`: it is what the functions declare, and what they do.

use std::collections::BTreeSet;
use std::fs;

use base64::Engine as _;
use dev::{demo, openapi, workspace};
use jsonschema::Validator;
use lambda_http::http::Method;
use proptest::prelude::*;
use proptest::string::string_regex;
use serde_json::{Value, json};
use shared::error::KINDS;
use shared::input::{Digits, Flag, Id, Ids, Input, Integer, Parameter, Text, Words};
use shared::model::{CountryCode, Currency, Direction, E164, Feature, Money, NumberType, Status};
use shared::problem;

use crate::support::app::TestApp;
use crate::support::functions::{Call, FUNCTIONS, Functions};

/// The id of no row.
const ROW: &str = "00000000-0000-4000-8000-000000000000";

/// A schema of the document, with the components that it refers to.
fn validator(document: &Value, schema: &Value) -> Validator {
    let mut root = schema.clone();
    root["components"] = document["components"].clone();
    jsonschema::options().should_validate_formats(true).build(&root).unwrap()
}

#[track_caller]
fn fits(document: &Value, schema: &Value, value: &Value, what: &str) {
    let validator = validator(document, schema);
    let errors: Vec<_> = validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{what}: {errors:#?}\n{value:#}");
}

/// Every operation of the document: its path, its method and itself.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let of_path = |(path, methods): (&String, &Value)| {
        let methods = methods.as_object().unwrap().clone().into_iter();
        methods.map(|(method, operation)| (path.clone(), method.to_uppercase(), operation)).collect::<Vec<_>>()
    };
    paths.flat_map(of_path).collect()
}

#[test]
fn the_document_is_what_the_functions_declare() {
    let written = fs::read_to_string(workspace::root().join("docs/openapi.json")).unwrap();
    assert!(written == openapi::text(), "docs/openapi.json has drifted: cargo dev openapi > docs/openapi.json");
    let is_plain = |character: char| character.is_ascii_graphic() || [' ', '\n'].contains(&character) || character > '\u{ffff}';
    assert!(written.chars().all(is_plain), "a diff of the file shows what it says");
    assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), openapi::document());
}

#[test]
fn the_document_has_every_method_of_every_function() {
    let documented: BTreeSet<_> = operations(&openapi::document()).into_iter().map(|(path, method, _)| (path, method)).collect();
    let declared =
        FUNCTIONS.iter().flat_map(|(name, methods)| methods.iter().map(move |method| (format!("/{name}"), (*method).to_owned())));
    assert_eq!(documented, declared.collect());
}

#[test]
fn every_example_of_the_document_fits_its_schema() {
    let document = openapi::document();
    for (path, method, operation) in operations(&document) {
        for parameter in operation["parameters"].as_array().unwrap() {
            let examples = parameter["schema"]["examples"].as_array().cloned().unwrap_or_default();
            for example in examples.iter().chain(parameter["schema"].get("default")) {
                fits(&document, &parameter["schema"], example, &format!("{method} {path} {}", parameter["name"]));
            }
        }
        let responses = operation["responses"].as_object().unwrap().iter();
        let answers = responses.map(|(status, response)| (status.as_str(), response["content"].clone()));
        let body = operation.get("requestBody").map(|body| ("body", body["content"].clone()));
        for (what, content) in answers.chain(body) {
            for media_type in content.as_object().unwrap().values() {
                let examples = media_type["examples"].as_object().unwrap();
                assert!(!examples.is_empty(), "{method} {path} {what}");
                for example in examples.values() {
                    let referred = example["$ref"].as_str().and_then(|reference| document.pointer(reference.trim_start_matches('#')));
                    fits(&document, &media_type["schema"], &referred.unwrap_or(example)["value"], &format!("{method} {path} {what}"));
                }
            }
        }
    }
}

#[test]
fn the_document_has_every_kind_of_problem() {
    let examples: Vec<_> = problem::examples().iter().map(|example| example.code).collect();
    assert_eq!(examples, KINDS.iter().map(|kind| kind.code).collect::<Vec<_>>());
}

#[test]
fn every_link_of_the_document_leads_to_an_operation_that_takes_what_it_gives() {
    let document = openapi::document();
    let operations = operations(&document);
    let mut linked = BTreeSet::new();
    for (path, method, operation) in &operations {
        for response in operation["responses"].as_object().unwrap().values() {
            for (name, link) in response["links"].as_object().into_iter().flatten() {
                let target = operations.iter().find(|(.., target)| target["operationId"] == link["operationId"]);
                let (.., target) = target.unwrap_or_else(|| panic!("{method} {path}: {name}"));
                let parameters: Vec<_> = target["parameters"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
                for parameter in link["parameters"].as_object().into_iter().flat_map(|given| given.keys()) {
                    assert!(parameters.contains(&parameter.as_str()), "{method} {path}: {name} gives {parameter}");
                }
                linked.insert(target["operationId"].to_string());
            }
        }
    }
    // A search is where everything begins.
    assert_eq!(linked.len(), operations.len() - 1, "{linked:?}");
}

/// What breaks each rule of the document in each operation that has it: a request that is wrong in nothing else.
fn breaking() -> Vec<(&'static str, &'static str, Method, String, Option<Value>)> {
    let (list, assign) = ("phone-numbers-list", "phone-numbers-assign");
    let number = json!({"phone_number": "+13125550123"});
    // A cursor of the demo's agency, of a list without filters.
    let cursor = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(json!([demo::DEMO.id, {}, 0, ROW]).to_string());
    vec![
        ("a_number_is_named", assign, Method::DELETE, String::new(), None),
        ("assigned_or_unassigned", list, Method::GET, "assigned=true&unassigned=true".to_owned(), None),
        ("assigned_or_unassigned", assign, Method::GET, "assigned=true&unassigned=true".to_owned(), None),
        ("cursor_of_an_answer", list, Method::GET, "cursor=x".to_owned(), None),
        ("cursor_of_an_answer", assign, Method::GET, "cursor=x".to_owned(), None),
        ("cursor_or_offset", list, Method::GET, format!("cursor={cursor}&offset=0"), None),
        ("cursor_with_its_filters", list, Method::GET, format!("cursor={cursor}&status=active"), None),
        ("cursor_with_its_filters", assign, Method::GET, format!("cursor={cursor}&status=active"), None),
        (
            "each_id_once",
            "phone-numbers-release",
            Method::POST,
            String::new(),
            Some(json!({"phone_number_ids": [ROW, ROW], "confirm": true})),
        ),
        ("each_number_once", "phone-numbers-purchase", Method::POST, String::new(), Some(json!({"phone_numbers": [number, number]}))),
        ("history_of_one_number", assign, Method::GET, "include_history=true".to_owned(), None),
        ("no_filter_for_one_number", assign, Method::GET, format!("id={ROW}&status=active"), None),
        ("no_filter_for_one_number", assign, Method::GET, format!("id={ROW}&assigned=true"), None),
        ("no_filter_for_one_number", assign, Method::GET, format!("id={ROW}&unassigned=true"), None),
        ("no_page_for_one_number", assign, Method::GET, format!("id={ROW}&limit=1"), None),
        ("no_page_for_one_number", assign, Method::GET, format!("id={ROW}&cursor={cursor}"), None),
        ("one_number", assign, Method::GET, format!("id={ROW}&phone_number_id={}", demo::DEMO.id), None),
        ("one_number", assign, Method::DELETE, format!("id={ROW}&phone_number_id={}", demo::DEMO.id), None),
        (
            "one_number",
            assign,
            Method::PATCH,
            String::new(),
            Some(json!({"id": ROW, "phone_number_id": demo::DEMO.id, "status": "active"})),
        ),
        (
            "one_number",
            assign,
            Method::POST,
            String::new(),
            Some(json!({"id": ROW, "phone_number_id": demo::DEMO.id, "agent_mapping_id": ROW})),
        ),
        ("query_or_body", assign, Method::DELETE, format!("id={ROW}"), Some(json!({"id": ROW}))),
    ]
}

#[tokio::test]
async fn every_rule_of_the_document_refuses_its_field_in_its_words() {
    let app = TestApp::new().await;
    let functions = Functions::start(&app);
    let mut declared: BTreeSet<(String, String, String)> = BTreeSet::new();
    for (path, method, operation) in operations(&openapi::document()) {
        for rule in operation["x-rules"].as_array().into_iter().flatten() {
            declared.insert((
                format!("{method} {path}"),
                rule["field"].as_str().unwrap().to_owned(),
                rule["message"].as_str().unwrap().to_owned(),
            ));
        }
    }
    let mut broken = BTreeSet::new();
    for (rule, function, method, query, body) in breaking() {
        let call = Call { function, method: method.clone(), query, body };
        let reply = functions.call(&app.token("owner"), &call).await.expect_problem(400, "invalid_request");
        assert_eq!(reply.fields().len(), 1, "{rule}: {:#}", reply.body);
        let (field, message) = (reply.fields()[0], reply.body["errors"][0]["message"].as_str().unwrap());
        let field = if rule == "query_or_body" { "*".to_owned() } else { field.replace("[1]", "[]") };
        let found = (format!("{method} /{function}"), field, message.to_owned());
        assert!(declared.contains(&found), "{rule}: {found:?}");
        broken.insert(found);
    }
    assert_eq!(broken, declared);
}

/// Whether a parser accepts a value, and what the document says.
fn agreement<T: Parameter>(query: bool, value: &Value) -> (bool, bool) {
    let is_valid = jsonschema::options().should_validate_formats(true).build(&T::schema()).unwrap().is_valid(value);
    let mut input = if query {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Input::query(&[("field".to_owned(), text)])
    } else {
        Input::body(json!({"field": value}).to_string().as_bytes()).unwrap()
    };
    let read = input.optional::<T>("field");
    (input.finish(read.map(drop)).is_ok(), is_valid)
}

/// Values that a schema accepts, values that come close, and any.
fn values(schema: &Value) -> BoxedStrategy<Value> {
    let odd = "[ \\t\\r\\n\\u{0}\\u{85}\\u{a0}\\u{200b}\\u{202e}\\u{2066}\\u{2028}\\u{2800}\\u{3164}\\u{feff}\\u{e0041}a1+.,(-]{0,12}";
    let near = "[-+0-9A-Za-z.,\" ]{0,12}|[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}|\\{[0-9a-f-]{36}\\}|urn:uuid:[0-9a-f-]{36}";
    let text = prop_oneof![any::<String>(), odd.prop_map(String::from), near.prop_map(String::from)];
    let scalar = prop_oneof![
        text.prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-5..250_i64).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from)
    ];
    let any_value = prop_oneof![4 => scalar.clone(), 1 => proptest::collection::vec(scalar, 0..4).prop_map(Value::from)];
    let words: Vec<Value> = schema["enum"].as_array().cloned().unwrap_or_default();
    let valid = match schema["pattern"].as_str() {
        // The first is larger than what proptest generates from.
        Some(pattern) if pattern.len() < 1_000 => {
            string_regex(pattern.trim_start_matches('^').trim_end_matches('$')).unwrap().prop_map(Value::from).boxed()
        }
        _ if !words.is_empty() => proptest::sample::select(words).boxed(),
        _ => any_value.clone().boxed(),
    };
    prop_oneof![valid, any_value].boxed()
}

/// Checks that the parser of a type accepts exactly what its schema allows, in a body and, if it is a string, in a query.
fn agrees<T: Parameter>() {
    let mut runner =
        proptest::test_runner::TestRunner::new(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() });
    let checked = runner.run(&values(&T::schema()), |value| {
        let (accepted, valid) = agreement::<T>(false, &value);
        prop_assert_eq!(accepted, valid, "in a body: {} of {}", value, T::schema());
        if value.is_string() && T::schema()["type"] == "string" {
            let (accepted, valid) = agreement::<T>(true, &value);
            prop_assert_eq!(accepted, valid, "in a query: {} of {}", value, T::schema());
        }
        Ok(())
    });
    checked.unwrap();
}

#[test]
fn every_parser_accepts_exactly_what_the_document_allows() {
    agrees::<Text<1>>();
    agrees::<Text<12>>();
    agrees::<Text<255>>();
    agrees::<Digits<4>>();
    agrees::<Flag>();
    agrees::<Integer<1, 200>>();
    agrees::<Id>();
    agrees::<Ids<1, 2>>();
    agrees::<Words<Feature>>();
    agrees::<E164>();
    agrees::<Money>();
    agrees::<Currency>();
    agrees::<CountryCode>();
    agrees::<Direction>();
    agrees::<NumberType>();
    agrees::<Status>();
}

#[test]
fn a_number_or_a_flag_in_a_query_is_written_as_in_json() {
    for number in 0..=201 {
        let (accepted, valid) = agreement::<Integer<1, 200>>(true, &json!(number));
        assert_eq!(accepted, valid, "{number}");
    }
    for text in ["01", "+1", " 1", "1 ", "1.0", "1e0", "", "True", "0x1", "٣"] {
        assert!(!agreement::<Integer<1, 200>>(true, &json!(text)).0 && !agreement::<Flag>(true, &json!(text)).0, "{text}");
    }
}
