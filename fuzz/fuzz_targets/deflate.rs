#![no_main]
//! Any bytes through a codec and back; the first chooses the codec.

use kafka_wire::Compression;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let [codec, plain @ ..] = data {
        kafka_wire::fuzzing::deflate(Compression::ALL[usize::from(codec % 5)], plain);
    }
});
