//! How partitions are dealt to tasks, and written into their configurations.

use config_def::{ConfigError, Props};
use kafka_wire::TopicPartition;

use super::rate_limits::RATE_KEYS;

const ASSIGNED_PARTITIONS: &str = "task.assigned.partitions";

/// The configuration of each task: the connector's own, the task's partitions and its number. The partitions are dealt
/// round robin to at most `max_tasks` tasks; without partitions there are no tasks.
pub fn task_configs(props: &Props, partitions: &[TopicPartition], max_tasks: usize) -> Vec<Props> {
    let tasks = max_tasks.min(partitions.len());
    (0..tasks)
        .map(|index| {
            let mut config = props.clone();
            // A change of the limits reaches running tasks, and is no reason to start them anew.
            config.retain(|key, _| RATE_KEYS.iter().all(|rate| rate.name != key));
            let assigned: Vec<String> = partitions
                .iter()
                .skip(index)
                .step_by(tasks)
                .map(ToString::to_string)
                .collect();
            config.insert(ASSIGNED_PARTITIONS.to_owned(), assigned.join(","));
            config.insert("task.index".to_owned(), index.to_string());
            config
        })
        .collect()
}

/// Reads partitions back: the number stands after the last `-`, since topics may hold one, too.
pub(super) fn decode(elements: &[String]) -> Result<Vec<TopicPartition>, ConfigError> {
    let partition = |element: &String| {
        let (topic, partition) = element.rsplit_once('-')?;
        let partition: i32 = partition.parse().ok().filter(|number| *number >= 0)?;
        Some(TopicPartition::new(topic, partition))
    };
    elements
        .iter()
        .map(|element| {
            partition(element).ok_or_else(|| {
                ConfigError::invalid(
                    ASSIGNED_PARTITIONS,
                    element,
                    "not a topic, a hyphen and a partition number",
                )
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Task configurations recorded from Kafka 4.3.1's `MirrorSourceConnector`.
    #[test]
    fn partitions_are_dealt_as_kafka_deals_them() {
        let golden: Value =
            serde_json::from_str(include_str!("../../testdata/golden-decisions.json")).expect("valid JSON");
        let vectors = golden["taskConfigs (task.class is added later by the worker)"]
            .as_array()
            .expect("a list");
        let mut checked = 0;
        for vector in vectors
            .iter()
            .filter(|vector| vector.get("known partitions, in order").is_some())
        {
            let names: Vec<String> =
                serde_json::from_value(vector["known partitions, in order"].clone()).expect("a list of texts");
            let partitions = decode(&names).expect("good names");
            let expected: Vec<Props> = serde_json::from_value(vector["taskConfigs"].clone()).expect("a list of maps");
            let mut connector = expected[0].clone();
            connector.remove(ASSIGNED_PARTITIONS);
            connector.remove("task.index");
            let max_tasks = usize::try_from(vector["tasks.max"].as_u64().expect("a number")).expect("small");
            let configs = task_configs(&connector, &partitions, max_tasks);
            assert_eq!(configs, expected, "tasks.max={max_tasks}");
            let decoded = configs
                .iter()
                .map(|config| decode(&config_def::list_elements(&config[ASSIGNED_PARTITIONS])));
            assert_eq!(
                decoded.map(|list| list.expect("our own").len()).sum::<usize>(),
                partitions.len()
            );
            checked += 1;
        }
        assert!(checked >= 4, "{checked}");
    }

    #[test]
    fn tasks_are_the_same_whatever_the_limits() {
        let configs = |rate: &str| {
            let limits = [
                "heliograph.max.bytes.per.second",
                "heliograph.topic.max.bytes.per.second",
            ];
            let mut props: Props = limits.map(|key| (key.to_owned(), rate.to_owned())).into();
            props.insert("name".to_owned(), "c".to_owned());
            task_configs(&props, &[TopicPartition::new("t", 0)], 1)
        };
        assert_eq!(configs("1MB"), configs("2MB"));
        assert_eq!(configs("1MB")[0]["name"], "c");
    }

    #[test]
    fn no_partitions_no_tasks() {
        assert!(task_configs(&Props::new(), &[], 3).is_empty());
    }

    #[test]
    fn a_topic_may_hold_hyphens_and_a_bad_element_is_an_error() {
        let decode = |text: &str| decode(&[text.to_owned()]).map(|list| list[0].clone());
        assert_eq!(decode("t-1-0"), Ok(TopicPartition::new("t-1", 0)));
        assert_eq!(decode("-0"), Ok(TopicPartition::new("", 0)));
        assert!(decode("t").is_err());
        assert!(decode("t-x").is_err());
        assert!(decode("t-").is_err());
    }
}
