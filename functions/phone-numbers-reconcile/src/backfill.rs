//! Rows that functions from before the ledger left behind: they are taken into it as what Telnyx says they are.

use shared::error::Error;
use shared::model::{Reference, Status};
use shared::saga::{Absence, Trace};
use shared::store::{FindingKind, LegacyRow, Observation};
use shared::telnyx::{Account, Failure, Owned};
use tokio::time::Instant;

use crate::Reconcile;
use crate::report::Report;

/// Takes rows into the ledger; doing so twice, or in two runs at once, is doing it once.
pub(crate) async fn take_in(reconcile: &Reconcile, report: &mut Report, until: Instant) -> Result<(), Error> {
    let store = &reconcile.sagas.store;
    let legacy_rows = store.legacy_rows(reconcile.config.batch, reconcile.config.stuck_after).await;
    let legacy_rows = reconcile.pass_over(report, legacy_rows).await?.unwrap_or_default();
    for legacy_row in &legacy_rows {
        if Instant::now() >= until {
            break;
        }
        let accounts = match reconcile.sagas.accounts.all_of_agency(legacy_row.agency_id).await {
            Ok(accounts) => accounts,
            Err(error) => {
                tracing::warn!(row_id = %legacy_row.row_id, error = %error, "a row from before the ledger has no account to be asked");
                continue;
            }
        };
        let outcome = take_in_one(reconcile, report, legacy_row, &accounts, until).await;
        match reconcile.pass_over(report, outcome).await? {
            Some(Ok(true)) => report.backfilled += 1,
            Some(Ok(false)) | None => {}
            Some(Err(failure)) => {
                tracing::warn!(row_id = %legacy_row.row_id, ?failure, "Telnyx could not be asked about a row from before the ledger");
            }
        }
    }
    reconcile.pass_over(report, store.close_legacy_row_findings().await).await?;
    Ok(())
}

/// Where the number of a row is.
enum Whereabouts<'a> {
    /// In this account, under this id.
    Owned(&'a Account, String),
    /// In an order of this account that is not decided, by its id.
    Ordered(&'a Account, String),
    /// In an account, but as something else.
    Unclear,
    /// In none of them.
    Nowhere,
}

/// Whether the row was taken in; the inner failure is Telnyx's.
async fn take_in_one(
    reconcile: &Reconcile,
    report: &mut Report,
    legacy_row: &LegacyRow,
    accounts: &[Account],
    until: Instant,
) -> Result<Result<bool, Failure>, Error> {
    let store = &reconcile.sagas.store;
    let taken_in = match whereabouts(reconcile, legacy_row, accounts, until).await {
        Ok(Whereabouts::Owned(account, id)) => store.backfill_owned(legacy_row, &account.name, &id, account.key_digest()).await?,
        Ok(Whereabouts::Ordered(account, id)) => store.backfill_ordered(legacy_row, &account.name, &id, account.key_digest()).await?,
        Ok(Whereabouts::Nowhere) if legacy_row.stuck => give_up(reconcile, report, legacy_row, accounts, until).await?,
        Ok(Whereabouts::Unclear | Whereabouts::Nowhere) => false,
        Err(failure) => return Ok(Err(failure)),
    };
    Ok(Ok(taken_in))
}

async fn whereabouts<'a>(
    reconcile: &Reconcile,
    legacy_row: &LegacyRow,
    accounts: &'a [Account],
    until: Instant,
) -> Result<Whereabouts<'a>, Failure> {
    let session = |account| reconcile.sagas.telnyx.session(account, until);
    for account in accounts {
        match session(account).find_number(&legacy_row.number).await? {
            Some(owned) if is_anothers(legacy_row, &owned) => return Ok(Whereabouts::Unclear),
            Some(owned) if owned.is_active => return Ok(Whereabouts::Owned(account, owned.id)),
            // One that is being bought is in the inventory, too, as such.
            Some(_) | None => {}
        }
    }
    for account in accounts.iter().filter(|_| legacy_row.status == Status::Pending) {
        if let Some(order) = session(account).pending_order_for(&legacy_row.number).await? {
            return Ok(Whereabouts::Ordered(account, order.id));
        }
    }
    for account in accounts {
        // Its order may have been decided since the first look.
        if session(account).find_number(&legacy_row.number).await?.is_some() {
            return Ok(Whereabouts::Unclear);
        }
    }
    Ok(Whereabouts::Nowhere)
}

