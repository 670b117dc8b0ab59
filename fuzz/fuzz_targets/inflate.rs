#![no_main]
//! Any bytes as a compressed payload; the first chooses the codec.

use kafka_wire::Compression;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let [codec, payload @ ..] = data {
        kafka_wire::fuzzing::inflate(Compression::ALL[usize::from(codec % 5)], payload);
    }
});
