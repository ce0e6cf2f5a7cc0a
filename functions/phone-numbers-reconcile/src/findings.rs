//! Writes findings.

use shared::error::Error;
use shared::store::Observation;

use crate::run::Run;

impl Run<'_> {
    /// Reports findings in one statement, or one by one if that fails, because one of them may be locked.
    pub(crate) async fn report_findings(&mut self, observations: Vec<Observation>) -> Result<(), Error> {
        if let Ok(new) = self.store().report(&observations).await {
            self.report.new_findings += new;
            return Ok(());
        }
        for observation in observations {
            let reported = self.store().report(&[observation]).await;
            self.report.new_findings += self.skip_refused(reported).await?.unwrap_or_default();
        }
        Ok(())
    }
}

/// Joins numbers for the text of a finding, with "…" at the end if they are fewer than `count`.
pub(crate) fn join_numbers(numbers: &[String], count: i64) -> String {
    let is_cut = usize::try_from(count).is_ok_and(|count| count > numbers.len());
    numbers.iter().map(String::as_str).chain(is_cut.then_some("…")).collect::<Vec<_>>().join(", ")
}
