//! A growing, shrinking, moving source read through random trouble: every record comes once and in order, and what
//! does not come is said.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kafka_client::consumer::{ConsumerEvent, Polled, StartPosition};
use kafka_embedded::{ApiKey, Cluster, Control, ResponseError as E};
use kafka_wire::{Compression, TopicPartition};
use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::support::{self, LONG};

const NODES: i32 = 3;
const PARTITIONS: i32 = 4;
const TOPICS: [&str; 2] = ["one", "two"];
/// How long the source lives, on the paused clock.
const LIFE: Duration = Duration::from_secs(20);

#[tokio::test(start_paused = true)]
async fn every_record_comes_once_and_what_does_not_come_is_said() {
    for seed in support::seeds() {
        support::announce(seed);
        run(seed).await;
    }
}

/// What ever happened to the source.
#[derive(Default)]
struct History {
    /// Everything that was ever at an offset.
    values: BTreeMap<(TopicPartition, i64), BTreeSet<String>>,
    log_starts: BTreeSet<(TopicPartition, i64)>,
    truncated: BTreeSet<TopicPartition>,
}

async fn run(seed: u64) {
    let mut rng = support::rng(seed);
    // A broker of today, one that knows topics by name, one that does not say by itself that its log was cut.
    let fetch = [17, 12, 11][rng.random_range(0..3)];
    let builder = Cluster::builder().nodes(NODES).auto_create_topics(false);
    let builder = builder.max_version(ApiKey::Fetch, fetch);
    let cluster = Arc::new(builder.start().await.expect("a cluster"));
    for topic in TOPICS {
        cluster
            .create_replicated_topic(topic, PARTITIONS, 3, &[])
            .expect("created");
    }
    let partitions: Vec<TopicPartition> = TOPICS
        .iter()
        .flat_map(|topic| (0..PARTITIONS).map(|partition| support::at(topic, partition)))
        .collect();
    let history = Arc::new(Mutex::new(History::default()));
    make_trouble(&cluster, &mut rng);
    let mut life = JoinSet::new();
    life.spawn(live(cluster.clone(), history.clone(), support::rng(rng.random())));

    let mut consumer = support::consumer(&cluster, &[("max.partition.fetch.bytes", "5000")]);
    consumer.assign(
        partitions
            .iter()
            .map(|name| (name.clone(), StartPosition::Reset))
            .collect(),
    );
    let mut next: BTreeMap<TopicPartition, Option<i64>> = partitions.iter().map(|name| (name.clone(), None)).collect();
    let mut seen = Seen::default();
    let mut paused = BTreeSet::new();
    let end_of_life = Instant::now() + LIFE;
    let work = async {
        loop {
            if Instant::now() >= end_of_life && !life.is_empty() {
                life.shutdown().await;
                be_calm(&cluster).await;
                // A log that was cut may have grown back to where the reader is. With more behind that, it has to look.
                for (name, next) in &next {
                    while end(&cluster, name) <= next.unwrap_or_default() {
                        last_words(&cluster, name, &mut history.lock().expect("not poisoned"));
                    }
                }
                for name in std::mem::take(&mut paused) {
                    consumer.resume(&name);
                }
            }
            if life.is_empty() && next.iter().all(|(name, next)| *next == Some(end(&cluster, name))) {
                break;
            }
            let name = &partitions[rng.random_range(0..partitions.len())];
            match rng.random_range(0..20) {
                0 if !life.is_empty() => {
                    consumer.pause(name);
                    paused.insert(name.clone());
                }
                1 | 2 => {
                    consumer.resume(name);
                    paused.remove(name);
                }
                3 if next[name].is_some() => {
                    let start = cluster
                        .log_start_offset(&name.topic, name.partition)
                        .expect("it is there");
                    let to = rng.random_range(start..=end(&cluster, name));
                    consumer.seek(name, to);
                    seen.remove(name); // the caller's own position is not doubted
                    next.insert(name.clone(), Some(to));
                }
                _ => {}
            }
            let patience = Duration::from_millis(rng.random_range(1..60));
            if let Ok(polled) = tokio::time::timeout(patience, consumer.poll()).await {
                take_in(
                    &mut next,
                    &mut seen,
                    &paused,
                    polled,
                    &history.lock().expect("not poisoned"),
                );
            }
        }
    };
    if tokio::time::timeout(LONG, work).await.is_err() {
        let ends: Vec<i64> = next.keys().map(|name| end(&cluster, name)).collect();
        panic!("seed {seed}: stuck at {next:?} of {ends:?}");
    }
    for (name, seen) in &seen {
        for (offset, value) in support::values(&cluster, &name.topic, name.partition) {
            let seen = seen.get(&offset);
            assert!(
                seen.is_none_or(|seen| *seen == value),
                "seed {seed}, fetch {fetch}: {name} at {offset}: read {seen:?}, there is {value}"
            );
        }
    }
    cluster.shutdown().await;
}

