//! Every key of Kafka 4.3.1's `AdminClientConfig`, `ConsumerConfig` and `ProducerConfig`, in one table each.
//!
//! Keys that have no effect here are listed too, so that a configuration that Kafka takes is taken.

use config_def::{ConfigDef, ConfigKey, Importance, Type, Validator, Value, key, security};

use super::offset_reset;

/// `AdminClientConfig`.
pub static ADMIN_CONFIG_DEF: ConfigDef = ConfigDef::new(&[ADMIN, COMMON, security::SSL, security::SASL]);
/// `ConsumerConfig`.
pub static CONSUMER_CONFIG_DEF: ConfigDef = ConfigDef::new(&[CONSUMER, COMMON, security::SSL, security::SASL]);
/// `ProducerConfig`.
pub static PRODUCER_CONFIG_DEF: ConfigDef = ConfigDef::new(&[PRODUCER, COMMON, security::SSL, security::SASL]);

static COMMON: &[ConfigKey] = &[
    key("client.dns.lookup", Type::String)
        .default("use_all_dns_ips")
        .validator(Validator::OneOf(&[
            "use_all_dns_ips",
            "resolve_canonical_bootstrap_servers_only",
        ]))
        .importance(Importance::Medium)
        .doc("Whether every address of a name is tried, or only bootstrap names are resolved to canonical ones."),
    key("config.providers", Type::List)
        .default("")
        .validator(Validator::LIST)
        .doc("Where ${provider:key} references in values are looked up."),
    key("metadata.max.age.ms", Type::Long)
        .default("300000")
        .validator(Validator::AtLeast(0))
        .doc("Ask for metadata anew after so long, even if nothing failed."),
    key("metadata.recovery.rebootstrap.trigger.ms", Type::Long)
        .default("300000")
        .validator(Validator::AtLeast(0))
        .doc("Begin again with bootstrap.servers when no metadata could be had for so long."),
    key("metadata.recovery.strategy", Type::String)
        .default("rebootstrap")
        .validator(Validator::OneOfIgnoringCase(&["REBOOTSTRAP", "NONE"]))
        .doc("What to do when no known broker answers: rebootstrap or none."),
    key("metric.reporters", Type::List)
        .default("org.apache.kafka.common.metrics.JmxReporter")
        .validator(Validator::LIST)
        .doc("Java metrics reporters; they have no meaning outside a JVM."),
    key("metrics.num.samples", Type::Int)
        .default("2")
        .validator(Validator::AtLeast(1))
        .doc("How many samples a metric keeps."),
    key("metrics.recording.level", Type::String)
        .default("INFO")
        .validator(Validator::OneOf(&["INFO", "DEBUG", "TRACE"]))
        .doc("Which metrics are recorded."),
    key("metrics.sample.window.ms", Type::Long)
        .default("30000")
        .validator(Validator::AtLeast(0))
        .doc("How long a sample of a metric lasts."),
    key("reconnect.backoff.max.ms", Type::Long)
        .default("1000")
        .validator(Validator::AtLeast(0))
        .doc("Wait at most so long before connecting again."),
    key("reconnect.backoff.ms", Type::Long)
        .default("50")
        .validator(Validator::AtLeast(0))
        .doc("Wait so long before connecting again; doubles with each failure."),
    key("request.timeout.ms", Type::Int)
        .default("30000")
        .validator(Validator::AtLeast(0))
        .importance(Importance::Medium)
        .doc("How long to wait for the answer to a request."),
    key("retry.backoff.max.ms", Type::Long)
        .default("1000")
        .validator(Validator::AtLeast(0))
        .doc("Wait at most so long before trying again."),
    key("retry.backoff.ms", Type::Long)
        .default("100")
        .validator(Validator::AtLeast(0))
        .doc("Wait so long before trying again; doubles with each failure."),
    security::SECURITY_PROTOCOL,
    key("security.providers", Type::String)
        .default_null()
        .doc("Java security providers; they have no meaning outside a JVM."),
    key("send.buffer.bytes", Type::Int)
        .default("131072")
        .validator(Validator::AtLeast(-1))
        .importance(Importance::Medium)
        .doc("The socket's send buffer; -1: the operating system's. Unless set, the operating system's is used."),
    key("socket.connection.setup.timeout.max.ms", Type::Long)
        .default("30000")
        .importance(Importance::Medium)
        .doc("Wait at most so long for a connection to be set up."),
    key("socket.connection.setup.timeout.ms", Type::Long)
        .default("10000")
        .importance(Importance::Medium)
        .doc("Wait so long for a connection to be set up; doubles with each failure."),
];

