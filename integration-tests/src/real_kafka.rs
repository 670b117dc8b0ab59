use std::{
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use crate::{
    client::TestClient,
    deadline::{pause, wait_until},
    dist::{Jvm, KafkaDist},
    process::Process,
    target_dir::{remove_dir, scratch_dir, target_dir},
};

const START_TIMEOUT: Duration = Duration::from_secs(90);
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
const HEAP_MB: u32 = 384;

/// A real Kafka: one or more nodes, each broker and controller, on free ports, with data of its own.
///
/// Dropping it kills the nodes and removes their data. Logs stay in `target/scenario-logs`.
#[derive(Debug)]
pub struct RealKafka {
    dist: &'static KafkaDist,
    jvm: Jvm,
    dir: PathBuf,
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    id: i32,
    port: u16,
    name: String,
    dir: PathBuf,
    process: Option<Process>,
}

impl RealKafka {
    /// Starts a cluster of `nodes` nodes and waits until all of them answer. `properties` go to every node; in their values
    /// `{port}` and `{controller}` stand for the node's own ports.
    pub fn start(dist: &'static KafkaDist, name: &str, nodes: usize, properties: &[(&str, &str)]) -> Self {
        Self::start_on(Jvm::Small(HEAP_MB), dist, name, nodes, properties)
    }

    /// The same, with every node's JVM as wanted.
    pub fn start_on(jvm: Jvm, dist: &'static KafkaDist, name: &str, nodes: usize, properties: &[(&str, &str)]) -> Self {
        Self::start_with(jvm, dist, name, nodes, properties, None)
    }

    /// One node with a second log directory, which gets every other partition.
    pub fn start_with_log_dir(dist: &'static KafkaDist, name: &str, log_dir: &Path) -> Self {
        Self::start_with(Jvm::Small(HEAP_MB), dist, name, 1, &[], Some(log_dir))
    }

    fn start_with(
        jvm: Jvm,
        dist: &'static KafkaDist,
        name: &str,
        nodes: usize,
        properties: &[(&str, &str)],
        second_log_dir: Option<&Path>,
    ) -> Self {
        let dir = scratch_dir(name);
        let ports: Vec<(u16, u16)> = (0..nodes).map(|_| (free_ports(1), free_ports(1))).collect();
        let voters: Vec<String> = ports
            .iter()
            .zip(1..)
            .map(|((_, controller), id)| format!("{id}@127.0.0.1:{controller}"))
            .collect();
        let cluster_id = random_id();
        let nodes = ports.iter().zip(1..).map(|(&(port, controller_port), id)| {
            let node_dir = dir.join(format!("node-{id}"));
            let data = node_dir.join("data");
            fs::create_dir_all(&data).expect("the scratch directory can be written");
            let mut text = node_properties(id, port, controller_port, &voters.join(","), &data, ports.len());
            let ports = [("{port}", port), ("{controller}", controller_port)];
            let with_ports = |value: &str| {
                ports
                    .iter()
                    .fold(value.to_owned(), |v, (name, port)| v.replace(name, &port.to_string()))
            };
            text.extend(
                properties
                    .iter()
                    .map(|(key, value)| format!("{key}={}\n", with_ports(value))),
            );
            format_storage(dist, &data, id, &cluster_id);
            if let Some(second) = second_log_dir {
                // The last line of a key counts.
                let dirs = format!("log.dirs={},{}\n", data.display(), second.display());
                text.push_str(&dirs);
                text.push_str(&format!("metadata.log.dir={}\n", data.display()));
                write_meta_properties(second, id, &cluster_id);
            }
            fs::write(node_dir.join("server.properties"), text).expect("the scratch directory can be written");
            Node {
                id,
                port,
                name: format!("{name}-{id}"),
                dir: node_dir,
                process: None,
            }
        });
        let mut kafka = Self {
            dist,
            jvm,
            dir: dir.clone(),
            nodes: nodes.collect(),
        };
        for index in 0..kafka.nodes.len() {
            kafka.spawn(index);
        }
        kafka.wait_ready();
        kafka
    }

    /// `host:port` of every node, joined with commas.
    pub fn bootstrap_servers(&self) -> String {
        let addresses: Vec<String> = self
            .nodes
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port))
            .collect();
        addresses.join(",")
    }

    /// How many nodes there are; they are named 0, 1, … here, and 1, 2, … in Kafka.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// Kafka's id of a node.
    pub fn node_id(&self, node: usize) -> i32 {
        self.nodes[node].id
    }

    /// Whether a node's process is there.
    pub fn is_running(&mut self, node: usize) -> bool {
        self.nodes[node].process.as_mut().is_some_and(Process::is_running)
    }

    /// Where a node keeps the segments of a partition.
    pub fn log_dir(&self, node: usize, topic: &str, partition: i32) -> PathBuf {
        self.nodes[node].dir.join("data").join(format!("{topic}-{partition}"))
    }

    /// The processes of the nodes that run.
    pub fn pids(&self) -> impl Iterator<Item = u32> {
        self.nodes
            .iter()
            .filter_map(|node| node.process.as_ref())
            .map(Process::pid)
    }

    /// Orderly stop (SIGTERM), waiting for the end.
    pub fn stop_node(&mut self, node: usize) {
        if let Some(mut process) = self.nodes[node].process.take() {
            process.signal("TERM");
            process.wait_for_exit(STOP_TIMEOUT);
        }
    }

    /// `kill -9`.
    pub fn kill_node(&mut self, node: usize) {
        if let Some(mut process) = self.nodes[node].process.take() {
            process.kill();
        }
    }

    /// Starts a node that was stopped or killed, and waits until the cluster is whole.
    pub fn start_node(&mut self, node: usize) {
        self.spawn(node);
        self.wait_ready();
    }

    /// SIGSTOP: connections stay open and nothing answers.
    pub fn pause_node(&self, node: usize) {
        self.nodes[node]
            .process
            .as_ref()
            .expect("a running node")
            .signal("STOP");
    }

    /// SIGCONT.
    pub fn resume_node(&self, node: usize) {
        self.nodes[node]
            .process
            .as_ref()
            .expect("a running node")
            .signal("CONT");
    }

    /// The distribution that it runs, for the tools.
    pub fn dist(&self) -> &'static KafkaDist {
        self.dist
    }

    fn spawn(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let mut command = self.dist.jvm(self.jvm);
        command.arg("kafka.Kafka").arg(node.dir.join("server.properties"));
        node.process = Some(Process::spawn(&node.name, &mut command, Some(&self.dir)));
    }

    fn wait_ready(&mut self) {
        let expected = self.nodes.iter().filter(|node| node.process.is_some()).count();
        for index in 0..self.nodes.len() {
            let port = self.nodes[index].port;
            let what = format!("{} to answer", self.nodes[index].name);
            if self.nodes[index].process.is_none() {
                continue;
            }
            wait_until(&what, START_TIMEOUT, || {
                assert!(
                    self.is_running(index),
                    "{} ended while it started",
                    self.nodes[index].name
                );
                let count = TestClient::new(&format!("127.0.0.1:{port}")).broker_count();
                count.is_some_and(|count| count >= expected).then_some(()).or_else(|| {
                    pause(Duration::from_millis(50));
                    None
                })
            });
        }
    }
}

