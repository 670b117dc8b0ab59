//! `topic.creation.*` of a connector: how the topics are made that its tasks write to first.

use config_def::{ConfigDef, ConfigError, ConfigErrors, ConfigKey, DefaultValue, Props, Type, Validator, Value, Width};
use config_def::{key, with_prefix_stripped};
use connect_api::connector_config::SOURCE_CONNECTOR_KEYS;
use java_pattern::JavaPatterns;
use kafka_client::admin::NewTopic;

const PREFIX: &str = "topic.creation.";
const GROUPS: &str = "topic.creation.groups";
/// The group of all topics that no other takes.
const DEFAULT: &str = "default";

const PARTITIONS: Validator = Validator::Rule {
    text: Some("Positive number, or -1 to use the broker's default"),
    check: |value| match value {
        Value::Null | Value::Int(-1 | 1..) => Ok(()),
        _ => Err("Number of partitions must be positive, or -1 to use the broker's default".to_owned()),
    },
};

const REPLICATION_FACTOR: Validator = Validator::Rule {
    text: Some(
        "Positive number not larger than the number of brokers in the Kafka cluster, or -1 to use the broker's default",
    ),
    check: |value| {
        match value {
        Value::Null | Value::Short(-1 | 1..) => Ok(()),
        _ => Err(
            "Replication factor must be positive and not larger than the number of brokers in the Kafka cluster, or -1 to \
             use the broker's default"
                .to_owned(),
        ),
    }
    },
};

const REGEX: Validator = Validator::Rule {
    // Kafka's own text, which is that of the numbers.
    text: Some("Positive number, or -1 to use the broker's default"),
    check: |value| match value {
        Value::List(patterns) => patterns.iter().try_for_each(|pattern| {
            let compiled = JavaPatterns::new(&[pattern]).map(drop);
            compiled.map_err(|error| format!("Syntax error in regular expression: {error}"))
        }),
        _ => Ok(()),
    },
};

const IGNORED_REGEX: Validator = Validator::Rule {
    text: Some("non-null string"),
    check: |_| Ok(()),
};

/// Keys of the default group, which go behind `topic.creation.default.`.
static DEFAULT_GROUP: ConfigDef = ConfigDef::new(&[&[
    key("include", Type::List)
        .default(".*")
        .validator(IGNORED_REGEX)
        .group("default", 1)
        .width(Width::Long)
        .display_name("Inclusion Topic Pattern for default")
        .doc("Not used: the default group takes every topic that no other takes."),
    key("exclude", Type::List)
        .default("")
        .validator(IGNORED_REGEX)
        .group("default", 2)
        .width(Width::Long)
        .display_name("Exclusion Topic Pattern for default")
        .doc("Not used: the default group takes every topic that no other takes."),
    key("replication.factor", Type::Short)
        .validator(REPLICATION_FACTOR)
        .group("default", 3)
        .width(Width::Long)
        .display_name("Replication Factor for Topics in default")
        .doc("How many replicas the topics get; -1: as many as the brokers choose."),
    key("partitions", Type::Int)
        .validator(PARTITIONS)
        .group("default", 4)
        .width(Width::Long)
        .display_name("Partition Count for Topics in default")
        .doc("How many partitions the topics get; -1: as many as the brokers choose."),
]]);

/// Keys of every other group, which go behind `topic.creation.<group>.`.
static NAMED_GROUP: ConfigDef = ConfigDef::new(&[&[
    key("include", Type::List)
        .default("")
        .validator(REGEX)
        .group("<alias>", 1)
        .width(Width::Long)
        .display_name("Inclusion Topic Pattern for <alias>")
        .doc("Patterns of the topics of this group."),
    key("exclude", Type::List)
        .default("")
        .validator(REGEX)
        .group("<alias>", 2)
        .width(Width::Long)
        .display_name("Exclusion Topic Pattern for <alias>")
        .doc("Patterns of topics that are not of this group, whatever `include` says."),
    key("replication.factor", Type::Short)
        .default_null()
        .validator(REPLICATION_FACTOR)
        .group("<alias>", 3)
        .width(Width::Long)
        .display_name("Replication Factor for Topics in <alias>")
        .doc("How many replicas the topics get; unset: as in the default group."),
    key("partitions", Type::Int)
        .default_null()
        .validator(PARTITIONS)
        .group("<alias>", 4)
        .width(Width::Long)
        .display_name("Partition Count for Topics in <alias>")
        .doc("How many partitions the topics get; unset: as in the default group."),
]]);

/// The groups of a connector, in order (Java's `TopicCreation`).
#[derive(Debug)]
pub(crate) struct TopicGroups {
    named: Vec<TopicGroup>,
    default: Shape,
}

/// Java's `TopicCreationGroup`.
#[derive(Debug)]
struct TopicGroup {
    include: JavaPatterns,
    exclude: JavaPatterns,
    shape: Shape,
}

