//! What is logged of a request beside its outcome: its agency, and how long it waited for each dependency.
//!
//! A reading belongs to the task that [`measure`] runs in. Elsewhere, in a test or while a process warms up, nothing is measured.

use std::cell::RefCell;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

/// What a request can wait for.
#[derive(Clone, Copy)]
pub(crate) enum Dependency {
    /// The database, with making a connection and reading its login.
    Postgres,
    /// Telnyx.
    #[cfg_attr(not(feature = "telnyx"), allow(dead_code, reason = "only the client for Telnyx waits for it"))]
    Telnyx,
    /// Secrets Manager.
    Secrets,
    /// The issuer's public keys.
    Jwks,
}

/// What was measured of a request.
#[derive(Default)]
pub(crate) struct Reading {
    /// The caller's agency, once it was known.
    pub(crate) agency_id: Option<Uuid>,
    waits: [Option<Wait>; 4],
}

/// The waits for one dependency. Those at the same time count once.
#[derive(Clone, Copy)]
struct Wait {
    under_way: u32,
    since: Instant,
    total: Duration,
}

tokio::task_local! {
    static READING: RefCell<Reading>;
}

impl Reading {
    /// How long the request waited for a dependency, in milliseconds. None if it did not need it.
    pub(crate) fn waited_ms(&self, dependency: Dependency) -> Option<u64> {
        let wait = self.waits[dependency as usize]?;
        Some(u64::try_from(wait.total.as_millis()).unwrap_or(u64::MAX))
    }
}

/// Does `work`, and returns what was measured of it.
pub(crate) async fn measure<T>(work: impl Future<Output = T>) -> (T, Reading) {
    let measured = async {
        let outcome = work.await;
        (outcome, READING.with(RefCell::take))
    };
    READING.scope(RefCell::default(), measured).await
}

/// Waits for a dependency and measures how long, also if the wait is cancelled.
pub(crate) async fn wait_for<T>(dependency: Dependency, work: impl Future<Output = T>) -> T {
    let _waiting = Waiting::begin(dependency);
    work.await
}

/// Notes the agency of the caller.
pub(crate) fn note_agency(agency_id: Uuid) {
    change(|reading| reading.agency_id = Some(agency_id));
}

fn change(change: impl FnOnce(&mut Reading)) {
    // An error means that nothing is measured here.
    let _ = READING.try_with(|reading| change(&mut reading.borrow_mut()));
}

struct Waiting(Dependency);

impl Waiting {
    fn begin(dependency: Dependency) -> Self {
        let now = Instant::now();
        change(|reading| {
            let wait = reading.waits[dependency as usize].get_or_insert(Wait { under_way: 0, since: now, total: Duration::ZERO });
            if wait.under_way == 0 {
                wait.since = now;
            }
            wait.under_way += 1;
        });
        Self(dependency)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        change(|reading| {
            if let Some(wait) = &mut reading.waits[self.0 as usize] {
                wait.under_way = wait.under_way.saturating_sub(1);
                if wait.under_way == 0 {
                    wait.total += wait.since.elapsed();
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{sleep, timeout};

    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[tokio::test(start_paused = true)]
    async fn waits_add_up_and_those_at_the_same_time_count_once() {
        let work = async {
            wait_for(Dependency::Postgres, sleep(ms(10))).await;
            sleep(ms(5)).await;
            let twice = wait_for(Dependency::Postgres, sleep(ms(20)));
            tokio::join!(twice, wait_for(Dependency::Postgres, sleep(ms(30))), wait_for(Dependency::Secrets, sleep(ms(7))));
        };
        let ((), reading) = measure(work).await;
        assert_eq!(reading.waited_ms(Dependency::Postgres), Some(40));
        assert_eq!(reading.waited_ms(Dependency::Secrets), Some(7));
        assert_eq!(reading.waited_ms(Dependency::Jwks), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_cancelled_counts() {
        let work = timeout(ms(50), wait_for(Dependency::Telnyx, std::future::pending::<()>()));
        let (outcome, reading) = measure(work).await;
        assert!(outcome.is_err());
        assert_eq!(reading.waited_ms(Dependency::Telnyx), Some(50));
    }

    #[tokio::test]
    async fn what_is_measured_elsewhere_is_of_no_request() {
        note_agency(Uuid::nil());
        let ((), reading) = measure(async {}).await;
        assert_eq!(reading.agency_id, None);
        let ((), reading) = measure(async { note_agency(Uuid::nil()) }).await;
        assert_eq!(reading.agency_id, Some(Uuid::nil()));
    }
}
