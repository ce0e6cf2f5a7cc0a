//! Leases: whoever works holds one, and prolongs it while work goes on.

use std::time::Duration;

use crate::error::Error;

/// Does `work` while `renew` prolongs its lease, three times in the time that the lease lasts. A lease that is lost stops
/// nothing here: what its holder writes is fenced. A process that hangs or has died renews nothing.
pub async fn renewing<T, R>(lease: Duration, renew: impl Fn() -> R, work: impl Future<Output = T>) -> T
where
    R: Future<Output = Result<bool, Error>>,
{
    let renewals = async {
        loop {
            tokio::time::sleep(lease / 3).await;
            match renew().await {
                Ok(true) => {}
                Ok(false) => std::future::pending().await,
                Err(error) => tracing::warn!(error = %error, "a lease could not be renewed"),
            }
        }
    };
    tokio::select! {
        biased;
        outcome = work => outcome,
        () = renewals => unreachable!("renewals do not end"),
    }
}
