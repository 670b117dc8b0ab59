//! The container: its image as the Dockerfile makes it, what runs in it, and the files that others run it with.
//!
//! Needs root on Linux, for namespaces and a root folder; else it says so and is skipped.

mod dockerfile;
mod exercise;
mod image;
mod manifest;
mod manifests;

use std::{env, fs, time::Duration};

use image::{Container, Image, Network, Options, repository};
use integration_tests::{output, report, wait_until};

const SOON: Duration = Duration::from_secs(30);
/// Two clusters that are not there.
const FLOW: &str =
    "clusters = a, b\na.bootstrap.servers = 127.0.0.1:1\nb.bootstrap.servers = 127.0.0.1:2\na->b.enabled = true\n";
const FILE: &str = "/etc/kafka/mirrormaker2.properties";

/// Whether this machine lets us; says so if it does not.
fn can_enter() -> bool {
    static CAN: std::sync::OnceLock<Result<(), String>> = std::sync::OnceLock::new();
    let can = CAN.get_or_init(|| {
        let probe = "ip link set lo up && mount -t tmpfs none /mnt && command -v chroot nsenter curl ldd";
        let mut command = std::process::Command::new("unshare");
        command.args(["--mount", "--net", "--pid", "--fork", "sh", "-c", probe]);
        let (status, out, err) = output(&mut command, "", SOON);
        if status.success() { Ok(()) } else { Err(out + &err) }
    });
    let Err(reason) = can else { return true };
    let required = env::var("HELIOGRAPH_REQUIRE_KAFKA").is_ok_and(|value| value == "1");
    assert!(
        !required,
        "HELIOGRAPH_REQUIRE_KAFKA=1, and containers cannot be tried: {reason}"
    );
    report(&format!(
        "skipped: needs root on Linux, iproute2, util-linux and curl: {}",
        reason.trim()
    ));
    false
}

/// What a Java container would have had besides, and what must not be in a log.
fn as_for_a_jvm() -> Options {
    Options::default()
        .env("KAFKA_HEAP_OPTS", "-Xmx512m")
        .env("KAFKA_OPTS", "-Djava.security.auth.login.config=/etc/hidden.jaas")
        .env("KAFKA_JVM_PERFORMANCE_OPTS", "-server")
        .env("LOG_DIR", "/tmp/logs")
}

fn assert_notes_once(log: &str) {
    let jvm = "without effect here: KAFKA_HEAP_OPTS, KAFKA_JVM_PERFORMANCE_OPTS, KAFKA_OPTS";
    for line in [
        jvm,
        "without effect here: LOG_DIR; HELIOGRAPH_LOG sets levels",
        "set sasl.jaas.config",
    ] {
        assert_eq!(log.matches(line).count(), 1, "{line}\n{log}");
    }
    assert!(!log.contains("hidden.jaas"), "{log}");
}

/// Process 1 is our binary without rights, and goes when it is told to.
fn assert_stops(container: &mut Container) {
    let status = fs::read_to_string(format!("/proc/{}/status", container.pid)).expect("it runs");
    let field = |name: &str| status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    assert_eq!(field("Uid:"), "Uid:\t1000\t1000\t1000\t1000");
    assert_eq!(field("Gid:"), "Gid:\t1000\t1000\t1000\t1000");
    assert_eq!(field("CapEff:"), "CapEff:\t0000000000000000");
    assert_eq!(field("Name:"), "Name:\theliograph");
    assert!(field("NSpid:").ends_with("\t1"), "{}", field("NSpid:"));
    assert_eq!(container.stop(), Some(0), "{}", container.process.log());
}

#[test]
fn mirror_maker_runs_from_its_script_and_its_file() {
    if !can_enter() {
        return;
    }
    let (image, network) = (Image::build("image-script"), Network::new("image-script"));
    image.write(FILE, FLOW);
    // As the exercise's compose file has it.
    let options = as_for_a_jvm().command(&["/opt/kafka/bin/connect-mirror-maker.sh", FILE]);
    let mut container = image.start(&network, "image-script", &options);
    container.process.wait_for_line("127.0.0.1:", SOON);
    assert_notes_once(&container.process.log());
    // What people look at in there.
    let (found, text) = image.exec(&container, &["cat", FILE]);
    assert!(found && text == FLOW, "{text}");
    let (answered, said) = image.exec(&container, &["curl", "http://127.0.0.1:1"]);
    assert!(!answered && said.contains("Failed to connect"), "{said}");
    // Its clusters are not there, and the health check says that it is not well, and not that it cannot be asked.
    let words: Vec<&str> = image.health_check.iter().map(String::as_str).collect();
    let (healthy, said) = image.exec(&container, &words);
    assert!(!healthy && said.contains("/health answers 5"), "{said}");
    let (answered, said) = image.exec(&container, &["curl", "--silent", "http://127.0.0.1:18083/"]);
    assert!(answered && said.contains("/a/b"), "{said}");
    assert_stops(&mut container);
}

#[test]
fn the_health_check_finds_what_a_shell_has_started() {
    if !can_enter() {
        return;
    }
    let (image, network) = (Image::build("image-shell"), Network::new("image-shell"));
    image.write(FILE, FLOW);
    let line = format!("/opt/kafka/bin/connect-mirror-maker.sh {FILE}; echo ended");
    let options = as_for_a_jvm().command(&["sh", "-c", &line]);
    let mut container = image.start(&network, "image-shell", &options);
    container.process.wait_for_line("127.0.0.1:", SOON);
    let words: Vec<&str> = image.health_check.iter().map(String::as_str).collect();
    let (healthy, said) = image.exec(&container, &words);
    assert!(!healthy && said.contains("/health answers 5"), "{said}");
}

