//! Waiting until a deadline at most.

use std::time::Duration;

use tokio::time::Instant;

/// Sleeps for `pause`. Returns false at once if the pause would end after the deadline.
pub async fn sleep_within(deadline: Instant, pause: Duration) -> bool {
    let until = Instant::now() + pause;
    if until >= deadline {
        return false;
    }
    tokio::time::sleep_until(until).await;
    true
}
