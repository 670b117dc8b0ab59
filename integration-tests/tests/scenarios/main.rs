//! What a user does with two Kafkas and `heliograph mirror-maker`, and what must come of it.
//!
//! One binary, so that all scenarios share one pair of real brokers. `cargo test -p integration-tests embedded::` needs
//! nothing but Rust; `real::` and `real_only::` need Java 17 and Maven.

mod alerts;
mod authorizer;
mod big;
mod clusters;
mod conformance;
mod consumer_protocol;
mod disk;
mod drill;
mod errors;
mod exactly_once;
mod exactness;
mod fidelity;
mod groups;
mod interop;
mod leftovers;
mod limits;
mod loops;
mod losses;
mod metrics;
mod odd_groups;
mod policies;
mod remote_clusters;
mod rest_security;
mod target_markers;
mod test_client;
mod transactions;
mod transforms;
mod two_ways;
mod verification;
mod walk;
mod workers;

use std::time::Duration;

use integration_tests::{MirrorProperties, Pair, TestClient};

/// Enough for a start, a discovery and a small copy on two busy cores.
const SOON: Duration = Duration::from_secs(60);

/// The flow `<alias>->backup` for these topics.
fn flow(kafka: &Pair, alias: &str, topics: &str) -> MirrorProperties {
    let (source, target) = (kafka.source.bootstrap_servers(), kafka.target.bootstrap_servers());
    MirrorProperties::new((alias, &source), ("backup", &target), topics)
}

/// The source offset that a worker has stored for a partition: that of the last record that is written.
fn stored_offset(
    target: &mut TestClient,
    offsets_topic: &str,
    alias: &str,
    topic: &str,
    partition: i32,
) -> Option<i64> {
    target.partition_count(offsets_topic)?;
    let key = format!(
        "[\"MirrorSourceConnector\",{{\"cluster\":\"{alias}\",\"partition\":{partition},\"topic\":\"{topic}\"}}]"
    );
    let mut records = target.all_records(offsets_topic).into_iter().flatten();
    let stored = records.rfind(|record| record.key.as_deref() == Some(key.as_bytes()))?;
    let value: serde_json::Value = serde_json::from_slice(&stored.value?).expect("offsets are JSON");
    Some(value["offset"].as_i64().expect("an offset is a number"))
}
