//! What a person is told when something is wrong: what, where, why, what to do.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    thread,
    time::Duration,
};

use integration_tests::{Heliograph, MirrorProperties, Pair, TestRecord, Topic, assert_mirrored, pause, target_dir};
use kafka_wire::Compression;

use crate::{SOON, flow};

integration_tests::scenarios!(
    a_misspelt_key_is_named_with_the_nearest_one,
    a_replication_factor_that_the_target_cannot_give_is_named,
    a_replication_factor_of_the_workers_topics_that_the_target_cannot_give_is_named,
);

/// Nobody listens there: the port is reserved.
const NOBODY: &str = "127.0.0.1:1";

#[test]
fn an_unparsable_file_is_refused_with_the_line() {
    let file = target_dir().join("unparsable.properties");
    fs::write(&file, "clusters = a, b\n# fine\na.bootstrap.servers = \\u00zz\n")
        .expect("the target directory can be written");
    let (status, output) = Heliograph::run(&["mirror-maker", file.to_str().expect("a plain name")], SOON);
    assert_eq!(status.code(), Some(2), "{output}");
    assert!(
        output.contains("unparsable.properties") && output.contains("line 3"),
        "{output}"
    );
}

#[test]
fn a_missing_file_is_refused_with_its_name() {
    let (status, output) = Heliograph::run(&["mirror-maker", "no-such-file.properties"], SOON);
    assert_eq!(status.code(), Some(2), "{output}");
    assert!(output.contains("no-such-file.properties"), "{output}");
}

#[test]
fn a_file_without_clusters_is_refused_with_the_key() {
    let file = target_dir().join("no-clusters.properties");
    fs::write(&file, "a.bootstrap.servers = 127.0.0.1:9092\n").expect("the target directory can be written");
    let (status, output) = Heliograph::run(&["mirror-maker", file.to_str().expect("a plain name")], SOON);
    assert_eq!(status.code(), Some(2), "{output}");
    assert!(
        output.contains("\"clusters\"") || output.contains("`clusters`"),
        "{output}"
    );
}

#[test]
fn an_unreachable_target_is_named_with_its_address() {
    let properties = MirrorProperties::new(("here", NOBODY), ("there", NOBODY), "orders");
    let mut mirror = Heliograph::mirror_maker("unreachable", &properties);
    let line = mirror.process().wait_for_line(NOBODY, SOON);
    assert!(line.contains("refused"), "the reason is in the same line: {line}");
    // It goes on trying, many times a second, and does not say so each time.
    pause(Duration::from_secs(3));
    assert!(mirror.process().is_running());
    let said = mirror.process().log().matches(NOBODY).count();
    assert!(said <= 5, "said {said} times in three seconds");
}

#[test]
fn lines_for_programs_are_json() {
    let properties = MirrorProperties::new(("here", NOBODY), ("there", NOBODY), "orders").flow("topcis", "x");
    let mut mirror = Heliograph::mirror_maker_with("json", &properties, &["--log-format", "json"]);
    mirror.process().wait_for_line("refused", SOON);
    let log = mirror.process().log();
    let lines = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")));
    let lines: Vec<serde_json::Value> = lines.collect();
    let misspelt = lines.iter().find(|line| line.to_string().contains("topcis"));
    let misspelt = misspelt.expect("a misspelt key is a warning");
    assert_eq!(misspelt["level"], "WARN");
    assert!(
        misspelt["line"].is_u64() && misspelt["timestamp"].is_string(),
        "{misspelt}"
    );
}

#[test]
fn a_host_that_does_not_exist_is_named() {
    let nowhere = "no-such-host.invalid:9092";
    let properties = MirrorProperties::new(("here", nowhere), ("there", nowhere), "orders");
    let mut mirror = Heliograph::mirror_maker("nowhere", &properties);
    let line = mirror.process().wait_for_line("no-such-host.invalid", SOON);
    assert!(line.contains("cannot be resolved"), "{line}");
}

#[test]
fn a_port_that_speaks_http_is_recognised() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    thread::spawn(move || {
        // Until the test run ends.
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut request = [0; 4];
            let _ = stream.read_exact(&mut request);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    let properties = MirrorProperties::new(("here", &address), ("there", &address), "orders");
    let mut mirror = Heliograph::mirror_maker("http", &properties);
    let line = mirror.process().wait_for_line("HTTP", SOON);
    assert!(line.contains(&address), "{line}");
}

fn a_misspelt_key_is_named_with_the_nearest_one(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = flow(kafka, "misspelt", "misspelt-topic").flow("topcis.exclude", "nothing");
    source.create_topic(Topic::new("misspelt-topic", 1));
    source.produce("misspelt-topic", 0, Compression::None, &[TestRecord::new("k", "v")]);
    let mut mirror = Heliograph::mirror_maker("misspelt", &properties);
    let line = mirror.process().wait_for_line("topcis.exclude", SOON);
    assert!(line.contains("topics.exclude"), "{line}");
    // A warning, and no more than that.
    assert_mirrored(
        &mut source,
        &mut target,
        "misspelt-topic",
        &properties.mirrored("misspelt-topic"),
        SOON,
    );
    mirror.stop();
}

fn a_replication_factor_that_the_target_cannot_give_is_named(kafka: &mut Pair) {
    let mut source = kafka.source.client();
    let properties = flow(kafka, "factor", "factor-topic").set("replication.factor", "3");
    source.create_topic(Topic::new("factor-topic", 1));
    let mut mirror = Heliograph::mirror_maker("factor", &properties);
    let says = ["INVALID_REPLICATION_FACTOR", "factor.factor-topic", "3"];
    mirror.process().wait_for_line_with(&says, SOON);
    mirror.stop();
}

fn a_replication_factor_of_the_workers_topics_that_the_target_cannot_give_is_named(kafka: &mut Pair) {
    let properties = flow(kafka, "workers", "nothing-at-all").set("offset.storage.replication.factor", "3");
    let mut mirror = Heliograph::mirror_maker("workers", &properties);
    let says = [
        "offset.storage.replication.factor",
        &properties.offsets_topic(),
        "3",
        "1",
    ];
    mirror.process().wait_for_line_with(&says, SOON);
}
