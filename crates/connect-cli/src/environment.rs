//! Settings from the environment, as images of Kafka take them, and variables that are meant for a JVM.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use tracing::info;

/// `CONNECT_GROUP_ID` stands for `group.id`.
const CONNECT_PREFIX: &str = "CONNECT_";
/// Of an image's logging, and so no settings of a worker.
const CONNECT_LOG4J_PREFIX: &str = "CONNECT_LOG4J_";
/// Lines of a file for dedicated mode, whose keys (`source->target.topics`) no variable's name could stand for.
const MM2_PROPERTIES: &str = "MM2_PROPERTIES";
/// Where dedicated mode can be looked at, unless its file says so.
const REST_LISTENERS: &str = "HELIOGRAPH_REST_LISTENERS";

/// What Kafka's scripts and images pass on to a JVM.
const FOR_A_JVM: [&str; 10] = [
    "EXTRA_ARGS",
    "JMX_PORT",
    "KAFKA_DEBUG",
    "KAFKA_GC_LOG_OPTS",
    "KAFKA_HEAP_OPTS",
    "KAFKA_JMX_HOSTNAME",
    "KAFKA_JMX_OPTS",
    "KAFKA_JMX_PORT",
    "KAFKA_JVM_PERFORMANCE_OPTS",
    "KAFKA_OPTS",
];
/// What they make of logging.
const FOR_LOG4J: [&str; 6] = [
    "CONNECT_LOG4J_LOGGERS",
    "CONNECT_LOG4J_APPENDER_STDOUT_LAYOUT_CONVERSIONPATTERN",
    "KAFKA_LOG4J_CMD_OPTS",
    "KAFKA_LOG4J_LOGGERS",
    "KAFKA_LOG4J_OPTS",
    "LOG_DIR",
];

/// The environment's variables that are text.
pub(crate) struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Of this process.
    pub(crate) fn of_process() -> Self {
        let vars =
            std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)));
        Self(vars.collect())
    }

    /// Says once which variables were accepted and change nothing. Not their values: they may hold passwords.
    pub(crate) fn note_what_has_no_effect(&self) {
        if let Some(names) = self.which(&FOR_A_JVM) {
            info!("meant for a JVM, without effect here: {names}");
        }
        if let Some(names) = self.which(&FOR_LOG4J) {
            info!("meant for Log4j, without effect here: {names}; HELIOGRAPH_LOG sets levels");
        }
        let has_jaas_file = |opts: &String| opts.contains("java.security.auth.login.config");
        if self.0.get("KAFKA_OPTS").is_some_and(has_jaas_file) {
            info!(
                "of the JAAS file in KAFKA_OPTS only the REST API's KafkaConnect is read: set sasl.jaas.config for each cluster"
            );
        }
    }

    /// Those of `names` that are set.
    fn which(&self, names: &[&str]) -> Option<String> {
        let is_set = |name: &&str| self.0.get(*name).is_some_and(|value| !value.trim().is_empty());
        let set: Vec<&str> = names.iter().copied().filter(is_set).collect();
        (!set.is_empty()).then(|| set.join(", "))
    }

    /// Where dedicated mode can be looked at, if its file does not say so.
    pub(crate) fn rest_listeners(&self) -> Option<&str> {
        let listeners = self.0.get(REST_LISTENERS)?.trim();
        (!listeners.is_empty()).then_some(listeners)
    }

    fn mirror_maker_properties(&self) -> String {
        self.0
            .get(MM2_PROPERTIES)
            .map_or_else(String::new, |lines| in_latin1(lines))
    }

    /// A worker's settings: one underscore stands for a dot, two for a dash, three for an underscore.
    fn worker_properties(&self) -> String {
        let settings = self
            .0
            .iter()
            .filter(|(name, _)| !name.starts_with(CONNECT_LOG4J_PREFIX));
        let settings = settings.filter_map(|(name, value)| Some((name.strip_prefix(CONNECT_PREFIX)?, value)));
        settings
            .filter(|(name, _)| !name.is_empty())
            .map(|(name, value)| property(&key_of(name), value))
            .collect()
    }
}

/// `SASL_JAAS_CONFIG` → `sasl.jaas.config`.
fn key_of(name: &str) -> String {
    let lower = name.to_lowercase();
    // From the longest run of underscores to the shortest.
    lower
        .replace("___", "\u{0}")
        .replace("__", "-")
        .replace('_', ".")
        .replace('\u{0}', "_")
}

/// A line of a file, in its encoding.
fn property(key: &str, value: &str) -> String {
    let mut line = String::new();
    for c in key.chars() {
        match c {
            ':' | '=' | ' ' | '#' | '!' | '\\' => line.extend(['\\', c]),
            _ => escape(c, &mut line),
        }
    }
    line.push('=');
    // Blanks before a value are no part of it, unless they are escaped.
    let blanks = value.len() - value.trim_start_matches(' ').len();
    line.push_str(&"\\ ".repeat(blanks));
    for c in value[blanks..].chars() {
        match c {
            '\\' => line.push_str("\\\\"),
            _ => escape(c, &mut line),
        }
    }
    line.push('\n');
    line
}

