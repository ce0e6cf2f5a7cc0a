//! What is asked of Telnyx, and what it answers once that is read.

use crate::model::{E164, Feature, Money, NumberType};

/// What a search asks for. Everything but the country is optional.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// ISO 3166-1 alpha-2.
    pub country_code: String,
    /// The kind of number.
    pub number_type: Option<NumberType>,
    /// The area code, without a prefix.
    pub area_code: Option<String>,
    /// The city.
    pub city: Option<String>,
    /// The state or province, in two letters.
    pub state: Option<String>,
    /// Digits anywhere in the national number.
    pub contains: Option<String>,
    /// Digits the national number begins with; behind the area code, where one is given.
    pub starts_with: Option<String>,
    /// Digits the national number ends with.
    pub ends_with: Option<String>,
    /// What the number must carry, all of it.
    pub features: Vec<Feature>,
    /// How many at the most.
    pub limit: Option<i64>,
    /// Leave out +1 toll-free numbers that take a while to work.
    pub quickship: Option<bool>,
    /// Near matches too, where there are too few.
    pub best_effort: Option<bool>,
}

/// Numbers on offer.
#[derive(Clone, Debug)]
pub struct Offers {
    /// The numbers, at most as many as were asked for.
    pub numbers: Vec<Available>,
    /// How many offers were skipped because they could not be read.
    pub unreadable: usize,
    /// How many there are, as Telnyx counts: not negative.
    pub total_results: Option<i64>,
    /// How many of them are near matches: not negative.
    pub best_effort_results: Option<i64>,
}

/// A number on offer.
#[derive(Clone, Debug)]
pub struct Available {
    /// The number.
    pub number: E164,
    /// What it can carry, in Telnyx's words, at most 50.
    pub features: Vec<String>,
    /// Where it is from, at most 50 pairs of kind and name.
    pub regions: Vec<Region>,
    /// Paid every month. An amount that cannot be read is unknown; one that is too large for the type is the largest it holds.
    pub monthly_cost: Option<Money>,
    /// Paid once.
    pub upfront_cost: Option<Money>,
    /// ISO 4217.
    pub currency: Option<String>,
    /// Whether it is a near match.
    pub best_effort: bool,
    /// Whether it works at once.
    pub quickship: Option<bool>,
    /// Whether it can be held for a while.
    pub reservable: Option<bool>,
}

/// Where a number is from.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Region {
    /// `country_code`, `state`, `rate_center` or `location`, in Telnyx's words.
    pub region_type: Option<String>,
    /// Its name.
    pub region_name: Option<String>,
}

impl Region {
    /// The country in ISO 3166-1 alpha-2, if this is one.
    #[must_use]
    pub fn country_code(&self) -> Option<&str> {
        let name = self.region_name.as_deref().filter(|_| self.region_type.as_deref() == Some("country_code"))?;
        (name.len() == 2 && name.bytes().all(|byte| byte.is_ascii_uppercase())).then_some(name)
    }
}

/// An order for one number.
#[derive(Clone, Debug)]
pub struct Order {
    /// Telnyx's id: a UUID.
    pub id: String,
    /// What has become of it.
    pub status: OrderStatus,
    /// Whether Telnyx has every document it wants.
    pub requirements_met: Option<bool>,
    /// The number's type, in Telnyx's words.
    pub number_type: Option<String>,
    /// The id of the number within the order: not that of the number in the inventory.
    pub item_id: Option<String>,
    /// The ids of its parts; empty unless Telnyx lists all of them.
    pub sub_order_ids: Vec<String>,
    /// The numbers that it names; None if they cannot all be read.
    pub numbers: Option<Vec<E164>>,
}

impl Order {
    /// Whether it is known to name other numbers and not this one.
    #[must_use]
    pub fn names_another(&self, number: &E164) -> bool {
        self.numbers.as_ref().is_some_and(|numbers| !numbers.contains(number))
    }
}

/// The orders of one purchase.
#[derive(Clone, Debug)]
pub struct Orders {
    /// Those that could be read.
    pub known: Vec<Order>,
    /// Whether there are no others.
    pub are_all: bool,
}

/// What has become of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderStatus {
    /// Not decided.
    Pending,
    /// The number is ours, and paid for.
    Success,
    /// The number is not ours.
    Failure,
}

/// A number in an account's inventory.
#[derive(Clone, Debug)]
pub struct Owned {
    /// Telnyx's id: about 19 decimal digits, more than a float can hold. Not the id of anything in an order.
    pub id: String,
    /// The number.
    pub number: E164,
    /// Whether it works, and so is paid for; not while it is being ordered.
    pub is_active: bool,
    /// The reference of the order that bought it. `None` is no proof of anything: it may not be set, or not be readable.
    pub customer_reference: Option<String>,
    /// The number's type, in Telnyx's words.
    pub number_type: Option<String>,
    /// ISO 3166-1 alpha-2.
    pub country_code: Option<String>,
    /// Telnyx refuses to delete it until somebody unlocks it.
    pub is_locked: bool,
}

/// A page of an account's inventory.
#[derive(Clone, Debug)]
pub struct InventoryPage {
    /// The numbers, without those that are gone or cannot be read.
    pub numbers: Vec<Owned>,
    /// Whether the page has no item at all, not even one that cannot be read.
    pub is_empty: bool,
    /// How many pages there are, where Telnyx tells.
    pub total_pages: Option<u32>,
}
