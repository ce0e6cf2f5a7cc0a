//! The rows of `agency_phone_numbers`: read, listed, changed, and archived.

// First, since their macros are used by the modules below.
#[macro_use]
mod row;
#[macro_use]
pub(super) mod archive;

pub(super) mod change;
pub(super) mod history;
pub(super) mod list;
pub(super) mod read;
pub(super) mod row_lock;
pub(super) mod switched_off;

pub use change::Change;
pub use history::Reconciled;
pub use list::{ListFilter, ListPage, Listing, NumbersAndAgents, Position, Summary};
