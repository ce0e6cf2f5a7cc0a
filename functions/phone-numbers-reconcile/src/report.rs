//! What a run has done: one line of the log, which `CloudWatch` reads as metrics, too (the embedded metric format,
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use shared::error::Error;
use shared::store::{Deployment, FindingKind, OpenFindings, Stuck, is_refusal};

const NAMESPACE: &str = "PhoneNumbers";

/// What a run has done, in counts.
pub(crate) struct Report {
    began: Instant,
    pub(crate) purchases_completed: usize,
    pub(crate) purchases_failed: usize,
    pub(crate) purchases_pending: usize,
    pub(crate) releases_completed: usize,
    pub(crate) releases_failed: usize,
    pub(crate) backfilled: usize,
    pub(crate) adopted: usize,
    pub(crate) corrected: usize,
    pub(crate) deactivated: usize,
    /// Numbers that the ledger has followed to another account.
    pub(crate) moved: usize,
    pub(crate) new_findings: usize,
    pub(crate) numbers_compared: usize,
    pub(crate) accounts_compared: usize,
    pub(crate) accounts_paused: usize,
    /// Accounts that could not be asked, for want of a key or of an answer.
    pub(crate) accounts_failed: usize,
    /// Statements that the database refused, because of a locked row say.
    pub(crate) objections: usize,
    pub(crate) expired_keys: usize,
    /// Findings that were deleted, and failures whose free text was.
    pub(crate) forgotten: usize,
    /// Whose the database is; None when the run did not come so far, likewise below.
    pub(crate) deployment: Option<Deployment>,
    pub(crate) stuck: Option<Stuck>,
    pub(crate) open_findings: Option<OpenFindings>,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            purchases_completed: 0,
            purchases_failed: 0,
            purchases_pending: 0,
            releases_completed: 0,
            releases_failed: 0,
            backfilled: 0,
            adopted: 0,
            corrected: 0,
            deactivated: 0,
            moved: 0,
            new_findings: 0,
            numbers_compared: 0,
            accounts_compared: 0,
            accounts_paused: 0,
            accounts_failed: 0,
            objections: 0,
            expired_keys: 0,
            forgotten: 0,
            deployment: None,
            stuck: None,
            open_findings: None,
        }
    }
}

impl Report {
    /// Counts what the database refused.
    pub(crate) fn objection(&mut self, error: &Error) {
        tracing::error!(error = %error, "the database refused a statement, and the run goes on");
        self.objections += 1;
    }

    /// Logs why something is left to a later run.
    pub(crate) fn unfinished(&mut self, error: &Error, message: &'static str) {
        tracing::warn!(error = %error, message);
        if is_refusal(error) {
            self.objection(error);
        }
    }

    /// Writes the line. It goes past the log's own format: `CloudWatch` wants the object to itself.
    pub(crate) fn print(&self, service: &str, succeeded: bool) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        println!("{}", self.line(service, succeeded, u64::try_from(now).unwrap_or(u64::MAX)));
    }

    fn line(&self, service: &str, succeeded: bool, now_ms: u64) -> Value {
        let mut counts = vec![
            ("PurchasesCompleted", self.purchases_completed),
            ("PurchasesFailed", self.purchases_failed),
            ("PurchasesPending", self.purchases_pending),
            ("ReleasesCompleted", self.releases_completed),
            ("ReleasesFailed", self.releases_failed),
            ("Backfilled", self.backfilled),
            ("Adopted", self.adopted),
            ("Corrected", self.corrected),
            ("Deactivated", self.deactivated),
            ("Moved", self.moved),
            ("NewFindings", self.new_findings),
            ("NumbersCompared", self.numbers_compared),
            ("AccountsCompared", self.accounts_compared),
            ("AccountsPaused", self.accounts_paused),
            ("AccountsFailed", self.accounts_failed),
            ("DatabaseObjections", self.objections),
            ("ExpiredKeys", self.expired_keys),
            ("Forgotten", self.forgotten),
        ];
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
        let metrics: Vec<_> = counts.iter().map(|(name, _)| json!({"Name": name, "Unit": "Count"})).collect();
        let mut line = json!({
            "_aws": {
                "Timestamp": now_ms,
                "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": [["Service"]], "Metrics": metrics}],
            },
            "Service": service,
            "message": if succeeded { "reconciled" } else { "reconciled in part" },
            "function": env!("CARGO_PKG_NAME"),
            "duration_ms": u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
        for (name, count) in counts {
            line[name] = json!(count);
        }
        line
    }
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
        let line = report.line("ours", true, 1_767_225_600_000);
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
        let line = Report::default().line("ours", false, 0);
        assert!(line.get("StuckPurchases").is_none() && line.get("InventoryDrift").is_none());
        assert_eq!(line["message"], "reconciled in part");
    }
}
