//! How consumer groups are dealt to tasks, and written into their configurations.

use config_def::Props;

/// The configuration of each task: the connector's own, the task's groups and its number. Groups stay together in their
/// order, as even as can be, the larger shares first (`ConnectorUtils.groupPartitions`); without groups there are no
/// tasks.
pub fn task_configs(props: &Props, groups: &[String], max_tasks: usize) -> Vec<Props> {
    let tasks = max_tasks.min(groups.len());
    let mut rest = groups;
    (0..tasks)
        .map(|index| {
            let share = rest.len().div_ceil(tasks - index);
            let (assigned, left) = rest.split_at(share);
            rest = left;
            let mut config = props.clone();
            config.insert("task.assigned.groups".to_owned(), assigned.join(","));
            config.insert("task.index".to_owned(), index.to_string());
            config
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Task configurations recorded from Kafka 4.3.1's `MirrorCheckpointConnector`.
    #[test]
    fn groups_are_dealt_as_kafka_deals_them() {
        let golden: Value =
            serde_json::from_str(include_str!("../../testdata/golden-decisions.json")).expect("valid JSON");
        let vectors = golden["taskConfigs (task.class is added later by the worker)"]
            .as_array()
            .expect("a list");
        let mut checked = 0;
        for vector in vectors
            .iter()
            .filter(|vector| vector.get("known groups, in order").is_some())
        {
            let groups: Vec<String> =
                serde_json::from_value(vector["known groups, in order"].clone()).expect("a list of texts");
            let expected: Vec<Props> = serde_json::from_value(vector["taskConfigs"].clone()).expect("a list of maps");
            let mut connector = expected[0].clone();
            connector.remove("task.assigned.groups");
            connector.remove("task.index");
            let max_tasks = usize::try_from(vector["tasks.max"].as_u64().expect("a number")).expect("small");
            assert_eq!(
                task_configs(&connector, &groups, max_tasks),
                expected,
                "tasks.max={max_tasks}"
            );
            checked += 1;
        }
        assert!(checked >= 4, "{checked}");
        assert!(task_configs(&Props::new(), &[], 3).is_empty());
    }
}
