//! Purchases: the ledger `phone_number_purchases`, from the intent to the last phase.

pub(super) mod begin;
pub(super) mod ledger;
pub(super) mod order;

pub use begin::{Begun, Intent, Quota};
pub use ledger::{BoughtNumber, Claim, Completed, Holding, Phase, Purchase, Turn};
pub use order::{Cancelling, Offer, OrderNoted, OrderState, Sought};
