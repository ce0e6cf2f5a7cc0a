//! Rows whose numbers Telnyx does not have any more: they are switched off, but only on good evidence.
//!
//! Two whole walks in a row have not seen the number, asking for it by its id finds none, the key is proven to be that of the
//! account that bought it, no other account of the agency has it, and it is no more than a small share of the account's numbers.
//! A wrong key or an empty page must not switch everybody off.

use shared::error::Error;
use shared::saga::{Absence, Trace};
use shared::store::{Fenced, FindingKind, Missing, MissingRow, Observation, Place, Seen};

use crate::Reconcile;
use crate::closing::listed;
use crate::report::Report;
use crate::walker::Walker;

/// How many rows are looked into after one walk at most, and how many a finding lists.
const ROWS: i64 = 1_000;
/// How many numbers the sentence of a finding names.
const NAMED: usize = 10;

impl Walker<'_> {
    /// Looks into what two whole walks in a row have not seen.
    pub(crate) async fn look_into_missing(&mut self) -> Result<(), Error> {
        let store = &self.reconcile.sagas.store;
        let Some(since) = self.walk.previous_started_at else { return Ok(()) };
        let missing = store.missing(&self.walk, since, ROWS).await;
        let Some(missing) = self.reconcile.pass_over(self.report, missing).await? else { return Ok(()) };
        if missing.count > self.limit(missing.expected) {
            return self.report_drift(&missing, &missing.rows, missing.count).await;
        }
        let mut doubtful = Vec::new();
        for row in &missing.rows {
            match self.look_into(row).await? {
                Absence::Proven => {
                    let deactivated = store.deactivate(row).await;
                    let deactivated = self.reconcile.pass_over(self.report, deactivated).await?;
                    self.report.deactivated += usize::from(deactivated.unwrap_or(false));
                }
                Absence::WrongKey => doubtful.push(row.clone()),
                Absence::Moved(found) => {
                    let (account, owned) = *found;
                    let moved = store.move_number(row.purchase_id, &row.account, &account.name, &owned.id, account.key_digest()).await;
                    let moved = self.reconcile.pass_over(self.report, moved).await?;
                    self.report.moved += usize::from(moved == Some(true));
                }
                absence @ (Absence::Elsewhere(_) | Absence::WrongKeyOf(_)) => {
                    // Reported; nobody waits for an answer.
                    self.reconcile.sagas.unproven(self.session, &trace(row), absence).await;
                }
                Absence::NotNow(_) => {}
            }
        }
        let count = i64::try_from(doubtful.len()).unwrap_or(i64::MAX);
        self.report_drift(&missing, &doubtful, count).await
    }

    /// How many rows one walk may switch off.
    fn limit(&self, expected: i64) -> i64 {
        (expected * i64::from(self.reconcile.config.max_deactivated_percent) / 100).max(1)
    }

    /// What it means that no walk sees the number of a row. That it is there all the same means nothing for now.
    async fn look_into(&self, row: &MissingRow) -> Result<Absence, Error> {
        match self.session.number(&row.phone_number_id).await {
            Ok(None) => self.reconcile.sagas.absence(self.session, &trace(row)).await,
            Ok(Some(_)) => Ok(Absence::NotNow("the number is there".into())),
            Err(failure) => Ok(Absence::NotNow(failure.into_source())),
        }
    }

    async fn report_drift(&mut self, missing: &Missing, rows: &[MissingRow], count: i64) -> Result<(), Error> {
        if count == 0 {
            return Ok(());
        }
        let detail = format!(
            "{count} of the {} numbers that the account should have are not there ({}). Is its key the right one?",
            missing.expected,
            named(rows, count)
        );
        self.report_findings(vec![drift(self.walk.account(), rows, count, detail)]).await
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

/// An account that the ledger names and whose key is gone: Telnyx goes on billing for its numbers, and nobody can ask for
/// them. That is no walk, and nothing follows from it about what is there.
pub(crate) async fn without_key(reconcile: &Reconcile, report: &mut Report, account: &str) -> Result<(), Error> {
    let store = &reconcile.sagas.store;
    let Some(walk) = store.walk(account, reconcile.sagas.config.lease).await? else { return Ok(()) };
    let advanced = store.advance_walk(&walk, &Place::start(walk.place.page_limit), &Seen::default()).await?;
    let Fenced::Done(walk) = advanced else { return Ok(()) };
    let missing = store.missing(&walk, walk.started_at, ROWS).await?;
    if missing.count == 0 {
        return store.finish_walk(&walk).await.map(|_| ());
    }
    tracing::error!(account, "the key of an account with numbers is gone");
    report.accounts_failed += 1;
    let detail = format!(
        "The account's key is gone: nobody can ask Telnyx for its {} numbers, or give them back ({}).",
        missing.count,
        named(&missing.rows, missing.count)
    );
    report.new_findings += store.report(&[drift(account, &missing.rows, missing.count, detail)]).await?;
    store.give_back(&walk.lease).await
}

fn drift(account: &str, rows: &[MissingRow], count: i64, detail: String) -> Observation {
    let row_ids = rows.iter().map(|row| row.row_id).collect();
    Observation { row_ids, number_count: count, detail, ..Observation::new(FindingKind::InventoryDrift, account) }
}

/// The numbers of some rows, for an operator to read.
fn named(rows: &[MissingRow], count: i64) -> String {
    let numbers: Vec<_> = rows.iter().take(NAMED).map(|row| row.number.to_string()).collect();
    listed(&numbers, count)
}
