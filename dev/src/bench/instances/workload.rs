//! What the instances do.

use crate::postgres::logins::Login;
use crate::telnyx_simulator::Settings;

/// What each instance does in a step, one call after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// Lists the first 50 of an agency's 200 numbers.
    List,
    /// Buys other numbers with each call.
    Purchase {
        /// How many numbers each call buys.
        numbers: usize,
        /// How long Telnyx takes for an order. Without delay, purchases do not pause before they look at an order again either: then
        /// there is always work for the instances and for Postgres.
        order_delay_ms: u64,
    },
}

impl Workload {
    /// What `cargo dev instances` measures. 1,400 ms is the simulator's default.
    pub(super) const MEASURED: [Self; 4] = [
        Self::List,
        Self::Purchase { numbers: 1, order_delay_ms: 0 },
        Self::Purchase { numbers: 1, order_delay_ms: 1_400 },
        Self::Purchase { numbers: 4, order_delay_ms: 1_400 },
    ];

    /// The name of the function.
    pub(super) const fn function(self) -> &'static str {
        match self {
            Self::List => "phone-numbers-list",
            Self::Purchase { .. } => "phone-numbers-purchase",
        }
    }

    /// The most connections that one instance may hold, as docs/performance.md has it.
    pub(super) const fn most_connections(self) -> usize {
        match self {
            Self::List => 1,
            Self::Purchase { .. } => 2,
        }
    }

    pub(super) const fn login(self) -> Login {
        match self {
            Self::List => Login::Read,
            Self::Purchase { .. } => Login::Spend,
        }
    }

    /// The simulator's settings.
    pub(super) fn telnyx(self) -> Settings {
        let usual = Settings::default();
        match self {
            Self::List => usual,
            Self::Purchase { order_delay_ms, .. } => {
                Settings { order_delay_ms, number_delay_ms: usual.number_delay_ms.min(order_delay_ms), ..usual }
            }
        }
    }

    /// Settings of the function that differ from their defaults.
    pub(super) const fn settings(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Purchase { order_delay_ms: 0, .. } => Some(("PURCHASE_POLL_MS", "1")),
            Self::List | Self::Purchase { .. } => None,
        }
    }

    /// What it is called in the report.
    pub(super) fn name(self) -> String {
        match self {
            Self::List => "list 50 rows".to_owned(),
            Self::Purchase { numbers, order_delay_ms } => format!("buy {numbers}, orders take {order_delay_ms} ms"),
        }
    }
}
