//! Every key of a distributed worker (`DistributedConfig`), for parsing, validation and docs.

use config_def::{
    ConfigDef, ConfigError, ConfigErrors, ConfigKey, Importance, Props, Type, Validator, Value, key, security,
};
use connect_api::connector_config::{CONVERTER_CLASSES, HEADER_CONVERTER_CLASSES};

use crate::herder::RESTART_KEYS;

/// Algorithms that requests between workers can be signed with, and keys made for.
pub const SIGNATURE_ALGORITHMS: &[&str] = &["HmacSHA1", "HmacSHA256", "HmacSHA384", "HmacSHA512"];

const SIGNATURE_ALGORITHM_KEY: &str = "inter.worker.signature.algorithm";
const VERIFICATION_ALGORITHMS_KEY: &str = "inter.worker.verification.algorithms";

/// At least one URL; which are usable is seen when the server starts.
pub const LISTENERS: Validator = Validator::Custom {
    text: Some("List of comma-separated URLs, ex: http://localhost:8080,https://localhost:8443."),
    check: |name, value| match value {
        Value::List(urls) if urls.iter().any(String::is_empty) => {
            Err(ConfigError::new(name, "Empty URL found when parsing listeners list."))
        }
        Value::List(urls) if !urls.is_empty() => Ok(()),
        _ => Err(ConfigError::new(
            name,
            "Invalid value for listeners, at least one URL is expected, ex: http://localhost:8080,https://localhost:8443.",
        )),
    },
};

/// Rules of the form `[action] [header name]:[header value]`.
pub const RESPONSE_HEADERS: Validator = Validator::Custom {
    text: Some(
        "Comma-separated header rules, where each header rule is of the form '[action] [header name]:[header value]' and \
         optionally surrounded by double quotes if any part of a header rule contains a comma",
    ),
    check: |name, value| match value {
        Value::String(rules) => header_rules(rules)
            .map(|_| ())
            .map_err(|why| ConfigError::new(name, why)),
        _ => Ok(()),
    },
};

const PARTITIONS: Validator = Validator::Rule {
    text: Some("Positive number, or -1 to use the broker's default"),
    check: |value| match value {
        Value::Int(-1 | 1..) | Value::Null => Ok(()),
        _ => Err("Number of partitions must be positive, or -1 to use the broker's default".to_owned()),
    },
};

const REPLICATION_FACTOR: Validator = Validator::Rule {
    text: Some(
        "Positive number not larger than the number of brokers in the Kafka cluster, or -1 to use the broker's default",
    ),
    check: |value| match value {
        Value::Short(-1 | 1..) | Value::Null => Ok(()),
        _ => Err(
            "Replication factor must be positive and not larger than the number of brokers in the Kafka cluster, \
                  or -1 to use the broker's default"
                .to_owned(),
        ),
    },
};

const PROTOCOL: Validator = Validator::Rule {
    text: Some("[eager, compatible, sessioned]"),
    check: |value| match value {
        Value::String(name) if ["eager", "compatible", "sessioned"].contains(&&*name.to_lowercase()) => Ok(()),
        _ => Err("Invalid Connect protocol compatibility".to_owned()),
    },
};

const KEY_GENERATOR: Validator = Validator::Rule {
    text: Some("Any KeyGenerator algorithm supported by the worker JVM"),
    check: algorithm,
};

const SIGNATURE_ALGORITHM: Validator = Validator::Rule {
    text: Some("Any MAC algorithm supported by the worker JVM"),
    check: algorithm,
};

const VERIFICATION_ALGORITHMS: Validator = Validator::Custom {
    text: Some("A list of one or more MAC algorithms, each supported by the worker JVM"),
    check: |name, value| {
        let Value::List(algorithms) = value else { return Ok(()) };
        if algorithms.is_empty() {
            let why = "At least one signature verification algorithm must be provided";
            return Err(ConfigError::invalid(name, value, why));
        }
        for one in algorithms {
            algorithm(&Value::String(one.clone())).map_err(|why| ConfigError::invalid(name, one, why))?;
        }
        Ok(())
    },
};

