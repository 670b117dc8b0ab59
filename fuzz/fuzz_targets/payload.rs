#![no_main]
//! Any bytes as the plain payload of a batch; the first says how many records it claims.

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let [count, payload @ ..] = data {
        kafka_wire::fuzzing::payload(*count, payload);
    }
});
