//! JSON as a tree, together with the names of members that were given more than once.
//!
//! `serde_json` keeps the last of several members with one name. Another reader may keep the first, so that two programs see two
//! requests in one body; and `"validate_only": true, "validate_only": false` would buy.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::{Map, Number, Value};

/// How deep objects and lists may be nested. The deepest request is an object with a list of objects.
const DEEPEST: usize = 16;

/// Three bytes that some editors and Windows programs write before a text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A document that was read.
#[derive(Debug, PartialEq)]
pub(super) struct Document {
    /// Of several members with one name, the last.
    pub(super) root: Value,
    /// The full name of every further member with a name that its object already has.
    pub(super) repeated: Vec<String>,
}

/// Reads a document. An error is the end of a sentence that begins with "body".
pub(super) fn read(bytes: &[u8]) -> Result<Document, String> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let mut repeated = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let root = Node { path: String::new(), depth: 0, repeated: &mut repeated };
    let root = root.deserialize(&mut deserializer).and_then(|root| deserializer.end().map(|()| root));
    match root {
        Ok(root) => Ok(Document { root, repeated }),
        Err(error) if error.classify() == Category::Data => Err(format!("is nested more than {DEEPEST} levels deep")),
        Err(error) => Err(format!("is not JSON: line {}, column {}", error.line(), error.column())),
    }
}

/// What reads one value of the tree.
struct Node<'document> {
    /// The full name of the value; empty for the document itself.
    path: String,
    depth: usize,
    repeated: &'document mut Vec<String>,
}

impl Node<'_> {
    /// What reads a value within this one.
    fn within<E: serde::de::Error>(&mut self, path: String) -> Result<Node<'_>, E> {
        if self.depth == DEEPEST {
            return Err(E::custom("nested too deep"));
        }
        Ok(Node { path, depth: self.depth + 1, repeated: self.repeated })
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let path = format!("{}[{}]", self.path, list.len());
            match items.next_element_seed(self.within(path)?)? {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let path = if self.path.is_empty() { name.clone() } else { format!("{}.{name}", self.path) };
            if object.contains_key(&name) {
                self.repeated.push(path.clone());
            }
            object.insert(name, members.next_value_seed(self.within(path)?)?);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_member_given_twice_is_named_at_every_depth() {
        let text = br#"{"a": 1, "b": [{"c": 1, "c": 2}, {"d": {"e": 1, "f": 2, "e": 3}}], "a": 2, "a": 3}"#;
        let document = read(text).unwrap();
        assert_eq!(document.repeated, ["b[0].c", "b[1].d.e", "a", "a"]);
        assert_eq!(document.root, json!({"a": 3, "b": [{"c": 2}, {"d": {"e": 3, "f": 2}}]}));
        // Two spellings of one name.
        assert_eq!(read(br#"{"confirm": false, "c\u006fnfirm": true}"#).unwrap().repeated, ["confirm"]);
        assert_eq!(read(br#"{"a": {"x": 1}, "b": {"x": 1}}"#).unwrap().repeated, [""; 0]);
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        assert_eq!(read(b"\xef\xbb\xbf{\"a\": 1}").unwrap().root, json!({"a": 1}));
        assert!(read(b"\xef\xbb\xbf\xef\xbb\xbf{}").is_err() && read(b"{}\xef\xbb\xbf").is_err() && read(b"\xef\xbb\xbf").is_err());
    }

    #[test]
    fn what_is_nested_too_deep_is_refused() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(nested(DEEPEST).as_bytes()).is_ok());
        for depth in [DEEPEST + 1, 100, 5_000] {
            assert_eq!(read(nested(depth).as_bytes()), Err("is nested more than 16 levels deep".to_owned()), "{depth}");
        }
    }

    #[test]
    fn the_place_of_a_mistake_is_told() {
        assert_eq!(read(b"{\"a\": 1,\n }"), Err("is not JSON: line 2, column 2".to_owned()));
        assert!(read(b"{\"a\": 1e999}").is_err() && read(b"{} {}").is_err() && read(b"").is_err());
    }

    fn trees() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                proptest::collection::btree_map(any::<String>(), inner, 0..8)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_document_without_repeated_members_is_read_as_serde_json_reads_it(tree in trees()) {
            let text = tree.to_string();
            let root = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(read(text.as_bytes()), Ok(Document { root, repeated: Vec::new() }));
        }

        #[test]
        fn any_bytes_are_a_document_or_are_refused_as_serde_json_refuses_them(bytes in any::<Vec<u8>>()) {
            prop_assert_eq!(read(&bytes).map(|document| document.root).ok(), serde_json::from_slice(&bytes).ok());
        }
    }
}
