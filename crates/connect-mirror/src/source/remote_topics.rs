//! Makes the topics of the target what those of the source are: existence, partitions, settings, ACLs.
//!
//! Every item has its own result: one topic that cannot be read or made does not stand in the way of the others.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, atomic::AtomicBool},
};

use connect_api::ConnectError;
use kafka_client::{
    Admin, Client,
    admin::{NewPartitions, NewTopic},
};
use kafka_wire::ErrorCode;

use super::{
    config::MirrorSourceConfig,
    config_sync,
    topics::{MissingPartitions, MissingTopic},
};

/// Topics in one request. Brokers and their policies limit how much one request may create.
const TOPICS_PER_REQUEST: usize = 50;
/// Partitions in one request: Kafka's controller takes fewer than 10,000. A topic that has more gets the others with the
/// next requests.
const PARTITIONS_PER_REQUEST: i32 = 2_000;

/// The two clusters of a flow, and what of one is wanted on the other.
pub(crate) struct RemoteTopics {
    pub(super) config: Arc<MirrorSourceConfig>,
    pub(super) source: Admin,
    pub(super) target: Admin,
    pub(super) acls_are_known_to_be_off: AtomicBool,
    /// What the target does not take.
    pub(super) refused_settings: Mutex<HashSet<RefusedSetting>>,
}

/// Remote topic, name and value of a setting.
pub(super) type RefusedSetting = (Arc<str>, String, Option<String>);

/// Topic settings by name.
type Settings = BTreeMap<String, String>;

type Outcomes<T, R = ()> = Vec<(T, Result<R, ConnectError>)>;

/// How a remote topic that was missing came to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Creation {
    Created,
    /// Somebody was faster, or the broker that was asked what there is has not heard of it yet.
    WasThere,
}

impl RemoteTopics {
    pub(crate) fn new(config: Arc<MirrorSourceConfig>, source: Client, target: Client) -> Self {
        let (source, target) = (Admin::new(source), Admin::new(target));
        Self {
            config,
            source,
            target,
            acls_are_known_to_be_off: AtomicBool::new(false),
            refused_settings: Mutex::default(),
        }
    }

    pub(crate) fn source(&self) -> &Client {
        self.source.client()
    }

    pub(crate) fn target(&self) -> &Client {
        self.target.client()
    }

    /// Creates remote topics with the settings of their sources.
    pub(crate) async fn create(&self, missing: Vec<MissingTopic>) -> Outcomes<MissingTopic, Creation> {
        let mut outcomes = Vec::new();
        for chunk in chunks(&missing, |topic| topic.partitions.min(PARTITIONS_PER_REQUEST)) {
            match self.create_chunk(chunk).await {
                Ok(created) => outcomes.extend(created),
                Err(error) => {
                    let failed = |topic: &MissingTopic| (topic.clone(), Err(cannot_create(topic, error.clone())));
                    outcomes.extend(chunk.iter().map(failed));
                }
            }
        }
        outcomes
    }

    async fn create_chunk(
        &self,
        missing: &[MissingTopic],
    ) -> Result<Outcomes<MissingTopic, Creation>, kafka_client::Error> {
        let names: Vec<_> = missing.iter().map(|topic| topic.topic.clone()).collect();
        let mut described = self.source.describe_topic_configs(&names).await?;
        let (mut outcomes, mut requests, mut asked) = (Vec::new(), Vec::new(), Vec::new());
        for topic in missing {
            match described.remove(&topic.topic).unwrap_or(Ok(Vec::new())) {
                Ok(entries) => {
                    let configs = config_sync::for_creation(&entries, &self.config.config_property_filter);
                    let request = self.new_topic(topic, configs.into_iter().collect());
                    requests.push(request.clone());
                    asked.push((topic, request));
                }
                Err(error) => outcomes.push((topic.clone(), Err(cannot_create(topic, error)))),
            }
        }
        let mut created = self.target.create_topics(requests).await?;
        let mut refused = Settings::new();
        for (topic, request) in asked {
            let result = match created.remove(&topic.remote) {
                Some(Err(error)) if error.code() == Some(ErrorCode::INVALID_CONFIG) => {
                    self.create_with_what_is_taken(topic, request.configs, &mut refused, error)
                        .await
                }
                Some(Err(error)) => Err(error),
                Some(Ok(_)) | None => Ok(()),
            };
            let result = match result {
                Ok(()) => self
                    .grow_in_steps(&topic.remote, PARTITIONS_PER_REQUEST, topic.partitions)
                    .await
                    .map(|()| Creation::Created),
                Err(error) => Err(error),
            };
            let result = match result {
                Ok(creation) => Ok(creation),
                Err(error) if error.code() == Some(ErrorCode::TOPIC_ALREADY_EXISTS) => Ok(Creation::WasThere),
                Err(error) => Err(self.not_created(topic, error)),
            };
            outcomes.push((topic.clone(), result));
        }
        Ok(outcomes)
    }