fn escape(c: char, line: &mut String) {
    match c {
        '\n' => line.push_str("\\n"),
        '\r' => line.push_str("\\r"),
        '\t' => line.push_str("\\t"),
        ' '..='~' => line.push(c),
        _ => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                line.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
}

/// Lines as somebody wrote them, in a file's encoding.
fn in_latin1(lines: &str) -> String {
    let mut escaped = String::new();
    for c in lines.chars() {
        match c.is_ascii() {
            true => escaped.push(c),
            false => escape(c, &mut escaped),
        }
    }
    escaped
}

/// Where a process takes its settings from: a file, the environment, or both.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Settings {
    /// The file with the settings.
    #[arg(value_name = "FILE", required_unless_present = "environment")]
    file: Option<PathBuf>,
    /// Take settings from the environment as well, which count more than the file's: CONNECT_GROUP_ID and the like for a
    /// worker, lines of a file in MM2_PROPERTIES for mirror-maker.
    #[arg(long)]
    environment: bool,
}

impl Settings {
    /// A file's, the environment's, or both.
    pub(crate) fn new(file: Option<PathBuf>, environment: bool) -> Self {
        Self { file, environment }
    }

    /// The same for somebody whose working directory is another than the one that the file's name is relative to.
    pub(crate) fn within(self, directory: &Path) -> Self {
        Self {
            file: self.file.map(|file| directory.join(file)),
            ..self
        }
    }

    /// A file's, and no others.
    pub(crate) fn of_file(file: PathBuf) -> Self {
        Self {
            file: Some(file),
            environment: false,
        }
    }

    /// A worker's, as the bytes of one file.
    pub(crate) fn of_worker(&self) -> Result<Vec<u8>> {
        self.read(Environment::worker_properties)
    }

    /// Those of dedicated mode, as the bytes of one file.
    pub(crate) fn of_mirror_maker(&self) -> Result<Vec<u8>> {
        self.read(Environment::mirror_maker_properties)
    }

    fn read(&self, of_environment: impl FnOnce(&Environment) -> String) -> Result<Vec<u8>> {
        let mut bytes = match &self.file {
            Some(file) => std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?,
            None => Vec::new(),
        };
        if self.environment {
            // Of two lines with one key the later counts.
            bytes.push(b'\n');
            bytes.extend_from_slice(of_environment(&Environment::of_process()).as_bytes());
        }
        Ok(bytes)
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.environment) {
            (Some(file), false) => write!(f, "{}", file.display()),
            (Some(file), true) => write!(f, "{} and the environment", file.display()),
            (None, _) => f.write_str("the environment"),
        }
    }
}

#[cfg(test)]
mod tests {
    use config_def::properties;

    use super::*;

    fn environment(vars: &[(&str, &str)]) -> Environment {
        let vars = vars
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Environment(vars.collect())
    }

    #[test]
    fn names_stand_for_keys() {
        let check = |name: &str, key: &str| assert_eq!(key_of(name), key, "{name}");
        check("GROUP_ID", "group.id");
        check("REST_ADVERTISED_HOST_NAME", "rest.advertised.host.name");
        check("SOME__DASH", "some-dash");
        check("SOME___UNDERSCORE_KEY", "some_underscore.key");
    }

    #[test]
    fn a_workers_settings_are_those_with_the_prefix() {
        let jaas = "org.apache.kafka.common.security.plain.PlainLoginModule required \\\n username=\"ü\" password=\"a\\\\b=#!: \";";
        let environment = environment(&[
            ("CONNECT_BOOTSTRAP_SERVERS", "kafka:9092"),
            ("CONNECT_SASL_JAAS_CONFIG", jaas),
            ("CONNECT_LISTENERS", "  http://:8083\t"),
            ("CONNECT_LOG4J_ROOT_LOGLEVEL", "DEBUG"),
            ("CONNECT_", "nothing"),
            ("KAFKA_HEAP_OPTS", "-Xmx1g"),
        ]);
        let read = properties::parse(environment.worker_properties().as_bytes())
            .expect("well formed")
            .props();
        let expected = [
            ("bootstrap.servers", "kafka:9092"),
            ("listeners", "  http://:8083\t"),
            ("sasl.jaas.config", jaas),
        ];
        let read: Vec<(&str, &str)> = read.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(read, expected);
    }

    #[test]
    fn lines_for_dedicated_mode_keep_their_keys() {
        let lines = "clusters = A, b\nA->b.enabled = true\nb.sasl.jaas.config = ü\n";
        let environment = environment(&[(MM2_PROPERTIES, lines)]);
        let read = properties::parse(environment.mirror_maker_properties().as_bytes())
            .expect("well formed")
            .props();
        assert_eq!(read["A->b.enabled"], "true");
        assert_eq!(read["b.sasl.jaas.config"], "ü");
    }

    #[test]
    fn what_has_no_effect_is_named_without_its_value() {
        let environment = environment(&[
            ("KAFKA_OPTS", "-Dsecret=1"),
            ("KAFKA_HEAP_OPTS", " "),
            ("LOG_DIR", "/logs"),
        ]);
        assert_eq!(environment.which(&FOR_A_JVM).as_deref(), Some("KAFKA_OPTS"));
        assert_eq!(environment.which(&FOR_LOG4J).as_deref(), Some("LOG_DIR"));
    }
}
