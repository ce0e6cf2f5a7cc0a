//! Any bytes as the body and the query of a request.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| shared::fuzz::request(bytes));
