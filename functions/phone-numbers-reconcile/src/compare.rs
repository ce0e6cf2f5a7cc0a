//! A walk through the inventory of each account: what each number is to us, and then which rows have none.

use std::collections::HashSet;
use std::time::Duration;

use shared::error::Error;
use shared::lease::renewing;
use shared::model::Reference;
use shared::store::{Adoptee, FindingKind, Observation, Owner, Walk};
use shared::telnyx::{Account, Failure, Owned, Session};
use tokio::time::Instant;

use crate::report::Report;
use crate::verdict::{Verdict, verdict};
use crate::{Reconcile, missing};

/// With less time than this left, a walk stops for the next run to go on with.
const LEAST_FOR_A_PAGE: Duration = Duration::from_secs(3);

/// Walks through every account, those first that were visited longest ago.
pub(crate) async fn compare_accounts(reconcile: &Reconcile, report: &mut Report, deadline: Instant) -> Result<(), Error> {
    let store = &reconcile.sagas.store;
    let ledger = reconcile.pass_over(report, store.telnyx_accounts().await).await?.unwrap_or_default();
    let agencies = reconcile.pass_over(report, store.agencies(reconcile.config.batch).await).await?.unwrap_or_default();
    for name in in_turn(&ledger, reconcile.sagas.accounts.names(&agencies)) {
        if deadline.saturating_duration_since(Instant::now()) < LEAST_FOR_A_PAGE {
            break;
        }
        match reconcile.sagas.accounts.find(&name).await {
            Ok(Some(account)) => {
                let outcome = compare_account(reconcile, report, &account, deadline).await;
                reconcile.pass_over(report, outcome).await?;
            }
            Ok(None) if ledger.contains(&name) => {
                let outcome = missing::without_key(reconcile, report, &name).await;
                reconcile.pass_over(report, outcome).await?;
            }
            // An agency need not have an account of its own.
            Ok(None) => {}
            Err(error) => {
                tracing::error!(account = name, error = %error, "the key of an account cannot be read");
                report.accounts_failed += 1;
            }
        }
    }
    Ok(())
}

