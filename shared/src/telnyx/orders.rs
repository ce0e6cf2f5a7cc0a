//! Orders, the numbers in them and their parts: `/number_orders`, `/number_order_phone_numbers`, `/sub_number_orders`.

use chrono::{DateTime, Utc};
use http::Method;
use serde_json::json;

use super::ids::{Path, refuse_unusable_id};
use super::json::{Json, List, Object};
use super::listing::{Compared, Extent, Found, page};
use super::transport::Request;
use super::{Failure, Session, failure};
use crate::model::E164;

/// The width of the columns for a number's type.
const LONGEST_TYPE: usize = 50;
/// More characters than a status has.
const LONGEST_STATUS: usize = 50;

/// An order for one number.
#[derive(Clone, Debug)]
pub struct Order {
    /// Telnyx's id: a UUID.
    pub id: String,
    /// The order's outcome.
    pub status: OrderStatus,
    /// Whether Telnyx has every document that it requires.
    pub requirements_met: Option<bool>,
    /// Telnyx's name of the number's type.
    pub number_type: Option<String>,
    /// The id of the number within the order. The number has another id in the inventory.
    pub item_id: Option<String>,
    /// The ids of its sub-orders; empty unless all of them could be read.
    pub sub_order_ids: Vec<String>,
    /// The numbers in the order; `None` if not all of them could be read.
    pub numbers: Option<Vec<E164>>,
}

impl Order {
    /// Whether the order is for other numbers and not for this one. An order whose numbers are unknown is not.
    #[must_use]
    pub fn names_another(&self, number: &E164) -> bool {
        self.numbers.as_ref().is_some_and(|numbers| !numbers.contains(number))
    }
}

/// The orders of one purchase.
#[derive(Clone, Debug)]
pub struct Orders {
    /// The orders that could be read.
    pub known: Vec<Order>,
    /// Whether there are no others.
    pub are_all: bool,
}

/// The outcome of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderStatus {
    /// Not decided.
    Pending,
    /// The account has the number and pays for it.
    Success,
    /// The account does not get the number.
    Failure,
}

