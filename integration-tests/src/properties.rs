use std::{collections::BTreeMap, fmt::Write, path::Path};

/// An `mm2.properties` for a scenario: two clusters, one flow, everything quick, one replica.
#[derive(Clone, Debug)]
pub struct MirrorProperties {
    entries: BTreeMap<String, String>,
    source: String,
    target: String,
}

impl MirrorProperties {
    /// The flow `source->target` for `topics`, between these bootstrap servers; the way back is off.
    pub fn new(source: (&str, &str), target: (&str, &str), topics: &str) -> Self {
        let ((source, source_servers), (target, target_servers)) = (source, target);
        let properties = Self {
            entries: BTreeMap::new(),
            source: source.to_owned(),
            target: target.to_owned(),
        };
        let mut properties = properties
            .set("clusters", &format!("{source}, {target}"))
            .set(&format!("{source}.bootstrap.servers"), source_servers)
            .set(&format!("{target}.bootstrap.servers"), target_servers)
            .flow("enabled", "true")
            .flow("topics", topics)
            .set(&format!("{target}->{source}.enabled"), "false")
            .set(&format!("{target}->{source}.emit.heartbeats.enabled"), "false")
            .set("tasks.max", "2")
            .set("refresh.topics.interval.seconds", "1")
            .set("sync.topic.configs.interval.seconds", "1")
            .set("emit.heartbeats.interval.seconds", "1")
            .set("emit.checkpoints.interval.seconds", "1");
        for alias in [source, target] {
            properties = properties.set(&format!("{alias}.offset.flush.interval.ms"), "500");
        }
        properties.replicas(1)
    }

    /// All topics that are made get this many replicas.
    pub fn replicas(mut self, factor: u16) -> Self {
        let keys = [
            "replication.factor",
            "checkpoints.topic.replication.factor",
            "heartbeats.topic.replication.factor",
            "offset-syncs.topic.replication.factor",
            "offset.storage.replication.factor",
            "status.storage.replication.factor",
            "config.storage.replication.factor",
        ];
        for key in keys {
            self = self.set(key, &factor.to_string());
        }
        self
    }

    /// Sets any key.
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.entries.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Sets `source->target.<key>`.
    pub fn flow(self, key: &str, value: &str) -> Self {
        let key = format!("{}->{}.{key}", self.source, self.target);
        self.set(&key, value)
    }

    /// Leaves a key out.
    pub fn without(mut self, key: &str) -> Self {
        self.entries.remove(key);
        self
    }

    /// The alias of the target.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The name that a topic gets on the target.
    pub fn mirrored(&self, topic: &str) -> String {
        format!("{}.{topic}", self.source)
    }

    /// The topic on the target in which the worker keeps source offsets.
    pub fn offsets_topic(&self) -> String {
        format!("mm2-offsets.{}.internal", self.source)
    }

    /// Writes it as a file. Values may hold backslashes, as in a regex, and any letter; the file's syntax wants them escaped.
    pub fn write(&self, path: &Path) {
        let mut text = String::new();
        for (key, value) in &self.entries {
            writeln!(text, "{key} = {}", escaped(value)).expect("a string takes everything");
        }
        std::fs::write(path, text).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    }
}

/// A value as a properties file wants it, which is ISO-8859-1.
pub(crate) fn escaped(value: &str) -> String {
    let mut out = String::new();
    for unit in value.encode_utf16() {
        match char::from_u32(u32::from(unit)).filter(char::is_ascii) {
            Some('\\') => out.push_str("\\\\"),
            Some(c) => out.push(c),
            None => write!(out, "\\u{unit:04x}").expect("a string takes everything"),
        }
    }
    out
}
