//! Acceptance tests: the product against a real Postgres and the Telnyx simulator.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod books;
mod connections;
mod openapi;
mod proxy;
mod purchase;
mod purchase_crashes;
mod purchase_failures;
mod purchase_races;
mod release;
mod release_failures;
mod schema;
mod secrets;
mod simulator;
mod stack;
mod story;
mod world;
