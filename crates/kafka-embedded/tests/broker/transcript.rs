//! The same requests to this broker and to a real one: what comes back has to be the same, line by line.
//!
//! `testdata/transcript.txt` is what Apache Kafka answered. With `HELIOGRAPH_KAFKA_BOOTSTRAP` naming a real broker that
//! has none of these topics yet, the test asks it as well, so that the file can be trusted (or written anew, see there).

use std::time::{SystemTime, UNIX_EPOCH};

use kafka_embedded::{Cluster, ResponseError as E};
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::fetch_request::FetchPartition;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kafka_protocol::messages::*;
use kafka_wire::{BatchBuilder, Compression, OutgoingBatch};
use tokio::net::TcpStream;
use tokio::time::{Duration, Instant, sleep};

use crate::raw::{RawClient, batch, fetch_request, keyed_batch, text, topic_name, values};

const GOLDEN: &str = include_str!("../../testdata/transcript.txt");

#[tokio::test]
async fn this_broker_answers_as_kafka_does() {
    let cluster = Cluster::builder().start().await.expect("a cluster");
    let transcript = Transcript::of(RawClient::connect(&cluster, 1).await).await;
    assert_same(&transcript);
}

#[tokio::test]
async fn kafka_still_answers_as_it_was_recorded() {
    let Ok(bootstrap) = std::env::var("HELIOGRAPH_KAFKA_BOOTSTRAP") else {
        return; // the test above stands without it
    };
    let stream = TcpStream::connect(bootstrap).await.expect("a broker");
    let transcript = Transcript::of(RawClient::over(stream)).await;
    match std::env::var("HELIOGRAPH_RECORD") {
        Ok(path) => std::fs::write(path, transcript).expect("written"),
        Err(_) => assert_same(&transcript),
    }
}

fn assert_same(transcript: &str) {
    let recorded = GOLDEN.lines().filter(|line| !line.starts_with('#'));
    let recorded: Vec<_> = recorded.collect();
    let ours: Vec<_> = transcript.lines().collect();
    let different = ours.iter().zip(&recorded).filter(|(ours, recorded)| ours != recorded);
    let different: Vec<_> = different
        .map(|(ours, recorded)| format!("ours  {ours}\nKafka {recorded}"))
        .collect();
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert_eq!(ours.len(), recorded.len());
}

/// Markers are stamped with the time of day; beside records of 1970 they would make Kafka begin a new segment each.
#[expect(clippy::disallowed_methods, reason = "a real broker has no other clock")]
fn recent_batch(value: &str) -> OutgoingBatch {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let mut builder = BatchBuilder::new(Compression::None);
    builder.push(now.as_millis() as i64, None, Some(value.as_bytes()), []);
    builder.build()
}

type Configs<'a> = &'a [(&'a str, &'a str)];

struct Transcript {
    client: RawClient,
    lines: String,
}

impl Transcript {
    async fn of(client: RawClient) -> String {
        let mut transcript = Self {
            client,
            lines: String::new(),
        };
        transcript.topics().await;
        transcript.produce().await;
        transcript.read().await;
        transcript.offsets().await;
        transcript.transactions().await;
        transcript.groups().await;
        transcript.lines
    }

    fn say(&mut self, what: &str, code: i16, answer: impl std::fmt::Debug) {
        let error = E::try_from_code(code).map_or("ok".to_owned(), |error| format!("{error:?}"));
        self.lines.push_str(&format!("{what}: {error} {answer:?}\n"));
    }

