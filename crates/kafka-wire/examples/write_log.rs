//! Writes log segments for Kafka to judge: `write_log OUT_DIR`, called by testdata/check_with_kafka.sh.
//!
//! From every golden file and for every codec it makes one segment that holds the file's records several times: rebuilt,
//! rebuilt and split, and, where the batches may pass, passed through, recompressed and merged. File names end in how often.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use kafka_wire::{BatchBuilder, BatchIter, Compression, Entry, OutgoingBatch, merge, split};

const CAP_BYTES: usize = 1 << 20;

type AnyError = Box<dyn std::error::Error>;

fn main() -> Result<(), AnyError> {
    let out_dir = PathBuf::from(std::env::args().nth(1).ok_or("usage: write_log OUT_DIR")?);
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    for folder in ["segments", "legacy"] {
        for file in std::fs::read_dir(testdata.join(folder))? {
            let path = file?.path();
            if path.extension().is_some_and(|extension| extension == "log") {
                write_logs(&path, &out_dir)?;
            }
        }
    }
    Ok(())
}

fn write_logs(golden: &Path, out_dir: &Path) -> Result<(), AnyError> {
    let name = golden.file_stem().unwrap_or_default().to_string_lossy();
    let entries: Vec<Entry> = BatchIter::new(Bytes::from(std::fs::read(golden)?)).collect::<Result<_, _>>()?;
    for codec in Compression::ALL {
        let rebuilt = rebuild(&entries, codec)?;
        let mut copies = vec![vec![rebuilt.clone()], split(&rebuilt, 500)?];
        if let Some(passed) = pass(&entries, codec)? {
            copies.push(vec![passed]);
        }
        let mut log = Vec::new();
        let mut sequence = 0;
        for mut batch in copies.iter().flatten().cloned() {
            // What a broker would have taken from an idempotent producer; it sets the base offset beyond the crc's reach.
            batch.set_producer(4711, 0, sequence);
            let mut bytes = batch.to_bytes().to_vec();
            bytes[..8].copy_from_slice(&i64::from(sequence).to_be_bytes());
            log.extend(bytes);
            sequence += batch.record_count();
        }
        std::fs::write(out_dir.join(format!("{name}.{codec}.x{}.log", copies.len())), log)?;
    }
    Ok(())
}

fn rebuild(entries: &[Entry], codec: Compression) -> Result<OutgoingBatch, AnyError> {
    let mut builder = BatchBuilder::new(codec);
    for entry in entries {
        for record in &entry.records(CAP_BYTES)? {
            builder.push_record(&record?);
        }
    }
    Ok(builder.build())
}

fn pass(entries: &[Entry], codec: Compression) -> Result<Option<OutgoingBatch>, AnyError> {
    let mut passed = Vec::new();
    for entry in entries {
        match entry {
            Entry::Batch(batch) if batch.can_pass_through() => {
                passed.push(batch.pass_through(batch.verify()?).recompress(codec)?);
            }
            _ => return Ok(None),
        }
    }
    Ok(Some(merge(&passed, CAP_BYTES)?.0))
}
