use std::{path::PathBuf, time::Duration};

use integration_tests::{
    Isolation, Jvm, KafkaDist, MirrorProperties, RealKafka, TestClient, Topic, report, target_dir, test_certificate,
    tls_listener, wait_until,
};

use crate::{usage::Tree, workload::Workload};

const SOURCE: &str = "source";
pub(crate) const TARGET: &str = "destination";
/// Topics of many partitions and no records.
const WIDE: &str = "wide-";
/// Of one of them: a controller creates fewer than 10,000 in one go.
const WIDE_PARTITIONS: i32 = 1_000;

/// The two Kafkas, and a client of each.
#[derive(Debug)]
pub(crate) struct Clusters {
    properties: Vec<(String, String)>,
    /// The ports of listeners with TLS, if there are any.
    tls: Option<[u16; 2]>,
    /// How many partitions there are that are mirrored besides.
    wide: i32,
    pub(crate) source: TestClient,
    pub(crate) target: TestClient,
    brokers: Vec<Tree>,
    /// Kept for their drop, which ends them.
    _kafkas: [RealKafka; 2],
}

impl Clusters {
    /// Starts them, one node each, with the flags of Kafka's own scripts. `properties` are one's wishes for every peer.
    pub(crate) fn start(dist: &'static KafkaDist, properties: &[(String, String)], tls: bool, wide: i32) -> Self {
        let broker = [
            // Kafka's defaults, which the scenarios' brokers do not have.
            ("num.network.threads", "3"),
            ("num.io.threads", "8"),
            ("log.cleaner.backoff.ms", "15000"),
            // What a run leaves is soon gone from the disk.
            ("log.segment.delete.delay.ms", "1000"),
        ];
        let start = |side, more: &[(&'static str, String)]| {
            let jvm = Jvm::AsShipped(&["-Xmx1g"]);
            let more = more.iter().map(|(key, value)| (*key, value.as_str()));
            let properties: Vec<_> = broker.into_iter().chain(more).collect();
            RealKafka::start_on(jvm, dist, &format!("bench-{side}"), 1, &properties)
        };
        let (kafkas, tls) = match tls {
            false => ([start(SOURCE, &[]), start(TARGET, &[])], None),
            true => {
                let [(source, one), (target, other)] = [tls_listener(), tls_listener()];
                ([start(SOURCE, &one), start(TARGET, &other)], Some([source, target]))
            }
        };
        let [mut source, target] = kafkas
            .each_ref()
            .map(|kafka| TestClient::new(&kafka.bootstrap_servers()));
        for first in (0..wide).step_by(WIDE_PARTITIONS as usize) {
            let partitions = WIDE_PARTITIONS.min(wide - first);
            source.create_topic(Topic::new(&format!("{WIDE}{first}"), partitions));
        }
        Self {
            properties: properties.to_vec(),
            tls,
            wide,
            source,
            target,
            brokers: kafkas.iter().flat_map(RealKafka::pids).map(Tree::of).collect(),
            _kafkas: kafkas,
        }
    }

    /// Fills the source, and has both brokers do once what they will do for every peer.
    pub(crate) fn load(&mut self, workload: &Workload) {
        let topic = workload.topic();
        report(&format!("loading {topic}: {:.0} MB", workload.megabytes()));
        workload.load(&self.source.bootstrap_servers(), &topic);
        let mut warm_up = *workload;
        warm_up.shrink(64);
        warm_up.load(&self.target.bootstrap_servers(), &topic);
        for partition in 0..workload.partitions {
            self.source.codecs(&topic, partition);
        }
        self.wipe();
    }

    /// Frees the source's disk.
    pub(crate) fn unload(&mut self, workload: &Workload) {
        self.delete_source(&workload.topic());
    }

    pub(crate) fn delete_source(&mut self, topic: &str) {
        self.source.delete_topic(topic);
        wait_gone(&mut self.source, |name| name == topic);
    }

    /// Forgets what a peer left: copies, offsets, syncs. Copies of wide topics stay: they are empty, and to delete thousands of
    /// partitions takes a broker minutes.
    pub(crate) fn wipe(&mut self) {
        let wide = copy_of(WIDE);
        delete(&mut self.target, |name| {
            !name.starts_with("__") && !name.starts_with(&wide)
        });
        delete(&mut self.source, |name| {
            name.starts_with("mm2-") || name == "heartbeats"
        });
    }

    /// A MirrorMaker 2 properties file that mirrors `topic`.
    pub(crate) fn mirror(&self, peer: &str, topic: &str, over_tls: bool, metrics: Option<u16>) -> PathBuf {
        let tls = self.tls.filter(|_| over_tls);
        let (source, target) = match tls {
            None => (self.source.bootstrap_servers(), self.target.bootstrap_servers()),
            Some([source, target]) => (format!("127.0.0.1:{source}"), format!("127.0.0.1:{target}")),
        };
        // The scenarios are in a hurry. This is what a user would write.
        let topics = match self.wide {
            0 => topic.to_owned(),
            _ => format!("{topic},{WIDE}.*"),
        };
        let mut mirror = MirrorProperties::new((SOURCE, &source), (TARGET, &target), &topics)
            .set("refresh.topics.interval.seconds", "5")
            .set("emit.checkpoints.interval.seconds", "5")
            .without("sync.topic.configs.interval.seconds")
            .without("emit.heartbeats.interval.seconds")
            .without("source.offset.flush.interval.ms")
            .without("destination.offset.flush.interval.ms");
        if tls.is_some() {
            let ca = test_certificate("ca.pem").display().to_string();
            for alias in [SOURCE, TARGET] {
                let key = |key: &str| format!("{alias}.{key}");
                mirror = mirror
                    .set(&key("security.protocol"), "SSL")
                    .set(&key("ssl.truststore.type"), "PEM")
                    .set(&key("ssl.truststore.location"), &ca);
            }
        }
        if let Some(port) = metrics {
            mirror = mirror
                .set("heliograph.metrics.listener", &format!("http://127.0.0.1:{port}"))
                .set("heliograph.metrics.max.partitions", "1000000");
        }
        for (key, value) in &self.properties {
            mirror = mirror.set(key, value);
        }
        let file = target_dir()
            .join("scenario-logs")
            .join(format!("bench-{peer}.properties"));
        mirror.write(&file);
        file
    }

    /// The CPU time that both brokers have used.
    pub(crate) fn brokers_cpu_seconds(&mut self) -> f64 {
        self.brokers.iter_mut().map(|broker| broker.usage().cpu_seconds).sum()
    }

    /// How many records of `topic` are on the target, once the copy has all its partitions.
    pub(crate) fn copied(&mut self, topic: &str, partitions: i32) -> u64 {
        let copy = copy_of(topic);
        if self.target.partition_count(&copy) != Some(partitions) {
            return 0;
        }
        let ends = (0..partitions).map(|p| self.target.log_end(&copy, p, Isolation::ReadUncommitted));
        ends.sum::<i64>() as u64
    }
}

pub(crate) fn copy_of(topic: &str) -> String {
    format!("{SOURCE}.{topic}")
}

fn delete(client: &mut TestClient, which: impl Fn(&str) -> bool) {
    for topic in client.topics().iter().filter(|name| which(name)) {
        client.delete_topic(topic);
    }
    wait_gone(client, which);
}

fn wait_gone(client: &mut TestClient, which: impl Fn(&str) -> bool) {
    wait_until("deleted topics to be gone", Duration::from_secs(300), || {
        let left = client.topics().iter().any(|name| which(name));
        (!left).then_some(())
    });
}
