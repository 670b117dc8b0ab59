//! One transformation of a chain, read from the connector's configuration.

use config_def::{ConfigDef, ConfigError, ConfigErrors, Importance, Props, Type, Values, key, with_prefix_stripped};
use java_pattern::{JavaPatterns, Replacement};

use crate::{
    HeaderConverter,
    literal::header_value,
    pattern,
    plugins::{Kind, TRANSFORMATION_KEYS, plugin},
    predicates::{has_header_key, record_is_tombstone, topic_name_matches},
    transforms::{
        drop_headers, filter, insert_header, regex_router, set_schema_metadata,
        timestamp_router::{self, TimestampRouter},
    },
};

/// A transformation and when it is applied.
#[derive(Debug)]
pub(crate) struct Step {
    /// The Java class, for messages.
    pub(crate) class: &'static str,
    pub(crate) action: Action,
    pub(crate) condition: Option<Condition>,
}

/// What is done to a record.
#[derive(Debug)]
pub(crate) enum Action {
    Drop,
    Rename(Replacement),
    RenameByTimestamp(TimestampRouter),
    InsertHeader { key: Vec<u8>, value: Option<Vec<u8>> },
    DropHeaders(Vec<Vec<u8>>),
}

/// A predicate, maybe turned round.
#[derive(Debug)]
pub(crate) struct Condition {
    pub(crate) predicate: Predicate,
    pub(crate) negate: bool,
}

/// What is asked about a record.
#[derive(Debug)]
pub(crate) enum Predicate {
    TopicMatches(JavaPatterns),
    HasHeader(Vec<u8>),
    IsTombstone,
}

/// The keys of a connector that name what there is.
static ALIASES: ConfigDef = ConfigDef::new(&[&[
    key("transforms", Type::List)
        .default("")
        .importance(Importance::Low)
        .doc("Aliases of transformations."),
    key("predicates", Type::List)
        .default("")
        .importance(Importance::Low)
        .doc("Aliases of predicates."),
]]);

static IMPLICIT: ConfigDef = ConfigDef::new(&[TRANSFORMATION_KEYS]);

/// The steps that the connector's configuration names, in their order; every problem at once.
pub(crate) fn parse(connector: &Props, headers: HeaderConverter) -> Result<Vec<Step>, ConfigErrors> {
    let aliases = ALIASES.parse(connector)?;
    let mut errors = ConfigErrors::default();
    let mut steps = Vec::new();
    let transforms = aliases.list("transforms");
    if let Some(twice) = repeated(transforms) {
        errors
            .0
            .push(ConfigError::invalid("transforms", twice, "Duplicate alias provided."));
    }
    for alias in transforms {
        match parse_step(connector, alias, aliases.list("predicates"), headers) {
            Ok(step) => steps.extend(step),
            Err(wrong) => errors.0.extend(wrong.0),
        }
    }
    errors.into_result(steps)
}

fn repeated(aliases: &[String]) -> Option<&String> {
    let is_repeat = |(index, alias): &(usize, &String)| aliases[..*index].contains(alias);
    aliases.iter().enumerate().find(is_repeat).map(|(_, alias)| alias)
}

fn parse_step(
    connector: &Props,
    alias: &str,
    predicates: &[String],
    headers: HeaderConverter,
) -> Result<Option<Step>, ConfigErrors> {
    let prefix = format!("transforms.{alias}.");
    let (class, own, values) = parse_plugin(connector, &prefix, Kind::Transformation)?;
    let implicit = IMPLICIT.parse(&own).map_err(|errors| under(&prefix, errors))?;
    let condition = match implicit.opt_string("predicate").filter(|alias| !alias.is_empty()) {
        Some(predicate) => Some(Condition {
            predicate: parse_predicate(connector, predicate, predicates, &prefix)?,
            negate: implicit.boolean("negate"),
        }),
        None if own.contains_key("negate") => {
            let key = format!("{prefix}negate");
            let message = format!("there is no config '{prefix}predicate' defining a predicate to be negated");
            return Err(ConfigError::invalid(&key, &own["negate"], message).into());
        }
        None => None,
    };
    let action = parse_action(class, &values, headers).map_err(|error| under(&prefix, error.into()))?;
    Ok(action.map(|action| Step {
        class,
        action,
        condition,
    }))
}

