//! What runs the product on one machine.

mod migrations;
mod postgres;
