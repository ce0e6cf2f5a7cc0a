//! Any bytes as an event of Lambda.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| shared::fuzz::event(bytes));
