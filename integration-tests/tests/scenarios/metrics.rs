//! What Prometheus would see of a mirror.

use integration_tests::{Heliograph, Pair, Rest, TestRecord, Topic, assert_mirrored, wait_until};
use kafka_wire::Compression;

use crate::{SOON, flow};

integration_tests::scenarios!(metrics_say_what_was_mirrored);

const RECORDS: usize = 250;

fn metrics_say_what_was_mirrored(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    source.create_topic(Topic::new("counted", 2));
    let records: Vec<TestRecord> = (0..RECORDS).map(|at| TestRecord::new("k", format!("v{at}"))).collect();
    source.produce("counted", 0, Compression::None, &records);
    let properties = flow(kafka, "meter", "counted").set("heliograph.metrics.listener", "http://127.0.0.1:0");
    let mut mirror = Heliograph::mirror_maker("metrics", &properties);
    assert_mirrored(&mut source, &mut target, "counted", "meter.counted", SOON);

    let address = wait_until("the metrics listener", SOON, || {
        let log = mirror.process().log();
        let rest = log
            .lines()
            .find_map(|line| line.split_once("the REST server is ready")?.1.split_once("127.0.0.1:"));
        let port: String = rest?.1.chars().take_while(char::is_ascii_digit).collect();
        Some(format!("127.0.0.1:{port}"))
    });
    let page = || {
        let answer = Rest::new(&address).get("/metrics").ok()?;
        assert_eq!(answer.status, 200);
        Some(answer.body.as_str().expect("text").to_owned())
    };
    let of = |topic: &str, partition: usize| {
        format!("{{source=\"meter\",target=\"backup\",topic=\"{topic}\",partition=\"{partition}\"}}")
    };
    let (name, first, second) = (
        "kafka_connect_mirror_mirrorsourceconnector_record_count",
        of("meter.counted", 0),
        of("meter.counted", 1),
    );
    let page = wait_until("every acknowledgement counted", SOON, || {
        page().filter(|page| page.contains(&format!("\n{name}{first} {RECORDS}\n")))
    });
    for line in [
        format!("{name}{second} 0"),
        format!("heliograph_partition_lag_records{first} 0"),
        format!("heliograph_partition_lag_seconds{first} 0"),
        format!("heliograph_partition_records_lost_total{first} 0"),
        format!("kafka_connect_mirror_mirrorsourceconnector_record_age_ms_avg{second} NaN"),
        "kafka_connect_connector_status{flow=\"meter->backup\",connector=\"MirrorSourceConnector\",task=\"0\",status=\"running\"} 1".to_owned(),
        "heliograph_flow_partitions_held_back{source=\"meter\",target=\"backup\"} 0".to_owned(),
    ] {
        assert!(page.lines().any(|written| written == line), "{line} in\n{page}");
    }
    mirror.stop();
}
