//! One walk through the inventory of an account, page by page, until it is over or time is up.

use std::time::Duration;

use shared::error::Error;
use shared::store::{Fenced, Seen, Walk};
use shared::telnyx::{Failure, InventoryPage, Session};
use tokio::time::Instant;

use crate::Reconcile;
use crate::report::Report;
use crate::verdict::Asked;
use crate::windows::{self, Next};

/// With less time than this left, a walk stops, and the next run continues it.
pub(crate) const LEAST_FOR_A_PAGE: Duration = Duration::from_secs(3);

/// Whoever holds a walk.
pub(crate) struct Walker<'a> {
    pub(crate) reconcile: &'a Reconcile,
    pub(crate) report: &'a mut Report,
    pub(crate) session: Session<'a>,
    pub(crate) walk: Walk,
    pub(crate) asked: Asked,
    deadline: Instant,
}

/// Whether a walk goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// With the next page.
    On,
    /// In a later run, or in other hands.
    Stopped,
    /// It has been everywhere.
    Over,
}

impl<'a> Walker<'a> {
    pub(crate) fn new(reconcile: &'a Reconcile, report: &'a mut Report, session: Session<'a>, walk: Walk, deadline: Instant) -> Self {
        let deployment = reconcile.deployment.clone().unwrap_or_default();
        let asked = Asked { account: walk.account().into(), deployment };
        Self { reconcile, report, session, walk, asked, deadline }
    }

    /// Continues the walk until it is over or time is up. What Telnyx does not tell now is asked for in a later run.
    pub(crate) async fn walk(&mut self) -> Result<(), Error> {
        loop {
            if self.deadline.saturating_duration_since(Instant::now()) < LEAST_FOR_A_PAGE {
                self.report.accounts_paused += 1;
                return Ok(());
            }
            let place = &self.walk.place;
            let progress = match self.session.inventory(&place.window, place.page).await {
                Ok(page) if windows::is_served(place, &page) => self.take(&page).await?,
                Ok(_) => self.do_without("the page is empty").await?,
                Err(failure) if failure.refuses_request() && !place.is_start() => self.do_without(&format!("{failure:?}")).await?,
                Err(failure) => self.fail(&failure).await?,
            };
            match progress {
                Progress::On => {}
                Progress::Stopped => return Ok(()),
                Progress::Over => return self.end().await,
            }
        }
    }

    /// Compares a page and goes on behind it.
    async fn take(&mut self, page: &InventoryPage) -> Result<Progress, Error> {
        if !windows::fits(&self.walk.place, &page.numbers) {
            tracing::error!(account = self.walk.account(), window = self.walk.place.window, "Telnyx ignores the filter by digits");
            return self.advance(windows::abandon(&self.walk.place), &Seen::default()).await;
        }
        let seen = self.compare_page(&page.numbers).await?;
        self.advance(windows::after(&self.walk.place, page), &seen).await
    }

    /// Goes on without a page that Telnyx does not serve.
    async fn do_without(&mut self, reason: &str) -> Result<Progress, Error> {
        let place = &self.walk.place;
        tracing::warn!(account = self.walk.account(), window = place.window, page = place.page, reason, "Telnyx does not serve a page");
        self.report.accounts_failed += 1;
        self.advance(windows::after_refusal(&self.walk.place), &Seen::default()).await
    }

    /// Stops at a page that could not be read. Telnyx may be down, or refuse the key: without the first page of an account
    /// there is nothing to walk through.
    async fn fail(&mut self, failure: &Failure) -> Result<Progress, Error> {
        tracing::warn!(account = self.walk.account(), ?failure, "the inventory of an account could not be read");
        self.report.accounts_failed += 1;
        if self.walk.place.is_start() || !matches!(failure, Failure::Unknown(_)) {
            return Ok(Progress::Stopped);
        }
        let progress = self.advance(windows::after_failure(&self.walk.place), &Seen::default()).await?;
        Ok(if progress == Progress::On { Progress::Stopped } else { progress })
    }

    async fn advance(&mut self, next: Next, seen: &Seen) -> Result<Progress, Error> {
        let (place, progress) = match next {
            Next::At(place) => (place, Progress::On),
            Next::Over(place) => (place, Progress::Over),
        };
        match self.reconcile.sagas.store.advance_walk(&self.walk, &place, seen).await? {
            Fenced::Done(walk) => self.walk = walk,
            Fenced::Lost => return Ok(Progress::Stopped),
        }
        Ok(progress)
    }

    /// Draws the conclusions of a walk that has been everywhere. Only from a whole one anything follows about what it did not
    /// see.
    async fn end(&mut self) -> Result<(), Error> {
        let is_whole = self.walk.place.is_whole;
        self.report_strangers().await?;
        if is_whole {
            self.look_into_missing().await?;
            self.close_findings().await?;
        } else {
            tracing::error!(account = self.walk.account(), "the inventory of an account could not be read whole");
            self.report.accounts_failed += 1;
        }
        if self.reconcile.sagas.store.finish_walk(&self.walk).await?.is_done() && is_whole {
            self.report.accounts_compared += 1;
        }
        Ok(())
    }
}