static WORKER_KEYS: &[ConfigKey] = &[
    key("bootstrap.servers", Type::List)
        .validator(Validator::NON_EMPTY_LIST)
        .importance(Importance::High)
        .doc("Brokers to connect to first, as host:port."),
    key("client.dns.lookup", Type::String)
        .default("use_all_dns_ips")
        .validator(Validator::OneOf(&[
            "use_all_dns_ips",
            "resolve_canonical_bootstrap_servers_only",
        ]))
        .importance(Importance::Medium)
        .doc("Whether to try every address of a host name, or to resolve bootstrap names to canonical ones."),
    key("key.converter", Type::Class)
        .classes(CONVERTER_CLASSES)
        .importance(Importance::High)
        .doc("How record keys are turned into bytes."),
    key("key.converter.plugin.version", Type::String)
        .default_null()
        .doc("The version of the key converter to load."),
    key("value.converter", Type::Class)
        .classes(CONVERTER_CLASSES)
        .importance(Importance::High)
        .doc("How record values are turned into bytes."),
    key("value.converter.plugin.version", Type::String)
        .default_null()
        .doc("The version of the value converter to load."),
    key("task.shutdown.graceful.timeout.ms", Type::Long)
        .default("5000")
        .doc("How long tasks may take to stop, all together."),
    key("offset.flush.interval.ms", Type::Long)
        .default("60000")
        .doc("How often source offsets are committed."),
    key("offset.flush.timeout.ms", Type::Long)
        .default("5000")
        .doc("How long one commit of source offsets may take."),
    key("plugin.path", Type::List)
        .default_null()
        .validator(Validator::List {
            of: &[],
            empty_allowed: false,
            null_allowed: true,
        })
        .doc("Directories with Java plug-ins; nothing is loaded from them."),
    key("plugin.discovery", Type::String)
        .default("hybrid_warn")
        .validator(Validator::OneOfIgnoringCase(&[
            "ONLY_SCAN",
            "SERVICE_LOAD",
            "HYBRID_WARN",
            "HYBRID_FAIL",
        ]))
        .doc("How Java plug-ins are found; nothing is loaded."),
    key("metrics.sample.window.ms", Type::Long)
        .default("30000")
        .validator(Validator::AtLeast(0))
        .doc("How long one sample of a metric lasts."),
    key("metrics.num.samples", Type::Int)
        .default("2")
        .validator(Validator::AtLeast(1))
        .doc("How many samples a metric is made of."),
    key("metrics.recording.level", Type::String)
        .default("INFO")
        .validator(Validator::OneOf(&["INFO", "DEBUG"]))
        .doc("How detailed the metrics are."),
    key("metric.reporters", Type::List)
        .default("org.apache.kafka.common.metrics.JmxReporter")
        .validator(Validator::LIST)
        .doc("Java classes that report metrics."),
    key("header.converter", Type::Class)
        .default("org.apache.kafka.connect.storage.SimpleHeaderConverter")
        .classes(HEADER_CONVERTER_CLASSES)
        .doc("How header values are turned into bytes."),
    key("header.converter.plugin.version", Type::String)
        .default_null()
        .doc("The version of the header converter to load."),
    key("config.providers", Type::List)
        .default("")
        .validator(Validator::LIST)
        .doc("Names of the providers that resolve `${name:path:key}` in values."),
    key("connector.client.config.override.policy", Type::String)
        .default("All")
        .importance(Importance::Medium)
        .doc("Which client settings a connector may override: All, None, Principal or Allowlist."),
    key("topic.creation.enable", Type::Boolean)
        .default("true")
        .doc("Whether source connectors with topic.creation settings may create topics."),
];

