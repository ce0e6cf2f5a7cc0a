//! Decides what a number of an account's inventory is, from what the database has about it. Performs no I/O.

use shared::model::{AccountName, Reference, Status};
use shared::store::{Counterpart, CounterpartRow, FindingKind, KnownPurchase, Origin};
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
        let Counterpart { purchase, released, agency_exists, .. } = self.counterpart;
        if purchase.as_ref().is_some_and(|purchase| !purchase.is_ours) {
            return Verdict::OtherDeployment;
        }
        if !self.owned.is_active {
            return Verdict::InProgress;
        }
        match (purchase, released) {
            // Its purchase or release is not over, or Telnyx may not show its release yet.
            (Some(KnownPurchase { is_pursued: true, .. }), _) | (_, Some(false)) => Verdict::InProgress,
            (_, Some(true)) => Verdict::Finding(FindingKind::ReleasedButBilled),
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
mod tests {
    use super::*;

    const AGENCY: Uuid = Uuid::from_u128(1);
    const PURCHASE: Uuid = Uuid::from_u128(2);
    const ROW: Uuid = Uuid::from_u128(9);
    const OTHER_AGENCY: Uuid = Uuid::from_u128(3);
    const ADOPT: Verdict = Verdict::Adopt { agency_id: AGENCY, purchase_id: PURCHASE };

    fn reference_of(deployment: Option<&str>, agency_id: Uuid, purchase_id: Uuid) -> String {
        Reference { deployment: deployment.map(str::to_owned), agency_id, purchase_id }.to_string()
    }

    fn ours() -> String {
        reference_of(Some("here"), AGENCY, PURCHASE)
    }

    fn scope(account: AccountName) -> Scope {
        Scope { account, deployment: "here".to_owned() }
    }

    fn platform() -> Scope {
        scope(AccountName::Platform)
    }

    fn owned(reference: Option<&str>) -> Owned {
        Owned {
            id: "100".to_owned(),
            number: "+13125550123".parse().unwrap(),
            is_active: true,
            customer_reference: reference.map(str::to_owned),
            number_type: None,
            country_code: None,
            is_locked: false,
        }
    }

    fn counterpart() -> Counterpart {
        Counterpart {
            row: None,
            purchase: None,
            agency_id: Some(AGENCY),
            agency_exists: true,
            is_copied: false,
            is_named: false,
            released: None,
        }
    }

    fn known() -> KnownPurchase {
        let account = AccountName::Platform.to_string();
        KnownPurchase { id: PURCHASE, agency_id: AGENCY, account, is_ours: true, is_named: true, is_pursued: false }
    }

    fn row(status: Status, id: Option<&str>, bought_as: Option<&str>) -> CounterpartRow {
        let account = AccountName::Platform.to_string();
        CounterpartRow {
            id: ROW,
            agency_id: AGENCY,
            status,
            phone_number_id: id.map(str::to_owned),
            origin: bought_as.map(|reference| Origin { purchase_id: PURCHASE, reference: reference.to_owned(), account }),
            is_ours: true,
            switched_off: false,
        }
    }

    fn with(row: CounterpartRow) -> Counterpart {
        Counterpart { row: Some(row), ..counterpart() }
    }

    fn purchased(purchase: KnownPurchase) -> Counterpart {
        Counterpart { purchase: Some(purchase), ..counterpart() }
    }

    #[test]
    fn a_number_without_a_row_is_adopted_only_with_our_reference_and_an_agency() {
        let ours = ours();
        assert_eq!(verdict(&platform(), &owned(Some(&ours)), &counterpart()), ADOPT);
        assert_eq!(verdict(&platform(), &owned(Some("op-42")), &counterpart()), Verdict::Stranger);
        assert_eq!(verdict(&platform(), &owned(None), &counterpart()), Verdict::Stranger);
        let no_agency = Counterpart { agency_exists: false, ..counterpart() };
        assert_eq!(verdict(&platform(), &owned(Some(&ours)), &no_agency), Verdict::Finding(FindingKind::AgencyGone));
        let ordered = Owned { is_active: false, ..owned(Some(&ours)) };
        assert_eq!(verdict(&platform(), &ordered, &counterpart()), Verdict::InProgress);
        let released = with(row(Status::Released, Some("100"), Some(&ours)));
        assert_eq!(verdict(&platform(), &owned(Some(&ours)), &released), ADOPT);
    }

    #[test]
    fn an_account_proves_purchases_only_of_the_agencies_that_may_buy_in_it() {
        let ours = ours();
        let unproven = Verdict::Finding(FindingKind::UnprovenClaim);
        assert_eq!(verdict(&scope(AccountName::Agency(AGENCY)), &owned(Some(&ours)), &counterpart()), ADOPT);
        for account in [AccountName::Agency(OTHER_AGENCY), AccountName::Secret("telnyx/old".to_owned())] {
            let scope = scope(account);
            assert_eq!(verdict(&scope, &owned(Some(&ours)), &counterpart()), unproven, "a purchase that the ledger does not know");
            assert_eq!(verdict(&scope, &owned(Some(&ours)), &purchased(known())), unproven, "a purchase in another account");
            let active = with(row(Status::Active, Some("7"), Some(&ours)));
            assert_eq!(verdict(&scope, &owned(Some(&ours)), &active), unproven, "the number of a row");
            let held_by_id = KnownPurchase { account: scope.account.to_string(), is_named: false, ..known() };
            assert_eq!(verdict(&scope, &owned(None), &purchased(held_by_id)), ADOPT, "what was bought in it");
        }
        let legacy = with(CounterpartRow { agency_id: OTHER_AGENCY, ..row(Status::Active, None, None) });
        assert_eq!(verdict(&scope(AccountName::Agency(AGENCY)), &owned(None), &legacy), Verdict::Stranger);
    }

    #[test]
    fn a_number_that_names_the_purchase_of_a_row_may_have_been_moved_here() {
        let ours = ours();
        let own = scope(AccountName::Agency(AGENCY));
        let active = with(row(Status::Active, Some("7"), Some(&ours)));
        assert_eq!(verdict(&own, &owned(Some(&ours)), &active), Verdict::Follow(ROW));
        let pending = with(row(Status::Pending, None, Some(&ours)));
        assert_eq!(verdict(&own, &owned(Some(&ours)), &pending), Verdict::InProgress);
    }

    #[test]
    fn the_same_id_in_two_accounts_means_that_they_are_the_same_account() {
        let same = Verdict::Finding(FindingKind::SameAccount);
        let own = scope(AccountName::Agency(AGENCY));
        let active = with(row(Status::Active, Some("100"), Some(&ours())));
        assert_eq!(verdict(&own, &owned(Some(&ours())), &active), same);
        assert_eq!(verdict(&own, &owned(None), &active), same);
        assert_eq!(verdict(&own, &owned(None), &purchased(KnownPurchase { is_named: false, ..known() })), same);
    }

    #[test]
    fn the_numbers_of_another_deployment_are_ignored() {
        let other = reference_of(Some("there"), AGENCY, PURCHASE);
        let ours = ours();
        let made_there = purchased(KnownPurchase { is_ours: false, ..known() });
        let row_from_there = |bought_as| with(CounterpartRow { is_ours: false, ..row(Status::Active, Some("100"), bought_as) });
        let cases = [
            (Some(other.as_str()), counterpart()),
            (Some(other.as_str()), with(row(Status::Active, None, None))),
            (Some(other.as_str()), with(row(Status::Active, Some("7"), Some(&ours)))),
            (Some(ours.as_str()), made_there.clone()),
            (None, made_there),
            (None, row_from_there(Some(&ours))),
            (None, row_from_there(None)),
        ];
        for (reference, counterpart) in cases {
            assert_eq!(verdict(&platform(), &owned(reference), &counterpart), Verdict::OtherDeployment, "{reference:?} {counterpart:?}");
        }
        let by_id = with(row(Status::Active, Some("100"), Some(&ours)));
        assert_eq!(verdict(&platform(), &owned(Some(&other)), &by_id), Verdict::Seen(ROW), "the same id is the same number");
    }

    #[test]
    fn a_number_that_a_purchase_of_ours_names_is_no_stranger() {
        let ours = ours();
        let copied = Counterpart { is_copied: true, ..counterpart() };
        for (reference, counterpart) in [
            (Some(ours.as_str()), copied.clone()),
            (Some("one of ours, on another number"), copied),
            (None, Counterpart { is_named: true, ..counterpart() }),
        ] {
            let verdict = verdict(&platform(), &owned(reference), &counterpart);
            assert_eq!(verdict, Verdict::Finding(FindingKind::UnprovenClaim), "{reference:?}");
        }
    }

    #[test]
    fn a_released_number_without_a_reference_is_no_stranger() {
        let released = Counterpart { released: Some(true), ..counterpart() };
        assert_eq!(verdict(&platform(), &owned(None), &released), Verdict::Finding(FindingKind::ReleasedButBilled));
        let recently = Counterpart { released: Some(false), ..counterpart() };
        assert_eq!(verdict(&platform(), &owned(None), &recently), Verdict::InProgress);
    }

    #[test]
    fn a_reference_without_a_deployment_is_proof_only_with_a_purchase_in_the_ledger() {
        for old in [PURCHASE.to_string(), reference_of(None, AGENCY, PURCHASE)] {
            assert_eq!(verdict(&platform(), &owned(Some(&old)), &purchased(known())), ADOPT, "{old}");
        }
        let old = reference_of(None, AGENCY, PURCHASE);
        assert_eq!(verdict(&platform(), &owned(Some(&old)), &counterpart()), Verdict::Finding(FindingKind::UnprovenClaim));
    }

    #[test]
    fn a_number_with_unfinished_work_or_a_recent_release_is_in_progress() {
        let ours = ours();
        let pursued = purchased(KnownPurchase { is_pursued: true, ..known() });
        assert_eq!(verdict(&platform(), &owned(Some(&ours)), &pursued), Verdict::InProgress);
        for (released, expected) in [(false, Verdict::InProgress), (true, Verdict::Finding(FindingKind::ReleasedButBilled))] {
            let released = Counterpart { released: Some(released), ..purchased(known()) };
            assert_eq!(verdict(&platform(), &owned(Some(&ours)), &released), expected);
        }
    }

    #[test]
    fn a_number_belongs_to_the_row_with_its_id_or_its_purchase() {
        let ours = ours();
        assert_eq!(verdict(&platform(), &owned(None), &with(row(Status::Active, Some("100"), Some("else")))), Verdict::Seen(ROW));
        assert_eq!(verdict(&platform(), &owned(Some(&ours)), &with(row(Status::Pending, None, Some(&ours)))), Verdict::Seen(ROW));
        let wrong_id = with(row(Status::Active, Some("7"), Some(&ours)));
        assert_eq!(verdict(&platform(), &owned(Some(&ours)), &wrong_id), Verdict::Correct { row_id: ROW, reactivate: false });
        let off = with(CounterpartRow { switched_off: true, ..row(Status::Inactive, Some("100"), Some(&ours)) });
        assert_eq!(verdict(&platform(), &owned(Some(&ours)), &off), Verdict::Correct { row_id: ROW, reactivate: true });
    }

    #[test]
    fn a_number_belongs_to_a_legacy_row_unless_it_names_another_agency() {
        let unnamed = Counterpart { agency_id: None, ..with(row(Status::Active, None, None)) };
        assert_eq!(verdict(&platform(), &owned(None), &unnamed), Verdict::Seen(ROW));
        let ours = ours();
        assert_eq!(verdict(&platform(), &owned(Some(&ours)), &with(row(Status::Active, Some("7"), None))), Verdict::Seen(ROW));
        let for_another = with(CounterpartRow { agency_id: OTHER_AGENCY, ..row(Status::Active, None, None) });
        assert_eq!(verdict(&platform(), &owned(Some(&ours)), &for_another), Verdict::Finding(FindingKind::HeldByAnother));
    }

    #[test]
    fn a_number_in_the_row_of_another_purchase_is_not_changed() {
        let other = reference_of(Some("here"), OTHER_AGENCY, Uuid::from_u128(4));
        let ours = ours();
        let held = with(row(Status::Active, Some("7"), Some(&other)));
        assert_eq!(verdict(&platform(), &owned(Some(&ours)), &held), Verdict::Finding(FindingKind::HeldByAnother));
        let held_as_bought = Counterpart { is_named: true, ..held.clone() };
        assert_eq!(verdict(&platform(), &owned(Some("op-42")), &held_as_bought), Verdict::Finding(FindingKind::UnprovenClaim));
        assert_eq!(verdict(&platform(), &owned(Some("op-42")), &held), Verdict::Stranger);
        let pending = with(row(Status::Pending, None, Some(&other)));
        assert_eq!(verdict(&platform(), &owned(Some(&ours)), &pending), Verdict::InProgress);
    }
}
