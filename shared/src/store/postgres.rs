//! Connections to Postgres: the pool, the login, the time limits, and the types of columns and parameters.

pub(super) mod connection;
mod connector;
mod login;
pub(super) mod parameter;
pub(super) mod session;
mod timeouts;
mod types;
