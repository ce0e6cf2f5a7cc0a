//! The numbers that an account has: `/phone_numbers`.

use http::Method;

use super::ids::Path;
use super::json::{Json, Object};
use super::listing::{Compared, Extent, LARGEST_PAGE, Page, page};
use super::transport::Request;
use super::{Failure, Session, failure};
use crate::model::E164;

/// The width of the columns for a number's type.
const LONGEST_TYPE: usize = 50;
/// More characters than a status has.
const LONGEST_STATUS: usize = 50;
/// More characters than any of our references has.
const LONGEST_REFERENCE: usize = 255;

/// A number in an account's inventory.
#[derive(Clone, Debug)]
pub struct Owned {
    /// Telnyx's id: about 19 decimal digits, more than a float can hold. It differs from every id in the number's order.
    pub id: String,
    /// The number.
    pub number: E164,
    /// Whether it works, and is paid for. False while it is being ordered.
    pub is_active: bool,
    /// The reference of the order that bought it. `None` proves nothing: it may not be set, or not be readable.
    pub customer_reference: Option<String>,
    /// Telnyx's name of the number's type.
    pub number_type: Option<String>,
    /// ISO 3166-1 alpha-2.
    pub country_code: Option<String>,
    /// Whether Telnyx refuses to delete it until it is unlocked.
    pub is_locked: bool,
}

/// A page of an account's inventory.
#[derive(Clone, Debug)]
pub struct InventoryPage {
    /// The numbers, without those that the account no longer has or that cannot be read.
    pub numbers: Vec<Owned>,
    /// Whether the page has no items at all, not even unreadable ones.
    pub is_empty: bool,
    /// How many pages there are, if Telnyx tells.
    pub total_pages: Option<u32>,
}

impl Session<'_> {
    /// Finds a number in the account's inventory: `GET /phone_numbers`. Returns `None` only if it is certainly not there.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn find_number(&self, number: &E164) -> Result<Option<Owned>, Failure> {
        // Telnyx's filter also matches parts of numbers; `compare_number` wants the whole one.
        let filter = ("filter[phone_number]", number.digits().to_owned());
        let compare = |item: Json<'_>| compare_number(item, number);
        let found = self.look_through("/phone_numbers", filter, Extent::FirstMatch, compare).await?;
        Ok(found.matches.into_iter().next())
    }

    /// Reads a page of the account's inventory, from 1: `GET /phone_numbers`.
    ///
    /// The oldest purchase comes first, so that numbers bought meanwhile are on the last page. `digits`, at least three of them,
    /// select the numbers that contain them; an empty text selects all.
    ///
    /// # Errors
    /// See [`Failure`]; [`Failure::refuses_request`] is true of a page that Telnyx does not serve.
    pub async fn inventory(&self, digits: &str, page_number: u32) -> Result<InventoryPage, Failure> {
        let filter = Some(("filter[phone_number]", digits.to_owned())).filter(|_| !digits.is_empty());
        let paging =
            [("sort", "purchased_at".to_owned()), ("page[size]", LARGEST_PAGE.to_owned()), ("page[number]", page_number.to_string())];
        let query: Vec<_> = filter.into_iter().chain(paging).collect();
        let response = self.transport.read(self, &Request::get(Path::to("/phone_numbers"), &query)).await?;
        let Page { items, is_empty, total_pages, .. } =
            response.parse(|document| page(document, page_number, |item| read_item(&item.object()?)))?;
        let present = |item| if let Item::Present(owned) = item { Some(owned) } else { None };
        Ok(InventoryPage { numbers: items.into_iter().filter_map(present).collect(), is_empty, total_pages })
    }

    /// Reads a number by Telnyx's id: `GET /phone_numbers/{id}`. Returns `None` if the account does not have it.
    ///
    /// # Errors
    /// See [`Failure`]. A number that cannot be read is [`Failure::Unknown`], an unusable `id` is [`Failure::NotSent`]: neither
    /// proves absence.
    pub async fn number(&self, id: &str) -> Result<Option<Owned>, Failure> {
        let response = self.transport.read(self, &Request::get(Path::with_id("/phone_numbers/{id}", id)?, &[])).await?;
        Ok(match failure::none_if_not_found(response.parse(one_number))? {
            Some(Item::Present(owned)) => Some(owned),
            Some(Item::Gone) | None => None,
        })
    }

    /// Gives a number back: `DELETE /phone_numbers/{id}`. It may be repeated.
    ///
    /// # Errors
    /// See [`Failure`]. A number that does not exist is [`Refusal::NotFound`](super::Refusal::NotFound), an unusable `id` is
    /// [`Failure::NotSent`].
    pub async fn delete_number(&self, id: &str) -> Result<(), Failure> {
        let path = Path::with_id("/phone_numbers/{id}", id)?;
        let response = self.transport.send_once(self, &Request::change(Method::DELETE, path)).await?;
        response.confirm()
    }
}

