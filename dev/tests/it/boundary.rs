//! Telnyx, Secrets Manager and connections to Postgres: hostile answers, rate limits, TLS, rotated credentials.

mod calls_in_proportion;
mod check;
mod connections;
mod hostile_answers;
mod logs;
mod odd_events;
mod odd_ids;
mod pooler;
mod rate_limits;
pub(crate) mod rotation;
pub(crate) mod secrets;
mod secrets_manager;
mod tls;
mod warming;
