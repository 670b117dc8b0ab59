//! Every golden file is read record for record as Kafka's own classes read it. See testdata/README.md.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use kafka_wire::{
    BatchIter, Compression, Entry, OutgoingBatch, Record, RecordBatch, Records, TimestampType, merge, split,
};
use serde::Deserialize;

const CAP_BYTES: usize = 1 << 20;

#[derive(Deserialize)]
struct GoldenBatch {
    magic: u8,
    last_offset: i64,
    size_bytes: usize,
    compression: String,
    timestamp_type: String,
    records: Vec<GoldenRecord>,
    #[serde(flatten)]
    v2: Option<GoldenHeader>,
}

#[derive(Deserialize)]
struct GoldenHeader {
    base_offset: i64,
    record_count: i32,
    base_timestamp: i64,
    max_timestamp: i64,
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    leader_epoch: i32,
    crc: u32,
    transactional: bool,
    control: bool,
    delete_horizon: bool,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct GoldenRecord {
    offset: i64,
    timestamp: i64,
    key: Option<String>,
    value: Option<String>,
    headers: Vec<(String, Option<String>)>,
}

#[test]
fn segments_of_java_librdkafka_and_franz_go_read_as_kafka_reads_them() {
    assert_eq!(check_folder("segments"), 18);
}

#[test]
fn message_sets_of_magic_0_and_1_read_as_kafka_reads_them() {
    assert_eq!(check_folder("legacy"), 8);
}

#[test]
fn the_golden_files_hold_what_they_are_there_for() {
    let batches = |name: &str| -> Vec<RecordBatch> {
        entries(&testdata("segments").join(name))
            .into_iter()
            .map(|entry| match entry {
                Entry::Batch(batch) => batch,
                Entry::Legacy(_) => panic!("no broker writes {entry:?}"),
            })
            .collect()
    };
    let transactions = batches("java-transactions.log");
    assert_eq!(transactions.iter().filter(|batch| batch.is_control()).count(), 3);
    assert!(transactions.iter().all(RecordBatch::is_transactional));
    let compacted = batches("java-compacted.log");
    assert!(
        compacted
            .iter()
            .any(|batch| !batch.is_dense() && !batch.can_pass_through())
    );
    assert!(compacted.iter().any(RecordBatch::has_delete_horizon));
    let stamped = batches("java-append-time.log");
    assert!(
        stamped
            .iter()
            .all(|batch| batch.timestamp_type() == TimestampType::LogAppendTime)
    );
    assert!(!stamped.iter().any(RecordBatch::can_pass_through));
    for (index, codec) in Compression::ALL.into_iter().enumerate() {
        for client in ["java", "librdkafka", "franz"] {
            let batches = batches(&format!("{client}-{codec}.log"));
            assert_eq!(
                batches[0].compression().expect("known").to_bits(),
                index as u8,
                "{client}-{codec}"
            );
        }
    }
}

#[test]
fn passing_merging_splitting_and_recompressing_keep_every_record() {
    for path in logs("segments") {
        let mut passed = Vec::new();
        let mut expected = Vec::new();
        for entry in entries(&path) {
            let Entry::Batch(batch) = entry else { continue };
            if !batch.can_pass_through() {
                continue;
            }
            let mut outgoing = batch.pass_through(batch.verify().expect("golden"));
            outgoing.set_producer(4711, 3, 42);
            let sent = parse(&outgoing);
            assert_eq!(
                (sent.producer_id(), sent.producer_epoch(), sent.base_sequence()),
                (4711, 3, 42)
            );
            assert_eq!((sent.base_offset(), sent.partition_leader_epoch()), (0, -1));
            assert!(!sent.is_transactional() && !sent.has_delete_horizon());
            assert_eq!(sent.payload(), batch.payload());
            let records = without_offsets(&batch.records(CAP_BYTES).expect("golden"));
            assert_eq!(
                without_offsets(&sent.records(CAP_BYTES).expect("passed")),
                records,
                "{}",
                path.display()
            );
            for codec in Compression::ALL {
                let other = parse(&outgoing.recompress(codec).expect("golden"));
                assert_eq!(other.compression().expect("known"), codec);
                assert_eq!(
                    without_offsets(&other.records(CAP_BYTES).expect("recompressed")),
                    records
                );
            }
            let pieces = split(&outgoing, 400).expect("golden");
            let reread: Vec<_> = pieces.iter().flat_map(|piece| parsed_records(&parse(piece))).collect();
            assert_eq!(reread, records);
            assert!(
                pieces
                    .iter()
                    .all(|piece| piece.size_bytes() <= 400 || piece.record_count() == 1)
            );
            // franz-go sends a batch that does not shrink as it is; only batches of one codec merge.
            if passed
                .first()
                .is_none_or(|first: &OutgoingBatch| first.compression() == outgoing.compression())
            {
                passed.push(outgoing);
                expected.extend(records);
            }
        }
        let Some(first) = passed.first().cloned() else { continue };
        let (merged, count) = merge(&passed, CAP_BYTES).expect("golden");
        assert_eq!(count, passed.len(), "{}", path.display());
        assert_eq!(merged.compression(), first.compression());
        assert_eq!(parsed_records(&parse(&merged)), expected, "{}", path.display());
    }
}

#[test]
fn a_log_cut_anywhere_ends_without_an_error_and_loses_only_the_last_entry() {
    for folder in ["segments", "legacy"] {
        for path in logs(folder) {
            let whole = std::fs::read(&path).expect("golden file");
            let ends: Vec<usize> = entries(&path)
                .iter()
                .scan(0, |end, entry| {
                    *end += entry.size_bytes();
                    Some(*end)
                })
                .collect();
            for cut in (0..whole.len()).step_by(whole.len() / 200 + 1) {
                let mut iter = BatchIter::new(Bytes::copy_from_slice(&whole[..cut]));
                let read: Vec<_> = iter
                    .by_ref()
                    .map(|entry| entry.expect("only the tail is cut"))
                    .collect();
                let expected = ends.iter().filter(|end| **end <= cut).count();
                assert_eq!(read.len(), expected, "{} cut at {cut}", path.display());
                let whole_bytes = if expected == 0 { 0 } else { ends[expected - 1] };
                assert_eq!(iter.rest().len(), cut - whole_bytes);
            }
        }
    }
}

#[test]
fn a_flipped_bit_is_found_by_the_checksum() {
    for folder in ["segments", "legacy"] {
        for path in logs(folder) {
            let whole = std::fs::read(&path).expect("golden file");
            let first_end = entries(&path)[0].size_bytes();
            // Beyond magic and checksum itself; both formats cover all the rest.
            for position in (21..first_end).step_by(first_end / 100 + 1) {
                let mut bytes = whole[..first_end].to_vec();
                bytes[position] ^= 0x10;
                let intact = match BatchIter::new(bytes.into()).next() {
                    Some(Ok(Entry::Batch(batch))) => batch.verify().is_ok(),
                    Some(Ok(Entry::Legacy(messages))) => messages.verify().is_ok(),
                    Some(Err(_)) | None => false,
                };
                assert!(!intact, "{} flipped at {position}", path.display());
            }
        }
    }
}

fn check_folder(folder: &str) -> usize {
    let logs = logs(folder);
    for path in &logs {
        let json = std::fs::read(path.with_extension("json")).expect("what Kafka read");
        let golden: Vec<GoldenBatch> = serde_json::from_slice(&json).expect("well-formed json");
        let entries = entries(path);
        assert_eq!(entries.len(), golden.len(), "{}", path.display());
        for (entry, golden) in entries.iter().zip(&golden) {
            check_entry(entry, golden, path);
        }
    }
    logs.len()
}

fn check_entry(entry: &Entry, golden: &GoldenBatch, path: &Path) {
    let place = format!("{} up to offset {}", path.display(), golden.last_offset);
    assert_eq!(entry.last_offset(), golden.last_offset, "{place}");
    assert_eq!(entry.size_bytes(), golden.size_bytes, "{place}");
    let (compression, timestamp_type) = match entry {
        Entry::Batch(batch) => {
            assert_eq!(golden.magic, 2, "{place}");
            check_header(batch, golden.v2.as_ref().expect("fields of magic 2"), &place);
            batch.verify().expect(&place);
            (batch.compression(), batch.timestamp_type())
        }
        Entry::Legacy(messages) => {
            assert_eq!(messages.magic(), golden.magic, "{place}");
            messages.verify().expect(&place);
            (messages.compression(), messages.timestamp_type())
        }
    };
    assert_eq!(compression.expect(&place).name(), golden.compression, "{place}");
    // Kafka has NoTimestampType for magic 0, which has neither.
    if golden.magic > 0 {
        assert_eq!(format!("{timestamp_type:?}"), golden.timestamp_type, "{place}");
    }
    let records = entry.records(CAP_BYTES).expect(&place);
    let read: Vec<GoldenRecord> = records.iter().map(|record| describe(&record.expect(&place))).collect();
    assert_eq!(read, golden.records, "{place}");
}

fn check_header(batch: &RecordBatch, golden: &GoldenHeader, place: &str) {
    assert_eq!(batch.base_offset(), golden.base_offset, "{place}");
    assert_eq!(batch.record_count(), golden.record_count, "{place}");
    assert_eq!(batch.base_timestamp(), golden.base_timestamp, "{place}");
    assert_eq!(batch.max_timestamp(), golden.max_timestamp, "{place}");
    assert_eq!(batch.producer_id(), golden.producer_id, "{place}");
    assert_eq!(batch.producer_epoch(), golden.producer_epoch, "{place}");
    assert_eq!(batch.base_sequence(), golden.base_sequence, "{place}");
    assert_eq!(batch.partition_leader_epoch(), golden.leader_epoch, "{place}");
    assert_eq!(batch.stored_crc(), golden.crc, "{place}");
    assert_eq!(batch.is_transactional(), golden.transactional, "{place}");
    assert_eq!(batch.is_control(), golden.control, "{place}");
    assert_eq!(batch.has_delete_horizon(), golden.delete_horizon, "{place}");
}

/// A record in the words of the JSON files.
fn describe(record: &Record<'_>) -> GoldenRecord {
    GoldenRecord {
        offset: record.offset,
        timestamp: record.timestamp,
        key: record.key.map(describe_bytes),
        value: record.value.map(describe_bytes),
        headers: record
            .headers
            .map(|(key, value)| (describe_bytes(key), value.map(describe_bytes)))
            .collect(),
    }
}

fn describe_bytes(bytes: &[u8]) -> String {
    match bytes.len() {
        0..=64 => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        len => format!("{len} bytes {:08x}", crc32c::crc32c(bytes)),
    }
}

fn without_offsets(records: &Records) -> Vec<GoldenRecord> {
    let described = records.iter().map(|record| describe(&record.expect("golden")));
    described.map(|record| GoldenRecord { offset: 0, ..record }).collect()
}

/// The records without their offsets, which must count from 0.
fn parsed_records(batch: &RecordBatch) -> Vec<GoldenRecord> {
    let records = batch.records(CAP_BYTES).expect("ours");
    for (index, record) in records.iter().enumerate() {
        assert_eq!(record.expect("ours").offset, index as i64);
    }
    let latest = records.iter().map(|record| record.expect("ours").timestamp).max();
    assert_eq!(latest, Some(batch.max_timestamp()));
    without_offsets(&records)
}

fn parse(batch: &OutgoingBatch) -> RecordBatch {
    assert_eq!(batch.to_bytes().len(), batch.size_bytes());
    let batch = RecordBatch::parse(batch.to_bytes()).expect("ours");
    batch.verify().expect("ours");
    batch
}

fn entries(path: &Path) -> Vec<Entry> {
    let bytes = Bytes::from(std::fs::read(path).expect("golden file"));
    let mut iter = BatchIter::new(bytes);
    let entries = iter.by_ref().map(|entry| entry.expect("golden")).collect();
    assert!(iter.rest().is_empty(), "{}", path.display());
    entries
}

fn logs(folder: &str) -> Vec<PathBuf> {
    let files = std::fs::read_dir(testdata(folder)).expect("testdata");
    let mut logs: Vec<PathBuf> = files.map(|file| file.expect("testdata").path()).collect();
    logs.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.sort();
    logs
}

fn testdata(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(folder)
}
