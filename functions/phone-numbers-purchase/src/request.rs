//! The body of a purchase.

use std::collections::HashSet;

use shared::error::Error;
use shared::input::Input;
use shared::model::{Currency, E164, Money, PriceLimits};
use uuid::Uuid;

/// How many numbers one request may buy.
const LARGEST_ORDER: usize = 10;
/// The width of the column.
const LONGEST_NAME: usize = 255;
const LONGEST_REFERENCE: usize = 255;

/// The currency of the limits, if the request names none: ISO 4217.
const DEFAULT_CURRENCY: &str = "USD";

/// What to buy.
pub(crate) struct Request {
    pub(crate) items: Vec<Item>,
    /// The caller's own reference, which is stored and returned.
    pub(crate) customer_reference: Option<String>,
    /// The most that each number may cost.
    pub(crate) limits: PriceLimits,
    /// Whether everything is only checked, and nothing bought.
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
            currency: input.parsed::<Currency>("currency").map_or_else(|| DEFAULT_CURRENCY.to_owned(), String::from),
        };
        let validate_only = input.boolean("validate_only").unwrap_or(false);
        let mut seen = HashSet::new();
        for (index, item) in items.iter().flatten().enumerate() {
            if !seen.insert(&item.number) {
                input.refuse(&format!("phone_numbers[{index}].phone_number"), "is there more than once");
            }
        }
        input.build(|| Some(Self { items: items?, customer_reference, limits, validate_only }))
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
