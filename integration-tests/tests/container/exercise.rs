//! The exercise: its compose file with our image, its commands as they stand, and what it says that they show.
//!
//! The brokers are real, as processes; the UI is left out. All are in one network of their own, so the ports are those of the
//! compose file. `docker` is a script that does the same to these processes.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use integration_tests::{KafkaDist, Process, kafka_dist, output, remove_dir, scratch_dir, wait_until};
use serde_json::Value;

use crate::{
    can_enter,
    image::{Container, Image, Network, Options, repository},
    manifest,
};

const SOON: Duration = Duration::from_secs(90);
const ORDERS: [&str; 7] = [
    "order-1", "order-2", "order-3", "order-4", "order-5", "order-6", "order-7",
];

/// A block of the exercise: what is typed at the shell, and what is typed at the program then.
#[derive(Debug)]
struct Block {
    commands: String,
    input: String,
}

/// The blocks under each heading.
fn tasks() -> BTreeMap<String, Vec<Block>> {
    let text = include_str!("../../testdata/exercise/commands.md");
    let mut tasks: BTreeMap<String, Vec<Block>> = BTreeMap::new();
    for section in text.split("\n### ").skip(1) {
        let (title, rest) = section.split_once('\n').expect("a title");
        let name = title.split(':').next().expect("a name");
        let mut blocks: Vec<Block> = Vec::new();
        // Between two fences is a block; its first line says what it is.
        for block in rest.split("```").skip(1).step_by(2) {
            match block.strip_prefix("bash\n") {
                Some(commands) => blocks.push(Block {
                    commands: commands.to_owned(),
                    input: String::new(),
                }),
                None => blocks.last_mut().expect("something reads it").input = block.trim_start().to_owned(),
            }
        }
        tasks.insert(name.to_owned(), blocks);
    }
    tasks
}

/// What `docker compose` would look after.
struct Compose {
    dist: &'static KafkaDist,
    services: Value,
    dir: PathBuf,
    network: Network,
    image: Image,
    brokers: BTreeMap<String, Process>,
    mirror: Option<Container>,
}

impl Compose {
    fn new(dist: &'static KafkaDist) -> Self {
        let documents = manifest::read(&repository().join("docker/docker-compose.yml"));
        let image = Image::build("exercise-image");
        image.write("etc/hosts", "127.0.0.1 localhost kafka-source kafka-destination\n");
        Self {
            dist,
            services: documents[0]["services"].clone(),
            dir: scratch_dir("exercise"),
            network: Network::new("exercise"),
            image,
            brokers: BTreeMap::new(),
            mirror: None,
        }
    }

    fn up(&mut self) {
        for name in ["kafka-source", "kafka-destination"] {
            self.format(name);
            self.start(name);
        }
        let service = &self.services["mirrormaker2"];
        assert_eq!(service["image"], "heliograph");
        let [volume] = &service["volumes"].as_array().expect("volumes")[..] else {
            panic!("one volume")
        };
        let (from, to) = volume
            .as_str()
            .and_then(|volume| volume.split_once(':'))
            .expect("from:to");
        let text = fs::read_to_string(repository().join("docker").join(from)).expect("it lies beside the compose file");
        self.image.write(to.trim_end_matches(":ro"), &text);
        let command: Vec<&str> = service["command"].as_str().expect("a command").split(' ').collect();
        let mut options = Options::default().command(&command);
        for (name, value) in service["environment"].as_object().expect("variables") {
            options = options.env(name, value.as_str().expect("text"));
        }
        let mirror = self.image.start(&self.network, "exercise-mirrormaker2", &options);
        self.write_docker(&mirror);
        self.mirror = Some(mirror);
    }

    /// As the image of Apache Kafka makes settings of its environment.
    fn format(&self, name: &str) {
        let dir = self.dir.join(name);
        fs::create_dir_all(&dir).expect("the scratch directory can be written");
        let environment = self.services[name]["environment"].as_object().expect("variables");
        let settings = environment.iter().filter_map(|(name, value)| {
            let key = name.strip_prefix("KAFKA_")?.to_lowercase().replace('_', ".");
            Some(format!("{key}={}\n", value.to_string().trim_matches('"')))
        });
        let text: String = settings.collect::<String>() + &format!("log.dirs={}\n", dir.join("data").display());
        let file = dir.join("server.properties");
        fs::write(&file, text).expect("the scratch directory can be written");
        let cluster = environment["CLUSTER_ID"].as_str().expect("text");
        let file = file.to_str().expect("a plain name");
        self.dist
            .run_tool("storage", &["format", "-t", cluster, "-c", file], "");
    }