/// What was read, as far as it was not taken back: in the end it must be what is there.
type Seen = BTreeMap<TopicPartition, BTreeMap<i64, String>>;

fn end(cluster: &Cluster, name: &TopicPartition) -> i64 {
    cluster.end_offset(&name.topic, name.partition).expect("it is there")
}

fn take_in(
    next: &mut BTreeMap<TopicPartition, Option<i64>>,
    seen: &mut Seen,
    paused: &BTreeSet<TopicPartition>,
    polled: Polled,
    history: &History,
) {
    // A jump and the records behind it may come in one go; the jump is first then.
    for event in polled.events {
        match event {
            ConsumerEvent::Started { partition, to } => {
                assert_eq!(next[&partition], None, "{partition} starts again");
                next.insert(partition, Some(to));
            }
            ConsumerEvent::Gap { partition, from, to } => {
                assert_eq!(next[&partition], Some(from), "{partition}: a gap elsewhere");
                assert!(
                    history.log_starts.contains(&(partition.clone(), to)),
                    "{partition} never began at {to}"
                );
                seen.remove(&partition);
                next.insert(partition, Some(to));
            }
            ConsumerEvent::Rewound { partition, from, to } => {
                assert_eq!(next[&partition], Some(from), "{partition}: rewound from elsewhere");
                assert!(
                    history.truncated.contains(&partition),
                    "{partition} was never truncated"
                );
                seen.entry(partition.clone()).or_default().split_off(&to);
                next.insert(partition, Some(to));
            }
            ConsumerEvent::TopicRecreated { topic } => panic!("{topic} was not"),
            ConsumerEvent::Unavailable { .. } | ConsumerEvent::Recovered { .. } => {}
        }
    }
    for fetched in polled.fetched {
        let name = fetched.partition;
        assert!(!paused.contains(&name), "{name} is paused");
        assert_eq!(next[&name], Some(fetched.from), "{name}: not what comes next");
        let records = fetched.batches.iter().flat_map(support::entry_values);
        let mut expected = fetched.from;
        for (offset, value) in records.filter(|(offset, _)| *offset >= fetched.from) {
            assert_eq!(offset, expected, "{name}: a hole, or a repeat");
            let known = history.values.get(&(name.clone(), offset));
            assert!(
                known.is_some_and(|known| known.contains(&value)),
                "{name}: {value} at {offset}"
            );
            seen.entry(name.clone()).or_default().insert(offset, value);
            expected += 1;
        }
        assert_eq!(fetched.next_offset, expected, "{name}");
        next.insert(name, Some(fetched.next_offset));
    }
}

