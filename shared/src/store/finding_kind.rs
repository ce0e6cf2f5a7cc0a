//! The kinds of finding: what is the matter, in a word for the database, a metric, and a sentence for an operator.

use crate::model::words;

/// One line a kind: its word, which `phone_number_findings_kind_known` lists too, what it is about, and its sentence. The name
/// of the variant is the name of its metric, for which `template.yaml` has an alarm.
macro_rules! kinds {
    ($($variant:ident = $word:literal, $subject:ident, $detail:literal;)+) => {
        words! {
            /// What is the matter.
            FindingKind { $(#[doc = $detail] $variant = $word),+ }
        }

        impl FindingKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The metric that counts the open findings of this kind.
            #[must_use]
            pub const fn metric(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),+ }
            }

            /// What it is about.
            #[must_use]
            pub const fn subject(self) -> Subject {
                match self { $(Self::$variant => Subject::$subject),+ }
            }

            /// What it means, as a sentence for an operator.
            #[must_use]
            pub const fn detail(self) -> &'static str {
                match self { $(Self::$variant => $detail),+ }
            }
        }
    };
}

kinds! {
    NotOurs = "not_ours", Ledger, "The account has numbers that no purchase of ours names.";
    UnprovenClaim = "unproven_claim", Inventory, "A purchase of ours names this number, and nothing proves that it bought it.";
    AgencyGone = "agency_gone", Inventory, "Telnyx bills this number, and the agency that it was bought for is gone.";
    HeldByAnother = "held_by_another", Inventory, "Telnyx has this number for another purchase than the row's.";
    ReleasedButBilled = "released_but_billed", Inventory, "Telnyx bills this number, though it was released.";
    InventoryDrift = "inventory_drift", Ledger, "The account does not have numbers that it should have.";
}

/// What a finding is about, which decides how it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A number that the account's inventory shows. The comparison ends the finding once the number is proven to be gone, or
    /// is seen as something else.
    Inventory,
    /// An account, or rows or purchases of ours. Whoever reports the finding ends it.
    Ledger,
}