/// Nobody can be buying the number any more: a row that waits for it is released, if each of the accounts may be believed, and
/// one that should have it is left to an operator.
async fn give_up(
    reconcile: &Reconcile,
    report: &mut Report,
    legacy_row: &LegacyRow,
    accounts: &[Account],
    until: Instant,
) -> Result<bool, Error> {
    let store = &reconcile.sagas.store;
    let Some(present) = accounts.first() else { return Ok(false) };
    match legacy_row.status {
        Status::Pending => {
            for account in accounts {
                if !is_absent(reconcile, report, legacy_row, account, until).await? {
                    return Ok(false);
                }
            }
            store.backfill_abandoned(legacy_row, &present.name).await
        }
        Status::Active => {
            report.new_findings += store.report(&[nowhere(legacy_row, present)]).await?;
            Ok(false)
        }
        Status::Inactive | Status::Released => Ok(false),
    }
}

/// Whether an account that knows no order and no number of a row is to be believed.
async fn is_absent(
    reconcile: &Reconcile,
    report: &mut Report,
    legacy_row: &LegacyRow,
    account: &Account,
    until: Instant,
) -> Result<bool, Error> {
    let session = reconcile.sagas.telnyx.session(account, until);
    match reconcile.sagas.absence(session, &trace(legacy_row, account)).await? {
        Absence::Proven => Ok(true),
        Absence::WrongKey => {
            let detail = "No account of the agency knows an order or a number for this row, which predates the ledger, and nothing \
                          shows that this account's key is the right one. Adopt this finding to release the row.";
            let detail = detail.to_owned();
            let found = Observation { detail, ..about(legacy_row, FindingKind::KeyUnproven, account) };
            report.new_findings += reconcile.sagas.store.report(&[found]).await?;
            Ok(false)
        }
        Absence::WrongKeyOf(_) | Absence::Moved(_) | Absence::Elsewhere(_) | Absence::NotNow(_) => Ok(false),
    }
}

fn trace<'a>(legacy_row: &'a LegacyRow, account: &'a Account) -> Trace<'a> {
    Trace {
        number: &legacy_row.number,
        agency_id: legacy_row.agency_id,
        row_id: legacy_row.row_id,
        account: &account.name,
        purchase_id: None,
        reference: None,
        key_digest: None,
        order_id: None,
        phone_number_id: None,
    }
}

/// Whether a number was bought for another agency than the row's.
fn is_anothers(legacy_row: &LegacyRow, owned: &Owned) -> bool {
    let reference = owned.customer_reference.as_deref().and_then(|reference| reference.parse::<Reference>().ok());
    reference.is_some_and(|reference| reference.agency_id != legacy_row.agency_id)
}

fn nowhere(legacy_row: &LegacyRow, account: &Account) -> Observation {
    let detail = "No account of the agency has this number, whose row predates the ledger.".to_owned();
    Observation { detail, ..about(legacy_row, FindingKind::InventoryDrift, account) }
}

fn about(legacy_row: &LegacyRow, kind: FindingKind, account: &Account) -> Observation {
    Observation {
        number: Some(legacy_row.number.to_string()),
        agency_id: Some(legacy_row.agency_id),
        row_ids: vec![legacy_row.row_id],
        key_digest: Some(account.key_digest()),
        ..Observation::new(kind, &account.name)
    }
}