    fn new_topic(&self, topic: &MissingTopic, configs: Settings) -> NewTopic {
        let partitions = topic.partitions.min(PARTITIONS_PER_REQUEST);
        NewTopic::new(topic.remote.clone(), partitions, self.config.replication_factor).with_configs(configs)
    }

    /// The target refused the settings of `topic` with `error`: finds those that it does not take, one by one, and
    /// creates the topic without them. `refused`: what was found before.
    async fn create_with_what_is_taken(
        &self,
        topic: &MissingTopic,
        mut settings: Settings,
        refused: &mut Settings,
        error: kafka_client::Error,
    ) -> Result<(), kafka_client::Error> {
        let mut left_out = Settings::new();
        for (name, value) in settings.clone() {
            let is_refused = refused.get(&name) == Some(&value) || {
                let alone = self.new_topic(topic, Settings::from([(name.clone(), value.clone())]));
                let tried = self.target.create_or_validate_topics(vec![alone], true).await?;
                match tried.into_values().next() {
                    Some(Err(error)) if error.code() == Some(ErrorCode::INVALID_CONFIG) => true,
                    Some(Err(error)) => return Err(error),
                    Some(Ok(_)) | None => false,
                }
            };
            if is_refused {
                settings.remove(&name);
                refused.insert(name.clone(), value.clone());
                left_out.insert(name, value);
            }
        }
        if left_out.is_empty() {
            return Err(error);
        }
        let created = self.target.create_topics(vec![self.new_topic(topic, settings)]).await?;
        created.into_values().next().unwrap_or(Err(error))?;
        let left_out: Vec<String> = left_out.iter().map(|(name, value)| format!("{name}={value}")).collect();
        tracing::warn!(
            topic = %topic.topic, remote = %topic.remote, left_out = left_out.join(", "),
            "remote topic is created without settings that the target does not take; \
             config.properties.exclude would keep them out from the start"
        );
        Ok(())
    }

    fn not_created(&self, topic: &MissingTopic, error: kafka_client::Error) -> ConnectError {
        if error.code() == Some(ErrorCode::INVALID_REPLICATION_FACTOR) {
            let factor = self.config.replication_factor;
            let advice = format!(
                "remote topic {} cannot be created with replication factor {factor}: \
                 set replication.factor to at most the number of brokers of the target",
                topic.remote
            );
            return ConnectError::caused_by(advice, error);
        }
        if error.code() == Some(ErrorCode::INVALID_CONFIG) {
            let advice = format!(
                "remote topic {} cannot be created with the settings of topic {}: \
                 add the one that the target does not take to config.properties.exclude",
                topic.remote, topic.topic
            );
            return ConnectError::caused_by(advice, error);
        }
        cannot_create(topic, error)
    }

    /// Adds partitions to remote topics.
    pub(crate) async fn grow(&self, missing: Vec<MissingPartitions>) -> Outcomes<MissingPartitions> {
        let cannot_grow = |growth: &MissingPartitions, error| {
            let what = format!("remote topic {} cannot get {} partitions", growth.remote, growth.to);
            ConnectError::caused_by(what, error)
        };
        let is_wide = |growth: &MissingPartitions| growth.to - growth.from > PARTITIONS_PER_REQUEST;
        let (wide, missing): (Vec<_>, Vec<_>) = missing.into_iter().partition(is_wide);
        let mut outcomes = Vec::new();
        for growth in wide {
            let result = self.grow_in_steps(&growth.remote, growth.from, growth.to).await;
            let result = result.map_err(|error| cannot_grow(&growth, error));
            outcomes.push((growth, result));
        }
        for chunk in chunks(&missing, |growth| growth.to - growth.from) {
            let request = |growth: &MissingPartitions| (growth.remote.clone(), NewPartitions::increase_to(growth.to));
            let results = self.target.create_partitions(chunk.iter().map(request).collect()).await;
            for growth in chunk {
                let result = match &results {
                    Ok(results) => results.get(&growth.remote).cloned().unwrap_or(Ok(())),
                    Err(error) => Err(error.clone()),
                };
                outcomes.push((growth.clone(), result.map_err(|error| cannot_grow(growth, error))));
            }
        }
        outcomes
    }

    /// Adds partitions to one topic, as many at a time as a controller takes.
    async fn grow_in_steps(&self, remote: &Arc<str>, from: i32, to: i32) -> Result<(), kafka_client::Error> {
        let mut count = from;
        while count < to {
            count = count.saturating_add(PARTITIONS_PER_REQUEST).min(to);
            let step = vec![(remote.clone(), NewPartitions::increase_to(count))];
            let results = self.target.create_partitions(step).await?;
            results.into_values().try_for_each(|result| result)?;
        }
        Ok(())
    }
}

