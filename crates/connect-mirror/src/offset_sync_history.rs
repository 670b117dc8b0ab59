//! What earlier lives of a mirror task have left in the offset-syncs topic.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use kafka_client::{Client, ConsumerConfig, Error};
use kafka_wire::{ErrorCode, Record, TopicPartition};

use crate::{
    offset_runs::{Carried, OffsetRuns},
    offset_sync_store::OffsetSyncStore,
    records::OffsetSync,
    topic_reader::TopicReader,
};

const FIRST_RETRY: Duration = Duration::from_millis(500);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// The header of an offset sync that names its source topic by id, in 16 bytes. A topic that is deleted and made again has
/// another, which a stored offset does not tell.
pub(crate) const TOPIC_ID_HEADER: &[u8] = b"heliograph.topic.id";

/// The ids of the topics of partitions.
pub(crate) type PartitionTopicIds = HashMap<TopicPartition, u128>;

/// What is known of the partitions of a task.
#[derive(Debug, Default)]
pub(crate) struct OffsetSyncHistory {
    pub(crate) runs: HashMap<TopicPartition, OffsetRuns>,
    /// The topics that were copied, where the newest sync says so.
    pub(crate) topic_ids: PartitionTopicIds,
    /// Whether it is all that there is.
    pub(crate) is_complete: bool,
}

/// Reads the topic up to its end. Waits for a cluster that is away; who may not read goes on without.
pub(crate) async fn load_history(
    client: &Client,
    config: &ConsumerConfig,
    topic: &str,
    partitions: &[TopicPartition],
) -> OffsetSyncHistory {
    let wanted: HashSet<&TopicPartition> = partitions.iter().collect();
    let mut delay = FIRST_RETRY;
    let mut reader = loop {
        match TopicReader::start(client, config, topic).await {
            Ok(reader) => break reader,
            Err(error) if is_missing(&error) => {
                return OffsetSyncHistory {
                    is_complete: true,
                    ..OffsetSyncHistory::default()
                };
            }
            Err(error) if error.code() == Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED) => {
                tracing::warn!(
                    topic,
                    "the mirror may not READ its offset syncs: offsets copied before this start translate less exactly once the topic is compacted"
                );
                return OffsetSyncHistory::default();
            }
            Err(error) => {
                tracing::debug!(topic, error = error.chain(), "offset syncs cannot be read yet");
                tokio::time::sleep(delay).await;
                delay = (delay * 2).min(LONGEST_RETRY);
            }
        }
    };
    let mut store = OffsetSyncStore::new(false);
    let mut topic_ids = PartitionTopicIds::new();
    while !reader.is_at_end() {
        reader
            .read(|record| {
                take(&mut store, record, |partition| wanted.contains(partition));
                note_topic_id(&mut topic_ids, record, |partition| wanted.contains(partition));
            })
            .await;
    }
    OffsetSyncHistory {
        runs: store.into_runs(),
        topic_ids,
        is_complete: true,
    }
}

/// The newest sync of a partition counts; one without the header comes from someone who does not look at ids.
fn note_topic_id(ids: &mut PartitionTopicIds, record: &Record<'_>, is_wanted: impl Fn(&TopicPartition) -> bool) {
    let Ok(sync) = OffsetSync::decode(record.key, record.value) else {
        return;
    };
    if !is_wanted(&sync.topic_partition) {
        return;
    }
    let headers = &record.headers;
    match headers.last(TOPIC_ID_HEADER) {
        // A later one of the same writer says it.
        Some(None) => {}
        Some(Some(id)) => match <[u8; 16]>::try_from(id) {
            Ok(id) => _ = ids.insert(sync.topic_partition, u128::from_be_bytes(id)),
            Err(_) => _ = ids.remove(&sync.topic_partition),
        },
        None => _ = ids.remove(&sync.topic_partition),
    }
}

/// Gives a record of the topic to `store` if its partition is wanted. One that cannot be read is said and skipped.
pub(crate) fn take(store: &mut OffsetSyncStore, record: &Record<'_>, is_wanted: impl Fn(&TopicPartition) -> bool) {
    store.passed(record.offset);
    match OffsetSync::decode(record.key, record.value) {
        Ok(sync) if is_wanted(&sync.topic_partition) => store.apply(sync, Carried::of(&record.headers)),
        Ok(_) => {}
        Err(error) => tracing::warn!(offset = record.offset, %error, "an offset sync cannot be read and is skipped"),
    }
}

/// Whether the topic is not there.
pub(crate) fn is_missing(error: &Error) -> bool {
    error.code() == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
}
