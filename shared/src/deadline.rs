//! Waiting, but not for longer than a caller does.

use std::time::Duration;

use tokio::time::Instant;

/// Sleeps; false, at once, when that would take it past the deadline.
pub async fn sleep_within(deadline: Instant, pause: Duration) -> bool {
    let until = Instant::now() + pause;
    if until >= deadline {
        return false;
    }
    tokio::time::sleep_until(until).await;
    true
}
