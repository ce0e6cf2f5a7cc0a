//! A lenient reader of Telnyx's JSON.
//!
//! A value is parsed when it is used. So a value of the wrong kind, or one that no type can hold, such as `1e999`, makes only
//! its own member unreadable, and not the object or the list around it.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::ids::{is_clean, usable_id};
use crate::model::{E164, Money};

/// The names of the members of one document that could not be read, with counts. Their values are never logged.
#[derive(Default)]
pub(super) struct Unread(RefCell<BTreeMap<&'static str, usize>>);

impl Unread {
    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    fn note(&self, name: &'static str) {
        *self.0.borrow_mut().entry(name).or_default() += 1;
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members = self.0.borrow();
        let members: Vec<_> = members.iter().map(|(name, times)| format!("{name} ({times})")).collect();
        formatter.write_str(&members.join(", "))
    }
}

/// A member of an object.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Member<T> {
    /// Missing, null or `""`: Telnyx uses each of them for a value that is not set.
    Unset,
    /// A value of the expected kind.
    Known(T),
    /// A value of another kind.
    Unreadable,
}

impl<T> Member<T> {
    /// The value, if it could be read.
    pub(super) fn known(self) -> Option<T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unset | Self::Unreadable => None,
        }
    }
}

impl<T> Member<List<T>> {
    /// The items that could be read; none if the member is not a list.
    pub(super) fn readable(self) -> Vec<T> {
        self.known().map(|list| list.items).unwrap_or_default()
    }
}

/// A list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct List<T> {
    /// The items that could be read.
    pub(super) items: Vec<T>,
    /// How many items were skipped because they could not be read.
    pub(super) unreadable: usize,
}

/// An object whose members have not been parsed.
pub(super) struct Object<'a> {
    members: HashMap<String, &'a RawValue>,
    unread: &'a Unread,
}

impl<'a> Object<'a> {
    /// Returns `None` if the text is not JSON, or not an object.
    pub(super) fn parse(text: &'a str, unread: &'a Unread) -> Option<Self> {
        let members = serde_json::from_str(text).ok()?;
        Some(Self { members, unread })
    }

    /// Reads a member. A member that cannot be read is noted in [`Unread`].
    pub(super) fn get<T>(&self, name: &'static str, read: impl FnOnce(Json<'a>) -> Option<T>) -> Option<T> {
        self.member(name, read).known()
    }

    /// Reads a member, for callers to whom it matters why there is no value.
    pub(super) fn member<T>(&self, name: &'static str, read: impl FnOnce(Json<'a>) -> Option<T>) -> Member<T> {
        let Some(raw) = self.members.get(name).filter(|raw| !matches!(raw.get(), "null" | "\"\"")) else { return Member::Unset };
        if let Some(value) = read(Json { raw, unread: self.unread }) {
            return Member::Known(value);
        }
        self.unread.note(name);
        Member::Unreadable
    }

    /// Reads a list item by item, until `longest` items could be read or the list ends.
    pub(super) fn list<T>(&self, name: &'static str, longest: usize, read: impl Fn(Json<'a>) -> Option<T>) -> Member<List<T>> {
        let items = self.member(name, Json::parse::<Vec<&'a RawValue>>);
        let Member::Known(raw_items) = items else {
            return if matches!(items, Member::Unset) { Member::Unset } else { Member::Unreadable };
        };
        let mut list = List { items: Vec::new(), unreadable: 0 };
        for raw in raw_items {
            if list.items.len() == longest {
                break;
            }
            match read(Json { raw, unread: self.unread }) {
                Some(item) => list.items.push(item),
                None => list.unreadable += 1,
            }
        }
        if list.unreadable > 0 {
            self.unread.note(name);
        }
        Member::Known(list)
    }
}

/// A value that has not been parsed.
#[derive(Clone, Copy)]
pub(super) struct Json<'a> {
    raw: &'a RawValue,
    unread: &'a Unread,
}