    async fn topics(&mut self) {
        let compact = [("cleanup.policy", "compact")];
        let small = [("max.message.bytes", "200")];
        let cases: [(&str, i32, i16, Configs<'_>); 13] = [
            ("ts-plain", 2, 1, &[]),
            ("ts-plain", 1, 1, &[]),
            ("ts_twin", 1, 1, &[]),
            ("ts.twin", 1, 1, &[]),
            ("ts-compact", 1, -1, &compact),
            ("ts-small", -1, -1, &small),
            ("ts tx", 1, 1, &[]),
            ("..", 1, 1, &[]),
            ("ts-0", 0, 1, &[]),
            ("ts-rf", 1, 0, &[]),
            ("ts-rf", 1, 7, &[]),
            ("ts-cfg", 1, 1, &[("no.such.config", "1")]),
            ("ts-cfg", 1, 1, &[("retention.ms", "soon")]),
        ];
        for (name, partitions, replicas, configs) in cases {
            let configs = configs.iter().map(|(name, value)| {
                CreatableTopicConfig::default()
                    .with_name(text(name))
                    .with_value(Some(text(value)))
            });
            let topic = CreatableTopic::default()
                .with_name(topic_name(name))
                .with_num_partitions(partitions)
                .with_replication_factor(replicas)
                .with_configs(configs.collect());
            let request = CreateTopicsRequest::default()
                .with_topics(vec![topic])
                .with_timeout_ms(10_000);
            let response = self.client.call(7, request).await;
            let topic = &response.topics[0];
            let configs = topic.configs.as_ref().map_or(0, Vec::len);
            let answer = (topic.num_partitions, topic.replication_factor, configs);
            self.say(
                &format!("create {name} {partitions} {replicas}"),
                topic.error_code,
                answer,
            );
        }
        // Real brokers hear of a new topic a little later.
        for topic in ["ts-plain", "ts-compact", "ts-small"] {
            let deadline = Instant::now() + Duration::from_secs(20);
            while self.client.fetch(topic, 0, 0).await.error_code != 0 {
                assert!(Instant::now() < deadline, "{topic} does not appear");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }

    async fn produce(&mut self) {
        let good = batch(&["a", "b"]).to_bytes();
        let mut flipped = good.to_vec();
        *flipped.last_mut().expect("a byte") ^= 1;
        let twice = [good.as_ref(), good.as_ref()].concat();
        let large = batch(&[&"x".repeat(200)]).to_bytes();
        let cases = [
            ("good", "ts-plain", 0, good.clone()),
            ("crc", "ts-plain", 0, flipped.into()),
            ("twice", "ts-plain", 0, twice.into()),
            ("missing topic", "ts-none", 0, good.clone()),
            ("missing partition", "ts-plain", 7, good.clone()),
            ("large", "ts-small", 0, large),
            ("no key", "ts-compact", 0, good.clone()),
            ("key", "ts-compact", 0, keyed_batch(&[(Some("k"), "v")]).to_bytes()),
        ];
        for (what, topic, partition, records) in cases {
            let response = self.client.produce_as(9, None, topic, partition, records).await;
            // A record without a key is found later than other faults, and only then Kafka tells the log's start.
            let log_start = (what != "no key").then_some(response.log_start_offset);
            let answer = (response.base_offset, log_start);
            self.say(&format!("produce {what}"), response.error_code, answer);
        }
        // Kafka's first answer is that it has yet to fetch a block of ids.
        let producer_id = loop {
            let init = InitProducerIdRequest::default()
                .with_transactional_id(None)
                .with_transaction_timeout_ms(1000);
            let answer = self.client.call(4, init).await;
            if answer.error_code == 0 {
                break answer.producer_id.0;
            }
            sleep(Duration::from_millis(20)).await;
        };
        let sequences = [
            (0, 0),
            (0, 2),
            (0, 4),
            (0, 6),
            (0, 8),
            (0, 10),
            (0, 10),
            (0, 2),
            (0, 0),
            (0, 14),
            (1, 2),
            (1, 0),
            (0, 12),
        ];
        for (epoch, sequence) in sequences {
            let mut batch = batch(&["a", "b"]);
            batch.set_producer(producer_id, epoch, sequence);
            let response = self.client.produce("ts-plain", 0, &batch).await;
            self.say(
                &format!("idempotent {epoch} {sequence}"),
                response.error_code,
                response.base_offset,
            );
        }
    }

    async fn read(&mut self) {
        for (offset, epoch) in [(0, -1), (3, -1), (16, -1), (17, -1), (-1, -1), (0, 0), (0, 5)] {
            let mut request = fetch_request("ts-plain", &[(0, offset)]);
            request.topics[0].partitions[0].current_leader_epoch = epoch;
            let response = self.client.call(12, request).await;
            let data = &response.responses[0].partitions[0];
            let read = data.records.as_ref().map(values).unwrap_or_default();
            let answer = (
                data.high_watermark,
                data.last_stable_offset,
                data.log_start_offset,
                read.first().cloned(),
                read.len(),
            );
            self.say(&format!("fetch {offset} epoch {epoch}"), data.error_code, answer);
        }
        // The second goes beyond the end of the epoch that it says it has read; the third read one that never was.
        for (offset, epoch) in [(16, 0), (17, 0), (16, 5), (3, 0)] {
            let mut request = fetch_request("ts-plain", &[(0, offset)]);
            request.topics[0].partitions[0].last_fetched_epoch = epoch;
            let response = self.client.call(12, request).await;
            let data = &response.responses[0].partitions[0];
            let diverging = (data.diverging_epoch.epoch, data.diverging_epoch.end_offset);
            self.say(
                &format!("fetch {offset} after epoch {epoch}"),
                data.error_code,
                diverging,
            );
        }
        for max_bytes in [0, 100, 200, 1000] {
            let mut request = fetch_request("ts-plain", &[(0, 0)]);
            let limit = |partition: FetchPartition| partition.with_partition_max_bytes(max_bytes);
            request.topics[0].partitions = request.topics[0].partitions.drain(..).map(limit).collect();
            let response = self.client.call(12, request).await;
            let bytes = response.responses[0].partitions[0]
                .records
                .as_ref()
                .map_or(0, |records| records.len());
            self.say(&format!("fetch at most {max_bytes}"), response.error_code, bytes);
        }
        let opened = self
            .client
            .call(12, fetch_request("ts-plain", &[(0, 99), (1, 0)]).with_session_epoch(0))
            .await;
        let codes: Vec<_> = opened.responses[0]
            .partitions
            .iter()
            .map(|data| data.error_code)
            .collect();
        self.say("session", opened.error_code, (opened.session_id != 0, codes));
        for (epoch, what) in [(1, "next"), (2, "next again"), (9, "wrong epoch")] {
            let request = fetch_request("ts-plain", &[])
                .with_session_id(opened.session_id)
                .with_session_epoch(epoch);
            let mut request = request;
            request.topics.clear();
            let response = self.client.call(12, request).await;
            let partitions: usize = response.responses.iter().map(|topic| topic.partitions.len()).sum();
            self.say(&format!("session {what}"), response.error_code, partitions);
        }
    }

    async fn offsets(&mut self) {
        for timestamp in [-1, -2, -3, -4, 0, 1000, 1001, 1002] {
            let partition = ListOffsetsPartition::default()
                .with_timestamp(timestamp)
                .with_current_leader_epoch(-1);
            let topic = ListOffsetsTopic::default()
                .with_name(topic_name("ts-plain"))
                .with_partitions(vec![partition]);
            let request = ListOffsetsRequest::default()
                .with_replica_id(BrokerId(-1))
                .with_topics(vec![topic]);
            let response = self.client.call(8, request).await;
            let found = &response.topics[0].partitions[0];
            self.say(
                &format!("offset at {timestamp}"),
                found.error_code,
                (found.timestamp, found.offset, found.leader_epoch),
            );
        }
        for epoch in [0, 1, 5] {
            let partition = OffsetForLeaderPartition::default()
                .with_leader_epoch(epoch)
                .with_current_leader_epoch(-1);
            let topic = OffsetForLeaderTopic::default()
                .with_topic(topic_name("ts-plain"))
                .with_partitions(vec![partition]);
            let request = OffsetForLeaderEpochRequest::default()
                .with_replica_id(BrokerId(-1))
                .with_topics(vec![topic]);
            let response = self.client.call(4, request).await;
            let end = &response.topics[0].partitions[0];
            self.say(
                &format!("end of epoch {epoch}"),
                end.error_code,
                (end.leader_epoch, end.end_offset),
            );
        }
    }

    async fn transactions(&mut self) {
        let id = || TransactionalId(text("ts-tx"));
        self.find_coordinator("ts-tx", 1).await;
        let init = InitProducerIdRequest::default()
            .with_transactional_id(Some(id()))
            .with_transaction_timeout_ms(60_000);
        let deadline = Instant::now() + Duration::from_secs(30);
        let started = loop {
            // A real coordinator loads its log first.
            let started = self.client.call(2, init.clone()).await;
            if started.error_code == 0 || Instant::now() > deadline {
                break started;
            }
            sleep(Duration::from_millis(100)).await;
        };
        let (producer_id, epoch) = (started.producer_id, started.producer_epoch);
        self.say("init", started.error_code, ());
        let transactional = |sequence, epoch| {
            let mut batch = recent_batch("tx");
            batch.set_producer(producer_id.0, epoch, sequence);
            batch.set_transactional(true);
            batch.to_bytes()
        };
        for (round, committed) in [(0, true), (1, false)] {
            let topic = AddPartitionsToTxnTopic::default()
                .with_name(topic_name("ts-plain"))
                .with_partitions(vec![1]);
            let add = AddPartitionsToTxnRequest::default()
                .with_v3_and_below_transactional_id(id())
                .with_v3_and_below_producer_id(producer_id)
                .with_v3_and_below_producer_epoch(epoch)
                .with_v3_and_below_topics(vec![topic]);
            let deadline = Instant::now() + Duration::from_secs(20);
            let code = loop {
                // A real coordinator may still be busy with the transaction before.
                let response = self.client.call(3, add.clone()).await;
                let code = response.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code;
                if code != E::ConcurrentTransactions.code() || Instant::now() > deadline {
                    break code;
                }
                sleep(Duration::from_millis(20)).await;
            };
            self.say("add partition", code, ());
            let produced = self
                .client
                .produce_as(9, Some("ts-tx"), "ts-plain", 1, transactional(round, epoch))
                .await;
            self.say("produce in transaction", produced.error_code, produced.base_offset);
            let end = EndTxnRequest::default()
                .with_transactional_id(id())
                .with_producer_id(producer_id)
                .with_producer_epoch(epoch)
                .with_committed(committed);
            let ended = self.client.call(3, end.clone()).await;
            self.say(&format!("end {committed}"), ended.error_code, ());
            let deadline = Instant::now() + Duration::from_secs(20);
            while self.client.fetch("ts-plain", 1, 0).await.last_stable_offset < 2 * i64::from(round) + 2 {
                assert!(Instant::now() < deadline, "no marker after\n{}", self.lines);
                sleep(Duration::from_millis(20)).await;
            }
            let other = self.client.call(3, end.with_committed(!committed)).await;
            self.say(&format!("then {}", !committed), other.error_code, ());
        }
        let response = self
            .client
            .call(12, fetch_request("ts-plain", &[(1, 0)]).with_isolation_level(1))
            .await;
        let data = &response.responses[0].partitions[0];
        let aborted = data
            .aborted_transactions
            .iter()
            .flatten()
            .map(|aborted| aborted.first_offset);
        let answer = (aborted.collect::<Vec<_>>(), data.records.as_ref().map(values));
        self.say("read committed", data.error_code, answer);
        let again = self.client.call(2, init).await;
        self.say("init again", again.error_code, again.producer_epoch - epoch);
        let late = self
            .client
            .produce_as(9, Some("ts-tx"), "ts-plain", 1, transactional(2, epoch))
            .await;
        self.say("fenced produce", late.error_code, late.base_offset);
        let end = EndTxnRequest::default()
            .with_transactional_id(id())
            .with_producer_id(producer_id)
            .with_producer_epoch(epoch);
        for version in [1, 3] {
            let ended = self.client.call(version, end.clone()).await;
            self.say(&format!("fenced end v{version}"), ended.error_code, ());
        }
        let end = end.with_producer_id(ProducerId(producer_id.0 + 1000));
        let ended = self.client.call(3, end).await;
        self.say("end of another's", ended.error_code, ());
    }

    async fn groups(&mut self) {
        let group = || GroupId(text("ts-group"));
        self.find_coordinator("ts-group", 0).await;
        let join = |member_id: &str, protocol: &str| {
            let protocol = JoinGroupRequestProtocol::default()
                .with_name(text(protocol))
                .with_metadata("meta".into());
            JoinGroupRequest::default()
                .with_group_id(group())
                .with_session_timeout_ms(30_000)
                .with_rebalance_timeout_ms(30_000)
                .with_member_id(text(member_id))
                .with_protocol_type(text("connect"))
                .with_protocols(vec![protocol])
        };
        let asked = self.client.call(5, join("", "compatible")).await;
        self.say(
            "join",
            asked.error_code,
            (asked.generation_id, asked.member_id.is_empty()),
        );
        let stranger = self.client.call(5, join("stranger", "compatible")).await;
        self.say("join as stranger", stranger.error_code, stranger.generation_id);
        let joined = self.client.call(5, join(&asked.member_id, "compatible")).await;
        self.say(
            "join with id",
            joined.error_code,
            (joined.generation_id, &joined.protocol_name, joined.members.len()),
        );
        let member_id = joined.member_id.clone();
        let beat = |generation, member_id: &str| {
            HeartbeatRequest::default()
                .with_group_id(group())
                .with_generation_id(generation)
                .with_member_id(text(member_id))
        };
        let commit = |generation, member_id: &str, partition| {
            let partition = OffsetCommitRequestPartition::default()
                .with_partition_index(partition)
                .with_committed_offset(3);
            let topic = OffsetCommitRequestTopic::default()
                .with_name(topic_name("ts-plain"))
                .with_partitions(vec![partition]);
            OffsetCommitRequest::default()
                .with_group_id(group())
                .with_generation_id_or_member_epoch(generation)
                .with_member_id(text(member_id))
                .with_topics(vec![topic])
        };
        let cases = [
            (1, member_id.as_str(), 0),
            (0, &member_id, 0),
            (1, "stranger", 0),
            (-1, "", 0),
            (1, &member_id, 9),
        ];
        for state in ["CompletingRebalance", "Stable"] {
            for (generation, member, partition) in cases {
                let beaten = self.client.call(3, beat(generation, member)).await;
                let committed = self.client.call(7, commit(generation, member, partition)).await;
                let who = if member == member_id.as_str() { "member" } else { member };
                self.say(&format!("{state}: heartbeat {generation} {who}"), beaten.error_code, ());
                let code = committed.topics[0].partitions[0].error_code;
                self.say(&format!("{state}: commit {generation} {who} {partition}"), code, ());
            }
            let described = self
                .client
                .call(5, DescribeGroupsRequest::default().with_groups(vec![group()]))
                .await;
            let described = &described.groups[0];
            let answer = (
                &described.group_state,
                &described.protocol_type,
                &described.protocol_data,
                described.members.len(),
            );
            self.say("describe", described.error_code, answer);
            let sync = SyncGroupRequest::default()
                .with_group_id(group())
                .with_generation_id(1)
                .with_member_id(member_id.clone());
            let synced = self.client.call(4, sync).await;
            self.say("sync", synced.error_code, synced.assignment);
        }
        let delete = DeleteGroupsRequest::default().with_groups_names(vec![group()]);
        let deleted = self.client.call(2, delete.clone()).await;
        self.say("delete", deleted.results[0].error_code, ());
        let leave = LeaveGroupRequest::default()
            .with_group_id(group())
            .with_member_id(member_id.clone());
        let left = self.client.call(2, leave.clone()).await;
        self.say("leave", left.error_code, ());
        let left = self.client.call(2, leave).await;
        self.say("leave again", left.error_code, ());
        for version in [5, 6] {
            let nobody = DescribeGroupsRequest::default().with_groups(vec![group(), GroupId(text("ts-nobody"))]);
            let described = self.client.call(version, nobody).await;
            let mut groups = described.groups;
            groups.sort_by(|one, other| one.group_id.cmp(&other.group_id));
            for group in &groups {
                self.say(
                    &format!("describe v{version}"),
                    group.error_code,
                    (&group.group_state, &group.protocol_type),
                );
            }
        }
        for what in ["delete", "delete again"] {
            let deleted = self.client.call(2, delete.clone()).await;
            self.say(what, deleted.results[0].error_code, ());
        }
    }

    /// A real broker makes its internal topic first, and says so until it is there.
    async fn find_coordinator(&mut self, key: &str, key_type: i8) {
        let request = FindCoordinatorRequest::default()
            .with_key(text(key))
            .with_key_type(key_type);
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.client.call(3, request.clone()).await.error_code != 0 {
            assert!(Instant::now() < deadline, "no coordinator");
            sleep(Duration::from_millis(100)).await;
        }
        let request = OffsetFetchRequest::default()
            .with_group_id(GroupId(text(key)))
            .with_topics(None);
        while key_type == 0 && self.client.call(5, request.clone()).await.error_code != 0 {
            assert!(Instant::now() < deadline, "the coordinator does not load");
            sleep(Duration::from_millis(100)).await;
        }
    }
}
