//! The least rights that the mirror of an `mm2.properties` file needs, on each of its clusters. Pure.
//!
//! Names become literal resources, patterns prefixed ones by what is literal at their beginning: an ACL knows no regular
//! expressions, and so no `topics.exclude` either. A right that another one implies (READ implies DESCRIBE) is left out.

use std::{collections::BTreeMap, fmt};

use config_def::{ConfigErrors, Props, Values, parse_boolean};

use crate::{
    mirror_maker_config::{MirrorConnector, MirrorMakerConfig, SourceAndTarget},
    replication_policy::ReplicationPolicy,
};

/// What a right is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// The cluster itself.
    Cluster,
    /// Topics.
    Topic(Name),
    /// Consumer groups, or the group of the workers.
    Group(Name),
    /// Transactions.
    TransactionalId(Name),
}

/// Which topics, groups or transactions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// All.
    Any,
    /// Those that begin so.
    Prefixed(String),
    /// This one.
    Literal(String),
}

/// What may be done, in the words of `kafka-acls`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "Kafka's words")]
pub enum Operation {
    Read,
    Write,
    Create,
    Describe,
    DescribeConfigs,
    Alter,
    AlterConfigs,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A right that is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeededAcl {
    /// The alias of the cluster.
    pub cluster: String,
    /// On what.
    pub resource: Resource,
    /// To do what.
    pub operation: Operation,
    /// What for, and by which flows.
    pub reason: String,
}

/// The rights that the flows of a file need. `resolve` replaces the variables of a connector's configuration.
pub fn needed_acls(
    config: &MirrorMakerConfig,
    resolve: impl Fn(&Props) -> Result<Props, ConfigErrors>,
) -> Result<Vec<NeededAcl>, ConfigErrors> {
    let mut needs = Needs::default();
    for pair in config.cluster_pairs() {
        let [(source, props), (heartbeat, _), (checkpoint, _)] = {
            let read = |connector: MirrorConnector| {
                let props = resolve(&config.connector_config(&pair, connector))?;
                Ok::<_, ConfigErrors>((connector.config_def().parse(&props)?, props))
            };
            let [source, heartbeat, checkpoint] = MirrorConnector::ALL.map(read);
            [source?, heartbeat?, checkpoint?]
        };
        let policy = ReplicationPolicy::new(source.class("replication.policy.class"), &props);
        let mut flow = FlowNeeds {
            policy: policy.expect("the table lists the classes that there are"),
            needs: &mut needs,
            pair: &pair,
        };
        flow.worker(&config.worker_config(&pair));
        if heartbeat.boolean("emit.heartbeats.enabled") {
            let topic = flow.policy.heartbeats_topic();
            flow.own_topic(&pair.target, topic, &[Operation::Write], "heartbeats are written");
        }
        if source.boolean("enabled") {
            flow.records(&source, &upstream_aliases(config, &pair));
            flow.checkpoints(&source, &checkpoint);
        }
    }
    Ok(needs.least())
}

/// Clusters whose heartbeats come to the source of `pair` by other flows of the file.
fn upstream_aliases(config: &MirrorMakerConfig, pair: &SourceAndTarget) -> Vec<String> {
    let enabled = |other: &SourceAndTarget| {
        let on = config.resolved().get(&format!("{other}.enabled"));
        on.is_some_and(|on| parse_boolean(on))
    };
    let others = config.cluster_pairs().into_iter();
    let others = others.filter(|other| other.target == pair.source && other.source != pair.target && enabled(other));
    others.map(|other| other.source).collect()
}

/// What was found so far, each with its reason and the flows that have it.
#[derive(Default)]
struct Needs(BTreeMap<(String, Resource, Operation), (String, Vec<String>)>);

impl Needs {
    fn add(&mut self, pair: &SourceAndTarget, cluster: &str, resource: Resource, operation: Operation, reason: &str) {
        let key = (cluster.to_owned(), resource, operation);
        let (_, flows) = self.0.entry(key).or_insert_with(|| (reason.to_owned(), Vec::new()));
        let flow = pair.to_string();
        if !flows.contains(&flow) {
            flows.push(flow);
        }
    }

