//! What Telnyx's documents say, read item by item.
//!
//! Only the members that matter are required: the number of an offer, the id of an order, the id and the number of an item
//! of the inventory. Each other member is `None` if it is not set or cannot be read.

use chrono::{DateTime, Utc};

use super::ids::is_plain;
use super::json::{Json, List, Member, Object};
use super::{Available, Offers, Order, OrderStatus, Owned, Region};
use crate::model::E164;

/// As many characters as the columns for a number's type hold.
const LONGEST_TYPE: usize = 50;
/// Longer than any status, feature or kind of region.
const LONGEST_WORD: usize = 50;
/// Longer than any place name.
const LONGEST_NAME: usize = 100;
/// Longer than any reference of ours.
const LONGEST_REFERENCE: usize = 255;
/// More features or regions than a number has.
const LONGEST_LIST: usize = 50;
/// Telnyx's codes have five digits.
const LONGEST_CODE: usize = 10;
/// More pages than any account has: 25 million items. A larger count is none.
const MOST_PAGES: u32 = 100_000;
/// More errors than one answer explains.
const MOST_CODES: usize = 20;

/// One page of a listing, without the items that could not be read.
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    /// Whether no page follows. Without a readable count of pages, only an empty page is the last one.
    pub(super) is_last: bool,
    /// Whether there is no item at all, not even one that cannot be read.
    pub(super) is_empty: bool,
    /// How many pages there are, where Telnyx tells.
    pub(super) total_pages: Option<u32>,
}

/// An item of a listing, compared with what is looked for.
pub(super) enum Compared<T> {
    /// It is that.
    Match(T),
    /// It is known to be something else.
    Other,
    /// It may be that, but what tells cannot be read.
    Unclear,
}

/// The page `number` of a listing, from 1. Returns `None` if there is no list, or if the first page is empty although the
/// listing counts items: that proves no absence.
pub(super) fn page<'a, T>(answer: &Object<'a>, number: u32, read: impl Fn(Json<'a>) -> Option<T>) -> Option<Page<T>> {
    let List { items, unreadable } = answer.list("data", usize::MAX, read).known()?;
    let meta = answer.get("meta", Json::object);
    let count = |name| meta.as_ref().and_then(|meta| meta.get(name, Json::count));
    let is_empty = items.is_empty() && unreadable == 0;
    if is_empty && number == 1 && count("total_results").is_some_and(|total| total > 0) {
        return None;
    }
    let total_pages = count("total_pages").filter(|pages| (1..=MOST_PAGES).contains(pages));
    let is_last = is_empty || total_pages.is_some_and(|pages| number >= pages);
    Some(Page { items, is_last, is_empty, total_pages })
}

/// The offers of a search, at most `limit`. How many there are is in `meta`, in `metadata`, or in both.
pub(super) fn offers(answer: &Object<'_>, limit: usize) -> Option<Offers> {
    let List { items: numbers, unreadable } = answer.list("data", limit, |item| offer(&item.object()?)).known()?;
    let meta = ["meta", "metadata"].map(|name| answer.get(name, Json::object));
    let count = |name| meta.iter().flatten().find_map(|meta| meta.get(name, Json::count)).map(i64::from);
    let (total_results, best_effort_results) = (count("total_results"), count("best_effort_results"));
    Some(Offers { numbers, unreadable, total_results, best_effort_results })
}

fn offer(offer: &Object<'_>) -> Option<Available> {
    let number = offer.get("phone_number", Json::number)?;
    let cost = offer.get("cost_information", Json::object);
    let amount = |name| cost.as_ref().and_then(|cost| cost.get(name, Json::money));
    Some(Available {
        number,
        features: items(offer.list("features", LONGEST_LIST, feature)),
        regions: items(offer.list("region_information", LONGEST_LIST, region)),
        monthly_cost: amount("monthly_cost"),
        upfront_cost: amount("upfront_cost"),
        currency: cost.as_ref().and_then(|cost| cost.get("currency", Json::currency)),
        best_effort: offer.get("best_effort", Json::flag).unwrap_or_default(),
        quickship: offer.get("quickship", Json::flag),
        reservable: offer.get("reservable", Json::flag),
    })
}

