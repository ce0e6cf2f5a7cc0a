//! Telnyx's JSON, read as leniently as its documentation and its answers differ: unknown members are passed over, members
//! may be missing, null or empty.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{Available, Offers as OffersFound, Order as OrderFound, OrderStatus, Owned as OwnedFound, Region};
use crate::model::{E164, Money};

#[derive(Deserialize)]
pub(super) struct Envelope<T> {
    pub(super) data: T,
}

#[derive(Deserialize)]
pub(super) struct Page<T> {
    pub(super) data: Vec<T>,
    meta: Option<Meta>,
}

#[derive(Deserialize)]
pub(super) struct Meta {
    total_pages: Option<u32>,
    total_results: Option<u32>,
    page_size: Option<u32>,
}

impl<T> Page<T> {
    /// Whether nothing follows this page, which was asked for by its number.
    pub(super) fn is_last(&self, page: u32) -> bool {
        let pages = self.meta.as_ref().and_then(|meta| meta.total_pages);
        self.data.is_empty() || pages.is_none_or(|pages| page >= pages)
    }

    /// How many pages there are, by their own number or by that of the results, whichever is larger.
    pub(super) fn total_pages(&self) -> Option<u32> {
        let meta = self.meta.as_ref()?;
        let size = meta.page_size.filter(|size| *size > 0);
        let by_results = meta.total_results.zip(size).map(|(results, size)| results.div_ceil(size));
        meta.total_pages.max(by_results)
    }
}

/// Offers and how many there are: in `meta`, in `metadata`, or in both.
#[derive(Deserialize)]
pub(super) struct Offers {
    data: Vec<Offer>,
    meta: Option<OffersMeta>,
    metadata: Option<OffersMeta>,
}

#[derive(Deserialize)]
struct OffersMeta {
    total_results: Option<i64>,
    best_effort_results: Option<i64>,
}

#[derive(Deserialize)]
struct Offer {
    phone_number: String,
    #[serde(default)]
    features: Option<Vec<OfferFeature>>,
    #[serde(default)]
    region_information: Option<Vec<Region>>,
    cost_information: Option<CostInformation>,
    best_effort: Option<bool>,
    quickship: Option<bool>,
    reservable: Option<bool>,
}

#[derive(Deserialize)]
struct OfferFeature {
    name: Option<String>,
}

#[derive(Deserialize)]
struct CostInformation {
    #[serde(default, deserialize_with = "amount")]
    monthly_cost: Option<Money>,
    #[serde(default, deserialize_with = "amount")]
    upfront_cost: Option<Money>,
    currency: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Order {
    id: String,
    status: Option<String>,
    requirements_met: Option<bool>,
    customer_reference: Option<String>,
    #[serde(default)]
    phone_numbers: Option<Vec<OrderedNumber>>,
    #[serde(default)]
    sub_number_orders_ids: Option<Vec<String>>,
}

#[derive(Deserialize)]
pub(super) struct OrderedNumber {
    id: Option<String>,
    phone_number: Option<String>,
    phone_number_type: Option<String>,
    /// Only where it is asked for by its id.
    pub(super) deadline: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
pub(super) struct SubOrder {
    pub(super) id: String,
}

#[derive(Deserialize)]
pub(super) struct Owned {
    id: String,
    phone_number: String,
    status: Option<String>,
    customer_reference: Option<String>,
    phone_number_type: Option<String>,
    country_iso_alpha2: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Errors {
    #[serde(default)]
    errors: Vec<ErrorItem>,
}

#[derive(Deserialize)]
struct ErrorItem {
    #[serde(default)]
    code: serde_json::Value,
}

impl Errors {
    /// The codes: strings in the numbers' part of the API, numbers elsewhere.
    pub(super) fn codes(self) -> Vec<String> {
        let code = |item: ErrorItem| match item.code {
            serde_json::Value::String(code) => Some(code),
            serde_json::Value::Number(code) => Some(code.to_string()),
            _ => None,
        };
        self.errors.into_iter().filter_map(code).collect()
    }
}

impl Order {
    /// Whether it is ours and names the number: the filter that found it is Telnyx's, the decision is ours.
    pub(super) fn is_for(&self, reference: &str, number: &E164) -> bool {
        self.customer_reference.as_deref() == Some(reference) && self.names(number)
    }