    /// Without what is implied by a right on the same or more.
    fn least(self) -> Vec<NeededAcl> {
        let keys: Vec<_> = self.0.keys().cloned().collect();
        let is_implied = |key: &(String, Resource, Operation)| {
            let (cluster, resource, operation) = key;
            keys.iter().any(|other| {
                other != key && other.0 == *cluster && covers(&other.1, resource) && implies(other.2, *operation)
            })
        };
        let needed = self.0.into_iter().filter(|(key, _)| !is_implied(key));
        let acl = |((cluster, resource, operation), (reason, flows)): (_, (String, Vec<String>))| NeededAcl {
            cluster,
            resource,
            operation,
            reason: format!("{reason} ({})", flows.join(", ")),
        };
        needed.map(acl).collect()
    }
}

/// Whether all of `other` is in `resource`.
fn covers(resource: &Resource, other: &Resource) -> bool {
    let names = |name: &Name, other: &Name| match (name, other) {
        (Name::Any, _) => true,
        (Name::Prefixed(prefix), Name::Prefixed(text) | Name::Literal(text)) => text.starts_with(prefix),
        (name, other) => name == other,
    };
    match (resource, other) {
        (Resource::Cluster, Resource::Cluster) => true,
        (Resource::Topic(name), Resource::Topic(other))
        | (Resource::Group(name), Resource::Group(other))
        | (Resource::TransactionalId(name), Resource::TransactionalId(other)) => names(name, other),
        _ => false,
    }
}

/// Kafka's rules: who may read, write or alter may also describe.
fn implies(operation: Operation, other: Operation) -> bool {
    use Operation::{Alter, AlterConfigs, Describe, DescribeConfigs, Read, Write};
    operation == other
        || matches!(
            (operation, other),
            (Read | Write | Alter, Describe) | (AlterConfigs, DescribeConfigs)
        )
}

struct FlowNeeds<'a> {
    policy: ReplicationPolicy,
    needs: &'a mut Needs,
    pair: &'a SourceAndTarget,
}

impl FlowNeeds<'_> {
    fn add(&mut self, cluster: &str, resource: Resource, operation: Operation, reason: &str) {
        self.needs.add(self.pair, cluster, resource, operation, reason);
    }

    /// A topic that the mirror makes for itself.
    fn own_topic(&mut self, cluster: &str, topic: &str, operations: &[Operation], reason: &str) {
        let topic = Resource::Topic(Name::Literal(topic.to_owned()));
        let create = [Operation::Create];
        for operation in create.iter().chain(operations) {
            self.add(cluster, topic.clone(), *operation, reason);
        }
    }

    /// What the worker of the flow needs, whatever it runs.
    fn worker(&mut self, worker: &Props) {
        let target = self.pair.target.clone();
        let get = |key: &str| worker.get(key).cloned().unwrap_or_default();
        for (key, reason) in [
            ("config.storage.topic", "the worker keeps configurations"),
            ("offset.storage.topic", "the worker keeps source offsets"),
            ("status.storage.topic", "the worker keeps statuses"),
        ] {
            self.own_topic(&target, &get(key), &[Operation::Read, Operation::Write], reason);
        }
        let group = get("group.id");
        let named = Resource::Group(Name::Literal(group.clone()));
        self.add(&target, named, Operation::Read, "nodes of the mirror form a group");
        let exactly_once = get("exactly.once.source.support");
        if exactly_once.eq_ignore_ascii_case("enabled") {
            for id in [
                Name::Literal(format!("connect-cluster-{group}")),
                Name::Prefixed(format!("{group}-")),
            ] {
                let id = Resource::TransactionalId(id);
                self.add(
                    &target,
                    id,
                    Operation::Write,
                    "records and offsets are written in transactions",
                );
            }
        }
    }

    /// `MirrorSourceConnector`.
    fn records(&mut self, values: &Values, upstream: &[String]) {
        use Operation::{Alter, AlterConfigs, Create, Describe, DescribeConfigs, Read, Write};
        let (source, target) = (self.pair.source.clone(), self.pair.target.clone());
        let is_on = |key: &str| values.boolean(key);
        let mut topics = names(values.list("topics"));
        if is_on("heartbeats.replication.enabled") {
            let own = self.policy.heartbeats_topic();
            topics.push(Name::Literal(own.to_owned()));
            let remote = |alias: &String| Name::Literal(self.policy.format_remote_topic(alias, own));
            topics.extend(upstream.iter().map(remote));
        }
        for name in topics {
            let remote = Resource::Topic(self.remote(&name));
            let name = Resource::Topic(name);
            self.add(&source, name.clone(), Read, "records are read");
            self.add(
                &source,
                name,
                DescribeConfigs,
                "remote topics are made with the topics' settings",
            );
            self.add(&target, remote.clone(), Create, "remote topics are made");
            self.add(&target, remote.clone(), Write, "records are written");
            self.add(&target, remote.clone(), Alter, "remote topics get new partitions");
            if is_on("sync.topic.configs.enabled") {
                self.add(&target, remote, AlterConfigs, "settings of topics are synced");
            }
        }
        if is_on("sync.topic.acls.enabled") {
            self.add(&source, Resource::Cluster, Describe, "ACLs are synced: they are listed");
            self.add(&target, Resource::Cluster, Alter, "ACLs are synced: they are created");
        }
        if is_on("emit.offset-syncs.enabled") {
            let (cluster, topic) = self.offset_syncs(values);
            self.own_topic(
                &cluster,
                &topic,
                &[Read, Write],
                "offset syncs are written, and read at a start",
            );
        }
    }

    /// `MirrorCheckpointConnector`.
    fn checkpoints(&mut self, records: &Values, values: &Values) {
        use Operation::{Describe, Read, Write};
        if !values.boolean("emit.checkpoints.enabled") || !records.boolean("emit.offset-syncs.enabled") {
            return;
        }
        let (source, target) = (self.pair.source.clone(), self.pair.target.clone());
        let groups = names(values.list("groups"));
        for group in &groups {
            self.add(
                &source,
                Resource::Group(group.clone()),
                Describe,
                "offsets of groups are translated",
            );
        }
        let (cluster, topic) = self.offset_syncs(values);
        let syncs = Resource::Topic(Name::Literal(topic));
        self.add(&cluster, syncs, Read, "offset syncs are read");
        let topic = self.policy.checkpoints_topic(&source);
        self.own_topic(
            &target,
            &topic,
            &[Read, Write],
            "checkpoints are written, and read at a start",
        );
        if values.boolean("sync.group.offsets.enabled") {
            for group in groups {
                self.add(&target, Resource::Group(group), Read, "offsets of groups are synced");
            }
            for name in names(records.list("topics")) {
                let remote = Resource::Topic(self.remote(&name));
                self.add(&target, remote, Read, "offsets of groups are synced, of these topics");
            }
        }
    }

    /// Where the offset syncs topic is, and what it is called.
    fn offset_syncs(&self, values: &Values) -> (String, String) {
        let (source, target) = (&self.pair.source, &self.pair.target);
        match values.string("offset-syncs.topic.location") {
            "target" => (target.clone(), self.policy.offset_syncs_topic(source)),
            _ => (source.clone(), self.policy.offset_syncs_topic(target)),
        }
    }

    fn remote(&self, name: &Name) -> Name {
        let remote = |text: &str| self.policy.format_remote_topic(&self.pair.source, text);
        match name {
            Name::Literal(text) => Name::Literal(remote(text)),
            Name::Prefixed(text) => Name::Prefixed(remote(text)),
            Name::Any => match remote("") {
                prefix if prefix.is_empty() => Name::Any,
                prefix => Name::Prefixed(prefix),
            },
        }
    }
}