/// The account whose turn it is; then those that agencies may have bought in and that the ledger has forgotten, so that they
/// have a turn at all; then the others that the ledger knows.
fn in_turn(ledger: &[String], of_agencies: Vec<String>) -> Vec<String> {
    let mut known = ledger.iter().cloned();
    let mut names: Vec<_> = known.next().into_iter().chain(of_agencies).chain(known).collect();
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

async fn compare_account(reconcile: &Reconcile, report: &mut Report, account: &Account, deadline: Instant) -> Result<(), Error> {
    let (store, lease) = (&reconcile.sagas.store, reconcile.sagas.config.lease);
    let Some(walk) = store.walk(&account.name, lease).await? else { return Ok(()) };
    let held = walk.clone();
    let session = reconcile.sagas.telnyx.session(account, deadline);
    renewing(lease, || store.renew_walk(&held, lease), go_on(reconcile, report, session, walk, deadline)).await
}

/// Goes on with a walk until it is over or time is up. What Telnyx will not tell is asked in the next run.
async fn go_on(reconcile: &Reconcile, report: &mut Report, session: Session<'_>, mut walk: Walk, deadline: Instant) -> Result<(), Error> {
    let store = &reconcile.sagas.store;
    loop {
        if deadline.saturating_duration_since(Instant::now()) < LEAST_FOR_A_PAGE {
            report.accounts_paused += 1;
            return store.pause_walk(&walk).await.map(|_| ());
        }
        let page = match session.inventory(walk.next_page).await {
            Ok(page) => page,
            Err(failure) => {
                give_up(report, &walk, &failure);
                return store.pause_walk(&walk).await.map(|_| ());
            }
        };
        compare_page(reconcile, report, session, &mut walk, &page.numbers).await?;
        walk.next_page += 1;
        if page.is_last {
            break;
        }
    }
    let missed = missing::look_into(reconcile, report, session, &walk).await?;
    if store.finish_walk(&walk, &missed).await? {
        store.close_findings(&walk.account, walk.started_at).await?;
        report.accounts_compared += 1;
    }
    Ok(())
}

fn give_up(report: &mut Report, walk: &Walk, failure: &Failure) {
    tracing::warn!(account = walk.account, ?failure, "an account's inventory could not be read");
    report.accounts_failed += 1;
}

async fn compare_page(
    reconcile: &Reconcile,
    report: &mut Report,
    session: Session<'_>,
    walk: &mut Walk,
    numbers: &[Owned],
) -> Result<(), Error> {
    report.numbers_compared += numbers.len();
    let owners: Vec<_> = numbers.iter().map(owner).collect();
    let counterparts = reconcile.sagas.store.counterparts(&owners, reconcile.lag()).await?;
    let mut observations = Vec::new();
    for (owned, counterpart) in numbers.iter().zip(&counterparts) {
        let verdict = verdict(owned, counterpart);
        if let Verdict::Seen(row_id) | Verdict::Correct { row_id, .. } = verdict {
            walk.seen.push(row_id);
        }
        match verdict {
            Verdict::Seen(_) | Verdict::Later => {}
            Verdict::Finding(FindingKind::NotOurs) => observations.push(observation(walk, owned, FindingKind::NotOurs, None)),
            Verdict::Correct { .. } | Verdict::Adopt(_) | Verdict::Finding(_) if !still_so(reconcile, session, owned, verdict).await? => {}
            Verdict::Correct { row_id, reactivate } => {
                let corrected = reconcile.sagas.store.correct(row_id, &owned.id, reactivate).await;
                report.corrected += usize::from(reconcile.pass_over(report, corrected).await?.unwrap_or(false));
            }
            Verdict::Adopt(reference) => adopt(reconcile, report, session, walk, owned, reference).await?,
            Verdict::Finding(kind) => {
                let agency_id = counterpart.agency_id.filter(|_| kind != FindingKind::AgencyGone);
                let mut observation = observation(walk, owned, kind, agency_id);
                observation.row_ids.extend(counterpart.row.as_ref().map(|row| row.id));
                observations.push(observation);
            }
        }
    }
    report.new_findings += reconcile.sagas.store.report(&observations).await?;
    Ok(())
}

/// Whether a number is still there and still judged alike: the page is from a moment ago, the rows are of now, and in
/// between it may have been given back or bought.
async fn still_so(reconcile: &Reconcile, session: Session<'_>, owned: &Owned, before: Verdict) -> Result<bool, Error> {
    let Ok(Some(owned)) = session.number(&owned.id).await else { return Ok(false) };
    let counterparts = reconcile.sagas.store.counterparts(&[owner(&owned)], reconcile.lag()).await?;
    Ok(counterparts.first().is_some_and(|counterpart| verdict(&owned, counterpart) == before))
}

async fn adopt(
    reconcile: &Reconcile,
    report: &mut Report,
    session: Session<'_>,
    walk: &mut Walk,
    owned: &Owned,
    reference: Reference,
) -> Result<(), Error> {
    let known_as = owned.customer_reference.clone().unwrap_or_else(|| reference.to_string());
    // Good to know, and nothing to wait for: the number is there.
    let order = session.find_order(&known_as, &owned.number).await.ok().flatten();
    let adoptee = Adoptee {
        agency_id: reference.agency_id,
        number: owned.number.as_str(),
        phone_number_id: &owned.id,
        number_type: owned.number_type.as_deref(),
        country_code: owned.country_code.as_deref(),
        purchase_id: reference.purchase_id,
        account: &walk.account,
        reference: &known_as,
        order_id: order.as_ref().map(|order| order.id.as_str()),
    };
    let outcome = reconcile.sagas.store.adopt(&adoptee).await;
    if let Some(row_id) = reconcile.pass_over(report, outcome).await?.flatten() {
        tracing::warn!(%row_id, agency_id = %reference.agency_id, "a number of ours had no row, and has one now");
        walk.seen.push(row_id);
        report.adopted += 1;
    }
    Ok(())
}

fn owner(owned: &Owned) -> Owner {
    Owner { number: owned.number.clone(), phone_number_id: owned.id.clone(), reference: owned.customer_reference.clone() }
}

fn observation(walk: &Walk, owned: &Owned, kind: FindingKind, agency_id: Option<uuid::Uuid>) -> Observation {
    let detail = match kind {
        FindingKind::NotOurs => "The account has this number, and it carries no reference of ours.",
        FindingKind::AgencyGone => "Telnyx bills this number, and the agency that it was bought for is gone.",
        FindingKind::HeldByAnother => "Telnyx has this number for another purchase than the row's.",
        FindingKind::ReleasedButBilled => "Telnyx bills this number, though it was given back.",
        FindingKind::InventoryDrift => "The account has no such number.",
    };
    Observation {
        kind,
        account: walk.account.clone(),
        number: Some(owned.number.to_string()),
        phone_number_id: Some(owned.id.clone()),
        reference: owned.customer_reference.clone(),
        agency_id,
        row_ids: Vec::new(),
        detail: detail.to_owned(),
    }
}
