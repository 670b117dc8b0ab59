//! One look at both clusters: what is there, what must not be copied, and what the target lacks.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use connect_api::ConnectError;
use kafka_client::{Client, Topics};
use kafka_wire::ErrorCode;

use super::{
    config::MirrorSourceConfig,
    discovery::{Discovered, discover},
    flow::first_of,
    own_config::{CLUSTER_CHANGE_POLICY, LOOP_DETECTION},
    remote_topics::{Creation, RemoteTopics},
    topic_rules::TopicRules,
    topics::{PartitionCounts, Plan},
};

/// What the last look found. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) source: Arc<Discovered>,
    pub(crate) target: Arc<Discovered>,
}

/// What a look has brought.
#[derive(Debug)]
pub(crate) struct Refreshed {
    pub(crate) known: Known,
    /// Topics that would be copied round and round, and are left out.
    pub(crate) looping: BTreeSet<Arc<str>>,
    /// Topics that are left out because they are named like copies of the target's, and are none.
    pub(crate) misnamed: BTreeSet<Arc<str>>,
    /// What could not be created. The rest goes on all the same.
    pub(crate) completed: Result<(), ConnectError>,
}

/// Why a look brought nothing.
#[derive(Debug)]
pub(crate) enum RefreshError {
    /// It may succeed another time.
    Failed(ConnectError),
    /// Another cluster answers where one was known: nothing may be copied meanwhile.
    AnotherCluster(ConnectError),
    /// The flow copies every topic onto itself: only a person can mend that.
    OntoItself(ConnectError),
}

/// Looks at both clusters and creates what the target lacks.
pub(crate) async fn refresh(
    config: &MirrorSourceConfig,
    remote_topics: &RemoteTopics,
    known: &Known,
) -> Result<Refreshed, RefreshError> {
    let mut came_from_target = BTreeMap::new();
    let is_copied = |topic: &str| {
        let is_wanted = config.topic_filter.accepts(topic);
        if let Some(origin) = config.rules.origin_on_target(topic).filter(|_| is_wanted) {
            came_from_target.insert(Arc::from(topic), Arc::from(origin));
        }
        config.rules.replicates(topic, is_wanted)
    };
    let is_remote = |topic: &str| config.rules.is_remote_topic_of_flow(topic);
    let cannot_list = |side: &str| {
        let what = format!("cannot list the topics of the {side}");
        move |error| RefreshError::Failed(ConnectError::caused_by(what, error))
    };
    let source = discover(remote_topics.source(), &known.source.topics, is_copied).await;
    let mut source = source.map_err(cannot_list("source"))?;
    let target = discover(remote_topics.target(), &known.target.topics, is_remote).await;
    let mut target = target.map_err(cannot_list("target"))?;
    if config.own.pauses_at_cluster_change {
        expect_same_cluster("source", &known.source, &source)?;
        expect_same_cluster("target", &known.target, &target)?;
    }
    let is_one_cluster = source.cluster_id.is_some() && source.cluster_id == target.cluster_id;
    let mut looping = BTreeSet::new();
    if config.own.detects_loops {
        if is_one_cluster && config.rules.policy.keeps_names() {
            return Err(RefreshError::OntoItself(onto_itself(config, &source)));
        }
        looping = source
            .topics
            .keys()
            .filter(|topic| goes_round(config, &source.topics, topic, is_one_cluster))
            .cloned()
            .collect();
        source.topics.retain(|topic, _| !looping.contains(topic));
    }
    let misnamed = without_origin(remote_topics.target(), came_from_target).await;
    let completed = complete_target(config, remote_topics, &source.topics, known, &mut target).await;
    let (source, target) = (Arc::new(source), Arc::new(target));
    Ok(Refreshed {
        known: Known { source, target },
        looping,
        misnamed,
        completed,
    })
}

/// The topics whose origin is not on the target. Where nobody can tell, none: it is only said.
async fn without_origin(target: &Client, topics: BTreeMap<Arc<str>, Arc<str>>) -> BTreeSet<Arc<str>> {
    if topics.is_empty() {
        return BTreeSet::new();
    }
    let origins: BTreeSet<Arc<str>> = topics.values().cloned().collect();
    let Ok(metadata) = target
        .refresh_metadata(Topics::Some(origins.into_iter().collect()))
        .await
    else {
        return BTreeSet::new();
    };
    let is_missing = |origin: &Arc<str>| {
        let found = metadata.topics.get(origin);
        found.is_some_and(|found| found.error == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))
    };
    let misnamed = topics.into_iter().filter(|(_, origin)| is_missing(origin));
    misnamed.map(|(topic, _)| topic).collect()
}

/// Asks both clusters who they are: what is known of one must not be done to another.
pub(crate) async fn expect_same_clusters(
    config: &MirrorSourceConfig,
    remote_topics: &RemoteTopics,
    known: &Known,
) -> Result<(), RefreshError> {
    if !config.own.pauses_at_cluster_change {
        return Ok(());
    }
    let sides = [
        ("source", remote_topics.source(), &known.source),
        ("target", remote_topics.target(), &known.target),
    ];
    for (side, client, before) in sides {
        let metadata = client
            .refresh_metadata(Topics::Some(Vec::new()))
            .await
            .map_err(|error| {
                RefreshError::Failed(ConnectError::caused_by(format!("cannot reach the {side}"), error))
            })?;
        let now = Discovered {
            cluster_id: metadata.cluster_id.clone(),
            ..Discovered::default()
        };
        expect_same_cluster(side, before, &now)?;
    }
    Ok(())
}