static ADMIN: &[ConfigKey] = &[
    key("bootstrap.controllers", Type::List)
        .default("")
        .validator(Validator::LIST)
        .importance(Importance::High)
        .doc("KRaft controllers to begin with, instead of brokers."),
    key("bootstrap.servers", Type::List)
        .default("")
        .validator(Validator::LIST)
        .importance(Importance::High)
        .doc("Brokers to begin with, as host:port; the cluster names the others."),
    key("client.id", Type::String)
        .default("")
        .importance(Importance::Medium)
        .doc("The name that brokers log and count our requests under."),
    key("connections.max.idle.ms", Type::Long)
        .default("300000")
        .importance(Importance::Medium)
        .doc("Close a connection after so long without traffic."),
    key("default.api.timeout.ms", Type::Int)
        .default("60000")
        .validator(Validator::AtLeast(0))
        .importance(Importance::Medium)
        .doc("How long a call may take in all, retries included."),
    key("enable.metrics.push", Type::Boolean)
        .default("false")
        .doc("Whether metrics are pushed to the cluster (KIP-714)."),
    key("receive.buffer.bytes", Type::Int)
        .default("65536")
        .validator(Validator::AtLeast(-1))
        .importance(Importance::Medium)
        .doc("The socket's receive buffer; -1: the operating system's. Unless set, the operating system's is used."),
    key("retries", Type::Int)
        .default("2147483647")
        .validator(Validator::Between(0, 2147483647))
        .doc("How often to try again; bounded by the timeouts."),
];