#[test]
fn without_a_command_the_environment_decides() {
    if !can_enter() {
        return;
    }
    let (image, network) = (Image::build("image-environment"), Network::new("image-environment"));
    let (code, said) = image.run(&network, &Options::default());
    assert_eq!(code, Some(2));
    assert!(
        said.contains("set MM2_PROPERTIES or CONNECT_BOOTSTRAP_SERVERS"),
        "{said}"
    );

    // Lines for dedicated mode alone, on a file system that cannot be written.
    let options = as_for_a_jvm()
        .env("MM2_PROPERTIES", FLOW)
        .env("KAFKA_LOG4J_ROOT_LOGLEVEL", "DEBUG")
        .read_only();
    let mut container = image.start(&network, "image-lines", &options);
    container.process.wait_for_line("127.0.0.1:", SOON);
    let log = container.process.log();
    assert!(log.contains("file=the environment"), "{log}");
    assert!(log.contains("DEBUG"), "{log}");
    assert_stops(&mut container);

    // And after those of the file, as JSON.
    image.write(FILE, FLOW);
    let options = Options::default()
        .env("MM2_PROPERTIES", "b->a.enabled = true\na->b.topcis = none\n")
        .env("HELIOGRAPH_LOG_FORMAT", "json");
    let mut container = image.start(&network, "image-file-and-lines", &options);
    let line = container.process.wait_for_line("topcis", SOON);
    assert!(line.starts_with('{'), "{line}");
    wait_until("both flows", SOON, || {
        let (_, said) = image.exec(&container, &["curl", "--silent", "http://127.0.0.1:18083/"]);
        (said.contains("/a/b") && said.contains("/b/a")).then_some(())
    });
    assert_stops(&mut container);
}

#[test]
fn a_worker_is_configured_as_confluents_image_is() {
    if !can_enter() {
        return;
    }
    let (image, network) = (Image::build("image-worker"), Network::new("image-worker"));
    let settings = |options: Options| {
        options
            .env("CONNECT_BOOTSTRAP_SERVERS", "127.0.0.1:1")
            .env("CONNECT_GROUP_ID", "workers")
            .env("CONNECT_OFFSET_STORAGE_TOPIC", "offsets")
            .env("CONNECT_STATUS_STORAGE_TOPIC", "statuses")
            .env(
                "CONNECT_KEY_CONVERTER",
                "org.apache.kafka.connect.converters.ByteArrayConverter",
            )
            .env(
                "CONNECT_VALUE_CONVERTER",
                "org.apache.kafka.connect.converters.ByteArrayConverter",
            )
            .env("CONNECT_NO__SUCH_KEY", "1")
            .env("CONNECT_LOG4J_ROOT_LOGLEVEL", "INFO")
    };
    // What is missing is named as for a file.
    let (code, said) = image.run(&network, &settings(Options::default()));
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("Missing required configuration \"config.storage.topic\""),
        "{said}"
    );
    assert!(
        said.contains("Unknown key no-such.key") && !said.contains("log4j.root"),
        "{said}"
    );

    // The way in of Confluent's image; the cluster is away, and it waits until it is told to stop.
    let options = settings(as_for_a_jvm())
        .env("CONNECT_CONFIG_STORAGE_TOPIC", "configs")
        .command(&["/etc/confluent/docker/run"]);
    let mut container = image.start(&network, "image-worker", &options);
    container.process.wait_for_line("127.0.0.1:1", SOON);
    assert_notes_once(&container.process.log());
    assert_stops(&mut container);
}

#[test]
fn the_scripts_take_what_kafkas_take() {
    if !can_enter() {
        return;
    }
    let (image, network) = (Image::build("image-scripts"), Network::new("image-scripts"));
    for (script, usage) in [
        ("connect-mirror-maker.sh", "mm2.properties"),
        ("connect-distributed.sh", "connect-distributed.properties"),
        (
            "connect-standalone.sh",
            "connect-standalone.properties [connector1.properties connector2.json ...]",
        ),
    ] {
        let path = format!("/opt/kafka/bin/{script}");
        let (code, said) = image.run(&network, &Options::default().command(&[&path]));
        assert_eq!((code, said), (Some(1), format!("USAGE: {path} [-daemon] {usage}\n")));
        // By its name alone, with what is meant for kafka-run-class.sh.
        let options = Options::default().command(&[script, "-name", "it", "-loggc", "/no/such.properties"]);
        let (code, said) = image.run(&network, &options);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("cannot read /no/such.properties"), "{said}");
    }
    // In the background its words go to a file; the wait is for that file's last line.
    let script = "connect-distributed.sh -daemon -name it /no/such.properties; until grep cannot $LOG_DIR/it.out; do sleep 0.1; done";
    let options = Options::default()
        .env("LOG_DIR", "/tmp/logs")
        .command(&["sh", "-c", script]);
    let (code, said) = image.run(&network, &options);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("cannot read /no/such.properties"), "{said}");
}

#[test]
fn the_image_is_built_with_the_projects_toolchain() {
    let toolchain = fs::read_to_string(repository().join("rust-toolchain.toml")).expect("it is there");
    let channel = toolchain
        .lines()
        .find_map(|line| line.strip_prefix("channel = \""))
        .expect("a channel");
    let channel = channel.trim_end_matches('"');
    let stages = dockerfile::read(&repository().join("docker/Dockerfile"));
    assert_eq!(stages[0].base, format!("rust:{channel}-slim-bookworm"));
    // Everything else of the context is there, or the steps could not be carried out from a checkout.
    let ignored = fs::read_to_string(repository().join("docker/Dockerfile.dockerignore")).expect("it is there");
    assert_eq!(ignored, ".git\n**/target\n");
}