static REST_KEYS: &[ConfigKey] = &[
    key("topic.tracking.enable", Type::Boolean)
        .default("true")
        .doc("Whether the topics that a connector uses are recorded."),
    key("topic.tracking.allow.reset", Type::Boolean)
        .default("true")
        .doc("Whether the recorded topics may be reset over REST."),
    key("listeners", Type::List)
        .default("http://:8083")
        .validator(LISTENERS)
        .doc("Addresses of the REST server, as URLs."),
    key("rest.advertised.host.name", Type::String)
        .default_null()
        .doc("The host name that other workers reach this one by."),
    key("rest.advertised.port", Type::Int)
        .default_null()
        .doc("The port that other workers reach this one by."),
    key("rest.advertised.listener", Type::String)
        .default_null()
        .doc("Which listener other workers are to use: http or https."),
    key("access.control.allow.origin", Type::String)
        .default("")
        .doc("The Access-Control-Allow-Origin header for cross-origin requests; empty: none."),
    key("access.control.allow.methods", Type::String)
        .default("")
        .doc("The methods allowed to cross-origin requests; empty: GET, POST and HEAD."),
    key("response.http.headers.config", Type::String)
        .default("")
        .validator(RESPONSE_HEADERS)
        .doc("Rules that set or add headers of REST answers."),
    key("ssl.client.auth", Type::String)
        .default("none")
        .validator(Validator::OneOf(&["required", "requested", "none"]))
        .doc("Whether the REST server asks its clients for a certificate."),
    key("rest.extension.classes", Type::List)
        .default("")
        .validator(Validator::LIST)
        .doc("Java classes that extend the REST server; only Kafka's own for user names and passwords."),
    key("admin.listeners", Type::List)
        .default_null()
        .validator(Validator::List {
            of: &[],
            empty_allowed: true,
            null_allowed: true,
        })
        .doc(
            "Separate addresses for the /admin endpoints; empty: no admin endpoints; unset: those of the REST server.",
        ),
];

static GROUP_KEYS: &[ConfigKey] = &[
    key("group.id", Type::String)
        .importance(Importance::High)
        .doc("Names the Connect cluster that this worker belongs to."),
    key("session.timeout.ms", Type::Int)
        .default("10000")
        .importance(Importance::High)
        .doc("After how long without a heartbeat a worker is taken for dead."),
    key("rebalance.timeout.ms", Type::Int)
        .default("60000")
        .importance(Importance::High)
        .doc("How long a worker may take to rejoin the group in a rebalance."),
    key("heartbeat.interval.ms", Type::Int)
        .default("3000")
        .importance(Importance::High)
        .doc("How often a worker tells the group coordinator that it lives."),
    key("exactly.once.source.support", Type::String)
        .default("disabled")
        .validator(Validator::OneOfIgnoringCase(&["DISABLED", "ENABLED", "PREPARING"]))
        .importance(Importance::High)
        .doc("Whether source connectors can write with transactions: disabled, preparing or enabled."),
    key("metadata.max.age.ms", Type::Long)
        .default("300000")
        .validator(Validator::AtLeast(0))
        .doc("After how long metadata is fetched again even if nothing changed."),
    key("client.id", Type::String)
        .default("")
        .doc("A name that the brokers' logs and quotas know this client by."),
    key("send.buffer.bytes", Type::Int)
        .default("131072")
        .validator(Validator::AtLeast(-1))
        .importance(Importance::Medium)
        .doc("Size of the socket's send buffer; -1: the system's own."),
    key("receive.buffer.bytes", Type::Int)
        .default("32768")
        .validator(Validator::AtLeast(-1))
        .importance(Importance::Medium)
        .doc("Size of the socket's receive buffer; -1: the system's own."),
    key("reconnect.backoff.ms", Type::Long)
        .default("50")
        .validator(Validator::AtLeast(0))
        .doc("The first pause before connecting again to a broker."),
    key("reconnect.backoff.max.ms", Type::Long)
        .default("1000")
        .validator(Validator::AtLeast(0))
        .doc("The longest pause before connecting again to a broker."),
    key("socket.connection.setup.timeout.ms", Type::Long)
        .default("10000")
        .validator(Validator::AtLeast(0))
        .doc("How long the first try to connect may take."),
    key("socket.connection.setup.timeout.max.ms", Type::Long)
        .default("30000")
        .validator(Validator::AtLeast(0))
        .doc("How long any try to connect may take."),
    key("retry.backoff.ms", Type::Long)
        .default("100")
        .validator(Validator::AtLeast(0))
        .doc("The first pause before a failed request is sent again."),
    key("retry.backoff.max.ms", Type::Long)
        .default("1000")
        .validator(Validator::AtLeast(0))
        .doc("The longest pause before a failed request is sent again."),
    key("request.timeout.ms", Type::Int)
        .default("40000")
        .validator(Validator::AtLeast(0))
        .importance(Importance::Medium)
        .doc("How long to wait for the answer to a request."),
    key("connections.max.idle.ms", Type::Long)
        .default("540000")
        .importance(Importance::Medium)
        .doc("After how long an unused connection is closed."),
];

