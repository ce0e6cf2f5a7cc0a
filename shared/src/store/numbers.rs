//! The rows of `agency_phone_numbers`: read, listed and changed.

pub(super) mod change;
pub(super) mod history;
pub(super) mod list;
pub(super) mod switched_off;

pub use change::Change;
pub use list::{Assignment, ListFilter, ListPage, Listing, Position, Summary};
