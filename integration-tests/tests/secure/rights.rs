//! `heliograph acls`: what it lists is enough for a user who may do nothing else, and of what it lists nothing is too much.

use std::{fs, process::Command, time::Duration};

use integration_tests::{
    Acl, Deadline, Heliograph, KafkaDist, MirrorProperties, Operation, Pattern, RealKafka, Resource, TestClient, Topic,
    assert_mirrored, guarded_listener, kafka_dist, pause, target_dir, wait_until,
};
use kafka_wire::Compression;
use serde_json::Value;

use crate::{SOON, numbered};

/// More than there are ACLs.
const USERS: usize = 48;
/// So many mirrors run at the same time.
const AT_ONCE: usize = 6;

struct Guarded {
    source: (RealKafka, u16),
    target: (RealKafka, u16),
}

impl Guarded {
    fn start(dist: &'static KafkaDist, name: &str) -> Self {
        let users: Vec<String> = (0..USERS).map(|user| format!("u{user}")).collect();
        let start = |side: &str| {
            let (port, properties) = guarded_listener(&users);
            let properties: Vec<_> = properties.iter().map(|(key, value)| (*key, value.as_str())).collect();
            (RealKafka::start(dist, &format!("{name}-{side}"), 1, &properties), port)
        };
        Self {
            source: start("source"),
            target: start("target"),
        }
    }

    fn clients(&self) -> (TestClient, TestClient) {
        let client = |kafka: &RealKafka| TestClient::new(&kafka.bootstrap_servers());
        (client(&self.source.0), client(&self.target.0))
    }

    /// A flow from `alias`, run by `user`, with everything on that needs rights.
    fn flow(&self, alias: &str, user: &str) -> MirrorProperties {
        let servers = |port: u16| format!("127.0.0.1:{port}");
        let (source, target) = (servers(self.source.1), servers(self.target.1));
        let mut properties = MirrorProperties::new((alias, &source), ("backup", &target), &format!("{alias}-topic"))
            .flow("groups", &format!("{alias}-group"))
            .set("sync.group.offsets.enabled", "true")
            .set("sync.group.offsets.interval.seconds", "1")
            .set("refresh.groups.interval.seconds", "1")
            .set("sync.topic.acls.interval.seconds", "1");
        let jaas = format!(
            "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"{user}\" password=\"{user}-secret\";"
        );
        for cluster in [alias, "backup"] {
            properties = properties
                .set(&format!("{cluster}.security.protocol"), "SASL_PLAINTEXT")
                .set(&format!("{cluster}.sasl.mechanism"), "PLAIN")
                .set(&format!("{cluster}.sasl.jaas.config"), &jaas);
        }
        properties
    }
}

/// A topic with records, an ACL, a setting of its own and a group that has read half of it.
fn prepare(source: &mut TestClient, alias: &str) {
    let topic = format!("{alias}-topic");
    source.create_topic(Topic::new(&topic, 1).config("max.message.bytes", "900000"));
    source.produce(&topic, 0, Compression::None, &numbered(0..40));
    source.commit_offsets(&format!("{alias}-group"), &[(&topic, 0, 20)]);
    source.create_acls(&[Acl::allow(Resource::Topic, &topic, Operation::Read).of("User:alice")]);
}

/// What comes only later asks for the rights to change what is there.
fn change(source: &mut TestClient, alias: &str) {
    let topic = format!("{alias}-topic");
    source.alter_configs(&topic, &[("max.message.bytes", "800000")]);
    source.create_partitions(&topic, 2);
    source.produce(&topic, 1, Compression::None, &numbered(40..50));
}

