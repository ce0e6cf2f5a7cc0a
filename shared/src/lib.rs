//! The library of the phone-number functions: domain types, request handling, sagas, SQL, the Telnyx client.
//!
//! The modules in reading order. A test reads this table: a module uses exactly the modules in its row.
//!
//! | module | subject | uses |
//! |---|---|---|
//! | [`model`] | the domain's types: numbers, money, permissions, references | |
//! | [`error`] | the table of errors: code, status, title | `model` |
//! | [`problem`] | an error as an RFC 9457 document | `error`, `model` |
//! | [`config`] | the table of settings, and their values; no other module reads the environment | `model` |
//! | `tls` | TLS clients: rustls on ring | `config`, `error` |
//! | [`secrets`] | AWS Secrets Manager | `config`, `error`, `meter`, `tls` |
//! | [`deadline`] | sleeping until a deadline at most | |
//! | `meter` | what is logged of a request: its agency, its waits for each dependency | |
//! | [`auth`] | the user of a bearer token | `config`, `error`, `meter`, `secrets`, `tls` |
//! | [`store`] | Postgres: connections, leases, and every statement in the module of its subject | `config`, `error`, `meter`, `model`, `secrets`, `tls` |
//! | [`telnyx`] | the client for Telnyx: search, order, inventory (feature `telnyx`) | `config`, `error`, `meter`, `model`, `secrets`, `tls` |
//! | [`numbering`] | the numbering plans of countries (feature `telnyx`) | `model` |
//! | [`saga`] | purchases and releases, step by step (feature `telnyx`) | `config`, `deadline`, `error`, `model`, `numbering`, `secrets`, `store`, `telnyx` |
//! | [`lambda`] | the Lambda runtime: one request in, one answer out; [`mod@input`] and [`cors`] | `auth`, `config`, `error`, `meter`, `model`, `problem`, `secrets` |
//! | [`cursor`] | keyset cursors: where the next page of a list or of a history begins | `error`, `lambda`, `model`, `store` |
//! | [`idempotency`] | idempotency keys: the same key, the same answer | `config`, `error`, `lambda`, `model`, `problem`, `store` |
//!
//! [`store`] and [`telnyx`] do not depend on each other, nor on HTTP as callers use it.

pub mod auth;
pub mod config;
pub mod cursor;
pub mod deadline;
pub mod error;
/// What fuzz targets do with bytes: `fuzz/`.
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz {
    pub use crate::lambda::fuzz::event;
    pub use crate::lambda::input::fuzz::request;
    #[cfg(feature = "telnyx")]
    pub use crate::telnyx::fuzz::answer as telnyx_answer;
}
pub mod idempotency;
pub mod lambda;
mod meter;
pub mod model;
#[cfg(feature = "telnyx")]
pub mod numbering;
pub mod problem;
#[cfg(feature = "telnyx")]
pub mod saga;
pub mod secrets;
pub mod store;
#[cfg(feature = "telnyx")]
pub mod telnyx;
mod tls;

#[cfg(feature = "schema")]
pub use lambda::document;
pub use lambda::{cors, input};
