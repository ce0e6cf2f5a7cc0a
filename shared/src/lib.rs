//! What the phone-number functions share: database access, Telnyx calls and row types.
//!
//! In reading order, and with who may use whom:
//!
//! | module | subject | uses |
//! |---|---|---|
//! | [`model`] | the words of the domain: numbers, agents, money, roles | nothing of ours |
//! | [`error`] | everything that can go wrong, in those words | `model` |
//! | [`problem`] | an error as an RFC 9457 document: the only module that knows status codes | `error` |
//! | [`config`] | the environment, read once and nowhere else | `model` |
//! | [`secrets`] | AWS Secrets Manager | `config`, `error` |
//! | [`deadline`] | waiting, but not for longer than a caller does | nothing of ours |
//! | [`input`] | a query string or a JSON body, read strictly | `error` |
//! | [`auth`] | a bearer token's user | `config`, `secrets`, `error` |
//! | [`store`] | Postgres: the pool and every statement | `model`, `error` |
//! | [`telnyx`] | Telnyx's API: search, order, inventory (feature `telnyx`) | `model`, `config`, `secrets`, `error` |
//! | [`numbering`] | the world's numbering plans (feature `telnyx`) | `model` |
//! | [`lease`] | prolonging a lease while work goes on | `error` |
//! | [`saga`] | purchases and releases, step by step (feature `telnyx`) | `store`, `telnyx`, `numbering` |
//! | [`idempotency`] | the same key, the same answer | `store`, `lambda` |
//! | [`lambda`] | the runtime: one request in, one answer out | all of the above |
//!
//! [`store`] and [`telnyx`] do not know each other, but for [`saga`] above them, and neither knows HTTP as our callers speak it.

pub mod auth;
pub mod config;
pub mod cors;
pub mod deadline;
pub mod error;
pub mod idempotency;
pub mod input;
pub mod lambda;
pub mod lease;
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
