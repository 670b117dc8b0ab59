//! What a task reads before it says anything: its own checkpoints, and the beginning of the offset syncs.

use std::{collections::HashSet, time::Duration};

use kafka_client::{Client, ConsumerConfig};
use kafka_wire::{ErrorCode, Record};
use tokio::time::Instant;

use super::checkpoint_store::CheckpointStore;
use crate::{offset_sync_history::is_missing, records::Checkpoint, topic_reader::TopicReader};

/// How long a topic that is not there is waited for; Kafka's clients give up after as long.
const MISSING_TOPIC_TIMEOUT: Duration = Duration::from_secs(30);

const FIRST_RETRY: Duration = Duration::from_millis(500);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// Reads the checkpoints of earlier lives. `false`: there may be some that could not be read.
pub(super) async fn load_checkpoints(
    task: &str,
    client: &Client,
    config: &ConsumerConfig,
    topic: &str,
    assigned: &[String],
) -> (CheckpointStore, bool) {
    let groups: HashSet<&str> = assigned.iter().map(String::as_str).collect();
    let mut store = CheckpointStore::default();
    let Some(mut reader) = open(task, client, config, topic, Some(MISSING_TOPIC_TIMEOUT)).await else {
        tracing::warn!(
            task,
            topic,
            "checkpoints written before cannot be read (does the mirror have READ on the topic?): groups far behind start again with what is synced from now on"
        );
        return (store, false);
    };
    while !reader.is_at_end() {
        reader.read(|record| take(task, &mut store, record, &groups)).await;
    }
    tracing::debug!(task, checkpoints = store.len(), "read the checkpoints of before");
    (store, true)
}

fn take(task: &str, store: &mut CheckpointStore, record: &Record<'_>, groups: &HashSet<&str>) {
    match Checkpoint::decode(record.key, record.value) {
        Ok(checkpoint) => store.loaded(checkpoint, groups),
        Err(error) => {
            tracing::warn!(task, offset = record.offset, %error, "a checkpoint cannot be read and is skipped")
        }
    }
}

/// Opens a topic, as long as it takes while its cluster is away. `missing_for`: how long it may be missing; without, for
/// ever, and so may the right to read it. `None`: it cannot be had.
pub(super) async fn open(
    task: &str,
    client: &Client,
    config: &ConsumerConfig,
    topic: &str,
    missing_for: Option<Duration>,
) -> Option<TopicReader> {
    let began = Instant::now();
    let mut delay = FIRST_RETRY;
    let mut attempts = 0u32;
    loop {
        let error = match TopicReader::start(client, config, topic).await {
            Ok(reader) => return Some(reader),
            Err(error) => error,
        };
        let is_forbidden = error.code() == Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
        let is_over = |limit: Duration| is_forbidden || (is_missing(&error) && began.elapsed() >= limit);
        if missing_for.is_some_and(is_over) {
            return None;
        }
        attempts = attempts.saturating_add(1);
        // A topic that is being created needs a moment.
        if attempts >= 4 && attempts.is_power_of_two() {
            tracing::warn!(
                task, topic, error = error.chain(), attempts, retry_in = ?delay,
                "internal topic cannot be read yet; groups' positions are not translated meanwhile"
            );
        }
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(LONGEST_RETRY);
    }
}
