//! Numbered batches through random trouble: each is stored once, in order, where its outcome says.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kafka_client::producer::Outcome;
use kafka_embedded::{ApiKey, Cluster, Control, ResponseError as E};
use kafka_wire::{Compression, ErrorCode, OutgoingBatch, TopicPartition};
use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::task::JoinSet;

use crate::support::{self, LONG};

const NODES: i32 = 3;
const PARTITIONS: i32 = 4;
const BATCHES: usize = 60;
/// `plain`, and one whose batches may not be merged without measure.
const TOPICS: [&str; 2] = ["plain", "small"];
/// Handed to the producer at once, per partition.
const AHEAD: usize = 12;

#[tokio::test(start_paused = true)]
async fn every_batch_is_stored_once_in_order_whatever_happens() {
    for seed in support::seeds() {
        support::announce(seed);
        run(seed).await;
    }
}

struct Job {
    tag: u64,
    batch: OutgoingBatch,
    values: Vec<String>,
    /// The topic takes no batch of this size, so it is dropped once it is refused.
    oversized: bool,
}

#[derive(Default)]
struct Progress {
    /// Not handed in, or given back.
    todo: VecDeque<Job>,
    /// Handed in, in order.
    sent: VecDeque<Job>,
    /// Where each written batch begins, and what is in it.
    written: BTreeMap<u64, (Option<i64>, Vec<String>)>,
}

async fn run(seed: u64) {
    let mut rng = support::rng(seed);
    let cluster = support::cluster(NODES).await;
    cluster
        .create_replicated_topic("plain", PARTITIONS, 3, &[])
        .expect("created");
    let small = [("max.message.bytes", "30000")];
    cluster
        .create_replicated_topic("small", PARTITIONS, 3, &small)
        .expect("created");

    let mut all: BTreeMap<TopicPartition, Progress> = BTreeMap::new();
    for topic in TOPICS {
        for partition in 0..PARTITIONS {
            let todo = jobs(&mut rng, partition as u64, topic == "small");
            let progress = Progress {
                todo,
                ..Progress::default()
            };
            all.insert(support::at(topic, partition), progress);
        }
    }
    let total = all.len() * BATCHES;

    let mut trouble = JoinSet::new();
    make_trouble(&cluster, &mut rng);
    trouble.spawn(move_about(cluster.clone(), support::rng(rng.random())));

    let mut producer = support::producer(&cluster);
    let mut left = total;
    let mut calm = false;
    let work = async {
        while left > 0 {
            for (target, progress) in &mut all {
                while progress.sent.len() < AHEAD && (calm || rng.random_bool(0.7)) {
                    let Some(job) = progress.todo.pop_front() else { break };
                    producer.send(job.tag, target.clone(), job.batch.clone());
                    progress.sent.push_back(job);
                }
            }
            let patience = Duration::from_millis(rng.random_range(0..40));
            let outcomes = match rng.random_bool(0.5) {
                true => tokio::time::timeout(patience, producer.outcomes())
                    .await
                    .unwrap_or_default(),
                false => tokio::time::timeout(Duration::from_secs(5), producer.outcomes())
                    .await
                    .unwrap_or_default(),
            };
            left -= take_in(&mut all, outcomes);
            if !calm && left < total / 3 {
                calm = true;
                trouble.shutdown().await;
                be_calm(&cluster).await;
            }
        }
    };
    if tokio::time::timeout(LONG, work).await.is_err() {
        panic!("seed {seed}: {left} of {total} batches left, {producer:?}");
    }
    assert_eq!(producer.in_flight(), 0, "seed {seed}");
    for (target, progress) in &all {
        let expected: Vec<&String> = progress.written.values().flat_map(|(_, values)| values).collect();
        let stored = support::values(&cluster, &target.topic, target.partition);
        let found: Vec<&String> = stored.iter().map(|(_, value)| value).collect();
        assert_eq!(found, expected, "seed {seed}: {target}");
        for (tag, (base, values)) in &progress.written {
            if let Some(base) = base {
                let at = stored
                    .iter()
                    .find(|(_, value)| *value == values[0])
                    .map(|(offset, _)| offset);
                assert_eq!(at, Some(base), "seed {seed}: {target}, batch {tag}");
            }
        }
    }
    cluster.shutdown().await;
}

