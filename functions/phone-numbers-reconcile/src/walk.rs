//! One walk through the inventory of an account, page by page, until every page was read or time is up.

mod closing;
mod compare;
pub(crate) mod missing;
mod moves;
mod pages;
mod strangers;
mod verdict;

use std::time::Duration;

use shared::error::Error;
use shared::store::{Fenced, Seen, Walk};
use shared::telnyx::{Account, Failure, InventoryPage, Session};
use tokio::time::Instant;

use crate::run::Run;

use pages::Next;
use verdict::Scope;

/// The time that one page needs. With less than this left, a walk stops, and the next run continues it.
pub(crate) const MIN_PAGE_TIME: Duration = Duration::from_secs(3);

/// A walk whose lease this process holds.
pub(crate) struct AccountWalk<'r, 'a> {
    run: &'r mut Run<'a>,
    /// Telnyx, asked with the account's key.
    session: Session<'r>,
    scope: Scope,
    /// The walk as the database has it.
    state: Walk,
}

/// What follows a page.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// The next page.
    Continue,
    /// Nothing in this run: a later one continues, or another process has the lease.
    Stop,
    /// The end of the walk: all pages were read or skipped.
    Finish,
}

impl<'r, 'a> AccountWalk<'r, 'a> {
    pub(crate) fn new(run: &'r mut Run<'a>, account: &'r Account, state: Walk) -> Self {
        let session = run.sagas.telnyx.session(account, run.deadline);
        let scope = Scope { account: state.account().into(), deployment: run.deployment.to_owned() };
        Self { run, session, scope, state }
    }

    /// Reads pages until the walk is finished or time is up. A page that cannot be read now is left to a later run.
    pub(crate) async fn advance_until_deadline(&mut self) -> Result<(), Error> {
        loop {
            if self.run.deadline.saturating_duration_since(Instant::now()) < MIN_PAGE_TIME {
                self.run.report.accounts_paused += 1;
                return Ok(());
            }
            let place = &self.state.place;
            let progress = match self.session.inventory(&place.window, place.page).await {
                Ok(page) if pages::is_served(place, &page) => self.take_page(&page).await?,
                Ok(_) => self.skip_page("the page is empty").await?,
                Err(failure) if failure.refuses_request() && !place.is_start() => self.skip_page(&format!("{failure:?}")).await?,
                Err(failure) => self.stop_at_failure(&failure).await?,
            };
            match progress {
                Progress::Continue => {}
                Progress::Stop => return Ok(()),
                Progress::Finish => return self.finish().await,
            }
        }
    }

    /// Compares a page and moves on to the next one.
    async fn take_page(&mut self, page: &InventoryPage) -> Result<Progress, Error> {
        let place = &self.state.place;
        if !pages::matches_window(place, &page.numbers) {
            tracing::error!(account = self.state.account(), window = place.window, "Telnyx ignores the filter by digits");
            return self.advance(pages::without_windows(place), &Seen::default()).await;
        }
        let seen = self.compare_page(&page.numbers).await?;
        self.advance(pages::after(&self.state.place, page), &seen).await
    }

    /// Continues without a page that Telnyx does not serve.
    async fn skip_page(&mut self, reason: &str) -> Result<Progress, Error> {
        let place = &self.state.place;
        tracing::warn!(account = self.state.account(), window = place.window, page = place.page, reason, "Telnyx does not serve a page");
        self.run.report.accounts_failed += 1;
        self.advance(pages::after_refusal(place), &Seen::default()).await
    }

    /// Stops at a page that could not be read. A failure of the first page of an account is not counted against the page:
    /// Telnyx may be down, or reject the key.
    async fn stop_at_failure(&mut self, failure: &Failure) -> Result<Progress, Error> {
        tracing::warn!(account = self.state.account(), ?failure, "the inventory of an account could not be read");
        self.run.report.accounts_failed += 1;
        if self.state.place.is_start() || !matches!(failure, Failure::Unknown(_)) {
            return Ok(Progress::Stop);
        }
        match self.advance(pages::after_failure(&self.state.place), &Seen::default()).await? {
            Progress::Continue => Ok(Progress::Stop),
            progress @ (Progress::Stop | Progress::Finish) => Ok(progress),
        }
    }

    /// Writes what a page has shown and where the walk continues.
    async fn advance(&mut self, next: Next, seen: &Seen) -> Result<Progress, Error> {
        let (place, progress) = match next {
            Next::Read(place) => (place, Progress::Continue),
            Next::End(place) => (place, Progress::Finish),
        };
        match self.run.store().advance_walk(&self.state, &place, seen).await? {
            Fenced::Done(state) => self.state = state,
            Fenced::Lost => return Ok(Progress::Stop),
        }
        Ok(progress)
    }

    /// Draws the conclusions of a walk that came to its end. Only a whole walk, which skipped nothing, shows that something is
    /// missing.
    async fn finish(&mut self) -> Result<(), Error> {
        let is_whole = self.state.place.is_whole;
        self.report_strangers().await?;
        if is_whole {
            self.check_missing().await?;
            self.close_findings().await?;
        } else {
            tracing::error!(account = self.state.account(), "parts of the inventory of an account could not be read");
            self.run.report.accounts_failed += 1;
        }
        if self.run.store().finish_walk(&self.state).await?.is_done() && is_whole {
            self.run.report.accounts_compared += 1;
        }
        Ok(())
    }
}