static DISTRIBUTED_KEYS: &[ConfigKey] = &[
    key("worker.sync.timeout.ms", Type::Int)
        .default("3000")
        .importance(Importance::Medium)
        .doc(
            "How long a worker that lags behind may try to catch up with the config topic before it leaves the group.",
        ),
    key("worker.unsync.backoff.ms", Type::Int)
        .default("300000")
        .importance(Importance::Medium)
        .doc("How long a worker that could not catch up stays away from the group."),
    key("offset.storage.topic", Type::String)
        .importance(Importance::High)
        .doc("The topic with the source offsets."),
    key("offset.storage.partitions", Type::Int)
        .default("25")
        .validator(PARTITIONS)
        .doc("Partitions of that topic when it is created."),
    key("offset.storage.replication.factor", Type::Short)
        .default("3")
        .validator(REPLICATION_FACTOR)
        .doc("Replication factor of that topic when it is created."),
    key("config.storage.topic", Type::String)
        .importance(Importance::High)
        .doc("The topic with the connectors' configurations."),
    key("config.storage.replication.factor", Type::Short)
        .default("3")
        .validator(REPLICATION_FACTOR)
        .doc("Replication factor of that topic when it is created."),
    key("status.storage.topic", Type::String)
        .importance(Importance::High)
        .doc("The topic with the states of connectors and tasks."),
    key("status.storage.partitions", Type::Int)
        .default("5")
        .validator(PARTITIONS)
        .doc("Partitions of that topic when it is created."),
    key("status.storage.replication.factor", Type::Short)
        .default("3")
        .validator(REPLICATION_FACTOR)
        .doc("Replication factor of that topic when it is created."),
    key("connect.protocol", Type::String)
        .default("sessioned")
        .validator(PROTOCOL)
        .doc("How workers share the work: eager, compatible or sessioned."),
    key("scheduled.rebalance.max.delay.ms", Type::Int)
        .default("300000")
        .validator(Validator::Between(0, 2_147_483_647))
        .doc("How long the work of a lost worker waits for its return."),
    key("inter.worker.key.ttl.ms", Type::Int)
        .default("3600000")
        .validator(Validator::Between(0, 2_147_483_647))
        .doc("How long a session key between workers is used."),
    key("inter.worker.key.generation.algorithm", Type::String)
        .default("HmacSHA256")
        .validator(KEY_GENERATOR)
        .doc("The algorithm that makes session keys."),
    key("inter.worker.key.size", Type::Int)
        .default_null()
        .doc("The size of session keys in bits; unset: the algorithm's own."),
    key("inter.worker.signature.algorithm", Type::String)
        .default("HmacSHA256")
        .validator(SIGNATURE_ALGORITHM)
        .doc("The algorithm that signs requests between workers."),
    key("inter.worker.verification.algorithms", Type::List)
        .default("HmacSHA256")
        .validator(VERIFICATION_ALGORITHMS)
        .doc("The signature algorithms that are accepted from other workers."),
    key("metadata.recovery.strategy", Type::String)
        .default("rebootstrap")
        .validator(Validator::OneOfIgnoringCase(&["REBOOTSTRAP", "NONE"]))
        .doc("What to do when no known broker answers: begin again with bootstrap.servers, or nothing."),
    key("metadata.recovery.rebootstrap.trigger.ms", Type::Long)
        .default("300000")
        .validator(Validator::AtLeast(0))
        .doc("After how long without metadata to begin again with bootstrap.servers."),
];

/// What dedicated mode adds to Kafka's.
static DEDICATED_KEYS: &[ConfigKey] = &[
    key("heliograph.rest.listeners", Type::String)
        .default_null()
        .doc("Where everybody can look at the flows of dedicated mode over HTTP, changing nothing; unset: nowhere."),
    key("heliograph.rest.limits.enabled", Type::Boolean)
        .default("false")
        .doc("Whether limits of bytes per second may be changed there, until the process ends."),
];