/// What the topics of a group are like.
#[derive(Debug, Default)]
struct Shape {
    partitions: i32,
    replication_factor: i16,
    /// What else is said of the group: settings of its topics.
    configs: Props,
}

impl TopicGroups {
    /// `None`: the connector says nothing about creating topics. Otherwise every problem at once.
    pub(crate) fn parse(connector: &Props) -> Result<Option<Self>, ConfigErrors> {
        if !connector.keys().any(|key| key.starts_with(PREFIX)) {
            return Ok(None);
        }
        let mut errors = ConfigErrors::default();
        let mut reader = GroupReader::new(DEFAULT, connector, &mut errors);
        let default = reader.shape(&DEFAULT_GROUP, &Shape::default());
        let mut named = Vec::new();
        for group in errors.collect(names(connector)).unwrap_or_default() {
            if group != DEFAULT {
                named.extend(GroupReader::new(&group, connector, &mut errors).named(&default));
            }
        }
        errors.into_result(Some(Self { named, default }))
    }

    /// The topic of this name, as the first group that takes it wants it.
    pub(crate) fn new_topic(&self, name: &str) -> NewTopic {
        let takes = |group: &&TopicGroup| group.include.matches(name) && !group.exclude.matches(name);
        let shape = self
            .named
            .iter()
            .find(takes)
            .map_or(&self.default, |group| &group.shape);
        NewTopic::new(name, shape.partitions, shape.replication_factor).with_configs(shape.configs.clone())
    }
}

fn names(connector: &Props) -> Result<Vec<String>, ConfigError> {
    let groups = SOURCE_CONNECTOR_KEYS.iter().find(|key| key.name == GROUPS);
    let groups = groups.expect("it is a key of every source connector");
    let text = connector.get(GROUPS).map_or("", String::as_str);
    let value = groups.read_as(GROUPS, text)?;
    groups.validator.check(GROUPS, &value)?;
    Ok(match value {
        Value::List(names) => names,
        _ => Vec::new(),
    })
}

/// Reads the keys of one group.
struct GroupReader<'a> {
    prefix: String,
    props: Props,
    errors: &'a mut ConfigErrors,
}

impl<'a> GroupReader<'a> {
    fn new(group: &str, connector: &Props, errors: &'a mut ConfigErrors) -> Self {
        let prefix = format!("{PREFIX}{group}.");
        let props = with_prefix_stripped(connector, &prefix);
        Self { prefix, props, errors }
    }

    fn named(&mut self, default: &Shape) -> Option<TopicGroup> {
        let shape = self.shape(&NAMED_GROUP, default);
        Some(TopicGroup {
            include: self.patterns("include")?,
            exclude: self.patterns("exclude")?,
            shape,
        })
    }

    fn shape(&mut self, def: &ConfigDef, default: &Shape) -> Shape {
        let replication_factor = match self.value(def, "replication.factor") {
            Value::Short(factor) => factor,
            _ => default.replication_factor,
        };
        let partitions = match self.value(def, "partitions") {
            Value::Int(partitions) => partitions,
            _ => default.partitions,
        };
        let others = self.props.iter().filter(|(key, _)| def.key(key).is_none());
        Shape {
            partitions,
            replication_factor,
            configs: others.map(|(key, value)| (key.clone(), value.clone())).collect(),
        }
    }

    fn patterns(&mut self, name: &str) -> Option<JavaPatterns> {
        let Value::List(patterns) = self.value(&NAMED_GROUP, name) else {
            return None;
        };
        let patterns = JavaPatterns::new(&patterns).map_err(|error| ConfigError::new(name, error.to_string()));
        self.errors.collect(patterns)
    }

    /// `Null` without a value, and where it is no good.
    fn value(&mut self, def: &ConfigDef, name: &str) -> Value {
        let key = def.key(name).expect("a key of the table");
        let value = self.read(key);
        self.errors.collect(value).unwrap_or(Value::Null)
    }