    fn start(&mut self, name: &str) {
        let mut command = self.dist.java(384);
        command
            .arg("kafka.Kafka")
            .arg(self.dir.join(name).join("server.properties"));
        let mut command = self.network.inside(&command);
        let mut broker = Process::spawn(&format!("exercise-{name}"), &mut command, Some(&self.dir));
        let port = self.services[name]["ports"][0]
            .as_str()
            .and_then(|ports| ports.split(':').next())
            .expect("a port");
        let mut probe = Command::new("bash");
        probe.args(["-c", &format!("exec 3<>/dev/tcp/127.0.0.1/{port}")]);
        let probe = self.network.inside(&probe);
        wait_until(&format!("{name} to listen"), SOON, || {
            assert!(broker.is_running(), "{name} ended:\n{}", broker.log());
            let mut again = Command::new(probe.get_program());
            let (status, ..) = output(again.args(probe.get_args()), "", SOON);
            status.success().then_some(())
        });
        self.brokers.insert(name.to_owned(), broker);
    }

    fn stop(&mut self, name: &str) {
        let mut broker = self.brokers.remove(name).expect("it runs");
        broker.signal("TERM");
        broker.wait_for_exit(SOON);
    }

    fn down(mut self) {
        let mut mirror = self.mirror.take().expect("it is up");
        assert_eq!(mirror.stop(), Some(0), "{}", mirror.process.log());
        drop(mirror);
        self.brokers.clear();
        remove_dir(&self.dir);
    }