    pub(super) fn names(&self, number: &E164) -> bool {
        self.phone_numbers.iter().flatten().any(|item| item.phone_number.as_deref() == Some(number.as_str()))
    }
}

impl From<Order> for OrderFound {
    fn from(order: Order) -> Self {
        let status = match order.status.as_deref() {
            Some("success") => OrderStatus::Success,
            Some("failure" | "cancelled" | "deleted") => OrderStatus::Failure,
            _ => OrderStatus::Pending,
        };
        // One number an order, as we place them.
        let item = order.phone_numbers.into_iter().flatten().next();
        let (item_id, number_type) = item.map_or((None, None), |item| (item.id, item.phone_number_type));
        Self {
            id: order.id,
            status,
            requirements_met: order.requirements_met,
            number_type: number_type.and_then(filled),
            item_id: item_id.and_then(filled),
            sub_order_ids: order.sub_number_orders_ids.unwrap_or_default(),
        }
    }
}

impl Owned {
    /// Whether it is this very number.
    pub(super) fn is_called(&self, number: &E164) -> bool {
        self.phone_number == number.as_str()
    }

    /// An item of a listing, where it can be read: one odd item must not hide the others.
    pub(super) fn read(item: Value) -> Option<OwnedFound> {
        match serde_json::from_value::<Self>(item) {
            Ok(owned) => owned.live(),
            Err(error) => {
                tracing::warn!(error = %error, "a number of the inventory cannot be read");
                None
            }
        }
    }

    /// Whether the account has had the number, or was to have it.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self.status().as_str(), "deleted" | "ported-out" | "purchase-failed" | "port-failed")
    }

    fn status(&self) -> String {
        self.status.as_deref().unwrap_or_default().replace('_', "-")
    }

    /// The number, unless it is gone, or is none that we could have bought.
    pub(super) fn live(self) -> Option<OwnedFound> {
        if self.is_gone() {
            return None;
        }
        let status = self.status();
        Some(OwnedFound {
            id: self.id,
            number: self.phone_number.parse().ok()?,
            // What does not say counts as working.
            is_active: matches!(status.as_str(), "active" | "emergency-only" | ""),
            customer_reference: self.customer_reference.and_then(filled),
            number_type: self.phone_number_type.and_then(filled),
            country_code: self.country_iso_alpha2.and_then(filled),
        })
    }
}

impl From<Offers> for OffersFound {
    fn from(offers: Offers) -> Self {
        let meta = offers.meta.or(offers.metadata);
        let (total_results, best_effort_results) = meta.map_or((None, None), |meta| (meta.total_results, meta.best_effort_results));
        Self { numbers: offers.data.into_iter().filter_map(available).collect(), total_results, best_effort_results }
    }
}

/// An offer that names no number we could order is none.
fn available(offer: Offer) -> Option<Available> {
    let (monthly_cost, upfront_cost, currency) =
        offer.cost_information.map_or((None, None, None), |cost| (cost.monthly_cost, cost.upfront_cost, cost.currency.and_then(filled)));
    Some(Available {
        number: offer.phone_number.parse().ok()?,
        features: offer.features.into_iter().flatten().filter_map(|feature| feature.name).collect(),
        regions: offer.region_information.unwrap_or_default(),
        monthly_cost,
        upfront_cost,
        currency,
        best_effort: offer.best_effort.unwrap_or_default(),
        quickship: offer.quickship,
        reservable: offer.reservable,
    })
}

fn filled(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// Money comes as a string. An amount that cannot be read is unknown, not zero.
fn amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Money>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.and_then(|text| text.trim().parse::<Decimal>().ok()).filter(|amount| !amount.is_sign_negative()).map(Money))
}