impl<'a> Json<'a> {
    fn parse<T: Deserialize<'a>>(self) -> Option<T> {
        serde_json::from_str(self.raw.get()).ok()
    }

    /// An object.
    pub(super) fn object(self) -> Option<Object<'a>> {
        Object::parse(self.raw.get(), self.unread)
    }

    /// Text of at most `longest` characters without control characters.
    pub(super) fn text(self, longest: usize) -> Option<String> {
        self.parse::<String>().filter(|text| is_clean(text, longest))
    }

    /// An id: text, or an integer of any length, whose digits are kept.
    pub(super) fn id(self) -> Option<String> {
        let raw = self.raw.get();
        let id = if raw.bytes().all(|byte| byte.is_ascii_digit()) { raw.to_owned() } else { self.parse()? };
        usable_id(&id).map(str::to_owned)
    }

    /// A number in E.164.
    pub(super) fn number(self) -> Option<E164> {
        self.text(usize::MAX)?.parse().ok()
    }

    /// A boolean, or text that spells one.
    pub(super) fn flag(self) -> Option<bool> {
        let word = self.scalar()?;
        if word.eq_ignore_ascii_case("true") {
            Some(true)
        } else if word.eq_ignore_ascii_case("false") {
            Some(false)
        } else {
            None
        }
    }

    /// A count, as a number or as text. Larger counts than `u32::MAX` become that.
    pub(super) fn count(self) -> Option<u32> {
        self.amount().filter(Decimal::is_integer)?.min(Decimal::from(u32::MAX)).to_u32()
    }

    /// An amount of money, as a number or as text.
    pub(super) fn money(self) -> Option<Money> {
        self.amount().map(Money)
    }

    /// A decimal that is not negative. Larger amounts than a `Decimal` can hold become `Decimal::MAX`: a price limit must reject
    /// an absurd price, not treat it as unknown.
    fn amount(self) -> Option<Decimal> {
        let text = self.scalar()?;
        let exact = text.parse::<Decimal>().or_else(|_| Decimal::from_scientific(&text)).ok();
        let beyond = || text.parse::<f64>().is_ok_and(|amount| amount >= 1e28).then_some(Decimal::MAX);
        exact.or_else(beyond).filter(|amount| *amount >= Decimal::ZERO).map(|amount| amount.abs())
    }

    /// A time in RFC 3339.
    pub(super) fn time(self) -> Option<DateTime<Utc>> {
        DateTime::parse_from_rfc3339(&self.scalar()?).ok().map(|time| time.to_utc())
    }

    /// An ISO 3166-1 alpha-2 code, in upper case.
    pub(super) fn country(self) -> Option<String> {
        self.letters(2)
    }

    /// An ISO 4217 code, in upper case.
    pub(super) fn currency(self) -> Option<String> {
        self.letters(3)
    }

    fn letters(self, count: usize) -> Option<String> {
        let code = self.text(usize::MAX)?.trim().to_ascii_uppercase();
        (code.len() == count && code.bytes().all(|byte| byte.is_ascii_uppercase())).then_some(code)
    }

    /// Trimmed text, or the characters of a number or a boolean.
    fn scalar(self) -> Option<String> {
        let raw = self.raw.get();
        match raw.as_bytes().first()? {
            b'"' => self.text(usize::MAX).map(|text| text.trim().to_owned()),
            b'{' | b'[' => None,
            _ => Some(raw.to_owned()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::any_json;
    use super::*;

    /// Reads the value `json` through a reader.
    fn read<'a, T>(json: &'a str, reader: impl FnOnce(Json<'a>) -> Option<T>) -> Option<T> {
        let unread = Box::leak(Box::default());
        reader(Json { raw: serde_json::from_str(json).unwrap(), unread })
    }

    fn money(json: &str) -> Option<String> {
        read(json, Json::money).map(|money| money.to_string())
    }

    #[test]
    fn an_amount_is_a_decimal_however_it_is_written() {
        let cases = [
            (r#""1.00000""#, "1.00"),
            ("1.5", "1.50"),
            ("1", "1.00"),
            (r#"" 2.50 ""#, "2.50"),
            (r#""1e3""#, "1000.00"),
            ("1.1e1", "11.00"),
            ("0.1", "0.10"),
            (r#""0""#, "0.00"),
            (r#""-0.00""#, "0.00"),
        ];
        for (json, amount) in cases {
            assert_eq!(money(json).as_deref(), Some(amount), "{json}");
        }
    }

    #[test]
    fn what_is_no_amount_is_unknown_and_not_zero() {
        let odd = ["true", "[]", "{}", r#""a dollar""#, r#""-1""#, "-0.01", r#""1,50""#, r#""NaN""#, r#""1\u0000""#, r#""""#];
        for json in odd {
            assert_eq!(money(json), None, "{json}");
        }
    }

    #[test]
    fn an_amount_beyond_every_range_is_large_and_not_unknown() {
        for json in ["1e30", "1e400", r#""1e400""#, r#""Infinity""#, &"9".repeat(999), &format!("\"{}\"", "9".repeat(999))] {
            assert_eq!(read(json, Json::money), Some(Money(Decimal::MAX)), "{json}");
        }
    }

    #[test]
    fn counts_flags_and_codes_are_read_from_text_too() {
        let counts = [("7", 7), ("7.0", 7), (r#""7""#, 7), (r#""7.0""#, 7), ("1e3", 1_000), ("1e300", u32::MAX), ("99999999999", u32::MAX)];
        for (json, count) in counts {
            assert_eq!(read(json, Json::count), Some(count), "{json}");
        }
        for json in ["-1", "7.9", r#""many""#, "{}", "true"] {
            assert_eq!(read(json, Json::count), None, "{json}");
        }
        for (json, flag) in [("true", Some(true)), (r#""False""#, Some(false)), ("1", None), (r#""yes""#, None), ("[true]", None)] {
            assert_eq!(read(json, Json::flag), flag, "{json}");
        }
        for (json, code) in [(r#""USD""#, Some("USD")), (r#"" eur""#, Some("EUR")), (r#""US""#, None), (r#""€€€""#, None), ("840", None)]
        {
            assert_eq!(read(json, Json::currency).as_deref(), code, "{json}");
        }
        assert_eq!(read(r#""us""#, Json::country).as_deref(), Some("US"));
    }

    #[test]
    fn text_that_a_column_cannot_hold_is_unknown() {
        for json in [r#""a\u0000b""#, r#""a\nb""#, r#""abcdef""#, r#""\ud800""#, "1", "{}"] {
            assert_eq!(read(json, |json| json.text(5)), None, "{json}");
        }
        assert_eq!(read(r#""éèçàù""#, |json| json.text(5)).as_deref(), Some("éèçàù"));
    }

    #[test]
    fn an_id_may_be_an_integer_of_any_length() {
        assert_eq!(read("2919154318467303471999", Json::id).as_deref(), Some("2919154318467303471999"));
        assert_eq!(read(r#""a1""#, Json::id).as_deref(), Some("a1"));
        for json in ["1.5", "-1", "1e3", "true", r#""..""#, r#""\u0000""#, "{}"] {
            assert_eq!(read(json, Json::id), None, "{json}");
        }
    }

    #[test]
    fn a_time_has_a_zone() {
        for json in [r#""2026-01-01T01:00:00+01:00""#, r#""2026-01-01T00:00:00.000Z""#] {
            assert_eq!(read(json, Json::time).map(|time| time.timestamp()), Some(1_767_225_600), "{json}");
        }
        for json in [r#""2026-01-01T00:00:00""#, r#""2026-01-01""#, "1767225600", r#""soon""#] {
            assert_eq!(read(json, Json::time), None, "{json}");
        }
    }

    #[test]
    fn a_member_that_cannot_be_parsed_spoils_only_itself() {
        let deep = "[".repeat(10_000) + &"]".repeat(10_000);
        let text =
            format!(r#"{{"huge": 1e999, "half": "\ud800", "deep": {deep}, "good": "yes", "list": [1e999, "a", null, {deep}, "b", "c"]}}"#);
        let unread = Unread::default();
        let object = Object::parse(&text, &unread).unwrap();
        assert_eq!(object.get("good", |json| json.text(5)).as_deref(), Some("yes"));
        for name in ["huge", "half", "deep"] {
            assert_eq!(object.member(name, |json| json.text(5)), Member::Unreadable, "{name}");
        }
        let list = object.list("list", 2, |json| json.text(5));
        assert_eq!(list, Member::Known(List { items: vec!["a".to_owned(), "b".to_owned()], unreadable: 3 }));
        assert_eq!(unread.to_string(), "deep (1), half (1), huge (1), list (1)");
    }

    #[test]
    fn what_is_missing_null_or_empty_is_not_set() {
        let unread = Unread::default();
        let object = Object::parse(r#"{"null": null, "empty": ""}"#, &unread).unwrap();
        for name in ["null", "empty", "missing"] {
            assert_eq!(object.member(name, Json::flag), Member::Unset, "{name}");
            assert_eq!(object.list(name, 9, Json::flag), Member::Unset, "{name}");
        }
        assert!(unread.is_empty());
        for text in ["", "[]", "null", "{", "1", r#"{"a": 1} x"#] {
            assert!(Object::parse(text, &unread).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_amount_that_a_decimal_can_hold_is_read_exactly(units in 0_i64..i64::MAX, scale in 0_u32..10) {
            let amount = Decimal::new(units, scale);
            let (text, number) = (format!("\" {amount} \""), amount.to_string());
            prop_assert_eq!(read(&text, Json::money), Some(Money(amount)));
            prop_assert_eq!(read(&number, Json::money), Some(Money(amount)));
            prop_assert_eq!(read(&format!("-{number}"), Json::money).is_some(), units == 0);
        }

        #[test]
        fn what_is_read_from_any_value_keeps_to_its_rule(value in any_json(), longest in 0_usize..9) {
            let json = value.to_string();
            if let Some(text) = read(&json, |json| json.text(longest)) {
                prop_assert!(text.chars().count() <= longest && !text.contains(char::is_control));
            }
            if let Some(id) = read(&json, Json::id) {
                prop_assert_eq!(usable_id(&id), Some(id.as_str()));
                prop_assert!(value.is_string() || json == id);
            }
            if let Some(number) = read(&json, Json::number) {
                prop_assert_eq!(value.as_str(), Some(number.as_str()));
            }
            if let Some(Money(amount)) = read(&json, Json::money) {
                prop_assert!(amount >= Decimal::ZERO && (value.is_number() || value.is_string()));
            }
        }
    }
}
