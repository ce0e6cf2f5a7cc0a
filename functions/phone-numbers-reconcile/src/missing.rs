//! Rows whose numbers Telnyx does not have any more: they are switched off, but only on good evidence.
//!
//! Two walks in a row have missed the number, asking for it by its id finds none, the account still knows the order that
//! bought it, and it is no more than a small share of the account's numbers. A wrong key or an empty page must not switch
//! everybody off.

use shared::error::Error;
use shared::store::{FindingKind, Missing, Observation, Walk};
use shared::telnyx::Session;
use uuid::Uuid;

use crate::Reconcile;
use crate::report::Report;

/// Looks into what a whole walk has missed, and returns all of that.
pub(crate) async fn look_into(reconcile: &Reconcile, report: &mut Report, session: Session<'_>, walk: &Walk) -> Result<Vec<Uuid>, Error> {
    let missed = reconcile.sagas.store.missing(walk).await?;
    let again: Vec<_> = missed.iter().filter(|missing| walk.missed_before.contains(&missing.row_id)).collect();
    let mut doubtful = Vec::new();
    if again.len() > limit(reconcile, &missed) {
        doubtful.extend(&again);
    } else {
        for missing in again {
            match evidence(session, missing).await {
                Evidence::Gone => {
                    let deactivated = reconcile.sagas.store.deactivate(missing).await;
                    report.deactivated += usize::from(report.pass_over(deactivated)?.unwrap_or(false));
                }
                Evidence::Doubtful => doubtful.push(missing),
                Evidence::None => {}
            }
        }
    }
    if !doubtful.is_empty() {
        report.new_findings += reconcile.sagas.store.report(&[drift(walk, &doubtful)]).await?;
    }
    Ok(missed.iter().map(|missing| missing.row_id).collect())
}

/// How many rows one walk may switch off.
fn limit(reconcile: &Reconcile, missed: &[Missing]) -> usize {
    let expected = missed.first().map_or(0, |missing| usize::try_from(missing.expected).unwrap_or_default());
    let percent = usize::try_from(reconcile.config.max_deactivated_percent).unwrap_or_default();
    (expected * percent / 100).max(1)
}

/// What Telnyx says when asked for a number that its inventory did not show.
enum Evidence {
    /// There is no such number, in an account that bought it.
    Gone,
    /// There is no such number, and nothing that shows the account to be the one that bought it: is the key another's?
    Doubtful,
    /// It is there all the same, or nothing is to be learnt now.
    None,
}

async fn evidence(session: Session<'_>, missing: &Missing) -> Evidence {
    match session.number(&missing.phone_number_id).await {
        Ok(None) => {}
        Ok(Some(_)) | Err(_) => return Evidence::None,
    }
    let Some(order_id) = &missing.order_id else { return Evidence::Doubtful };
    match session.order(order_id).await {
        Ok(Some(_)) => Evidence::Gone,
        Ok(None) => Evidence::Doubtful,
        Err(_) => Evidence::None,
    }
}

fn drift(walk: &Walk, missing: &[&Missing]) -> Observation {
    let numbers: Vec<_> = missing.iter().take(10).map(|missing| missing.number.as_str()).collect();
    let expected = missing.first().map_or(0, |missing| missing.expected);
    Observation {
        kind: FindingKind::InventoryDrift,
        account: walk.account.clone(),
        number: None,
        phone_number_id: None,
        reference: None,
        agency_id: None,
        row_ids: missing.iter().map(|missing| missing.row_id).collect(),
        detail: format!(
            "{} of the {expected} numbers that the account should have are not there ({}{}). Is its key the right one?",
            missing.len(),
            numbers.join(", "),
            if missing.len() > numbers.len() { ", …" } else { "" }
        ),
    }
}
