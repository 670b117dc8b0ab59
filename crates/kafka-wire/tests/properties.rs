//! What holds for any records, and for any bytes.

use std::path::Path;

use bytes::Bytes;
use kafka_wire::{BatchBuilder, Compression, OutgoingBatch, PayloadCrc, RecordBatch, crc, fuzzing, merge, split};
use proptest::collection::vec;
use proptest::prelude::*;

const CAP_BYTES: usize = 16 << 20;

type Bytestring = Option<Vec<u8>>;

#[derive(Clone, Debug, PartialEq)]
struct Owned {
    timestamp: i64,
    key: Bytestring,
    value: Bytestring,
    headers: Vec<(Vec<u8>, Bytestring)>,
}

fn bytestring(max_len: usize) -> impl Strategy<Value = Bytestring> {
    let plain = vec(any::<u8>(), 0..max_len);
    let repeated = (any::<u8>(), 0..max_len * 20).prop_map(|(byte, len)| vec![byte; len]);
    prop_oneof![1 => Just(None), 4 => plain.prop_map(Some), 2 => repeated.prop_map(Some)]
}

fn record() -> impl Strategy<Value = Owned> {
    let timestamp = prop_oneof![any::<i64>(), 1_700_000_000_000..1_800_000_000_000_i64, Just(-1)];
    let header = (vec(any::<u8>(), 0..8), bytestring(12));
    (timestamp, bytestring(40), bytestring(300), vec(header, 0..4)).prop_map(|(timestamp, key, value, headers)| Owned {
        timestamp,
        key,
        value,
        headers,
    })
}

fn records() -> impl Strategy<Value = Vec<Owned>> {
    vec(record(), 1..30)
}

fn codec() -> impl Strategy<Value = Compression> {
    prop::sample::select(Compression::ALL.to_vec())
}

fn build(codec: Compression, records: &[Owned]) -> OutgoingBatch {
    let mut builder = BatchBuilder::new(codec);
    for record in records {
        let headers = record.headers.iter().map(|(key, value)| (&key[..], value.as_deref()));
        builder.push(
            record.timestamp,
            record.key.as_deref(),
            record.value.as_deref(),
            headers,
        );
    }
    let size_bytes = builder.estimated_size();
    let batch = builder.build();
    assert!(codec != Compression::None || batch.size_bytes() == size_bytes);
    batch
}

