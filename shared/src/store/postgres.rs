//! Connections to Postgres: the pool, the login, the time limits, and the types of columns.

pub(super) mod connection;
mod login;
mod timeouts;
mod types;