/// Where metrics can be read, and how many labels they may have. Whoever serves them reads these.
pub const METRICS_KEYS: &[ConfigKey] = &[
    key("heliograph.metrics.listener", Type::String)
        .default_null()
        .doc("Where metrics are served beside the REST listeners: http://host:port or https://host:port."),
    key("heliograph.metrics.max.partitions", Type::Int)
        .default("2000")
        .validator(Validator::AtLeast(0))
        .doc("How many partitions have metrics of their own; the others are added up per flow."),
];

/// What the REST server has besides Kafka's keys.
pub const REST_OWN_KEYS: &[ConfigKey] = &[
    key("heliograph.rest.mask.secrets", Type::Boolean).default("false").doc(
        "Whether answers show [hidden] instead of passwords and the like; a configuration sent back with it keeps them.",
    ),
    key("heliograph.rest.priority.enabled", Type::Boolean)
        .default("true")
        .doc("Whether less is copied while REST is asked again and again and this process does not get its turn in time."),
];

/// [`CONFIG_DEF`] and the keys that Kafka's worker does not have: for whoever tells known keys from unknown ones.
pub static KNOWN_KEYS: ConfigDef = ConfigDef::new(&[
    WORKER_KEYS,
    security::SSL,
    REST_KEYS,
    GROUP_KEYS,
    &[security::SECURITY_PROTOCOL],
    security::SASL,
    DISTRIBUTED_KEYS,
    RESTART_KEYS,
    METRICS_KEYS,
    REST_OWN_KEYS,
    DEDICATED_KEYS,
]);

/// The table of a distributed worker.
pub static CONFIG_DEF: ConfigDef = ConfigDef::new(&[
    WORKER_KEYS,
    security::SSL,
    REST_KEYS,
    GROUP_KEYS,
    &[security::SECURITY_PROTOCOL],
    security::SASL,
    DISTRIBUTED_KEYS,
]);

/// The table of a standalone worker.
pub static STANDALONE_CONFIG_DEF: ConfigDef = ConfigDef::new(&[
    WORKER_KEYS,
    security::SSL,
    REST_KEYS,
    &[key("offset.storage.file.filename", Type::String)
        .importance(Importance::High)
        .doc("The file with the source offsets.")],
]);

/// The part of the table that the REST server reads (`RestServerConfig`), but for TLS.
pub static REST_CONFIG_DEF: ConfigDef = ConfigDef::new(&[REST_KEYS]);

/// Everything that is wrong with a worker's properties. Keys that are not in the table are the internal clients'.
pub fn validate(props: &Props) -> Result<(), ConfigErrors> {
    let values = CONFIG_DEF.parse(props)?;
    let signature = values.string(SIGNATURE_ALGORITHM_KEY);
    if values
        .list(VERIFICATION_ALGORITHMS_KEY)
        .iter()
        .any(|known| known == signature)
    {
        return Ok(());
    }
    let why = format!("Signature algorithm must be present in {VERIFICATION_ALGORITHMS_KEY} list");
    Err(ConfigError::invalid(SIGNATURE_ALGORITHM_KEY, signature, why).into())
}

/// What a header rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderAction {
    /// Replaces the header.
    Set,
    /// Adds another of the name.
    Add,
    /// Replaces the header; the value is milliseconds of Unix time, written as a date.
    SetDate,
    /// Adds another of the name, likewise.
    AddDate,
}

/// One rule of `response.http.headers.config`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderRule {
    /// What to do.
    pub action: HeaderAction,
    /// With which header.
    pub name: String,
    /// And which value.
    pub value: String,
}

/// Reads `response.http.headers.config`, with Kafka's messages. A rule with a comma stands in double quotes.
pub fn header_rules(text: &str) -> Result<Vec<HeaderRule>, String> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    split_outside_quotes(text)
        .iter()
        .map(|rule| header_rule(rule))
        .collect()
}