/// `None`: it does nothing to bytes.
fn parse_action(class: &str, values: &Values, headers: HeaderConverter) -> Result<Option<Action>, ConfigError> {
    let action = match class {
        drop_headers::CLASS => {
            let names = values.list("headers").iter();
            Action::DropHeaders(names.map(|name| name.clone().into_bytes()).collect())
        }
        filter::CLASS => Action::Drop,
        insert_header::CLASS => {
            let literal = values.string("value.literal");
            let value =
                header_value(literal, headers).map_err(|why| ConfigError::invalid("value.literal", literal, why))?;
            let key = values.string("header").as_bytes().to_vec();
            Action::InsertHeader { key, value }
        }
        regex_router::CLASS => Action::Rename(regex_router::parse(values)?),
        timestamp_router::CLASS => Action::RenameByTimestamp(TimestampRouter::parse(values)?),
        set_schema_metadata::KEY_CLASS | set_schema_metadata::VALUE_CLASS => {
            set_schema_metadata::check(values)?;
            return Ok(None);
        }
        other => unreachable!("{other} is in the list of transformations and is not made"),
    };
    Ok(Some(action))
}

fn parse_predicate(
    connector: &Props,
    alias: &str,
    predicates: &[String],
    transform: &str,
) -> Result<Predicate, ConfigErrors> {
    if !predicates.iter().any(|known| known == alias) {
        let key = format!("{transform}predicate");
        return Err(ConfigError::invalid(&key, alias, "there is no such alias in 'predicates'").into());
    }
    let prefix = format!("predicates.{alias}.");
    let (class, _, values) = parse_plugin(connector, &prefix, Kind::Predicate)?;
    match class {
        topic_name_matches::CLASS => {
            let text = values.string("pattern");
            let pattern = pattern::compile(text);
            let pattern = pattern.map_err(|why| ConfigError::invalid(&format!("{prefix}pattern"), text, why))?;
            Ok(Predicate::TopicMatches(pattern))
        }
        has_header_key::CLASS => Ok(Predicate::HasHeader(values.string("name").as_bytes().to_vec())),
        record_is_tombstone::CLASS => Ok(Predicate::IsTombstone),
        other => unreachable!("{other} is in the list of predicates and is not made"),
    }
}

/// The class under `<prefix>type`, the properties under the prefix, and what they say.
fn parse_plugin(connector: &Props, prefix: &str, kind: Kind) -> Result<(&'static str, Props, Values), ConfigErrors> {
    let name = format!("{prefix}type");
    let Some(class) = connector.get(&name) else {
        return Err(ConfigError::missing(&name).into());
    };
    let found = plugin(kind, class).map_err(|why| ConfigError::invalid(&name, class, why))?;
    let own = with_prefix_stripped(connector, prefix);
    let values = found.config.parse(&own).map_err(|errors| under(prefix, errors))?;
    Ok((found.class, own, values))
}

