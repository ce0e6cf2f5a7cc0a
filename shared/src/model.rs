//! The domain's types. They can hold only what is valid.

mod country;
mod key_digest;
mod number;
mod origin;
mod permission;
mod reference;
pub mod text;
mod timestamp;
mod values;
mod words;
mod written;
mod written_number;

pub use country::{COUNTRIES, CountryCode};
pub use key_digest::KeyDigest;
pub use number::{AgentMapping, AvailableAgent, HistoryEntry, PendingPurchase, PhoneNumber};
pub use origin::Origin;
pub use permission::{Actor, Caller, PERMISSIONS, Role, permitted_roles};
pub use reference::{AccountName, Reference, is_deployment};
pub use timestamp::Timestamp;
pub use values::{Currency, Direction, E164, Feature, Money, NumberType, Patch, PriceLimits, Status};
pub(crate) use words::words;
pub use written::Written;
pub(crate) use written::schema_of;
pub use written_number::digits_of_written_number;
