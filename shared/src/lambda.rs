//! The Lambda runtime: one request in, one answer out. Only this module and the binaries use it.

mod background;
mod body;
mod call;
pub mod cors;
mod deadline;
#[cfg(feature = "schema")]
pub mod document;
mod function;
pub mod input;
mod log;

use std::convert::Infallible;

use lambda_http::{Request, lambda_runtime, service_fn, tracing as runtime_tracing};

pub use self::background::{Background, BackgroundService, Delivery};
pub use self::call::{Answer, Call, QUERY_OR_BODY};
pub use self::function::{Function, Service};
use crate::config::Config;

/// Runs a background function until Lambda ends the process. The `main` of its binary calls this.
///
/// # Errors
/// The runtime API cannot be reached.
pub async fn run_background<B: Background>() -> Result<(), lambda_http::Error> {
    runtime_tracing::init_default_subscriber();
    let service = BackgroundService::<B>::new(Config::from_env());
    service.warm().await;
    let service = &service;
    lambda_runtime::run(service_fn(move |event| service.handle(event))).await
}

/// Runs a function until Lambda ends the process. The `main` of its binary calls this.
///
/// # Errors
/// The runtime API cannot be reached.
pub async fn run<F: Function>() -> Result<(), lambda_http::Error> {
    runtime_tracing::init_default_subscriber();
    let service = Service::<F>::new(Config::from_env());
    service.warm().await;
    let service = &service;
    lambda_http::run(service_fn(move |request: Request| async move { Ok::<_, Infallible>(service.answer(request).await) })).await
}