/// The table of a plug-in knows its keys without the prefix, under which the user knows them.
fn under(prefix: &str, errors: ConfigErrors) -> ConfigErrors {
    let with_prefix = |error: ConfigError| {
        let name = format!("{prefix}{}", error.name);
        let message = error.message;
        let quoted = [("\"", "\""), ("configuration ", ":"), ("Configuration '", "'")];
        let named = quoted.iter().find_map(|(before, after)| {
            let own = format!("{before}{}{after}", error.name);
            message
                .contains(&own)
                .then(|| message.replacen(&own, &format!("{before}{name}{after}"), 1))
        });
        let message = named.unwrap_or_else(|| format!("{name}: {message}"));
        ConfigError::new(name, message)
    };
    ConfigErrors(errors.0.into_iter().map(with_prefix).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn props(pairs: &[(&str, &str)]) -> Props {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    fn check(pairs: &[(&str, &str)], expected: &str) {
        let errors = parse(&props(pairs), HeaderConverter::Simple).expect_err("it is wrong");
        assert_eq!(errors.to_string(), expected);
    }

    #[test]
    fn a_chain_is_read_in_its_order() {
        let steps = parse(
            &props(&[
                ("transforms", "b, a, s"),
                ("transforms.a.type", "org.apache.kafka.connect.transforms.Filter"),
                ("transforms.a.predicate", "p"),
                ("transforms.a.negate", "true"),
                ("transforms.b.type", "DropHeaders"),
                ("transforms.b.headers", "x,y"),
                (
                    "transforms.s.type",
                    "org.apache.kafka.connect.transforms.SetSchemaMetadata$Value",
                ),
                ("transforms.s.schema.name", "n"),
                ("predicates", "p"),
                ("predicates.p.type", "RecordIsTombstone"),
            ]),
            HeaderConverter::ByteArray,
        );
        let steps = steps.expect("all is good");
        assert!(
            matches!(&steps[0].action, Action::DropHeaders(names) if names.len() == 2),
            "{steps:?}"
        );
        let condition = steps[1].condition.as_ref().expect("it has a predicate");
        assert!(condition.negate && matches!(condition.predicate, Predicate::IsTombstone));
        assert_eq!(steps.len(), 2, "SetSchemaMetadata does nothing to bytes");
    }

    #[test]
    fn what_is_wrong_is_said_under_the_users_keys() {
        check(
            &[("transforms", "a")],
            "Missing required configuration \"transforms.a.type\" which has no default value.",
        );
        let filter = ("transforms.a.type", "Filter");
        check(
            &[("transforms", "a"), filter, ("transforms.a.predicate", "p")],
            "Invalid value p for configuration transforms.a.predicate: there is no such alias in 'predicates'",
        );
        check(
            &[("transforms", "a"), filter, ("transforms.a.negate", "true")],
            "Invalid value true for configuration transforms.a.negate: there is no config 'transforms.a.predicate' defining a predicate to be negated",
        );
        check(
            &[("transforms", "a,a"), filter],
            "Invalid value a for configuration transforms: Duplicate alias provided.",
        );
        check(
            &[
                ("transforms", "a,b"),
                ("transforms.a.type", "RegexRouter"),
                ("transforms.b.type", "TimestampRouter"),
                ("transforms.b.timestamp.format", "YYYY"),
            ],
            "Missing required configuration \"transforms.a.regex\" which has no default value.\n\
             Missing required configuration \"transforms.a.replacement\" which has no default value.\n\
             Invalid value YYYY for configuration transforms.b.timestamp.format: the letter 'Y' is not supported here; \
             there are y M L d D E u a H k K h m s S z Z X",
        );
        check(
            &[
                ("transforms", "a"),
                ("transforms.a.type", "DropHeaders"),
                ("transforms.a.headers", ""),
            ],
            "Configuration 'transforms.a.headers' must not be empty. Valid values include: any non-empty value",
        );
        check(
            &[("transforms", "a"), ("transforms.a.type", "SetSchemaMetadata$Key")],
            "transforms.a.schema.name: Neither schema name nor version configured",
        );
    }

    #[test]
    fn a_header_that_its_converter_would_refuse_is_refused_at_the_start() {
        let insert = [
            ("transforms", "h"),
            ("transforms.h.type", "InsertHeader"),
            ("transforms.h.header", "origin"),
            ("transforms.h.value.literal", "A"),
        ];
        assert!(parse(&props(&insert), HeaderConverter::Simple).is_ok());
        let errors = parse(&props(&insert), HeaderConverter::ByteArray).expect_err("a text is no bytes");
        assert_eq!(
            errors.to_string(),
            "Invalid value A for configuration transforms.h.value.literal: ByteArrayConverter takes bytes only, and a \
             literal is none: choose SimpleHeaderConverter or StringConverter"
        );
    }
}
