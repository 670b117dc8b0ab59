//! MirrorHeartbeat on an embedded Kafka, run by a worker in miniature.

mod support;

use connect_api::{SourcePartition, SourceValue};
use connect_mirror::{Clock, MirrorEnvironment, heartbeat::MirrorHeartbeatConnector, records::Heartbeat};
use kafka_client::{Client, ClientConfig};
use kafka_embedded::Cluster;

use support::{Offsets, TestWorker, dialer, eventually, props};

const NOW: i64 = 1_700_000_000_000;

#[tokio::test]
async fn heartbeats_arrive_in_their_compacted_topic() {
    let target = Cluster::builder().auto_create_topics(false).start().await.unwrap();
    let environment = MirrorEnvironment {
        clock: Clock::from_fn(|| NOW),
        ..MirrorEnvironment::new(dialer())
    };
    let connector_props = props(&[
        ("name", "MirrorHeartbeatConnector"),
        (
            "connector.class",
            "org.apache.kafka.connect.mirror.MirrorHeartbeatConnector",
        ),
        ("enabled", "false"), // which does not concern heartbeats
        ("source.cluster.alias", "A"),
        ("target.cluster.alias", "B"),
        ("source.cluster.bootstrap.servers", "127.0.0.1:1"),
        ("target.cluster.bootstrap.servers", &target.bootstrap_servers()),
        ("emit.heartbeats.interval.seconds", "1"),
        ("heartbeats.topic.replication.factor", "1"),
    ]);
    let config = ClientConfig::parse(&props(&[("bootstrap.servers", &target.bootstrap_servers())])).unwrap();
    let client = Client::new(config, dialer());
    let connector = Box::new(MirrorHeartbeatConnector::new(environment));
    let worker = TestWorker::start(connector, connector_props, client, Offsets::default());

    let records = eventually("two heartbeats", || async {
        target
            .records("heartbeats", 0)
            .ok()
            .filter(|records| records.len() >= 2)
    })
    .await;
    let heartbeat = Heartbeat::decode(records[0].key.as_deref(), records[0].value.as_deref()).unwrap();
    assert_eq!(
        heartbeat.to_string(),
        "Heartbeat{sourceClusterAlias=A, targetClusterAlias=B, timestamp=1700000000000}"
    );
    assert_eq!(records[0].timestamp, NOW);
    assert!(records[0].headers.is_empty());
    assert_eq!(
        target.topic_config("heartbeats", "cleanup.policy").as_deref(),
        Some("compact")
    );

    let offsets = worker.stop().await;
    let alias = |name: &str| SourceValue::String(name.into());
    let key = SourcePartition(vec![
        ("sourceClusterAlias", alias("A")),
        ("targetClusterAlias", alias("B")),
    ]);
    assert_eq!(offsets.0.lock().unwrap()[&key], 0);
}
