//! What a number of Telnyx' inventory is to us.

use shared::model::{Reference, Status};
use shared::store::{Counterpart, CounterpartRow, FindingKind};
use shared::telnyx::Owned;
use uuid::Uuid;

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
    /// It is ours and has no live row.
    Adopt(Reference),
    /// An operator must look at it.
    Finding(FindingKind),
    /// No purchase of ours names it.
    Stranger,
    /// It is on its way to become something else.
    Later,
}

/// Holds a number against the row and the purchase that go with it.
pub(crate) fn verdict(owned: &Owned, counterpart: &Counterpart) -> Verdict {
    match counterpart.row.as_ref().filter(|row| row.status != Status::Released) {
        Some(row) if belongs(owned, counterpart, row) => at_home(owned, row),
        // Whoever is buying it finds out that it is taken.
        Some(row) if row.status == Status::Pending => Verdict::Later,
        Some(_) if is_ours(owned, counterpart) => Verdict::Finding(FindingKind::HeldByAnother),
        Some(_) => without_proof(owned, counterpart),
        None => homeless(owned, counterpart),
    }
}

/// A number belongs to the row that has its id, or whose purchase it names. A row from before the ledger may know neither:
/// it has the number unless that names another agency.
fn belongs(owned: &Owned, counterpart: &Counterpart, row: &CounterpartRow) -> bool {
    if row.bought_as.is_none() {
        return counterpart.agency_id.is_none_or(|agency_id| agency_id == row.agency_id);
    }
    row.phone_number_id.as_deref() == Some(&owned.id) || row.bought_as == owned.customer_reference
}

fn at_home(owned: &Owned, row: &CounterpartRow) -> Verdict {
    let row_id = row.id;
    // Their own sagas, or the backfill, see to these.
    if row.status == Status::Pending || row.bought_as.is_none() {
        return Verdict::Seen(row_id);
    }
    let reactivate = row.switched_off && owned.is_active;
    if reactivate || row.phone_number_id.as_deref() != Some(&owned.id) {
        Verdict::Correct { row_id, reactivate }
    } else {
        Verdict::Seen(row_id)
    }
}

fn homeless(owned: &Owned, counterpart: &Counterpart) -> Verdict {
    if !owned.is_active {
        return Verdict::Later;
    }
    match (counterpart.purchase, counterpart.released) {
        // Its saga comes to its own end first; or Telnyx may not have taken note of its release yet.
        (Some((_, true)), _) | (_, Some(false)) => Verdict::Later,
        (_, Some(true)) => Verdict::Finding(FindingKind::ReleasedButBilled),
        _ if !is_ours(owned, counterpart) => without_proof(owned, counterpart),
        _ => match whose(owned, counterpart) {
            Some(reference) if counterpart.agency_exists => Verdict::Adopt(reference),
            _ => Verdict::Finding(FindingKind::AgencyGone),
        },
    }
}

/// Of the numbers that are not proven to be ours, those that have to do with us are findings of their own. The others are one.
fn without_proof(owned: &Owned, counterpart: &Counterpart) -> Verdict {
    let is_claimed = counterpart.is_named || counterpart.is_copied || reference(owned).is_some();
    if is_claimed { Verdict::Finding(FindingKind::UnprovenClaim) } else { Verdict::Stranger }
}

fn is_ours(owned: &Owned, counterpart: &Counterpart) -> bool {
    counterpart.purchase.is_some() || (reference(owned).is_some() && !counterpart.is_copied)
}

/// The agency and purchase that a number names: the ledger knows them, or the reference itself does.
fn whose(owned: &Owned, counterpart: &Counterpart) -> Option<Reference> {
    let known = counterpart.purchase.zip(counterpart.agency_id);
    known.map(|((purchase_id, _), agency_id)| Reference { agency_id, purchase_id }).or_else(|| reference(owned))
}

