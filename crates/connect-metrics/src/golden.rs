//! What Kafka's own metrics classes showed after the calls named in `golden-metrics.json`, and what we show after the same.

use std::collections::BTreeMap;

use connect_mirror::{CheckpointKey, MetricKey, MirrorMetrics, PartitionMetrics};
use kafka_wire::TopicPartition;
use serde_json::Value;

use crate::{
    exposition::{Format, Page},
    mirror,
};

const NOW: i64 = 1_700_000_000_000;

/// Attributes by MBean, `kafka-metrics-count` left out: it counts Java's own registry.
fn recorded(section: &str) -> BTreeMap<String, BTreeMap<String, f64>> {
    let golden: Value = serde_json::from_str(include_str!("../testdata/golden-metrics.json")).expect("valid JSON");
    let number = |text: &str| text.rsplit(' ').next().and_then(|number| number.parse().ok());
    let mut beans = BTreeMap::new();
    for bean in golden[section].as_array().expect("a list of MBeans") {
        let name = bean["mbean"].as_str().expect("a name");
        if name.contains("type=kafka-metrics-count") {
            continue;
        }
        let attributes = bean["attributes"].as_object().expect("a map");
        let attributes = attributes.iter().map(|(name, value)| {
            let value = value.as_str().and_then(number).expect("a number");
            (name.clone(), value)
        });
        beans.insert(name.to_owned(), attributes.collect());
    }
    assert!(!beans.is_empty(), "{section}");
    beans
}

/// The series of `connector` on our page, by the MBean and attribute that each stands for.
fn shown(page: &str, connector: &str) -> BTreeMap<String, BTreeMap<String, f64>> {
    let prefix = format!("kafka_connect_mirror_{}_", connector.to_lowercase());
    let mut beans: BTreeMap<String, BTreeMap<String, f64>> = BTreeMap::new();
    for line in page.lines().filter_map(|line| line.strip_prefix(&prefix)) {
        let (attribute, rest) = line.split_once('{').expect("labels");
        let (labels, value) = rest.rsplit_once("} ").expect("a value");
        let bean = format!("kafka.connect.mirror:type={connector},{}", labels.replace('"', ""));
        let value = value.parse().expect("a number");
        beans
            .entry(bean)
            .or_default()
            .insert(attribute.replace('_', "-"), value);
    }
    beans
}

fn page(metrics: &MirrorMetrics, now_ms: i64) -> String {
    let mut page = Page::new(Format::Text);
    mirror::write(&mut page, metrics, now_ms, 1000);
    page.finish()
}

#[track_caller]
fn assert_same(ours: &BTreeMap<String, f64>, kafkas: &BTreeMap<String, f64>) {
    assert_eq!(ours.keys().collect::<Vec<_>>(), kafkas.keys().collect::<Vec<_>>());
    for (attribute, kafkas) in kafkas {
        let ours = ours[attribute];
        let is_same = (ours - kafkas).abs() < 1e-9 || (ours.is_nan() && kafkas.is_nan());
        assert!(is_same, "{attribute}: {ours}, and Kafka's {kafkas}");
    }
}

#[track_caller]
fn assert_page(page: &str, connector: &str, kafkas: &BTreeMap<String, BTreeMap<String, f64>>) {
    let ours = shown(page, connector);
    assert_eq!(ours.keys().collect::<Vec<_>>(), kafkas.keys().collect::<Vec<_>>());
    ours.values()
        .zip(kafkas.values())
        .for_each(|(ours, kafkas)| assert_same(ours, kafkas));
}

fn orders(metrics: &MirrorMetrics, partition: i32) -> PartitionMetrics {
    metrics.register(MetricKey {
        source: "A".into(),
        target: "B".into(),
        task_id: "MirrorSourceConnector-0".into(),
        remote: TopicPartition::new("A.orders", partition),
        source_topic: "orders".into(),
    })
}

#[test]
fn partitions_show_what_kafkas_show() {
    let metrics = MirrorMetrics::default();
    let (first, _second) = (orders(&metrics, 0), orders(&metrics, 1));
    let before = recorded("source legacy, before any record");
    assert_page(&page(&metrics, NOW), "MirrorSourceConnector", &before);
    // The calls of the recording: ages 5 and 7, one record of 100 bytes, latency 9; looked at 3 and 2 ms after its rates.
    first.polled(NOW, 1, 100, NOW - 5, NOW - 7);
    first.acknowledged(NOW + 1, 1, (NOW - 8, NOW - 8), (1, None));
    let after = recorded("source legacy, after");
    assert_page(&page(&metrics, NOW + 3), "MirrorSourceConnector", &after);
}

/// `metric.names.formats=new` changes Java's MBeans, not what they hold.
#[test]
fn the_new_names_have_the_same_attributes() {
    let attributes = |section: &str| -> Vec<Vec<String>> {
        let beans = recorded(section);
        beans.values().map(|bean| bean.keys().cloned().collect()).collect()
    };
    assert_eq!(attributes("source new"), attributes("source legacy, after"));
    assert_eq!(attributes("checkpoint new")[0], attributes(LEGACY_CHECKPOINTS)[0]);
}

const LEGACY_CHECKPOINTS: &str = "checkpoint legacy (g1 recorded 10, g2 recorded 1000)";

/// Java's groups share a sensor in one format, and all but the first are lost in the other (KAFKA-19168). Each of ours has
/// its own: what Java shows of a group that is alone.
#[test]
fn each_group_shows_what_kafka_shows_of_one_alone() {
    let metrics = MirrorMetrics::default();
    for (group, partition, latency) in [("g1", 0, 10), ("g2", 1, 1000)] {
        let key = CheckpointKey {
            task_id: "MirrorCheckpointConnector-0".into(),
            source: "A".into(),
            target: "B".into(),
            group: group.into(),
            remote: TopicPartition::new("A.orders", partition),
        };
        metrics.checkpoint_written(key, NOW, latency);
    }
    let ours = shown(&page(&metrics, NOW), "MirrorCheckpointConnector");
    let (legacy, new) = (recorded(LEGACY_CHECKPOINTS), recorded("checkpoint new"));
    assert_eq!(ours.keys().collect::<Vec<_>>(), legacy.keys().collect::<Vec<_>>());
    let of = |beans: &BTreeMap<String, BTreeMap<String, f64>>, group: &str| {
        let bean = beans.iter().find(|(name, _)| name.contains(&format!("group={group},")));
        bean.expect("the group").1.clone()
    };
    assert_same(&of(&ours, "g1"), &of(&new, "g1"));
    assert_same(&of(&ours, "g2"), &of(&legacy, "g2"));
}
