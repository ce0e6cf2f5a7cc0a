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
                    report.deactivated += usize::from(reconcile.pass_over(report, deactivated).await?.unwrap_or(false));
                }
                Evidence::Doubtful => doubtful.push(missing),
                Evidence::None => {}
            }
        }
    }
    if let Some(first) = doubtful.first() {
        let detail = format!(
            "{} of the {} numbers that the account should have are not there ({}). Is its key the right one?",
            doubtful.len(),
            first.expected,
            numbers(&doubtful)
        );
        report.new_findings += reconcile.sagas.store.report(&[drift(walk, &doubtful, detail)]).await?;
    }
    Ok(missed.iter().map(|missing| missing.row_id).collect())
}

/// An account that the ledger names and whose key is gone: Telnyx goes on billing for its numbers, and nobody can ask for
/// them. That does not count as a walk that has missed them.
pub(crate) async fn without_key(reconcile: &Reconcile, report: &mut Report, account: &str) -> Result<(), Error> {
    let store = &reconcile.sagas.store;
    let Some(mut walk) = store.walk(account, reconcile.sagas.config.lease).await? else { return Ok(()) };
    walk.seen.clear();
    let missing = store.missing(&walk).await?;
    let unreachable: Vec<_> = missing.iter().collect();
    if !unreachable.is_empty() {
        tracing::error!(account, "the key of an account with numbers is gone");
        report.accounts_failed += 1;
        let detail = format!("The account's key is gone: nobody can ask Telnyx for {}, or give them back.", numbers(&unreachable));
        report.new_findings += store.report(&[drift(&walk, &unreachable, detail)]).await?;
    }
    store.finish_walk(&walk, &[]).await.map(|_| ())
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

fn drift(walk: &Walk, rows: &[&Missing], detail: String) -> Observation {
    Observation {
        kind: FindingKind::InventoryDrift,
        account: walk.account.clone(),
        number: None,
        phone_number_id: None,
        reference: None,
        agency_id: None,
        row_ids: rows.iter().map(|missing| missing.row_id).collect(),
        detail,
    }
}

/// The numbers of some rows, for a person to read.
fn numbers(rows: &[&Missing]) -> String {
    let mut numbers: Vec<_> = rows.iter().take(10).map(|missing| missing.number.as_str()).collect();
    if rows.len() > numbers.len() {
        numbers.push("…");
    }
    numbers.join(", ")
}
