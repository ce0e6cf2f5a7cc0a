//! What runs and tests the phone-number functions on one machine.
//!
//! - [`postgres`], [`migrations`], [`demo`]: the database
//! - [`telnyx`]: a Telnyx to talk to
//! - [`template`], [`functions`], [`runtime_api`], [`gateway`]: AWS, as far as the functions see it
//! - [`containers`]: the way here from Docker
//! - [`stack`]: all of that as one value, which `cargo dev` and the tests share
//! - [`touched`]: what a deployment has to build
//! - [`cli`]: the command line

mod children;
pub mod cli;
pub mod containers;
pub mod demo;
pub mod functions;
pub mod gateway;
pub mod listener;
pub mod migrations;
pub mod postgres;
pub mod runtime_api;
pub mod stack;
pub mod telnyx;
pub mod template;
pub mod token;
pub mod touched;
pub mod workspace;