/// What names and patterns come to.
fn names(patterns: &[String]) -> Vec<Name> {
    patterns.iter().map(|pattern| name(pattern)).collect()
}

/// The name that a pattern is, or how all that it matches begins, as far as can be told from its characters.
fn name(pattern: &str) -> Name {
    let mut prefix = String::new();
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        let literal = match character {
            '\\' => match characters.next() {
                Some(escaped) if !escaped.is_alphanumeric() => escaped,
                _ => return prefixed(prefix, pattern),
            },
            // Topics are full of dots, and few who write one mean any character.
            '.' if !matches!(characters.peek(), Some('*' | '+' | '?' | '{')) => '.',
            '.' | '[' | '(' | ')' | '|' | '^' | '$' | '*' | '+' | '?' | '{' => return prefixed(prefix, pattern),
            literal => literal,
        };
        // What may be missing, or come again, is no part of the name.
        if matches!(characters.peek(), Some('?' | '*' | '{')) {
            return prefixed(prefix, pattern);
        }
        if characters.peek() == Some(&'+') {
            prefix.push(literal);
            return prefixed(prefix, pattern);
        }
        prefix.push(literal);
    }
    Name::Literal(prefix)
}

fn prefixed(prefix: String, pattern: &str) -> Name {
    // An alternative may begin with something else.
    match prefix.is_empty() || pattern.contains('|') {
        true => Name::Any,
        false => Name::Prefixed(prefix),
    }
}

#[cfg(test)]
mod tests {
    use config_def::ConfigTransformer;

    use super::*;

    #[test]
    fn a_pattern_is_a_name_or_a_prefix() {
        let literal = |text: &str| Name::Literal(text.to_owned());
        let prefix = |text: &str| Name::Prefixed(text.to_owned());
        for (pattern, expected) in [
            ("orders", literal("orders")),
            ("orders\\.eu", literal("orders.eu")),
            ("orders.eu", literal("orders.eu")),
            (".*", Name::Any),
            ("orders.*", prefix("orders")),
            ("orders\\..*", prefix("orders.")),
            ("orders?", prefix("order")),
            ("orders+", prefix("orders")),
            ("order[sz]", prefix("order")),
            ("orders|payments", Name::Any),
            ("(orders|payments)\\.eu", Name::Any),
            ("t\\d", prefix("t")),
        ] {
            assert_eq!(name(pattern), expected, "{pattern}");
        }
    }

