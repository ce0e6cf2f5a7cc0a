//! `cargo dev` and its parts: processes, Postgres, fault proxy, gateway, chaos.

mod binaries;
mod chaos;
mod cli;
mod fake;
mod fault_proxy;
mod gateway;
mod migrations;
mod postgres;
mod processes;
mod touched;

pub(crate) use cli::run as dev;