async fn live(cluster: Arc<Cluster>, history: Arc<Mutex<History>>, mut rng: StdRng) {
    let mut number = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..40))).await;
        let name = support::at(TOPICS[rng.random_range(0..2)], rng.random_range(0..PARTITIONS));
        let (topic, partition) = (&*name.topic, name.partition);
        let start = cluster.log_start_offset(topic, partition).expect("it is there");
        let end = end(&cluster, &name);
        let node = rng.random_range(1..=NODES);
        match rng.random_range(0..100) {
            0..70 => append(
                &cluster,
                &name,
                &mut number,
                &mut history.lock().expect("not poisoned"),
                &mut rng,
            ),
            70..74 => {
                let before = rng.random_range(start..=end);
                history
                    .lock()
                    .expect("not poisoned")
                    .log_starts
                    .insert((name.clone(), before));
                cluster.delete_records(topic, partition, before).expect("deleted");
            }
            // Whole batches go, so the log may end, and begin, before what was deleted.
            74..76 => {
                let mut history = history.lock().expect("not poisoned");
                history.truncated.insert(name.clone());
                let floor = [start, start.max(end - 6)][rng.random_range(0..2)];
                cluster
                    .truncate(topic, partition, rng.random_range(floor..=end))
                    .expect("truncated");
                let start = cluster.log_start_offset(topic, partition).expect("it is there");
                history.log_starts.insert((name.clone(), start));
                // Often it grows past where a reader was before that one looks again.
                for _ in 0..rng.random_range(0..6) {
                    append(&cluster, &name, &mut number, &mut history, &mut rng);
                }
            }
            76..86 if cluster.connect(node).await.is_ok() => {
                cluster.move_leader(topic, partition, node).expect("moved")
            }
            86..88 if node > 1 => {
                let _ = cluster.stop_node(node).await; // it may be down already
            }
            88..93 => cluster.start_node(node).await.expect("started"),
            _ => {}
        }
    }
}

fn last_words(cluster: &Cluster, name: &TopicPartition, history: &mut History) {
    let value = "last".to_owned();
    let known = history.values.entry((name.clone(), end(cluster, name))).or_default();
    known.insert(value.clone());
    let batch = support::stored(&support::tiny(&value));
    cluster.append(&name.topic, name.partition, &batch).expect("appended");
}

fn append(cluster: &Cluster, name: &TopicPartition, number: &mut u32, history: &mut History, rng: &mut StdRng) {
    let values: Vec<String> = (0..rng.random_range(1..5))
        .map(|record| format!("{number}.{record}"))
        .collect();
    *number += 1;
    let codec = [Compression::None, Compression::Lz4][rng.random_range(0..2)];
    let bytes = [0, 0, 3_000, 30_000][rng.random_range(0..4)];
    for (offset, value) in (end(cluster, name)..).zip(&values) {
        let known = history.values.entry((name.clone(), offset)).or_default();
        known.insert(value.clone());
    }
    let batch = support::stored(&support::batch(codec, &values, bytes));
    cluster.append(&name.topic, name.partition, &batch).expect("appended");
}

fn make_trouble(cluster: &Cluster, rng: &mut StdRng) {
    let rng = Arc::new(Mutex::new(support::rng(rng.random())));
    let dice = rng.clone();
    cluster.control(ApiKey::Fetch, move |_| {
        let mut rng = dice.lock().expect("not poisoned");
        match rng.random_range(0..100) {
            0..4 => Control::LoseReply,
            4..7 => Control::Disconnect,
            7 if rng.random_bool(0.1) => Control::Drop,
            8..12 => Control::Delay(Duration::from_millis(rng.random_range(0..300))),
            12..24 => Control::Error(
                [
                    E::FetchSessionIdNotFound,
                    E::InvalidFetchSessionEpoch,
                    E::FetchSessionTopicIdError,
                    E::NotLeaderOrFollower,
                    E::KafkaStorageError,
                    E::UnknownLeaderEpoch,
                    E::OffsetOutOfRange,
                    E::UnknownTopicId,
                ][rng.random_range(0..8)],
            ),
            _ => Control::Pass,
        }
    });
    let dice = rng.clone();
    cluster.control(ApiKey::ListOffsets, move |_| {
        match dice.lock().expect("not poisoned").random_range(0..10) {
            0 => Control::Disconnect,
            1 => Control::Error(E::NotLeaderOrFollower),
            _ => Control::Pass,
        }
    });
    cluster.control(ApiKey::Metadata, move |_| {
        match rng.lock().expect("not poisoned").random_range(0..20) {
            0 => Control::Disconnect,
            1 => Control::Delay(Duration::from_millis(200)),
            _ => Control::Pass,
        }
    });
}

async fn be_calm(cluster: &Cluster) {
    for api_key in [ApiKey::Fetch, ApiKey::Metadata, ApiKey::ListOffsets] {
        cluster.clear_control(api_key);
    }
    for node in cluster.node_ids() {
        cluster.start_node(node).await.expect("started");
    }
}
