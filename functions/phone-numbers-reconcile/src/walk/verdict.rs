//! Decides what a number of an account's inventory is, from what the database has about it. Performs no I/O.

use shared::model::{AccountName, Reference, Status};
use shared::store::{Counterpart, CounterpartRow, FindingKind, KnownPurchase, LastRelease, Origin};
use shared::telnyx::Owned;
use uuid::Uuid;

/// The account and deployment that verdicts are for. They limit what the reference of a number proves.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    /// The account that shows the number.
    pub(super) account: AccountName,
    /// The deployment that the database belongs to.
    pub(super) deployment: String,
}

/// What a number is, and so what has to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has its row.
    Seen(Uuid),
    /// It has its row, which is wrong: it has another Telnyx id, or was deactivated because the number was missing.
    Correct {
        /// The row.
        row_id: Uuid,
        /// Whether the row has to be activated again.
        reactivate: bool,
    },
    /// It has its row, but was bought in another account. If it was moved here, the ledger has to name this account.
    Follow(Uuid),
    /// It was bought by this deployment and has no live row.
    Adopt {
        /// The agency that bought it.
        agency_id: Uuid,
        /// The purchase that bought it.
        purchase_id: Uuid,
    },
    /// An operator has to decide.
    Finding(FindingKind),
    /// No purchase of this deployment names it.
    Stranger,
    /// It belongs to another deployment, which shares the account.
    OtherDeployment,
    /// A purchase or release of it is under way: a later walk decides.
    InProgress,
}

/// Decides what a number is.
pub(super) fn verdict(scope: &Scope, owned: &Owned, counterpart: &Counterpart) -> Verdict {
    Case { scope, owned, counterpart }.verdict()
}

/// All that a verdict depends on.
struct Case<'a> {
    scope: &'a Scope,
    owned: &'a Owned,
    counterpart: &'a Counterpart,
}

