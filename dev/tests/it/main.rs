//! Acceptance tests: the product against a real Postgres and the Telnyx simulator.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// Each test's future is awaited once, by itself, so its size does not matter.
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