/// An item of the inventory, by its status.
pub(super) enum Item {
    /// The account has the number, or is about to get it.
    Present(Owned),
    /// The account no longer has the number, or failed to get it.
    Gone,
}

/// The number in a document about one.
pub(super) fn one_number(document: &Object<'_>) -> Option<Item> {
    read_item(&document.get("data", Json::object)?)
}

/// Reads an item. Returns `None` if its id or its number cannot be read.
fn read_item(item: &Object<'_>) -> Option<Item> {
    let status = status(item);
    if is_gone(&status) {
        return Some(Item::Gone);
    }
    Some(Item::Present(Owned {
        id: item.get("id", Json::id)?,
        number: item.get("phone_number", Json::number)?,
        // Without a status, a number counts as working.
        is_active: matches!(status.as_str(), "active" | "emergency-only" | ""),
        customer_reference: item.get("customer_reference", |json| json.text(LONGEST_REFERENCE)),
        number_type: item.get("phone_number_type", |json| json.text(LONGEST_TYPE)),
        country_code: item.get("country_iso_alpha2", Json::country),
        is_locked: item.get("deletion_lock_enabled", Json::flag).unwrap_or(false),
    }))
}

/// Compares an item with a number that the account has.
fn compare_number(item: Json<'_>, number: &E164) -> Compared<Owned> {
    let Some(object) = item.object() else { return Compared::Unclear };
    if is_gone(&status(&object)) {
        return Compared::Other;
    }
    match object.get("phone_number", Json::number) {
        Some(known) if known == *number => match read_item(&object) {
            Some(Item::Present(owned)) => Compared::Match(owned),
            Some(Item::Gone) | None => Compared::Unclear,
        },
        Some(_) => Compared::Other,
        None => Compared::Unclear,
    }
}

/// The status of an item, with hyphens: older parts of the API use underscores. Empty if it cannot be read.
fn status(item: &Object<'_>) -> String {
    item.get("status", |json| json.text(LONGEST_STATUS)).unwrap_or_default().replace('_', "-")
}

fn is_gone(status: &str) -> bool {
    matches!(status, "deleted" | "ported-out" | "purchase-failed" | "port-failed")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::testing::{parsed, verdict, with, with_odd_members};
    use super::*;

    const NUMBER: &str = "+13125550123";

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
        for (item, expected) in cases {
            assert_eq!(verdict(&item, |json| compare_number(json, &number)), expected, "{item}");
        }
    }

    proptest! {
        #[test]
        fn an_odd_item_is_another_number_only_by_a_readable_number_or_status(
            item in with_odd_members(json!({
                "id": "1", "phone_number": NUMBER, "status": "active", "customer_reference": "r", "phone_number_type": "local",
                "country_iso_alpha2": "US", "deletion_lock_enabled": false,
            })),
        ) {
            let number: E164 = NUMBER.parse().unwrap();
            let is_gone = item["status"].as_str().is_some_and(|status| is_gone(&status.replace('_', "-")));
            let read = item["phone_number"].as_str().and_then(|text| text.parse::<E164>().ok());
            let is_other = is_gone || read.as_ref().is_some_and(|read| *read != number);
            match verdict(&item, |json| compare_number(json, &number)) {
                "match" => prop_assert!(!is_gone && read == Some(number)),
                "other" => prop_assert!(is_other),
                _ => prop_assert!(!is_other),
            }
            if let Some(Item::Present(owned)) = parsed(&json!({ "data": item }), one_number) {
                prop_assert_eq!(Some(owned.number), read);
                prop_assert!(!owned.is_active || item["status"].as_str().is_none_or(|status| status.parse::<u8>().is_err()));
            }
        }
    }
}
