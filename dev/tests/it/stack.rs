//! What runs the product on one machine.

mod cli;

pub(crate) use cli::run as dev;

mod fake;
mod gateway;
mod migrations;
mod postgres;
mod processes;
