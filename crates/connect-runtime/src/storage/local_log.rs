use std::{fmt, path::PathBuf};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Error, KeyValue, LogRecord, LogState,
    kafka_based_log::{Shared, Write},
    offset_file::{self, OffsetTable},
};

/// The log of a standalone worker: in memory, and for offsets in a file. What is written is read at once, and nobody
/// else writes. Its handle is a [`KafkaBasedLog`](super::KafkaBasedLog) like any other.
pub(super) struct LocalLog<S> {
    pub(super) shared: std::sync::Arc<Shared<S>>,
    pub(super) waiting_writes: mpsc::Receiver<Write>,
    pub(super) positions: tokio::sync::watch::Sender<Vec<i64>>,
    pub(super) file: Option<OffsetFile>,
}

/// What is in the offset file, and where it is.
#[derive(Debug)]
pub(super) struct OffsetFile {
    path: PathBuf,
    table: OffsetTable,
}

impl OffsetFile {
    /// Reads the file; `Ok` without one, too.
    pub(super) fn open(path: PathBuf) -> Result<Self, Error> {
        let table = offset_file::read(&path)?;
        Ok(Self { path, table })
    }

    /// What was read, as records.
    pub(super) fn records(&self) -> Vec<KeyValue> {
        let entry = |(key, value): (&Bytes, &Option<Bytes>)| KeyValue {
            key: key.clone(),
            value: value.clone(),
        };
        self.table.iter().map(entry).collect()
    }
}

impl<S> fmt::Debug for LocalLog<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalLog")
            .field("topic", &self.shared.topic)
            .finish_non_exhaustive()
    }
}

impl<S: LogState> LocalLog<S> {
    /// Runs until cancelled. Writes whose caller has its answer are in the file, if there is one.
    pub(super) async fn run(mut self, cancel: CancellationToken) {
        while let Some(Some(write)) = cancel.run_until_cancelled(self.waiting_writes.recv()).await {
            let stored = self.store(&write.records).await;
            if stored.is_ok() {
                self.apply(write.records);
            }
            // The caller may have lost patience.
            let _ = write.reply.send(stored);
        }
    }

    async fn store(&mut self, records: &[KeyValue]) -> Result<(), Error> {
        let Some(OffsetFile { path, table }) = self.file.as_mut().filter(|_| !records.is_empty()) else {
            return Ok(());
        };
        let mut next = table.clone();
        next.extend(records.iter().map(|record| (record.key.clone(), record.value.clone())));
        let path = path.clone();
        let write = move || offset_file::write(&path, &next).map(|()| next);
        *table = tokio::task::spawn_blocking(write)
            .await
            .expect("writing a file does not panic")?;
        Ok(())
    }

    pub(super) fn apply(&self, records: Vec<KeyValue>) {
        self.positions.send_modify(|positions| {
            let mut state = self.shared.state.lock().expect("applying a record does not panic");
            for KeyValue { key, value } in records {
                state.apply(&LogRecord {
                    partition: 0,
                    offset: positions[0],
                    key: Some(key),
                    value,
                });
                positions[0] += 1;
            }
        });
    }
}
