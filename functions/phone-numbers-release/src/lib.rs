//! `phone-numbers-release`: gives an agency's numbers back to Telnyx.
//!
//! A release is noted, and its number taken from its agent, before Telnyx hears of it; whatever happens then, asking
//! again goes on where it stopped.

mod request;

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use lambda_http::http::StatusCode;
use serde::Serialize;
use shared::config::Config;
use shared::error::Error;
use shared::idempotency;
use shared::lambda::{Answer, Call, Function};
use shared::model::{Actor, E164, Permission};
use shared::problem::Problem;
use shared::saga::{Released, Releaser, Sagas};
use shared::secrets::Secrets;
use shared::store::ReleaseTarget;
use uuid::Uuid;

use request::Request;

/// How many numbers of one request are worked on at a time.
const AT_A_TIME: usize = 4;

/// The function.
pub struct Release {
    sagas: Sagas,
}

impl Function for Release {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const METHODS: &'static [&'static str] = &["POST"];

    fn new(config: &Config, secrets: Arc<Secrets>) -> Self {
        Self { sagas: Sagas::new(config, secrets) }
    }

    async fn warm(&self) {
        self.sagas.warm().await;
    }

    async fn handle(&self, call: Call) -> Result<Answer, Error> {
        let request = Request::read(call.body()?)?;
        let store = &self.sagas.store;
        let actor = store.authorize(call.user_id, Permission::Release).await?;
        let work = async {
            let targets = store.release_targets(actor.agency_id, &request.ids).await?;
            let mut targets: HashMap<_, _> = targets.into_iter().map(|target| (target.row_id, target)).collect();
            let releaser = Releaser { sagas: &self.sagas, deadline: call.deadline };
            let work: Vec<_> = request.ids.iter().map(|id| outcome(&releaser, &actor, *id, targets.remove(id))).collect();
            answer(stream::iter(work).buffered(AT_A_TIME).collect().await)
        };
        idempotency::once(store, &self.sagas.config, &actor, Self::NAME, &call, |_| Box::pin(work)).await
    }
}

/// What became of one id.
struct Outcome {
    id: Uuid,
    number: Option<E164>,
    result: Result<Released, Error>,
}

async fn outcome(releaser: &Releaser<'_>, actor: &Actor, id: Uuid, target: Option<ReleaseTarget>) -> Outcome {
    let Some(target) = target else {
        let not_found = Error::NotFound { what: "phone number", field: "phone_number_ids".to_owned() };
        return Outcome { id, number: None, result: Err(not_found) };
    };
    let result = releaser.release(actor, &target).await;
    if let Err(error) = &result {
        tracing::warn!(row_id = %id, code = error.code(), error = %error, "a number was not released");
    }
    Outcome { id, number: Some(target.number), result }
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
    let is_final = !outcomes.iter().any(|outcome| outcome.result.as_ref().is_err_and(Error::retryable));
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
    let answer = Answer::ok(&body)?.with_status(status);
    Ok(if is_final { answer } else { answer.not_final() })
}