/// A feature: an object with its name, or the name itself.
fn feature(item: Json<'_>) -> Option<String> {
    let name = |json: Json<'_>| json.text(LONGEST_WORD).filter(|name| !name.is_empty());
    name(item).or_else(|| item.object()?.get("name", name))
}

fn region(item: Json<'_>) -> Option<Region> {
    let item = item.object()?;
    let region = Region {
        region_type: item.get("region_type", |json| json.text(LONGEST_WORD)),
        region_name: item.get("region_name", |json| json.text(LONGEST_NAME)),
    };
    (region.region_type.is_some() || region.region_name.is_some()).then_some(region)
}

/// The items of a list that may be missing.
fn items<T>(list: Member<List<T>>) -> Vec<T> {
    list.known().map(|list| list.items).unwrap_or_default()
}

/// The order in an answer about one.
pub(super) fn one_order(answer: &Object<'_>) -> Option<Order> {
    order(&answer.get("data", Json::object)?)
}

/// An order, which names one number as we place it. A status that is unknown or cannot be read is not decided.
pub(super) fn order(order: &Object<'_>) -> Option<Order> {
    let id = order.get("id", Json::id)?;
    let status = order.get("status", |json| json.text(LONGEST_WORD));
    let item = items(order.list("phone_numbers", 1, Json::object)).pop();
    let sub_orders = order.list("sub_number_orders_ids", usize::MAX, Json::id).known();
    Some(Order {
        id,
        status: match status.as_deref() {
            Some("success") => OrderStatus::Success,
            Some("failure" | "cancelled" | "deleted") => OrderStatus::Failure,
            _ => OrderStatus::Pending,
        },
        requirements_met: order.get("requirements_met", Json::flag),
        number_type: item.as_ref().and_then(|item| item.get("phone_number_type", number_type)),
        item_id: item.as_ref().and_then(|item| item.get("id", Json::id)),
        // A list with gaps is no list of an order's parts: they are asked for.
        sub_order_ids: sub_orders.filter(|list| list.unreadable == 0).map(|list| list.items).unwrap_or_default(),
        numbers: numbers(order).filter(|list| list.unreadable == 0).map(|list| list.items),
    })
}

/// Compares an order with the one that has a reference of ours for a number. The filter that found it is Telnyx's, the
/// decision is ours. Each purchase has a reference of its own, so that the numbers need not be readable; without a readable
/// reference only the numbers can tell that it is another order.
pub(super) fn order_of(item: Json<'_>, reference: &str, number: &E164) -> Compared<Order> {
    let Some(object) = item.object() else { return Compared::Unclear };
    let known = object.get("customer_reference", |json| json.text(usize::MAX));
    if known.as_ref().is_some_and(|known| known != reference) || names(&object, number) == Some(false) {
        return Compared::Other;
    }
    match (known, order(&object)) {
        (Some(_), Some(order)) => Compared::Match(order),
        _ => Compared::Unclear,
    }
}

/// Compares an order with one that names a number.
pub(super) fn order_naming(item: Json<'_>, number: &E164) -> Compared<Order> {
    let Some(object) = item.object() else { return Compared::Unclear };
    match names(&object, number) {
        Some(true) => order(&object).map_or(Compared::Unclear, Compared::Match),
        Some(false) => Compared::Other,
        None => Compared::Unclear,
    }
}

/// Whether an order names a number. Returns `None` if that cannot be read.
fn names(order: &Object<'_>, number: &E164) -> Option<bool> {
    let listed = numbers(order)?;
    if listed.items.contains(number) {
        return Some(true);
    }
    (listed.unreadable == 0).then_some(false)
}

/// The numbers that an order names.
fn numbers(order: &Object<'_>) -> Option<List<E164>> {
    order.list("phone_numbers", usize::MAX, |item| item.object()?.get("phone_number", Json::number)).known()
}

/// Until when Telnyx waits for the documents of a number in an order.
pub(super) fn deadline(answer: &Object<'_>) -> Option<DateTime<Utc>> {
    answer.get("data", Json::object)?.get("deadline", Json::time)
}

/// Compares a sub-order with the parts of an order: its id if it is one.
pub(super) fn sub_order_of(item: Json<'_>, order_id: &str) -> Compared<String> {
    let Some(object) = item.object() else { return Compared::Unclear };
    match object.get("order_request_id", Json::id) {
        Some(known) if known == order_id => object.get("id", Json::id).map_or(Compared::Unclear, Compared::Match),
        Some(_) => Compared::Other,
        None => Compared::Unclear,
    }
}

