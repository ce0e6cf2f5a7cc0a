//! Connections to Postgres: the pool, the login, and the time limits.

pub(super) mod connection;
mod login;
mod timeouts;
