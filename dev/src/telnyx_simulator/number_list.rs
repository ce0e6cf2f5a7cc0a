//! `GET /phone_numbers` and `/phone_numbers/slim`.

use serde_json::{Value, json};

use super::{errors::Problem, number::OwnedNumber, pagination::Page, query::Query, state::SimulatorState};

/// Members that the slim list leaves out.
const NOT_IN_SLIM: [&str; 7] = [
    "tags",
    "connection_name",
    "messaging_profile_id",
    "messaging_profile_name",
    "deletion_lock_enabled",
    "source_type",
    "number_block_id",
];

pub(super) fn list(state: &mut SimulatorState, account: &str, query: &Query) -> Result<Value, Problem> {
    listed(state, account, query, OwnedNumber::detailed)
}

pub(super) fn list_slim(state: &mut SimulatorState, account: &str, query: &Query) -> Result<Value, Problem> {
    let with_connection = query.one(&["include_connection"]) == Some("true");
    let with_tags = query.one(&["include_tags"]) == Some("true");
    listed(state, account, query, |number| {
        let mut shown = number.detailed();
        shown["record_type"] = json!("phone_number_slim");
        if let Some(members) = shown.as_object_mut() {
            members.retain(|name, _| match name.as_str() {
                "connection_name" => with_connection,
                "tags" => with_tags,
                name => !NOT_IN_SLIM.contains(&name),
            });
        }
        shown
    })
}

fn listed(state: &mut SimulatorState, account: &str, query: &Query, show: impl Fn(&OwnedNumber) -> Value) -> Result<Value, Problem> {
    let page = Page::from(query, &state.settings)?.at_most(state.settings.largest_page);
    let mut found: Vec<_> =
        state.numbers.iter().filter(|number| number.account == account && state.is_listed(number) && matches(number, query)).collect();
    found.sort_by(|one, other| other.created_at.cmp(&one.created_at).then_with(|| other.id.cmp(&one.id)));
    if let Some(sort) = query.one(&["sort"]) {
        let descending = sort.starts_with('-');
        found.sort_by_key(|number| sort_key(number, sort.trim_start_matches('-')));
        if descending {
            found.reverse();
        }
    }
    let seen: Vec<_> = found.iter().map(|number| number.id.clone()).collect();
    let answer = page.answer(&found, |number| show(number));
    state.note_read(&seen);
    Ok(answer)
}

fn sort_key(number: &OwnedNumber, sort: &str) -> String {
    match sort {
        "purchased_at" => number.purchased_at.to_rfc3339(),
        "phone_number" => number.offer.phone_number.clone(),
        "connection_name" => number.connection_name().unwrap_or_default(),
        "usage_payment_method" => number.voice["usage_payment_method"].to_string(),
        _ => String::new(),
    }
}

fn matches(number: &OwnedNumber, query: &Query) -> bool {
    let countries = query.all(&["filter", "country_iso_alpha2"]);
    digits_match(number, query)
        && query.filter("status").is_none_or(|status| status.replace('_', "-") == number.status.name())
        && query.filter("tag").is_none_or(|tag| number.tags.iter().any(|own| own == tag))
        && (query.filter("without_tags") != Some("true") || number.tags.is_empty())
        && is(query.filter("customer_reference"), number.customer_reference.as_deref())
        && is(query.filter("connection_id"), number.connection_id.as_deref())
        && is_or_null(query.filter("billing_group_id"), number.billing_group_id.as_deref())
        && is_or_null(query.filter("emergency_address_id"), None)
        && (countries.is_empty() || countries.contains(&number.offer.range.country))
        && is(query.one(&["filter", "number_type", "eq"]), Some(number.offer.range.phone_number_type))
        && query.filter("source").is_none_or(|source| source == "purchased")
        && query.filter("voice.usage_payment_method").is_none_or(|method| number.voice["usage_payment_method"] == method)
        && connection_name_matches(number, query)
}

/// The filter is a part of the number, with or without a plus sign, which may have arrived as a space. Fewer than three digits
/// match nothing.
fn digits_match(number: &OwnedNumber, query: &Query) -> bool {
    let Some(wanted) = query.filter("phone_number") else {
        return true;
    };
    let digits = wanted.strip_prefix(['+', ' ']).unwrap_or(wanted);
    digits.len() >= 3 && number.offer.phone_number.contains(digits)
}

fn connection_name_matches(number: &OwnedNumber, query: &Query) -> bool {
    let name = number.connection_name().unwrap_or_default();
    let wanted = |how| query.one(&["filter", "voice.connection_name", how]);
    wanted("eq").is_none_or(|text| name == text)
        && wanted("contains").is_none_or(|text| name.contains(text))
        && wanted("starts_with").is_none_or(|text| name.starts_with(text))
        && wanted("ends_with").is_none_or(|text| name.ends_with(text))
}

fn is(wanted: Option<&str>, actual: Option<&str>) -> bool {
    wanted.is_none() || wanted == actual
}

/// The string `null` matches an absent value.
fn is_or_null(wanted: Option<&str>, actual: Option<&str>) -> bool {
    match wanted {
        Some("null") => actual.is_none(),
        wanted => is(wanted, actual),
    }
}
