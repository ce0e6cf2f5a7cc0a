//! Adds rows that predate the ledger to it, in the state that Telnyx reports for their numbers.

use shared::error::Error;
use shared::model::{Reference, Status};
use shared::saga::{Absence, Trace};
use shared::store::{FindingKind, LegacyRow, Observation, Reconciled};
use shared::telnyx::{Account, Failure, Owned, Session};
use tokio::time::Instant;

use crate::run::Run;

impl Run<'_> {
    /// Adds legacy rows to the ledger until `until`. Adding one twice, or in two runs at once, has the effect of adding it once.
    pub(crate) async fn add_legacy_rows(&mut self, until: Instant) -> Result<(), Error> {
        let rows = self.store().legacy_rows(self.config.batch, self.config.stuck_after).await;
        for row in &self.skip_refused(rows).await?.unwrap_or_default() {
            if Instant::now() >= until {
                break;
            }
            let accounts = match self.sagas.accounts.all_of_agency(row.agency_id).await {
                Ok(accounts) => accounts,
                Err(error) => {
                    tracing::warn!(row_id = %row.row_id, error = %error, "no account of the agency can be read for a row that predates the ledger");
                    continue;
                }
            };
            let outcome = Backfill { run: self, row, accounts: &accounts, until }.add().await;
            match self.skip_refused(outcome).await? {
                Some(Outcome::Added) => self.report.backfilled += 1,
                Some(Outcome::NotAdded) | None => {}
                Some(Outcome::TelnyxFailed(failure)) => {
                    tracing::warn!(row_id = %row.row_id, ?failure, "Telnyx could not be asked about a row that predates the ledger");
                }
            }
        }
        let closed = self.store().close_legacy_row_findings().await;
        self.skip_refused(closed).await?;
        Ok(())
    }
}

/// What became of a row.
enum Outcome {
    Added,
    /// It is not decidable yet, needs an operator, or was added by another run.
    NotAdded,
    TelnyxFailed(Failure),
}

impl From<Reconciled> for Outcome {
    fn from(backfilled: Reconciled) -> Self {
        match backfilled {
            Reconciled::Done => Self::Added,
            Reconciled::Outdated => Self::NotAdded,
        }
    }
}

/// Where the number of a row is.
enum Location<'a> {
    /// In this account, under this id.
    Owned(&'a Account, String),
    /// In an undecided order of this account, with this id.
    Ordered(&'a Account, String),
    /// In an account, but being ordered or bought for another agency.
    Unclear,
    /// In none of the accounts.
    Nowhere,
}

/// The work on one row.
struct Backfill<'r, 'a> {
    run: &'r mut Run<'a>,
    row: &'r LegacyRow,
    /// The accounts that the row's agency may buy in.
    accounts: &'r [Account],
    until: Instant,
}

impl<'r> Backfill<'r, '_> {
    async fn add(&mut self) -> Result<Outcome, Error> {
        let (store, row) = (self.run.store(), self.row);
        let backfilled = match self.locate().await {
            Ok(Location::Owned(account, id)) => store.backfill_owned(row, &account.name, &id, account.key_digest()).await?,
            Ok(Location::Ordered(account, id)) => store.backfill_ordered(row, &account.name, &id, account.key_digest()).await?,
            Ok(Location::Nowhere) if row.stuck => return self.give_up().await,
            Ok(Location::Unclear | Location::Nowhere) => return Ok(Outcome::NotAdded),
            Err(failure) => return Ok(Outcome::TelnyxFailed(failure)),
        };
        Ok(backfilled.into())
    }

    async fn locate(&self) -> Result<Location<'r>, Failure> {
        let number = &self.row.number;
        for account in self.accounts {
            match self.session(account).find_number(number).await? {
                Some(owned) if self.is_for_another_agency(&owned) => return Ok(Location::Unclear),
                Some(owned) if owned.is_active => return Ok(Location::Owned(account, owned.id)),
                // The inventory also lists numbers that are being ordered.
                Some(_) | None => {}
            }
        }
        for account in self.accounts.iter().filter(|_| self.row.status == Status::Pending) {
            if let Some(order) = self.session(account).pending_order_for(number).await? {
                return Ok(Location::Ordered(account, order.id));
            }
        }
        // The order may have been decided between the two loops above.
        for account in self.accounts {
            if self.session(account).find_number(number).await?.is_some() {
                return Ok(Location::Unclear);
            }
        }
        Ok(Location::Nowhere)
    }

    /// Handles a row that is too old for its number to be on order still. A pending one is added as released if the absence of
    /// the number is proven for each account; an active one is reported.
    async fn give_up(&mut self) -> Result<Outcome, Error> {
        let Some(first) = self.accounts.first() else { return Ok(Outcome::NotAdded) };
        match self.row.status {
            Status::Pending => {
                for account in self.accounts {
                    if !self.is_absent_from(account).await? {
                        return Ok(Outcome::NotAdded);
                    }
                }
                Ok(self.run.store().backfill_abandoned(self.row, &first.name).await?.into())
            }
            Status::Active => {
                let detail = "No account of the agency has this number, whose row predates the ledger.";
                self.report(FindingKind::InventoryDrift, first, detail).await?;
                Ok(Outcome::NotAdded)
            }
            Status::Inactive | Status::Released => Ok(Outcome::NotAdded),
        }
    }

    /// Whether it is proven that an account has neither an order nor the number. Reports an account whose key is unproven.
    async fn is_absent_from(&mut self, account: &Account) -> Result<bool, Error> {
        match self.run.sagas.absence(self.session(account), &self.trace(account)).await? {
            Absence::Proven => Ok(true),
            Absence::WrongKey => {
                let detail = "No account of the agency has an order or a number for this row, which predates the ledger, and nothing \
                              shows that this account's key is the right one. Adopt this finding to release the row.";
                self.report(FindingKind::KeyUnproven, account, detail).await?;
                Ok(false)
            }
            Absence::WrongKeyOf(_) | Absence::Moved(_) | Absence::Elsewhere(_) | Absence::NotNow(_) => Ok(false),
        }
    }

    async fn report(&mut self, kind: FindingKind, account: &Account, detail: &str) -> Result<(), Error> {
        let observation = Observation {
            number: Some(self.row.number.to_string()),
            agency_id: Some(self.row.agency_id),
            row_ids: vec![self.row.row_id],
            detail: detail.to_owned(),
            key_digest: Some(account.key_digest()),
            ..Observation::new(kind, &account.name)
        };
        self.run.report.new_findings += self.run.store().report(&[observation]).await?;
        Ok(())
    }

    fn session<'s>(&'s self, account: &'s Account) -> Session<'s> {
        self.run.sagas.telnyx.session(account, self.until)
    }

    fn trace<'s>(&'s self, account: &'s Account) -> Trace<'s> {
        Trace {
            number: &self.row.number,
            agency_id: self.row.agency_id,
            row_id: self.row.row_id,
            account: &account.name,
            purchase_id: None,
            reference: None,
            key_digest: None,
            order_id: None,
            phone_number_id: None,
        }
    }

    /// Whether the reference of a number names another agency than the row's.
    fn is_for_another_agency(&self, owned: &Owned) -> bool {
        let reference = owned.customer_reference.as_deref().and_then(|reference| reference.parse::<Reference>().ok());
        reference.is_some_and(|reference| reference.agency_id != self.row.agency_id)
    }
}
