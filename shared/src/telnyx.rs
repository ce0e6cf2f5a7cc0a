//! A client for Telnyx's API v2: searching, ordering, listing and deleting phone numbers.
//!
//! <https://developers.telnyx.com/api/numbers>. [`Failure`] tells what a call that failed may have done. Only calls that change
//! nothing are repeated after a lost connection. Answers are read leniently, one item at a time: a member that cannot be read
//! is unknown, and absence is reported only if everything that could contradict it was read.
//!
//! In reading order:
//!
//! | file | subject |
//! |---|---|
//! | `client` | [`Client`], and [`Session`]: an account and a deadline, on which every call is a method |
//! | `offers` | numbers for sale: `GET /available_phone_numbers` |
//! | `orders` | `/number_orders`, `/number_order_phone_numbers`, `/sub_number_orders` |
//! | `inventory` | numbers that an account has: `/phone_numbers` |
//! | `listing` | pages, and searching through all of them |
//! | `failure` | Telnyx's statuses and error codes as [`Failure`] and [`Refusal`] |
//! | `accounts` | [`Account`] and its API key |
//! | `transport` | one HTTP request and its response |
//! | `rate_limits` | accounts that must wait |
//! | `json` | the lenient reader |
//! | `ids` | which texts can be ids, and ids in paths |
//!
//! A member of a document is declared in the file of its resource: the field, the code that reads it and the call that returns it.

mod accounts;
mod client;
mod failure;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
mod ids;
mod inventory;
mod json;
mod listing;
mod offers;
mod orders;
mod rate_limits;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod testing;
mod transport;

pub use accounts::{Account, Accounts};
pub use client::{Client, Session};
pub use failure::{Failure, Refusal};
pub use ids::usable_id;
pub use inventory::{InventoryPage, Owned};
pub use offers::{Available, Offers, Region, Search};
pub use orders::{Order, OrderStatus, Orders};
