//! What a user does with two Kafkas and `heliograph mirror-maker`, and what must come of it.
//!
//! One binary, so that all scenarios share one pair of real brokers. `cargo test -p integration-tests embedded::` needs
//! nothing but Rust; `real::` and `real_only::` need Java 17 and Maven.

mod authorizer;
mod big;
mod clusters;
mod errors;
mod fidelity;
mod interop;
mod test_client;
mod two_ways;
mod walk;

use std::time::Duration;

use integration_tests::{MirrorProperties, Pair};

/// Enough for a start, a discovery and a small copy on two busy cores.
const SOON: Duration = Duration::from_secs(60);

/// The flow `<alias>->backup` for these topics.
fn flow(kafka: &Pair, alias: &str, topics: &str) -> MirrorProperties {
    let (source, target) = (kafka.source.bootstrap_servers(), kafka.target.bootstrap_servers());
    MirrorProperties::new((alias, &source), ("backup", &target), topics)
}
