//! The body of a purchase.

use std::collections::HashSet;

use shared::error::Error;
use shared::input::Input;
use shared::model::E164;
use uuid::Uuid;

/// How many numbers one request may buy.
const LARGEST_ORDER: usize = 10;
/// The width of the column.
const LONGEST_NAME: usize = 255;
const LONGEST_REFERENCE: usize = 255;

/// What to buy.
pub(crate) struct Request {
    pub(crate) items: Vec<Item>,
    /// The caller's own reference: kept and echoed.
    pub(crate) customer_reference: Option<String>,
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
        let items = items.unwrap_or_default();
        let mut seen = HashSet::new();
        for (index, item) in items.iter().enumerate() {
            if !seen.insert(&item.number) {
                input.refuse(&format!("phone_numbers[{index}].phone_number"), "is there more than once");
            }
        }
        input.finish()?;
        Ok(Self { items, customer_reference })
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
