//! Verdicts, case by case.

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
        last_release: LastRelease::Never,
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
    let released = Counterpart { last_release: LastRelease::Settled, ..counterpart() };
    assert_eq!(verdict(&platform(), &owned(None), &released), Verdict::Finding(FindingKind::ReleasedButBilled));
    let recently = Counterpart { last_release: LastRelease::Recent, ..counterpart() };
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
    let billed = Verdict::Finding(FindingKind::ReleasedButBilled);
    for (last_release, expected) in [(LastRelease::Recent, Verdict::InProgress), (LastRelease::Settled, billed)] {
        let released = Counterpart { last_release, ..purchased(known()) };
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