    /// As Kafka: what is missing or of the wrong type is named with its prefix, what breaks a rule without it.
    fn read(&self, key: &ConfigKey) -> Result<Value, ConfigError> {
        let name = format!("{}{}", self.prefix, key.name);
        let text = match (self.props.get(key.name), key.default) {
            (Some(text), _) => text,
            (None, DefaultValue::Text(text)) => text,
            (None, DefaultValue::Null) => return Ok(Value::Null),
            (None, DefaultValue::Required) => return Err(ConfigError::missing(&name)),
        };
        let value = key.read_as(&name, text)?;
        key.validator.check(key.name, &value)?;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<Option<TopicGroups>, ConfigErrors> {
        let owned = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        TopicGroups::parse(&owned.collect())
    }

    fn errors(pairs: &[(&str, &str)]) -> Vec<String> {
        let errors = parse(pairs).expect_err("it is no good").0;
        errors.into_iter().map(|error| error.message).collect()
    }

    #[test]
    fn the_tables_are_those_of_kafka_4_3_1() {
        let recorded = include_str!("../../testdata/config-topic-creation-groups.json");
        let recorded: serde_json::Map<String, serde_json::Value> = serde_json::from_str(recorded).expect("valid JSON");
        for (title, keys) in &recorded {
            let (def, inherited) = match title.starts_with("default-group") {
                true => (&DEFAULT_GROUP, None),
                // Recorded below a default group with these numbers.
                false => (&NAMED_GROUP, Some(("3", "7"))),
            };
            assert_eq!(def.faults(), Vec::<String>::new());
            let ours: Vec<_> = def
                .keys()
                .enumerate()
                .map(|(index, key)| {
                    let default = match (key.default, inherited) {
                        (DefaultValue::Text(text), _) => Some(text),
                        (DefaultValue::Null, Some((factor, partitions))) => {
                            Some(if key.name == "partitions" { partitions } else { factor })
                        }
                        _ => None,
                    };
                    serde_json::json!({
                        "index": index,
                        "name": key.name,
                        "type": key.kind.name(),
                        "required": key.is_required(),
                        "default": default,
                        "importance": key.importance.name(),
                        "width": key.width.name(),
                        "group": key.group,
                        "order": key.order,
                        "display_name": key.display(),
                        "dependents": key.dependents,
                        "validator": key.validator.text(),
                        "has_recommender": key.recommender.is_some(),
                        "internal": false,
                    })
                })
                .collect();
            assert_eq!(serde_json::Value::Array(ours), *keys, "{title}");
        }
        assert_eq!(recorded.len(), 2);
    }

    #[test]
    fn who_says_nothing_of_topic_creation_gets_none() {
        assert!(parse(&[("topics", ".*")]).expect("sound").is_none());
    }

    #[test]
    fn the_first_group_that_takes_a_topic_shapes_it() {
        let groups = parse(&[
            ("topic.creation.groups", "compacted, wide,default"),
            ("topic.creation.default.replication.factor", "-1"),
            ("topic.creation.default.partitions", "2"),
            ("topic.creation.default.retention.ms", "1000"),
            // Ignored, as Kafka does.
            ("topic.creation.default.include", "("),
            ("topic.creation.default.exclude", ".*"),
            ("topic.creation.compacted.include", "table\\..*, wide-table"),
            ("topic.creation.compacted.exclude", ".*-log"),
            ("topic.creation.compacted.cleanup.policy", "compact"),
            ("topic.creation.wide.include", "wide-.*"),
            ("topic.creation.wide.partitions", "64"),
            ("topic.creation.wide.replication.factor", "3"),
        ]);
        let groups = groups.expect("sound").expect("there are groups");
        let check = |name: &str, expected: (i32, i16, &[(&str, &str)])| {
            let topic = groups.new_topic(name);
            let configs: Vec<_> = topic
                .configs
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str()))
                .collect();
            assert_eq!(
                (topic.num_partitions, topic.replication_factor, &*configs),
                expected,
                "{name}"
            );
        };
        check("table.a", (2, -1, &[("cleanup.policy", "compact")]));
        check("wide-table", (2, -1, &[("cleanup.policy", "compact")]));
        check("table.a-log", (2, -1, &[("retention.ms", "1000")]));
        check("wide-a", (64, 3, &[]));
        // A pattern has to match the whole name.
        check("a.table.b", (2, -1, &[("retention.ms", "1000")]));
    }

    #[test]
    fn problems_are_named_in_kafkas_words() {
        assert_eq!(
            errors(&[("topic.creation.groups", "a,b"), ("topic.creation.b.partitions", "x")]),
            [
                "Missing required configuration \"topic.creation.default.replication.factor\" which has no default value.",
                "Missing required configuration \"topic.creation.default.partitions\" which has no default value.",
                "Invalid value x for configuration topic.creation.b.partitions: Not a number of type INT",
            ]
        );
        assert_eq!(
            errors(&[
                ("topic.creation.groups", "a"),
                ("topic.creation.default.replication.factor", "0"),
                ("topic.creation.default.partitions", "-2"),
                ("topic.creation.a.include", "a,("),
            ]),
            [
                "Invalid value 0 for configuration replication.factor: Replication factor must be positive and not larger \
                 than the number of brokers in the Kafka cluster, or -1 to use the broker's default",
                "Invalid value -2 for configuration partitions: Number of partitions must be positive, or -1 to use the \
                 broker's default",
                "Invalid value [a, (] for configuration include: Syntax error in regular expression: Unclosed group near \
                 index 1\n(",
            ]
        );
        let repeated = errors(&[
            ("topic.creation.groups", "a,a"),
            ("topic.creation.default.replication.factor", "1"),
            ("topic.creation.default.partitions", "1"),
        ]);
        assert!(repeated[0].contains("Duplicate alias provided."), "{repeated:?}");
    }
}
