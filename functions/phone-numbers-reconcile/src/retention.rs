//! Deletes data that is kept for a limited time only.

use shared::error::Error;

use crate::run::Run;

/// How many idempotency keys a run deletes at most.
const MAX_KEYS: i64 = 10_000;
/// How many findings, failed purchases and failed releases, each, a run handles at most.
const MAX_ROWS: i64 = 1_000;

impl Run<'_> {
    /// Deletes expired idempotency keys.
    pub(crate) async fn expire_keys(&mut self) -> Result<(), Error> {
        let expired = self.store().expire_keys(MAX_KEYS, self.sagas.config.keys_ttl).await;
        self.report.expired_keys = self.skip_refused(expired).await?.unwrap_or_default();
        Ok(())
    }

    /// Deletes closed findings, the error texts of failed purchases and releases, and counters that say nothing any more.
    pub(crate) async fn delete_old_data(&mut self) -> Result<(), Error> {
        let retention = self.config.retention;
        let findings = self.store().forget_findings(retention, MAX_ROWS).await;
        self.report.forgotten += self.skip_refused(findings).await?.unwrap_or_default();
        let failures = self.store().forget_failures(retention, MAX_ROWS).await;
        self.report.forgotten += self.skip_refused(failures).await?.unwrap_or_default();
        let rates = self.store().forget_rates().await;
        self.skip_refused(rates).await?;
        Ok(())
    }
}
