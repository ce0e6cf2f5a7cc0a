//! Acceptance tests: the product against a real Postgres and the Telnyx simulator.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod access;
mod architecture;
mod assign;
mod binaries;
mod books;
mod connections;
mod cors;
mod crash_points;
mod events;
mod functions;
mod input;
mod keys;
mod list;
mod openapi;
mod pages;
mod product;
mod purchase;
mod purchase_crashes;
mod purchase_failures;
mod purchase_races;
mod release;
mod release_failures;
mod roles;
mod schema;
mod search;
mod secrets;
mod service;
mod simulator;
mod stack;
mod statements;
mod story;
mod wire;
mod world;
