use std::{collections::BTreeMap, fs, path::PathBuf, process::Command, time::Duration};

use serde_json::{Value, json};

use crate::{
    deadline::{Deadline, pause, wait_until},
    dist::{Jvm, KafkaDist},
    heliograph::{heliograph_binary, unique},
    process::Process,
    properties::escaped,
    real_kafka::free_port,
    rest::{Answer, Rest},
    secure_kafka::test_certificate,
    target_dir::scratch_dir,
};

/// A worker on two busy cores: start, joining a group, a rebalance.
const SOON: Duration = Duration::from_secs(60);
const BYTES: &str = "org.apache.kafka.connect.converters.ByteArrayConverter";

/// The settings of the distributed workers of one group.
#[derive(Clone, Debug)]
pub struct WorkerGroup {
    entries: BTreeMap<String, String>,
    /// Beside the listener that tests ask.
    more_listeners: &'static str,
    environment: BTreeMap<String, String>,
}

impl WorkerGroup {
    /// The group `id` on a cluster, with topics named after it. Quick, one replica; lost work is shared out after a
    /// second.
    pub fn new(bootstrap_servers: &str, id: &str) -> Self {
        let fixed = [
            ("bootstrap.servers", bootstrap_servers),
            ("group.id", id),
            ("key.converter", BYTES),
            ("value.converter", BYTES),
            ("header.converter", BYTES),
            ("config.storage.topic", &format!("{id}-configs")),
            ("offset.storage.topic", &format!("{id}-offsets")),
            ("status.storage.topic", &format!("{id}-status")),
            ("config.storage.replication.factor", "1"),
            ("offset.storage.replication.factor", "1"),
            ("status.storage.replication.factor", "1"),
            ("offset.storage.partitions", "5"),
            ("offset.flush.interval.ms", "500"),
            ("scheduled.rebalance.max.delay.ms", "1000"),
            ("rest.advertised.host.name", "127.0.0.1"),
        ];
        Self {
            entries: fixed.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            more_listeners: "",
            environment: BTreeMap::new(),
        }
    }

    /// Has the workers ask each other over https, with the test certificate of a broker.
    pub fn over_https(mut self) -> Self {
        self.more_listeners = ",https://127.0.0.1:0";
        let file = |name| test_certificate(name).display().to_string();
        self.set("rest.advertised.listener", "https")
            .set("listeners.https.ssl.keystore.type", "PEM")
            .set("listeners.https.ssl.keystore.location", &file("kafka.pem"))
            .set("listeners.https.ssl.truststore.type", "PEM")
            .set("listeners.https.ssl.truststore.location", &file("ca.pem"))
            .set("listeners.https.ssl.client.auth", "required")
    }

    /// A variable of the workers' environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Sets any key.
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.entries.insert(key.to_owned(), value.to_owned());
        self
    }

    fn write(&self, name: &str, port: u16) -> PathBuf {
        let dir = scratch_dir(&unique(name));
        let file = dir.join("worker.properties");
        let mut text = format!("listeners = http://127.0.0.1:{port}{}\n", self.more_listeners);
        for (key, value) in &self.entries {
            text += &format!("{key} = {}\n", escaped(value));
        }
        fs::write(&file, text).expect("the scratch directory can be written");
        file
    }
}

/// A running distributed worker, ours or Java's, killed when dropped.
#[derive(Debug)]
pub struct ConnectWorker {
    process: Process,
    address: String,
}

impl ConnectWorker {
    /// Starts `heliograph connect-distributed`.
    pub fn heliograph(name: &str, group: &WorkerGroup) -> Self {
        let port = free_port();
        let file = group.write(name, port);
        let mut command = Command::new(heliograph_binary());
        command.arg("connect-distributed").arg(&file).envs(&group.environment);
        Self {
            process: Process::spawn(&unique(name), &mut command, file.parent()),
            address: format!("127.0.0.1:{port}"),
        }
    }

    /// Starts Java's worker.
    pub fn java(dist: &KafkaDist, name: &str, group: &WorkerGroup) -> Self {
        Self::java_on(Jvm::Small(384), dist, name, group)
    }