    /// The script that stands in for `docker exec`. Consumers that a person would end with Ctrl-C end after a while.
    fn write_docker(&self, mirror: &Container) {
        let quote = |command: &Command| {
            let words = std::iter::once(command.get_program()).chain(command.get_args());
            let words = words.map(|word| format!("'{}'", word.to_str().expect("plain words")));
            words.collect::<Vec<_>>().join(" ")
        };
        let tools = [
            "topics",
            "console-producer",
            "console-consumer",
            "consumer-groups",
            "get-offsets",
        ];
        let mut cases = String::new();
        for tool in tools {
            let command = quote(&self.network.inside(&self.dist.tool(tool)));
            let more = if tool == "console-consumer" {
                " --timeout-ms 15000"
            } else {
                ""
            };
            cases.push_str(&format!("  kafka-{tool}) exec {command} \"$@\"{more} ;;\n"));
        }
        let into = quote(&self.image.command_in(mirror));
        let script = format!(
            r#"#!/bin/bash
# docker exec [-it] CONTAINER COMMAND...
shift
[ "$1" != -it ] || shift
container=$1
shift
if [ "$container" = mirrormaker2 ]; then
    exec {into} "$@"
fi
tool=$(basename "$1" .sh)
shift
# Kafka 4 has no kafka.tools.GetOffsetShell and no --broker-list any more; this is what became of them.
if [ "$tool" = kafka-run-class ] && [ "$1" = kafka.tools.GetOffsetShell ]; then
    tool=kafka-get-offsets
    shift
    set -- "${{@/#--broker-list/--bootstrap-server}}"
fi
export KAFKA_LOG_LEVEL=ERROR
case $tool in
{cases}esac
echo "docker: no $tool" >&2
exit 127
"#
        );
        let file = self.dir.join("docker");
        fs::write(&file, script).expect("the scratch directory can be written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }

    /// Runs the commands of a block where the compose file lies; gives what is seen.
    fn type_in(&self, block: &Block) -> String {
        type_in(&self.dir, block)
    }

    /// Until it shows all of this: the exercise says how long to wait, and machines differ.
    fn until_shown(&self, block: &Block, expected: &[&str]) -> String {
        wait_until(&format!("{expected:?} from {}", block.commands), SOON, || {
            let shown = self.type_in(block);
            expected.iter().all(|part| shown.contains(part)).then_some(shown)
        })
    }
}

fn type_in(docker: &Path, block: &Block) -> String {
    let path = format!("{}:{}", docker.display(), std::env::var("PATH").expect("a path"));
    let mut command = Command::new("bash");
    command.args(["-c", &block.commands]).env("PATH", path);
    command.current_dir(repository().join("docker"));
    let (_, out, err) = output(&mut command, &block.input, SOON);
    out + &err
}

/// How often a text is there.
fn count(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

#[test]
fn its_commands_show_what_it_says() {
    let Some(dist) = kafka_dist() else { return };
    if !can_enter() {
        return;
    }
    let tasks = tasks();
    let block = |task: &str, index: usize| {
        let blocks = tasks.get(task).unwrap_or_else(|| panic!("no {task}"));
        &blocks[index]
    };

    // Everything comes up; at the source there is nothing but internal topics.
    assert_eq!(block("Task 1", 0).commands, "docker compose up -d\n");
    let mut compose = Compose::new(dist);
    compose.up();
    for cluster in [0, 1] {
        let listed = compose.type_in(block("Task 2", cluster));
        assert!(!listed.contains("orders") && !listed.contains("payments"), "{listed}");
    }
    let created = compose.type_in(block("Task 3", 0));
    assert!(
        created.contains("Created topic orders.") && created.contains("Created topic payments."),
        "{created}"
    );
    let listed = compose.type_in(block("Task 3", 1));
    assert!(listed.contains("orders\n") && listed.contains("payments\n"), "{listed}");
    let shown = compose.type_in(block("Task 4", 0));
    for key in [
        "clusters",
        "source->destination.enabled",
        "source->destination.topics",
        "replication.factor",
        "sync.group.offsets.enabled",
        "emit.heartbeats.enabled",
    ] {
        assert!(shown.contains(&format!("\n{key} = ")), "{key}\n{shown}");
    }

    // Five orders arrive, and the log says what the exercise looks for.
    compose.type_in(block("Task 5", 0));
    let mirror = compose.mirror.as_mut().expect("it is up");
    assert_eq!(block("Task 6", 0).commands, "docker logs mirrormaker2\n");
    for line in [
        "Starting connectors and tasks",
        "Replication flow started",
        "Committed offset",
        "KAFKA_HEAP_OPTS",
    ] {
        mirror.process.wait_for_line(line, SOON);
    }
    let log = mirror.process.log();
    assert!(
        !log.contains("reaches nothing") && !log.contains("did you mean"),
        "{log}"
    );
    let topics = [
        "source.orders\n",
        "source.payments\n",
        "source.heartbeats\n",
        "source.checkpoints.internal\n",
    ];
    compose.until_shown(block("Task 7", 0), &topics);
    let consumed = compose.type_in(block("Task 8", 0));
    for order in &ORDERS[..5] {
        assert_eq!(
            count(&consumed, &format!("{order} => {{\"orderId\": \"{order}\"")),
            1,
            "{consumed}"
        );
    }

    // Two more, once each; and the payments, which have no keys.
    compose.type_in(block("Task 9", 0));
    let consumed = compose.type_in(block("Task 10", 0));
    for order in ORDERS {
        assert_eq!(count(&consumed, &format!("{order}\t")), 1, "{consumed}");
    }
    assert!(consumed.contains("Processed a total of 7 messages"), "{consumed}");
    compose.type_in(block("Task 11", 0));
    let payments = [
        "\"pay-001\"",
        "\"pay-002\"",
        "\"pay-003\"",
        "Processed a total of 3 messages",
    ];
    compose.until_shown(block("Task 12", 0), &payments);

    // Checkpoints: the topic is there; a group brings some.
    let consumed = compose.type_in(block("Task 13", 0));
    assert!(
        consumed.contains("Processed a total of") && !consumed.contains("UNKNOWN_TOPIC"),
        "{consumed}"
    );
    let consumed = compose.type_in(block("Task 15", 0));
    assert!(consumed.contains("Processed a total of 3 messages"), "{consumed}");
    // They are binary, whatever the exercise says: the offsets are mostly zero bytes. The groups' names are in the keys.
    compose.until_shown(block("Task 16", 0), &["\0"]);
    let described = compose.type_in(block("Task 16b", 0));
    let offsets = described.lines().filter(|line| line.starts_with("order-processors"));
    let offsets = offsets.filter_map(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok());
    assert_eq!(offsets.sum::<u64>(), 3, "{described}");
    let reset = compose.type_in(block("Task 16b", 1));
    assert_eq!(count(&reset, "source.orders"), 3, "{reset}");

    // The source goes; the destination goes on alone.
    let ends = compose.type_in(block("Task 17", 0));
    let counted = |text: &str| -> u64 {
        text.lines()
            .filter_map(|line| line.rsplit(':').next()?.parse::<u64>().ok())
            .sum()
    };
    assert_eq!(counted(&ends), 7, "{ends}");
    assert_eq!(block("Task 17", 1).commands, "docker stop kafka-source\n");
    compose.stop("kafka-source");
    compose.type_in(block("Task 17", 2));
    let consumed = compose.type_in(block("Task 17", 3));
    assert!(
        consumed.contains("Processed a total of 8 messages") && consumed.contains("order-8"),
        "{consumed}"
    );

    // It comes back, and the mirror with it: nothing is copied twice.
    assert_eq!(block("Task 18", 0).commands, "docker start kafka-source\n");
    compose.start("kafka-source");
    compose.until_shown(block("Task 18", 1), &["orders\n", "payments\n"]);
    let consumed = compose.type_in(block("Task 19", 0));
    assert!(consumed.contains("Processed a total of 3 messages"), "{consumed}");

    // What it tries when something is wrong. A broker hangs up on HTTP, which proves that it can be reached.
    let looked = compose.type_in(&Block {
        commands: block("Replication not happening", 0)
            .commands
            .replace("docker logs mirrormaker2\n", ""),
        input: String::new(),
    });
    assert_eq!(count(&looked, "Empty reply from server"), 2, "{looked}");
    assert!(looked.contains("clusters = source, destination"), "{looked}");
    let shown = compose.type_in(block("Messages missing", 0));
    assert_eq!(counted(&shown), 7 + 8, "{shown}");

    // And the health check of the image.
    let mirror = compose.mirror.as_ref().expect("it is up");
    let check: Vec<&str> = compose.image.health_check.iter().map(String::as_str).collect();
    wait_until("health", SOON, || compose.image.exec(mirror, &check).0.then_some(()));
    assert_eq!(block("Task 20", 0).commands, "docker compose down\n");
    compose.down();
}
