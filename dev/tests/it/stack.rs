//! `cargo dev` and its parts: processes, Postgres, fault proxy, gateway, chaos.

mod affected;
mod binaries;
mod chaos;
mod cli;
mod console;
mod fake;
mod fault_proxy;
mod first_screen;
mod gateway;
mod instances;
mod logs;
mod migrations;
mod postgres;
mod processes;

pub(crate) use cli::run as dev;
