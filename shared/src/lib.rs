//! What the phone-number functions share: database access, Telnyx calls and row types.
//!
//! In reading order, with every module that each of them uses:
//!
//! | module | subject | uses |
//! |---|---|---|
//! | [`model`] | the domain's types: numbers, agents, money, roles | |
//! | [`error`] | everything that can go wrong, in the domain's terms | `model` |
//! | [`problem`] | an error as an RFC 9457 document, and the HTTP status of each error | `error`, `model` |
//! | [`config`] | the settings, read from the environment once; no other module reads it | `model` |
//! | `tls` | TLS clients: rustls on ring | `config`, `error` |
//! | [`secrets`] | AWS Secrets Manager | `config`, `error` |
//! | [`deadline`] | sleeping no longer than until a deadline | |
//! | [`input`] | a query string or a JSON body, read strictly | `error`, `model` |
//! | [`cors`] | what pages of other origins may do and read | |
//! | [`auth`] | the user of a bearer token | `config`, `error`, `secrets`, `tls` |
//! | [`store`] | Postgres: connections, leases, and every statement in the module of its subject | `config`, `error`, `model`, `secrets`, `tls` |
//! | [`telnyx`] | Telnyx's API: search, order, inventory (feature `telnyx`) | `config`, `error`, `model`, `secrets`, `tls` |
//! | [`numbering`] | the world's numbering plans (feature `telnyx`) | `model` |
//! | [`saga`] | purchases and releases, step by step (feature `telnyx`) | `config`, `deadline`, `error`, `model`, `numbering`, `secrets`, `store`, `telnyx` |
//! | [`lambda`] | the runtime: one request in, one answer out | `auth`, `config`, `cors`, `error`, `input`, `problem`, `secrets` |
//! | [`idempotency`] | the same key, the same answer | `config`, `error`, `lambda`, `model`, `problem`, `store` |
//!
//! [`store`] and [`telnyx`] do not depend on each other, nor on HTTP as callers use it.

pub mod auth;
pub mod config;
pub mod deadline;
pub mod error;
pub mod idempotency;
pub mod lambda;
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

pub use lambda::{cors, input};