impl Session<'_> {
    /// Orders one number: `POST /number_orders`.
    ///
    /// The request is sent once and never repeated, since Telnyx has no idempotency key for it.
    ///
    /// # Errors
    /// [`Failure::Unknown`]: the order may exist; look it up by its reference before anything else.
    pub async fn place_order(&self, number: &E164, reference: &str, connection_id: Option<&str>) -> Result<Order, Failure> {
        let mut body = json!({"phone_numbers": [{"phone_number": number}], "customer_reference": reference});
        if let Some(connection_id) = connection_id {
            body["connection_id"] = connection_id.into();
        }
        let response = self.transport.send_once(self, &Request::order("/number_orders", &body)).await?;
        response.parse(one_order)
    }

    /// Reads an order by its id: `GET /number_orders/{id}`. Returns `None` if there is none.
    ///
    /// # Errors
    /// See [`Failure`]; [`Failure::NotSent`] if `id` is not a usable id.
    pub async fn order(&self, id: &str) -> Result<Option<Order>, Failure> {
        let response = self.transport.read(self, &Request::get(Path::with_id("/number_orders/{id}", id)?, &[])).await?;
        failure::none_if_not_found(response.parse(one_order))
    }

    /// Lists the orders with one of our references for a number: `GET /number_orders`.
    ///
    /// Returns none only if Telnyx certainly has none. There can be several: an order that seemed missing is placed again.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn orders_for(&self, reference: &str, number: &E164) -> Result<Orders, Failure> {
        let filter = ("filter[customer_reference]", reference.to_owned());
        let compare = |item: Json<'_>| compare_reference(item, reference, number);
        let Found { matches: known, unclear } = self.look_through("/number_orders", filter, Extent::Everything, compare).await?;
        Ok(Orders { known, are_all: unclear == 0 })
    }

    /// Finds a pending order for a number, whatever its reference: `GET /number_orders`. Returns `None` only if Telnyx
    /// certainly has none.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn pending_order_for(&self, number: &E164) -> Result<Option<Order>, Failure> {
        let filter = ("filter[status]", "pending".to_owned());
        let compare = |item: Json<'_>| compare_numbers(item, number);
        let found = self.look_through("/number_orders", filter, Extent::FirstMatch, compare).await?;
        Ok(found.matches.into_iter().next())
    }

    /// Reads until when Telnyx waits for the documents of a number in an order, by [`Order::item_id`]:
    /// `GET /number_order_phone_numbers/{id}`. Returns `None` if Telnyx does not tell.
    ///
    /// # Errors
    /// See [`Failure`]; [`Failure::NotSent`] if `item_id` is not a usable id.
    pub async fn requirements_deadline(&self, item_id: &str) -> Result<Option<DateTime<Utc>>, Failure> {
        let path = Path::with_id("/number_order_phone_numbers/{id}", item_id)?;
        let response = self.transport.read(self, &Request::get(path, &[])).await?;
        response.parse(|document| Some(deadline(document)))
    }

    /// Lists the ids of an order's sub-orders: `GET /sub_number_orders`. Sub-orders that cannot be read are skipped.
    ///
    /// # Errors
    /// See [`Failure`]; [`Failure::NotSent`] if `order_id` is not a usable id.
    pub async fn sub_orders(&self, order_id: &str) -> Result<Vec<String>, Failure> {
        let order_id = refuse_unusable_id(order_id)?;
        let query = [("filter[order_request_id]", order_id.to_owned())];
        let response = self.transport.read(self, &Request::get(Path::to("/sub_number_orders"), &query)).await?;
        let listed = response.parse(|document| page(document, 1, |item| Some(compare_sub_order(item, order_id))))?;
        let ids = listed.items.into_iter().filter_map(|item| if let Compared::Match(id) = item { Some(id) } else { None });
        Ok(ids.collect())
    }

    /// Cancels a pending sub-order: `PATCH /sub_number_orders/{id}/cancel`.
    ///
    /// # Errors
    /// [`Failure::Refused`]: it is no longer pending. [`Failure::Unknown`]: look the order up. [`Failure::NotSent`]: also if `id`
    /// is not a usable id.
    pub async fn cancel_sub_order(&self, id: &str) -> Result<(), Failure> {
        let path = Path::with_id("/sub_number_orders/{id}/cancel", id)?;
        let response = self.transport.send_once(self, &Request::change(Method::PATCH, path)).await?;
        response.confirm()
    }
}

/// The order in a document about one.
pub(super) fn one_order(document: &Object<'_>) -> Option<Order> {
    order(&document.get("data", Json::object)?)
}

/// Reads an order. Returns `None` if its id cannot be read. A status that is unknown or cannot be read counts as pending.
fn order(order: &Object<'_>) -> Option<Order> {
    let id = order.get("id", Json::id)?;
    let status = order.get("status", |json| json.text(LONGEST_STATUS));
    // We order one number at a time.
    let item = order.list("phone_numbers", 1, Json::object).readable().pop();
    let sub_orders = order.list("sub_number_orders_ids", usize::MAX, Json::id).known();
    Some(Order {
        id,
        status: match status.as_deref() {
            Some("success") => OrderStatus::Success,
            Some("failure" | "cancelled" | "deleted") => OrderStatus::Failure,
            _ => OrderStatus::Pending,
        },
        requirements_met: order.get("requirements_met", Json::flag),
        number_type: item.as_ref().and_then(|item| item.get("phone_number_type", |json| json.text(LONGEST_TYPE))),
        item_id: item.as_ref().and_then(|item| item.get("id", Json::id)),
        // With an incomplete list, the caller asks for the sub-orders instead.
        sub_order_ids: sub_orders.filter(|list| list.unreadable == 0).map(|list| list.items).unwrap_or_default(),
        numbers: numbers(order).filter(|list| list.unreadable == 0).map(|list| list.items),
    })
}