fn jobs(rng: &mut StdRng, partition: u64, with_oversized: bool) -> VecDeque<Job> {
    let jobs = (0..BATCHES as u64).map(|number| {
        let tag = partition * 1_000_000 + number;
        let records = rng.random_range(1..4);
        let values: Vec<String> = (0..records).map(|record| format!("{number}.{record}")).collect();
        let bytes = [10, 100, 4_000, 18_000][rng.random_range(0..4)];
        let codec = [
            Compression::None,
            Compression::None,
            Compression::Lz4,
            Compression::Zstd,
        ][rng.random_range(0..4)];
        let oversized = with_oversized && rng.random_bool(0.05);
        let (codec, bytes) = if oversized {
            (Compression::None, 40_000)
        } else {
            (codec, bytes)
        };
        let batch = support::batch(codec, &values, bytes);
        Job {
            tag,
            batch,
            values,
            oversized,
        }
    });
    jobs.collect()
}

/// Counts what is written, or dropped as too large; what else was given back is sent again, in order.
fn take_in(all: &mut BTreeMap<TopicPartition, Progress>, outcomes: Vec<Outcome>) -> usize {
    let mut done = 0;
    let mut given_back: BTreeMap<TopicPartition, Vec<Job>> = BTreeMap::new();
    for outcome in outcomes {
        let progress = all.get_mut(&outcome.target).expect("a partition of ours");
        let at = progress.sent.iter().position(|job| job.tag == outcome.tag);
        let job = progress
            .sent
            .remove(at.expect("one outcome for each batch"))
            .expect("it is there");
        match outcome.result {
            Ok(base) => {
                done += 1;
                let before = progress.written.insert(job.tag, (base, job.values));
                assert!(before.is_none(), "{} is written twice", outcome.target);
            }
            Err(refused) if refused.code == Some(ErrorCode::MESSAGE_TOO_LARGE) && job.oversized => done += 1,
            Err(_) => given_back.entry(outcome.target).or_default().push(job),
        }
    }
    for (target, jobs) in given_back {
        let progress = all.get_mut(&target).expect("a partition of ours");
        let last = progress.sent.back().map_or(0, |job| job.tag);
        assert!(
            last < jobs[0].tag || progress.sent.is_empty(),
            "{target}: a later batch is kept"
        );
        assert!(jobs.is_sorted_by_key(|job| job.tag), "{target}: given back in disorder");
        for job in jobs.into_iter().rev() {
            progress.todo.push_front(job);
        }
    }
    done
}

fn make_trouble(cluster: &Cluster, rng: &mut StdRng) {
    let rng = Arc::new(Mutex::new(support::rng(rng.random())));
    let dice = rng.clone();
    cluster.control(ApiKey::Produce, move |_| {
        let mut rng = dice.lock().expect("not poisoned");
        match rng.random_range(0..100) {
            0..8 => Control::LoseReply,
            8..12 => Control::Disconnect,
            12..13 => Control::Drop,
            13..25 => Control::Delay(Duration::from_millis(rng.random_range(0..300))),
            25..40 => Control::Error(
                [
                    E::NotEnoughReplicas,
                    E::NotLeaderOrFollower,
                    E::KafkaStorageError,
                    E::RequestTimedOut,
                    E::NotEnoughReplicasAfterAppend,
                    E::UnknownTopicOrPartition,
                ][rng.random_range(0..6)],
            ),
            _ => Control::Pass,
        }
    });
    let dice = rng.clone();
    cluster.control(ApiKey::Metadata, move |_| {
        match dice.lock().expect("not poisoned").random_range(0..20) {
            0 => Control::Disconnect,
            1 => Control::Delay(Duration::from_millis(200)),
            2 => Control::LoseReply,
            _ => Control::Pass,
        }
    });
    cluster.control(ApiKey::InitProducerId, move |_| {
        match rng.lock().expect("not poisoned").random_range(0..4) {
            0 => Control::Error(E::CoordinatorLoadInProgress),
            1 => Control::Disconnect,
            _ => Control::Pass,
        }
    });
}

/// Moves leaders, stops and starts nodes; one is always up.
async fn move_about(cluster: Arc<Cluster>, mut rng: StdRng) {
    loop {
        tokio::time::sleep(Duration::from_millis(rng.random_range(20..500))).await;
        let node = rng.random_range(1..=NODES);
        match rng.random_range(0..8) {
            0 if node > 1 => {
                let _ = cluster.stop_node(node).await; // it may be down already
            }
            1 | 2 => cluster.start_node(node).await.expect("started"),
            _ => {
                let up = cluster.connect(node).await.is_ok();
                let (topic, partition) = (TOPICS[rng.random_range(0..2)], rng.random_range(0..PARTITIONS));
                if up {
                    cluster.move_leader(topic, partition, node).expect("moved");
                }
            }
        }
    }
}

async fn be_calm(cluster: &Cluster) {
    for api_key in [ApiKey::Produce, ApiKey::Metadata, ApiKey::InitProducerId] {
        cluster.clear_control(api_key);
    }
    for node in cluster.node_ids() {
        cluster.start_node(node).await.expect("started");
    }
}
