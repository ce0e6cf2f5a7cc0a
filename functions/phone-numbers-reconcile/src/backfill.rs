//! Rows that functions from before the ledger left behind: they are taken into it as what Telnyx says they are.

use shared::error::Error;
use shared::model::{Reference, Status};
use shared::store::{FindingKind, Leftover, Observation};
use shared::telnyx::{Account, Failure, Owned};
use tokio::time::Instant;

use crate::Reconcile;
use crate::report::Report;

/// Takes rows into the ledger; doing so twice, or in two runs at once, is doing it once.
pub(crate) async fn take_in(reconcile: &Reconcile, report: &mut Report, until: Instant) -> Result<(), Error> {
    let leftovers = reconcile.sagas.store.leftovers(reconcile.config.batch, reconcile.config.stuck_after).await?;
    for leftover in &leftovers {
        if Instant::now() >= until {
            break;
        }
        let accounts = match reconcile.sagas.accounts.all_of_agency(leftover.agency_id).await {
            Ok(accounts) => accounts,
            Err(error) => {
                tracing::warn!(row_id = %leftover.row_id, error = %error, "a row from before the ledger has no account to be asked");
                continue;
            }
        };
        match take_in_one(reconcile, report, leftover, &accounts, until).await? {
            Ok(true) => report.backfilled += 1,
            Ok(false) => {}
            Err(failure) => {
                tracing::warn!(row_id = %leftover.row_id, ?failure, "Telnyx could not be asked about a row from before the ledger");
            }
        }
    }
    Ok(())
}

/// Whether the row was taken in; the inner failure is Telnyx's.
async fn take_in_one(
    reconcile: &Reconcile,
    report: &mut Report,
    leftover: &Leftover,
    accounts: &[Account],
    until: Instant,
) -> Result<Result<bool, Failure>, Error> {
    let (store, telnyx) = (&reconcile.sagas.store, &reconcile.sagas.telnyx);
    for account in accounts {
        let found = match telnyx.session(account, until).find_number(&leftover.number).await {
            Ok(found) => found,
            Err(failure) => return Ok(Err(failure)),
        };
        if let Some(owned) = found {
            // One that is being bought is taken in when that is over.
            let is_theirs = owned.is_active && !is_anothers(leftover, &owned);
            return Ok(Ok(is_theirs && store.backfill_owned(leftover, &account.name, &owned.id).await?));
        }
    }
    for account in accounts {
        match telnyx.session(account, until).pending_order_for(&leftover.number).await {
            Ok(Some(order)) => return Ok(Ok(store.backfill_ordered(leftover, &account.name, &order.id).await?)),
            Ok(None) => {}
            Err(failure) => return Ok(Err(failure)),
        }
    }
    let Some(account) = accounts.first().filter(|_| leftover.stuck) else { return Ok(Ok(false)) };
    if leftover.status == Status::Pending {
        return Ok(Ok(store.backfill_abandoned(leftover, &account.name).await?));
    }
    report.new_findings += store.report(&[nowhere(leftover, account)]).await?;
    Ok(Ok(false))
}

/// Whether a number was bought for another agency than the row's.
fn is_anothers(leftover: &Leftover, owned: &Owned) -> bool {
    let reference = owned.customer_reference.as_deref().and_then(|reference| reference.parse::<Reference>().ok());
    reference.is_some_and(|reference| reference.agency_id != leftover.agency_id)
}

fn nowhere(leftover: &Leftover, account: &Account) -> Observation {
    Observation {
        kind: FindingKind::InventoryDrift,
        account: account.name.clone(),
        number: Some(leftover.number.to_string()),
        phone_number_id: None,
        reference: None,
        agency_id: Some(leftover.agency_id),
        row_ids: vec![leftover.row_id],
        detail: "No account of the agency has this number, whose row is from before the ledger.".to_owned(),
    }
}
