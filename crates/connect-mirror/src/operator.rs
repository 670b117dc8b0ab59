//! What operators do with a flow from outside: move groups to the other cluster and back, and compare the clusters.
//!
//! Everything here reads; only [`apply`] writes, and nothing but offsets of groups that nobody uses. Start reading at
//! [`Flow`].

mod apply;
mod comparison;
mod connectors;
mod destination;
mod failover;
mod flow;
mod known_syncs;
mod leftovers;
mod plan;
mod record_stream;
mod status;
mod switchback;
mod verify;
mod whole_topic;

use std::time::Duration;

use kafka_client::Error;

pub use self::{
    apply::{Applied, apply},
    comparison::{Counts, Difference},
    failover::plan_failover,
    flow::Flow,
    leftovers::{Leftover, LeftoverKind, RunningFlows, leftovers},
    plan::{Blocked, GroupPlan, PartitionPlan, Plan, Precision, Step},
    status::{FlowStatus, PartitionStatus, TaskStatus, flow_status},
    switchback::plan_switchback,
    verify::{From, PartitionReport, Verifier},
};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// A cluster does not answer, or refuses.
    #[error("cannot read {what} of cluster {alias}")]
    Cluster {
        /// What was read.
        what: String,
        /// The cluster.
        alias: String,
        /// Why.
        #[source]
        source: Error,
    },
    /// It took too long.
    #[error("reading {what} of cluster {alias} took longer than {timeout:?}")]
    TimedOut {
        /// What was read.
        what: String,
        /// The cluster.
        alias: String,
        /// How long it may take.
        timeout: Duration,
    },
}