static CONSUMER: &[ConfigKey] = &[
    key("allow.auto.create.topics", Type::Boolean).default("true").importance(Importance::Medium).doc("Whether asking for a missing topic may create it."),
    key("auto.commit.interval.ms", Type::Int).default("5000").validator(Validator::AtLeast(0)).doc("How often offsets are committed when that happens by itself."),
    key("auto.offset.reset", Type::String).default("latest").validator(Validator::Rule { text: Some("[latest, earliest, none, by_duration:PnDTnHnMn.nS]"), check: offset_reset::check }).importance(Importance::Medium).doc("Where to begin without a usable offset: earliest, latest, none, or by_duration: and an ISO-8601 duration back from now."),
    key("bootstrap.servers", Type::List).validator(Validator::NON_EMPTY_LIST).importance(Importance::High).doc("Brokers to begin with, as host:port; the cluster names the others."),
    key("check.crcs", Type::Boolean).default("true").doc("Whether the checksum of each fetched batch is verified."),
    key("client.id", Type::String).default("").doc("The name that brokers log and count our requests under."),
    key("client.rack", Type::String).default("").doc("Where we are, so that a replica nearby may serve us."),
    key("connections.max.idle.ms", Type::Long).default("540000").importance(Importance::Medium).doc("Close a connection after so long without traffic."),
    key("default.api.timeout.ms", Type::Int).default("60000").validator(Validator::AtLeast(0)).importance(Importance::Medium).doc("How long a call may take in all, retries included."),
    key("enable.auto.commit", Type::Boolean).default("true").importance(Importance::Medium).doc("Whether offsets are committed in the background."),
    key("enable.metrics.push", Type::Boolean).default("true").doc("Whether metrics are pushed to the cluster (KIP-714)."),
    key("exclude.internal.topics", Type::Boolean).default("true").importance(Importance::Medium).doc("Whether patterns leave out internal topics."),
    key("fetch.max.bytes", Type::Int).default("52428800").validator(Validator::AtLeast(0)).importance(Importance::Medium).doc("How much a broker may send in one fetch response."),
    key("fetch.max.wait.ms", Type::Int).default("500").validator(Validator::AtLeast(0)).doc("How long a broker may wait for fetch.min.bytes."),
    key("fetch.min.bytes", Type::Int).default("1").validator(Validator::AtLeast(0)).importance(Importance::High).doc("How much a broker should have before it answers a fetch."),
    key("group.id", Type::String).default_null().importance(Importance::High).doc("The consumer group."),
    key("group.instance.id", Type::String).default_null().validator(Validator::NonEmptyString).importance(Importance::Medium).doc("The name of a static member of the group."),
    key("group.protocol", Type::String).default("classic").validator(Validator::OneOfIgnoringCase(&["CONSUMER", "CLASSIC"])).importance(Importance::High).doc("The group protocol: classic or consumer."),
    key("group.remote.assignor", Type::String).default_null().importance(Importance::Medium).doc("The assignor on the broker, for group.protocol=consumer."),
    key("heartbeat.interval.ms", Type::Int).default("3000").importance(Importance::High).doc("How often a group member says that it is alive."),
    key("interceptor.classes", Type::List).default("").validator(Validator::LIST).doc("Java interceptors; they have no meaning outside a JVM."),
    key("internal.throw.on.fetch.stable.offset.unsupported", Type::Boolean).default("false").doc("For Kafka Streams only."),
    key("isolation.level", Type::String).default("read_uncommitted").validator(Validator::OneOf(&["read_committed", "read_uncommitted"])).importance(Importance::Medium).doc("Whether records of open and aborted transactions are read."),
    key("key.deserializer", Type::Class).default_null().importance(Importance::High).doc("The Java class that reads keys; here keys stay bytes."),
    key("max.partition.fetch.bytes", Type::Int).default("1048576").validator(Validator::AtLeast(0)).importance(Importance::High).doc("How much a broker may send of one partition in a fetch response."),
    key("max.poll.interval.ms", Type::Int).default("300000").validator(Validator::AtLeast(1)).importance(Importance::Medium).doc("How long a group member may go without polling."),
    key("max.poll.records", Type::Int).default("500").validator(Validator::AtLeast(1)).importance(Importance::Medium).doc("How many records a poll returns at most."),
    key("partition.assignment.strategy", Type::List).default("org.apache.kafka.clients.consumer.RangeAssignor,org.apache.kafka.clients.consumer.CooperativeStickyAssignor").validator(Validator::LIST).importance(Importance::Medium).doc("How a consumer group shares its partitions."),
    key("receive.buffer.bytes", Type::Int).default("65536").validator(Validator::AtLeast(-1)).importance(Importance::Medium).doc("The socket's receive buffer; -1: the operating system's. Unless set, the operating system's is used."),
    key("session.timeout.ms", Type::Int).default("45000").importance(Importance::High).doc("Leave a group member for dead after so long without a heartbeat."),
    key("share.acknowledgement.mode", Type::String).default("implicit").validator(Validator::OneOf(&["implicit", "explicit"])).importance(Importance::Medium).doc("How a share consumer acknowledges records."),
    key("share.acquire.mode", Type::String).default("BATCH_OPTIMIZED").validator(Validator::Rule {
            text: Some("[batch_optimized, record_limit]"),
            check: share_acquire_mode,
        }).importance(Importance::Medium).doc("How a share consumer acquires records."),
    key("value.deserializer", Type::Class).default_null().importance(Importance::High).doc("The Java class that reads values; here values stay bytes."),
];