impl Drop for RealKafka {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            node.process = None;
        }
        remove_dir(&self.dir);
    }
}

/// Nothing goes because of its age: scenarios write records with fixed timestamps, which are old.
fn node_properties(id: i32, port: u16, controller_port: u16, voters: &str, data: &Path, nodes: usize) -> String {
    let replicas = nodes.min(3);
    let min_isr = if replicas == 3 { 2 } else { 1 };
    format!(
        "process.roles=broker,controller\n\
         node.id={id}\n\
         controller.quorum.voters={voters}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         log.dirs={}\n\
         num.partitions=1\n\
         auto.create.topics.enable=false\n\
         offsets.topic.replication.factor={replicas}\n\
         offsets.topic.num.partitions=5\n\
         transaction.state.log.replication.factor={replicas}\n\
         transaction.state.log.min.isr={min_isr}\n\
         transaction.state.log.num.partitions=3\n\
         share.coordinator.state.topic.replication.factor={replicas}\n\
         share.coordinator.state.topic.min.isr={min_isr}\n\
         group.initial.rebalance.delay.ms=0\n\
         num.network.threads=1\n\
         num.io.threads=2\n\
         log.retention.ms=-1\n\
         log.cleaner.backoff.ms=200\n",
        data.display()
    )
}

/// What `kafka-storage format` writes. The checkpoint with the feature levels is the same for every node, and a JVM
/// start per node is dear: the tool runs once, and its checkpoint is copied.
fn format_storage(dist: &KafkaDist, data: &Path, node_id: i32, cluster_id: &str) {
    let cached = target_dir().join(format!("kafka-{}-bootstrap.checkpoint", crate::dist::KAFKA_VERSION));
    if !cached.is_file() {
        let dir = scratch_dir("format");
        let properties = dir.join("server.properties");
        let text = node_properties(1, 1, 2, "1@127.0.0.1:2", &dir.join("data"), 1);
        fs::write(&properties, text).expect("the scratch directory can be written");
        let path = properties.to_str().expect("the target directory has a plain name");
        dist.run_tool("storage", &["format", "-t", cluster_id, "-c", path], "");
        fs::copy(dir.join("data/bootstrap.checkpoint"), &cached).expect("kafka-storage writes a checkpoint");
        remove_dir(&dir);
    }
    fs::copy(&cached, data.join("bootstrap.checkpoint")).expect("the scratch directory can be written");
    write_meta_properties(data, node_id, cluster_id);
}

