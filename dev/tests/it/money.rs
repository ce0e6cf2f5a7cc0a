//! Purchases and releases: prices, quotas, failures, crashes, races.

pub(crate) mod bought_again;
mod bought_again_crashes;
mod crash_points;
mod implausible_price;
mod keyed_purchase_crashes;
mod keyed_purchase_expiry;
pub(crate) mod keyed_purchases;
mod price;
mod purchase;
pub(crate) mod purchase_crashes;
mod purchase_failures;
mod purchase_races;
mod quota;
mod release;
pub(crate) mod release_failures;
mod validate_only;
