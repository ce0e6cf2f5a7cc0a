//! `cargo dev`: runs the product on one machine.

fn main() {}