fn write_meta_properties(log_dir: &Path, node_id: i32, cluster_id: &str) {
    let text = format!(
        "version=1\nnode.id={node_id}\ncluster.id={cluster_id}\ndirectory.id={}\n",
        random_id()
    );
    fs::write(log_dir.join("meta.properties"), text).expect("the scratch directory can be written");
}

/// A random uuid as Kafka writes it: 128 bits in base64url. The first digit is `A`, so that no tool takes it for an option.
pub(crate) fn random_id() -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let number = uuid::Uuid::new_v4().as_u128() >> 6;
    // 22 digits are 132 bits: the last digit has four bits of its own.
    let digit = |i: u32| {
        if i == 21 {
            (number << 4) & 0x30
        } else {
            number >> (122 - 6 * i) & 0x3f
        }
    };
    (0..22).map(|i| char::from(DIGITS[digit(i) as usize])).collect()
}

/// A port that nobody listens on now.
pub fn free_port() -> u16 {
    free_ports(1)
}

/// The first of `count` neighbouring ports that nobody listens on now. Below the range from which the kernel picks ports
/// for outgoing connections, so that they are still free when a stopped node comes back. Looked at without listening there:
/// a process that another thread starts at that moment would hold the port until it has become its own program.
pub(crate) fn free_ports(count: usize) -> u16 {
    const FIRST: u16 = 27_000;
    const RANGE: u16 = 1_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let (count, offset) = (count as u16, (std::process::id() % 20) as u16 * 50);
    for _ in 0..RANGE {
        let first = FIRST + (offset + NEXT.fetch_add(count, Ordering::Relaxed)) % (RANGE - count);
        if (first..first + count).all(|port| TcpStream::connect(("127.0.0.1", port)).is_err()) {
            return first;
        }
    }
    panic!("no {count} free ports from {FIRST} on")
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, process::Command, thread};

    use super::*;

    #[test]
    fn a_free_port_stays_free_while_processes_are_started() {
        let starting = thread::spawn(|| {
            for _ in 0..300 {
                Command::new("true").status().expect("it runs");
            }
        });
        while !starting.is_finished() {
            let port = free_port();
            TcpListener::bind(("127.0.0.1", port)).expect("nobody took it");
        }
        starting.join().expect("all ran");
    }
}
