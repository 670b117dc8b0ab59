//! The names of a flow's connectors, from the worker's config topic: in dedicated mode they are those of their classes, in
//! a Connect cluster somebody chose them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Flow, OperatorError, whole_topic::read_all};
use crate::{
    client_props::Side,
    mirror_maker_config::{MirrorConnector, SourceAndTarget},
};

/// Names of connectors that belong to a flow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ConnectorNames {
    /// Those that copy.
    pub(super) source: BTreeSet<String>,
    /// All, those that copy too.
    pub(super) all: BTreeSet<String>,
}

impl ConnectorNames {
    /// Asks the target, which is where the worker keeps its topics.
    pub(super) async fn of(flow: &Flow) -> Result<Self, OperatorError> {
        let (client, config) = flow.consumer(&flow.config.checkpoints_consumer);
        let mut connectors = BTreeMap::new();
        let reading = read_all(&client, &config, &flow.config_topic, |record| {
            if let Some((name, class)) = connector(record.key, record.value, &flow.pair) {
                match class {
                    Some(class) => _ = connectors.insert(name, class),
                    None => _ = connectors.remove(&name),
                }
            }
        });
        flow.ask(Side::Target, &flow.config_topic, reading).await?;
        Ok(match connectors.is_empty() {
            true => Self::of_dedicated_mode(),
            false => Self::new(connectors),
        })
    }

    fn new(connectors: BTreeMap<String, MirrorConnector>) -> Self {
        let copies = connectors
            .iter()
            .filter(|(_, class)| **class == MirrorConnector::Source);
        Self {
            source: copies.map(|(name, _)| name.clone()).collect(),
            all: connectors.into_keys().collect(),
        }
    }

    fn of_dedicated_mode() -> Self {
        let names = MirrorConnector::ALL.map(|class| (class.name().to_owned(), class));
        Self::new(names.into())
    }

    /// Whether the task, or the connector itself, belongs to the flow: `mirror-0`, `mirror`.
    pub(super) fn owns(&self, id: &str) -> bool {
        self.all.contains(id) || connector_of(id).is_some_and(|connector| self.all.contains(connector))
    }

    /// Whether it is a task that copies.
    pub(super) fn is_copying(&self, id: &str) -> bool {
        connector_of(id).is_some_and(|connector| self.source.contains(connector))
    }
}

/// The connector of a task's id.
fn connector_of(id: &str) -> Option<&str> {
    let (connector, number) = id.rsplit_once('-')?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then_some(connector)
}

/// A connector of this flow as the config topic has it: its name and class, or no class if it is gone or not of the flow
/// any more.
fn connector(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    pair: &SourceAndTarget,
) -> Option<(String, Option<MirrorConnector>)> {
    let name = std::str::from_utf8(key?).ok()?.strip_prefix("connector-")?.to_owned();
    let class = value.and_then(|value| {
        let value: Value = serde_json::from_slice(value).ok()?;
        let properties = value.get("properties")?;
        let text = |key: &str| properties.get(key).and_then(Value::as_str);
        let class = text("connector.class")?;
        let is_of_flow = text("source.cluster.alias")? == pair.source
            && text("target.cluster.alias").unwrap_or("target") == pair.target;
        MirrorConnector::ALL
            .into_iter()
            .find(|known| is_of_flow && is_class(class, known.name()))
    });
    Some((name, class))
}

/// Kafka takes the full name, the simple one, and that without `Connector`.
fn is_class(written: &str, simple: &str) -> bool {
    let last = written.rsplit('.').next().unwrap_or(written);
    last == simple || Some(last) == simple.strip_suffix("Connector")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connectors_are_known_by_class_and_flow() {
        let pair = SourceAndTarget::new("A", "B");
        let found = |class: &str, source: &str, target: &str| {
            let value = serde_json::json!({"properties": {"connector.class": class, "source.cluster.alias": source,
                "target.cluster.alias": target}});
            let (name, class) = connector(Some(b"connector-to-b"), Some(value.to_string().as_bytes()), &pair)?;
            assert_eq!(name, "to-b");
            class
        };
        let full = "org.apache.kafka.connect.mirror.MirrorSourceConnector";
        for class in [full, "MirrorSourceConnector", "MirrorSource"] {
            assert_eq!(found(class, "A", "B"), Some(MirrorConnector::Source), "{class}");
        }
        assert_eq!(found("MirrorHeartbeat", "A", "B"), Some(MirrorConnector::Heartbeat));
        assert_eq!(found(full, "B", "A"), None);
        assert_eq!(found("FileStreamSource", "A", "B"), None);
        assert_eq!(
            connector(Some(b"connector-x"), None, &pair),
            Some(("x".to_owned(), None))
        );
        assert_eq!(connector(Some(b"task-x-0"), Some(b"{}"), &pair), None);
    }

    #[test]
    fn tasks_belong_to_their_connectors() {
        let names = ConnectorNames::new(BTreeMap::from([
            ("a-1".to_owned(), MirrorConnector::Source),
            ("beats".to_owned(), MirrorConnector::Heartbeat),
        ]));
        assert!(names.owns("a-1") && names.owns("a-1-0") && names.is_copying("a-1-12"));
        assert!(!names.owns("a-2") && !names.owns("a") && !names.owns("other-0"));
        assert!(names.owns("beats-0") && !names.is_copying("beats-0"));
    }
}
