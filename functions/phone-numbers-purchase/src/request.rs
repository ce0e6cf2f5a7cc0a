//! The body of a purchase.

use std::collections::HashSet;

use shared::error::Error;
use shared::input::Input;
use shared::model::{E164, Money, PriceLimits};
use uuid::Uuid;

/// How many numbers one request may buy.
const LARGEST_ORDER: usize = 10;
/// The width of the column.
const LONGEST_NAME: usize = 255;
const LONGEST_REFERENCE: usize = 255;

/// ISO 4217, where the caller names no currency for its limits.
const DEFAULT_CURRENCY: &str = "USD";

/// What to buy.
pub(crate) struct Request {
    pub(crate) items: Vec<Item>,
    /// The caller's own reference: kept and echoed.
    pub(crate) customer_reference: Option<String>,
    /// The most that each number may cost.
    pub(crate) limits: PriceLimits,
    /// Whether nothing is to be bought, only found out whether it could be.
    pub(crate) validate_only: bool,
}

/// One number to buy.
pub(crate) struct Item {
    pub(crate) number: E164,
    pub(crate) friendly_name: Option<String>,
    pub(crate) agent_mapping_id: Option<Uuid>,
}

impl Request {
    pub(crate) fn read(mut input: Input) -> Result<Self, Error> {
        let items = input.required("phone_numbers", |input| Some(input.objects("phone_numbers", 1..=LARGEST_ORDER, Item::read)));
        let customer_reference = input.text("customer_reference", LONGEST_REFERENCE);
        let limits = PriceLimits {
            monthly: input.parsed::<Money>("max_monthly_cost"),
            upfront: input.parsed::<Money>("max_upfront_cost"),
            currency: input.parsed::<Currency>("currency").map_or_else(|| DEFAULT_CURRENCY.to_owned(), |currency| currency.0),
        };
        let validate_only = input.boolean("validate_only").unwrap_or(false);
        let items = items.unwrap_or_default();
        let mut seen = HashSet::new();
        for (index, item) in items.iter().enumerate() {
            if !seen.insert(&item.number) {
                input.refuse(&format!("phone_numbers[{index}].phone_number"), "is there more than once");
            }
        }
        input.finish()?;
        Ok(Self { items, customer_reference, limits, validate_only })
    }
}

impl Item {
    fn read(input: &mut Input) -> Option<Self> {
        let number = input.required("phone_number", |input| input.parsed("phone_number"));
        let friendly_name = input.text("friendly_name", LONGEST_NAME);
        let agent_mapping_id = input.uuid("agent_mapping_id");
        Some(Self { number: number?, friendly_name, agent_mapping_id })
    }
}

/// A currency's code: ISO 4217.
struct Currency(String);

impl std::str::FromStr for Currency {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_code = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase());
        if is_code { Ok(Self(text.to_owned())) } else { Err("must be a currency's code such as USD") }
    }
}
