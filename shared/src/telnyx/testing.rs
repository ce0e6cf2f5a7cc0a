//! For the tests of this module: items of a listing, and odd documents.

use proptest::collection::{hash_map, vec};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::json::{Json, Object, Unread};
use super::listing::{Compared, page};

/// Reads the document `json`.
pub(super) fn parsed<T>(json: &Value, read: impl FnOnce(&Object<'_>) -> T) -> T {
    let (text, unread) = (json.to_string(), Unread::default());
    read(&Object::parse(&text, &unread).unwrap())
}

/// Compares the only item of a listing.
pub(super) fn verdict<T>(item: &Value, compare: impl Fn(Json<'_>) -> Compared<T>) -> &'static str {
    parsed(&json!({ "data": [item] }), |document| match page(document, 1, |item| Some(compare(item))).unwrap().items.remove(0) {
        Compared::Match(_) => "match",
        Compared::Other => "other",
        Compared::Unclear => "unclear",
    })
}

/// The item with one member changed.
pub(super) fn with(item: &Value, name: &str, value: Value) -> Value {
    let mut item = item.clone();
    item[name] = value;
    item
}

/// Any JSON, a few levels deep. Texts are often ids, numbers, amounts and times.
pub(super) fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![any::<String>(), "[+]?[0-9]{1,20}", "-?[0-9]{1,30}[.][0-9]{0,30}", "[a-z_-]{0,12}", Just("..".to_owned())];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let member = prop_oneof![Just("id"), Just("name"), Just("phone_number"), Just("code")].prop_map(str::to_owned);
        prop_oneof![vec(inner.clone(), 0..4).prop_map(Value::from), hash_map(member, inner, 0..4).prop_map(Value::from_iter)]
    })
}

/// The item with some of its members replaced by any JSON, or removed.
pub(super) fn with_odd_members(item: Value) -> impl Strategy<Value = Value> {
    let names: Vec<String> = item.as_object().unwrap().keys().cloned().collect();
    let change = (proptest::sample::select(names), proptest::option::of(any_json()));
    vec(change, 0..4).prop_map(move |changes| {
        let mut item = item.clone();
        for (name, value) in changes {
            match value {
                Some(value) => item[name] = value,
                None => drop(item.as_object_mut().unwrap().remove(&name)),
            }
        }
        item
    })
}
