//! The body of a purchase.

use std::collections::HashSet;

use shared::error::Error;
use shared::input;
use shared::input::{Flag, Id, Input, Objects, Rule, Text};
use shared::model::{Currency, E164, Money, PriceLimits};
use uuid::Uuid;

/// How many numbers one request may buy.
const LARGEST_ORDER: usize = 10;
/// The width of the columns `friendly_name` and `customer_reference`.
const COLUMN_WIDTH: usize = 255;

/// A number is bought once.
pub(crate) const EACH_NUMBER_ONCE: Rule =
    Rule { name: "each_number_once", field: "phone_numbers[].phone_number", message: "is there more than once" };

input! {
    /// The body of a purchase.
    pub(crate) struct Body {
        /// The numbers to buy, each of them once.
        required phone_numbers: Objects<Item, 1, LARGEST_ORDER>;
        /// The caller's own reference: kept and returned, never sent to Telnyx.
        optional customer_reference: Text<COLUMN_WIDTH>, example "order 7";
        /// The most that each number may cost each month, in `currency`, with at most four decimals.
        optional max_monthly_cost: Money, example "2.00";
        /// The most that each number may cost once, in `currency`, with at most four decimals.
        optional max_upfront_cost: Money, example "2.00";
        /// The currency of the limits: ISO 4217.
        optional currency: Currency = Currency::usd();
        /// Checks everything, and buys and writes nothing.
        optional validate_only: Flag = false;
    }
}

input! {
    /// One number to buy.
    pub(crate) struct Item {
        /// The number in E.164, as a search shows it.
        required phone_number: E164, example "+13125550123";
        /// The agency's own label.
        optional friendly_name: Text<COLUMN_WIDTH>, example "Front desk";
        /// The id of the agent mapping that the number is assigned to.
        optional agent_mapping_id: Id, example "0d3c5c6a-6b61-4a7e-8d0a-0f6f3f0c9b55";
    }
}

/// What to buy.
pub(crate) struct Request {
    pub(crate) items: Vec<Wanted>,
    /// The caller's own reference, which is stored and returned.
    pub(crate) customer_reference: Option<String>,
    /// The most that each number may cost.
    pub(crate) limits: PriceLimits,
    /// Whether everything is only checked, and nothing bought.
    pub(crate) validate_only: bool,
}

/// One number to buy.
pub(crate) struct Wanted {
    pub(crate) number: E164,
    pub(crate) friendly_name: Option<String>,
    pub(crate) agent_mapping_id: Option<Uuid>,
}

impl Request {
    pub(crate) fn read(mut input: Input) -> Result<Self, Error> {
        let body = input.read::<Body>();
        let mut seen = HashSet::new();
        for (index, item) in body.iter().flat_map(|body| &body.phone_numbers).enumerate() {
            if !seen.insert(&item.phone_number) {
                input.item_breaks(&EACH_NUMBER_ONCE, index);
            }
        }
        let body = input.finish(body)?;
        Ok(Self {
            items: body.phone_numbers.into_iter().map(Wanted::from).collect(),
            customer_reference: body.customer_reference,
            limits: PriceLimits { monthly: body.max_monthly_cost, upfront: body.max_upfront_cost, currency: body.currency.into() },
            validate_only: body.validate_only,
        })
    }
}

impl From<Item> for Wanted {
    fn from(item: Item) -> Self {
        Self { number: item.phone_number, friendly_name: item.friendly_name, agent_mapping_id: item.agent_mapping_id }
    }
}