fn expect_same_cluster(side: &str, before: &Discovered, now: &Discovered) -> Result<(), RefreshError> {
    match (&before.cluster_id, &now.cluster_id) {
        (Some(before), Some(now)) if before != now => {
            Err(RefreshError::AnotherCluster(another_cluster(side, before, now)))
        }
        _ => Ok(()),
    }
}

/// What is said of a cluster that is not the one it was.
pub(crate) fn another_cluster(side: &str, before: &str, now: &str) -> ConnectError {
    ConnectError::new(format!(
        "another cluster answers at {side}.cluster.bootstrap.servers: it was {before} and is {now}. Nothing is copied until \
         the former is back; restart the connector to copy with the new one, or set {CLUSTER_CHANGE_POLICY}=ignore"
    ))
}

fn onto_itself(config: &MirrorSourceConfig, source: &Discovered) -> ConnectError {
    let servers = |client: &kafka_client::ClientConfig| {
        let servers = client.bootstrap_servers.iter().map(ToString::to_string);
        servers.collect::<Vec<_>>().join(",")
    };
    ConnectError::new(format!(
        "source.cluster.bootstrap.servers={} and target.cluster.bootstrap.servers={} are one cluster ({}): with \
         IdentityReplicationPolicy every topic would be copied onto itself without end. Mend the one that is wrong, or take \
         DefaultReplicationPolicy ({LOOP_DETECTION}=false does not look)",
        servers(&config.source_admin),
        servers(&config.target_admin),
        source.cluster_id.as_deref().unwrap_or_default(),
    ))
}

/// Whether copies of `topic` would come back to where it is, as `T.S.topic` or under its own name, and be copied again.
/// Kafka's rule (`TopicRules::replicates`) knows the alias of the target only: it does not see a cluster that has two
/// aliases, nor another deployment that copies back under other aliases (KAFKA-9914).
fn goes_round(config: &MirrorSourceConfig, source: &PartitionCounts, topic: &str, is_one_cluster: bool) -> bool {
    let rules = &config.rules;
    if rules.policy.keeps_names() {
        let is_wanted_back = config.own.reverse_topics.accepts(topic) && !rules.policy.is_heartbeats_topic(topic);
        return is_wanted_back && rules.remote_topic(topic) == topic;
    }
    came_back(rules, source, topic) || (is_one_cluster && rules.policy.is_cycle(topic, &rules.source_alias))
}

/// Whether `topic` is `X.S.t` where `t` is a topic of this source S. Without that `t` the name may be its owner's choice.
fn came_back(rules: &TopicRules, source: &PartitionCounts, topic: &str) -> bool {
    let mut upstream = rules.policy.upstream_topic(topic);
    while let Some(hop) = upstream {
        upstream = rules.policy.upstream_topic(hop);
        let is_ours = rules.policy.topic_source(hop) == Some(&*rules.source_alias);
        if is_ours && upstream.is_some_and(|origin| source.contains_key(origin)) {
            return true;
        }
    }
    false
}

/// Whether the remote topics that were there at the last look are still there, and the same.
pub(crate) async fn remote_topics_are_there(
    config: &MirrorSourceConfig,
    remote_topics: &RemoteTopics,
    known: &Known,
) -> Result<bool, ConnectError> {
    let remotes = known
        .source
        .topics
        .keys()
        .map(|topic| Arc::from(config.rules.remote_topic(topic)));
    let remotes: Vec<Arc<str>> = remotes
        .filter(|remote| known.target.topics.contains_key(remote))
        .collect();
    if remotes.is_empty() {
        return Ok(true);
    }
    let metadata = remote_topics
        .target()
        .refresh_metadata(Topics::Some(remotes.clone()))
        .await;
    let metadata =
        metadata.map_err(|error| ConnectError::caused_by("cannot describe the topics of the target", error))?;
    let is_there = |remote: &Arc<str>| {
        let Some(topic) = metadata.topics.get(remote) else {
            return false;
        };
        let is_another = known
            .target
            .ids
            .get(remote)
            .is_some_and(|id| !topic.id.is_nil() && topic.id.as_u128() != *id);
        topic.error != Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) && !is_another
    };
    Ok(remotes.iter().all(is_there))
}

/// Creates what the target lacks, and notes in `target` what it has then.
async fn complete_target(
    config: &MirrorSourceConfig,
    remote_topics: &RemoteTopics,
    source: &PartitionCounts,
    known: &Known,
    target: &mut Discovered,
) -> Result<(), ConnectError> {
    let flow = config.rules.flow();
    let plan = Plan::new(source, &target.topics, |topic| config.rules.remote_topic(topic));
    if plan.is_empty() {
        return Ok(());
    }
    let mut failures = Vec::new();
    for (missing, result) in remote_topics.create(plan.create).await {
        match result {
            Ok(creation) => {
                let (topic, remote, partitions) = (&missing.topic, &missing.remote, missing.partitions);
                match (creation, known.target.topics.contains_key(remote)) {
                    (Creation::WasThere, _) => tracing::debug!(flow, %topic, %remote, "remote topic was already there"),
                    (Creation::Created, false) => {
                        tracing::info!(flow, %topic, %remote, partitions, "created remote topic")
                    }
                    (Creation::Created, true) => tracing::warn!(
                        flow, %topic, %remote, partitions,
                        "remote topic was deleted on the target and is made again; what was copied before is not copied again"
                    ),
                }
                target.topics.insert(missing.remote, missing.partitions);
            }
            Err(error) => failures.push(error),
        }
    }
    for (growth, result) in remote_topics.grow(plan.grow).await {
        match result {
            Ok(()) => {
                tracing::info!(
                    flow, remote = %growth.remote, from = growth.from, to = growth.to,
                    "added partitions to remote topic"
                );
                target.topics.insert(growth.remote, growth.to);
            }
            Err(error) => failures.push(error),
        }
    }
    first_of(failures)
}