/// An item of the inventory by what it is now.
pub(super) enum Item {
    /// A number that the account has, or is to have.
    Present(Owned),
    /// A number that the account has no more, or was to have and has not got.
    Gone,
}

/// The number in an answer about one.
pub(super) fn one_number(answer: &Object<'_>) -> Option<Item> {
    item(&answer.get("data", Json::object)?)
}

/// An item of the inventory.
pub(super) fn item(item: &Object<'_>) -> Option<Item> {
    let status = status(item);
    if is_gone(&status) {
        return Some(Item::Gone);
    }
    Some(Item::Present(Owned {
        id: item.get("id", Json::id)?,
        number: item.get("phone_number", Json::number)?,
        // What does not say counts as working.
        is_active: matches!(status.as_str(), "active" | "emergency-only" | ""),
        customer_reference: item.get("customer_reference", |json| json.text(LONGEST_REFERENCE)),
        number_type: item.get("phone_number_type", number_type),
        country_code: item.get("country_iso_alpha2", Json::country),
        is_locked: item.get("deletion_lock_enabled", Json::flag).unwrap_or(false),
    }))
}

/// Compares an item of the inventory with a number that the account has.
pub(super) fn item_called(json: Json<'_>, number: &E164) -> Compared<Owned> {
    let Some(object) = json.object() else { return Compared::Unclear };
    if is_gone(&status(&object)) {
        return Compared::Other;
    }
    match object.get("phone_number", Json::number) {
        Some(known) if known == *number => match item(&object) {
            Some(Item::Present(owned)) => Compared::Match(owned),
            Some(Item::Gone) | None => Compared::Unclear,
        },
        Some(_) => Compared::Other,
        None => Compared::Unclear,
    }
}

/// The status of an item of the inventory, which older parts of the API spell with underscores.
fn status(item: &Object<'_>) -> String {
    item.get("status", |json| json.text(LONGEST_WORD)).unwrap_or_default().replace('_', "-")
}

fn is_gone(status: &str) -> bool {
    matches!(status, "deleted" | "ported-out" | "purchase-failed" | "port-failed")
}

fn number_type(json: Json<'_>) -> Option<String> {
    json.text(LONGEST_TYPE)
}

