//! The Lambda runtime: one request in, one answer out. Only this module and the binaries use it.

mod background;
mod body;
mod call;
mod check;
pub mod cors;
mod deadline;
#[cfg(feature = "schema")]
pub mod document;
mod event;
mod function;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
pub mod input;
mod log;
pub mod size;

use lambda_http::{LambdaEvent, lambda_runtime, service_fn};
use serde_json::value::RawValue;
use tracing::Instrument as _;

pub use self::background::{Background, BackgroundService, Delivery};
pub use self::call::{Answer, Call, QUERY_OR_BODY};
use self::check::Outcome;
pub use self::event::EventAnswer;
pub use self::function::{Function, REGION, Service};
pub use self::log::init as init_log;
use self::log::invocation;
use crate::config::{Config, Logging};

/// Runs a background function until Lambda ends the process. The `main` of its binary calls this.
///
/// # Errors
/// The runtime API cannot be reached.
pub async fn run_background<B: Background>() -> Result<(), lambda_http::Error> {
    init_log(&Logging::from_env());
    let service = BackgroundService::<B>::new(Config::from_env());
    service.warm().await;
    let service = &service;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Box<RawValue>>| {
        let span = invocation(&event.context);
        let outcome = async move {
            if check::is_asked(&event) {
                return check::run(B::NAME, service.check()).await.map(Outcome::Checked);
            }
            service.handle(event).await.map(Outcome::Answer)
        };
        outcome.instrument(span)
    }))
    .await
}

/// Runs a function until Lambda ends the process. The `main` of its binary calls this.
///
/// # Errors
/// The runtime API cannot be reached.
pub async fn run<F: Function>() -> Result<(), lambda_http::Error> {
    init_log(&Logging::from_env());
    let service = Service::<F>::new(Config::from_env());
    service.warm().await;
    let service = &service;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Box<RawValue>>| {
        let span = invocation(&event.context);
        let outcome = async move {
            if check::is_asked(&event) {
                return check::run(F::NAME, service.check()).await.map(Outcome::Checked);
            }
            service.handle(event).await.map(Outcome::Answer).map_err(|never| match never {})
        };
        outcome.instrument(span)
    }))
    .await
}
