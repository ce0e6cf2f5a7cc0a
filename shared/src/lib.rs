//! What the phone-number functions share: database access, Telnyx calls and row types.
//!
//! In reading order, and with who may use whom:
//!
//! | module | subject | uses |
//! |---|---|---|
//! | [`model`] | the words of the domain: numbers, agents, money, roles | nothing of ours |
//! | [`error`] | everything that can go wrong, in those words | `model` |
//! | [`problem`] | an error as an RFC 9457 document: the only module that knows status codes | `error` |
//! | [`config`] | the environment, read once and nowhere else | nothing of ours |
//! | [`secrets`] | AWS Secrets Manager | `config`, `error` |
//! | [`deadline`] | waiting, but not for longer than a caller does | nothing of ours |
//! | [`input`] | a query string or a JSON body, read strictly | `error` |
//! | [`auth`] | a bearer token's user | `config`, `secrets`, `error` |
//! | [`store`] | Postgres: the pool and every statement | `model`, `error` |
//! | [`telnyx`] | Telnyx's API: search, order, inventory (feature `telnyx`) | `model`, `error` |
//! | [`numbering`] | the world's numbering plans (feature `telnyx`) | `model` |
//! | [`lambda`] | the runtime: one request in, one answer out | all of the above |
//!
//! [`store`] and [`telnyx`] do not know each other, and neither knows HTTP as our callers speak it.

pub mod auth;
pub mod config;
pub mod cors;
pub mod deadline;
pub mod error;
pub mod input;
pub mod lambda;
pub mod model;
#[cfg(feature = "telnyx")]
pub mod numbering;
pub mod problem;
pub mod secrets;
pub mod store;
#[cfg(feature = "telnyx")]
pub mod telnyx;
mod tls;
