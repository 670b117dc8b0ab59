//! Mirrors between older Kafkas and today's, both ways, as far as each of them can: what the gate has no time for.
//!
//! `cargo run -p integration-tests --bin old_kafkas -- 2.1.1 2.8.2 3.3.2 3.9.1`
//!
//! Each direction: topics are created with their settings, records of every shape in all codecs arrive unchanged, offset
//! syncs are written, and a restart goes on exactly where it stopped. Into the old one also exactly once. From a broker that still has them, also topics in
//! the message formats 0 and 1.

mod exactly_once;
mod records;

use std::{process::ExitCode, time::Duration};

use integration_tests::{
    Heliograph, Isolation, MirrorProperties, OldKafka, RealKafka, Stopwatch, TestClient, TestRecord, Topic,
    assert_mirrored, compare, kafka_dist, report, wait_until,
};
use kafka_wire::Compression;
use records::{awkward, plain};

const SOON: Duration = Duration::from_secs(60);

const CODECS: [Compression; 5] = [
    Compression::None,
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

/// The first that lets topic settings be changed one by one, which is what syncing them needs.
const INCREMENTAL_ALTER_CONFIGS: (u32, u32) = (2, 3);
/// The last that stores the message formats 0 and 1.
const OLD_FORMATS: (u32, u32) = (2, 8);

/// Where topic settings can be changed one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AlterConfigs {
    Both,
    Source,
    Target,
}

fn main() -> ExitCode {
    let versions: Vec<String> = std::env::args().skip(1).collect();
    if versions.is_empty() {
        report("which versions? For example: old_kafkas 2.1.1 2.8.2 3.3.2 3.9.1");
        return ExitCode::from(2);
    }
    let Some(dist) = kafka_dist() else {
        return ExitCode::FAILURE;
    };
    let new = RealKafka::start(dist, "new", 1, &[]);
    for version in &versions {
        let old = match OldKafka::start(version, &format!("old-{version}")) {
            Ok(old) => old,
            Err(error) => {
                report(&format!("{version}: {error}"));
                return ExitCode::FAILURE;
            }
        };
        let alias = version.replace('.', "-");
        let direction = |name: &str, body: &mut dyn FnMut()| {
            let watch = Stopwatch::start();
            body();
            report(&format!("{version} {name}: passed in {:?}", watch.elapsed()));
        };
        direction("-> 4.3.1", &mut || from_old(&old, &new, &format!("from-{alias}")));
        direction("<- 4.3.1", &mut || to_old(&new, &old, &format!("to-{alias}")));
        direction("<- 4.3.1, exactly once", &mut || {
            exactly_once::into_old(&new, &old, &format!("once-{alias}"));
        });
        if old.version() <= OLD_FORMATS {
            direction("-> 4.3.1, message formats 0 and 1", &mut || {
                old_formats(&old, &new, &format!("formats-{alias}"));
            });
        }
    }
    ExitCode::SUCCESS
}

fn from_old(old: &OldKafka, new: &RealKafka, alias: &str) {
    let mut target = TestClient::new(&new.bootstrap_servers());
    let properties = MirrorProperties::new(
        (alias, &old.bootstrap_servers()),
        ("today", &new.bootstrap_servers()),
        &format!("{alias}-.*"),
    );
    let alter_configs_on = match old.version() >= INCREMENTAL_ALTER_CONFIGS {
        true => AlterConfigs::Both,
        false => AlterConfigs::Target,
    };
    walk(&mut old.client(), &mut target, alias, &properties, alter_configs_on);
}

fn to_old(new: &RealKafka, old: &OldKafka, alias: &str) {
    let mut source = TestClient::new(&new.bootstrap_servers());
    let properties = MirrorProperties::new(
        (alias, &new.bootstrap_servers()),
        ("then", &old.bootstrap_servers()),
        &format!("{alias}-.*"),
    );
    let alter_configs_on = match old.version() >= INCREMENTAL_ALTER_CONFIGS {
        true => AlterConfigs::Both,
        false => AlterConfigs::Source,
    };
    walk(&mut source, &mut old.client(), alias, &properties, alter_configs_on);
}

