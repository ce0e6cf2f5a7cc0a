//! What is kept for a while only, and how much of it a run forgets.

use shared::error::Error;

use crate::Reconcile;
use crate::report::Report;

/// How many idempotency keys a run forgets at most.
const KEYS: i64 = 10_000;
/// How many findings, failed purchases and failed releases, each, a run forgets something of at most.
const AT_A_TIME: i64 = 1_000;

/// Forgets idempotency keys that have expired.
pub(crate) async fn expire_keys(reconcile: &Reconcile, report: &mut Report) -> Result<(), Error> {
    let expired = reconcile.sagas.store.expire_keys(KEYS, reconcile.sagas.config.keys_ttl).await;
    report.expired_keys = reconcile.pass_over(report, expired).await?.unwrap_or_default();
    Ok(())
}

/// Forgets closed findings and the free text of failures.
pub(crate) async fn forget(reconcile: &Reconcile, report: &mut Report) -> Result<(), Error> {
    let (store, retention) = (&reconcile.sagas.store, reconcile.config.retention);
    let findings = store.forget_findings(retention, AT_A_TIME).await;
    report.forgotten += reconcile.pass_over(report, findings).await?.unwrap_or_default();
    let failures = store.forget_failures(retention, AT_A_TIME).await;
    report.forgotten += reconcile.pass_over(report, failures).await?.unwrap_or_default();
    Ok(())
}
