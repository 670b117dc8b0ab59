#![no_main]
//! Any bytes as a message of the protocol; the first three say which.

libfuzzer_sys::fuzz_target!(|data: &[u8]| kafka_wire::fuzzing::message(data));
