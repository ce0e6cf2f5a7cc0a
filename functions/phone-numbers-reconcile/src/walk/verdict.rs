//! What a number of Telnyx' inventory is to us.

use shared::model::{AccountName, Reference, Status};
use shared::store::{Counterpart, CounterpartRow, FindingKind, KnownPurchase, Origin};
use shared::telnyx::Owned;
use uuid::Uuid;

/// Who is asked, and for whom: what a number's reference says counts only within these bounds.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The account that shows the number.
    pub(crate) account: AccountName,
    /// The deployment that the database belongs to.
    pub(crate) deployment: String,
}

/// What is to be done about a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It has its row.
    Seen(Uuid),
    /// It has its row, which knows it by another id or was switched off for want of it.
    Correct {
        /// The row.
        row_id: Uuid,
        /// Whether it is to be switched on again.
        reactivate: bool,
    },
    /// It has its row, and was bought in another account: the ledger may have to follow it here.
    Follow(Uuid),
    /// It is ours and has no live row.
    Adopt {
        /// The agency that bought it.
        agency_id: Uuid,
        /// The purchase that bought it.
        purchase_id: Uuid,
    },
    /// An operator must look at it.
    Finding(FindingKind),
    /// No purchase of ours names it.
    Stranger,
    /// It is another deployment's, which shares the account.
    AnotherDeployments,
    /// It is on its way to become something else.
    Later,
}

/// Holds a number against the row and the purchase that go with it.
pub(crate) fn verdict(asked: &Asked, owned: &Owned, counterpart: &Counterpart) -> Verdict {
    match counterpart.row.as_ref().filter(|row| row.status != Status::Released) {
        Some(row) if !row.is_ours => Verdict::AnotherDeployments,
        Some(row) => match &row.origin {
            Some(origin) => against_purchase(asked, owned, counterpart, row, origin),
            None => against_leftover(asked, owned, counterpart, row),
        },
        None => homeless(asked, owned, counterpart),
    }
}

/// A number belongs to the row that has its id, or whose purchase it names, in the account that it was bought in.
fn against_purchase(asked: &Asked, owned: &Owned, counterpart: &Counterpart, row: &CounterpartRow, origin: &Origin) -> Verdict {
    let has_its_id = row.phone_number_id.as_deref() == Some(&owned.id);
    let names_it = owned.customer_reference.as_ref() == Some(&origin.reference);
    match asked.is(&origin.account) {
        true if has_its_id || names_it => at_home(owned, row),
        // Whoever is buying it finds out where it is, or that it is taken.
        _ if row.status == Status::Pending => Verdict::Later,
        false if has_its_id => Verdict::Finding(FindingKind::SameAccount),
        false if names_it && asked.account.serves(row.agency_id) => Verdict::Follow(row.id),
        false if names_it => Verdict::Finding(FindingKind::UnprovenClaim),
        _ => in_anothers_row(asked, owned, counterpart),
    }
}

/// A row from before the ledger may know neither id nor purchase: it has the number unless that names another agency.
fn against_leftover(asked: &Asked, owned: &Owned, counterpart: &Counterpart, row: &CounterpartRow) -> Verdict {
    if names_another_deployment(asked, owned) {
        Verdict::AnotherDeployments
    } else if asked.account.serves(row.agency_id) && counterpart.agency_id.is_none_or(|agency_id| agency_id == row.agency_id) {
        // The backfill sees to it.
        Verdict::Seen(row.id)
    } else if row.status == Status::Pending {
        Verdict::Later
    } else {
        in_anothers_row(asked, owned, counterpart)
    }
}

fn in_anothers_row(asked: &Asked, owned: &Owned, counterpart: &Counterpart) -> Verdict {
    if is_ours(asked, owned, counterpart) { Verdict::Finding(FindingKind::HeldByAnother) } else { without_proof(asked, owned, counterpart) }
}

fn at_home(owned: &Owned, row: &CounterpartRow) -> Verdict {
    let row_id = row.id;
    // Its own saga sees to it.
    if row.status == Status::Pending {
        return Verdict::Seen(row_id);
    }
    let reactivate = row.switched_off && owned.is_active;
    if reactivate || row.phone_number_id.as_deref() != Some(&owned.id) {
        Verdict::Correct { row_id, reactivate }
    } else {
        Verdict::Seen(row_id)
    }
}

