//! Rows whose numbers Telnyx no longer has: they are deactivated, but only on evidence.
//!
//! The evidence: two whole walks in a row have not seen the number, the account answers 404 for its id, the key is proven to be
//! that of the account that bought it, and no other account of the agency has it. And the missing numbers must be a small share
//! of the account's: a wrong key or an empty page must not deactivate all rows.

use shared::error::Error;
use shared::saga::{Absence, Trace};
use shared::store::{FindingKind, Missing, MissingRow, Observation, Reconciled};
use shared::telnyx::{Account, Owned};

use super::AccountWalk;
use crate::findings::join_numbers;

/// How many rows are checked after one walk at most, and how many a finding lists.
pub(crate) const MAX_ROWS: i64 = 1_000;
/// How many numbers the text of a finding names.
const MAX_NAMED: usize = 10;

impl AccountWalk<'_, '_> {
    /// Checks the rows whose numbers two whole walks in a row have not seen.
    pub(super) async fn check_missing(&mut self) -> Result<(), Error> {
        let Some(since) = self.state.previous_started_at else { return Ok(()) };
        let missing = self.run.store().missing(&self.state, since, MAX_ROWS).await;
        let Some(missing) = self.run.skip_refused(missing).await? else { return Ok(()) };
        if missing.count > self.max_deactivated(missing.expected) {
            return self.report_drift(&missing, &missing.rows, missing.count).await;
        }
        let mut unproven = Vec::new();
        for row in &missing.rows {
            match self.absence_of(row).await? {
                Absence::Proven => self.deactivate(row).await?,
                Absence::WrongKey => unproven.push(row.clone()),
                Absence::Moved(found) => self.move_away(row, &found.0, &found.1).await?,
                absence @ (Absence::Elsewhere(_) | Absence::WrongKeyOf(_)) => {
                    // This reports a finding. The error that it returns is for callers of the API.
                    self.run.sagas.unproven(self.session, &trace(row), absence).await;
                }
                Absence::NotNow(_) => {}
            }
        }
        let count = i64::try_from(unproven.len()).unwrap_or(i64::MAX);
        self.report_drift(&missing, &unproven, count).await
    }

    /// How many rows one walk may deactivate, of so many that the account should have a number for.
    fn max_deactivated(&self, expected: i64) -> i64 {
        (expected * i64::from(self.run.config.max_deactivated_percent) / 100).max(1)
    }

    /// What can be concluded about the number of a row that no walk sees. Nothing, if the account still has it by its id.
    async fn absence_of(&self, row: &MissingRow) -> Result<Absence, Error> {
        match self.session.number(&row.phone_number_id).await {
            Ok(None) => self.run.sagas.absence(self.session, &trace(row)).await,
            Ok(Some(_)) => Ok(Absence::NotNow("the account has the number".into())),
            Err(failure) => Ok(Absence::NotNow(failure.into_source())),
        }
    }

    async fn deactivate(&mut self, row: &MissingRow) -> Result<(), Error> {
        let deactivated = self.run.store().deactivate(row).await;
        let deactivated = self.run.skip_refused(deactivated).await?;
        self.run.report.deactivated += usize::from(deactivated == Some(Reconciled::Done));
        Ok(())
    }

    /// Changes the ledger to name the account that the number was moved to.
    async fn move_away(&mut self, row: &MissingRow, account: &Account, owned: &Owned) -> Result<(), Error> {
        let moved = self.run.store().move_number(row.purchase_id, &row.account, &account.name, &owned.id, account.key_digest()).await;
        let moved = self.run.skip_refused(moved).await?;
        self.run.report.moved += usize::from(moved == Some(Reconciled::Done));
        Ok(())
    }

    async fn report_drift(&mut self, missing: &Missing, rows: &[MissingRow], count: i64) -> Result<(), Error> {
        if count == 0 {
            return Ok(());
        }
        let detail = format!(
            "{count} of the {} numbers that the account should have are missing ({}). Is its key the right one?",
            missing.expected,
            list_numbers(rows, count)
        );
        self.run.report_findings(vec![drift(self.state.account(), rows, count, detail)]).await
    }
}

fn trace(row: &MissingRow) -> Trace<'_> {
    Trace {
        number: &row.number,
        agency_id: row.agency_id,
        row_id: row.row_id,
        account: &row.account,
        purchase_id: Some(row.purchase_id),
        reference: Some(&row.reference),
        key_digest: row.key_digest,
        order_id: row.order_id.as_deref(),
        phone_number_id: Some(&row.phone_number_id),
    }
}

/// The finding that an account does not have `count` numbers; `rows` are all or the first of them.
pub(crate) fn drift(account: &str, rows: &[MissingRow], count: i64, detail: String) -> Observation {
    let row_ids = rows.iter().map(|row| row.row_id).collect();
    Observation { row_ids, number_count: count, detail, ..Observation::new(FindingKind::InventoryDrift, account) }
}

/// The first numbers of some rows, for the text of a finding.
pub(crate) fn list_numbers(rows: &[MissingRow], count: i64) -> String {
    let numbers: Vec<_> = rows.iter().take(MAX_NAMED).map(|row| row.number.to_string()).collect();
    join_numbers(&numbers, count)
}
