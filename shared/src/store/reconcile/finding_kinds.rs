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
    NotOurs = "not_ours", Ledger, "The account has numbers that no purchase of this deployment names.";
    UnprovenClaim = "unproven_claim", Inventory, "A purchase of ours names this number, and nothing proves that it bought it.";
    AgencyGone = "agency_gone", Inventory, "Telnyx bills this number, and the agency that it was bought for is gone.";
    HeldByAnother = "held_by_another", Inventory, "Telnyx has this number for another purchase than the row's.";
    ReleasedButBilled = "released_but_billed", Inventory, "Telnyx bills this number, though it was released.";
    InventoryDrift = "inventory_drift", Ledger, "The account does not have numbers that it should have.";
    KeyUnproven = "key_unproven", Ledger,
        "The account's API key answers for nothing that the ledger connects with this number. It seems to be another account's: put the \
         right key into the account's secret. Adopt this finding only if the key with this SHA-256 is the right one: then its word \
         counts for this number.";
    ReleaseRefused = "release_refused", Ledger,
        "Telnyx does not delete this number. Find out why in Telnyx's portal, remove its deletion lock if it has one, and have the agency \
         release the number again.";
    OrderMissing = "order_missing", Ledger,
        "The account does not know the order of this purchase any more, so that it can neither succeed nor fail by itself. Adopt this \
         finding, or have the agency release the number, to give the purchase up.";
    NumberMissing = "number_missing", Ledger,
        "The order of this purchase has succeeded, and its account does not have the number: it was deleted at Telnyx, say. Adopt this \
         finding, or have the agency release the number, to give the purchase up.";
    NumberMoved = "number_moved", Ledger,
        "Another account has this number than the one it was bought in. Adopt this finding to have the ledger follow it there.";
    SameAccount = "same_account", Ledger,
        "The account has numbers that the ledger has in another account: both names seem to stand for one account at Telnyx. Have only one \
         secret hold its key, or rename one account with `cargo dev accounts rename`.";
}

/// What a finding is about, which decides how it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A number that the account's inventory shows. The comparison ends the finding once the number is proven to be gone, or
    /// is seen as something else.
    Inventory,
    /// An account, or rows or purchases in the ledger. The code that reports the finding also closes it.
    Ledger,
}
