#![no_main]
//! Any bytes as what a fetch response holds for a partition.

libfuzzer_sys::fuzz_target!(|data: &[u8]| kafka_wire::fuzzing::fetched(data));
