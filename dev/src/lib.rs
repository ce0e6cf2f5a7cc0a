//! What runs and tests the phone-number functions on one machine.

pub mod migrations;
pub mod postgres;
pub mod telnyx;
pub mod workspace;
