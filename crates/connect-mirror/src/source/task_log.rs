//! What a task says in the log: once per event, ever more rarely about what lasts, with what a person can do.

use std::collections::BTreeMap;

use connect_api::Refusal;
use kafka_client::consumer::ConsumerEvent;
use kafka_wire::{ErrorCode, TopicPartition};

use super::{
    carry::Unreadable,
    partition::{Held, Partition},
};

/// What happened at the source. A broker that goes takes all its partitions with it: one line for each reason, not for
/// each partition.
pub(crate) fn consumer_events(task: &str, events: &[ConsumerEvent]) {
    let mut unavailable: BTreeMap<String, Vec<&TopicPartition>> = BTreeMap::new();
    let mut recovered = Vec::new();
    for event in events {
        match event {
            ConsumerEvent::Unavailable { partition, error } => {
                unavailable.entry(error_chain(error)).or_default().push(partition);
            }
            ConsumerEvent::Recovered { partition } => recovered.push(partition),
            ConsumerEvent::Started { partition, to } => {
                tracing::debug!(task, %partition, offset = to, "no stored offset; starting as auto.offset.reset says");
            }
            // Losses: see `SourceLoss`.
            ConsumerEvent::Gap { .. } | ConsumerEvent::Rewound { .. } | ConsumerEvent::TopicRecreated { .. } => {}
        }
    }
    for (error, partitions) in unavailable {
        tracing::warn!(
            task, error, partitions = partitions.len(), first = %partitions[0],
            "partitions cannot be read from the source for now; trying again, others flow on"
        );
    }
    if let Some(first) = recovered.first() {
        tracing::info!(task, partitions = recovered.len(), %first, "partitions can be read from the source again");
    }
}

/// The target refused a batch of `partition`.
pub(crate) fn refused(task: &str, partition: &Partition, held: &Held, refusal: &Refusal) {
    match held {
        Held::CutSmaller { from, max_batch_bytes } => tracing::info!(
            task, partition = %partition.source, target = %partition.target, offset = from, max_batch_bytes,
            "the target takes no batches this large; cutting them smaller"
        ),
        Held::Wait {
            from,
            delay,
            is_news: true,
        } => tracing::warn!(
            task, partition = %partition.source, target = %partition.target, offset = from,
            reason = refusal.reason, advice = what_to_change(refusal.code, &partition.target),
            attempts = partition.attempts(), retry_in = ?delay,
            "partition is held back, others flow on"
        ),
        Held::Wait { .. } | Held::FurtherBack { .. } | Held::Already => {}
    }
}

/// A batch of `partition` came damaged from the source.
pub(crate) fn unreadable(task: &str, partition: &Partition, held: &Held, unreadable: &Unreadable) {
    if let Held::Wait {
        from,
        delay,
        is_news: true,
    } = held
    {
        tracing::error!(
            task, partition = %partition.source, offset = from, reason = error_chain(unreadable),
            advice = "the source's log is damaged there, or the network changed bytes: check the source broker's disk",
            attempts = partition.attempts(), retry_in = ?delay,
            "partition is held back, others flow on"
        );
    }
}

/// `what: why: why`, for one line of the log.
pub(crate) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}

/// What a person can change when the target says `code` to a batch for `target`.
fn what_to_change(code: Option<ErrorCode>, target: &TopicPartition) -> String {
    let topic = &target.topic;
    match code {
        Some(ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE) => {
            format!("raise max.message.bytes of topic {topic} on the target above the size of the record")
        }
        Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED) => {
            format!("allow the mirror's principal to WRITE to topic {topic} on the target")
        }
        Some(ErrorCode::CLUSTER_AUTHORIZATION_FAILED) => {
            "allow the mirror's principal IDEMPOTENT_WRITE on the target cluster".to_owned()
        }
        Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::UNKNOWN_TOPIC_ID) => {
            format!(
                "{target} is made at the next topic refresh: if that fails, its warning says why; or make it on the target"
            )
        }
        Some(ErrorCode::INVALID_TOPIC_EXCEPTION) => {
            format!(
                "no cluster takes a topic named {topic}: names have at most 249 characters; leave the source topic out with \
                 topics.exclude, or give the source a shorter alias"
            )
        }
        Some(ErrorCode::INVALID_TIMESTAMP) => {
            format!(
                "raise message.timestamp.before.max.ms and message.timestamp.after.max.ms of topic {topic} on the target"
            )
        }
        Some(ErrorCode::INVALID_RECORD) => {
            format!(
                "topic {topic} on the target wants keys (cleanup.policy=compact): give the source topic the same policy"
            )
        }
        Some(ErrorCode::POLICY_VIOLATION) => {
            format!("a policy of the target forbids it: see the settings of topic {topic}")
        }
        Some(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE) => {
            "set producer.override.compression.type to a codec that the target knows".to_owned()
        }
        Some(_) => format!("see the log of the target broker that leads {target}"),
        None => format!("see whether the target is up and {target} has a leader"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_no_cluster_takes_is_not_looked_for_in_its_log() {
        let target = TopicPartition::new("a.long", 0);
        let advice = what_to_change(Some(ErrorCode::INVALID_TOPIC_EXCEPTION), &target);
        assert!(
            advice.contains("249 characters") && advice.contains("topics.exclude"),
            "{advice}"
        );
    }
}
