//! Leases: whoever works holds one, and prolongs it while work goes on.

use std::convert::Infallible;
use std::time::Duration;

use crate::error::Error;

/// Does `work` while `renew` prolongs its lease, three times in the time that the lease lasts. A lease that is lost stops
/// nothing here: what its holder writes is fenced. A process that hangs or has died renews nothing.
pub fn renewing<T, R>(lease: Duration, renew: impl Fn() -> R, work: impl Future<Output = T>) -> impl Future<Output = T>
where
    R: Future<Output = Result<bool, Error>>,
{
    // Work is large: on the heap it does not weigh on every future around it.
    let work = Box::pin(work);
    async move {
        tokio::select! {
            biased;
            outcome = work => outcome,
            never = keep(lease, renew) => match never {},
        }
    }
}

async fn keep<R>(lease: Duration, renew: impl Fn() -> R) -> Infallible
where
    R: Future<Output = Result<bool, Error>>,
{
    loop {
        tokio::time::sleep(lease / 3).await;
        match renew().await {
            Ok(true) => {}
            Ok(false) => return std::future::pending().await,
            Err(error) => tracing::warn!(error = %error, "a lease could not be renewed"),
        }
    }
}