fn homeless(asked: &Asked, owned: &Owned, counterpart: &Counterpart) -> Verdict {
    let purchase = counterpart.purchase.as_ref();
    if purchase.is_some_and(|purchase| !purchase.is_ours) {
        return Verdict::AnotherDeployments;
    }
    if !owned.is_active {
        return Verdict::Later;
    }
    match (purchase, counterpart.released) {
        // Its saga comes to its own end first; or Telnyx may not have taken note of its release yet.
        (Some(KnownPurchase { is_pursued: true, .. }), _) | (_, Some(false)) => Verdict::Later,
        (_, Some(true)) => Verdict::Finding(FindingKind::ReleasedButBilled),
        (Some(known), _) if !known.is_named && !asked.is(&known.account) => Verdict::Finding(FindingKind::SameAccount),
        _ if !is_ours(asked, owned, counterpart) => without_proof(asked, owned, counterpart),
        _ => match whose(owned, counterpart) {
            Some((agency_id, purchase_id)) if counterpart.agency_exists => Verdict::Adopt { agency_id, purchase_id },
            _ => Verdict::Finding(FindingKind::AgencyGone),
        },
    }
}

/// Of the numbers that are not proven to be ours, those that have to do with us are findings of their own. The others are one.
fn without_proof(asked: &Asked, owned: &Owned, counterpart: &Counterpart) -> Verdict {
    if names_another_deployment(asked, owned) {
        return Verdict::AnotherDeployments;
    }
    let is_claimed = counterpart.is_named || counterpart.is_copied || reference(owned).is_some();
    if is_claimed { Verdict::Finding(FindingKind::UnprovenClaim) } else { Verdict::Stranger }
}

/// Whether a number is proven to be of a purchase of ours. An account can speak for the agencies that may buy in it, and for
/// what was bought in it. A purchase that the ledger does not know is believed only in the present form of the reference, with
/// the name of this deployment.
fn is_ours(asked: &Asked, owned: &Owned, counterpart: &Counterpart) -> bool {
    match &counterpart.purchase {
        Some(known) => known.is_ours && (asked.is(&known.account) || (known.is_named && asked.account.serves(known.agency_id))),
        None => reference(owned).is_some_and(|named| {
            named.deployment.as_ref() == Some(&asked.deployment) && asked.account.serves(named.agency_id) && !counterpart.is_copied
        }),
    }
}

/// The agency and purchase that a number names: the ledger knows them, or the reference itself does.
fn whose(owned: &Owned, counterpart: &Counterpart) -> Option<(Uuid, Uuid)> {
    let known = counterpart.purchase.as_ref().map(|known| (known.agency_id, known.id));
    known.or_else(|| reference(owned).map(|reference| (reference.agency_id, reference.purchase_id)))
}

fn names_another_deployment(asked: &Asked, owned: &Owned) -> bool {
    reference(owned).and_then(|named| named.deployment).is_some_and(|deployment| deployment != asked.deployment)
}

fn reference(owned: &Owned) -> Option<Reference> {
    owned.customer_reference.as_deref()?.parse().ok()
}

impl Asked {
    /// Whether the ledger means this account by a name.
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

    fn asked(account: AccountName) -> Asked {
        Asked { account, deployment: "here".to_owned() }
    }

