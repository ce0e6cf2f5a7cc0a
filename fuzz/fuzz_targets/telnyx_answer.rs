//! Any bytes as an answer of Telnyx.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| shared::fuzz::telnyx_answer(bytes));
