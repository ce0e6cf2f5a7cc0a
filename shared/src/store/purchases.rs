//! Purchases: the ledger `phone_number_purchases`, from the intent to the last phase.

pub(super) mod agency;
pub(super) mod begin;
pub(super) mod finish;
pub(super) mod holding;
pub(super) mod ledger;
pub(super) mod order;

pub use agency::BuyingAgency;
pub use begin::{Begun, Intent, Quota};
pub use finish::{Activation, BoughtNumber};
pub use holding::{Held, Holding};
pub use ledger::{Phase, Purchase, PurchaseId, Turn};
pub use order::{Offer, OrderNoted, OrderState, Sought};