/// Compares an order with the ones that have our reference for a number.
///
/// Telnyx's filter is not relied on. Each purchase has its own reference, so that a match does not need readable numbers. If
/// the reference cannot be read, only the numbers can prove that it is another order.
fn compare_reference(item: Json<'_>, reference: &str, number: &E164) -> Compared<Order> {
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

/// Compares an order with the ones for a number.
fn compare_numbers(item: Json<'_>, number: &E164) -> Compared<Order> {
    let Some(object) = item.object() else { return Compared::Unclear };
    match names(&object, number) {
        Some(true) => order(&object).map_or(Compared::Unclear, Compared::Match),
        Some(false) => Compared::Other,
        None => Compared::Unclear,
    }
}

/// Whether an order is for a number. Returns `None` if that cannot be read.
fn names(order: &Object<'_>, number: &E164) -> Option<bool> {
    let listed = numbers(order)?;
    if listed.items.contains(number) {
        return Some(true);
    }
    (listed.unreadable == 0).then_some(false)
}

/// The numbers in an order.
fn numbers(order: &Object<'_>) -> Option<List<E164>> {
    order.list("phone_numbers", usize::MAX, |item| item.object()?.get("phone_number", Json::number)).known()
}

/// Until when Telnyx waits for the documents of a number in an order.
pub(super) fn deadline(document: &Object<'_>) -> Option<DateTime<Utc>> {
    document.get("data", Json::object)?.get("deadline", Json::time)
}

/// Compares a sub-order with those of an order. A match is its id.
fn compare_sub_order(item: Json<'_>, order_id: &str) -> Compared<String> {
    let Some(object) = item.object() else { return Compared::Unclear };
    match object.get("order_request_id", Json::id) {
        Some(known) if known == order_id => object.get("id", Json::id).map_or(Compared::Unclear, Compared::Match),
        Some(_) => Compared::Other,
        None => Compared::Unclear,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::testing::{parsed, verdict, with, with_odd_members};
    use super::*;

    const REFERENCE: &str = "pn:1:2";
    const NUMBER: &str = "+13125550123";

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
        for (item, expected) in cases {
            assert_eq!(verdict(&item, |json| compare_reference(json, REFERENCE, &number)), expected, "{item}");
        }
    }

    fn ours() -> Value {
        json!({
            "id": "o1", "status": "success", "customer_reference": REFERENCE, "requirements_met": true,
            "phone_numbers": [{"id": "i1", "phone_number": NUMBER, "phone_number_type": "local"}], "sub_number_orders_ids": ["s1"],
        })
    }

    /// Whether every number of an order can be read and none is ours.
    fn names_only_others(order: &Value) -> bool {
        let number = |item: &Value| item["phone_number"].as_str()?.parse::<E164>().ok();
        order["phone_numbers"]
            .as_array()
            .is_some_and(|items| items.iter().all(|item| number(item).is_some_and(|read| read.as_str() != NUMBER)))
    }

    proptest! {
        #[test]
        fn an_odd_order_is_another_one_only_by_a_readable_reference_or_by_readable_numbers(order in with_odd_members(ours())) {
            let number: E164 = NUMBER.parse().unwrap();
            let reference = order["customer_reference"].as_str().filter(|text| !text.is_empty() && !text.contains(char::is_control));
            let other_reference = reference.is_some_and(|reference| reference != REFERENCE);
            match verdict(&order, |json| compare_reference(json, REFERENCE, &number)) {
                "match" => prop_assert!(reference == Some(REFERENCE) && !names_only_others(&order)),
                "other" => prop_assert!(other_reference || names_only_others(&order)),
                _ => prop_assert!(!other_reference && !names_only_others(&order)),
            }
            prop_assert_eq!(verdict(&order, |json| compare_numbers(json, &number)) == "other", names_only_others(&order));
        }

        #[test]
        fn an_odd_order_succeeds_or_fails_only_if_its_status_says_so(order in with_odd_members(ours())) {
            let read = parsed(&json!({ "data": order }), one_order);
            let expected = match order["status"].as_str() {
                Some("success") => OrderStatus::Success,
                Some("failure" | "cancelled" | "deleted") => OrderStatus::Failure,
                _ => OrderStatus::Pending,
            };
            if let Some(read) = read {
                prop_assert_eq!(read.status, expected);
                prop_assert!(!read.names_another(&NUMBER.parse().unwrap()) || names_only_others(&order));
            } else {
                prop_assert_ne!(&order["id"], &json!("o1"));
            }
        }
    }
}