/// Telnyx's codes in a refusal: text in the numbers' part of its API, integers elsewhere. What does not look like a code is
/// left out, since codes are logged.
pub(super) fn codes(answer: &Object<'_>) -> Vec<String> {
    let code = |json: Json<'_>| json.id().filter(|code| is_plain(code, LONGEST_CODE));
    items(answer.list("errors", MOST_CODES, |error| error.object()?.get("code", code)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::super::json::Unread;
    use super::*;

    const REFERENCE: &str = "pn:1:2";
    const NUMBER: &str = "+13125550123";

    /// Reads a document, whose only item is of interest, through a listing.
    fn compared<T>(item: &Value, compare: impl Fn(Json<'_>) -> Compared<T>) -> &'static str {
        let (text, unread) = (json!({ "data": [item] }).to_string(), Unread::default());
        let answer = Object::parse(&text, &unread).unwrap();
        match page(&answer, 1, |item| Some(compare(item))).unwrap().items.remove(0) {
            Compared::Match(_) => "match",
            Compared::Other => "other",
            Compared::Unclear => "unclear",
        }
    }

    /// The item with one member changed.
    fn with(item: &Value, name: &str, value: Value) -> Value {
        let mut item = item.clone();
        item[name] = value;
        item
    }

    #[test]
    fn an_order_is_another_one_only_if_it_says_so() {
        let number: E164 = NUMBER.parse().unwrap();
        let ours = json!({"id": "o1", "status": "success", "customer_reference": REFERENCE, "phone_numbers": [{"phone_number": NUMBER}]});
        let another = json!([{"phone_number": "+13125550124"}]);
        let cases = [
            (ours.clone(), "match"),
            (with(&ours, "customer_reference", json!("pn:1:3")), "other"),
            (with(&ours, "customer_reference", json!("x".repeat(9_999))), "other"),
            (with(&ours, "phone_numbers", another.clone()), "other"),
            (with(&ours, "phone_numbers", json!([])), "other"),
            (with(&with(&ours, "customer_reference", json!(null)), "phone_numbers", another), "other"),
            (with(&ours, "customer_reference", json!(null)), "unclear"),
            (with(&ours, "customer_reference", json!({})), "unclear"),
            (with(&ours, "phone_numbers", json!(null)), "match"),
            (with(&ours, "phone_numbers", json!([null])), "match"),
            (with(&ours, "phone_numbers", json!([null, {"phone_number": NUMBER}])), "match"),
            (with(&ours, "id", json!("..")), "unclear"),
            (json!(null), "unclear"),
            (json!([]), "unclear"),
        ];
        for (item, verdict) in cases {
            assert_eq!(compared(&item, |json| order_of(json, REFERENCE, &number)), verdict, "{item}");
        }
    }

    #[test]
    fn a_number_is_not_in_the_inventory_only_if_every_item_is_another() {
        let number: E164 = NUMBER.parse().unwrap();
        let ours = json!({"id": "1", "phone_number": NUMBER, "status": "active"});
        let cases = [
            (ours.clone(), "match"),
            (with(&ours, "status", json!({})), "match"),
            (with(&ours, "id", json!(12)), "match"),
            (with(&ours, "phone_number", json!("+13125550124")), "other"),
            (with(&ours, "status", json!("port_failed")), "other"),
            (with(&with(&ours, "status", json!("deleted")), "phone_number", json!(null)), "other"),
            (with(&ours, "phone_number", json!("anonymous")), "unclear"),
            (with(&ours, "phone_number", json!(null)), "unclear"),
            (with(&ours, "id", json!("")), "unclear"),
            (json!("+13125550123"), "unclear"),
        ];
        for (item, verdict) in cases {
            assert_eq!(compared(&item, |json| item_called(json, &number)), verdict, "{item}");
        }
    }

    #[test]
    fn a_listing_ends_where_its_count_of_pages_or_an_empty_page_says_so() {
        let full = json!([1]);
        let cases = [
            (json!({"data": full, "meta": {"total_pages": 2}}), 1, Some(false)),
            (json!({"data": full, "meta": {"total_pages": "2"}}), 2, Some(true)),
            (json!({"data": full, "meta": {"total_pages": 1e300}}), 7, Some(false)),
            (json!({"data": full, "meta": {"total_pages": -1}}), 7, Some(false)),
            (json!({"data": full, "meta": {"total_pages": 0}}), 1, Some(false)),
            (json!({"data": full}), 1, Some(false)),
            (json!({"data": [], "meta": {"total_pages": 9}}), 2, Some(true)),
            (json!({"data": []}), 1, Some(true)),
            (json!({"data": [], "meta": {"total_results": 3}}), 1, None),
            (json!({"data": [], "meta": {"total_results": 3}}), 2, Some(true)),
            (json!({"data": {}}), 1, None),
            (json!({"data": null}), 1, None),
            (json!({"meta": {"total_pages": 1}}), 1, None),
        ];
        for (document, number, is_last) in cases {
            let (text, unread) = (document.to_string(), Unread::default());
            let page = page(&Object::parse(&text, &unread).unwrap(), number, Json::count);
            assert_eq!(page.map(|page| page.is_last), is_last, "{document}");
        }
    }

    #[test]
    fn what_does_not_look_like_a_code_is_none() {
        let cases = [
            (json!({"errors": [{"code": "85001"}, {"code": 10009}]}), vec!["85001", "10009"]),
            (
                json!({"errors": [null, "x", {}, {"code": {}}, {"code": "<b>"}, {"code": "a\u{0}"}, {"code": "x".repeat(11)}, {"code": "7"}]}),
                vec!["7"],
            ),
            (json!({"errors": {"code": "85001"}}), vec![]),
            (json!({"errors": "85001"}), vec![]),
            (json!({"errors": vec![json!({"code": "1"}); 100]}), vec!["1"; 20]),
        ];
        for (document, expected) in cases {
            let (text, unread) = (document.to_string(), Unread::default());
            assert_eq!(codes(&Object::parse(&text, &unread).unwrap()), expected, "{document}");
        }
    }
}