    /// Starts Java's worker as its own script does: with the heap, the collector and the compilers of there.
    pub fn java_as_shipped(dist: &KafkaDist, name: &str, group: &WorkerGroup) -> Self {
        Self::java_on(Jvm::AsShipped(&["-Xms256M", "-Xmx2G"]), dist, name, group)
    }

    fn java_on(jvm: Jvm, dist: &KafkaDist, name: &str, group: &WorkerGroup) -> Self {
        let port = free_port();
        let file = group.write(name, port);
        let mut command = dist.jvm(jvm);
        command
            .arg("org.apache.kafka.connect.cli.ConnectDistributed")
            .arg(&file)
            .env("KAFKA_LOG_LEVEL", "INFO");
        Self {
            process: Process::spawn(&unique(name), &mut command, file.parent()),
            address: format!("127.0.0.1:{port}"),
        }
    }

    /// Its id in statuses: `host:port`.
    pub fn id(&self) -> &str {
        &self.address
    }

    /// Its process: log, signals, memory.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Its resident memory, now.
    pub fn memory_bytes(&self) -> u64 {
        self.process.memory_bytes()
    }

    /// CPU time it used so far.
    pub fn cpu_time(&self) -> Duration {
        self.process.cpu_time()
    }

    /// Its REST API.
    pub fn rest(&self) -> Rest {
        Rest::new(&self.address)
    }

    /// Waits until it has joined its group and answers.
    pub fn wait_until_ready(&mut self) {
        let what = format!("{} to become healthy", self.address);
        wait_until(&what, Duration::from_secs(120), || {
            assert!(self.process.is_running(), "{} ended", self.address);
            let health = self.rest().get("/health").ok()?;
            (health.status == 200).then_some(())
        });
    }

    /// A request that must succeed. A rebalance is waited for, as clients do.
    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let Answer { status, body, .. } = self.ask_any(method, path, body);
        assert!((200..300).contains(&status), "{method} {path}: {status} {body}");
        body
    }

    /// A request, and whatever is answered once no rebalance is in the way.
    pub fn ask_any(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let what = format!("an answer of {} to {method} {path}", self.address);
        wait_until(&what, SOON, || {
            let answer = self.rest().request(method, path, body).expect("the worker answers");
            let in_the_way = matches!(answer.status, 409 | 500) && answer.body.to_string().contains("rebalance");
            (!in_the_way).then_some(answer)
        })
    }

    /// Stores a connector's configuration.
    pub fn put_connector(&self, name: &str, config: &[(&str, &str)]) {
        let config: serde_json::Map<String, Value> = config
            .iter()
            .map(|(key, value)| ((*key).to_owned(), json!(value)))
            .collect();
        let path = format!("/connectors/{name}/config");
        self.ask("PUT", &path, Some(&Value::Object(config)));
    }

    /// Waits until a connector and exactly `tasks` tasks of it are RUNNING, on these workers only; says who runs what:
    /// the connector's worker first, then those of the tasks.
    pub fn wait_until_running(&self, name: &str, tasks: usize, workers: &[&str]) -> Vec<String> {
        let path = format!("/connectors/{name}/status");
        let deadline = Deadline::after(SOON);
        loop {
            let status = self.rest().get(&path).expect("the worker answers").body;
            if let Some(found) = Self::running(&status, tasks, workers) {
                return found;
            }
            assert!(
                !deadline.passed(),
                "after {SOON:?} {name} does not run with {tasks} tasks on {workers:?}: {status}"
            );
            pause(Duration::from_millis(100));
        }
    }

    fn running(status: &Value, tasks: usize, workers: &[&str]) -> Option<Vec<String>> {
        let all = [&status["connector"]].into_iter().chain(status["tasks"].as_array()?);
        let runner = |part: &Value| {
            let worker = part["worker_id"].as_str().filter(|worker| workers.contains(worker));
            (part["state"] == "RUNNING")
                .then(|| worker.map(str::to_owned))
                .flatten()
        };
        let runners = all.map(runner).collect::<Option<Vec<_>>>()?;
        (runners.len() == tasks + 1).then_some(runners)
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(mut self) {
        self.process.signal("TERM");
        self.process.wait_for_exit(Duration::from_secs(90));
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.process.kill();
    }
}
