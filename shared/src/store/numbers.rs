//! The rows of `agency_phone_numbers`: read, listed, changed, and archived.

// First, since their macros are used by the modules below.
#[macro_use]
pub(super) mod row;

pub(super) mod archive;
pub(super) mod change;
pub(super) mod count;
pub(super) mod history;
mod list;
pub(super) mod page;
pub(super) mod read;
pub(super) mod row_lock;
mod search;
mod selection;
pub(super) mod switched_off;

pub use change::Change;
pub use count::{EXACT_TOTAL, Summary, Total};
pub use history::{History, Reconciled};
pub use list::{ListPage, Listing, NumbersAndAgents};
pub use selection::{ListFilter, Position};