/// What one request may ask for, and the next, in order.
fn chunks<T>(all: &[T], partitions: impl Fn(&T) -> i32) -> Vec<&[T]> {
    let (mut chunks, mut rest) = (Vec::new(), all);
    while !rest.is_empty() {
        let mut sum = 0_i32;
        let fitting = rest.iter().take(TOPICS_PER_REQUEST).take_while(|item| {
            sum = sum.saturating_add(partitions(item));
            sum <= PARTITIONS_PER_REQUEST
        });
        let (chunk, left) = rest.split_at(fitting.count().max(1));
        chunks.push(chunk);
        rest = left;
    }
    chunks
}

fn cannot_create(topic: &MissingTopic, error: kafka_client::Error) -> ConnectError {
    ConnectError::caused_by(format!("remote topic {} cannot be created", topic.remote), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_asks_for_no_more_than_a_controller_takes() {
        let sizes = |partitions: &[i32]| -> Vec<usize> {
            let chunks = chunks(partitions, |partitions| *partitions);
            chunks.into_iter().map(<[i32]>::len).collect()
        };
        assert_eq!(sizes(&[]), Vec::<usize>::new());
        assert_eq!(sizes(&[1; 120]), [50, 50, 20]);
        assert_eq!(sizes(&[500; 20]), [4, 4, 4, 4, 4]);
        assert_eq!(sizes(&[1, 9_000, 1_500, 500, 1]), [1, 1, 2, 1]);
    }

    async fn clusters() -> (kafka_embedded::Cluster, kafka_embedded::Cluster, RemoteTopics) {
        let cluster = || kafka_embedded::Cluster::builder().auto_create_topics(false).start();
        let (source, target) = (cluster().await.expect("a source"), cluster().await.expect("a target"));
        let props = [
            ("name", "source".to_owned()),
            ("connector.class", "MirrorSourceConnector".to_owned()),
            ("source.cluster.alias", "A".to_owned()),
            ("target.cluster.alias", "B".to_owned()),
            ("source.cluster.bootstrap.servers", source.bootstrap_servers()),
            ("target.cluster.bootstrap.servers", target.bootstrap_servers()),
            ("replication.factor", "1".to_owned()),
        ];
        let props = props.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let config = MirrorSourceConfig::parse(&props).expect("a good configuration");
        let client = |config: &kafka_client::ClientConfig| Client::new(config.clone(), kafka_client::Dialer::tcp());
        let (from, to) = (client(&config.source_admin), client(&config.target_admin));
        let remote_topics = RemoteTopics::new(Arc::new(config), from, to);
        (source, target, remote_topics)
    }

    #[tokio::test]
    async fn a_topic_of_many_partitions_is_made_in_steps() {
        let (source, target, remote_topics) = clusters().await;
        source.create_topic("wide", 1, &[]).expect("a topic at the source");
        let largest = Arc::new(std::sync::atomic::AtomicI32::new(0));
        let seen = largest.clone();
        target.control(kafka_embedded::ApiKey::CreateTopics, move |request| {
            if let kafka_embedded::RequestKind::CreateTopics(request) = request.body {
                let asked = request.topics.iter().map(|topic| topic.num_partitions).sum();
                seen.fetch_max(asked, std::sync::atomic::Ordering::SeqCst);
            }
            kafka_embedded::Control::Pass
        });
        let missing = MissingTopic {
            topic: "wide".into(),
            remote: "A.wide".into(),
            partitions: 4_500,
        };
        let outcome = remote_topics.create(vec![missing]).await.pop().expect("an outcome");
        assert_eq!(outcome.1.expect("it is there"), Creation::Created);
        assert_eq!(target.partition_count("A.wide"), 4_500);
        assert_eq!(
            largest.load(std::sync::atomic::Ordering::SeqCst),
            PARTITIONS_PER_REQUEST
        );
        let requests = target.count(kafka_embedded::ApiKey::CreatePartitions);
        let growth = MissingPartitions {
            remote: "A.wide".into(),
            from: 4_500,
            to: 9_000,
        };
        let outcome = remote_topics.grow(vec![growth]).await.pop().expect("an outcome");
        outcome.1.expect("it has grown");
        assert_eq!(target.partition_count("A.wide"), 9_000);
        assert_eq!(target.count(kafka_embedded::ApiKey::CreatePartitions) - requests, 3);
    }

    #[tokio::test]
    async fn a_topic_that_was_there_is_not_said_to_be_made() {
        let (source, _target, remote_topics) = clusters().await;
        source.create_topic("orders", 1, &[]).expect("a topic at the source");
        for expected in [Creation::Created, Creation::WasThere] {
            let missing = MissingTopic {
                topic: "orders".into(),
                remote: "A.orders".into(),
                partitions: 1,
            };
            let outcome = remote_topics.create(vec![missing]).await.pop().expect("an outcome");
            assert_eq!(outcome.1.expect("it is there"), expected);
        }
    }
}
