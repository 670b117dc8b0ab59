use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

use crate::{
    process::{output, report},
    target_dir::target_dir,
};

/// The version that we stand in for, and are compared with.
pub(crate) const KAFKA_VERSION: &str = "4.3.1";

/// How a JVM is run.
#[derive(Clone, Copy, Debug)]
pub enum Jvm {
    /// For scenarios: starts quickly, compiles little, with this heap in MB.
    Small(u32),
    /// For measuring: as Kafka's own scripts run it, with these heap options.
    AsShipped(&'static [&'static str]),
}

/// `KAFKA_JVM_PERFORMANCE_OPTS` of `kafka-run-class.sh`.
const SHIPPED: &[&str] = &[
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-XX:MaxInlineLevel=15",
    "-Djava.awt.headless=true",
];

/// The jars of a real Kafka and the Java that runs them.
#[derive(Debug)]
pub struct KafkaDist {
    libs: PathBuf,
}

/// The real Kafka of this machine, or `None` after saying why there is none.
///
/// Jars come from the directory `HELIOGRAPH_KAFKA_LIBS`, else they are fetched once with Maven into `target/`.
/// `HELIOGRAPH_REQUIRE_KAFKA=1` turns the skip into a failure.
pub fn kafka_dist() -> Option<&'static KafkaDist> {
    static DIST: OnceLock<Result<KafkaDist, String>> = OnceLock::new();
    match DIST.get_or_init(KafkaDist::find) {
        Ok(dist) => Some(dist),
        Err(reason) => {
            let required = env::var("HELIOGRAPH_REQUIRE_KAFKA").is_ok_and(|value| value == "1");
            assert!(
                !required,
                "HELIOGRAPH_REQUIRE_KAFKA=1, and there is no real Kafka: {reason}"
            );
            report(&format!(
                "skipped: needs a real Kafka (install Java 17+ and Maven, see README): {reason}"
            ));
            None
        }
    }
}

impl KafkaDist {
    fn find() -> Result<Self, String> {
        if !runs("java", "-version") {
            return Err("java does not run".to_owned());
        }
        if let Some(libs) = env::var_os("HELIOGRAPH_KAFKA_LIBS") {
            return Ok(Self { libs: libs.into() });
        }
        let libs = target_dir().join(format!("kafka-{KAFKA_VERSION}"));
        let complete = libs.join(".complete");
        if !complete.is_file() {
            fetch(&libs)?;
            fs::write(&complete, "").map_err(|error| format!("cannot write {}: {error}", complete.display()))?;
        }
        Ok(Self { libs })
    }

    /// The directory that holds the jars.
    pub fn libs(&self) -> &Path {
        &self.libs
    }

    /// A command that runs one of Kafka's classes with a small heap.
    pub fn java(&self, heap_mb: u32) -> Command {
        self.jvm(Jvm::Small(heap_mb))
    }

    /// A command that runs one of Kafka's classes.
    pub fn jvm(&self, jvm: Jvm) -> Command {
        let log_config = concat!(env!("CARGO_MANIFEST_DIR"), "/kafka/log4j2.yaml");
        let mut command = Command::new("java");
        match jvm {
            // Two cores are shared by brokers, tools and what is tested: short starts matter more than peak speed.
            Jvm::Small(heap_mb) => command.arg(format!("-Xmx{heap_mb}m")).args([
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-Xshare:auto",
            ]),
            Jvm::AsShipped(heap) => command.args(heap).args(SHIPPED),
        };
        command
            .arg(format!("-Dlog4j2.configurationFile={log_config}"))
            .arg("-cp")
            .arg(self.libs.join("*"));
        command
    }

    /// One of the tools of Kafka's `bin/`, by its name without `kafka-` and `.sh`.
    pub fn tool(&self, name: &str) -> Command {
        let class = match name {
            "acls" => "org.apache.kafka.tools.AclCommand",
            "topics" => "org.apache.kafka.tools.TopicCommand",
            "console-producer" => "org.apache.kafka.tools.ConsoleProducer",
            "console-consumer" => "org.apache.kafka.tools.consumer.ConsoleConsumer",
            "consumer-groups" => "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
            "configs" => "kafka.admin.ConfigCommand",
            "get-offsets" => "org.apache.kafka.tools.GetOffsetShell",
            "dump-log" => "org.apache.kafka.tools.DumpLogSegments",
            "leader-election" => "org.apache.kafka.tools.LeaderElectionCommand",
            "storage" => "kafka.tools.StorageTool",
            other => panic!("no class is known for the tool {other}"),
        };
        let mut command = self.java(128);
        command.arg(class).env("KAFKA_LOG_LEVEL", "ERROR");
        command
    }

    /// Runs a tool to its end with `input` on its standard input; gives its standard output. Panics if it fails.
    pub fn run_tool(&self, name: &str, args: &[&str], input: &str) -> String {
        let mut command = self.tool(name);
        command.args(args);
        let (status, out, err) = output(&mut command, input, Duration::from_secs(60));
        assert!(status.success(), "{name} {args:?} failed ({status}):\n{out}{err}");
        out
    }

    /// Runs a single-file Java program that uses Kafka's classes; gives its standard output. Panics if it fails; `None`, after
    /// saying so, where there is a runtime without a compiler.
    pub fn run_source(&self, file: &str, args: &[&str]) -> Option<String> {
        let (_, modules, _) = output(Command::new("java").arg("--list-modules"), "", Duration::from_secs(60));
        if !modules.contains("jdk.compiler") {
            let required = env::var("HELIOGRAPH_REQUIRE_KAFKA").is_ok_and(|value| value == "1");
            assert!(!required, "{file} needs a JDK, and this Java has no compiler");
            report(&format!("skipped: {file} needs a JDK, and this Java has no compiler"));
            return None;
        }
        let path = format!("{}/java/{file}", env!("CARGO_MANIFEST_DIR"));
        let mut command = self.java(256);
        command.arg(path).args(args).env("KAFKA_LOG_LEVEL", "ERROR");
        let (status, out, err) = output(&mut command, "", Duration::from_secs(120));
        assert!(status.success(), "{file} {args:?} failed ({status}):\n{out}{err}");
        Some(out)
    }
}

fn fetch(libs: &Path) -> Result<(), String> {
    let pom = concat!(env!("CARGO_MANIFEST_DIR"), "/kafka/pom.xml");
    fetch_with_maven(pom, KAFKA_VERSION, &[], libs)
}

/// Copies what `pom` wants of this version of Kafka into a directory.
pub(crate) fn fetch_with_maven(pom: &str, version: &str, more: &[&str], libs: &Path) -> Result<(), String> {
    if !runs("mvn", "-version") {
        return Err("mvn does not run".to_owned());
    }
    report(&format!("fetching Kafka {version} with Maven into {}", libs.display()));
    let mut command = Command::new("mvn");
    command
        .args(["-q", "-B", "-f", pom, &format!("-Dkafka.version={version}")])
        .args(more);
    command
        .arg("dependency:copy-dependencies")
        .arg(format!("-DoutputDirectory={}", libs.display()));
    let (status, out, err) = output(&mut command, "", Duration::from_secs(600));
    if status.success() {
        Ok(())
    } else {
        Err(format!("Maven could not fetch it:\n{out}{err}"))
    }
}

fn runs(program: &str, version_flag: &str) -> bool {
    let mut command = Command::new(program);
    command
        .arg(version_flag)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