/// Sends the batch and reads it as whoever fetches it would.
fn read(batch: &OutgoingBatch) -> Vec<Owned> {
    let batch = RecordBatch::parse(batch.to_bytes()).expect("ours is well formed");
    batch.verify().expect("ours has a valid crc");
    assert!(batch.can_pass_through());
    let records = batch.records(CAP_BYTES).expect("ours inflates");
    let mut read = Vec::new();
    for record in &records {
        let record = record.expect("ours can be read");
        assert_eq!(record.offset, read.len() as i64);
        read.push(Owned {
            timestamp: record.timestamp,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: record
                .headers
                .map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec)))
                .collect(),
        });
    }
    assert_eq!(
        Some(batch.max_timestamp()),
        read.iter().map(|record| record.timestamp).max()
    );
    read
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn records_survive_every_codec(records in records(), codec in codec()) {
        let batch = build(codec, &records);
        prop_assert_eq!(batch.record_count() as usize, records.len());
        prop_assert_eq!(read(&batch), records);
    }

    #[test]
    fn a_changed_header_leaves_the_records_and_a_valid_crc(
        records in records(), codec in codec(), producer in any::<(i64, i16, i32, bool)>(), other in codec(),
    ) {
        let (id, epoch, sequence, transactional) = producer;
        let mut batch = build(codec, &records);
        batch.set_transactional(transactional);
        batch.set_producer(id, epoch, sequence);
        let sent = RecordBatch::parse(batch.to_bytes()).expect("well formed");
        prop_assert_eq!(sent.stored_crc(), crc32c::crc32c(&sent.as_bytes()[21..]));
        prop_assert_eq!((sent.producer_id(), sent.producer_epoch(), sent.base_sequence()), (id, epoch, sequence));
        prop_assert_eq!(sent.is_transactional(), transactional);
        prop_assert_eq!(&read(&batch), &records);

        let passed = sent.pass_through(sent.verify().expect("just proved"));
        prop_assert_eq!(&read(&passed), &records);
        prop_assert_eq!(passed.payload(), batch.payload());
        prop_assert_eq!(read(&passed.recompress(other).expect("ours inflates")), records);
    }

    #[test]
    fn merging_keeps_records_and_order_and_the_limit(
        batches in vec(records(), 1..6), codec in codec(), max_bytes in 0..100_000_usize,
    ) {
        let outgoing: Vec<_> = batches.iter().map(|records| build(codec, records)).collect();
        let (merged, count) = merge(&outgoing, max_bytes).expect("ours can be merged");
        prop_assert!(count == 1 || merged.size_bytes() <= max_bytes);
        prop_assert!(count >= 1);
        prop_assert_eq!(merged.compression(), codec);
        prop_assert_eq!(read(&merged), batches[..count].concat());
    }

    #[test]
    fn only_batches_of_one_kind_are_merged(records in records(), codecs in vec(codec(), 1..6), transactional in 0..6_usize) {
        let mut outgoing: Vec<_> = codecs.iter().map(|codec| build(*codec, &records)).collect();
        if let Some(batch) = outgoing.get_mut(transactional) {
            batch.set_transactional(true);
        }
        let (merged, count) = merge(&outgoing, usize::MAX).expect("ours can be merged");
        let same = |index: usize| codecs[index] == codecs[0] && (index == transactional) == (0 == transactional);
        prop_assert_eq!(count, (0..codecs.len()).take_while(|index| same(*index)).count());
        let sent = RecordBatch::parse(merged.to_bytes()).expect("well formed");
        prop_assert_eq!(sent.is_transactional(), transactional == 0);
    }

    #[test]
    fn splitting_keeps_records_and_order_and_the_limit(
        records in records(), codec in codec(), max_bytes in 0..20_000_usize,
    ) {
        let batch = build(codec, &records);
        let pieces = split(&batch, max_bytes).expect("ours can be split");
        prop_assert!(pieces.iter().all(|piece| piece.size_bytes() <= max_bytes || piece.record_count() == 1));
        prop_assert!(pieces.iter().all(|piece| piece.compression() == codec));
        prop_assert_eq!(pieces.iter().flat_map(read).collect::<Vec<_>>(), records);
    }

    #[test]
    fn a_shifted_crc_equals_a_full_pass(header in vec(any::<u8>(), 0..100), payload in vec(any::<u8>(), 0..5000)) {
        let whole = crc32c::crc32c(&[header.clone(), payload.clone()].concat());
        prop_assert_eq!(PayloadCrc::of(&payload).after(&header), whole);
        prop_assert_eq!(crc::combine(crc32c::crc32c(&header), crc32c::crc32c(&payload), payload.len()), whole);
    }

    #[test]
    fn any_bytes_survive_every_codec(data in vec(any::<u8>(), 0..3000), codec in codec()) {
        fuzzing::deflate(codec, &data);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_can_be_fetched(data in vec(any::<u8>(), 0..400)) {
        fuzzing::fetched(&data);
    }

    #[test]
    fn any_bytes_can_be_a_payload(count in 0..10_u8, data in vec(prop_oneof![any::<u8>(), 0..20_u8], 0..200)) {
        fuzzing::payload(count, &data);
    }

    #[test]
    fn any_bytes_can_be_inflated(codec in codec(), data in vec(any::<u8>(), 0..400)) {
        fuzzing::inflate(codec, &data);
    }

    #[test]
    fn a_damaged_stream_can_be_inflated(codec in codec(), seed in vec(any::<u8>(), 1..64), damage in damage()) {
        let plain = seed.repeat(50);
        fuzzing::inflate(codec, &damage.apply(&codec.compress(Bytes::from(plain))));
    }

    #[test]
    fn a_damaged_batch_can_be_fetched(records in vec(record(), 1..5), codec in codec(), damage in damage()) {
        fuzzing::fetched(&damage.apply(&build(codec, &records).to_bytes()));
    }

    #[test]
    fn a_damaged_golden_log_can_be_fetched(log in prop::sample::select(golden_logs()), damage in damage()) {
        fuzzing::fetched(&damage.apply(&log));
    }
}

/// Bytes overwritten here and there, and perhaps an end cut off.
#[derive(Clone, Debug)]
struct Damage {
    overwritten: Vec<(prop::sample::Index, u8)>,
    cut: Option<prop::sample::Index>,
}

fn damage() -> impl Strategy<Value = Damage> {
    let byte = prop_oneof![any::<u8>(), Just(0xff), Just(0x7f), Just(0)];
    let cut = prop_oneof![3 => Just(None), 1 => any::<prop::sample::Index>().prop_map(Some)];
    (vec((any::<prop::sample::Index>(), byte), 0..6), cut).prop_map(|(overwritten, cut)| Damage { overwritten, cut })
}

impl Damage {
    fn apply(&self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for (index, byte) in &self.overwritten {
            // Mostly near the start, where headers and lengths are.
            let position = index.index(bytes.len());
            let position = if byte % 3 == 0 {
                position
            } else {
                position % 90.min(bytes.len())
            };
            bytes[position] = *byte;
        }
        if let Some(cut) = self.cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        bytes
    }
}

fn golden_logs() -> Vec<Vec<u8>> {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut logs = Vec::new();
    for folder in ["segments", "legacy"] {
        for file in std::fs::read_dir(testdata.join(folder)).expect("testdata") {
            let path = file.expect("testdata").path();
            if path.extension().is_some_and(|extension| extension == "log") {
                logs.push(std::fs::read(path).expect("golden file"));
            }
        }
    }
    logs
}