static PRODUCER: &[ConfigKey] = &[
    key("acks", Type::String)
        .default("all")
        .validator(Validator::OneOf(&["all", "-1", "0", "1"]))
        .doc("How many replicas must have a record before it counts as written."),
    key("batch.size", Type::Int)
        .default("16384")
        .validator(Validator::AtLeast(0))
        .importance(Importance::Medium)
        .doc("How large a batch of one partition may grow, in bytes."),
    key("bootstrap.servers", Type::List)
        .validator(Validator::NON_EMPTY_LIST)
        .importance(Importance::High)
        .doc("Brokers to begin with, as host:port; the cluster names the others."),
    key("buffer.memory", Type::Long)
        .default("33554432")
        .validator(Validator::AtLeast(0))
        .importance(Importance::High)
        .doc("How many bytes of unsent and unacknowledged records may be held."),
    key("client.id", Type::String)
        .default("")
        .importance(Importance::Medium)
        .doc("The name that brokers log and count our requests under."),
    key("compression.gzip.level", Type::Int)
        .default("-1")
        .validator(Validator::Rule {
            text: Some("[1,...,9] or -1"),
            check: gzip_level,
        })
        .importance(Importance::Medium)
        .doc("The level for gzip; -1 is the default one."),
    key("compression.lz4.level", Type::Int)
        .default("9")
        .validator(Validator::Between(1, 17))
        .importance(Importance::Medium)
        .doc("The level for lz4."),
    key("compression.type", Type::String)
        .default("none")
        .validator(Validator::OneOf(&["none", "gzip", "snappy", "lz4", "zstd"]))
        .importance(Importance::High)
        .doc("The codec for batches: none, gzip, snappy, lz4 or zstd."),
    key("compression.zstd.level", Type::Int)
        .default("3")
        .validator(Validator::Between(-131072, 22))
        .importance(Importance::Medium)
        .doc("The level for zstd."),
    key("connections.max.idle.ms", Type::Long)
        .default("540000")
        .importance(Importance::Medium)
        .doc("Close a connection after so long without traffic."),
    key("delivery.timeout.ms", Type::Int)
        .default("120000")
        .validator(Validator::AtLeast(0))
        .importance(Importance::Medium)
        .doc("How long a record may take until it is acknowledged or given up."),
    key("enable.idempotence", Type::Boolean)
        .default("true")
        .doc("Whether retries are kept from writing twice."),
    key("enable.metrics.push", Type::Boolean)
        .default("true")
        .doc("Whether metrics are pushed to the cluster (KIP-714)."),
    key("interceptor.classes", Type::List)
        .default("")
        .validator(Validator::LIST)
        .doc("Java interceptors; they have no meaning outside a JVM."),
    key("key.serializer", Type::Class)
        .default_null()
        .importance(Importance::High)
        .doc("The Java class that writes keys; here keys stay bytes."),
    key("linger.ms", Type::Long)
        .default("5")
        .validator(Validator::AtLeast(0))
        .importance(Importance::Medium)
        .doc("How long a batch may wait to fill."),
    key("max.block.ms", Type::Long)
        .default("60000")
        .validator(Validator::AtLeast(0))
        .importance(Importance::Medium)
        .doc("How long sending may wait for memory or metadata."),
    key("max.in.flight.requests.per.connection", Type::Int)
        .default("5")
        .validator(Validator::AtLeast(1))
        .doc("How many requests may be unanswered on a connection."),
    key("max.request.size", Type::Int)
        .default("1048576")
        .validator(Validator::AtLeast(0))
        .importance(Importance::Medium)
        .doc("How large a request, and so a batch, may be."),
    key("metadata.max.idle.ms", Type::Long)
        .default("300000")
        .validator(Validator::AtLeast(5000))
        .doc("Forget a topic that was not written to for so long."),
    key("partitioner.adaptive.partitioning.enable", Type::Boolean)
        .default("true")
        .doc("Whether slow brokers get fewer records."),
    key("partitioner.availability.timeout.ms", Type::Long)
        .default("0")
        .validator(Validator::AtLeast(0))
        .doc("Leave out partitions whose broker takes no requests for so long; 0: never."),
    key("partitioner.class", Type::Class)
        .default_null()
        .importance(Importance::Medium)
        .doc("The Java class that picks partitions."),
    key("partitioner.ignore.keys", Type::Boolean)
        .default("false")
        .importance(Importance::Medium)
        .doc("Whether keys have no say in the partition."),
    key("receive.buffer.bytes", Type::Int)
        .default("32768")
        .validator(Validator::AtLeast(-1))
        .importance(Importance::Medium)
        .doc("The socket's receive buffer; -1: the operating system's. Unless set, the operating system's is used."),
    key("retries", Type::Int)
        .default("2147483647")
        .validator(Validator::Between(0, 2147483647))
        .importance(Importance::High)
        .doc("How often to try again; bounded by the timeouts."),
    key("transaction.timeout.ms", Type::Int)
        .default("60000")
        .doc("The coordinator aborts a transaction after so long."),
    key("transaction.two.phase.commit.enable", Type::Boolean)
        .default("false")
        .doc("Whether an outside coordinator ends transactions."),
    key("transactional.id", Type::String)
        .default_null()
        .validator(Validator::NonEmptyString)
        .doc("The name under which transactions survive a restart."),
    key("value.serializer", Type::Class)
        .default_null()
        .importance(Importance::High)
        .doc("The Java class that writes values; here values stay bytes."),
];

fn gzip_level(value: &Value) -> Result<(), String> {
    match value {
        Value::Int(-1 | 1..=9) => Ok(()),
        _ => Err("Value must be between 1 and 9 or equal to -1".to_owned()),
    }
}

/// Unlike its text, Kafka takes it in any case; its own default is in capitals.
fn share_acquire_mode(value: &Value) -> Result<(), String> {
    match value {
        Value::String(text) if ["batch_optimized", "record_limit"].contains(&text.to_lowercase().as_str()) => Ok(()),
        _ => Err("must be one of: batch_optimized, record_limit".to_owned()),
    }
}
