//! The domain's types. They can hold only what is valid.

mod key_digest;
mod number;
mod origin;
mod permission;
mod reference;
mod values;
mod words;

pub use key_digest::KeyDigest;
pub use number::{AgentMapping, AvailableAgent, HistoryEntry, PendingPurchase, PhoneNumber};
pub use origin::Origin;
pub use permission::{Actor, Caller, PERMISSIONS, Role};
pub use reference::{AccountName, Reference, is_deployment};
pub use values::{CountryCode, Currency, Direction, E164, Feature, Money, NumberType, Patch, PriceLimits, Status};
pub(crate) use words::words;
