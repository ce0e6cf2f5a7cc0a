//! The domain's types. They can hold only what is valid.

mod number;
mod origin;
mod permission;
mod reference;
pub mod text;
mod timestamp;
mod values;
mod words;

pub use number::{AgentMapping, AvailableAgent, HistoryEntry, PendingPurchase, PhoneNumber};
pub use origin::Origin;
pub use permission::{Actor, Permission, Role};
pub use reference::{AccountName, Reference, is_deployment};
pub use timestamp::Timestamp;
pub use values::{CountryCode, Currency, Direction, E164, Feature, Money, NumberType, Patch, PriceLimits, Status};
pub(crate) use words::words;