fn reference(owned: &Owned) -> Option<Reference> {
    owned.customer_reference.as_deref()?.parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const OURS: Reference = Reference { agency_id: Uuid::from_u128(1), purchase_id: Uuid::from_u128(2) };

    fn owned(reference: Option<&str>) -> Owned {
        Owned {
            id: "100".to_owned(),
            number: "+13125550123".parse().unwrap(),
            is_active: true,
            customer_reference: reference.map(str::to_owned),
            number_type: None,
            country_code: None,
        }
    }

    const ROW: Uuid = Uuid::from_u128(9);

    fn counterpart() -> Counterpart {
        Counterpart {
            row: None,
            purchase: None,
            agency_id: Some(OURS.agency_id),
            agency_exists: true,
            is_copied: false,
            is_named: false,
            released: None,
        }
    }

    fn row(status: Status, id: Option<&str>, bought_as: Option<&str>) -> CounterpartRow {
        CounterpartRow {
            id: ROW,
            agency_id: OURS.agency_id,
            status,
            phone_number_id: id.map(str::to_owned),
            bought_as: bought_as.map(str::to_owned),
            switched_off: false,
        }
    }

    fn with(row: CounterpartRow) -> Counterpart {
        Counterpart { row: Some(row), ..counterpart() }
    }

    #[test]
    fn a_number_without_a_row_is_adopted_only_with_our_reference_and_an_agency() {
        let ours = OURS.to_string();
        assert_eq!(verdict(&owned(Some(&ours)), &counterpart()), Verdict::Adopt(OURS));
        assert_eq!(verdict(&owned(Some("op-42")), &counterpart()), Verdict::Stranger);
        assert_eq!(verdict(&owned(None), &counterpart()), Verdict::Stranger);
        let gone = Counterpart { agency_exists: false, ..counterpart() };
        assert_eq!(verdict(&owned(Some(&ours)), &gone), Verdict::Finding(FindingKind::AgencyGone));
        let ordered = Owned { is_active: false, ..owned(Some(&ours)) };
        assert_eq!(verdict(&ordered, &counterpart()), Verdict::Later);
        let released = with(row(Status::Released, Some("100"), Some(&ours)));
        assert_eq!(verdict(&owned(Some(&ours)), &released), Verdict::Adopt(OURS));
    }

    #[test]
    fn a_number_that_a_purchase_of_ours_names_is_no_stranger() {
        let ours = OURS.to_string();
        let copied = Counterpart { is_copied: true, ..counterpart() };
        for (reference, counterpart) in [
            (Some(ours.as_str()), copied.clone()),
            (Some("one of ours, on another number"), copied),
            (None, Counterpart { is_named: true, ..counterpart() }),
        ] {
            assert_eq!(verdict(&owned(reference), &counterpart), Verdict::Finding(FindingKind::UnprovenClaim), "{reference:?}");
        }
    }

    #[test]
    fn a_number_that_was_released_is_no_stranger_though_nothing_names_us() {
        let released = Counterpart { released: Some(true), ..counterpart() };
        assert_eq!(verdict(&owned(None), &released), Verdict::Finding(FindingKind::ReleasedButBilled));
        let lately = Counterpart { released: Some(false), ..counterpart() };
        assert_eq!(verdict(&owned(None), &lately), Verdict::Later);
    }

    #[test]
    fn a_reference_from_before_agencies_were_in_it_is_known_by_the_ledger() {
        let known = Counterpart { purchase: Some((OURS.purchase_id, false)), ..counterpart() };
        assert_eq!(verdict(&owned(Some(&OURS.purchase_id.to_string())), &known), Verdict::Adopt(OURS));
    }

    #[test]
    fn what_is_being_pursued_or_was_just_released_waits() {
        let ours = OURS.to_string();
        let pursued = Counterpart { purchase: Some((OURS.purchase_id, true)), ..counterpart() };
        assert_eq!(verdict(&owned(Some(&ours)), &pursued), Verdict::Later);
        for (released, expected) in [(false, Verdict::Later), (true, Verdict::Finding(FindingKind::ReleasedButBilled))] {
            let released = Counterpart { purchase: Some((OURS.purchase_id, false)), released: Some(released), ..counterpart() };
            assert_eq!(verdict(&owned(Some(&ours)), &released), expected);
        }
    }

    #[test]
    fn a_number_is_at_home_in_the_row_with_its_id_or_its_purchase() {
        let ours = OURS.to_string();
        assert_eq!(verdict(&owned(None), &with(row(Status::Active, Some("100"), Some("else")))), Verdict::Seen(ROW));
        assert_eq!(verdict(&owned(Some(&ours)), &with(row(Status::Pending, None, Some(&ours)))), Verdict::Seen(ROW));
        let wrong_id = with(row(Status::Active, Some("7"), Some(&ours)));
        assert_eq!(verdict(&owned(Some(&ours)), &wrong_id), Verdict::Correct { row_id: ROW, reactivate: false });
        let off = with(CounterpartRow { switched_off: true, ..row(Status::Inactive, Some("100"), Some(&ours)) });
        assert_eq!(verdict(&owned(Some(&ours)), &off), Verdict::Correct { row_id: ROW, reactivate: true });
    }

    #[test]
    fn a_row_from_before_the_ledger_has_its_number_unless_that_names_another_agency() {
        let nameless = Counterpart { agency_id: None, ..with(row(Status::Active, None, None)) };
        assert_eq!(verdict(&owned(None), &nameless), Verdict::Seen(ROW));
        let ours = OURS.to_string();
        assert_eq!(verdict(&owned(Some(&ours)), &with(row(Status::Active, Some("7"), None))), Verdict::Seen(ROW));
        let anothers = with(CounterpartRow { agency_id: Uuid::from_u128(3), ..row(Status::Active, None, None) });
        assert_eq!(verdict(&owned(Some(&ours)), &anothers), Verdict::Finding(FindingKind::HeldByAnother));
    }

    #[test]
    fn a_number_in_another_purchases_row_is_nobodys_to_change() {
        let other = Reference { agency_id: Uuid::from_u128(3), purchase_id: Uuid::from_u128(4) }.to_string();
        let ours = OURS.to_string();
        let held = with(row(Status::Active, Some("7"), Some(&other)));
        assert_eq!(verdict(&owned(Some(&ours)), &held), Verdict::Finding(FindingKind::HeldByAnother));
        let held_as_bought = Counterpart { is_named: true, ..held.clone() };
        assert_eq!(verdict(&owned(Some("op-42")), &held_as_bought), Verdict::Finding(FindingKind::UnprovenClaim));
        assert_eq!(verdict(&owned(Some("op-42")), &held), Verdict::Stranger);
        let pending = with(row(Status::Pending, None, Some(&other)));
        assert_eq!(verdict(&owned(Some(&ours)), &pending), Verdict::Later);
    }
}
