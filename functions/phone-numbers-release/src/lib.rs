//! `phone-numbers-release`: gives an agency's numbers back to Telnyx.
//!
//! A release is noted, and its number taken from its agent, before Telnyx hears of it; whatever happens then, asking
//! again goes on where it stopped.

mod cancel;
mod give_back;
mod request;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use lambda_http::http::StatusCode;
use serde::Serialize;
use shared::config::{self, Config};
use shared::deadline::sleep_within;
use shared::error::Error;
use shared::lambda::{Answer, Call, Function};
use shared::model::{Actor, E164, Permission, Status};
use shared::problem::Problem;
use shared::secrets::Secrets;
use shared::store::{ReleaseTarget, Store};
use shared::telnyx::{Account, Accounts, Client};
use tokio::time::Instant;
use uuid::Uuid;

use request::Request;

/// How many numbers of one request are worked on at a time.
const AT_A_TIME: usize = 4;

/// The function.
pub struct Release {
    store: Store,
    accounts: Accounts,
    telnyx: Client,
    config: config::Purchase,
}

impl Function for Release {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const METHODS: &'static [&'static str] = &["POST"];

    fn new(config: &Config, secrets: Arc<Secrets>) -> Self {
        Self {
            store: Store::new(&config.database, Arc::clone(&secrets)),
            accounts: Accounts::new(config.telnyx.keys.clone(), secrets),
            telnyx: Client::new(&config.telnyx),
            config: config.purchase,
        }
    }

    async fn warm(&self) {
        tokio::join!(self.store.warm(), self.accounts.warm());
    }

    async fn handle(&self, call: Call) -> Result<Answer, Error> {
        let request = Request::read(call.body()?)?;
        let actor = self.store.authorize(call.user_id, Permission::Release).await?;
        let targets = self.store.release_targets(actor.agency_id, &request.ids).await?;
        let mut targets: HashMap<_, _> = targets.into_iter().map(|target| (target.row_id, target)).collect();
        let releaser = Releaser { function: self, actor: &actor, deadline: call.deadline };
        let work: Vec<_> = request.ids.into_iter().map(|id| (id, targets.remove(&id))).collect();
        let outcomes: Vec<_> = stream::iter(work).map(|(id, target)| releaser.outcome(id, target)).buffered(AT_A_TIME).collect().await;
        answer(outcomes)
    }
}

/// Somebody who releases, until a deadline.
struct Releaser<'a> {
    function: &'a Release,
    actor: &'a Actor,
    deadline: Instant,
}

/// What became of one id.
struct Outcome {
    id: Uuid,
    number: Option<E164>,
    result: Result<Released, Error>,
}

/// A number that is released.
enum Released {
    Now,
    Before,
}

impl Releaser<'_> {
    async fn outcome(&self, id: Uuid, target: Option<ReleaseTarget>) -> Outcome {
        let Some(target) = target else {
            return Outcome {
                id,
                number: None,
                result: Err(Error::NotFound { what: "phone number", field: "phone_number_ids".to_owned() }),
            };
        };
        let result = match target.status {
            Status::Released => Ok(Released::Before),
            Status::Pending => self.cancel(&target).await.map(|()| Released::Now),
            Status::Active | Status::Inactive => self.give_back(&target).await.map(|()| Released::Now),
        };
        if let Err(error) = &result {
            tracing::warn!(row_id = %id, code = error.code(), error = %error, "a number was not released");
        }
        Outcome { id, number: Some(target.number), result }
    }

    /// The account that the ledger names; for a row from before there was a ledger, the one that has the number.
    async fn account(&self, target: &ReleaseTarget) -> Result<Account, Error> {
        if let Some(name) = &target.account {
            return self.function.accounts.named(name).await;
        }
        let mut accounts = self.function.accounts.all_of_agency(self.actor.agency_id).await?;
        for (index, account) in accounts.iter().enumerate() {
            if self.function.telnyx.session(account, self.deadline).find_number(&target.number).await?.is_some() {
                return Ok(accounts.swap_remove(index));
            }
        }
        // Nobody has it any more.
        Ok(accounts.swap_remove(0))
    }

    /// Sleeps; false when that would take it past the deadline.
    async fn sleep(&self, pause: Duration) -> bool {
        sleep_within(self.deadline, pause).await
    }
}

#[derive(Serialize)]
struct Body {
    success: bool,
    released: Vec<ReleasedItem>,
    failed: Vec<FailedItem>,
    summary: Summary,
    message: String,
}

#[derive(Serialize)]
struct ReleasedItem {
    id: Uuid,
    phone_number: Option<E164>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
}

#[derive(Serialize)]
struct FailedItem {
    id: Uuid,
    phone_number: Option<E164>,
    error: String,
    problem: Problem,
}

#[derive(Serialize)]
#[allow(clippy::struct_field_names, reason = "the members callers know")]
struct Summary {
    total_requested: usize,
    released_count: usize,
    failed_count: usize,
}

/// 200 when every number is released, 207 when one is not.
fn answer(outcomes: Vec<Outcome>) -> Result<Answer, Error> {
    let (mut released, mut failed) = (Vec::new(), Vec::new());
    for Outcome { id, number, result } in outcomes {
        match result {
            Ok(when) => released.push(ReleasedItem {
                id,
                phone_number: number,
                note: matches!(when, Released::Before).then_some("Already released"),
            }),
            Err(error) => {
                let problem = Problem::from(&error);
                failed.push(FailedItem { id, phone_number: number, error: problem.error.clone(), problem });
            }
        }
    }
    let summary = Summary { total_requested: released.len() + failed.len(), released_count: released.len(), failed_count: failed.len() };
    let message = format!("{} of {} phone numbers released.", summary.released_count, summary.total_requested);
    let status = if failed.is_empty() { StatusCode::OK } else { StatusCode::MULTI_STATUS };
    let body = Body { success: failed.is_empty(), released, failed, summary, message };
    Ok(Answer::ok(&body)?.with_status(status))
}
