//! A lie in a few bytes must not cost memory. The only test in its process, because it looks at the process's peak.
#![cfg(target_os = "linux")]

use bytes::Bytes;
use kafka_wire::{Compression, fuzzing};

/// What a decoder may need beside the cap of 1 MiB: windows, tables, a doubling buffer.
const SLACK_KIB: u64 = 8 << 10;

#[test]
fn small_lies_do_not_allocate_much() {
    let lies = lies();
    for (name, codec, payload) in &lies {
        let grown = grown_by(|| fuzzing::inflate(*codec, payload));
        assert!(grown < SLACK_KIB, "{name} made the process grow by {grown} KiB");
    }
    // One batch that claims two billion records, and one record that claims two billion headers.
    let mut batch = vec![0; 61];
    batch[8..12].copy_from_slice(&49_i32.to_be_bytes());
    batch[16] = 2;
    batch[57..61].copy_from_slice(&i32::MAX.to_be_bytes());
    let grown = grown_by(|| {
        fuzzing::fetched(&batch);
        fuzzing::payload(1, &[22, 0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0]);
    });
    assert!(grown < SLACK_KIB, "counts made the process grow by {grown} KiB");
    // The measure itself: without a cap the last bomb does go off.
    let (_, codec, bomb) = lies.last().expect("there are some");
    let grown = grown_by(|| drop(codec.decompress(&Bytes::from(bomb.clone()), usize::MAX)));
    assert!(grown > 90 << 10, "100 MiB were inflated within {grown} KiB");
}

fn lies() -> Vec<(&'static str, Compression, Vec<u8>)> {
    let bomb = |codec: Compression| codec.compress(Bytes::from(vec![0; 100 << 20])).to_vec();
    let mut lies = vec![
        (
            "a raw snappy block of 4 GiB",
            Compression::Snappy,
            vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0],
        ),
        (
            "an lz4 block of 4 MiB",
            Compression::Lz4,
            b"\x04\x22\x4d\x18\x60\x70\x00\x05\x00\x00\x00\x1f00\x01\x00".to_vec(),
        ),
        // Window descriptor 0x88: 128 MiB, then an RLE block of one byte.
        (
            "a zstd window of 128 MiB",
            Compression::Zstd,
            b"\x28\xb5\x2f\xfd\x00\x88\x0b\x00\x00x".to_vec(),
        ),
        // A declared content of 1 TiB.
        (
            "a zstd frame of 1 TiB",
            Compression::Zstd,
            b"\x28\xb5\x2f\xfd\xc0\x88\x00\x00\x00\x00\x00\x01\x00\x00\x0b\x00\x00x".to_vec(),
        ),
    ];
    let inflated = lies.len();
    for codec in [
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        lies.push(("100 MiB of zeros", codec, bomb(codec)));
    }
    assert_eq!(lies.len(), inflated + 4);
    lies
}

/// How far the resident memory rises above where it is now.
fn grown_by(work: impl FnOnce()) -> u64 {
    std::fs::write("/proc/self/clear_refs", "5").expect("linux resets the peak");
    let before = status_kib("VmRSS:");
    work();
    status_kib("VmHWM:").saturating_sub(before)
}

fn status_kib(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("linux has it");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .expect("linux reports it");
    line.trim().trim_end_matches("kB").trim().parse().expect("a number")
}
