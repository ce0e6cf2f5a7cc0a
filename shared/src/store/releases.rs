//! Releases: the ledger `phone_number_releases`, from the request to the last phase.

pub(super) mod begin;
pub(super) mod finish;
pub(super) mod ledger;

pub use begin::{ReleaseBegun, ReleaseStart, ReleaseTarget};
pub use ledger::{HeldRelease, Release, ReleaseId};
