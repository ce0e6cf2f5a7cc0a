//! The counts of a run, printed as one line of the log that `CloudWatch` also reads as metrics (the embedded metric format,
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use shared::error::Error;
use shared::store::{Deployment, FindingKind, OpenFindings, Stuck, is_refusal};

const NAMESPACE: &str = "PhoneNumbers";

/// Declares [`Report`]: the counters, each with the name of its metric.
macro_rules! report {
    ($($(#[$doc:meta])* $counter:ident = $metric:literal;)+) => {
        /// What a run has done, in counts.
        #[derive(Default)]
        pub(crate) struct Report {
            $($(#[$doc])* pub(crate) $counter: usize,)+
            /// Whose database it is; None if the run ended before it was read, as with the two below.
            pub(crate) deployment: Option<Deployment>,
            pub(crate) stuck: Option<Stuck>,
            pub(crate) open_findings: Option<OpenFindings>,
        }

        impl Report {
            fn counters(&self) -> Vec<(&'static str, usize)> {
                vec![$(($metric, self.$counter)),+]
            }
        }
    };
}

report! {
    purchases_completed = "PurchasesCompleted";
    purchases_failed = "PurchasesFailed";
    purchases_pending = "PurchasesPending";
    releases_completed = "ReleasesCompleted";
    releases_failed = "ReleasesFailed";
    /// Rows that predate the ledger and were added to it.
    backfilled = "Backfilled";
    adopted = "Adopted";
    corrected = "Corrected";
    deactivated = "Deactivated";
    /// Numbers whose account was changed in the ledger, because Telnyx has moved them.
    moved = "Moved";
    new_findings = "NewFindings";
    numbers_compared = "NumbersCompared";
    /// Whole walks.
    accounts_compared = "AccountsCompared";
    /// Walks that time ran out for.
    accounts_paused = "AccountsPaused";
    /// Failures to read an account, because its key is missing or Telnyx did not answer.
    accounts_failed = "AccountsFailed";
    /// Statements that the database refused, because of a locked row for example.
    refused_statements = "DatabaseObjections";
    expired_keys = "ExpiredKeys";
    /// Findings that were deleted, and failures whose error text was.
    forgotten = "Forgotten";
}

/// How much of a run was done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Completeness {
    Full,
    /// An error ended the run early.
    Partial,
}

impl Report {
    /// Counts and logs a statement that the database refused.
    pub(crate) fn count_refusal(&mut self, error: &Error) {
        tracing::error!(error = %error, "the database refused a statement; the run continues without it");
        self.refused_statements += 1;
    }

    /// Logs why a later run has to continue some work.
    pub(crate) fn log_interruption(&mut self, error: &Error, message: &'static str) {
        tracing::warn!(error = %error, message);
        if is_refusal(error) {
            self.count_refusal(error);
        }
    }

    /// Prints the line. It bypasses the logger, because `CloudWatch` reads metrics only from a line that is nothing but the
    /// object.
    pub(crate) fn print(&self, service: &str, completeness: Completeness, duration: Duration) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        println!("{}", self.line(service, completeness, whole_ms(duration), whole_ms(now)));
    }

    fn line(&self, service: &str, completeness: Completeness, duration_ms: u64, now_ms: u64) -> Value {
        let counts = self.counts();
        let metrics: Vec<_> = counts.iter().map(|(name, _)| json!({"Name": name, "Unit": "Count"})).collect();
        let mut line = json!({
            "_aws": {
                "Timestamp": now_ms,
                "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": [["Service"]], "Metrics": metrics}],
            },
            "Service": service,
            "message": match completeness {
                Completeness::Full => "reconciled",
                Completeness::Partial => "reconciled in part",
            },
            "function": env!("CARGO_PKG_NAME"),
            "duration_ms": duration_ms,
        });
        for (name, count) in counts {
            line[name] = json!(count);
        }
        line
    }

    /// All metrics. What the run did not come to read is left out, so that it does not look like zero.
    fn counts(&self) -> Vec<(&'static str, usize)> {
        let mut counts = self.counters();
        let count = |count: i64| usize::try_from(count).unwrap_or_default();
        if let Some(deployment) = &self.deployment {
            counts.push(("WrongDeployment", usize::from(*deployment != Deployment::Ours)));
        }
        if let Some(stuck) = self.stuck {
            let stuck = [("StuckPurchases", stuck.purchases), ("StuckReleases", stuck.releases), ("StuckAccounts", stuck.accounts)];
            counts.extend(stuck.map(|(name, stuck)| (name, count(stuck))));
        }
        if let Some(open) = &self.open_findings {
            counts.push(("OpenFindings", count(open.all)));
            counts.extend(FindingKind::ALL.iter().map(|kind| (kind.metric(), count(open.of(*kind)))));
        }
        counts
    }
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_that_the_line_announces_is_in_it() {
        let report = Report {
            adopted: 2,
            stuck: Some(Stuck { purchases: 3, releases: 0, accounts: 1 }),
            open_findings: Some(OpenFindings { all: 5, by_kind: vec![(FindingKind::InventoryDrift, 1)] }),
            ..Report::default()
        };
        let line = report.line("ours", Completeness::Full, 20, 1_767_225_600_000);
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!((&directive["Namespace"], &directive["Dimensions"]), (&json!("PhoneNumbers"), &json!([["Service"]])));
        assert_eq!((&line["_aws"]["Timestamp"], &line["Service"]), (&json!(1_767_225_600_000_u64), &json!("ours")));
        for metric in directive["Metrics"].as_array().into_iter().flatten() {
            let name = metric["Name"].as_str().unwrap_or_default();
            assert!(line[name].is_u64(), "{name}");
        }
        assert_eq!((&line["Adopted"], &line["StuckPurchases"], &line["OpenFindings"]), (&json!(2), &json!(3), &json!(5)));
        assert_eq!((&line["InventoryDrift"], &line["ReleasedButBilled"]), (&json!(1), &json!(0)), "each kind by itself");
    }

    #[test]
    fn a_run_that_was_cut_short_does_not_claim_that_nothing_is_stuck() {
        let line = Report::default().line("ours", Completeness::Partial, 20, 0);
        assert!(line.get("StuckPurchases").is_none() && line.get("InventoryDrift").is_none());
        assert_eq!(line["message"], "reconciled in part");
    }
}