/// What `heliograph acls` answers about a file with these properties.
fn listed(alias: &str, properties: &MirrorProperties, args: &[&str]) -> String {
    let dir = target_dir()
        .join("scenario-scratch")
        .join(format!("acls-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("the target directory can be written");
    let file = dir.join(format!("{alias}.properties"));
    properties.write(&file);
    let file = file.display().to_string();
    let (status, out) = Heliograph::run(&[&["acls", &file], args].concat(), SOON);
    assert!(status.success(), "{out}");
    out
}

/// The words of a command line, as a shell finds them.
fn words(line: &str) -> Vec<String> {
    let printed = Command::new("sh")
        .arg("-c")
        .arg(format!("printf '%s\\n' {line}"))
        .output();
    let printed = printed.expect("there is a shell");
    String::from_utf8(printed.stdout)
        .expect("text")
        .lines()
        .map(str::to_owned)
        .collect()
}

fn denials(log: &str) -> Vec<&str> {
    log.lines()
        .filter(|line| line.contains("AUTHORIZATION_FAILED"))
        .collect()
}

#[test]
fn what_is_listed_is_enough() {
    let Some(dist) = kafka_dist() else { return };
    let guarded = Guarded::start(dist, "rights");
    let (mut source, mut target) = guarded.clients();
    source.create_topic(Topic::new("heartbeats", 1));
    source.produce("heartbeats", 0, Compression::None, &numbered(0..1));
    prepare(&mut source, "enough");
    let properties = guarded.flow("enough", "u0");
    let commands = listed("enough", &properties, &[]);
    assert!(!commands.contains("secret"), "{commands}");
    for line in commands.lines().filter(|line| !line.starts_with('#')) {
        let mut arguments = words(line.strip_prefix("kafka-acls.sh ").expect("a command"));
        // The one in the file needs a login.
        let at = arguments
            .iter()
            .position(|word| word == "--bootstrap-server")
            .expect("where")
            + 1;
        let plain = [&guarded.source, &guarded.target]
            .into_iter()
            .find(|(_, port)| arguments[at].ends_with(&port.to_string()));
        arguments[at] = plain.expect("one of the two").0.bootstrap_servers();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        dist.run_tool("acls", &arguments, "");
    }
    let mut mirror = Heliograph::mirror_maker_logging("rights", &properties, "info,connect_mirror=debug");
    let copy = properties.mirrored("enough-topic");
    assert_mirrored(&mut source, &mut target, "enough-topic", &copy, SOON);
    change(&mut source, "enough");
    assert_mirrored(&mut source, &mut target, "enough-topic", &copy, SOON);
    wait_until("the topic's setting", SOON, || {
        (target.configs(&copy).get("max.message.bytes")? == "800000").then_some(())
    });
    wait_until("the group's offset", SOON, || {
        target
            .committed_offset("enough-group", &copy, 0)
            .filter(|offset| *offset == 20)
    });
    let acl = Acl::allow(Resource::Topic, &copy, Operation::Read).of("User:alice");
    wait_until("the topic's ACL", SOON, || target.acls().contains(&acl).then_some(()));
    wait_until("heartbeats", SOON, || {
        (!target.records("heartbeats", 0).is_empty()).then_some(())
    });
    assert_eq!(target.partition_count("enough.heartbeats"), Some(1));
    let log = mirror.process().log();
    assert!(denials(&log).is_empty(), "{:#?}", denials(&log));
    mirror.stop();
    // And again, when everything is there already.
    let mut mirror = Heliograph::mirror_maker("rights", &properties);
    source.produce("enough-topic", 0, Compression::None, &numbered(50..60));
    assert_mirrored(&mut source, &mut target, "enough-topic", &copy, SOON);
    let log = mirror.process().log();
    assert!(denials(&log).is_empty(), "{:#?}", denials(&log));
    mirror.stop();
}

/// One of the listed rights, as the test client gives it.
struct Right {
    on_source: bool,
    acl: Acl,
    shown: String,
    /// How the log says that it is missing.
    needs: String,
}

fn rights(alias: &str, properties: &MirrorProperties) -> Vec<Right> {
    let listed: Value = serde_json::from_str(&listed(alias, properties, &["--json"])).expect("JSON");
    let right = |acl: &Value| {
        let text = |field: &str| acl[field].as_str().expect("a text").to_owned();
        let resource = match text("resource_type").as_str() {
            "Topic" => Resource::Topic,
            "Group" => Resource::Group,
            "Cluster" => Resource::Cluster,
            other => panic!("{other}"),
        };
        let (operation, needs) = match text("operation").as_str() {
            "Read" => (Operation::Read, "READ"),
            "Write" => (Operation::Write, "WRITE"),
            "Create" => (Operation::Create, "CREATE"),
            "Describe" => (Operation::Describe, "DESCRIBE"),
            "DescribeConfigs" => (Operation::DescribeConfigs, "DESCRIBE_CONFIGS"),
            "Alter" => (Operation::Alter, "ALTER"),
            "AlterConfigs" => (Operation::AlterConfigs, "ALTER_CONFIGS"),
            other => panic!("{other}"),
        };
        let mut made = Acl::allow(resource, &text("name"), operation).of(&text("principal"));
        if text("pattern_type") == "Prefixed" {
            made.pattern = Pattern::Prefixed;
        }
        Right {
            on_source: text("cluster") == alias,
            acl: made,
            shown: format!(
                "{} {} {} {}",
                text("cluster"),
                text("resource_type"),
                text("name"),
                text("operation")
            ),
            needs: needs.to_owned(),
        }
    };
    listed["acls"].as_array().expect("a list").iter().map(right).collect()
}

/// Whether a log says that a right is missing. Others may be said to be too, before a broker has heard of all it was given.
fn names(log: &str, missing: &Right) -> bool {
    let what = match missing.acl.resource {
        Resource::Cluster => "the cluster",
        _ => &missing.acl.name,
    };
    let lines = denials(log);
    let by = |right: &str| {
        let words = [format!("needs {right}"), format!(", or {right} on")];
        lines.iter().any(|line| words.iter().any(|words| line.contains(words)))
    };
    // Who may not read may not describe either, which is asked for first.
    let is_named = by(&missing.needs) || (["READ", "WRITE"].contains(&&*missing.needs) && by("DESCRIBE"));
    is_named && lines.iter().any(|line| line.contains(what) && line.contains("needs "))
}

/// Without any one of the rights something does not work, and the log says which right is missing on what.
#[test]
fn nothing_that_is_listed_is_too_much() {
    let Some(dist) = kafka_dist() else { return };
    let guarded = Guarded::start(dist, "too-much");
    let (mut source, mut target) = guarded.clients();
    source.create_topic(Topic::new("heartbeats", 1));
    source.produce("heartbeats", 0, Compression::None, &numbered(0..1));
    let count = rights("r1", &guarded.flow("r1", "u1")).len();
    assert!((20..USERS).contains(&count), "{count}");
    let mut unnamed = Vec::new();
    for chunk in (1..=count).collect::<Vec<_>>().chunks(AT_ONCE) {
        let mut running = Vec::new();
        for &number in chunk {
            let (alias, user) = (format!("r{number}"), format!("u{number}"));
            let properties = guarded.flow(&alias, &user);
            let mut rights = rights(&alias, &properties);
            let missing = rights.remove(number - 1);
            // What may not be seen is not there, and nobody is refused anything.
            let hides = missing.on_source
                && match missing.acl.resource {
                    Resource::Topic => missing.needs == "READ" && !missing.acl.name.contains("offset-syncs"),
                    resource => resource == Resource::Group,
                };
            let (name, needs) = (missing.acl.name.as_str(), missing.needs.as_str());
            // Topics that the mirrors share were made by the first of them.
            let is_there = needs == "CREATE" && !name.contains(&alias);
            // The copy of the heartbeats never changes, there is nothing to be read of checkpoints at a first start, and who
            // may read a topic at the source is given that right on the copy by the sync of ACLs.
            let comes_later = name.ends_with(".heartbeats") && needs.starts_with("ALTER")
                || name.ends_with(".checkpoints.internal") && needs == "READ"
                || name.ends_with("-topic") && needs == "READ";
            if hides || is_there || comes_later {
                continue;
            }
            prepare(&mut source, &alias);
            let of = |on_source: bool| -> Vec<Acl> {
                let side = rights.iter().filter(|right| right.on_source == on_source);
                side.map(|right| right.acl.clone()).collect()
            };
            source.create_acls(&of(true));
            target.create_acls(&of(false));
            running.push((
                alias.clone(),
                missing,
                Heliograph::mirror_maker(&alias, &properties),
                false,
            ));
        }
        let deadline = Deadline::after(2 * SOON);
        while running.iter().any(|(.., is_named)| !is_named) && !deadline.passed() {
            for (alias, missing, mirror, is_named) in running.iter_mut().filter(|(.., is_named)| !is_named) {
                if target.partition_count(&format!("{alias}.{alias}-topic")) == Some(1)
                    && source.partition_count(&format!("{alias}-topic")) == Some(1)
                {
                    change(&mut source, alias);
                }
                *is_named = names(&mirror.process().log(), missing);
            }
            pause(Duration::from_millis(100));
        }
        for (_, missing, mut mirror, is_named) in running {
            if !is_named {
                let log = mirror.process().log();
                unnamed.push((missing.shown, denials(&log).first().map(|line| (*line).to_owned())));
            }
            // One that cannot join its group has ended by itself.
            mirror.kill();
        }
    }
    assert!(unnamed.is_empty(), "{unnamed:#?}");
}
