//! What reconcile needs: walks through the accounts at Telnyx, the comparison with the rows, and findings.

pub(super) mod accounts;
pub(super) mod adopt;
pub(super) mod compare;
pub(super) mod decisions;
pub(super) mod finding_kinds;
pub(super) mod findings;
pub(super) mod legacy_rows;
pub(super) mod missing;
pub(super) mod moves;
pub(super) mod retention;
pub(super) mod strangers;
pub(super) mod stuck;
pub(super) mod walks;
pub(super) mod witnesses;

pub use adopt::Adoptee;
pub use compare::{Counterpart, CounterpartRow, KnownPurchase, LastRelease, Origin, Owner};
pub use decisions::{Adoption, Dismissal};
pub use finding_kinds::{FindingKind, Subject};
pub use findings::settle::UnseenFinding;
pub use findings::{Finding, Observation, OpenFindings};
pub use legacy_rows::LegacyRow;
pub use missing::{Missing, MissingRow};
pub use strangers::{Stranger, Strangers, UnseenStranger};
pub use stuck::Stuck;
pub use walks::{Place, Seen, Walk, WalkOf};
pub use witnesses::Witness;
