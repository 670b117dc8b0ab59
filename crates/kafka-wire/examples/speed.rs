//! Times of what happens per batch and per record on the mirror's path. For looking, not for a gate:
//! `cargo run --release -p kafka-wire --example speed`.
#![allow(clippy::print_stdout, reason = "its output is what it is for")]
#![allow(clippy::disallowed_methods, reason = "it measures real time")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_wire::shape::{self, Shape};
use kafka_wire::{BatchBuilder, Compression, OutgoingBatch, RecordBatch, merge, split};

const MIB: usize = 1 << 20;
/// Each measurement takes the best of this many rounds, so that a neighbour's noise counts less.
const ROUNDS: usize = 15;

fn main() {
    let large = batch(Compression::None, 1000, MIB / 1000);
    let large = RecordBatch::parse(large.to_bytes()).expect("ours");
    report("verify 1 MiB", 1, "batch", || large.verify().expect("ours"));
    let crc = large.verify().expect("ours");
    report("pass_through 1 MiB, crc known", 1000, "batch", || {
        (0..1000).for_each(|_| drop(black_box(large.pass_through(crc))))
    });
    let mut outgoing = large.pass_through(crc);
    report("set_producer", 1000, "batch", || {
        (0..1000).for_each(|i| outgoing.set_producer(4711, 3, black_box(i)))
    });

    for value_bytes in [100, 1000] {
        let records = batch(Compression::None, MIB / value_bytes, value_bytes);
        let read = RecordBatch::parse(records.to_bytes()).expect("ours");
        let count = read.record_count() as usize;
        report(&format!("read records of {value_bytes} bytes"), count, "record", || {
            let records = read.records(MIB * 2).expect("ours");
            records
                .iter()
                .map(|record| record.expect("ours").value.map_or(0, <[u8]>::len))
                .sum::<usize>()
        });
        report(
            &format!("rebuild records of {value_bytes} bytes"),
            count,
            "record",
            || {
                let records = read.records(MIB * 2).expect("ours");
                let mut builder = BatchBuilder::new(Compression::None);
                records
                    .iter()
                    .for_each(|record| builder.push_record(&record.expect("ours")));
                builder.build()
            },
        );
        report(
            &format!("split 1 MiB of {value_bytes} bytes into 100 KiB"),
            count,
            "record",
            || split(&records, 100 << 10).expect("ours"),
        );
    }

    let answer = fetch_response(50, MIB / 50);
    report("check the shape of a 1 MiB fetch, 50 partitions", 1000, "fetch", || {
        for _ in 0..1000 {
            shape::check(Shape::Response(1), 12, black_box(&answer)).expect("ours");
        }
    });

    for codec in [Compression::None, Compression::Lz4] {
        let tiny: Vec<OutgoingBatch> = (0..1000).map(|_| batch(codec, 4, 120)).collect();
        report(
            &format!("merge 1000 batches of 4 records, {codec}"),
            1000,
            "batch",
            || merge(&tiny, MIB).expect("ours"),
        );
    }

    for codec in Compression::ALL {
        let compressed = batch(codec, MIB / 1000, 1000);
        let plain = batch(Compression::None, MIB / 1000, 1000).payload();
        println!("{codec}: 1 MiB becomes {} bytes", compressed.size_bytes());
        report(&format!("inflate 1 MiB, {codec}"), 1, "batch", || {
            codec.decompress(&compressed.payload(), 2 * MIB)
        });
        report(&format!("deflate 1 MiB, {codec}"), 1, "batch", || {
            codec.compress(plain.clone())
        });
    }
}

fn report<T>(name: &str, units: usize, unit: &str, mut work: impl FnMut() -> T) {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        black_box(work());
        best = best.min(start.elapsed());
    }
    println!("{name:48} {:>12.1} ns/{unit}", best.as_nanos() as f64 / units as f64);
}

/// The body of an answer in version 12.
fn fetch_response(partitions: u8, records: usize) -> Vec<u8> {
    let mut body = vec![0; 10];
    body.extend([2, 6]);
    body.extend(b"topic");
    body.push(partitions + 1);
    for _ in 0..partitions {
        body.extend([0; 30]); // index, error, offsets
        body.push(0);
        body.extend([0; 4]);
        let length = records as u32 + 1;
        body.extend([length as u8 | 0x80, (length >> 7) as u8 | 0x80, (length >> 14) as u8]);
        body.resize(body.len() + records + 1, 0);
    }
    body.extend([0, 0]);
    body
}

/// Records whose values compress about three to one, like JSON.
fn batch(codec: Compression, records: usize, value_bytes: usize) -> OutgoingBatch {
    let mut builder = BatchBuilder::new(codec);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for index in 0..records {
        let mut value = String::with_capacity(value_bytes + 64);
        while value.len() < value_bytes {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            value.push_str(&format!(
                "{{\"customer\":\"{:x}\",\"amount\":{}}},",
                state >> 24,
                state % 997
            ));
        }
        value.truncate(value_bytes);
        let key = Bytes::from(format!("key-{index}"));
        let headers: [(&[u8], Option<&[u8]>); 0] = [];
        builder.push(
            1_700_000_000_000 + index as i64,
            Some(&key),
            Some(value.as_bytes()),
            headers,
        );
    }
    builder.build()
}
