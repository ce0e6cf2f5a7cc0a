//! What runs and tests the phone-number functions on one machine.
//!
//! - [`postgres`], [`migrations`], [`demo`]: the database
//! - [`telnyx`]: a Telnyx to talk to
//! - [`vault`], [`moto`]: Secrets Managers, one of our own and one that is not
//! - [`template`], [`functions`], [`runtime_api`], [`gateway`]: AWS, as far as the functions see it
//! - [`containers`]: the way here from Docker
//! - [`wire`]: ways to Postgres and Telnyx that break on purpose
//! - [`stack`]: all of that as one value, which `cargo dev` and the tests share
//! - [`books`]: whether database and Telnyx agree
//! - [`chaos`]: whether they still do when everything breaks at random
//! - [`touched`]: what a deployment has to build
//! - [`cli`]: the command line

pub mod books;
pub mod chaos;
mod children;
pub mod cli;
pub mod containers;
pub mod demo;
pub mod functions;
pub mod gateway;
pub mod listener;
pub mod migrations;
pub mod moto;
pub mod postgres;
pub mod runtime_api;
pub mod stack;
pub mod telnyx;
pub mod template;
pub mod token;
pub mod touched;
pub mod vault;
pub mod wire;
pub mod workspace;