fn header_rule(rule: &str) -> Result<HeaderRule, String> {
    let rule = rule.trim();
    let Some((action, header)) = rule.split_once(char::is_whitespace) else {
        return Err(format!(
            "Invalid format of header config '{rule}'. Expected: '[action] [header name]:[header value]'"
        ));
    };
    let action = match action.to_ascii_lowercase().as_str() {
        "set" => HeaderAction::Set,
        "add" => HeaderAction::Add,
        "setdate" => HeaderAction::SetDate,
        "adddate" => HeaderAction::AddDate,
        _ => {
            return Err(format!(
                "Invalid header config action: '{action}'. Expected one of [set, add, setDate, addDate]"
            ));
        }
    };
    let header = header.trim();
    let Some((name, value)) = header.split_once(':').filter(|(_, value)| !value.is_empty()) else {
        return Err(format!(
            "Invalid format of header name and header value pair '{header}'. Expected: '[header name]:[header value]'"
        ));
    };
    let name = name.trim();
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(format!(
            "Invalid header name '{name}'. The '[header name]' cannot contain whitespace"
        ));
    }
    Ok(HeaderRule {
        action,
        name: name.to_owned(),
        value: value.trim().to_owned(),
    })
}

/// The parts between commas, quotes taken off.
fn split_outside_quotes(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    for character in text.chars() {
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted => parts.push(String::new()),
            other => parts.last_mut().expect("there is always a part").push(other),
        }
    }
    parts
}

