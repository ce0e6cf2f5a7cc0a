//! `phone-numbers-release`: gives an agency's numbers back to Telnyx.
//!
//! A release is recorded, and its number unassigned, before Telnyx is called. A repeated request resumes a release that is not
//! finished.

mod answer;
#[cfg(feature = "schema")]
pub mod document;
mod request;

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use shared::config::Config;
use shared::error::Error;
use shared::idempotency;
use shared::lambda::{Answer, Call, Function};
use shared::model::{Actor, Caller};
use shared::saga::{Releaser, Sagas};
use shared::secrets::Secrets;
use shared::store::{Lookup, ReleaseTarget};
use uuid::Uuid;

use answer::Outcome;
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

    async fn check(&self) -> Result<(), Error> {
        self.sagas.check().await
    }

    async fn handle(&self, call: Call) -> Result<Answer, Error> {
        let request = Request::read(call.body()?)?;
        let store = &self.sagas.store;
        let caller = Caller::new(call.user_id, Self::NAME, call.method.as_str());
        let (ids, deadline) = (&request.ids, call.deadline);
        let work = |actor: Actor, targets: Result<Vec<ReleaseTarget>, Error>, _| {
            Box::pin(async move {
                let mut targets: HashMap<_, _> = targets?.into_iter().map(|target| (target.row_id, target)).collect();
                let releaser = Releaser { sagas: &self.sagas, deadline };
                let work: Vec<_> = ids.iter().map(|id| outcome(&releaser, &actor, *id, targets.remove(id))).collect();
                answer::released(stream::iter(work).buffered(AT_A_TIME).collect().await)
            })
        };
        let lookup = Lookup::release_targets(ids);
        idempotency::once(store, &self.sagas.config, &caller, Self::NAME, &call, lookup, work).await
    }
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