impl Case<'_> {
    fn verdict(&self) -> Verdict {
        match self.counterpart.row.as_ref().filter(|row| row.status != Status::Released) {
            Some(row) if !row.is_ours => Verdict::OtherDeployment,
            Some(row) => match &row.origin {
                Some(origin) => self.with_purchased_row(row, origin),
                None => self.with_legacy_row(row),
            },
            None => self.without_row(),
        }
    }

    /// The number has a row with a purchase. It belongs to that row if the row has its id, or if it carries the reference of the
    /// row's purchase, in the account that it was bought in.
    fn with_purchased_row(&self, row: &CounterpartRow, origin: &Origin) -> Verdict {
        let is_this_account = self.scope.is(&origin.account);
        let has_same_id = row.phone_number_id.as_deref() == Some(&self.owned.id);
        let has_same_reference = self.owned.customer_reference.as_ref() == Some(&origin.reference);
        if is_this_account && (has_same_id || has_same_reference) {
            return self.with_row(row);
        }
        if row.status == Status::Pending {
            // The row's own purchase finds out where the number is, or that it is taken.
            return Verdict::InProgress;
        }
        if !is_this_account && has_same_id {
            Verdict::Finding(FindingKind::SameAccount)
        } else if !is_this_account && has_same_reference {
            let may_be_moved = self.scope.account.serves(row.agency_id);
            if may_be_moved { Verdict::Follow(row.id) } else { Verdict::Finding(FindingKind::UnprovenClaim) }
        } else {
            self.with_row_of_another()
        }
    }

    /// The number has a row that predates the ledger, which may have neither an id nor a purchase. It belongs to that row unless
    /// its reference names another agency.
    fn with_legacy_row(&self, row: &CounterpartRow) -> Verdict {
        let names_another_agency = self.counterpart.agency_id.is_some_and(|agency_id| agency_id != row.agency_id);
        if self.names_another_deployment() {
            Verdict::OtherDeployment
        } else if self.scope.account.serves(row.agency_id) && !names_another_agency {
            // `legacy_rows` adds the row to the ledger.
            Verdict::Seen(row.id)
        } else if row.status == Status::Pending {
            Verdict::InProgress
        } else {
            self.with_row_of_another()
        }
    }

    /// The row of the number belongs to another purchase.
    fn with_row_of_another(&self) -> Verdict {
        if self.is_ours() { Verdict::Finding(FindingKind::HeldByAnother) } else { self.without_proof() }
    }

    /// The row belongs to the number.
    fn with_row(&self, row: &CounterpartRow) -> Verdict {
        // The purchase that is under way corrects its row itself.
        if row.status == Status::Pending {
            return Verdict::Seen(row.id);
        }
        let reactivate = row.switched_off && self.owned.is_active;
        if reactivate || row.phone_number_id.as_deref() != Some(&self.owned.id) {
            Verdict::Correct { row_id: row.id, reactivate }
        } else {
            Verdict::Seen(row.id)
        }
    }

    /// The number has no live row.
    fn without_row(&self) -> Verdict {
        let Counterpart { purchase, last_release, agency_exists, .. } = self.counterpart;
        if purchase.as_ref().is_some_and(|purchase| !purchase.is_ours) {
            return Verdict::OtherDeployment;
        }
        if !self.owned.is_active {
            return Verdict::InProgress;
        }
        match (purchase, last_release) {
            // Its purchase or release is not over, or Telnyx may not show its release yet.
            (Some(KnownPurchase { is_pursued: true, .. }), _) | (_, LastRelease::Recent) => Verdict::InProgress,
            (_, LastRelease::Settled) => Verdict::Finding(FindingKind::ReleasedButBilled),
            (Some(known), _) if !known.is_named && !self.scope.is(&known.account) => Verdict::Finding(FindingKind::SameAccount),
            _ if !self.is_ours() => self.without_proof(),
            _ => match self.owner() {
                Some((agency_id, purchase_id)) if *agency_exists => Verdict::Adopt { agency_id, purchase_id },
                _ => Verdict::Finding(FindingKind::AgencyGone),
            },
        }
    }

    /// The number is not proven to be ours. It is a finding of its own if it is connected with a purchase of ours; otherwise it
    /// is a stranger.
    fn without_proof(&self) -> Verdict {
        if self.names_another_deployment() {
            return Verdict::OtherDeployment;
        }
        let is_claimed = self.counterpart.is_named || self.counterpart.is_copied || self.reference().is_some();
        if is_claimed { Verdict::Finding(FindingKind::UnprovenClaim) } else { Verdict::Stranger }
    }

    /// Whether a purchase of this deployment is proven to have bought the number.
    ///
    /// A purchase in the ledger is proof in the account that it was made in and, by its reference, in the other accounts that
    /// its agency may buy in. A purchase that the ledger does not have is proven only by a reference with this deployment's
    /// name, which references of the older form lack.
    fn is_ours(&self) -> bool {
        let Scope { account, deployment } = self.scope;
        match &self.counterpart.purchase {
            Some(known) => known.is_ours && (self.scope.is(&known.account) || (known.is_named && account.serves(known.agency_id))),
            None => self.reference().is_some_and(|named| {
                named.deployment.as_ref() == Some(deployment) && account.serves(named.agency_id) && !self.counterpart.is_copied
            }),
        }
    }

    /// The agency and purchase that the number belongs to, from the ledger or else from its reference.
    fn owner(&self) -> Option<(Uuid, Uuid)> {
        let known = self.counterpart.purchase.as_ref().map(|known| (known.agency_id, known.id));
        known.or_else(|| self.reference().map(|reference| (reference.agency_id, reference.purchase_id)))
    }

    fn names_another_deployment(&self) -> bool {
        self.reference().and_then(|named| named.deployment).is_some_and(|deployment| deployment != self.scope.deployment)
    }

    /// None if the number has no reference or one that no deployment writes.
    fn reference(&self) -> Option<Reference> {
        self.owned.customer_reference.as_deref()?.parse().ok()
    }
}

impl Scope {
    /// Whether `name`, as in the ledger, is this account.
    fn is(&self, name: &str) -> bool {
        AccountName::from(name) == self.account
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
