//! What runs the product on one machine.

mod cli;
mod fake;
mod gateway;
mod migrations;
mod postgres;
mod processes;
