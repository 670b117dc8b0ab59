use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{
    client::TestClient,
    deadline::wait_until,
    dist::fetch_with_maven,
    process::{Process, output},
    real_kafka::{free_ports, random_id},
    target_dir::{remove_dir, scratch_dir, target_dir},
};

const START_TIMEOUT: Duration = Duration::from_secs(90);

/// One broker of an older Kafka: KRaft from 3.3 on, before with a ZooKeeper of its own. Its jars are fetched with Maven
/// into `target/`.
#[derive(Debug)]
pub struct OldKafka {
    version: (u32, u32),
    port: u16,
    dir: PathBuf,
    // In the order in which they have to end.
    broker: Option<Process>,
    _zookeeper: Option<Process>,
}

impl OldKafka {
    /// Starts one of `version`, such as `2.8.2`, and waits until it answers.
    pub fn start(version: &str, name: &str) -> Result<Self, String> {
        let libs = libs(version)?;
        let numbers = major_and_minor(version)?;
        let dir = scratch_dir(name);
        let (port, other_port) = (free_ports(1), free_ports(1));
        let mut text = format!(
            "log.dirs={}\n\
             num.partitions=1\n\
             auto.create.topics.enable=false\n\
             offsets.topic.replication.factor=1\n\
             transaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\n\
             group.initial.rebalance.delay.ms=0\n\
             log.retention.ms=-1\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n",
            dir.join("data").display()
        );
        let has_kraft = numbers >= (3, 3);
        if has_kraft {
            text += &format!(
                "process.roles=broker,controller\n\
                 node.id=1\n\
                 controller.quorum.voters=1@127.0.0.1:{other_port}\n\
                 listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{other_port}\n\
                 controller.listener.names=CONTROLLER\n\
                 listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n"
            );
        } else {
            text += &format!(
                "broker.id=1\n\
                 listeners=PLAINTEXT://127.0.0.1:{port}\n\
                 zookeeper.connect=127.0.0.1:{other_port}\n\
                 zookeeper.connection.timeout.ms=60000\n"
            );
        }
        let properties = dir.join("server.properties");
        fs::write(&properties, text).expect("the scratch directory can be written");
        let zookeeper = if has_kraft {
            format_storage(&libs, &properties);
            None
        } else {
            let mut command = java(&libs);
            command
                .arg("-Dzookeeper.admin.enableServer=false")
                .arg("org.apache.zookeeper.server.ZooKeeperServerMain")
                .arg(other_port.to_string())
                .arg(dir.join("zookeeper"));
            Some(Process::spawn(&format!("{name}-zookeeper"), &mut command, None))
        };
        let mut kafka = Self {
            version: numbers,
            port,
            dir,
            broker: None,
            _zookeeper: zookeeper,
        };
        kafka.broker = Some(kafka.spawn(&libs, name, &properties));
        Ok(kafka)
    }

    /// Major and minor version.
    pub fn version(&self) -> (u32, u32) {
        self.version
    }

    /// `host:port`
    pub fn bootstrap_servers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A new client of it.
    pub fn client(&self) -> TestClient {
        TestClient::new(&self.bootstrap_servers())
    }

    fn spawn(&self, libs: &Path, name: &str, properties: &Path) -> Process {
        let mut command = java(libs);
        command.arg("kafka.Kafka").arg(properties);
        let mut broker = Process::spawn(name, &mut command, Some(&self.dir));
        wait_until(&format!("{name} to answer"), START_TIMEOUT, || {
            assert!(broker.is_running(), "{name} ended: see {}", broker.log_path().display());
            (self.client().broker_count() == Some(1)).then_some(())
        });
        broker
    }
}

impl Drop for OldKafka {
    fn drop(&mut self) {
        self.broker = None;
        self._zookeeper = None;
        remove_dir(&self.dir);
    }
}

fn libs(version: &str) -> Result<PathBuf, String> {
    let libs = target_dir().join(format!("kafka-{version}"));
    let complete = libs.join(".complete");
    if !complete.is_file() {
        let pom = concat!(env!("CARGO_MANIFEST_DIR"), "/kafka/old/pom.xml");
        let more: &[&str] = match major_and_minor(version)? < (2, 4) {
            true => &["-Dscala.version=2.12", "-Pzookeeper-for-java-14"],
            false => &["-Dscala.version=2.13"],
        };
        fetch_with_maven(pom, version, more, &libs)?;
        fs::write(&complete, "").map_err(|error| format!("cannot write {}: {error}", complete.display()))?;
    }
    Ok(libs)
}

fn major_and_minor(version: &str) -> Result<(u32, u32), String> {
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => Ok((major, minor)),
        _ => Err(format!("{version} is no version of Kafka")),
    }
}

fn java(libs: &Path) -> Command {
    let mut command = Command::new("java");
    command
        .args(["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
        .arg("-Dorg.slf4j.simpleLogger.showDateTime=true")
        .arg("-cp")
        .arg(libs.join("*"));
    command
}

fn format_storage(libs: &Path, properties: &Path) {
    let mut command = java(libs);
    command
        .args(["kafka.tools.StorageTool", "format", "-t", &random_id(), "-c"])
        .arg(properties);
    let (status, out, err) = output(&mut command, "", START_TIMEOUT);
    assert!(status.success(), "kafka-storage format failed:\n{out}{err}");
}
