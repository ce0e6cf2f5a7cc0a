//! Time limits of database access. Each is a share of one setting.

use std::time::Duration;

/// The server closes a connection that is unused for this long: a frozen function cannot do it itself. NAT gateways forget a
/// connection after 350 seconds.
const UNUSED: Duration = Duration::from_mins(5);

/// The longest that one statement may take, with the connection it needs. The others are eighths of it.
#[derive(Clone, Copy)]
pub(in crate::store) struct Timeouts(Duration);

impl Timeouts {
    pub(in crate::store) const fn of(whole: Duration) -> Self {
        Self(whole)
    }

    pub(in crate::store) const fn whole(self) -> Duration {
        self.0
    }

    fn eighths(self, count: u32) -> Duration {
        self.0 * count / 8
    }

    pub(super) fn connect(self) -> Duration {
        self.eighths(3)
    }

    /// After this long unused, a connection proves that it is alive before it is used: a function that was frozen does not
    /// notice a connection that a firewall or a failover dropped silently.
    pub(super) fn trusted_for(self) -> Duration {
        self.eighths(10)
    }

    /// How long that proof may take.
    pub(super) fn proof(self) -> Duration {
        self.eighths(1)
    }

    /// Unacknowledged data ends a connection after this long (RFC 5482).
    pub(super) fn unacknowledged(self) -> Duration {
        self.eighths(6)
    }

    /// The limits that the server enforces itself, so that a client that vanished leaves no lock behind, as options of the start of
    /// a connection. They concern no connection but this one, and cost no round trip.
    pub(super) fn options(self) -> String {
        let (statement, wait, unused) = (self.eighths(7).as_millis(), self.eighths(5).as_millis(), UNUSED.as_millis());
        format!(
            "-c statement_timeout={statement} -c lock_timeout={wait} -c idle_in_transaction_session_timeout={wait} \
             -c idle_session_timeout={unused}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_gives_up_before_we_do_and_each_step_before_the_whole() {
        let timeouts = Timeouts::of(Duration::from_secs(8));
        let options = "-c statement_timeout=7000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=5000 \
                       -c idle_session_timeout=300000";
        assert_eq!(timeouts.options(), options);
        let steps = [timeouts.proof(), timeouts.connect(), timeouts.unacknowledged(), timeouts.whole(), timeouts.trusted_for()];
        assert_eq!(steps, [1, 3, 6, 8, 10].map(Duration::from_secs));
    }
}