/// Java's names of algorithms are read in any case.
fn algorithm(value: &Value) -> Result<(), String> {
    let Value::String(name) = value else { return Ok(()) };
    if SIGNATURE_ALGORITHMS
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name))
    {
        return Ok(());
    }
    Err(format!(
        "the algorithm is not supported by this worker; the supported algorithms are: [{}]",
        SIGNATURE_ALGORITHMS.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use config_def::DefaultValue;

    use super::*;

    #[test]
    fn the_tables_are_sound() {
        assert_eq!(CONFIG_DEF.faults(), Vec::<String>::new());
        assert_eq!(STANDALONE_CONFIG_DEF.faults(), Vec::<String>::new());
    }

    #[test]
    fn the_tables_are_those_of_kafka_4_3_1() {
        for (table, recorded) in [
            (CONFIG_DEF, include_str!("../testdata/config-distributed-worker.json")),
            (
                STANDALONE_CONFIG_DEF,
                include_str!("../testdata/config-standalone-worker.json"),
            ),
        ] {
            let recorded: Vec<serde_json::Value> = serde_json::from_str(recorded).expect("valid JSON");
            assert_eq!(table.keys().count(), recorded.len());
            for ((index, ours), mut recorded) in table.keys().enumerate().zip(recorded) {
                recorded.as_object_mut().expect("an object").remove("has_recommender");
                assert_eq!(as_recorded(index, ours), recorded);
            }
        }
    }

    /// The server's own table has the keys in another order; that of the worker's is what is seen.
    #[test]
    fn the_rest_servers_keys_are_those_of_kafka_4_3_1() {
        let recorded = include_str!("../testdata/config-rest-server.json");
        let recorded: serde_json::Value = serde_json::from_str(recorded).expect("valid JSON");
        let recorded = recorded["PublicConfig"].as_array().expect("a list");
        let ours = || security::SSL.iter().copied().chain(REST_CONFIG_DEF.keys().copied());
        assert_eq!(ours().count(), recorded.len());
        for (index, key) in recorded.iter().enumerate() {
            let found = ours().find(|ours| key["name"] == ours.name);
            let mut key = key.clone();
            key.as_object_mut().expect("an object").remove("has_recommender");
            assert_eq!(found.map(|ours| as_recorded(index, &ours)), Some(key));
        }
    }

    fn as_recorded(index: usize, key: &ConfigKey) -> serde_json::Value {
        serde_json::json!({
            "index": index,
            "name": key.name,
            "type": key.kind.name(),
            "required": key.is_required(),
            "default": match key.default {
                DefaultValue::Text(text) => Some(text),
                DefaultValue::Null | DefaultValue::Required => None,
            },
            "importance": key.importance.name(),
            "width": key.width.name(),
            "group": key.group,
            "order": key.order,
            "display_name": key.display(),
            "dependents": key.dependents,
            "validator": key.validator.text(),
            "internal": false,
        })
    }

    fn minimal() -> Props {
        let keys = [
            ("bootstrap.servers", "b:1"),
            ("group.id", "g"),
            (
                "key.converter",
                "org.apache.kafka.connect.converters.ByteArrayConverter",
            ),
            ("value.converter", "ByteArrayConverter"),
            ("config.storage.topic", "c"),
            ("offset.storage.topic", "o"),
            ("status.storage.topic", "s"),
        ];
        keys.iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_minimal_worker_passes_and_an_empty_one_misses_seven_keys() {
        assert_eq!(validate(&minimal()), Ok(()));
        assert_eq!(validate(&Props::new()).expect_err("all are missing").0.len(), 7);
    }

    /// The messages were printed by Kafka 4.3.1's own `DistributedConfig` (but for the list of algorithms).
    #[test]
    fn messages_are_kafkas() {
        let check = |key: &str, value: &str, expected: &str| {
            let mut props = minimal();
            props.insert(key.to_owned(), value.to_owned());
            let message = validate(&props).map_or_else(|errors| errors.to_string(), |()| "ok".to_owned());
            assert_eq!(message, expected, "{key}={value}");
        };
        let partitions = "Number of partitions must be positive, or -1 to use the broker's default";
        let key = "offset.storage.partitions";
        check(
            key,
            "0",
            &format!("Invalid value 0 for configuration {key}: {partitions}"),
        );
        check(
            key,
            "-2",
            &format!("Invalid value -2 for configuration {key}: {partitions}"),
        );
        check(key, "-1", "ok");
        check(
            "listeners",
            "",
            "Invalid value for listeners, at least one URL is expected, ex: http://localhost:8080,https://localhost:8443.",
        );
        check(
            "listeners",
            "http://a:1,",
            "Empty URL found when parsing listeners list.",
        );
        check("listeners", "ftp://x:1", "ok");
        check("admin.listeners", "", "ok");
        check(
            "plugin.path",
            "",
            "Configuration 'plugin.path' must not be empty. Valid values include: any non-empty value",
        );
        check("connect.protocol", "EAGER", "ok");
        check(
            "connect.protocol",
            "x",
            "Invalid value x for configuration connect.protocol: Invalid Connect protocol compatibility",
        );
        check("exactly.once.source.support", "Enabled", "ok");
        let key = "inter.worker.verification.algorithms";
        let none = "At least one signature verification algorithm must be provided";
        check(key, "", &format!("Invalid value [] for configuration {key}: {none}"));
        let key = "inter.worker.signature.algorithm";
        let absent = "Signature algorithm must be present in inter.worker.verification.algorithms list";
        check(
            key,
            "HmacSHA512",
            &format!("Invalid value HmacSHA512 for configuration {key}: {absent}"),
        );
        let key = "response.http.headers.config";
        check(key, "", "ok");
        check(
            key,
            "foo",
            "Invalid format of header config 'foo'. Expected: '[action] [header name]:[header value]'",
        );
        check(
            key,
            "set a",
            "Invalid format of header name and header value pair 'a'. Expected: '[header name]:[header value]'",
        );
        check(
            key,
            "set a:",
            "Invalid format of header name and header value pair 'a:'. Expected: '[header name]:[header value]'",
        );
        check(
            key,
            "frob a:b",
            "Invalid header config action: 'frob'. Expected one of [set, add, setDate, addDate]",
        );
        check(
            key,
            "set :b",
            "Invalid header name ''. The '[header name]' cannot contain whitespace",
        );
        check(
            key,
            "set a b:c",
            "Invalid header name 'a b'. The '[header name]' cannot contain whitespace",
        );
        check(
            key,
            ",",
            "Invalid format of header config ''. Expected: '[action] [header name]:[header value]'",
        );
        check(key, "setdate a:b", "ok");
    }

    #[test]
    fn header_rules_may_hold_commas_in_quotes() {
        let rules = header_rules("\"set Cache-Control: no-cache, no-store\", add X-A:b").expect("good rules");
        let rule = |action, name: &str, value: &str| HeaderRule {
            action,
            name: name.into(),
            value: value.into(),
        };
        let expected = [
            rule(HeaderAction::Set, "Cache-Control", "no-cache, no-store"),
            rule(HeaderAction::Add, "X-A", "b"),
        ];
        assert_eq!(rules, expected);
    }
}