fn walk(
    source: &mut TestClient,
    target: &mut TestClient,
    alias: &str,
    properties: &MirrorProperties,
    alter_configs_on: AlterConfigs,
) {
    let topics = CODECS.map(|codec| format!("{alias}-{codec:?}").to_lowercase());
    for (topic, codec) in topics.iter().zip(CODECS) {
        source.create_topic(Topic::new(topic, 2).config("retention.ms", "999999999999"));
        source.produce(topic, 0, codec, &awkward());
        for record in awkward() {
            source.produce(topic, 1, codec, &[record]);
        }
    }
    let mut mirror = Heliograph::mirror_maker(alias, properties);
    for topic in &topics {
        assert_mirrored(source, target, topic, &properties.mirrored(topic), SOON);
    }
    let first = properties.mirrored(&topics[0]);
    assert_eq!(target.configs(&first)["retention.ms"], "999999999999");
    let target_is_too_old = alter_configs_on == AlterConfigs::Source;
    if alter_configs_on == AlterConfigs::Both {
        source.alter_configs(&topics[0], &[("retention.ms", "888888888888")]);
        wait_until("a changed setting", SOON, || {
            (target.configs(&first)["retention.ms"] == "888888888888").then_some(())
        });
    }
    // A broker that cannot change settings one by one is named, and the records flow all the same.
    if target_is_too_old {
        source.alter_configs(&topics[0], &[("retention.ms", "888888888888")]);
        mirror.process().wait_for_line("IncrementalAlterConfigs", SOON);
    }
    source.create_partitions(&topics[1], 3);
    source.produce(&topics[1], 2, Compression::Lz4, &plain(0..50));
    wait_until("another partition", SOON, || {
        (target.partition_count(&properties.mirrored(&topics[1])) == Some(3)).then_some(())
    });
    assert_mirrored(source, target, &topics[1], &properties.mirrored(&topics[1]), SOON);
    mirror.process().wait_for_line("Committed offset", SOON);
    mirror.stop();

    for (topic, codec) in topics.iter().zip(CODECS) {
        source.produce(topic, 1, codec, &plain(50..80));
    }
    let mirror = Heliograph::mirror_maker(alias, properties);
    for topic in &topics {
        assert_mirrored(source, target, topic, &properties.mirrored(topic), SOON);
    }
    let syncs = format!("mm2-offset-syncs.{}.internal", properties.target());
    assert!(
        !source.records(&syncs, 0).is_empty(),
        "there are offset syncs in {syncs}"
    );
    mirror.stop();
}

/// The old broker keeps these topics in old formats, whatever is sent to it.
fn old_formats(old: &OldKafka, new: &RealKafka, alias: &str) {
    let (mut source, mut target) = (old.client(), TestClient::new(&new.bootstrap_servers()));
    let properties = MirrorProperties::new(
        (alias, &old.bootstrap_servers()),
        ("today", &new.bootstrap_servers()),
        &format!("{alias}-.*"),
    );
    // A setting that today's Kafka does not know any more, and says so.
    let properties = properties.flow("config.properties.exclude", "message\\.format\\.version");
    // Zstd and headers need format 2.
    let codecs = &CODECS[..4];
    for (format, name) in [("0.9.0", "v0"), ("0.10.0", "v1")] {
        let topic = format!("{alias}-{name}");
        source.create_topic(Topic::new(&topic, 1).config("message.format.version", format));
        for (codec, start) in codecs.iter().zip((0..).step_by(20)) {
            source.produce(&topic, 0, *codec, &plain(start..start + 20));
        }
    }
    let mirror = Heliograph::mirror_maker(alias, &properties);
    for name in ["v0", "v1"] {
        let copy = properties.mirrored(&format!("{alias}-{name}"));
        let expected = plain(0..80);
        wait_until(&format!("all of {copy}"), SOON, || {
            target.partition_count(&copy)?;
            (target.log_end(&copy, 0, Isolation::ReadUncommitted) >= 80).then_some(())
        });
        let mut found = target.records(&copy, 0);
        if name == "v0" {
            // Format 0 has no timestamps: they are stamped on the way, as Java's producer does.
            let stamped = |record: &TestRecord| record.timestamp > 1_700_000_000_080;
            assert!(found.iter().all(stamped), "{copy} has times");
            for (record, original) in found.iter_mut().zip(&expected) {
                record.timestamp = original.timestamp;
            }
        }
        assert_eq!(compare(&expected, &found).first_difference, None, "{copy}");
        assert_eq!(found.len(), expected.len());
    }
    mirror.stop();
}