    fn acls(more: &str) -> Vec<String> {
        let text = format!(
            "clusters = A, B\nA.bootstrap.servers = a:1\nB.bootstrap.servers = b:1\nA->B.enabled = true\n\
             B->A.emit.heartbeats.enabled = false\n{more}"
        );
        let props = config_def::properties::parse(text.as_bytes())
            .expect("properties")
            .props();
        let config = MirrorMakerConfig::parse(props, &ConfigTransformer::identity()).expect("a good file");
        let needed = needed_acls(&config, |props| Ok(props.clone())).expect("good settings");
        let line = |acl: &NeededAcl| {
            let resource = match &acl.resource {
                Resource::Cluster => "cluster".to_owned(),
                Resource::Topic(name) => format!("topic {}", shown(name)),
                Resource::Group(name) => format!("group {}", shown(name)),
                Resource::TransactionalId(name) => format!("transaction {}", shown(name)),
            };
            format!("{} {resource} {}", acl.cluster, acl.operation)
        };
        needed.iter().map(line).collect()
    }

    fn shown(name: &Name) -> String {
        match name {
            Name::Any => "*".to_owned(),
            Name::Prefixed(prefix) => format!("{prefix}*"),
            Name::Literal(name) => name.clone(),
        }
    }

    #[test]
    fn a_flow_of_one_topic_needs_little() {
        let few = "A->B.topics = orders\nsync.topic.acls.enabled = false\nemit.checkpoints.enabled = false\n\
                   heartbeats.replication.enabled = false\nemit.offset-syncs.enabled = false\n\
                   sync.topic.configs.enabled = false\nemit.heartbeats.enabled = false\n";
        let expected = [
            "A topic orders Read",
            "A topic orders DescribeConfigs",
            "B topic A.orders Write",
            "B topic A.orders Create",
            "B topic A.orders Alter",
            "B topic mm2-configs.A.internal Read",
            "B topic mm2-configs.A.internal Write",
            "B topic mm2-configs.A.internal Create",
            "B topic mm2-offsets.A.internal Read",
            "B topic mm2-offsets.A.internal Write",
            "B topic mm2-offsets.A.internal Create",
            "B topic mm2-status.A.internal Read",
            "B topic mm2-status.A.internal Write",
            "B topic mm2-status.A.internal Create",
            "B group A-mm2 Read",
        ];
        assert_eq!(acls(few), expected);
    }

    #[test]
    fn what_is_on_by_default_needs_more() {
        let all = acls("A->B.topics = orders.*, payments\nA->B.groups = shop-.*\nsync.group.offsets.enabled = true\n");
        for acl in [
            "A cluster Describe",
            "A topic orders* Read",
            "A topic heartbeats Read",
            "A topic mm2-offset-syncs.B.internal Write",
            "A group shop-* Describe",
            "B cluster Alter",
            "B topic A.orders* AlterConfigs",
            "B topic A.orders* Read",
            "B topic A.payments Create",
            "B topic A.heartbeats Write",
            "B topic heartbeats Create",
            "B topic A.checkpoints.internal Read",
            "B group shop-* Read",
        ] {
            assert!(all.iter().any(|found| found == acl), "{acl} in {all:#?}");
        }
        assert!(
            !all.iter()
                .any(|acl| acl.starts_with("B topic A.") && acl.ends_with("DescribeConfigs"))
        );
        assert!(!all.iter().any(|acl| acl.contains("transaction")));
    }

    #[test]
    fn a_wide_right_leaves_out_the_narrow_ones() {
        let all = acls(
            "replication.policy.class = org.apache.kafka.connect.mirror.IdentityReplicationPolicy\nB.exactly.once.source.support = enabled\n",
        );
        let topics: Vec<&String> = all.iter().filter(|acl| acl.starts_with("B topic")).collect();
        assert!(topics.contains(&&"B topic * Write".to_owned()));
        assert!(!topics.iter().any(|acl| acl.ends_with("internal Write")), "{topics:#?}");
        assert!(topics.iter().any(|acl| acl.ends_with("internal Read")));
        assert!(all.contains(&"B transaction A-mm2-* Write".to_owned()));
        assert!(all.contains(&"A topic * Read".to_owned()));
        assert!(all.contains(&"A topic mm2-offset-syncs.B.internal Write".to_owned()));
    }

    #[test]
    fn heartbeats_alone_need_a_worker_and_their_topic() {
        let back = acls("emit.checkpoints.enabled = false\nB->A.emit.heartbeats.enabled = true\n");
        let at_a: Vec<&String> = back.iter().filter(|acl| acl.starts_with("A ")).collect();
        assert!(at_a.contains(&&"A topic heartbeats Create".to_owned()), "{at_a:#?}");
        assert!(at_a.contains(&&"A group B-mm2 Read".to_owned()));
    }
}
