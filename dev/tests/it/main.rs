//! Acceptance tests: the product against a real Postgres and the Telnyx simulator.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// A test is awaited once, and nothing else waits behind it.
#![allow(clippy::large_futures)]

mod api;
mod architecture;
mod boundary;
mod database;
mod documents;
mod money;
mod reconcile;
mod simulator;
mod stack;
mod support;
