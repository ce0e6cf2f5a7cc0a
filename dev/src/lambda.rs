//! AWS Lambda and API Gateway on one machine.
//!
//! - [`template`]: which functions there are, read from `template.yaml`
//! - [`functions`]: builds the functions and runs their processes
//! - [`runtime_api`]: the HTTP API from which a process takes its events
//! - [`gateway`]: serves the functions over HTTP with API Gateway v2 events

pub mod functions;
pub mod gateway;
pub mod runtime_api;
pub mod template;