    fn platform() -> Asked {
        asked(AccountName::Platform)
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

    fn bought(purchase: KnownPurchase) -> Counterpart {
        Counterpart { purchase: Some(purchase), ..counterpart() }
    }

    #[test]
    fn a_number_without_a_row_is_adopted_only_with_our_reference_and_an_agency() {
        let ours = ours();
        assert_eq!(verdict(&platform(), &owned(Some(&ours)), &counterpart()), ADOPT);
        assert_eq!(verdict(&platform(), &owned(Some("op-42")), &counterpart()), Verdict::Stranger);
        assert_eq!(verdict(&platform(), &owned(None), &counterpart()), Verdict::Stranger);
        let gone = Counterpart { agency_exists: false, ..counterpart() };
        assert_eq!(verdict(&platform(), &owned(Some(&ours)), &gone), Verdict::Finding(FindingKind::AgencyGone));
        let ordered = Owned { is_active: false, ..owned(Some(&ours)) };
        assert_eq!(verdict(&platform(), &ordered, &counterpart()), Verdict::Later);
        let released = with(row(Status::Released, Some("100"), Some(&ours)));
        assert_eq!(verdict(&platform(), &owned(Some(&ours)), &released), ADOPT);
    }

    #[test]
    fn an_account_speaks_only_for_the_agencies_that_may_buy_in_it() {
        let ours = ours();
        let unproven = Verdict::Finding(FindingKind::UnprovenClaim);
        assert_eq!(verdict(&asked(AccountName::Agency(AGENCY)), &owned(Some(&ours)), &counterpart()), ADOPT);
        for account in [AccountName::Agency(OTHER_AGENCY), AccountName::Secret("telnyx/old".to_owned())] {
            let asked = asked(account);
            assert_eq!(verdict(&asked, &owned(Some(&ours)), &counterpart()), unproven, "a purchase that the ledger does not know");
            assert_eq!(verdict(&asked, &owned(Some(&ours)), &bought(known())), unproven, "a purchase in another account");
            let active = with(row(Status::Active, Some("7"), Some(&ours)));
            assert_eq!(verdict(&asked, &owned(Some(&ours)), &active), unproven, "the number of a row");
            let held_by_id = KnownPurchase { account: asked.account.to_string(), is_named: false, ..known() };
            assert_eq!(verdict(&asked, &owned(None), &bought(held_by_id)), ADOPT, "what was bought in it");
        }
        let leftover = with(CounterpartRow { agency_id: OTHER_AGENCY, ..row(Status::Active, None, None) });
        assert_eq!(verdict(&asked(AccountName::Agency(AGENCY)), &owned(None), &leftover), Verdict::Stranger);
    }

    #[test]
    fn a_number_that_names_the_purchase_of_a_row_may_have_been_moved_here() {
        let ours = ours();
        let own = asked(AccountName::Agency(AGENCY));
        let active = with(row(Status::Active, Some("7"), Some(&ours)));
        assert_eq!(verdict(&own, &owned(Some(&ours)), &active), Verdict::Follow(ROW));
        let pending = with(row(Status::Pending, None, Some(&ours)));
        assert_eq!(verdict(&own, &owned(Some(&ours)), &pending), Verdict::Later);
    }

    #[test]
    fn one_id_in_two_accounts_means_that_they_are_one() {
        let same = Verdict::Finding(FindingKind::SameAccount);
        let own = asked(AccountName::Agency(AGENCY));
        let active = with(row(Status::Active, Some("100"), Some(&ours())));
        assert_eq!(verdict(&own, &owned(Some(&ours())), &active), same);
        assert_eq!(verdict(&own, &owned(None), &active), same);
        assert_eq!(verdict(&own, &owned(None), &bought(KnownPurchase { is_named: false, ..known() })), same);
    }

    #[test]
    fn the_numbers_of_another_deployment_are_passed_over() {
        let theirs = reference_of(Some("there"), AGENCY, PURCHASE);
        let ours = ours();
        let written_there = bought(KnownPurchase { is_ours: false, ..known() });
        let row_from_there = |bought_as| with(CounterpartRow { is_ours: false, ..row(Status::Active, Some("100"), bought_as) });
        let cases = [
            (Some(theirs.as_str()), counterpart()),
            (Some(theirs.as_str()), with(row(Status::Active, None, None))),
            (Some(theirs.as_str()), with(row(Status::Active, Some("7"), Some(&ours)))),
            (Some(ours.as_str()), written_there.clone()),
            (None, written_there),
            (None, row_from_there(Some(&ours))),
            (None, row_from_there(None)),
        ];
        for (reference, counterpart) in cases {
            assert_eq!(verdict(&platform(), &owned(reference), &counterpart), Verdict::AnotherDeployments, "{reference:?} {counterpart:?}");
        }
        let by_id = with(row(Status::Active, Some("100"), Some(&ours)));
        assert_eq!(verdict(&platform(), &owned(Some(&theirs)), &by_id), Verdict::Seen(ROW), "the same id is the same number");
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
    fn a_number_that_was_released_is_no_stranger_though_nothing_names_us() {
        let released = Counterpart { released: Some(true), ..counterpart() };
        assert_eq!(verdict(&platform(), &owned(None), &released), Verdict::Finding(FindingKind::ReleasedButBilled));
        let lately = Counterpart { released: Some(false), ..counterpart() };
        assert_eq!(verdict(&platform(), &owned(None), &lately), Verdict::Later);
    }

    #[test]
    fn a_reference_from_before_deployments_had_names_counts_where_the_ledger_knows_it() {
        for old in [PURCHASE.to_string(), reference_of(None, AGENCY, PURCHASE)] {
            assert_eq!(verdict(&platform(), &owned(Some(&old)), &bought(known())), ADOPT, "{old}");
        }
        let old = reference_of(None, AGENCY, PURCHASE);
        assert_eq!(verdict(&platform(), &owned(Some(&old)), &counterpart()), Verdict::Finding(FindingKind::UnprovenClaim));
    }

    #[test]
    fn what_is_being_pursued_or_was_just_released_waits() {
        let ours = ours();
        let pursued = bought(KnownPurchase { is_pursued: true, ..known() });
        assert_eq!(verdict(&platform(), &owned(Some(&ours)), &pursued), Verdict::Later);
        for (released, expected) in [(false, Verdict::Later), (true, Verdict::Finding(FindingKind::ReleasedButBilled))] {
            let released = Counterpart { released: Some(released), ..bought(known()) };
            assert_eq!(verdict(&platform(), &owned(Some(&ours)), &released), expected);
        }
    }

    #[test]
    fn a_number_is_at_home_in_the_row_with_its_id_or_its_purchase() {
        let ours = ours();
        assert_eq!(verdict(&platform(), &owned(None), &with(row(Status::Active, Some("100"), Some("else")))), Verdict::Seen(ROW));
        assert_eq!(verdict(&platform(), &owned(Some(&ours)), &with(row(Status::Pending, None, Some(&ours)))), Verdict::Seen(ROW));
        let wrong_id = with(row(Status::Active, Some("7"), Some(&ours)));
        assert_eq!(verdict(&platform(), &owned(Some(&ours)), &wrong_id), Verdict::Correct { row_id: ROW, reactivate: false });
        let off = with(CounterpartRow { switched_off: true, ..row(Status::Inactive, Some("100"), Some(&ours)) });
        assert_eq!(verdict(&platform(), &owned(Some(&ours)), &off), Verdict::Correct { row_id: ROW, reactivate: true });
    }

    #[test]
    fn a_row_from_before_the_ledger_has_its_number_unless_that_names_another_agency() {
        let nameless = Counterpart { agency_id: None, ..with(row(Status::Active, None, None)) };
        assert_eq!(verdict(&platform(), &owned(None), &nameless), Verdict::Seen(ROW));
        let ours = ours();
        assert_eq!(verdict(&platform(), &owned(Some(&ours)), &with(row(Status::Active, Some("7"), None))), Verdict::Seen(ROW));
        let anothers = with(CounterpartRow { agency_id: OTHER_AGENCY, ..row(Status::Active, None, None) });
        assert_eq!(verdict(&platform(), &owned(Some(&ours)), &anothers), Verdict::Finding(FindingKind::HeldByAnother));
    }

    #[test]
    fn a_number_in_another_purchases_row_is_nobodys_to_change() {
        let other = reference_of(Some("here"), OTHER_AGENCY, Uuid::from_u128(4));
        let ours = ours();
        let held = with(row(Status::Active, Some("7"), Some(&other)));
        assert_eq!(verdict(&platform(), &owned(Some(&ours)), &held), Verdict::Finding(FindingKind::HeldByAnother));
        let held_as_bought = Counterpart { is_named: true, ..held.clone() };
        assert_eq!(verdict(&platform(), &owned(Some("op-42")), &held_as_bought), Verdict::Finding(FindingKind::UnprovenClaim));
        assert_eq!(verdict(&platform(), &owned(Some("op-42")), &held), Verdict::Stranger);
        let pending = with(row(Status::Pending, None, Some(&other)));
        assert_eq!(verdict(&platform(), &owned(Some(&ours)), &pending), Verdict::Later);
    }
}
